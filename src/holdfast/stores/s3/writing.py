"""What an S3 write is made of: header values that survive, one PUT for what fits in memory, parts for the rest."""

from __future__ import annotations

import functools
import itertools
import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ...blob import Buffer, body_bytes, body_chunks, body_size
from ...checksums import STAMP_NAME, Digest, format_stamp
from ...engine import reserve
from ...errors import ConfigError, HoldfastError, Indeterminate, IntegrityError, Unsupported
from ...keys import printable
from ...store import HEAD, WRITE
from ...types import Body, ObjectInfo, WriteOptions
from .. import _obstore
from .._answers import ATTRIBUTE_FIELDS, OWN_METADATA, object_info
from .._obstore import Client
from .._obstore_errors import UploadGone
from . import direct
from .conditions import ConditionalWrite, named_version
from .direct import DirectClient
from .uploads import Upload, in_parts
from .wire import Request, Wire

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
_METADATA_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


def attributes(options: WriteOptions, store: str) -> dict[str, str] | None:
    """The attributes as the engine wants them, or None; ConfigError for what would not come back as it was given."""
    given = options.attributes()
    if not given:
        return None
    named: dict[str, str] = {}
    for field, value in given.items():
        if field == "metadata":
            assert not isinstance(value, str)
            named.update((_metadata_name(name, store), _header(name, text, store)) for name, text in value.items())
        else:
            named[_ENGINE_NAMES[field]] = _header(field, value, store)
    return named


