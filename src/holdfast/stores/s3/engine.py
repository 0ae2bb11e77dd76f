"""The engine's client for a bucket, told everything that it would otherwise look up by itself."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from ... import network
from ...credentials import Provider
from .. import _obstore
from .options import S3Options
from .wire import Address


class EngineLogin:
    """What the engine calls for credentials, again whenever they are due for renewal.

    The provider decides when that is, so the engine's own threshold (five minutes before the end) is off.
    """

    refresh_threshold = timedelta(0)

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def __repr__(self) -> str:
        return "EngineLogin(***)"

    def __call__(self) -> dict[str, Any]:
        found = self._provider.current()
        return {
            "access_key_id": found.access_key_id,
            "secret_access_key": found.secret_access_key,
            "token": found.session_token,
            "expires_at": self._provider.renew_at(),
        }


def environment() -> tuple[tuple[str, str], ...]:
    """What the engine reads from the environment by itself when a client is made (encryption, checksums, proxies).

    Clients made under another environment are other clients.
    """
    own = sorted((name, value) for name, value in os.environ.items() if name.startswith("AWS_"))
    return (*own, *network.identity())


def make(
    address: Address,
    region: str,
    provider: Provider | None,
    asked: S3Options,
    options: dict[str, Any],
    tries: int,
) -> Any:
    """The engine's store for this bucket; ``options`` are those of its HTTP client."""
    plain = address.url.startswith("http:")
    config: dict[str, Any] = {"skip_signature": True}
    if provider is not None:
        config = {"skip_signature": False, "credential_provider": EngineLogin(provider)}
    return _obstore.S3Engine(
        address.bucket,
        endpoint=address.url,
        aws_endpoint_url_s3=address.url,
        region=region,
        virtual_hosted_style_request=address.virtual,
        unsigned_payload=not plain,
        conditional_put="etag",
        client_options={**options, **network.engine_options(address.url), "allow_http": plain},
        retry_config={"max_retries": tries - 1},
        **asked.engine(),
        **config,
    )
