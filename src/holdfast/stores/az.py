"""AzureStore: objects ("blobs") in one container of Azure Blob Storage."""

from __future__ import annotations

import functools
import os
import re
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from .. import network, recipes, redact
from ..blob import Blob, BytesBlob
from ..credentials import Explanation
from ..errors import ConfigError, Conflict, InvalidKey, Unsupported
from ..retry import Policy
from ..store import HEAD, LIST, READ, ObjectStore
from ..types import Capabilities, ListOptions, Location, ObjectInfo, ReadOptions, WriteOptions
from . import _obstore, _uploads, az_listing
from ._answers import HISTORY, object_info
from ._bucket import BucketStore
from ._conditions import Version
from ._digests import Mode
from ._documents import Document
from ._obstore import Client
from ._obstore_errors import shown
from ._timeouts import Timeouts
from ._transport import Request
from .az_login import Login, find_login
from .az_signing import signed

_CONTAINER = re.compile(r"\$root|\$web|\$logs|[a-z0-9](?:-?[a-z0-9]){2,62}")
#: What a query says of a request that is about the container, not a blob.
_CONTAINER_ITSELF = {"restype": "container"}
_ENDPOINT = re.compile(r"(https?)://([^/?#@\s]+)(/[^/?#@\s]+)?/?")


