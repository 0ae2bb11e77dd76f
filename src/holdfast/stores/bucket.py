"""``BucketStore``: a bucket of S3 by the two constructors that amplify-storage-utils has had.

With the address of a service and keys, or with a bucket's name alone, it is an ``S3Store`` and does all that one does.
With a boto3 client of the caller's, or with settings for botocore, each call is one of that client: whole objects, no
conditions, no attributes. Either way a missing key is NotFound (a KeyError), and ``put`` and ``delete`` return True.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .. import recipes, redact
from ..blob import body_bytes
from ..errors import (
    AuthError,
    BucketNotFound,
    ConfigError,
    HoldfastError,
    InvalidKey,
    NotFound,
    StoreError,
    Throttled,
)
from ..keys import printable
from ..store import LIST, Facade, ObjectStore, select
from ..types import Body, Capabilities, ListOptions, ObjectInfo
from .s3 import S3Store
from .s3.store import LONGEST_KEY

_MISSING = frozenset(("404", "NoSuchKey", "NotFound"))
_DENIED = frozenset((
    "401", "403", "AccessDenied", "ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch",
))  # fmt: skip
_SLOW = frozenset(("429", "503", "RequestLimitExceeded", "ServiceUnavailable", "SlowDown", "Throttling"))
_FAILED = frozenset(("500", "502", "504", "InternalError", "RequestTimeout"))
_NO_BUCKET = frozenset(("404", "NoSuchBucket"))
#: Classes of botocore's errors in which no answer came; by name, as botocore need not be there.
_CONNECTION = frozenset(("ConnectionError", "HTTPClientError"))
_HOUR = 3600


class BucketStore(Facade):
    """The objects of one bucket: ``BucketStore(s3_url, s3_access_key, s3_secret_key, bucket_name)``, or by its name.

    The first form names the service and the keys; ``botocore_config_kwargs`` are settings for
    ``botocore.config.Config``, and make boto3 (the extra ``[s3]``) do the work. The second is
    ``BucketStore(bucket_name, client=None)``: with a boto3 client, or with the credentials that are found. All
    arguments may be given by name.

    >>> store = BucketStore("https://minio.example:9000", "key", "secret", "bucket")
    >>> store.name, store
    ('s3://https://minio.example:9000/bucket', BucketStore('s3://https://minio.example:9000/bucket'))
    """

    def __init__(
        self,
        *arguments: Any,
        s3_url: str | None = None,
        s3_access_key: str | None = None,
        s3_secret_key: str | None = None,
        bucket_name: str | None = None,
        botocore_config_kwargs: Mapping[str, Any] | None = None,
        client: Any = None,
    ) -> None:
        named = {
            "s3_url": s3_url, "s3_access_key": s3_access_key, "s3_secret_key": s3_secret_key,
            "bucket_name": bucket_name, "botocore_config_kwargs": botocore_config_kwargs, "client": client,
        }  # fmt: skip
        given = _by_name(arguments, {name: value for name, value in named.items() if value is not None})
        self.bucket_name = str(given["bucket_name"])
        self._client: Any = given.get("client")
        self._recipe: dict[str, Any] = {
            "endpoint_url": given.get("s3_url"),
            "aws_access_key_id": given.get("s3_access_key"),
            "aws_secret_access_key": given.get("s3_secret_key"),
        }
        if settings := given.get("botocore_config_kwargs"):
            self._client = self._made(settings)
        super().__init__(self._opened())

    def __repr__(self) -> str:
        return f"BucketStore({self.name!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        if self._client is not None:
            raise TypeError("a BucketStore with a client cannot be pickled: open the bucket by its URL")
        return _rebuild, (type(self), self.bucket_name, self.store, recipes.carried(self._recipe))

    def set_client(self, client: Any) -> None:
        """Use this boto3 client from now on."""
        self._client = client
        self.store = self._opened()

    def get(self, key: str) -> bytes:
        """The object's bytes; NotFound (a KeyError) if there is none."""
        return self.store.get(key)

    def put(self, key: str, data: Body) -> bool:
        """True once the bytes are stored."""
        self.store.put(key, data)  # type: ignore[arg-type]  # either takes any body
        return True

    def delete(self, key: str) -> bool:
        """True once the object is removed; NotFound (a KeyError) if there is none, which a HEAD tells before."""
        self.store.delete(key)
        return True

    def exists(self, key: str) -> bool:
        """Whether there is such an object; errors other than its absence are raised."""
        return self.store.exists(key)

    def keys(self, prefix: str = "") -> Iterator[str]:
        """The keys that start with the string ``prefix``, page by page as they are asked for."""
        return (info.key for info in self.store._scan(ListOptions(prefix, names_only=True)))

    def presigned_get(self, key: str, expiry: int = _HOUR) -> str:
        """A URL that gets the object without credentials, for ``expiry`` seconds; needs the extra ``[s3]``."""
        return self._presigned("get_object", key, expiry)

    def presigned_put(self, key: str, expiry: int = _HOUR) -> str:
        """A URL that puts the object without credentials, for ``expiry`` seconds; needs the extra ``[s3]``."""
        return self._presigned("put_object", key, expiry)

    def _presigned(self, operation: str, key: str, expiry: int) -> str:
        client = self._made() if self._client is None else self._client
        where = {"Bucket": self.bucket_name, "Key": key}
        with Translating(self.name, key, "sign a URL"):
            url: str = client.generate_presigned_url(operation, Params=where, ExpiresIn=expiry)
        return url

    def _opened(self) -> ObjectStore:
        if self._client is not None:
            return ClientStore(self.bucket_name, self._client)
        found = self._recipe
        return S3Store(
            self.bucket_name,
            endpoint=found["endpoint_url"],
            access_key_id=found["aws_access_key_id"],
            secret_access_key=found["aws_secret_access_key"],
        )

    def _made(self, settings: Mapping[str, Any] | None = None) -> Any:
        """A boto3 client for the same service and keys."""
        try:
            import boto3
            from botocore.config import Config
        except ImportError as error:
            raise ConfigError("this needs the module 'boto3': pip install 'holdfast[s3]'") from error
        region = self.store.region if settings is None and isinstance(self.store, S3Store) else None
        try:
            return boto3.client(
                "s3", config=Config(**settings) if settings else None, region_name=region, **self._recipe
            )
        except (TypeError, ValueError) as error:
            raise ConfigError(f"botocore does not take these settings: {redact.text(str(error))}") from error


