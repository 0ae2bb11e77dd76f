"""GoogleStore: objects in one bucket of Google Cloud Storage."""

from __future__ import annotations

import functools
import os
import re
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from .. import network, recipes, redact
from ..credentials import Explanation
from ..errors import AuthError, ConfigError, NotFound
from ..retry import Policy
from ..store import HEAD, LIST, WRITE, ObjectStore, Removed
from ..types import Capabilities, ListOptions, Location, ObjectInfo, RemoveOptions, WriteOptions
from . import _list_objects, _obstore, gs_login
from ._answers import HISTORY
from ._bucket import BucketStore
from ._conditions import Version
from ._digests import Mode
from ._documents import Document
from ._list_objects import Page
from ._obstore import Client
from ._timeouts import Timeouts
from ._transport import Request
from .gs_login import Login

GOOGLE = "https://storage.googleapis.com"
#: Else Google decompresses what is stored with gzip, and the answer has neither length nor ETag.
ALWAYS = {"accept-encoding": "gzip"}

METADATA = "x-goog-meta-"

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_PROJECT = re.compile(r"[a-z0-9][a-z0-9:.-]{0,62}")
_ENDPOINT = re.compile(r"(https?)://([^/?#@\s]+)/?")


class GoogleStore(BucketStore):
    """The objects of one bucket: at Google, or where ``endpoint`` (``http(s)://host:port``) says.

    Credentials are ``service_account`` (the path of its JSON file), ``token`` (a bearer token), ``credential`` (an
    object of google-auth), the content of a service account's file as a ``secrets`` mapping, or none with
    ``anonymous=True``, for reading. Else they are looked for at the first use: secrets files (BUCKET-google-secret.json
    and google-secret.json of ``holdfast.credentials.files``), GOOGLE_APPLICATION_CREDENTIALS and its like, the file
    of ``gcloud auth application-default login``, this machine's own account; tokens are renewed before they end.
    STORAGE_EMULATOR_HOST is an endpoint without credentials. ``connect_timeout`` and ``read_timeout`` are
    seconds without progress, and what moves more slowly than ``minimum_rate`` (bytes a second) is stuck too; ``retry``
    replaces the default policy of 7 tries, whose budget is shared by all that goes to the endpoint.

    ``user_project`` is billed for the requests, as buckets want it whose requesters pay; new objects get the
    ``storage_class`` ("NEARLINE" ...).

    Objects stored with gzip are read as they are stored, in ranges too. Reads are checked for length and resumed when
    they break; a large one that comes without its length is checked against the length that is stored. Whole objects
    are checked against the CRC-32C that Holdfast notes in their metadata (``object_metadata=False`` notes none), else
    against their MD5 where their ETag is one: ``verify="strict"`` raises where it cannot be known to be one,
    ``"length"`` looks at lengths alone. Writes appear whole or not at all. Creates, replacements and deletes under a
    condition are exact (done, refused or Indeterminate) by generations; the same bytes written again may have the same
    ETag. Those deletes, listings, and reads without a length need google-auth where the credential is a service
    account. Keys that the engine would alter ("/lead", "trail/", "a//b", "..", control characters) are InvalidKey;
    listings show them all, verbatim. A pickle carries no secrets, except within ``holdfast.pickling(secrets=True)``.

    >>> GoogleStore("bucket", anonymous=True).name
    'gs://bucket'
    """

    service = "a Google"
    by_generation = True
    own_headers = "x-goog-"
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
        user_project: str | None = None,
        storage_class: str | None = None,
        connect_timeout: float = 10.0,
        read_timeout: float = 60.0,
        minimum_rate: int = Timeouts.SLOWEST,
        verify: Mode = "auto",
        object_metadata: bool = True,
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
        if user_project is not None and not _PROJECT.fullmatch(user_project):
            raise ConfigError(f"user_project={user_project!r} is not the name of a Google project")
        self.user_project = user_project
        self._emulator = endpoint is None and bool(os.environ.get(gs_login.EMULATOR))
        self.endpoint = _endpoint(os.environ[gs_login.EMULATOR] if self._emulator else endpoint)
        where = "" if self.endpoint is None else f"{self.endpoint}/"
        timeouts = Timeouts(connect_timeout, read_timeout, minimum_rate)
        place = self.endpoint or GOOGLE
        super().__init__(
            f"gs://{where}{bucket}", place, timeouts, verify, retry, storage_class, stamped=object_metadata
        )

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
            "user_project": self.user_project,
            **self._recipe(),
        }
        dropped = self._explicit is not None or self._dropped
        return (_from_recipe, (type(self), recipe, dropped, recipes.carried(self._explicit)))

    def login(self) -> Login | None:
        """The credentials to sign with, None for anonymous access; AuthError when there are none."""
        if self.anonymous:
            return None
        if self._explicit is None and self._found is None:
            if self._emulator:
                self._found = Login("token", gs_login.NOBODY)
            else:
                self._found = gs_login.from_environment(self._name, self.bucket, dropped=self._dropped)
        return self._explicit or self._found

    def explain_credentials(self) -> Explanation:
        """Which credentials are used, and where they come from; no secret is shown."""
        if self.anonymous:
            return Explanation(self._name, "anonymous", "anonymous=True was asked for, so requests are not signed")
        try:
            login = self.login()
        except AuthError as error:
            return Explanation(self._name, None, error.message)
        if self._emulator or login is None:
            return Explanation(self._name, "none needed", f"{gs_login.EMULATOR} names an emulator")
        return Explanation(self._name, login.source, f"it gave {login.described()}")

    def client(self) -> Client:
        """The engine's client for this bucket and these credentials, shared with equal stores."""
        if self._client is None:
            login = self.login()
            make = functools.partial(_make_engine, self.endpoint or GOOGLE, self.bucket, login, self._headers())
            self._client = self._pooled(make, login.fingerprint() if login else None, self.user_project)
        return self._client

    def create_bucket(self, project: str | None = None) -> bool:
        """Whether the bucket was created now, in this project (None: the default one); False if it was there.

        Raises AuthError for a bucket of somebody else and without the permission, ConfigError for what is no project.
        """
        if project is not None and not _PROJECT.fullmatch(project):
            raise ConfigError(f"project={project!r} is not the name of a Google project")
        return self._create({} if project is None else {"x-goog-project-id": project}, {})

    def _encrypted(self, key: str) -> bool:
        answer = self._transport.open(self._request("read", key, "HEAD", {}))
        answer.drain_conn()
        return any(name.lower().startswith("x-goog-encryption-") for name in answer.headers)

    def _look_ourselves(self, client: Client, key: str) -> Version | None:
        request = self._request("read", key, "HEAD", {})
        answer = client.call("read", key, functools.partial(self._transport.open, request))
        answer.drain_conn()
        said = answer.headers
        if "x-goog-generation" not in said:
            raise self._transport.nonsense(request, "names no generation")
        return Version.of(said.get("etag"), said.get(METADATA + HISTORY), said["x-goog-generation"])

    def _version(self, head: Any) -> Version:
        return Version.of(head.meta["e_tag"], head.attributes.get(HISTORY), head.meta["version"])

    def _mode(self, version: Version) -> Any:
        return {"version": version.generation}

    def _delete_condition(self, version: Version) -> dict[str, str]:
        return {"x-goog-if-generation-match": version.generation or ""}

    @property
    def remove_batch(self) -> int:
        return 8

    def _remove_wanted(self, client: Client, batch: list[str], options: RemoveOptions) -> Removed:
        # obstore too deletes one by one here, but believes a proxy's page of HTML; bulk runs have the threads.
        return [self._remove_single(client, key, options) for key in batch]

    def _delete_plainly(self, client: Client, key: str) -> None:
        client.attempt("delete", key, self._delete_once, key, {})

    def _headers(self) -> dict[str, str]:
        """What every request carries."""
        return ALWAYS if self.user_project is None else {**ALWAYS, "x-goog-user-project": self.user_project}

    def page(self, query: Mapping[str, str]) -> Page:
        prepare = functools.partial(self._request, "list", None, "GET", {}, query=query)
        return self._transport.document(prepare, "ListBucketResult", Page)

    def _scan(self, options: ListOptions = LIST) -> Iterator[ObjectInfo]:
        """The objects whose keys start with the string ``prefix``, in order, in requests of up to 1,000 rows.

        Every key is shown as it is, markers of folders (`photos/`) included, and also those that cannot be read here.
        Raises StoreError for an answer that is not a listing (a proxy's page of HTML) or contradicts itself.
        """
        return _list_objects.scan(self, options)

    def _request(
        self,
        doing: str,
        key: str | None,
        method: str,
        headers: Mapping[str, str],
        *,
        query: Mapping[str, str] | None = None,
    ) -> Request:
        url = f"{self.endpoint or GOOGLE}/{self.bucket}" + ("" if key is None else f"/{urllib.parse.quote(key)}")
        if query:
            url += "?" + urllib.parse.urlencode(query, quote_via=urllib.parse.quote)
        login = self.login()
        signed = {} if login is None else {"Authorization": f"Bearer {login.provide()['token']}"}
        return Request(doing, method, url, key, {**headers, **self._headers(), **signed})

    def _copy(self, source: ObjectStore, src: str, dst: str, options: WriteOptions = WRITE) -> ObjectInfo:
        there, here = source._locate(src), self._locate(dst)
        near = there is not None and (there.vendor, there.identity, there.bucket) == (
            *("gs", here.identity, here.bucket),
        )
        if there is None or not near or there.key == here.key or options.conditional or self._attributes(options):
            return super()._copy(source, src, dst, options)
        self._check(dst)
        client = self.client()
        try:
            if options.source_if_match is None:
                client.call("copy", src, _obstore.copy, client.plain, there.key, here.key)
            else:
                self._copy_version(there.key, here.key, options.source_if_match)
        except NotFound as error:
            missing = self._missing(client, error)
        else:
            return self._read(dst, HEAD).info
        raise missing

    def _copy_version(self, there: str, key: str, etag: str) -> None:
        """Copy that version, or raise Conflict: a condition that the engine's copy cannot carry."""
        source = urllib.parse.quote(f"{self.bucket}/{there}")
        headers = {"x-goog-copy-source": source, "x-goog-copy-source-if-match": etag}
        prepare = functools.partial(self._request, "copy", key, "PUT", headers)
        self._transport.document(prepare, "CopyObjectResult", Document)

    def _locate(self, key: str) -> Location:
        login = self.login()
        who = login.principal() if login else "anonymous"
        return Location("gs", f"{self.endpoint or 'google'} as {who}", self.bucket, key)


