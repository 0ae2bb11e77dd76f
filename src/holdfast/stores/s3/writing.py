"""Writes to S3: by the engine where it can, over the wire of our own where it cannot, and all that have a condition."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Iterator

from ...engine import reserve
from ...errors import HoldfastError, StoreError, Unsupported
from ...keys import printable
from ...store import WRITE
from ...types import Body, ObjectInfo, WriteOptions
from .. import _obstore, _uploads
from .._conditions import ConditionalWrite, Send, Version, named_version, seen_version
from .._obstore import Client
from .._uploads import ONE_PUT, completed, landed, last_answer_lost, part_size, stamp, taken
from . import direct
from .conditions import by_headers, place
from .direct import DirectClient
from .uploads import Upload, in_parts
from .wire import Request, Wire

_METADATA_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_METADATA_RULE = "lower-case letters, digits, '.', '_' and '-' come back as they are"


def attributes(options: WriteOptions, store: str) -> dict[str, str] | None:
    """The attributes as the engine wants them, or None; ConfigError for what would not come back as it was given."""
    return _uploads.attributes(options, store, _METADATA_NAME, _METADATA_RULE)


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
    data, chunks, size = taken(body)
    if stamped:
        noted = stamp(data if data is not None else body)
        named = noted if named is None else {**named, **noted}
    by_engine = _obstore.carries(key) and wire.options.acl is None
    tags = dict(wire.options.tags) if wire.options.tags else None
    if data is not None:
        etag = _put(client, wire, key, data, named, tags) if by_engine else direct.put(wire, key, data, named)
        if options is WRITE:
            info = ObjectInfo(key, len(data), etag)
        else:
            info = ObjectInfo(key, len(data), etag, **options.attributes())  # type: ignore[arg-type]
    elif by_engine:
        info = _uploads.upload(client, key, chunks, part_size(options, size), named, tags)
    else:
        info = _upload_directly(wire, key, chunks, part_size(options, size), named)
    see_encryption(wire, key)
    return info


def _put(
    client: Client, wire: Wire, key: str, data: bytes, named: dict[str, str] | None, tags: dict[str, str] | None
) -> str | None:
    try:
        return _uploads.put(client, key, data, named, tags)
    except HoldfastError as error:
        failed = error
    # The engine does not tell for how long a service wishes to be left alone.
    return client.policy.again(lambda: wire.attempt(direct.put_request(key, data, named)).etag, failed)


def _by_engine_first(client: Client, wire: Wire, key: str, data: bytes, named: dict[str, str], otherwise: Send) -> Send:
    """What sends a create by the engine, in half the time, and if that fails again over the wire, which tells more."""
    tags = dict(wire.options.tags) if wire.options.tags else None
    ways = itertools.chain(["engine"], itertools.repeat("wire"))

    def send(base: Version | None) -> str | None:
        if next(ways) == "wire":
            return otherwise(base)
        try:
            return _uploads.put(client, key, data, named, tags, create=True)
        except StoreError as error:
            # The engine cannot tell a proxy's page, behind which it may be done, from a refusal: look, and ask again.
            error.retryable = True
            raise

    return send


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
        etag = upload.complete()
    except HoldfastError as error:
        if not error.retryable:
            upload.abort()
            raise
        info = landed(DirectClient(wire), key, named)
        if info is None:
            raise last_answer_lost(wire.store, key, total, error) from error
        return info
    return completed(DirectClient(wire), key, total, etag, named)


def write_if(
    client: Client,
    wire: Wire,
    key: str,
    body: Body,
    options: WriteOptions,
    named: dict[str, str] | None,
    *,
    in_parts_too: Callable[[], bool],
    stamped: bool,
) -> ObjectInfo:
    """The info of what was written under the options' condition, in one PUT or in parts that it ends.

    ``in_parts_too`` tells whether the service honours conditions there; if not, larger bodies are Unsupported.
    """
    data, chunks, size = taken(body)
    if data is None and not in_parts_too():
        raise Unsupported(
            "cannot do a write of so large a body with a condition: this service does not honour it where a multipart "
            f"upload ends; give at most {ONE_PUT >> 20} MiB, as bytes or as a file",
            store=wire.store,
            key=key,
        )
    where = place(wire, key)
    base = None
    if options.if_match is not None:
        # What is large is not sent only to be refused: it looks first.
        base = None if data is None else seen_version(where, options.if_match)
        if base is None and data is not None and options.if_match_time is not None:
            base = Version.unseen(options.if_match, options.if_match_time)
        base = base or named_version(where, options.if_match)
    conditional = ConditionalWrite(where, base)
    headers = direct.headers({**(named or {}), **conditional.history})
    if data is not None:
        noted = stamp(data) if stamped else {}
        headers |= direct.headers(noted)
        total, put = len(data), functools.partial(Request, "write", "PUT", key, body=data)
        send = by_headers(lambda condition: wire.attempt(put(headers={**headers, **condition})).etag)
        if options.if_absent and _obstore.carries(key) and wire.options.acl is None:
            send = _by_engine_first(client, wire, key, data, {**(named or {}), **noted, **conditional.history}, send)
        etag = conditional.perform(send)
    else:
        part = part_size(options, size)
        reserve(2 * part)
        upload = Upload(wire, key, headers)
        try:
            total = upload.send_all(in_parts(chunks, part))
            etag = conditional.perform(by_headers(upload.complete))
        except Exception:
            upload.abort()
            raise
    see_encryption(wire, key)
    return ObjectInfo(key, size=total, etag=etag, **options.attributes())  # type: ignore[arg-type]