class ClientStore(ObjectStore):
    """The objects of a bucket by somebody's boto3 client, each call one of the client's, whole objects in memory."""

    def __init__(self, bucket_name: str, client: Any) -> None:
        self.bucket_name = bucket_name
        self.client = client
        self._bucket_seen = False

    @property
    def name(self) -> str:
        """``s3://bucket``, as the client's own configuration may lead anywhere."""
        return f"s3://{self.bucket_name}"

    @property
    def capabilities(self) -> Capabilities:
        """Listing and writing, each object whole."""
        return Capabilities(listing=True, atomic_write=True, write=True)

    def get(self, key: str) -> bytes:
        """The object's bytes; NotFound (a KeyError) if there is none."""
        with Translating(self.name, key, "get"):
            body = self.client.get_object(Bucket=self.bucket_name, Key=key)["Body"]
            data: bytes = body.read()
            return data

    def put(self, key: str, data: Body) -> None:
        """Store the body, which is gathered in memory."""
        whole = bytes(body_bytes(data))
        with Translating(self.name, key, "put"):
            self.client.put_object(Bucket=self.bucket_name, Key=key, Body=whole)

    def delete(self, key: str) -> None:
        """Remove the object; NotFound (a KeyError) if there is none. S3 itself does not tell, so a HEAD asks before."""
        with Translating(self.name, key, "delete", self._look_for_bucket):
            self.client.head_object(Bucket=self.bucket_name, Key=key)
            self.client.delete_object(Bucket=self.bucket_name, Key=key)

    def _look_for_bucket(self) -> None:
        """Raise the client's error if there is no bucket: a HEAD of an object does not tell that from no object."""
        if not self._bucket_seen:
            self.client.head_bucket(Bucket=self.bucket_name)
            self._bucket_seen = True

    def exists(self, key: str) -> bool:
        """Whether there is such an object."""
        try:
            with Translating(self.name, key, "head", self._look_for_bucket):
                self.client.head_object(Bucket=self.bucket_name, Key=key)
        except NotFound:
            return False
        return True

    def keys(self) -> Iterator[str]:
        """All keys, page by page."""
        return (info.key for info in self._scan())

    def _scan(self, options: ListOptions = LIST) -> Iterator[ObjectInfo]:
        return select(self._rows(options.prefix), options)

    def _rows(self, prefix: str) -> Iterator[ObjectInfo]:
        # An answer repeats its prefix, and XML cannot hold all that one may have: the rest is compared here.
        sent = "".join(itertools.takewhile(str.isprintable, prefix))
        with Translating(self.name, None, "list"):
            paginator = self.client.get_paginator("list_objects_v2")
            for page in paginator.paginate(Bucket=self.bucket_name, Prefix=sent):
                for row in page.get("Contents", ()):
                    yield ObjectInfo(row["Key"], size=row.get("Size"), last_modified=row.get("LastModified"))


