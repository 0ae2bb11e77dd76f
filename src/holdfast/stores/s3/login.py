"""How an S3 store signs: its credentials as the engine asks for them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from ...credentials import Provider


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
