"""S3Store: objects in one bucket of Amazon S3, or of another service that speaks its protocol."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ... import credentials as sources
from ... import redact
from ...blob import Blob
from ...credentials import S3Credentials
from ...errors import (
    AuthError,
    BucketNotFound,
    ConfigError,
    Conflict,
    HoldfastError,
    InvalidKey,
    NotFound,
    StoreError,
)
from ...keys import printable
from ...retry import Policy, shared
from ...store import HEAD, LIST, READ, REMOVE, WRITE, ObjectStore, Removed, Store, stream_copy
from ...types import Body, Capabilities, ListOptions, Location, ObjectInfo, ReadOptions, RemoveOptions, WriteOptions
from .. import _obstore
from .._digests import Mode, Verifier
from .._obstore import Client
from .._timeouts import Timeouts
from . import conditions, direct, listing, writing
from .direct import DirectClient
from .probe import probe
from .wire import Address, Guarantees, Request, Wire

LONGEST_KEY = 1024
#: A key of up to this many characters cannot have more than LONGEST_KEY bytes.
SURELY_SHORT = LONGEST_KEY // 4
#: Why a condition is refused.
IGNORED = "this service does not honour the condition (it was tried on an object of its own)"
#: CopyObject takes objects up to this size (bytes).
LARGEST_COPY = 5 << 30

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_ENDPOINT = re.compile(r"(https?)://([^/?#@\s]+)/?")


class S3Store(Store):
    """The objects of one bucket: on Amazon S3, or where ``endpoint`` (``http(s)://host:port``) says.

    Credentials are ``access_key_id`` with ``secret_access_key`` (and ``session_token``), or the same in a
    ``secrets`` mapping, or none with ``anonymous=True``; else the AWS_* environment is read at the first use.
    ``endpoint`` and ``region`` default to AWS_ENDPOINT_URL(_S3) and AWS_REGION. ``request_payer=True`` agrees to
    pay for the requests. ``connect_timeout`` and ``read_timeout`` are seconds without progress, and what moves more
    slowly than ``slowest_rate`` (bytes a second) is stuck too; ``retry`` replaces the default policy of 7 tries.

    Reads are checked for length and resumed when they break. Whole objects are checked against the CRC-32C that
    Holdfast notes in their metadata (``object_metadata=False`` notes none), else against their MD5 where their ETag
    is one: ``verify="strict"`` raises where it cannot be known to be one, ``"length"`` looks at lengths alone. Each
    write appears whole or not at all; over http the server checks its SHA-256, over https TLS protects it. Writes and
    deletes under a condition are done, refused or Indeterminate, never done twice; a service that ignores conditions
    is found out (``probe``) and they are Unsupported there. Any key of up to 1,024 bytes of UTF-8 is kept as it is,
    also "/lead", "trail/", "a//b" and ".."; listings are those of the service, verbatim. A pickle carries no secrets.

    >>> S3Store("bucket", endpoint="https://minio.example:9000", anonymous=True).name
    's3://https://minio.example:9000/bucket'
    """

    def __init__(
        self,
        bucket: str,
        *,
        endpoint: str | None = None,
        region: str | None = None,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
        session_token: str | None = None,
        anonymous: bool = False,
        secrets: Mapping[str, str] | None = None,
        request_payer: bool = False,
        connect_timeout: float = 10.0,
        read_timeout: float = 60.0,
        slowest_rate: int = Timeouts.SLOWEST,
        verify: Mode = "auto",
        object_metadata: bool = True,
        retry: Policy | None = None,
    ) -> None:
        if not _BUCKET.fullmatch(bucket):
            raise ConfigError(f"{bucket!r} cannot be the name of a bucket: letters, digits, dots and hyphens, no slash")
        self.bucket = bucket
        self.endpoint = _endpoint(endpoint or sources.s3_endpoint())
        self.region = region or sources.s3_region() or "us-east-1"
        self.anonymous = anonymous
        self.request_payer = request_payer
        self.timeouts = Timeouts(connect_timeout, read_timeout, slowest_rate)
        self.verify = verify
        self.object_metadata = object_metadata
        self.retry = retry
        self._explicit = sources.from_arguments(
            access_key_id, secret_access_key, session_token, secrets, anonymous=anonymous
        )
        self._dropped = False  # whether a pickle left explicit credentials behind
        self._client: Client | None = None
        self._wire: Wire | None = None
        #: What the service honours, once that is known: Amazon's is not asked.
        self._known = Guarantees() if self.endpoint is None else None
        self._name = f"s3://{self.endpoint + '/' if self.endpoint else ''}{bucket}"

    # ------------------------------------------------------------------ what the store is
    @property
    def name(self) -> str:
        return self._name

    def __repr__(self) -> str:
        return f"S3Store({self._name!r})"

    @property
    def capabilities(self) -> Capabilities:
        """What S3 does; ``ranges`` turns False when this server has answered one with a whole object.

        ``create``, ``replace_if`` and ``delete_if`` turn False where a service other than Amazon's was asked for them
        (see ``probe``) and does not honour them.
        """
        known = self._known or Guarantees()
        return Capabilities(
            create=known.create,
            replace_if=known.replace_if,
            delete_if=known.delete_if,
            listing=True,
            sorted=True,
            ranges=self._client is None or self._client.cuts,
            metadata=True,
            copy=True,
            atomic_write=True,
            write=True,
        )

    @property
    def remove_batch(self) -> int:
        return 1000

    def close(self) -> None:
        self._client = self._wire = None

    def __reduce__(self) -> tuple[Any, ...]:
        recipe = {
            "bucket": self.bucket,
            "endpoint": self.endpoint,
            "region": self.region,
            "anonymous": self.anonymous,
            "request_payer": self.request_payer,
            "connect_timeout": self.timeouts.connect,
            "read_timeout": self.timeouts.read,
            "slowest_rate": self.timeouts.slowest,
            "verify": self.verify,
            "object_metadata": self.object_metadata,
        }
        return (_from_recipe, (type(self), recipe, self._explicit is not None or self._dropped, self._known))

    # ------------------------------------------------------------------ the client
    def credentials(self) -> S3Credentials | None:
        """The credentials to sign with, None for anonymous access; AuthError when none can be found."""
        if self.anonymous:
            return None
        found = self._explicit or sources.from_environment()
        if found is None:
            raise sources.nothing_found(self._name, dropped=self._dropped)
        return found

    def client(self) -> Client:
        """The engine's client for this bucket and these credentials, shared with equal stores."""
        if self._client is not None:
            return self._client
        found, identity = self._identity("s3")
        make = functools.partial(_make_engine, self._address(), self.region, found, self.request_payer)
        verifier = Verifier(self._name, functools.partial(_encrypted, self.wire()), self.verify)
        self._client = _obstore.pooled(
            identity,
            lambda: Client(
                self._name,
                make,
                timeouts=self.timeouts,
                policy=self.retry or shared(self.endpoint),
                verifier=verifier,
                telling=DirectClient(self.wire(), verifier).get,
            ),
        )
        return self._client

    def wire(self) -> Wire:
        """The wire to this bucket for what the engine cannot say, shared with equal stores."""
        if self._wire is not None:
            return self._wire
        found, identity = self._identity("s3-wire")
        self._wire = _obstore.pooled(
            identity,
            lambda: Wire(
                self._name,
                self._address(),
                self.region,
                lambda: found,
                request_payer=self.request_payer,
                timeouts=self.timeouts,
                policy=self.retry or shared(self.endpoint),
            ),
        )
        return self._wire

    def probe(self) -> Capabilities:
        """The capabilities, after asking the service (if it is not Amazon's) what it does with conditions.

        That takes a dozen requests for an object of its own, named `holdfast-probe-` and a random number, which is
        deleted again. It happens by itself at the first conditional write or delete, once for equal stores.
        """
        self._guarantees()
        return self.capabilities

    def _guarantees(self) -> Guarantees:
        if self._known is None:
            wire = self.wire()
            if wire.guarantees is None:
                wire.guarantees = probe(wire)
            self._known = wire.guarantees
        return self._known

    def _identity(self, kind: str) -> tuple[S3Credentials | None, tuple[Any, ...]]:
        """The credentials, and everything that makes two clients of a kind differ."""
        found = self.credentials()
        if self.endpoint and self.endpoint.startswith("http:") and not sources.plain_http_allowed():
            raise ConfigError("AWS_ALLOW_HTTP forbids http:// endpoints: use https://", store=self._name)
        return found, (
            kind,
            *(self.endpoint, self.bucket, self.region, self.request_payer),
            *(self.timeouts.connect, self.timeouts.read, self.timeouts.slowest, self.verify),
            id(self.retry) if self.retry else None,
            found.fingerprint() if found else None,
            _engine_environment(),
        )

    def _address(self) -> Address:
        # Amazon's certificates cover names without dots only; services elsewhere rarely know buckets as host names.
        virtual = self.endpoint is None and "." not in self.bucket
        domain = "amazonaws.com.cn" if self.region.startswith("cn-") else "amazonaws.com"
        url = self.endpoint or f"https://{self.bucket + '.' if virtual else ''}s3.{self.region}.{domain}"
        return Address(url, self.bucket, virtual)

    def _check(self, key: str) -> None:
        if problem := _obstore.unencodable(key, LONGEST_KEY):
            raise InvalidKey(f"cannot hold the key {printable(key[:200])!r}: {problem}", key=key, store=self._name)

    def _missing(self, client: Client, error: NotFound) -> HoldfastError:
        """The error for a miss, once it is known whether there is a bucket at all."""
        if not client.bucket_exists:
            try:
                self.wire().call(Request("list", "GET", query={"list-type": "2", "max-keys": "1"}))
            except BucketNotFound as missing:
                return missing
            except AuthError:
                pass  # who may not list is told of the key alone
            client.bucket_exists = True
        return error

    # ------------------------------------------------------------------ reading
    def _read(self, key: str, options: ReadOptions = READ) -> Blob:
        client = self._client or self.client()
        try:
            if key[0] == "/" or key[-1] == "/" or len(key) > SURELY_SHORT:
                return self._read_directly(key, options)  # the engine would alter it in silence
            try:
                if options is READ or options == READ:
                    return client.open(key, key)
                return _obstore.read_part(client, key, key, options)
            except InvalidKey:
                pass  # what else the engine would alter it refuses by itself
            return self._read_directly(key, options)
        except NotFound as error:
            missing = error
        raise self._missing(client, missing)

    def _read_directly(self, key: str, options: ReadOptions) -> Blob:
        self._check(key)
        if _obstore.carries(key):  # it is only long
            return _obstore.read_part(self.client(), key, key, options)
        return _obstore.read_part(DirectClient(self.wire(), self.client().verifier), key, key, options)

    def _scan(self, options: ListOptions = LIST) -> Iterator[ObjectInfo]:
        """The objects whose keys start with the string ``prefix``, in order, in requests of up to 1,000 rows.

        Every key is shown as it is, markers of folders (`photos/`) included: they are objects of their own. Raises
        StoreError for an answer that is not a listing (a proxy's page of HTML) or contradicts itself.
        """
        return listing.scan(self.wire(), options)

    # ------------------------------------------------------------------ writing
    def _write(self, key: str, body: Body, options: WriteOptions = WRITE) -> ObjectInfo:
        client = self._client or self.client()
        self._check(key)
        attributes = writing.attributes(options, self._name)
        try:
            if options.conditional:
                return self._write_if(key, body, options, attributes)
            stamped = self.object_metadata
            return writing.write(client, self.wire(), key, body, options, attributes, stamped=stamped)
        except NotFound as error:
            missing = self._missing(client, error)
        if isinstance(missing, NotFound) and options.if_match is not None:
            raise Conflict(f"there is no object {printable(key)!r} (any more)", store=self._name, key=key)
        if isinstance(missing, NotFound):
            raise StoreError(f"the service finds nothing to write {key!r} to", store=self._name, key=key)
        raise missing

    def _write_if(self, key: str, body: Body, options: WriteOptions, attributes: dict[str, str] | None) -> ObjectInfo:
        known = self._guarantees()
        if not (known.create if options.if_absent else known.replace_if):
            raise self._unsupported("a write", "if_absent" if options.if_absent else "if_match", IGNORED)
        how = {"in_parts_too": known.complete, "stamped": self.object_metadata}
        return writing.write_if(self.wire(), key, body, options, attributes, **how)

    def _copy(self, source: ObjectStore, src: str, dst: str, options: WriteOptions = WRITE) -> ObjectInfo:
        there, here = source._locate(src), self._locate(dst)
        assert here is not None
        native = there is not None and (there.vendor, there.identity, there.bucket) == (
            here.vendor,
            here.identity,
            here.bucket,
        )
        if not native or there is None or options.conditional or options.attributes():
            return stream_copy(source, src, self, dst, options)
        self._check(dst)
        head = source._read(src, HEAD).info
        if there.key == here.key:
            return head
        if head.size is None or head.size > LARGEST_COPY:
            return stream_copy(source, src, self, dst, options)
        # Not by the engine, which takes any answer with status 200 for a copy.
        direct.copy(self.wire(), there.bucket, there.key, here.key)
        return self._read(dst, HEAD).info

    def _remove(self, keys: Sequence[str], options: RemoveOptions = REMOVE) -> Removed:
        if options.if_match is not None:
            return [self._remove_if(key, options.if_match) for key in keys]
        client = self.client()
        removed: Removed = [self._refusal(key, options) for key in keys]
        together = [i for i, error in enumerate(removed) if error is None and _fits_a_batch(keys[i])]
        if together:
            batch = [keys[index] for index in together]
            try:
                failures = self._remove_together(client, batch)
            except HoldfastError:
                # One key failed, or the service knows no batches: which ones are gone is learned one by one.
                # Not by the engine, which takes any answer with status 200 for a delete.
                failures = [direct.delete(self.wire(), key) for key in batch]
            for index, failure in zip(together, failures, strict=True):
                removed[index] = failure
        for index in {i for i, error in enumerate(removed) if error is None}.difference(together):
            removed[index] = direct.delete(self.wire(), keys[index])
        return removed

    def _remove_if(self, key: str, etag: str) -> HoldfastError | None:
        self._check(key)
        if not self._guarantees().delete_if:
            raise self._unsupported("a delete", "if_match", IGNORED)
        try:
            conditions.delete(self.wire(), key, etag)
        except NotFound as error:
            return self._missing(self.client(), error)
        except HoldfastError as error:
            return error
        return None

    def _refusal(self, key: str, options: RemoveOptions) -> HoldfastError | None:
        """Why this key is not even asked for: it cannot be a key here, or must exist and does not."""
        try:
            self._check(key)
            if options.must_exist:
                self._read(key, HEAD)
        except HoldfastError as error:
            return error
        return None

    def _remove_together(self, client: Client, batch: list[str]) -> Removed:
        """What became of the keys of one request; raises what does not tell."""
        delete = functools.partial(client.attempt, "delete", None, _obstore.delete, client.plain, batch)
        try:
            delete()
        except (AuthError, BucketNotFound, ConfigError) as error:
            return [_with_key(error, key) for key in batch]
        except HoldfastError as error:
            if not error.retryable:
                raise
            failed = error
        else:
            return [None] * len(batch)
        try:
            client.policy.again(delete, failed)
        except HoldfastError as error:
            # A service that is down for one request is not asked a thousand times more.
            return [_with_key(error, key) for key in batch]
        return [None] * len(batch)

    def _locate(self, key: str) -> Location | None:
        found = self.credentials()
        who = found.principal() if found else "anonymous"
        return Location("s3", f"{self.endpoint or f'amazon/{self.region}'} as {who}", self.bucket, key)


def _from_recipe(kind: type[S3Store], recipe: dict[str, Any], dropped: bool, known: Guarantees | None) -> S3Store:
    store = kind(**recipe)
    store._dropped = dropped
    store._known = known
    return store


def _encrypted(wire: Wire, key: str) -> bool:
    """Whether the object is encrypted with a key of the user's, so that its ETag is no MD5."""
    said = wire.call(Request("read", "HEAD", key)).headers
    kind = said.get("x-amz-server-side-encryption", "")
    return kind.startswith("aws:kms") or "x-amz-server-side-encryption-customer-algorithm" in said


def _with_key(error: HoldfastError, key: str) -> HoldfastError:
    return type(error)(error.message, store=error.store, key=key, cause=error.cause, retryable=error.retryable)


def _endpoint(text: str | None) -> str | None:
    if text is None:
        return None
    match = _ENDPOINT.fullmatch(text)
    if match is None:
        shown = redact.text(text)
        raise ConfigError(f"{shown!r} is not an S3 endpoint: write http(s)://host:port, without user, path or query")
    return f"{match[1]}://{match[2]}"


def _engine_environment() -> tuple[tuple[str, str], ...]:
    # What the engine reads from the environment by itself when a client is made (encryption, checksums, proxies):
    # clients made under another environment are other clients.
    return tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith("AWS_")))


