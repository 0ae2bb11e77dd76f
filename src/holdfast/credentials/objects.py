"""Credentials that an object of boto3 or botocore holds: it is asked again whenever they are about to end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from ..errors import AuthError, ConfigError
from .pairs import S3Credentials, pair
from .providers import Provider
from .quiet import unlogged

#: Credentials of botocore that do not say when they end are asked for again after this time.
UNSTATED_LIFE = timedelta(minutes=15)


def provider_of(given: Any) -> Provider:
    """The provider of what a session (``get_credentials``) or credentials (``get_frozen_credentials``) hold.

    ConfigError for any other object. The provider raises AuthError when the object has none to give.
    """
    if not (hasattr(given, "get_frozen_credentials") or hasattr(given, "get_credentials")):
        raise ConfigError("credential= is a session of boto3 or botocore, or what its get_credentials() returns")
    return Provider(("object", id(given)), lambda: _held_by(given))


def _held_by(given: Any) -> S3Credentials:
    try:
        with unlogged():  # botocore logs the tokens that it sends
            found = given.get_credentials() if hasattr(given, "get_credentials") else given
            if found is not None:
                return frozen(found, "credential=")
    except ConfigError:
        raise
    except Exception as error:  # noqa: BLE001 - a foreign object may raise anything, and its text may hold a secret
        problem = f"it raises {type(error).__name__}"
    else:
        problem = "it has none"
    raise AuthError(f"no credentials come from the object that was given as credential=: {problem}")


def frozen(found: Any, where: str) -> S3Credentials:
    """The credentials of botocore as they are now, with the time when they end."""
    parts = found.get_frozen_credentials()
    given = {
        "access_key_id": parts.access_key,
        "secret_access_key": parts.secret_key,
        "session_token": parts.token,
    }
    ends = getattr(found, "_expiry_time", None) or datetime.now(UTC) + UNSTATED_LIFE
    return pair(given, where, expires_at=ends)