class Translating:
    """A ``with`` block whose boto3 errors come out typed; botocore need not be there."""

    def __init__(
        self, store: str, key: str | None, doing: str, look_for_bucket: Callable[[], None] | None = None
    ) -> None:
        self._look_for_bucket = look_for_bucket
        self._context: dict[str, Any] = {"store": store, "key": key}
        self._doing = doing if key is None else f"{doing} {printable(key)!r}"

    def __enter__(self) -> None:
        key = self._context["key"] or ""
        if "\0" in key or len(key.encode("utf-8", "surrogateescape")) > LONGEST_KEY:
            message = f"{printable(key)[:80]!r} has a NUL or more than {LONGEST_KEY} bytes, which no key of S3 has"
            raise InvalidKey(message, **self._context)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and type(error).__module__.startswith(("botocore.", "boto3.")):
            raise self._typed(error) from error
        if isinstance(error, UnicodeEncodeError):
            message = f"{self._doing}: the key is no valid Unicode, and S3 takes nothing else"
            raise InvalidKey(message, key=self._context["key"], store=self._context["store"]) from error

    def _typed(self, error: Exception) -> HoldfastError:
        answer: Any = getattr(error, "response", None) or {}
        code = str(answer.get("Error", {}).get("Code", ""))
        message = f"{self._doing}: {redact.text(str(error))}"
        context = {**self._context, "cause": error}
        if code == "NoSuchBucket":
            return BucketNotFound(message, **context)
        if code == "404" and self._look_for_bucket is not None:
            try:
                self._look_for_bucket()
            except Exception as missing:  # noqa: BLE001 - whatever says so, and nobody may be allowed to ask
                if str((getattr(missing, "response", None) or {}).get("Error", {}).get("Code")) in _NO_BUCKET:
                    return BucketNotFound(f"{self._doing}: there is no such bucket", **context)
        if code in _MISSING:
            return NotFound(f"no object {printable(str(self._context['key']))!r}", **context)
        if code in _DENIED:
            return AuthError(f"{message}; check the keys and what they may do", **context)
        if code in _SLOW:
            return Throttled(message, **context)
        names = {kind.__name__ for kind in type(error).__mro__}
        if "NoCredentialsError" in names or "PartialCredentialsError" in names:
            return AuthError(f"{message}; give the client keys", **context)
        status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        again = bool(names & _CONNECTION) or status >= 500 or code in _FAILED
        return StoreError(message, retryable=again, **context)


def _by_name(arguments: tuple[Any, ...], named: dict[str, Any]) -> dict[str, Any]:
    """The arguments of either constructor by their names; TypeError for what fits neither."""
    seed = ("s3_url", "s3_access_key", "s3_secret_key", "bucket_name", "botocore_config_kwargs")
    today = ("bucket_name", "client")
    names = seed if len(arguments) > len(today) or named.keys() & set(seed[:3]) else today
    given = dict(zip(names, arguments, strict=False))
    fits = len(arguments) <= len(names) and not given.keys() & named.keys()
    given |= named
    if fits and given.get("bucket_name") and not ("client" in given and "s3_url" in given):
        return given
    raise TypeError(
        "BucketStore takes (s3_url, s3_access_key, s3_secret_key, bucket_name, botocore_config_kwargs={}) "
        "or (bucket_name, client=None)"
    )


def _rebuild(kind: type[BucketStore], bucket_name: str, store: S3Store, recipe: dict[str, Any] | None) -> BucketStore:
    made = kind(bucket_name)
    made.store = store
    made._recipe = recipe or {**made._recipe, "endpoint_url": store.endpoint}
    return made
