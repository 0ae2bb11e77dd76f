"""The engine under the cloud stores: the one module that imports obstore, with its quirks, clients and bodies.

Quirks of obstore 0.12, each seen happening, and what is done about it here or in the stores:

- It retries by itself, ignores Retry-After and multiplies with ours: its retries are off (``tries=1``) for all but
  multipart parts, where nobody else can retry. ``retry.Policy`` owns the rest.
- Its read timeout is no protection against a body that trickles, and its request timeout (30 s) includes the body.
  So each request has as long as a MiB needs at the slowest rate, and a body that is healthy then goes on in another.
  Both also run *while a body is sent*, so uploads get clients whose timeouts grow with the body (Client.upload).
- It reads AWS_* variables that nobody gave it (endpoint, session token, skip_signature ...): every one of them that
  matters is passed explicitly, and credentials come from a provider, which also keeps it from asking the instance
  metadata service.
- A child of a fork hangs in its first call, if the parent had made one: ``attempt`` raises there instead.
- Synchronous calls do not see Ctrl-C: ``attempt`` goes through ``engine.interruptible``.
- A mutable buffer given to ``put`` is not copied, also not when it comes out of a generator: only ``bytes`` go in.
- Header values with control characters make it panic (a BaseException), non-ASCII ones cannot be read back.
- "/lead" and "trail/" silently lose their slash; "//", "." and ".." are refused, in a listing for the whole of it.
- Nothing that it downloads is checked: lengths and (by _digests.py) digests are checked here.
"""

from __future__ import annotations

import functools
import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any, TypeVar

import obstore
import obstore.store

from .. import engine
from ..blob import Blob, Buffer, BytesBlob
from ..checksums import Digest, digest_chunks
from ..errors import Conflict, HoldfastError, IntegrityError, InvalidKey, StoreError, Throttled, Timeout
from ..retry import Policy
from ..types import ObjectInfo, ReadOptions
from ._answers import Data, FetchedBlob, content_encoding, object_info, short
from ._digests import Promise, Verifier
from ._obstore_errors import BadRequest, OutOfRange, RangeIgnored, shown, translate
from ._timeouts import WHOLE, Timeouts

Value = TypeVar("Value")

#: Bodies up to this size (bytes) come along with the answer that announces them: see ``_fetch``.
SMALL = 64 << 10
#: For so long (seconds) a service is taken to want fewer requests.
THROTTLED = 60.0
#: Larger bodies come in pieces of at least this size (bytes), which is as fast as it gets on loopback.
PIECE = 256 << 10

# What the stores use of the engine, by their own names; its options are plain dicts here.
S3Engine: Any = obstore.store.S3Store
AzureEngine: Any = obstore.store.AzureStore
GCSEngine: Any = obstore.store.GCSStore
HTTPEngine: Any = obstore.store.HTTPStore
interruptible: Callable[..., Any] = engine.interruptible
get: Any = obstore.get
put: Any = obstore.put
copy: Any = obstore.copy
delete: Any = obstore.delete
list_objects: Any = obstore.list
list_level: Any = obstore.list_with_delimiter