def _fits_a_batch(key: str) -> bool:
    """Whether the engine can name this key in the XML of a batch of deletes."""
    return _obstore.carries(key) and "\ufffe" not in key and "\uffff" not in key


def _make_engine(
    address: Address,
    region: str,
    found: S3Credentials | None,
    request_payer: bool,
    options: dict[str, Any],
    tries: int,
    *,
    batches: bool = True,
) -> Any:
    """The engine's store, with everything said explicitly that it would otherwise look up in the environment."""
    plain = address.url.startswith("http:")
    config: dict[str, Any] = {"skip_signature": True}
    if found is not None:
        answer = {
            "access_key_id": found.access_key_id,
            "secret_access_key": found.secret_access_key,
            "token": found.session_token,
            "expires_at": None,
        }
        config = {"skip_signature": False, "credential_provider": lambda: answer}
    return _obstore.S3Engine(
        address.bucket,
        endpoint=address.url,
        aws_endpoint_url_s3=address.url,
        region=region,
        virtual_hosted_style_request=address.virtual,
        request_payer=request_payer,
        unsigned_payload=not plain,
        conditional_put="etag",
        disable_bulk_delete=not batches,
        client_options={**options, "allow_http": plain},
        retry_config={"max_retries": tries - 1},
        **config,
    )
