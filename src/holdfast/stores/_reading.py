"""Reads through the engine: blobs whose bodies are checked for length and digest, and resumed where they break.

Nothing that the engine downloads is checked by itself: lengths are checked here, digests by _digests.py.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ..blob import Blob, Buffer
from ..checksums import STAMP_NAME, Digest, digest_chunks
from ..errors import Conflict, HoldfastError, IntegrityError, StoreError, Timeout
from ..types import ObjectInfo, ReadOptions
from ._answers import Data, FetchedBlob, HeadBlob, content_encoding, object_info, short
from ._digests import Promise, Verifier
from ._obstore_errors import BadRequest, OutOfRange, RangeIgnored, shown
from ._timeouts import WHOLE

if TYPE_CHECKING:
    from ._obstore import Client

#: Bodies up to this size (bytes) come along with the answer that announces them: see ``fetch``.
SMALL = 64 << 10
#: Larger bodies come in pieces of at least this size (bytes), which is as fast as it gets on loopback.
PIECE = 256 << 10


def fetch(get: Callable[..., Any], client: Client, key: str, path: str) -> Blob:
    """The blob of a whole object, by the engine's ``get``: a small one with its body, a large one opened.

    One call for both: threads that come back to Python half as often get half as much into each other's way.
    """
    result = get(client.plain, path)
    start, stop = result.range
    size = stop - start
    if size > SMALL:
        return RemoteBlob(client, key, path, result)
    data = result.bytes()
    if len(data) != size:
        raise short(client.store, key, size, len(data))
    attributes, verifier = result.attributes, client.verifier
    if verifier is not None and not verifier.vouches(attributes, result, data):
        etag = result.meta["e_tag"]
        verifier.refuse_page(key, attributes, etag)
        if (promise := verifier.promise(attributes, size, etag)) is not None:
            verifier.check(key, promise, promise.of(data))
    return FetchedBlob(key, result, attributes, data, size)


def other_version(key: str, store: str) -> Conflict:
    """The error for a read under an ETag that the object does not have."""
    message = f"could not read {shown(key)!r}: it is not, or no longer, the version that was named; read it again"
    return Conflict(message, store=store, key=key)


class RemoteBlob(Blob):
    """The opened answer to a GET: the bytes from ``start`` to ``stop`` of the stored object.

    A body that breaks is fetched again from where it broke, as often as the policy allows, under the ETag that it
    began with: a reader never sees two versions mixed. If the object was replaced meanwhile, that is a Conflict.
    ``path`` is what the engine calls the key.
    """

    __slots__ = (
        *("_client", "_emulated", "_info", "_key", "_path", "_patient", "_result", "_start", "_stop", "_stream"),
        "_whole",
    )

    def __init__(self, client: Client, key: str, path: str, result: Any) -> None:
        self._client = client
        self._key = key
        self._path = path
        self._result = result
        self._info: ObjectInfo | None = None
        self._start, self._stop = result.range
        self._whole = self._stop - self._start <= WHOLE
        self._stream: Any = None
        self._patient = False
        self._emulated = False

    def narrow(self, options: ReadOptions) -> RemoteBlob:
        """This blob of a whole object, cut to a range that the server could not cut."""
        self._start, self._stop, _ = slice(options.start, options.end).indices(self._stop)
        self._stop = max(self._start, self._stop)
        self._whole = False
        self._emulated = True
        return self

    @property
    def emulated(self) -> bool:
        return self._emulated

    @property
    def info(self) -> ObjectInfo:
        if self._info is None:
            self._info = object_info(self._key, self._result)
        return self._info

    @info.setter
    def info(self, info: ObjectInfo) -> None:
        self._info = info

    @property
    def encoding(self) -> str | None:
        header = self._result.attributes.get("Content-Encoding")
        return None if header is None else content_encoding(header)

    @property
    def size(self) -> int:
        return self._stop - self._start  # type: ignore[no-any-return]

    def bytes(self) -> Data:
        data = self._taken()
        promise = self._promise()
        if promise is None:
            return data
        found = first = promise.of(data)
        if first != promise.hex and not promise.outdated(data):
            data = self._client.policy.call(self._bytes_again)
            promise = self._promise() or promise
            found = promise.of(data)
        if found == promise.hex or not promise.outdated(data):
            self._verifier().settle(self._key, promise, first, found)
        return data

    def _taken(self) -> Data:
        if not self._whole:
            return self._joined()
        try:
            data: Any = self._client.attempt("read", self._key, self._result.bytes)
        except HoldfastError as error:
            failed = error
        else:
            if len(data) == self._stop - self._start:
                return data.to_bytes()  # type: ignore[no-any-return]
            failed = self._short(len(data))
        return self._client.policy.again(self._bytes_again, failed)

    def _joined(self) -> Data:
        try:
            return b"".join(self._pieces(resume=True))
        except HoldfastError as error:
            failed = error
        # Nothing was handed out yet, so the whole of it may be fetched again, also where it cannot be resumed.
        return self._client.policy.again(self._bytes_again, failed)

    def _bytes_again(self) -> Data:
        self._reopen(self._start, anew=True)
        return b"".join(self._pieces(resume=False))

    def chunks(self) -> Iterator[Buffer]:
        promise = self._promise()
        return self._pieces(resume=True) if promise is None else self._verified(promise)

    def _verified(self, promise: Promise) -> Iterator[Data]:
        digest = Digest(promise.algorithm)
        for piece in self._pieces(resume=True):
            digest.update(piece)
            yield piece
        found, verifier = digest.hex(), self._verifier()
        if found == promise.hex or (promise.algorithm != "md5" and promise.etag is None):
            verifier.check(self._key, promise, found)
            return
        self._reopen(self._start)
        if promise.algorithm != "md5":
            if not self._is_stored(promise, found):
                verifier.check(self._key, promise, found)
            return
        second = digest_chunks(self._pieces(resume=False), promise.algorithm).hex()
        if second == promise.hex:  # so what was handed out is not what is stored
            verifier.check(self._key, promise, found)
        verifier.settle(self._key, promise, found, second)

    def _is_stored(self, promise: Promise, found: str) -> bool:
        """Whether the bytes with this digest are what is stored, by its ETag, as a second download of it shows."""
        same, md5 = Digest(promise.algorithm), Digest("md5")
        for piece in self._pieces(resume=False):
            same.update(piece)
            md5.update(piece)
        return same.hex() == found and md5.hex() == promise.etag

    def _promise(self) -> Promise | None:
        """What is known about the digest of these bytes; nothing about that of a part."""
        meta, verifier = self._result.meta, self._client.verifier
        if verifier is None or self._start or self._stop != meta["size"]:
            return None
        return verifier.promise(self._result.attributes, self._stop, meta["e_tag"])

    def _verifier(self) -> Verifier:
        assert self._client.verifier is not None
        return self._client.verifier

    def _pieces(self, *, resume: bool) -> Iterator[Data]:
        timeouts, policy = self._client.timeouts, self._client.policy
        if not self._whole and not self._result.meta["e_tag"] and not self._patient:
            self._patient = True  # it cannot go on in a second request
            self._reopen(self._start)
        wanted = begun = self._start
        waited, failures = 0.0, 0  # the seconds within reads: what the caller takes between pieces is no slowness
        at, stream = self._result.range[0], self._opened(PIECE)
        while wanted < self._stop:
            asked = time.monotonic()
            try:
                chunk = self._piece(stream, wanted)
                waited += time.monotonic() - asked
            except HoldfastError as error:
                healthy = timeouts.healthy(wanted - begun, waited + time.monotonic() - asked)
                if not (error.retryable and resume):
                    raise
                if wanted > self._start and not self.info.strong_etag:
                    raise self._broken_for_good(wanted) from error
                failed, failures = error, 0 if healthy and wanted > begun else failures + 1
                # What comes slowly is taken as it comes, or the end of its time would find it in the engine's hands.
                size = 1 if isinstance(failed, Timeout) else PIECE
                again = functools.partial(self._resume, wanted, size)
                begun, waited = wanted, 0.0
                if healthy and isinstance(failed, Timeout):
                    at, stream, chunk = policy.call(again)
                else:
                    at, stream, chunk = policy.again(again, failed, used=max(1, failures))
            # A server that cannot cut sends more than was asked for: the part before and after is dropped.
            piece = chunk[max(0, wanted - at) : self._stop - at]
            at += len(chunk)
            if piece:
                wanted += len(piece)
                yield piece

    def _opened(self, size: int) -> Iterator[Data]:
        # Kept until the blob goes: a forked child must not free it (see _obstore.py).
        self._stream = self._result.stream(size)
        return self._stream  # type: ignore[no-any-return]

    def _piece(self, stream: Iterator[Data], wanted: int) -> Data:
        chunk: Data = self._client.attempt("read", self._key, next, stream, b"")
        if not chunk:
            raise self._short(wanted - self._start)
        return chunk

    def _resume(self, wanted: int, size: int) -> tuple[int, Iterator[Data], Data]:
        at = self._reopen(wanted)
        stream = self._opened(size)
        return at, stream, self._piece(stream, wanted)

    def _reopen(self, wanted: int, *, anew: bool = False) -> int:
        """Fetch the body again from ``wanted`` on, and return where the new body starts.

        ``anew``: nothing of it was handed out yet, so what was said of its length may turn out to have been wrong.
        """
        self._client.refuse_inherited(self._key, self._result)
        before = self._result.meta
        etag = before["e_tag"] or None
        stop = None if self._stop == before["size"] else self._stop
        options = ReadOptions(wanted or None, stop, if_match=etag)
        try:
            result, _ = open_body(self._client, self._key, self._path, options, tries=1, patient=self._patient)
        except Conflict as error:
            raise self._replaced() from error
        after = result.meta
        if any(after[name] != before[name] for name in ("e_tag", "last_modified")):
            raise self._replaced()
        if after["size"] != before["size"]:
            if not etag:
                raise self._replaced()
            if not anew or self._stop != before["size"]:
                message = f"{before['size']} bytes were promised, and then {after['size']} of the same version"
                raise IntegrityError(message, store=self._client.store, key=self._key)
            self._stop, self._info = after["size"], None
        self._result = result
        return int(result.range[0])

    def _replaced(self) -> Conflict:
        message = f"{shown(self._key)!r} was replaced while it was being read: read it again"
        return Conflict(message, store=self._client.store, key=self._key)

    def _broken_for_good(self, wanted: int) -> StoreError:
        message = (
            f"the body broke after {wanted - self._start} bytes, and the server names no ETag under which it could be "
            "resumed safely: read it again"
        )
        return StoreError(message, store=self._client.store, key=self._key, retryable=True)

    def _short(self, received: int) -> IntegrityError:
        return short(self._client.store, self._key, self._stop - self._start, received)


def open_body(
    client: Client, key: str, path: str, options: ReadOptions, *, tries: int | None = None, patient: bool = False
) -> tuple[Any, bool]:
    """The engine's answer to a read, and whether it is the range that was asked for (else it is the whole object).

    ``tries=1`` for callers that have a policy of their own. Raises OutOfRange for a range of nothing.
    """
    start, end = options.start or 0, options.end
    wanted: dict[str, Any] = {}
    weak = options.if_match is not None and options.if_match.startswith("W/")
    if options.if_match is not None and not weak:
        wanted["if_match"] = options.if_match
    call = client.call if tries is None else client.attempt
    get = functools.partial(client.get, patient=True) if patient else client.get
    if options.head:
        wanted["head"] = True
    elif start < 0:
        wanted["range"] = {"suffix": -start}
    elif end is not None:
        wanted["range"] = (start, end)
    elif start:
        wanted["range"] = {"offset": start}
    exact = True
    try:
        result = call("read", key, get, path, wanted)
    except BadRequest:
        if not options.head:
            raise
        call("read", key, get, path, {"range": (0, 1)})  # whose refusal has a document that says why
        raise
    except RangeIgnored:
        exact = False
        del wanted["range"]
        result = call("read", key, get, path, wanted)
    # If-Match never holds for a weak ETag, by the rules of HTTP: that one is compared here.
    if weak and result.meta["e_tag"] != options.if_match:
        raise other_version(key, client.store)
    return result, exact


def read_part(client: Client, key: str, path: str, options: ReadOptions) -> Blob:
    """The blob of a range, a head or a named version; a range outside the object is empty."""
    start, end = options.start or 0, options.end
    nothing = options.ranged and end is not None and end <= start
    outside = False
    if not options.head and not nothing:
        try:
            result, exact = open_body(client, key, path, options)
        except OutOfRange:
            outside = True
        else:
            blob = RemoteBlob(client, key, path, result)
            return blob if exact else blob.narrow(options)
    result, _ = open_body(client, key, path, ReadOptions(head=True, if_match=options.if_match))
    info = object_info(key, result)
    if outside and info.size is not None and info.size > max(start, 0):
        raise StoreError(
            f"refuses the range {start}:{end} of {info.size} bytes: read it again", store=client.store, key=key
        )
    return HeadBlob(info, result.attributes.get(STAMP_NAME))