class Client:
    """The engine's connections to one place, with how to call them: interruptible, translated, retried.

    ``make(options, tries, **config)`` builds the engine's store from client options. ``store`` is what errors call
    the place. ``verifier`` judges what is read; without one, only lengths are. ``telling`` is a get that, unlike the
    engine's, hears for how long a service wishes to be left alone: it is used for a while after that.
    """

    __slots__ = (
        *("_locked", "_make", "_variants", "bucket_exists", "plain", "policy", "store", "timeouts"),
        *("_telling", "_throttled_until", "verifier"),
    )

    def __init__(
        self,
        store: str,
        make: Callable[..., Any],
        *,
        timeouts: Timeouts | None = None,
        policy: Policy | None = None,
        verifier: Verifier | None = None,
        telling: Callable[[str, Mapping[str, Any]], Any] | None = None,
    ) -> None:
        self.store = store
        self._telling = telling
        self._throttled_until = 0.0
        self.verifier = verifier
        self.timeouts = timeouts or Timeouts()
        self.policy = policy or Policy()
        self.bucket_exists = False
        self._make = make
        self._variants: dict[Hashable, Any] = {}
        self._locked = threading.Lock()
        if _forked:
            _refuse_call()
        try:
            self.plain = make(self.timeouts.options(), 1)
        except Exception as error:  # noqa: BLE001 - translated below
            told = translate(error, store=store, key=None, doing="set up the client")
        else:
            _mark_used()
            return
        raise told

    def upload(self, size: int, *, tries: int = 1) -> Any:
        """The engine's store for sending a body of this size; ``tries`` for each request of a multipart upload."""
        if size <= Timeouts.CLASSES[0] and tries == 1:
            return self.plain
        # A part has its own size for a class, because all parts but the last have it.
        return self.variant(Timeouts.size_class(size) if tries == 1 else size, tries)

    def variant(self, upload: int = 0, tries: int = 1, *, patient: bool = False, **config: Any) -> Any:
        """The engine's store under other settings, made once."""
        kind = (upload, tries, patient, *config.items())
        with self._locked:
            if kind not in self._variants:
                options = self.timeouts.options(upload, patient=patient)
                self._variants[kind] = self._make(options, tries, **config)
            return self._variants[kind]

    def get(self, path: str, options: Mapping[str, Any], *, patient: bool = False) -> Any:
        """The engine's answer to a read: one request, not translated; a ``patient`` one may take hours."""
        if self._telling is not None and self.throttled:
            return self._telling(path, options)
        result = get(self.variant(patient=True) if patient else self.plain, path, options=options)
        if self.verifier is not None:
            self.verifier.refuse_page(path, result.attributes, result.meta["e_tag"])
        return result

    @property
    def throttled(self) -> bool:
        """Whether the service has asked for fewer requests, within the last minute."""
        return time.monotonic() < self._throttled_until

    def attempt(self, doing: str, key: str | None, function: Callable[..., Value], *args: Any) -> Value:
        """What one call of the engine returns; its failure as one of Holdfast's errors."""
        try:
            value: Value = interruptible(function, *args)
            return value
        except BaseException as error:  # noqa: BLE001 - translated; Ctrl-C comes back as it is
            told = self.told(error, doing, key)
        # Outside the handler, so that no traceback shows the engine's text, which may hold a password.
        raise told

    def told(self, error: BaseException, doing: str, key: str | None) -> BaseException:
        """The error to raise for what a call of the engine raised; bulk calls learn from it when to slow down."""
        told = translate(error, store=self.store, key=key, doing=doing)
        if isinstance(told, Throttled):
            engine.note_throttled()
            self._throttled_until = time.monotonic() + THROTTLED
        return told

    def open(self, key: str, path: str) -> Blob:
        """The blob of a whole object: what ``call`` does, with nothing on the way, because bulk reads live here."""
        try:
            return interruptible(_fetch, self, key, path)  # type: ignore[no-any-return]
        except BaseException as error:  # noqa: BLE001 - as in attempt
            failed = self.told(error, "read", key)
        if not isinstance(failed, HoldfastError):
            raise failed
        again = functools.partial(self.attempt, "read", key, self.get, path, {})
        return RemoteBlob(self, key, path, self.policy.again(again, failed))

    def call(self, doing: str, key: str | None, function: Callable[..., Value], *args: Any) -> Value:
        """The same for an operation that may be repeated: tried again as the policy allows."""
        try:
            return self.attempt(doing, key, function, *args)
        except HoldfastError as error:
            failed = error
        return self.policy.again(functools.partial(self.attempt, doing, key, function, *args), failed)


# ---------------------------------------------------------------------- clients are shared, and end with a fork
_POOL_SIZE = 32
_pool: OrderedDict[Hashable, Any] = OrderedDict()
_pool_lock = threading.Lock()
_used = False
_forked = False


def pooled(identity: Hashable, make: Callable[[], Value]) -> Value:
    """The client of this identity, made if need be: at most 32 are kept, the least recently asked for go first.

    The identity holds everything that makes two clients differ, their credentials included.
    """
    with _pool_lock:
        client: Value | None = _pool.get(identity)
        if client is None:
            client = _pool[identity] = make()
            while len(_pool) > _POOL_SIZE:
                _pool.popitem(last=False)
        else:
            _pool.move_to_end(identity)
        return client


def _mark_used() -> None:
    global _used  # noqa: PLW0603 - one engine per process
    _used = True


def _refuse_call(*_: Any) -> Any:
    raise StoreError(
        "this process was forked from one that had used a cloud store, and the engine does not survive a fork: start "
        "workers with multiprocessing.get_context('spawn') or 'forkserver', or fork before the first call"
    )


def _after_fork_in_child() -> None:
    global _forked, _pool_lock, interruptible  # noqa: PLW0603 - one engine per process
    _pool_lock = threading.Lock()
    if _used:
        _forked = True
        # Every call of the engine goes through this name: looking at a flag each time would cost all others.
        interruptible = _refuse_call


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


