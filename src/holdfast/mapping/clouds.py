"""The constructors of cloud-mappings, both generations: a mapping over one bucket of Amazon, Google or Azure.

``AWSS3Mapping(...)`` is a mapping, ``AWSS3Storage(...).create_mapping()`` makes one, and both create the bucket if it
is not there. Keys are percent-encoded in the names of objects, as cloud-mappings does it, so they share its buckets;
what is not encoded so is not seen. Credentials are found as everywhere in Holdfast, or are objects of the vendors'
libraries.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final

from ..errors import AlreadyExists, AuthError, ConfigError, Unsupported
from ..registry import store_class
from ..stores import az_login
from .cloudmapping import CloudMapping
from .providers import ObjectStorageProvider, StorageProvider

_UNSAID: Final[Any] = object()


# ---------------------------------------------------------------------- providers
class AWSS3StorageProvider(ObjectStorageProvider):
    """The provider over a bucket of Amazon S3, or of what speaks its protocol; ``options`` are those of ``S3Store``.

    ``credentials`` is a session of boto3, or what it holds; without it the usual places are looked at.
    ``silence_warning`` is accepted: what it was about, that S3 knows no atomic requests, is no longer so.
    """

    def __init__(
        self, bucket_name: str, silence_warning: bool = False, credentials: Any = None, **options: Any
    ) -> None:
        if credentials is not None:
            options["credential"] = credentials
        store: Any = store_class("s3")(bucket_name, **options)  # type: ignore[call-arg]
        name = f"CloudStorageProvider=AWSS3,BucketName={bucket_name}"
        super().__init__(store, name, functools.partial(_created, store.create_bucket))


class GoogleCloudStorageProvider(ObjectStorageProvider):
    """The provider over a bucket of Google Cloud Storage, which is created in ``project`` if it is not there.

    ``credentials`` is an object of google-auth; ``options`` are those of ``GoogleStore``.
    """

    def __init__(self, bucket_name: str, project: str | None, credentials: Any = None, **options: Any) -> None:
        if type(credentials).__name__ == "AnonymousCredentials":
            options["anonymous"] = True
        elif credentials is not None:
            options["credential"] = credentials
        store: Any = store_class("gs")(bucket_name, **options)  # type: ignore[call-arg]
        name = f"CloudStorageProvider=GoogleCloudStorage,Project={project},BucketName={bucket_name}"
        create = functools.partial(store.create_bucket, project)
        super().__init__(store, name, functools.partial(_created, create))


class AzureBlobStorageProvider(ObjectStorageProvider):
    """The provider over a container of Azure, which is created with that metadata if it is not there.

    ``credential`` is an account key, a SAS token, a dict of account_name and account_key, or an object of azure-core or
    azure-identity. Without one the AZURE_STORAGE_* variables are taken, or else azure-identity's
    DefaultAzureCredential where that is installed. A ``connection_string`` is instead of it and of ``account_url``;
    ConfigError for both.
    ``options`` are those of ``AzureStore``.
    """

    def __init__(
        self,
        container_name: str,
        credential: Any = None,
        account_url: str | None = None,
        connection_string: str | None = None,
        create_container_metadata: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        if connection_string is not None:
            if credential is not None or account_url is not None:
                raise ConfigError("connection_string= says it all: give no credential= and no account_url= beside it")
            options |= _of_connection_string(connection_string)
        else:
            options |= _of_account_url(account_url)
            options |= _of_azure_credential(credential, options)
        store: Any = store_class("az")(container_name, **options)  # type: ignore[call-arg]
        name = (
            f"CloudStorageProvider=AzureBlobStorage,StorageAccountName={store.account},ContainerName={container_name}"
        )
        create = functools.partial(store.create_container, create_container_metadata)
        super().__init__(store, name, functools.partial(_created, create))


def _created(create: Callable[[], bool]) -> bool:
    try:
        return create()
    except (AuthError, AlreadyExists):
        # Who may not create or look at buckets, or whom this one does not belong to, may still use it: that is told by
        # what comes next.
        return False


def _of_account_url(account_url: str | None) -> dict[str, Any]:
    if account_url is None:
        return {}
    url, _, query = account_url.partition("?")
    endpoint = url if "://" in url else f"https://{url}"
    return {"endpoint": endpoint.rstrip("/"), **({"sas_token": query} if query else {})}


def _of_azure_credential(credential: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a store for what the vendor's libraries take as a credential."""
    if credential is None:
        return {} if given.keys() & {"account_key", "sas_token", "secrets", "anonymous"} else _default_credential()
    if isinstance(credential, str):
        return {"sas_token" if "sig=" in credential else "account_key": credential}
    if isinstance(credential, Mapping):
        return {"account": credential["account_name"], "account_key": credential["account_key"]}
    if named := getattr(credential, "named_key", None):
        return {"account": named.name, "account_key": named.key}
    if signature := getattr(credential, "signature", None):
        return {"sas_token": signature}
    return {"credential": credential}


def _default_credential() -> dict[str, Any]:
    """What azure-identity finds by itself, unless the environment says something already."""
    login, _ = az_login.find_login({}, None)
    if login is not None:
        return {}
    try:
        from azure import identity
    except ImportError:
        return {}  # the first request says what to set, or to pass
    return {"credential": identity.DefaultAzureCredential()}


def _of_connection_string(text: str) -> dict[str, Any]:
    login, found = az_login.from_connection_string(text, "connection_string=")
    if login is None:
        raise ConfigError("connection_string= has neither an AccountKey nor a SharedAccessSignature")
    return {"account": found.account, "endpoint": found.endpoint, login.kind: login.secret}


