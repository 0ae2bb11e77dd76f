"""Bodies on their way to a service: in one request what fits in memory, in parts what does not."""

from __future__ import annotations

import functools
import itertools
import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from ..blob import Buffer, body_bytes, body_chunks, body_size
from ..checksums import STAMP_NAME, stamp_of
from ..engine import reserve
from ..errors import ConfigError, HoldfastError, Indeterminate, IntegrityError, NotFound
from ..store import HEAD
from ..types import NO_METADATA, Body, ObjectInfo, WriteOptions
from . import _obstore
from ._answers import ATTRIBUTE_FIELDS, OWN_METADATA, object_info
from ._obstore import Client
from ._obstore_errors import UploadGone

#: Bodies up to this size (bytes) go in one PUT, which is fastest up to here and can be tried again as a whole.
ONE_PUT = 64 << 20
#: An iterator that ends within this many bytes goes in one PUT too.
COLLECT = 8 << 20
#: Larger bodies go in parts of this size (bytes), this many at a time: 16 MiB x 2 beat 8 x 4 and 5 x 12.
PART = 16 << 20
SMALLEST_PART = 5 << 20
MOST_PARTS = 10_000
CONCURRENCY = 2
#: The engine's own tries for each part of a multipart upload, which nobody else can repeat.
PART_TRIES = 7
#: The metadata name under which an upload leaves a mark of its own.
UPLOAD_NAME = f"{OWN_METADATA}upload"

_ENGINE_NAMES = {field: name for name, field in ATTRIBUTE_FIELDS.items()}
_TAKEN = frozenset(name.lower() for name in ATTRIBUTE_FIELDS)


def attributes(options: WriteOptions, store: str, names: re.Pattern[str], rule: str) -> dict[str, str] | None:
    """The attributes as the engine wants them, or None; ConfigError for what would not come back as it was given.

    ``names`` is what metadata names match that come back as they are, and ``rule`` says it in words.
    """
    given = options.attributes()
    if not given:
        return None
    named: dict[str, str] = {}
    for field, value in given.items():
        if isinstance(value, Mapping):
            for name, text in value.items():
                named[_metadata_name(name, store, names, rule)] = _header(name, text, store)
        else:
            named[_ENGINE_NAMES[field]] = _header(field, value, store)
    return named


def _metadata_name(name: str, store: str, names: re.Pattern[str], rule: str) -> str:
    if not names.fullmatch(name) or name in _TAKEN or name.startswith(OWN_METADATA):
        raise ConfigError(
            f"{name!r} cannot be a metadata name here: {rule}, except the names of standard headers and what starts "
            f"with {OWN_METADATA!r}",
            store=store,
        )
    return name


def _header(name: str, value: Any, store: str) -> str:
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or value != value.strip():
        raise ConfigError(
            f"the value of {name!r} cannot travel in a header: printable ASCII without spaces at its ends comes back "
            "as it is; encode the rest (percent-encoding, base64)",
            store=store,
        )
    return value


def stamp(body: Body) -> dict[str, str]:
    """The metadata that tells what is written: its digest if it is in memory, and of an upload a mark of its own.

    By that mark it is known again if its last answer was lost.
    """
    if type(body) is bytes and len(body) <= ONE_PUT:  # as most are
        return {STAMP_NAME: stamp_of(body)}
    if not isinstance(body, bytes | bytearray | memoryview):
        return {UPLOAD_NAME: secrets.token_hex(8)}
    known = {STAMP_NAME: stamp_of(body_bytes(body))}
    return known if len(body) <= ONE_PUT else {**known, UPLOAD_NAME: secrets.token_hex(8)}


def repeatable(body: Body) -> bool:
    """Whether the body can be read a second time: bytes and plain files can; iterators, open files and pipes cannot."""
    if isinstance(body, bytes | bytearray | memoryview):
        return True
    return isinstance(body, os.PathLike) and os.path.isfile(body)


def taken(body: Body) -> tuple[bytes | None, Iterator[bytes], int | None]:
    """A body for one request, or else (None) the chunks of one that is too large for it, and their size if known."""
    if type(body) is bytes and len(body) <= ONE_PUT:  # as most are: nothing is asked that they answer by themselves
        return body, iter(()), None
    size = body_size(body)
    if isinstance(body, os.PathLike) and not stat.S_ISREG(os.stat(body).st_mode):
        size = None  # a pipe or device says 0 and may hold anything
    if size is not None:
        if size <= ONE_PUT:
            if not isinstance(body, bytes | bytearray | memoryview):  # what is read from here on is memory of ours
                reserve(size)
            return _owned(body), iter(()), size
        return None, _exactly(size, body_chunks(body, PART)), size
    chunks = (_owned(chunk) for chunk in body_chunks(body))
    first = list(_up_to(COLLECT, chunks))
    if sum(map(len, first)) >= COLLECT:
        return None, itertools.chain(first, chunks), None
    return b"".join(first), iter(()), None


