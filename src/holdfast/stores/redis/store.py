"""``RedisStore``: objects as the string values of a Redis database, as ``SET`` and ``GET`` know them.

ETags, times and attributes lie beside each value in a hash ``holdfast:details:KEY``; a value that another program wrote
has none, and its digest as ETag. (One that it wrote over ours with the very same length is taken for ours.) Creates,
replacements and deletes under a condition run in the server in one step: done, refused, or Indeterminate when the
connection broke before the answer came; none is ever sent twice. Everything else the client may repeat.

A value lies in memory whole while it is written, and is read in pieces of 4 MiB, under one version. Redis itself
refuses more than 512 MiB. Listings are SCANs: not in order, of what is there from beginning to end at least, and they
remember which keys they have given. Not for a cluster, nor for a server that evicts keys.
"""

from __future__ import annotations

import functools
import secrets
import time
from collections.abc import Iterator, Sequence
from typing import Any

from ... import recipes
from ...blob import Blob, Buffer, BytesBlob, body_chunks, join
from ...errors import (
    AlreadyExists,
    ConfigError,
    Conflict,
    HoldfastError,
    Indeterminate,
    InvalidKey,
    NotFound,
    PathConflict,
)
from ...keys import printable
from ...redact import url as redacted
from ...store import LIST, READ, REMOVE, WRITE, ObjectStore, Removed, Store, select, stream_copy
from ...types import (
    Body,
    Capabilities,
    ListOptions,
    Location,
    ObjectInfo,
    ReadOptions,
    RemoveOptions,
    WriteOptions,
)
from ...url import URL
from .. import _attributes
from .._gather import check_size, limited
from . import scripts
from .client import Commands, connect, digest
from .describing import info_of, info_of_row

VENDOR = "redis"
DETAILS = b"holdfast:details:"
PIECE = 4 << 20
PAGE = 1000
#: What Redis takes, unless it was told otherwise (proto-max-bulk-len).
LARGEST = 512 << 20
_CAPABILITIES = Capabilities(
    listing=True,
    ranges=True,
    metadata=True,
    create=True,
    replace_if=True,
    delete_if=True,
    atomic_write=True,
    write=True,
)


