"""The engine under the cloud stores: the one module that imports obstore, with its quirks and clients.

Quirks of obstore 0.12, each seen happening, and what is done about it: here, in _reading.py, or in the stores.

- It retries by itself, ignores Retry-After and multiplies with ours: its retries are off (``tries=1``) for all but
  multipart parts, where nobody else can retry. ``retry.Policy`` owns the rest.
- Its read timeout is no protection against a body that trickles, and its request timeout (30 s) includes the body.
  So each request has as long as a MiB needs at the slowest rate, and a body that is healthy then goes on in another.
  Both also run *while a body is sent*, so uploads get clients whose timeouts grow with the body (Client.upload).
- It reads AWS_* variables that nobody gave it (endpoint, session token, skip_signature ...): every one of them that
  matters is passed explicitly, and credentials come from a provider, which also keeps it from asking the instance
  metadata service.
- A child of a fork hangs in its first call, if the parent had made one: it uses a copy of the engine (see below).
- While a body is open and not taken, another request may be queued behind it on the same connection, and wait until it
  is taken, freed, or the read timeout has passed (once in some 2,000 requests right after an opening).
- Synchronous calls do not see Ctrl-C: ``attempt`` goes through ``engine.interruptible``.
- A mutable buffer given to ``put`` is not copied, also not when it comes out of a generator: only ``bytes`` go in.
- Header values with control characters make it panic (a BaseException), non-ASCII ones cannot be read back.
- "/lead" and "trail/" silently lose their slash; "//", "." and ".." are refused, in a listing for the whole of it.
- Nothing that it downloads is checked: _reading.py checks lengths and digests.
"""

from __future__ import annotations

import functools
import operator
import os
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

from obstore import _obstore as _native

from .. import engine, locks
from ..blob import Blob
from ..errors import HoldfastError, Throttled
from ..retry import Policy
from . import _engine_copy
from ._digests import Verifier
from ._engine_keys import carries, check_key, unencodable
from ._obstore_errors import translate
from ._reading import PIECE, RemoteBlob, fetch, open_body, other_version, read_part
from ._timeouts import Timeouts

__all__ = [
    "PIECE",
    "AzureEngine",
    "Client",
    "GCSEngine",
    "HTTPEngine",
    "RemoteBlob",
    "S3Engine",
    "carries",
    "check_key",
    "copy",
    "delete",
    "get",
    "open_body",
    "other_version",
    "pooled",
    "put",
    "read_part",
    "unencodable",
]

Value = TypeVar("Value")

#: For so long (seconds) a service is taken to want fewer requests.
THROTTLED = 60.0

# What the stores use of the engine, by their own names; its options are plain dicts here. All use goes through these
# names at the time of the call, because in a forked child they come to mean another engine.
S3Engine: Any = _native._store.S3Store
AzureEngine: Any = _native._store.AzureStore
GCSEngine: Any = _native._store.GCSStore
HTTPEngine: Any = _native._store.HTTPStore
get: Any = _native.get
put: Any = _native.put
copy: Any = _native.copy
delete: Any = _native.delete
interruptible: Callable[..., Any] = engine.interruptible