def part_size(options: WriteOptions, size: int | None) -> int:
    """How large (bytes) the parts of an upload are."""
    return max(options.part_size or PART, SMALLEST_PART, -(-(size or 0) // MOST_PARTS))


def _owned(body: Any) -> bytes:
    """The body as bytes that nobody can change: the engine keeps what it is given, without a copy.

    That holds after Ctrl-C too, when the caller goes on and an abandoned upload may still be running.
    """
    if type(body) is bytes:
        return body
    if isinstance(body, memoryview) and not body.c_contiguous:
        return body.tobytes()
    return bytes(body_bytes(body))


def put(
    client: Client,
    key: str,
    data: bytes,
    named: dict[str, str] | None,
    tags: dict[str, str] | None = None,
    *,
    create: bool = False,
) -> str | None:
    """The ETag of what was written in one request, which is sent once; with ``create`` only where nothing is."""
    mode = "create" if create else None
    send = functools.partial(_obstore.put, attributes=named, tags=tags, use_multipart=False, mode=mode)
    answer = client.attempt("write", key, send, client.upload(len(data)), key, data)
    return answer["e_tag"] or None


def _up_to(limit: int, chunks: Iterator[bytes]) -> Iterator[bytes]:
    total = 0
    for chunk in chunks:
        yield chunk
        total += len(chunk)
        if total >= limit:
            return


def _exactly(size: int, chunks: Iterable[Buffer]) -> Iterator[bytes]:
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if total > size:
            break
        yield _owned(chunk)
    if total != size:
        raise IntegrityError(f"the body changed while it was sent: {size} bytes at first, then another length")


class _Watched:
    """The chunks of a body, how many bytes they were, and the error that they ended with."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.chunks = chunks
        self.total = 0
        self.error: BaseException | None = None

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self.chunks:
                self.total += len(chunk)
                yield chunk
        except BaseException as error:
            self.error = error
            raise


def upload(
    client: Client,
    key: str,
    chunks: Iterator[bytes],
    part: int,
    named: dict[str, str] | None,
    tags: dict[str, str] | None = None,
) -> ObjectInfo:
    """The info of what was written in parts of so many bytes; aborted when it fails.

    A lost answer to its end is settled by the mark of ``stamp`` among the named attributes; else it is Indeterminate.
    """
    reserve(part * (CONCURRENCY + 1))
    watched = _Watched(chunks)
    send = functools.partial(
        _obstore.put, attributes=named, tags=tags, use_multipart=True, chunk_size=part, max_concurrency=CONCURRENCY
    )
    try:
        answer = client.attempt(
            "write", key, send, client.upload(part, tries=min(PART_TRIES, client.policy.tries)), key, iter(watched)
        )
    except HoldfastError as error:
        if watched.error is not None:
            raise watched.error from None
        # Completing is not idempotent: its second try finds no upload, because the first one has completed it.
        if not (error.retryable or isinstance(error, UploadGone)):
            raise
        error.retryable = False
        info = landed(client, key, named)
        if info is None and isinstance(error, UploadGone):
            raise last_answer_lost(client.store, key, watched.total, error) from error
        if info is None:
            raise
        return _of_size(info, watched.total, client.store)
    return completed(client, key, watched.total, answer["e_tag"] or None, named)


def completed(client: Client, key: str, size: int, etag: str | None, named: Mapping[str, str] | None) -> ObjectInfo:
    """The info of an upload that ended with this ETag: its own, also where others have replaced it by now.

    IntegrityError if what is there has not all the bytes that were sent.
    """
    try:
        head, _ = _obstore.open_body(client, key, key, HEAD)
    except NotFound:
        return _as_written(key, size, etag, named)  # and deleted since
    info, mark = object_info(key, head), (named or {}).get(UPLOAD_NAME)
    same = etag is not None and info.etag is not None and info.etag.strip('"') == etag.strip('"')
    if same or (mark is not None and head.attributes.get(UPLOAD_NAME) == mark):
        return _of_size(info, size, client.store)
    if mark is not None:
        return _as_written(key, size, etag, named)
    return replace(_of_size(info, size, client.store), etag=etag or info.etag)


def _as_written(key: str, size: int, etag: str | None, named: Mapping[str, str] | None) -> ObjectInfo:
    given = dict(named or {})
    fields: dict[str, Any] = {field: given.pop(name) for name, field in ATTRIBUTE_FIELDS.items() if name in given}
    metadata = {name: text for name, text in given.items() if not name.startswith(OWN_METADATA)}
    return ObjectInfo(key, size=size, etag=etag, metadata=metadata or NO_METADATA, **fields)


def _of_size(info: ObjectInfo, sent: int, store: str) -> ObjectInfo:
    if info.size == sent:
        return info
    raise IntegrityError(
        f"{sent} bytes of {info.key!r} were sent, the object there has {info.size}: somebody else wrote it, or "
        "the service lost some; write it again",
        store=store,
        key=info.key,
    )


def landed(client: Client, key: str, named: Mapping[str, str] | None) -> ObjectInfo | None:
    """The info of what is there now if it is what this upload has written, whatever became of the answer."""
    mark = (named or {}).get(UPLOAD_NAME)
    if mark is None:
        return None
    try:
        head, _ = _obstore.open_body(client, key, key, HEAD)
    except HoldfastError:
        return None
    return object_info(key, head) if head.attributes.get(UPLOAD_NAME) == mark else None


def last_answer_lost(store: str, key: str, size: int, error: HoldfastError) -> Indeterminate:
    """The error for an upload of which nobody can tell whether it was completed."""
    return Indeterminate(
        f"the answer to the last request of the upload of {key!r} was lost: look whether it holds "
        f"{size} bytes now, or write it again",
        store=store,
        key=key,
        cause=error,
    )
