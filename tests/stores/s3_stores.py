"""S3Stores for tests: opened on any of the test servers, with retries that do not sleep."""

from __future__ import annotations

from typing import Any

from holdfast.retry import Budget, Policy
from holdfast.stores.s3 import S3Store


def no_sleep(seconds: float) -> None:
    """The sleep of those who do not wait; it pickles."""


def quick(tries: int = 7, capacity: int = 1000) -> Policy:
    """The default policy without the waiting."""
    return Policy(tries=tries, budget=Budget(capacity), sleep=no_sleep)


def open_store(server: Any, bucket: str | None = None, **options: Any) -> S3Store:
    """A store on this server, over a bucket of its own unless one is named."""
    settings: dict[str, Any] = {
        "endpoint": server.endpoint,
        "region": server.region,
        "access_key_id": server.access_key,
        "secret_access_key": server.secret_key,
        "retry": quick(),
    }
    return S3Store(bucket or server.make_bucket(), **{**settings, **options})