def _from_recipe(kind: type[GoogleStore], recipe: dict[str, Any], dropped: bool, login: Login | None) -> ObjectStore:
    store = kind(**recipe)
    store._explicit = login
    store._dropped = dropped and login is None
    return store


def _endpoint(text: str | None) -> str | None:
    if text is None:
        return None
    match = _ENDPOINT.fullmatch(text if "://" in text else f"http://{text}")
    if match is None:
        shown = redact.text(text)
        raise ConfigError(f"{shown!r} is not a Google endpoint: write http(s)://host:port, without user, path or query")
    return f"{match[1]}://{match[2]}"


def _make_engine(
    endpoint: str, bucket: str, login: Login | None, headers: dict[str, str], options: dict[str, Any], tries: int
) -> Any:
    """The engine's store, with everything said explicitly that it would otherwise look up in the environment."""
    # Even without signing the engine asks for a token before it writes, and would ask the metadata service.
    signing = (login or Login("token", gs_login.NOBODY)).engine_options()
    return _obstore.GCSEngine(
        bucket,
        base_url=endpoint,
        skip_signature=login is None,
        client_options={
            **options,
            **network.engine_options(endpoint),
            "allow_http": endpoint.startswith("http:"),
            "default_headers": headers,
        },
        retry_config={"max_retries": tries - 1},
        **signing,
    )
