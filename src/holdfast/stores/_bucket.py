"""What the stores of Google and Azure have in common: every verb over the engine, conditional writes included."""

from __future__ import annotations

import functools
import re
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from .. import network
from ..blob import Blob, body_chunks, body_size
from ..engine import reserve
from ..errors import (
    AuthError,
    BucketNotFound,
    ConfigError,
    Conflict,
    HoldfastError,
    InvalidKey,
    NotFound,
    StoreError,
)
from ..retry import Policy, shared
from ..store import HEAD, READ, REMOVE, WRITE, ObjectStore, Removed, Store, stream_copy
from ..types import Body, ListOptions, ObjectInfo, ReadOptions, RemoveOptions, WriteOptions
from . import _chunked, _conditions, _obstore, _uploads
from ._answers import SeenETag
from ._conditions import Place, Version
from ._digests import Mode, Verifier, checked
from ._documents import Document
from ._obstore import Client
from ._obstore_errors import MissingHeader, Unclear, shown
from ._timeouts import Timeouts
from ._transport import Request, Transport

#: Bodies up to this size (bytes) are written under a condition: they go in one request, out of memory.
LARGEST_CONDITIONAL = 256 << 20

_STORAGE_CLASS = re.compile(r"[A-Za-z0-9_]{1,64}")