class RedisStore(Store):
    """The objects in the database of ``client``, a ``redis.Redis`` that gives bytes (no ``decode_responses``).

    Needs the extra ``[redis]``. Any number of threads and processes may use it. The client stays the caller's:
    ``close()`` closes only one that ``redis://host/0`` made, and that connects again when it is used. A store opened by
    such a URL pickles as the URL, with its user and password only within ``holdfast.pickling(secrets=True)``; one with
    a client of yours does not pickle.
    """

    #: Rows of listings tell every attribute that a head tells.
    lists_attributes = True

    def __init__(self, client: Any) -> None:
        described = client.connection_pool.connection_kwargs
        if described.get("decode_responses"):
            raise ConfigError("this client decodes what it reads, and objects are bytes: leave decode_responses=False")
        where = described.get("path") or f"{described.get('host', 'localhost')}:{described.get('port', 6379)}"
        self._server = redacted(str(where))
        self._database = str(described.get("db") or 0)
        self.client = client
        self._url: URL | None = None
        self._commands = Commands(client, self.name)

    @classmethod
    def from_url(cls, url: URL) -> RedisStore:
        """The store at ``redis://[user:password@]host[:port]/database`` (``rediss`` for TLS)."""
        store = cls(connect(url.address, url.bucket))
        store._url = url
        return store

    def __repr__(self) -> str:
        return f"RedisStore({self.name!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        if self._url is None:
            raise TypeError("a RedisStore with a client of your own cannot be pickled: open it by its URL")
        url, dropped = self._url, self._url.userinfo is not None or self._commands.dropped
        userinfo = recipes.carried(url.userinfo)
        return _rebuild, (type(self), URL(url.scheme, url.endpoint, url.bucket, "", userinfo), dropped)

    @property
    def name(self) -> str:
        """``redis://host:port/database``."""
        return f"redis://{self._server}/{self._database}"

    @property
    def capabilities(self) -> Capabilities:
        """Everything but order and copies within the server."""
        return _CAPABILITIES

    @property
    def remove_batch(self) -> int:
        """So many travel together."""
        return PAGE

    def close(self) -> None:
        """Close the idle connections of a client that this store made; it stays usable.

        Calls of other threads that are under way keep theirs, which the next close finds idle.
        """
        if self._url is not None:
            self.client.connection_pool.disconnect(inuse_connections=False)

    # ------------------------------------------------------------------ the verbs
    def _read(self, key: str, options: ReadOptions = READ) -> Blob:
        if options.head:
            info, _ = self._ask(key, 0, "", options.if_match, PIECE)
            return BytesBlob(info)
        if not options.ranged:
            info, data = self._ask(key, 0, -1, options.if_match, PIECE)
            return BytesBlob(info, data) if data is not None else _PiecesBlob(self, key, info, 0, info.size or 0)
        return self._range(key, options)

    def _range(self, key: str, options: ReadOptions) -> Blob:
        info, _ = self._ask(key, 0, "", options.if_match, PIECE)
        start, end, _ = slice(options.start, options.end).indices(info.size or 0)
        if end <= start:
            return BytesBlob(info)
        blob = _PiecesBlob(self, key, info, start, end)
        return blob if end - start > PIECE else BytesBlob(info, blob.bytes())

    def _write(self, key: str, body: Body, options: WriteOptions = WRITE) -> ObjectInfo:
        attributes = _attributes.dump(options, self.name) or ""
        raw = self._raw(key)
        check_size(len(body) if isinstance(body, bytes) else 0, self.name, LARGEST, key)
        data = body if isinstance(body, bytes) else join(limited(body_chunks(body), self.name, LARGEST, key))
        etag, modified = secrets.token_hex(12), repr(time.time())
        mode, wanted = ("absent", "") if options.if_absent else ("match", options.if_match)
        if wanted is None:
            mode, wanted = "any", ""
        run = self._commands.script_once if options.conditional else self._commands.script
        doing = f"write {printable(key)!r}"
        try:
            answer = run(scripts.PUT, key, doing, raw, mode, wanted, data, etag, modified, attributes)
        except Indeterminate:
            if not self._is_there(key, etag):
                raise
            answer = [b"done"]
        self._check(answer, key, options.if_match)
        return info_of(key, etag.encode(), len(data), modified.encode(), attributes.encode())

    def _remove(self, keys: Sequence[str], options: RemoveOptions = REMOVE) -> Removed:
        if options.if_match is not None and len(keys) != 1:
            raise ValueError("if_match goes with exactly one key")
        if options.must_exist or options.if_match is not None:
            return [self._removed_once(key, options) for key in keys]
        found = {key: self._raw_or_refusal(key) for key in keys}
        raw = [pair for pair in found.values() if not isinstance(pair, InvalidKey)]

        def remove(client: Any) -> list[Any]:
            client.script_load(scripts.REMOVE)
            pipeline = client.pipeline(transaction=False)
            for pair in raw:
                pipeline.evalsha(digest(scripts.REMOVE), len(pair), *pair, "")
            answers: list[Any] = pipeline.execute(raise_on_error=False)
            return answers

        answers = iter(self._commands.again(keys[0] if len(keys) == 1 else None, "delete", remove) if raw else [])
        removed = {
            key: pair if isinstance(pair, InvalidKey) else self._removed(next(answers), key)
            for key, pair in found.items()
        }
        return [removed[key] for key in keys]

    def _scan(self, options: ListOptions = LIST) -> Iterator[ObjectInfo]:
        return select(self._rows(options.prefix), options)

    def _copy(self, source: ObjectStore, src: str, dst: str, options: WriteOptions = WRITE) -> ObjectInfo:
        return stream_copy(source, src, self, dst, options)

    def _locate(self, key: str) -> Location:
        return Location(VENDOR, self._server, self._database, key)

    # ------------------------------------------------------------------ helpers
    def _ask(
        self, key: str, first: int, last: int | str, if_match: str | None, whole: int
    ) -> tuple[ObjectInfo, bytes | None]:
        """The object's info and these of its bytes; None for bytes of a value that is larger than ``whole``."""
        doing = f"read {printable(key)!r}"
        answer = self._commands.script(scripts.READ, key, doing, self._raw(key), first, last, if_match or "", whole)
        self._check(answer, key, if_match)
        _, etag, size, modified, attributes, data = answer
        return info_of(key, etag, size, modified, attributes), data

    def _is_there(self, key: str, etag: str) -> bool:
        """Whether our own version is what is there now: then the lost answer was yes."""
        try:
            info, _ = self._ask(key, 0, "", None, PIECE)
        except HoldfastError:
            return False
        return info.etag == etag

    def _removed_once(self, key: str, options: RemoveOptions) -> HoldfastError | None:
        """Delete one object and tell how it went: asked twice, whether it was there would be lost."""
        doing, wanted = f"delete {printable(key)!r}", options.if_match or ""
        try:
            answer = self._commands.script_once(scripts.REMOVE, key, doing, self._raw(key), wanted)
            self._check(answer, key, options.if_match)
        except NotFound as error:
            return error if options.must_exist else None
        except HoldfastError as error:
            return error
        return None

    def _removed(self, answer: Any, key: str) -> HoldfastError | None:
        """What one of many answers means, where a missing object counts as removed."""
        if isinstance(answer, Exception):
            return self._commands.failure(answer, key, f"delete {printable(key)!r}")
        try:
            self._check(answer, key, None)
        except NotFound:
            return None
        except HoldfastError as error:
            return error
        return None

    def _rows(self, prefix: str) -> Iterator[ObjectInfo]:
        pattern = _escaped(prefix.encode("utf-8", "surrogateescape")) + b"*"
        given: set[bytes] = set()
        cursor = 0
        while True:
            cursor, page = self._commands.again(None, "list", functools.partial(_page, cursor, pattern))
            keys = [raw for raw in page if raw not in given and not raw.startswith(DETAILS)]
            given.update(keys)
            yield from self._infos(list(dict.fromkeys(keys)))
            if cursor == 0:
                return

    def _infos(self, keys: list[bytes]) -> Iterator[ObjectInfo]:
        if not keys:
            return

        def ask(client: Any) -> list[Any]:
            pipeline = client.pipeline(transaction=False)
            for raw in keys:
                pipeline.strlen(raw)
                pipeline.hmget(DETAILS + raw, "etag", "size", "modified", "attributes")
                pipeline.exists(raw)
            found: list[Any] = pipeline.execute()
            return found

        answers = self._commands.again(None, "list", ask)
        for at, raw in enumerate(keys):
            size, details, there = answers[3 * at : 3 * at + 3]
            if there:  # else deleted meanwhile
                yield info_of_row(raw.decode("utf-8", "surrogateescape"), size, details)

    def _raw_or_refusal(self, key: str) -> tuple[bytes, bytes] | InvalidKey:
        try:
            return self._raw(key)
        except InvalidKey as error:
            return error

    def _raw(self, key: str) -> tuple[bytes, bytes]:
        raw = key.encode("utf-8", "surrogateescape")
        if raw.startswith(DETAILS):
            message = f"key {printable(key)!r} is one of those that Holdfast keeps for itself; choose another"
            raise InvalidKey(message, key=key, store=self.name)
        return raw, DETAILS + raw

    def _check(self, answer: Sequence[Any], key: str, if_match: str | None) -> None:
        """Raise what the script's answer means, unless it is done."""
        said, about = answer[0], (answer[1] if len(answer) > 1 else b"")
        shown = printable(key)
        context: dict[str, Any] = {"key": key, "store": self.name}
        if said == b"missing":
            raise NotFound(f"no object {shown!r}", **context)
        if said == b"exists":
            raise AlreadyExists(f"there is an object {shown!r} already", **context)
        if said == b"conflict":
            there = f"it is {about.decode()!r}" if about else "there is none"
            raise Conflict(f"object {shown!r} is not the version {if_match!r}: {there}; read it again", **context)
        if said == b"type":
            message = f"{shown!r} is a Redis {about.decode()} of another program, no object; choose another key"
            raise PathConflict(message, **context)


