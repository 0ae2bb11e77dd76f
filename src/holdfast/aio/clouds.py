"""The stores of clouds and web servers, to await, with the arguments of the synchronous ones."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal

from ..credentials import Secrets
from ..retry import Policy
from ..stores._digests import Mode
from ..stores._timeouts import Timeouts
from ..stores.az import AzureStore
from ..stores.gs import GoogleStore
from ..stores.http import HttpStore
from ..stores.s3 import S3Store
from .facade import AsyncBytesStore


class AsyncS3Store(AsyncBytesStore):
    """An S3Store to await: the objects of a bucket of S3, or of whatever speaks it."""

    store: S3Store

    def __init__(
        self,
        bucket: str,
        *,
        endpoint: str | None = None,
        region: str | None = None,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
        session_token: str | None = None,
        credential: Any = None,
        anonymous: bool = False,
        create: bool = False,
        secrets: Secrets | None = None,
        request_payer: bool = False,
        storage_class: str | None = None,
        encryption: str | None = None,
        kms_key_id: str | None = None,
        bucket_key: bool = False,
        sse_customer_key: bytes | str | None = None,
        acl: str | None = None,
        tags: Mapping[str, str] | None = None,
        connect_timeout: float = 10.0,
        read_timeout: float = 60.0,
        minimum_rate: int = Timeouts.SLOWEST,
        verify: Mode = "auto",
        object_metadata: bool = True,
        retry: Policy | None = None,
    ) -> None:
        super().__init__(
            S3Store(
                bucket,
                endpoint=endpoint,
                region=region,
                access_key_id=access_key_id,
                secret_access_key=secret_access_key,
                session_token=session_token,
                credential=credential,
                anonymous=anonymous,
                create=create,
                secrets=secrets,
                request_payer=request_payer,
                storage_class=storage_class,
                encryption=encryption,
                kms_key_id=kms_key_id,
                bucket_key=bucket_key,
                sse_customer_key=sse_customer_key,
                acl=acl,
                tags=tags,
                connect_timeout=connect_timeout,
                read_timeout=read_timeout,
                minimum_rate=minimum_rate,
                verify=verify,
                object_metadata=object_metadata,
                retry=retry,
            )
        )


class AsyncGoogleStore(AsyncBytesStore):
    """A GoogleStore to await: the objects of a bucket of Google Cloud Storage."""

    store: GoogleStore

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
        super().__init__(
            GoogleStore(
                bucket,
                endpoint=endpoint,
                service_account=service_account,
                token=token,
                credential=credential,
                anonymous=anonymous,
                secrets=secrets,
                user_project=user_project,
                storage_class=storage_class,
                connect_timeout=connect_timeout,
                read_timeout=read_timeout,
                minimum_rate=minimum_rate,
                verify=verify,
                object_metadata=object_metadata,
                retry=retry,
            )
        )


class AsyncAzureStore(AsyncBytesStore):
    """An AzureStore to await: the objects of a container of Azure Blob."""

    store: AzureStore

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
        super().__init__(
            AzureStore(
                container,
                account=account,
                endpoint=endpoint,
                account_key=account_key,
                sas_token=sas_token,
                credential=credential,
                anonymous=anonymous,
                secrets=secrets,
                storage_class=storage_class,
                connect_timeout=connect_timeout,
                read_timeout=read_timeout,
                minimum_rate=minimum_rate,
                verify=verify,
                object_metadata=object_metadata,
                retry=retry,
            )
        )


class AsyncHttpStore(AsyncBytesStore):
    """An HttpStore to await: the objects below a URL of a web server, to be read."""

    store: HttpStore

    def __init__(
        self,
        base_url: str,
        *,
        forbidden: Literal["missing", "raise"] = "missing",
        secrets: Mapping[str, Any] | None = None,
        connect_timeout: float = 10.0,
        read_timeout: float = 60.0,
        minimum_rate: int = Timeouts.SLOWEST,
        retry: Policy | None = None,
    ) -> None:
        super().__init__(
            HttpStore(
                base_url,
                forbidden=forbidden,
                secrets=secrets,
                connect_timeout=connect_timeout,
                read_timeout=read_timeout,
                minimum_rate=minimum_rate,
                retry=retry,
            )
        )