class BucketStore(Store):
    """The objects of one bucket or container of a cloud service; its subclasses say how to reach it.

    A subclass implements ``client``, ``_request``, ``page``, ``_scan``, what conditions are (``_version``, ``_mode``,
    ``_delete_condition``) and the class variables, and may replace ``_part`` (reads other than of whole objects).
    """

    #: The longest key in bytes of UTF-8.
    longest_key: ClassVar[int] = 1024
    #: The largest body (bytes) of a write under a condition.
    largest_conditional: ClassVar[int] = LARGEST_CONDITIONAL
    #: Whether conditions name the generation of an object instead of its ETag.
    by_generation: ClassVar[bool] = False
    #: What metadata names come back as they were given, and how to say that.
    metadata_names: ClassVar[re.Pattern[str]]
    metadata_rule: ClassVar[str]

    #: What errors take the service for.
    service: ClassVar[str]

    #: How the headers begin that only the service itself sends.
    own_headers: ClassVar[str]

    def __init__(
        self,
        name: str,
        endpoint: str,
        timeouts: Timeouts,
        verify: Mode,
        retry: Policy | None,
        storage_class: str | None,
        *,
        stamped: bool,
    ) -> None:
        if storage_class is not None and not _STORAGE_CLASS.fullmatch(storage_class):
            raise ConfigError(f"storage_class={storage_class!r} cannot be one: it is a word")
        self.storage_class = storage_class
        self.timeouts = timeouts
        self.verify = checked(verify)
        self.object_metadata = stamped
        self.retry = retry
        self._policy = retry or shared(endpoint)
        self._verifier = Verifier(name, self._encrypted, verify, self.service)
        self._name = name
        self._client: Client | None = None
        self._transport = Transport(name, timeouts, self._policy, self.service)

    @property
    def name(self) -> str:
        return self._name

    @property
    def store(self) -> str:
        """What errors call this place."""
        return self._name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r})"

    @property
    def remove_batch(self) -> int:
        return 256

    def close(self) -> None:
        self._client = None

    @abstractmethod
    def client(self) -> Client:
        """The engine's client for this bucket and its credentials, shared with equal stores."""

    def _pooled(self, make: Callable[..., Any], *identity: Any) -> Client:
        """The client that ``make`` makes, shared with all stores of this identity that have equal options."""
        options = (self.timeouts.connect, self.timeouts.read, self.timeouts.slowest, self.verify, id(self._policy))
        new = functools.partial(
            Client, self._name, make, timeouts=self.timeouts, policy=self._policy, verifier=self._verifier
        )
        return _obstore.pooled((self._name, *identity, *options, network.identity()), new)

    def _recipe(self) -> dict[str, Any]:
        """The options that a pickle carries."""
        return {
            "connect_timeout": self.timeouts.connect,
            "read_timeout": self.timeouts.read,
            "minimum_rate": self.timeouts.slowest,
            "retry": self.retry,
            "verify": self.verify,
            "object_metadata": self.object_metadata,
            "storage_class": self.storage_class,
        }

    def _create(self, headers: Mapping[str, str], query: Mapping[str, str]) -> bool:
        """Whether the bucket was created now, by a PUT of itself; False if it is there, as a HEAD tells."""
        ask = functools.partial(self._ask_about_bucket, query=query)
        if self._is_there(ask):
            return False
        try:
            self._policy.call(functools.partial(ask, "create the bucket", "PUT", headers))
        except HoldfastError:
            if self._is_there(ask):  # somebody else was quicker, or the answer to a first try was lost
                return False
            raise
        return True

    def _is_there(self, ask: Callable[[str, str, Mapping[str, str]], None]) -> bool:
        try:
            self._policy.call(functools.partial(ask, "look for the bucket", "HEAD", {}))
        except (NotFound, BucketNotFound):
            return False
        return True

    def _ask_about_bucket(
        self, doing: str, method: str, headers: Mapping[str, str], *, query: Mapping[str, str]
    ) -> None:
        request = self._request(doing, None, method, headers, query=query)
        answer = self._transport.open(request)
        said = answer.headers
        answer.drain_conn()
        if not any(name.lower().startswith(self.own_headers) for name in said):
            raise self._transport.nonsense(request, "has none of the service's own headers")

    def _encrypted(self, key: str) -> bool:
        """Whether the object is encrypted with a key of the user's, so that its ETag is no MD5."""
        return False

    @abstractmethod
    def _request(
        self,
        doing: str,
        key: str | None,
        method: str,
        headers: Mapping[str, str],
        *,
        query: Mapping[str, str] | None = None,
    ) -> Request:
        """A signed request of our own, for what the engine cannot say; without a key it is for the bucket."""

    @abstractmethod
    def page(self, query: Mapping[str, str]) -> Document:
        """One page of a listing, as the service answers this query."""

    @abstractmethod
    def _version(self, head: Any) -> Version:
        """The version that the engine's answer to a HEAD tells of."""

    @abstractmethod
    def _mode(self, version: Version) -> Any:
        """What the engine calls the condition that this version is there."""

    @abstractmethod
    def _delete_condition(self, version: Version) -> Mapping[str, str]:
        """The headers of a delete of that version only."""

    def _check(self, key: str) -> None:
        _obstore.check_key(key, self._name, longest=self.longest_key)
        if "\ufffe" in key or "\uffff" in key:
            problem = "it has a character that XML, and so a listing, cannot carry"
            raise InvalidKey(f"cannot hold the key {shown(key)!r}: {problem}", key=key, store=self._name)

    def _missing(self, client: Client, error: NotFound) -> HoldfastError:
        """The error for a miss, once it is known whether there is a bucket at all."""
        if not client.bucket_exists:
            first = self._scan(ListOptions(error.key or ""))
            try:
                next(first, None)
            except BucketNotFound as missing:
                return missing
            except HoldfastError as other:
                if not isinstance(other, AuthError):  # who may not list is told of the key alone
                    raise
            client.bucket_exists = True
        return error

    # ------------------------------------------------------------------ reading
    def _read(self, key: str, options: ReadOptions = READ) -> Blob:
        client = self._client or self.client()
        if key[0] == "/" or key[-1] == "/" or len(key) > self.longest_key // 4:
            self._check(key)  # what the engine would alter in silence; the rest it refuses by itself
        try:
            if options is READ or options == READ:
                return client.open(key, key)
            return self._part(client, key, options)
        except MissingHeader:
            prepare = functools.partial(self._request, "read", key)
        except NotFound as error:
            raise self._missing(client, error) from None
        return _chunked.read(_chunked.Source(client, self._transport, prepare, key, options, self.own_headers))

    def _part(self, client: Client, key: str, options: ReadOptions) -> Blob:
        return _obstore.read_part(client, key, key, options)

    # ------------------------------------------------------------------ writing
    def _write(self, key: str, body: Body, options: WriteOptions = WRITE) -> ObjectInfo:
        client = self._client or self.client()
        self._check(key)
        named = self._attributes(options)
        try:
            if options.conditional:
                return self._write_if(client, key, body, options, named)
            data, chunks, size = _uploads.taken(body)
            if data is None:
                marked = {**(named or {}), **_uploads.stamp(body if self.object_metadata else chunks)}
                return _uploads.upload(client, key, chunks, _uploads.part_size(options, size), marked)
            named = self._stamped(data, named)
            etag = client.policy.call(functools.partial(_uploads.put, client, key, data, named))
            return ObjectInfo(key, size=len(data), etag=etag, **options.attributes())  # type: ignore[arg-type]
        except NotFound as error:
            missing = self._missing(client, error)
        if isinstance(missing, NotFound) and options.if_match is not None:
            raise Conflict(f"there is no object {shown(key)!r} (any more)", store=self._name, key=key)
        if isinstance(missing, NotFound):
            raise StoreError(f"the service finds nothing to write {key!r} to", store=self._name, key=key)
        raise missing

    def _write_if(
        self, client: Client, key: str, body: Body, options: WriteOptions, named: dict[str, str] | None
    ) -> ObjectInfo:
        """The info of what was written under a condition: done, refused (nothing written), or Indeterminate."""
        data = self._in_memory(key, body)
        place = self._place(client, key)
        stamped = self._stamped(data, named) or {}

        def write(base: Version | None) -> str:
            under = _conditions.ConditionalWrite(place, base)
            return under.perform(functools.partial(self._send, client, key, data, {**stamped, **under.history}))

        etag = write(None) if options.if_match is None else _conditions.write_over(place, options.if_match, write)
        return ObjectInfo(key, size=len(data), etag=etag, **options.attributes())  # type: ignore[arg-type]

    def _send(
        self, client: Client, key: str, data: bytes, attributes: dict[str, str], version: Version | None
    ) -> str | None:
        """The ETag of what one request wrote, under the condition that this version (None: nothing) is there."""
        mode = "create" if version is None else self._mode(version)
        put = functools.partial(_obstore.put, mode=mode, attributes=attributes, use_multipart=False)
        try:
            answer = client.attempt("write", key, put, client.upload(len(data)), key, data)
        except Unclear as error:
            error.retryable = True  # it may have been done
            raise
        return SeenETag(answer["e_tag"], None, answer["version"]) if answer["e_tag"] else None

    def _attributes(self, options: WriteOptions) -> dict[str, str] | None:
        """The attributes of a new object as the engine wants them, or None."""
        named = _uploads.attributes(options, self._name, self.metadata_names, self.metadata_rule)
        return {"Storage-Class": self.storage_class, **(named or {})} if self.storage_class else named

    def _stamped(self, data: bytes, named: dict[str, str] | None) -> dict[str, str] | None:
        """The attributes, with the digest of what is written among them unless that was declined."""
        return {**(named or {}), **_uploads.stamp(data)} if self.object_metadata else named

    def _place(self, client: Client, key: str) -> Place:
        return Place(self._name, key, client.policy, functools.partial(self._look, client, key), self.by_generation)

    def _look(self, client: Client, key: str) -> Version | None:
        """The version that is there now, or None."""
        try:
            return self._version(_obstore.open_body(client, key, key, HEAD)[0])
        except NotFound:
            return None
        except MissingHeader:
            return self._look_ourselves(client, key)

    def _look_ourselves(self, client: Client, key: str) -> Version | None:
        """The same where the engine can make nothing of the answer."""
        raise self._transport.nonsense(self._request("read", key, "HEAD", {}), "names no ETag")

    def _in_memory(self, key: str, body: Body) -> bytes:
        size = body_size(body)
        pieces, total = [], 0
        if size is None or size <= LARGEST_CONDITIONAL:
            reserve(size or 0)
            if type(body) is bytes:
                return body
            for chunk in body_chunks(body):
                pieces.append(bytes(chunk))
                total += len(chunk)
                if total > LARGEST_CONDITIONAL:
                    break
            else:
                return b"".join(pieces)
        cure = f"{shown(key)!r} has more than {LARGEST_CONDITIONAL >> 20} MiB, and only one request is atomic"
        raise self._unsupported("a write under a condition", cure=cure)

    def _copy(self, source: ObjectStore, src: str, dst: str, options: WriteOptions = WRITE) -> ObjectInfo:
        there, here = source._locate(src), self._locate(dst)
        if there is not None and there == here and not options.conditional and not self._attributes(options):
            return source._read(src, ReadOptions(head=True, if_match=options.source_if_match)).info
        return stream_copy(source, src, self, dst, options)

    # ------------------------------------------------------------------ removing
    def _remove(self, keys: Sequence[str], options: RemoveOptions = REMOVE) -> Removed:
        client = self.client()
        if options.if_match is not None:
            (key,) = keys
            return [_failure(functools.partial(self._remove_if, client, key, options.if_match))]
        removed: Removed = [self._refusal(key) for key in keys]
        wanted = [index for index, error in enumerate(removed) if error is None]
        failures = self._remove_wanted(client, [keys[index] for index in wanted], options)
        for index, failure in zip(wanted, failures, strict=True):
            removed[index] = failure
        return removed

    def _refusal(self, key: str) -> HoldfastError | None:
        try:
            self._check(key)
        except HoldfastError as error:
            return error
        return None

    def _remove_if(self, client: Client, key: str, etag: str) -> None:
        """Delete that version: done, refused (Conflict, NotFound: nothing was deleted), or Indeterminate."""
        self._check(key)
        send = functools.partial(self._send_delete, client, key)
        try:
            _conditions.delete(self._place(client, key), etag, send)
        except NotFound as error:
            raise self._missing(client, error) from None

    def _send_delete(self, client: Client, key: str, version: Version) -> None:
        client.attempt("delete", key, self._delete_once, key, self._delete_condition(version))

    def _delete_once(self, key: str, condition: Mapping[str, str]) -> None:
        request = self._request("delete", key, "DELETE", condition)
        answer = self._transport.open(request)
        said = answer.read(1)
        answer.drain_conn()
        if said:  # a service has nothing to say about a delete
            raise self._transport.nonsense(request, "is a page", retryable=True)

    def _remove_wanted(self, client: Client, batch: list[str], options: RemoveOptions) -> Removed:
        if len(batch) > 1 and not options.must_exist:
            together = functools.partial(client.attempt, "delete", None, _obstore.delete, client.plain, batch)
            failed = _failure(together)
            if failed is not None and failed.retryable:
                failed = _failure(functools.partial(client.policy.again, together, failed))
                told = not isinstance(failed, BucketNotFound)  # a key that the lost try has removed reads so
            else:
                told = failed is None or isinstance(failed, AuthError | ConfigError)
            if told:
                return [failed and _with_key(failed, key) for key in batch]
        # What became of each key, where one of them was gone already or could not be removed, is asked one by one.
        return [self._remove_single(client, key, options) for key in batch]

    def _delete_plainly(self, client: Client, key: str) -> None:
        """Delete one object, by a request that is sent once."""
        client.attempt("delete", key, _obstore.delete, client.plain, [key])

    def _remove_single(self, client: Client, key: str, options: RemoveOptions) -> HoldfastError | None:
        delete = functools.partial(self._delete_plainly, client, key)
        failed = _failure(delete)
        if isinstance(failed, NotFound):
            missing = self._missing(client, failed)
            return None if isinstance(missing, NotFound) and not options.must_exist else missing
        if failed is None or not failed.retryable:
            return failed
        failed = _failure(functools.partial(client.policy.again, delete, failed))
        # Gone now: most likely by the try whose answer was lost.
        return None if isinstance(failed, NotFound) else failed


def _failure(operation: Callable[[], Any]) -> HoldfastError | None:
    try:
        operation()
    except HoldfastError as error:
        return error
    return None


def _with_key(error: HoldfastError, key: str) -> HoldfastError:
    return type(error)(error.message, store=error.store, key=key, cause=error.cause, retryable=error.retryable)