class AzureStore(BucketStore):
    """The objects of one container: on Azure, or where ``endpoint`` (``http(s)://host:port/account``) says.

    The account is ``account``, or in the endpoint, or AZURE_STORAGE_ACCOUNT_NAME. Credentials are ``account_key``,
    ``sas_token``, or ``credential`` (an object of azure-identity, or any other with its ``get_token``), or one of the
    first two in a ``secrets`` mapping, or none with ``anonymous=True``; else AZURE_STORAGE_ACCOUNT_KEY,
    AZURE_STORAGE_SAS_TOKEN and AZURE_STORAGE_CONNECTION_STRING are read when the store is made. ``connect_timeout``
    and ``read_timeout`` are seconds without progress, and what moves more slowly than ``minimum_rate`` (bytes a second)
    is stuck too; ``retry`` replaces the default policy of 7 tries, whose budget is shared by all that goes to the
    endpoint.

    New objects get the access tier ``storage_class`` ("Hot", "Cool", "Cold", "Archive").

    Reads are checked for length and resumed when they break. Whole objects that Holdfast wrote are checked against the
    CRC-32C in their metadata (``object_metadata=False`` notes none, ``verify="length"`` looks at lengths alone); an
    ETag of Azure tells nothing about the body, so ``verify="strict"`` is Unsupported. Writes appear whole or not at
    all. Creates, replacements and deletes under a condition are exact: done, refused or Indeterminate. Keys that the
    engine would alter ("/lead", "trail/", "a//b", "..", backslashes, control characters) are InvalidKey. Listings are
    verbatim, but not in the order of UTF-8. A pickle carries no secrets, except
    within ``holdfast.pickling(secrets=True)``.

    >>> AzureStore("container", account="me", anonymous=True).name
    'az://https://me.blob.core.windows.net/container'
    """

    service = "an Azure"
    own_headers = "x-ms-"
    metadata_names: ClassVar[re.Pattern[str]] = re.compile(r"[a-z_][a-z0-9_]*")
    metadata_rule = "lower-case letters, digits and '_', no digit first, come back as they are"

    def __init__(
        self,
        container: str,
        *,
        account: str | None = None,
        endpoint: str | None = None,
        account_key: str | None = None,
        sas_token: str | None = None,
        credential: Any = None,
        anonymous: bool = False,
        secrets: Mapping[str, str] | None = None,
        storage_class: str | None = None,
        connect_timeout: float = 10.0,
        read_timeout: float = 60.0,
        minimum_rate: int = Timeouts.SLOWEST,
        verify: Mode = "auto",
        object_metadata: bool = True,
        retry: Policy | None = None,
    ) -> None:
        if not _CONTAINER.fullmatch(container):
            raise ConfigError(
                f"{container!r} cannot be the name of a container: 3 to 63 of a-z, 0-9 and single hyphens inside"
            )
        given = {"account_key": account_key, "sas_token": sas_token, "credential": credential}
        self._login, found = find_login(given, secrets, anonymous=anonymous)
        self.container = container
        self.anonymous = anonymous
        self.account, self.endpoint = _address(account or found.account, endpoint or found.endpoint)
        self._explicit = any(value is not None for value in (*given.values(), secrets))
        self._dropped = False  # whether a pickle left explicit credentials behind
        if verify == "strict":
            raise Unsupported("verify='strict' is not possible on Azure, whose ETags are no digests: use 'auto'")
        name, timeouts = f"az://{self.endpoint}/{container}", Timeouts(connect_timeout, read_timeout, minimum_rate)
        super().__init__(name, self.endpoint, timeouts, verify, retry, storage_class, stamped=object_metadata)

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            listing=True,
            ranges=True,
            metadata=True,
            create=True,
            replace_if=True,
            delete_if=True,
            atomic_write=True,
            write=True,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        recipe = {
            "container": self.container,
            "account": self.account,
            "endpoint": self.endpoint,
            "anonymous": self.anonymous,
            **self._recipe(),
        }
        login = recipes.carried(self._login) if self._explicit else None
        return (_from_recipe, (type(self), recipe, self._explicit or self._dropped, login))

    def login(self) -> Login | None:
        """The credentials to sign with, None for anonymous access; AuthError when there are none."""
        if self._login is None and not self.anonymous:
            raise Login.nothing_found(self._name, dropped=self._dropped)
        return self._login

    def explain_credentials(self) -> Explanation:
        """Which credentials are used, and where they come from; no secret is shown."""
        if self.anonymous:
            return Explanation(self._name, "anonymous", "anonymous=True was asked for, so requests are not signed")
        if self._login is None:
            return Explanation(self._name, None, Login.nothing_found(self._name, dropped=self._dropped).message)
        kind = {"account_key": "an account key", "sas_token": "a SAS token", "credential": "an identity"}
        why = f"it holds {kind[self._login.kind]} for the account {self.account!r}"
        return Explanation(self._name, self._login.source, why)

    def client(self) -> Client:
        """The engine's client for this container and these credentials, shared with equal stores."""
        if self._client is None:
            login = self.login()
            make = functools.partial(_make_engine, self.endpoint, self.account, self.container, login)
            self._client = self._pooled(make, login.fingerprint() if login else None, _engine_environment())
        return self._client

    def create_container(self, metadata: Mapping[str, str] | None = None) -> bool:
        """Whether the container was created now, with this metadata; False if it was there.

        Raises ConfigError for metadata that would not come back as it was given, AuthError without the permission.
        """
        wanted = WriteOptions(metadata=metadata or {})
        named = _uploads.attributes(wanted, self._name, self.metadata_names, self.metadata_rule)
        return self._create({f"x-ms-meta-{name}": text for name, text in (named or {}).items()}, _CONTAINER_ITSELF)

    def _check(self, key: str) -> None:
        super()._check(key)
        if "\\" in key:
            problem = "Azure may take a backslash for a slash"
            raise InvalidKey(f"cannot hold the key {shown(key)!r}: {problem}", key=key, store=self._name)

    def _read(self, key: str, options: ReadOptions = READ) -> Blob:
        if "\\" in key:
            self._check(key)
        return super()._read(key, options)

    def _part(self, client: Client, key: str, options: ReadOptions) -> Blob:
        try:
            if _counts_back(options):
                return self._from_the_end(client, key, options)
            return super()._part(client, key, options)
        except Conflict:
            if options.if_match is not None:
                _obstore.open_body(client, key, key, HEAD)  # NotFound, which some servers call a Conflict too
            raise

    def _from_the_end(self, client: Client, key: str, options: ReadOptions) -> Blob:
        # Azure has no ranges that count from the end: the size is asked for first, and then that very version read.
        for last in (False, False, False, True):
            wanted = ReadOptions(head=True, if_match=options.if_match)
            info = object_info(key, _obstore.open_body(client, key, key, wanted)[0])
            start = max(0, (info.size or 0) + (options.start or 0))
            if not info.size:
                return BytesBlob(info)
            try:
                return super()._part(client, key, ReadOptions(start, info.size, if_match=info.etag))
            except Conflict:
                if last or options.if_match is not None:
                    raise
        raise AssertionError("the last turn returns or raises")

    def _version(self, head: Any) -> Version:
        return Version.of(head.meta["e_tag"], head.attributes.get(HISTORY))

    def _mode(self, version: Version) -> Any:
        return {"e_tag": version.etag}

    def _delete_condition(self, version: Version) -> dict[str, str]:
        return {"if-match": version.etag}

    def page(self, query: Mapping[str, str]) -> Document:
        prepare = functools.partial(self._request, "list", None, "GET", {}, query=query)
        return self._transport.document(prepare, "EnumerationResults", az_listing.Blobs)

    def _scan(self, options: ListOptions = LIST) -> Iterator[ObjectInfo]:
        """The objects whose keys start with the string ``prefix``, as Azure orders them, 5,000 to a request.

        Every key is shown as it is, markers of folders (`photos/`) included, and also those that cannot be read here.
        Raises StoreError for an answer that is not a listing (a proxy's page of HTML) or contradicts itself.
        """
        return az_listing.scan(self, options)

    def _request(
        self,
        doing: str,
        key: str | None,
        method: str,
        headers: Mapping[str, str],
        *,
        query: Mapping[str, str] | None = None,
    ) -> Request:
        url = f"{self.endpoint}/{self.container}" + ("" if key is None else f"/{urllib.parse.quote(key)}")
        url, headers = signed(method, url, headers, self.account, self.login(), query)
        return Request(doing, method, url, key, headers)

    def _locate(self, key: str) -> Location | None:
        login = self.login()
        who = login.principal() if login else "anonymous"
        return Location("az", f"{self.endpoint} as {who}", self.container, key)


