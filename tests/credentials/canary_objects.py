"""Credential objects of other libraries, with canaries in them, as programs hand them to stores."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

CANARY = "CANARYobject"


class Token(NamedTuple):
    """What azure-identity's objects give."""

    token: str
    expires_on: int


class AzureIdentity:
    """What azure-identity's objects are to a store."""

    def get_token(self, *scopes):
        """A token that holds for an hour."""
        return Token(f"{CANARY}azuretoken", int(datetime.now(UTC).timestamp()) + 3600)


class AzureRefusal:
    """An identity whose service refuses, and says too much."""

    def get_token(self, *scopes):
        """No token."""
        raise RuntimeError(f"refused: client_secret={CANARY}secret password: '{CANARY}'")


class GoogleCredential:
    """What google-auth's objects are to a store."""

    def __init__(self):
        self.token, self.expiry, self.valid = None, None, False

    def refresh(self, request):
        """A token that holds for ever."""
        self.token, self.expiry, self.valid = f"{CANARY}googletoken", None, True


azure_identity = AzureIdentity()
azure_refusal = AzureRefusal()
google_credential = GoogleCredential()