class _PiecesBlob(Blob):
    """A value read piece by piece, each under the version that was opened."""

    __slots__ = ("_end", "_key", "_start", "_store", "info")

    def __init__(self, store: RedisStore, key: str, info: ObjectInfo, start: int, end: int) -> None:
        self.info = info
        self._key = key  # the info's may be another, once a wrapper renamed it
        self._store = store
        self._start = start
        self._end = end

    @property
    def size(self) -> int:
        return self._end - self._start

    def chunks(self) -> Iterator[Buffer]:
        for at in range(self._start, self._end, PIECE):
            last = min(at + PIECE, self._end) - 1
            _, data = self._store._ask(self._key, at, last, self.info.etag, 1 << 40)
            yield data or b""


def _page(cursor: int, pattern: bytes, client: Any) -> tuple[int, list[bytes]]:
    cursor, keys = client.scan(cursor, match=pattern, count=PAGE, _type="string")
    return int(cursor), keys


def _escaped(prefix: bytes) -> bytes:
    """The prefix as SCAN's pattern for just itself."""
    special = b"\\*?[]^"
    return b"".join(
        b"\\" + prefix[at : at + 1] if byte in special else prefix[at : at + 1] for at, byte in enumerate(prefix)
    )


def _rebuild(kind: type[RedisStore], url: URL, dropped: bool) -> RedisStore:
    store = kind.from_url(url)
    store._commands.dropped = dropped and url.userinfo is None
    return store
