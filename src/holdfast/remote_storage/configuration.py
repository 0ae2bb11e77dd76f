"""Where a RemoteStorage lies and who asks for it, and the store that this comes to."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from .. import registry
from ..errors import ConfigError
from ..store import ObjectStore

#: The provider whose buckets are directories of this machine; its ``key`` is the directory that they lie in.
LOCAL = "local"
#: Keys of Google that speak the protocol of S3 (HMAC keys) begin like this.
GOOGLE_HMAC = "GOOG"
GOOGLE_AS_S3 = "https://storage.googleapis.com"


class Provider(str, Enum):  # noqa: UP042 - str() of a StrEnum would be another text than it always was
    """The services that a RemoteStorage can be in.

    >>> Provider("s3") is Provider.S3, Provider.S3 == "s3"
    (True, True)
    """

    GOOGLE_STORAGE = "google_storage"
    S3 = "s3"
    AZURE_BLOBS = "azure_blobs"


@dataclass
class RemoteStorageConfig:
    """Everything that is needed to reach a bucket, and the base path in it.

    ``provider`` is one of Provider, or "local" (then ``key`` is a directory and ``bucket`` a directory in it).
    ``key`` and ``secret`` are the access key of S3; the account and its key of Azure; of Google an HMAC key
    (then the protocol is that of S3), or the e-mail of a service account and its JSON, as text or as the path of a
    file. With both empty, credentials are found as everywhere in Holdfast. ``host`` and ``port`` name a
    service of one's own, by https unless ``secure`` is False. ``use_pbar`` shows progress where standard error is a
    terminal; messages below ``log_level`` are not logged.

    Neither ``repr`` nor a pickle contains the secret: a RemoteStorage made of an unpickled one says that it is missing.

    >>> RemoteStorageConfig("s3", "AK", "bucket", "SECRET", base_path="run1")
    RemoteStorageConfig(provider='s3', key='AK', bucket='bucket', region=None, host=None, port=None, base_path='run1', \
secure=True, use_pbar=True, log_level=20)
    """

    provider: str
    key: str
    bucket: str
    secret: str = field(repr=False)
    region: str | None = None
    host: str | None = None
    port: int | None = None
    base_path: str = ""
    secure: bool = True
    use_pbar: bool = True
    log_level: int = logging.INFO

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "secret": ""}

    def __copy__(self) -> RemoteStorageConfig:
        return dataclasses.replace(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> RemoteStorageConfig:
        return dataclasses.replace(self)

    @property
    def endpoint(self) -> str | None:
        """The address that host and port name (``http(s)://host:port``), or None for the service's own."""
        if self.host is None:
            if self.port is not None or not self.secure:
                raise ConfigError("port and secure=False go with a host: name it")
            return None
        if not self.host or "/" in self.host:
            raise ConfigError(f"host={self.host!r} is no host: write its name alone, and set port and secure beside it")
        port = "" if self.port is None else f":{int(self.port)}"
        return f"{'https' if self.secure else 'http'}://{self.host}{port}"


def open_bucket(conf: RemoteStorageConfig) -> ObjectStore:
    """The store of the configured bucket; nothing is contacted yet. ConfigError for what cannot be.

    >>> open_bucket(RemoteStorageConfig("s3", "AK", "bucket", "SECRET", host="localhost", port=9000, secure=False)).name
    's3://http://localhost:9000/bucket'
    """
    provider = conf.provider.value if isinstance(conf.provider, Provider) else conf.provider
    opener = _OPENERS.get(provider)
    if opener is None:
        raise ConfigError(f"provider={provider!r} is none of {', '.join(_OPENERS)}; what speaks S3 is 's3' with a host")
    if provider != Provider.S3 and conf.region is not None:
        raise ConfigError(f"region={conf.region!r} means nothing to the provider {provider!r}: leave it out")
    if provider != LOCAL and bool(conf.key) != bool(conf.secret):
        missing = "secret" if conf.key else "key"
        raise ConfigError(f"the {missing} is missing (a pickled configuration has no secret): give both, or neither")
    return opener(conf)


def _open_s3(conf: RemoteStorageConfig) -> ObjectStore:
    credentials = {"access_key_id": conf.key, "secret_access_key": conf.secret} if conf.key else {}
    return _store("s3", conf.bucket, endpoint=conf.endpoint, region=conf.region, **credentials)


def _open_azure(conf: RemoteStorageConfig) -> ObjectStore:
    endpoint = conf.endpoint
    if endpoint is not None and ".blob." not in endpoint:
        endpoint = f"{endpoint}/{conf.key}"  # elsewhere than at Azure the account is not part of the host
    credentials = {"account": conf.key, "account_key": conf.secret} if conf.key else {}
    return _store("az", conf.bucket, endpoint=endpoint, **credentials)


def _open_google(conf: RemoteStorageConfig) -> ObjectStore:
    if conf.key.startswith(GOOGLE_HMAC):
        credentials = {"access_key_id": conf.key, "secret_access_key": conf.secret}
        return _store("s3", conf.bucket, endpoint=conf.endpoint or GOOGLE_AS_S3, region="auto", **credentials)
    return _store("gs", conf.bucket, endpoint=conf.endpoint, **_service_account(conf))


def _service_account(conf: RemoteStorageConfig) -> dict[str, Any]:
    """The service account as options of the store, from its JSON or the path of the file that has it."""
    secret = conf.secret
    if not secret:
        return {}
    if secret.lstrip().startswith("{"):
        try:
            return {"secrets": json.loads(secret)}
        except ValueError:
            raise ConfigError("the secret begins like JSON and is none") from None
    if "-----BEGIN" in secret:
        raise ConfigError("a bare private key does not say its own id: give the service account's JSON, or its file")
    path = os.path.expanduser(secret)
    if "\0" in path or not os.path.isfile(path):  # so a secret, perhaps, that no message may show
        raise ConfigError("the secret is neither the JSON of a service account nor the path of a file that is there")
    return {"service_account": path}


def _open_local(conf: RemoteStorageConfig) -> ObjectStore:
    if conf.endpoint is not None:
        raise ConfigError("a host means nothing to the provider 'local': leave it out")
    if not conf.key or not conf.bucket or conf.bucket in {".", ".."} or "/" in conf.bucket:
        raise ConfigError("the provider 'local' wants a directory as key, and the name of a directory in it as bucket")
    return _store("file", os.path.join(os.path.expanduser(conf.key), conf.bucket))


def _store(scheme: str, *arguments: Any, **options: Any) -> ObjectStore:
    return registry.store_class(scheme)(*arguments, **options)


_OPENERS = {
    Provider.S3.value: _open_s3,
    Provider.GOOGLE_STORAGE.value: _open_google,
    Provider.AZURE_BLOBS.value: _open_azure,
    LOCAL: _open_local,
}
