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
- A child of a fork hangs in its first call, if the parent had made one: ``attempt`` raises there instead.
- Synchronous calls do not see Ctrl-C: ``attempt`` goes through ``engine.interruptible``.
- A mutable buffer given to ``put`` is not copied, also not when it comes out of a generator: only ``bytes`` go in.
- Header values with control characters make it panic (a BaseException), non-ASCII ones cannot be read back.
- "/lead" and "trail/" silently lose their slash; "//", "." and ".." are refused, in a listing for the whole of it.
- Nothing that it downloads is checked: _reading.py checks lengths and digests.
"""

from __future__ import annotations

import functools
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

import obstore
import obstore.store

from .. import engine
from ..blob import Blob
from ..errors import HoldfastError, StoreError, Throttled
from ..retry import Policy
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
    "list_level",
    "list_objects",
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
            caught: BaseException = error
        else:
            _mark_used()
            return
        raise translate(caught, store=store, key=None, doing="set up the client")

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
        except BaseException as error:  # noqa: BLE001 - translated below; Ctrl-C comes back as it is
            caught = error
        # Outside the handler, so that no traceback shows the engine's text, which may hold a password.
        raise self.told(caught, doing, key)

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
            return interruptible(fetch, get, self, key, path)  # type: ignore[no-any-return]
        except BaseException as error:  # noqa: BLE001 - as in attempt
            caught = error
        failed = self.told(caught, "read", key)
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