def _metadata_name(name: str, store: str) -> str:
    if not _METADATA_NAME.fullmatch(name) or name in _TAKEN or name.startswith(OWN_METADATA):
        raise ConfigError(
            f"{name!r} cannot be a metadata name on S3: lower-case letters, digits, '.', '_' and '-' come back as they "
            f"are, except the names of standard headers and what starts with {OWN_METADATA!r}",
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


def write(
    client: Client,
    wire: Wire,
    key: str,
    body: Body,
    options: WriteOptions,
    named: dict[str, str] | None,
    *,
    stamped: bool,
) -> ObjectInfo:
    """The info of what was written: in one PUT what is small or in memory, else as a multipart upload.

    An iterator is consumed once. It goes in one PUT, which may be repeated, if it ends within 8 MiB; larger ones
    and files of more than 64 MiB go in parts. A failed upload is aborted; a process that is killed leaves its parts
    behind, invisible, until somebody lists and aborts them. Keys that the engine would alter, and any key with an ACL,
    which it cannot send, go over the wire, their parts one after the other. ``stamped``: the digest of what is in
    memory is noted in the metadata.
    """
    # Most bodies are small bytes: for them nothing is asked that they answer by themselves.
    data, chunks, size = (body, iter(()), None) if type(body) is bytes and len(body) <= ONE_PUT else taken(body)
    if stamped:
        named = {**(named or {}), **stamp(data if data is not None else body)}
    by_engine = _obstore.carries(key) and wire.options.acl is None
    tags = dict(wire.options.tags) if wire.options.tags else None
    if data is not None:
        etag = _put(client, wire, key, data, named, tags) if by_engine else direct.put(wire, key, data, named)
        given: dict[str, Any] = {} if options is WRITE else options.attributes()
        info = ObjectInfo(key, size=len(data), etag=etag, **given)
    elif by_engine:
        info = _upload(client, key, chunks, part_size(options, size), named, tags)
    else:
        info = _upload_directly(wire, key, chunks, part_size(options, size), named)
    see_encryption(wire, key)
    return info


def see_encryption(wire: Wire, key: str) -> None:
    """Look, once for all equal stores, whether what was written is encrypted as asked for; Unsupported if not."""
    if wire.options.encryption is None or wire.encrypts:
        return
    if not wire.options.honoured(wire.call(Request("read", "HEAD", key)).headers):
        raise Unsupported(
            f"cannot write with encryption={wire.options.encryption!r}: this service ignores it. What was written to "
            f"{printable(key)!r} lies there in clear: delete it if it must not",
            store=wire.store,
            key=key,
        )
    wire.encrypts = True


def stamp(body: Body) -> dict[str, str]:
    """The metadata that tells what is written: its digest if it is in memory, and of an upload a mark of its own.

    By that mark it is known again if its last answer was lost.
    """
    if not isinstance(body, bytes | bytearray | memoryview):
        return {UPLOAD_NAME: secrets.token_hex(8)}
    known = {STAMP_NAME: format_stamp(Digest("crc32c", body_bytes(body)))}
    return known if len(body) <= ONE_PUT else {**known, UPLOAD_NAME: secrets.token_hex(8)}


def taken(body: Body) -> tuple[bytes | None, Iterator[bytes], int | None]:
    """A body for one request, or else (None) the chunks of one that is too large for it, and their size if known."""
    size = body_size(body)
    if isinstance(body, os.PathLike) and not stat.S_ISREG(os.stat(body).st_mode):
        size = None  # a pipe or device says 0 and may hold anything
    if size is not None:
        if size <= ONE_PUT:
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


def _put(
    client: Client, wire: Wire, key: str, data: bytes, named: dict[str, str] | None, tags: dict[str, str] | None
) -> str | None:
    send = functools.partial(_obstore.put, attributes=named, tags=tags, use_multipart=False)
    try:
        answer = client.attempt("write", key, send, client.upload(len(data)), key, data)
    except HoldfastError as error:
        failed = error
    else:
        return answer["e_tag"] or None
    # The engine does not tell for how long a service wishes to be left alone.
    return client.policy.again(lambda: wire.attempt(direct.put_request(key, data, named)).etag, failed)


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


def _upload(
    client: Client,
    key: str,
    chunks: Iterator[bytes],
    part: int,
    named: dict[str, str] | None,
    tags: dict[str, str] | None,
) -> ObjectInfo:
    reserve(part * (CONCURRENCY + 1))
    watched = _Watched(chunks)
    send = functools.partial(
        _obstore.put, attributes=named, tags=tags, use_multipart=True, chunk_size=part, max_concurrency=CONCURRENCY
    )
    try:
        client.attempt(
            "write", key, send, client.upload(part, tries=min(PART_TRIES, client.policy.tries)), key, iter(watched)
        )
    except HoldfastError as error:
        if watched.error is not None:
            raise watched.error from None
        # Completing is not idempotent: its second try finds no upload, because the first one has completed it.
        if not (error.retryable or isinstance(error, UploadGone)):
            raise
        error.retryable = False
        info = _landed(client, key, named)
        if info is None and isinstance(error, UploadGone):
            raise _last_answer_lost(client.store, key, watched.total, error) from error
        if info is None:
            raise
    else:
        head, _ = _obstore.open_body(client, key, key, HEAD)
        info = object_info(key, head)
    if info.size != watched.total:
        raise IntegrityError(
            f"{watched.total} bytes of {key!r} were sent, the object there has {info.size}: somebody else wrote it, or "
            "the service lost some; write it again",
            store=client.store,
            key=key,
        )
    return info


def _landed(client: Client, key: str, named: Mapping[str, str] | None) -> ObjectInfo | None:
    """The info of what is there now if it is what this upload has written, whatever became of the answer."""
    mark = (named or {}).get(UPLOAD_NAME)
    if mark is None:
        return None
    try:
        head, _ = _obstore.open_body(client, key, key, HEAD)
    except HoldfastError:
        return None
    return object_info(key, head) if head.attributes.get(UPLOAD_NAME) == mark else None


def _upload_directly(
    wire: Wire, key: str, chunks: Iterator[bytes], part: int, named: dict[str, str] | None
) -> ObjectInfo:
    reserve(2 * part)
    upload = Upload(wire, key, direct.headers(named))
    try:
        total = upload.send_all(in_parts(chunks, part))
    except Exception:  # but not Ctrl-C, which waits for nothing
        upload.abort()
        raise
    try:
        upload.complete()
    except HoldfastError as error:
        if not error.retryable:
            upload.abort()
            raise
        info = _landed(DirectClient(wire), key, named)
        if info is None:
            raise _last_answer_lost(wire.store, key, total, error) from error
        return info
    with _obstore.read_part(DirectClient(wire), key, key, HEAD) as blob:
        return blob.info


def write_if(
    wire: Wire,
    key: str,
    body: Body,
    options: WriteOptions,
    named: dict[str, str] | None,
    *,
    in_parts_too: bool,
    stamped: bool,
) -> ObjectInfo:
    """The info of what was written under the options' condition, in one PUT or in parts that it ends.

    ``in_parts_too`` says whether the service honours conditions there; if not, larger bodies are Unsupported.
    """
    data, chunks, size = taken(body)
    if data is None and not in_parts_too:
        raise Unsupported(
            "cannot do a write of so large a body with a condition: this service does not honour it where a multipart "
            f"upload ends; give at most {ONE_PUT >> 20} MiB, as bytes or as a file",
            store=wire.store,
            key=key,
        )
    base = None if options.if_match is None else named_version(wire, key, options.if_match)
    conditional = ConditionalWrite(wire, key, base)
    headers = direct.headers(named) | conditional.history
    if data is not None:
        headers |= direct.headers(stamp(data)) if stamped else {}
        total, put = len(data), functools.partial(Request, "write", "PUT", key, body=data)
        etag = conditional.perform(lambda condition: wire.attempt(put(headers={**headers, **condition})).etag)
    else:
        part = part_size(options, size)
        reserve(2 * part)
        upload = Upload(wire, key, headers)
        try:
            total = upload.send_all(in_parts(chunks, part))
            etag = conditional.perform(upload.complete)
        except Exception:
            upload.abort()
            raise
    see_encryption(wire, key)
    return ObjectInfo(key, size=total, etag=etag, **options.attributes())  # type: ignore[arg-type]


def _last_answer_lost(store: str, key: str, size: int, error: HoldfastError) -> Indeterminate:
    return Indeterminate(
        f"the answer to the last request of the upload of {key!r} was lost: look whether it holds "
        f"{size} bytes now, or write it again",
        store=store,
        key=key,
        cause=error,
    )
