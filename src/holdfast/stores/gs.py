"""GoogleStore: objects in one bucket of Google Cloud Storage."""

from __future__ import annotations

import functools
import os
import re
import urllib.parse
from collections.abc import Mapping
from typing import Any, ClassVar

from .. import redact
from ..errors import ConfigError, Conflict, NotFound
from ..retry import Policy
from ..store import HEAD, WRITE, ObjectStore
from ..types import Capabilities, Location, ObjectInfo, WriteOptions
from . import _obstore, gs_login
from ._bucket import BucketStore
from ._obstore import Client
from ._obstore_errors import MissingHeader, shown
from ._transport import Request
from .gs_login import Login

GOOGLE = "https://storage.googleapis.com"
#: Else Google decompresses what is stored with gzip, and the answer has neither length nor ETag.
ALWAYS = {"accept-encoding": "gzip"}

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_ENDPOINT = re.compile(r"(https?)://([^/?#@\s]+)/?")


class GoogleStore(BucketStore):
    """The objects of one bucket: at Google, or where ``endpoint`` (``http(s)://host:port``) says.

    Credentials are ``service_account`` (the path of its JSON file), ``token`` (a bearer token), ``credential`` (an
    object of google-auth), the content of a service account's file as a ``secrets`` mapping, or none with
    ``anonymous=True``, for reading. Else they are looked for at the first use: GOOGLE_APPLICATION_CREDENTIALS and its
    like, the file of ``gcloud auth application-default login``, this machine's own account; tokens are renewed before
    they end. STORAGE_EMULATOR_HOST is an endpoint without credentials. ``connect_timeout`` and ``read_timeout`` are
    seconds without progress; ``retry`` replaces the default policy of 7 tries.

    Objects stored with gzip are read as they are stored, in ranges too. Reads are checked for length and resumed when
    they break; a large one that comes without its length is checked against the length that is stored. Writes appear
    whole or not at all. Creates, replacements and deletes under a condition are exact (done, refused or Indeterminate)
    by generations; an ETag is an MD5 for most objects, so the same bytes written again have the same. Those deletes,
    and reads without a length, need google-auth where the credential is a service account. Keys that the engine would
    alter ("/lead", "trail/", "a//b", "..", control characters) are InvalidKey. A pickle carries no secrets.

    >>> GoogleStore("bucket", anonymous=True).name
    'gs://bucket'
    """

    metadata_names: ClassVar[re.Pattern[str]] = re.compile(r"[a-z0-9][a-z0-9._-]*")
    metadata_rule = "lower-case letters, digits, '.', '_' and '-' come back as they are"

    def __init__(
        self,
        bucket: str,
        *,
        endpoint: str | None = None,
        service_account: str | os.PathLike[str] | None = None,
        token: str | None = None,
        credential: Any = None,
        anonymous: bool = False,
        secrets: Mapping[str, Any] | None = None,
        connect_timeout: float = 10.0,
        read_timeout: float = 60.0,
        retry: Policy | None = None,
    ) -> None:
        if not _BUCKET.fullmatch(bucket):
            raise ConfigError(f"{bucket!r} cannot be the name of a bucket: lower-case letters, digits, '.', '_', '-'")
        given = {"service_account": service_account, "token": token, "credential": credential}
        self._explicit = gs_login.from_arguments(given, secrets, anonymous=anonymous)
        self._found: Login | None = None
        self._dropped = False  # whether a pickle left explicit credentials behind
        self.bucket = bucket
        self.anonymous = anonymous
        self._emulator = endpoint is None and bool(os.environ.get(gs_login.EMULATOR))
        self.endpoint = _endpoint(os.environ[gs_login.EMULATOR] if self._emulator else endpoint)
        where = "" if self.endpoint is None else f"{self.endpoint}/"
        super().__init__(f"gs://{where}{bucket}", connect_timeout, read_timeout, retry)

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            listing=True,
            sorted=True,
            ranges=True,
            metadata=True,
            create=True,
            replace_if=True,
            delete_if=True,
            copy=True,
            atomic_write=True,
            write=True,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        recipe = {
            "bucket": self.bucket,
            "endpoint": None if self._emulator else self.endpoint,
            "anonymous": self.anonymous,
            "connect_timeout": self.timeouts.connect,
            "read_timeout": self.timeouts.read,
            "retry": self.retry,
        }
        return (_from_recipe, (type(self), recipe, self._explicit is not None or self._dropped))

    def login(self) -> Login | None:
        """The credentials to sign with, None for anonymous access; AuthError when there are none."""
        if self.anonymous:
            return None
        if self._explicit is None and self._found is None:
            if self._emulator:
                self._found = Login("token", gs_login.NOBODY)
            else:
                self._found = gs_login.from_environment(self._name, dropped=self._dropped)
        return self._explicit or self._found

    def client(self) -> Client:
        """The engine's client for this bucket and these credentials, shared with equal stores."""
        if self._client is None:
            login, retry = self.login(), self.retry
            identity = (
                *("gs", self._name, login.fingerprint() if login else None),
                *(self.timeouts.connect, self.timeouts.read, id(retry) if retry else None),
            )
            make = functools.partial(_make_engine, self.endpoint or GOOGLE, self.bucket, login)
            timeouts = self.timeouts
            self._client = _obstore.pooled(identity, lambda: Client(self._name, make, timeouts=timeouts, policy=retry))
        return self._client

    def _mode(self, client: Client, key: str, options: WriteOptions) -> Any:
        if options.if_absent:
            return "create"
        try:
            return {"version": self._generation(client, "write", key, options.if_match)}
        except NotFound as error:
            missing = self._missing(client, error)
        if isinstance(missing, NotFound):
            raise self._other_version("write", key)
        raise missing

    def _generation(self, client: Client, doing: str, key: str, etag: str | None) -> str:
        """The generation that has this ETag now: Google's conditions are generations. Conflict if none has."""
        try:
            meta = _obstore.open_body(client, key, key, HEAD)[0].meta
            found, generation = meta["e_tag"], meta["version"]
        except MissingHeader:
            ask = functools.partial(self._transport.open, self._request("read", key, "HEAD", {}))
            answer = client.call("read", key, ask)
            answer.drain_conn()
            found, generation = answer.headers.get("etag"), answer.headers.get("x-goog-generation", "")
        if found != etag:
            raise self._other_version(doing, key)
        return str(generation)

    def _other_version(self, doing: str, key: str) -> Conflict:
        message = f"could not {doing} {shown(key)!r}: it is not the version that was named; read it again"
        return Conflict(message, store=self._name, key=key)

    def _delete_condition(self, client: Client, key: str, etag: str) -> dict[str, str]:
        return {"x-goog-if-generation-match": self._generation(client, "delete", key, etag)}

    def _request(self, doing: str, key: str, method: str, headers: Mapping[str, str]) -> Request:
        url = f"{self.endpoint or GOOGLE}/{self.bucket}/{urllib.parse.quote(key)}"
        login = self.login()
        signed = {} if login is None else {"Authorization": f"Bearer {login.provide()['token']}"}
        return Request(doing, method, url, key, {**headers, **ALWAYS, **signed})

    def _copy(self, source: ObjectStore, src: str, dst: str, options: WriteOptions = WRITE) -> ObjectInfo:
        there, here = source._locate(src), self._locate(dst)
        near = there is not None and (there.vendor, there.identity, there.bucket) == (
            *("gs", here.identity, here.bucket),
        )
        if there is None or not near or there.key == here.key or options.conditional or options.attributes():
            return super()._copy(source, src, dst, options)
        self._check(dst)
        client = self.client()
        try:
            client.call("copy", src, _obstore.copy, client.plain, there.key, here.key)
        except NotFound as error:
            missing = self._missing(client, error)
        else:
            return self._read(dst, HEAD).info
        raise missing

    def _locate(self, key: str) -> Location:
        login = self.login()
        who = login.principal() if login else "anonymous"
        return Location("gs", f"{self.endpoint or 'google'} as {who}", self.bucket, key)


def _from_recipe(kind: type[GoogleStore], recipe: dict[str, Any], dropped: bool) -> ObjectStore:
    store = kind(**recipe)
    store._dropped = dropped
    return store


def _endpoint(text: str | None) -> str | None:
    if text is None:
        return None
    match = _ENDPOINT.fullmatch(text if "://" in text else f"http://{text}")
    if match is None:
        shown = redact.text(text)
        raise ConfigError(f"{shown!r} is not a Google endpoint: write http(s)://host:port, without user, path or query")
    return f"{match[1]}://{match[2]}"


def _make_engine(endpoint: str, bucket: str, login: Login | None, options: dict[str, Any], tries: int) -> Any:
    """The engine's store, with everything said explicitly that it would otherwise look up in the environment."""
    # Even without signing the engine asks for a token before it writes, and would ask the metadata service.
    signing = (login or Login("token", gs_login.NOBODY)).engine_options()
    return _obstore.GCSEngine(
        bucket,
        base_url=endpoint,
        skip_signature=login is None,
        client_options={
            **options,
            "allow_http": endpoint.startswith("http:"),
            "default_headers": ALWAYS,
        },
        retry_config={"max_retries": tries - 1},
        **signing,
    )