# ---------------------------------------------------------------------- mappings by name
class AWSS3Mapping(CloudMapping[Any]):
    """A mapping over a bucket of Amazon S3; raw, or made ``with_json``, ``with_pickle`` and so on.

    ``options`` are those of ``CloudMapping``; ``store_options`` those of ``S3Store``.

    >>> AWSS3Mapping.with_json(bucket_name="bucket")  # doctest: +SKIP
    cloudmapping<CloudStorageProvider=AWSS3,BucketName=bucket>
    """

    def __init__(
        self,
        bucket_name: str,
        silence_warning: bool = False,
        sync_initially: bool = True,
        *,
        credentials: Any = None,
        store_options: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        provider = AWSS3StorageProvider(bucket_name, silence_warning, credentials, **(store_options or {}))
        super().__init__(provider, sync_initially=sync_initially, **options)


class GoogleCloudStorageMapping(CloudMapping[Any]):
    """A mapping over a bucket of Google Cloud Storage; raw, or made ``with_json``, ``with_pickle`` and so on.

    ``options`` are those of ``CloudMapping``; ``store_options`` those of ``GoogleStore``.
    """

    def __init__(
        self,
        project: str | None,
        bucket_name: str,
        credentials: Any = None,
        sync_initially: bool = True,
        *,
        store_options: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        provider = GoogleCloudStorageProvider(bucket_name, project, credentials, **(store_options or {}))
        super().__init__(provider, sync_initially=sync_initially, **options)


class AzureBlobMapping(CloudMapping[Any]):
    """A mapping over a container of Azure Blob Storage; raw, or made ``with_json``, ``with_pickle`` and so on.

    For ``credential`` see ``AzureBlobStorageProvider``. ``options`` are those of ``CloudMapping``; ``store_options``
    those of ``AzureStore``.
    """

    def __init__(
        self,
        account_url: str,
        container_name: str,
        credential: Any = None,
        create_container_metadata: Mapping[str, str] | None = None,
        sync_initially: bool = True,
        *,
        store_options: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        provider = AzureBlobStorageProvider(
            container_name,
            credential,
            account_url,
            create_container_metadata=create_container_metadata,
            **(store_options or {}),
        )
        super().__init__(provider, sync_initially=sync_initially, **options)


# ---------------------------------------------------------------------- storages that make mappings
class CloudStorage:
    """A place that makes mappings of itself."""

    def __init__(self, storage_provider: StorageProvider) -> None:
        self._storage_provider = storage_provider

    @property
    def storage_provider(self) -> StorageProvider:
        """The provider that the mappings are over."""
        return self._storage_provider

    def create_mapping(
        self,
        sync_initially: bool = True,
        read_blindly: bool = False,
        read_blindly_error: bool = False,
        read_blindly_default: Any = None,
        serialisation: Any = _UNSAID,
        key_prefix: str | None = None,
        **options: Any,
    ) -> CloudMapping[Any]:
        """A mapping over this place, which is created if it is not there; the arguments are those of CloudMapping.

        A ``serialisation`` must be named: cloud-mappings would pickle without being asked, and to unpickle is to run
        what somebody wrote into the bucket. ConfigError says so; None is raw bytes.
        """
        if serialisation is _UNSAID:
            serialisation = self._default_serialisation()
        return CloudMapping(
            self._storage_provider,
            sync_initially=sync_initially,
            read_blindly=read_blindly,
            read_blindly_error=read_blindly_error,
            read_blindly_default=read_blindly_default,
            serialisation=serialisation,
            key_prefix=key_prefix,
            **options,
        )

    def _default_serialisation(self) -> Any:
        raise ConfigError(
            "name a serialisation: serialisation=pickle() is what cloud-mappings took by default, but whoever can "
            "write to the bucket then runs code here; serialisation='json' is safe, and None is raw bytes"
        )


class AWSS3Storage(CloudStorage):
    """A bucket of Amazon S3, to make mappings of; for the arguments see ``AWSS3StorageProvider``."""

    def __init__(
        self, bucket_name: str, silence_warning: bool = False, credentials: Any = None, **options: Any
    ) -> None:
        super().__init__(AWSS3StorageProvider(bucket_name, silence_warning, credentials, **options))


class GoogleCloudStorage(CloudStorage):
    """A bucket of Google Cloud Storage, to make mappings of; ``options`` are those of ``GoogleStore``."""

    def __init__(self, bucket_name: str, project: str | None, credentials: Any = None, **options: Any) -> None:
        super().__init__(GoogleCloudStorageProvider(bucket_name, project, credentials, **options))


class AzureBlobStorage(CloudStorage):
    """A container of Azure Blob Storage, to make mappings of; for the arguments see ``AzureBlobStorageProvider``."""

    def __init__(
        self,
        container_name: str,
        credential: Any = None,
        account_url: str | None = None,
        connection_string: str | None = None,
        create_container_metadata: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            AzureBlobStorageProvider(
                container_name, credential, account_url, connection_string, create_container_metadata, **options
            )
        )


class AzureTableStorage(CloudStorage):
    """Unsupported: a table of Azure holds rows, not objects."""

    def __init__(self, table_name: str, *arguments: Any, **options: Any) -> None:
        raise Unsupported(f"cannot map the table {table_name!r}: tables are no object store; use AzureBlobStorage")