class Client:
    """The engine's connections to one place, with how to call them: interruptible, translated, retried.

    ``make(options, tries, **config)`` builds the engine's store from client options. ``store`` is what errors call
    the place. ``verifier`` judges what is read; without one, only lengths are. ``telling`` is a get that, unlike the
    engine's, hears for how long a service wishes to be left alone: it is used for a while after that.
    """

    __slots__ = (
        *("_locked", "_make", "_variants", "bucket_exists", "plain", "policy", "store", "timeouts"),
        *("__weakref__", "_telling", "_throttled_until", "verifier"),
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
        self._locked = locks.lock()
        _mark_used()
        self.plain = self._connect()
        _clients.add(self)

    def _connect(self) -> Any:
        try:
            return self._make(self.timeouts.options(), 1)
        except Exception as error:  # noqa: BLE001 - translated below
            told = self.told(error, "set up the client", None)
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

    def refuse_inherited(self, key: str, result: Any) -> None:
        """Raise StoreError for an answer that was opened before this process was forked."""
        if _is_inherited(result):
            raise self.told(_engine_copy.inherited(), "read", key)

    def told(self, error: BaseException, doing: str, key: str | None) -> BaseException:
        """The error to raise for what a call of the engine raised; bulk calls learn from it when to slow down."""
        told = translate(error, store=self.store, key=key, doing=doing)
        if isinstance(told, Throttled):
            engine.note_throttled()
            self._throttled_until = time.monotonic() + THROTTLED
        if isinstance(told, HoldfastError) and told.store is None:
            told.store, told.key = self.store, key
        return told

    def open(self, key: str, path: str) -> Blob:
        """The blob of a whole object: what ``call`` does, with nothing on the way, because bulk reads live here."""
        try:
            return interruptible(fetch, get, self, key, path)  # type: ignore[no-any-return]
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


# ---------------------------------------------------------------------- clients are shared
_POOL_SIZE = 32
_pool: OrderedDict[Hashable, Any] = OrderedDict()
_pool_lock = locks.lock()


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


def forget_clients() -> None:
    """Let go of every kept client: stores that are open keep theirs, new ones make connections anew."""
    with _pool_lock:
        _pool.clear()


# ---------------------------------------------------------------------- after a fork
# The child of a process that has used the engine gets a copy of it, at the first use of any of our names for it: until
# then they mean _late. A process that was not forked pays nothing for this.
#: Our names for the engine, and where a module of it has them.
_NAMES = {
    "S3Engine": "_store.S3Store",
    "AzureEngine": "_store.AzureStore",
    "GCSEngine": "_store.GCSStore",
    "HTTPEngine": "_store.HTTPStore",
    "get": "get",
    "put": "put",
    "copy": "copy",
    "delete": "delete",
}
_used = False
_clients: weakref.WeakSet[Client] = weakref.WeakSet()
_copy_lock = locks.lock()
_forked = False
_copied = True
_own: frozenset[type] = frozenset()


class InheritedClient(Client):
    """A Client in a forked child, until its connections are made anew at the first use."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name != "plain":
            raise AttributeError(name)
        with self._locked:
            if type(self) is InheritedClient:
                self.plain = self._connect()
                self.__class__ = Client  # type: ignore[assignment]
        return self.plain


def _mark_used() -> None:
    global _used  # noqa: PLW0603 - one engine per process
    _used = True


def _late(name: str, /, *args: Any, **options: Any) -> Any:
    """What the name means in this forked child, called: the copy of the engine is loaded if need be."""
    global _copied, _own  # noqa: PLW0603 - one engine per process
    with _copy_lock:
        if not _copied:
            native, _own = _engine_copy.load(_native)
            globals().update({name: operator.attrgetter(path)(native) for name, path in _NAMES.items()})
            _copied = True
    return globals()[name](*args, **options)


def _is_inherited(value: Any) -> bool:
    """Whether the engine of the process that this one was forked from has made it, and it needs that one's threads."""
    return _forked and type(value).__name__ in _engine_copy.STATEFUL and type(value) not in _own


def _interruptible_here(function: Callable[..., Any], *args: Any) -> Any:
    """``interruptible`` in a forked child: what the parent's engine has handed out raises, where it would hang."""
    for value in (getattr(function, "__self__", None), *args):
        if _is_inherited(value):
            raise _engine_copy.inherited()
    return engine.interruptible(function, *args)


def _abandon_inherited(blob: RemoteBlob) -> None:
    """What a RemoteBlob does at its end in a forked child."""
    for name in ("_result", "_stream"):
        value = getattr(blob, name, None)
        if _is_inherited(value):
            _engine_copy.abandon(value)


def _after_fork_in_child() -> None:
    global _copied, _copy_lock, _forked, _own, _pool_lock, interruptible
    # A thread of the parent may have held these locks, and it does not exist here.
    _pool_lock, _copy_lock = locks.lock(), locks.lock()
    clients = list(_clients)
    for client in clients:
        client._locked = locks.lock()
    if not _used:
        return
    _forked, _copied, _own, interruptible = True, False, frozenset(), _interruptible_here
    globals().update({name: functools.partial(_late, name) for name in _NAMES})
    RemoteBlob.__del__ = _abandon_inherited  # type: ignore[attr-defined]  # here alone: it has a price
    for client in clients:
        if type(client) is Client:
            for inherited in (client.plain, *client._variants.values()):
                _engine_copy.abandon(inherited)
            client._variants = {}
            del client.plain
            client.__class__ = InheritedClient


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