def _counts_back(options: ReadOptions) -> bool:
    return not options.head and options.start is not None and options.start < 0


def _from_recipe(kind: type[AzureStore], recipe: dict[str, Any], dropped: bool, login: Login | None) -> ObjectStore:
    store = kind(**recipe)
    if login is not None:
        store._login, store._explicit = login, True
    store._dropped = dropped and login is None
    return store


def _address(account: str | None, endpoint: str | None) -> tuple[str, str]:
    """The account's name and the address of its blob service."""
    environment = os.environ
    if not endpoint and not account:
        endpoint = environment.get("AZURE_STORAGE_ENDPOINT") or None
    if endpoint is None:
        account = account or environment.get("AZURE_STORAGE_ACCOUNT_NAME") or environment.get("AZURE_STORAGE_ACCOUNT")
        if not account:
            raise ConfigError(
                "no storage account for this az:// location: pass account=, set AZURE_STORAGE_ACCOUNT_NAME, or write "
                "az://https://ACCOUNT.blob.core.windows.net/CONTAINER"
            )
        endpoint = f"https://{account}.blob.core.windows.net"
    match = _ENDPOINT.fullmatch(endpoint)
    if match is None:
        raise ConfigError(
            f"{redact.text(endpoint)!r} is not an Azure endpoint: write http(s)://host:port/account, no user, no query"
        )
    inside = match[3][1:] if match[3] else match[2].partition(".")[0]
    return account or inside, endpoint.rstrip("/")


def _engine_environment() -> tuple[tuple[str, str], ...]:
    # The engine reads the environment by itself when a client is made (encryption, proxies).
    return tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith("AZURE_")))


def _make_engine(
    endpoint: str, account: str, container: str, login: Login | None, options: dict[str, Any], tries: int
) -> Any:
    """The engine's store, with everything said explicitly that it would otherwise look up in the environment."""
    config: dict[str, Any] = {"skip_signature": login is None}
    if login is not None:
        config["credential_provider"] = login.provide
    return _obstore.AzureEngine(
        container,
        account_name=account,
        endpoint=endpoint,
        use_emulator=False,
        use_fabric_endpoint=False,
        client_options={**options, **network.engine_options(endpoint), "allow_http": endpoint.startswith("http:")},
        retry_config={"max_retries": tries - 1},
        **config,
    )