# ---------------------------------------------------------------------- keys
def check_key(key: str, store: str, *, longest: int | None = None) -> None:
    """Raise InvalidKey for a key that the engine would refuse or, worse, store under another name."""
    problem = unencodable(key, longest)
    if problem is None and not carries(key):
        problem = "a slash at either end, '//', '.', '..' or a control character would be lost"
    if problem is not None:
        raise InvalidKey(f"cannot hold the key {shown(key[:200])!r}: {problem}", key=key, store=store)


_DOTS = re.compile(r"(?:\A|/)\.\.?(?:/|\Z)")
_CONTROL = re.compile("[\x00-\x1f\x7f]")


def carries(key: str) -> bool:
    """Whether the engine carries this key as it is, if it can be encoded at all."""
    if key.startswith("/") or key.endswith("/") or "//" in key:
        return False
    if (key.startswith(".") or "/." in key) and _DOTS.search(key):
        return False
    return key.isprintable() or not _CONTROL.search(key)


def unencodable(key: str, longest: int | None) -> str | None:
    """Why the key cannot be sent at all: no UTF-8, or more bytes of it than ``longest``; None if it can."""
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        return "it does not encode to UTF-8"
    if longest is not None and size > longest:
        return f"it has {size} bytes in UTF-8, and at most {longest} are possible"
    return None


# ---------------------------------------------------------------------- bodies
def _fetch(client: Client, key: str, path: str) -> Blob:
    """The blob of a whole object: a small one with its body, a large one opened.

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
    if (verifier := client.verifier) is not None:
        attributes, etag = result.attributes, result.meta["e_tag"]
        verifier.refuse_page(key, attributes, etag)
        if (promise := verifier.promise(attributes, size, etag)) is not None:
            verifier.check(key, promise, promise.of(data))
    return FetchedBlob(key, result, data, size)


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

    __slots__ = ("_client", "_emulated", "_info", "_key", "_path", "_patient", "_result", "_start", "_stop", "_whole")

    def __init__(self, client: Client, key: str, path: str, result: Any) -> None:
        self._client = client
        self._key = key
        self._path = path
        self._result = result
        self._info: ObjectInfo | None = None
        self._start, self._stop = result.range
        self._whole = self._stop - self._start <= WHOLE
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
        if promise is not None:
            first = promise.of(data)
            if first != promise.hex:
                data = self._client.policy.call(self._bytes_again)
                promise = self._promise() or promise
            self._verifier().settle(self._key, promise, first, promise.of(data))
        return data

    def _taken(self) -> Data:
        if not self._whole:
            return self._joined()
        try:
            data: Any = interruptible(self._result.bytes)
        except BaseException as error:  # noqa: BLE001 - as in attempt
            failed = self._client.told(error, "read", self._key)
        else:
            if len(data) == self._stop - self._start:
                return data.to_bytes()  # type: ignore[no-any-return]
            failed = self._short(len(data))
        if not isinstance(failed, HoldfastError):
            raise failed
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
        if found == promise.hex or promise.algorithm != "md5":
            verifier.check(self._key, promise, found)
            return
        self._reopen(self._start)
        second = digest_chunks(self._pieces(resume=False), promise.algorithm).hex()
        if second == promise.hex:  # so what was handed out is not what is stored
            verifier.check(self._key, promise, found)
        verifier.settle(self._key, promise, found, second)

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
        since, failures = time.monotonic(), 0
        at, stream = self._result.range[0], self._result.stream(PIECE)
        while wanted < self._stop:
            try:
                chunk = self._piece(stream, wanted)
            except HoldfastError as error:
                healthy = timeouts.healthy(wanted - begun, time.monotonic() - since)
                if not (error.retryable and resume):
                    raise
                if wanted > self._start and not self.info.strong_etag:
                    raise self._broken_for_good(wanted) from error
                failed, failures = error, 0 if healthy and wanted > begun else failures + 1
                # What comes slowly is taken as it comes, or the end of its time would find it in the engine's hands.
                size = 1 if isinstance(failed, Timeout) else PIECE
                again = functools.partial(self._resume, wanted, size)
                begun, since = wanted, time.monotonic()
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

    def _piece(self, stream: Iterator[Data], wanted: int) -> Data:
        chunk: Data = self._client.attempt("read", self._key, next, stream, b"")
        if not chunk:
            raise self._short(wanted - self._start)
        return chunk

    def _resume(self, wanted: int, size: int) -> tuple[int, Iterator[Data], Data]:
        at = self._reopen(wanted)
        stream = self._result.stream(size)
        return at, stream, self._piece(stream, wanted)

    def _reopen(self, wanted: int, *, anew: bool = False) -> int:
        """Fetch the body again from ``wanted`` on, and return where the new body starts.

        ``anew``: nothing of it was handed out yet, so what was said of its length may turn out to have been wrong.
        """
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
    return BytesBlob(info)
