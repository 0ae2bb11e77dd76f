"""Where S3 credentials and settings come from: arguments, a ``secrets`` mapping, or the AWS_* environment.

Nothing here asks a network service. What was not found is an AuthError that names what was looked at.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from .errors import AuthError, ConfigError

#: What a secrets mapping (in any letter case) and the environment call each part.
ACCESS_KEY_ID = "AWS_ACCESS_KEY_ID"
SECRET_ACCESS_KEY = "AWS_SECRET_ACCESS_KEY"  # noqa: S105 - the name of a variable
SESSION_TOKEN = "AWS_SESSION_TOKEN"  # noqa: S105 - the name of a variable

_PARTS = {
    ACCESS_KEY_ID: "access_key_id",
    SECRET_ACCESS_KEY: "secret_access_key",
    SESSION_TOKEN: "session_token",
}
_TRUE, _FALSE = frozenset(("1", "true", "yes", "on")), frozenset(("0", "false", "no", "off"))


@dataclass(frozen=True, slots=True)
class S3Credentials:
    """An access key pair, perhaps with a session token; its repr shows none of them.

    >>> S3Credentials("AK", "secret")
    S3Credentials(***)
    """

    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        return "S3Credentials(***)"

    def fingerprint(self) -> str:
        """What differs whenever any part differs, and reveals none: the key of client pools."""
        parts = (self.access_key_id, self.secret_access_key, self.session_token or "")
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def principal(self) -> str:
        """Who acts, as twelve hexadecimal digits that stay when the session token is renewed."""
        return hashlib.sha256(self.access_key_id.encode()).hexdigest()[:12]


def from_arguments(
    access_key_id: str | None,
    secret_access_key: str | None,
    session_token: str | None,
    secrets: Mapping[str, str] | None,
    *,
    anonymous: bool = False,
) -> S3Credentials | None:
    """The credentials that a caller gave, or None when none were given.

    Raises ConfigError for half a pair, for unknown names in ``secrets``, and where two of the ways are mixed.
    """
    given = {"access_key_id": access_key_id, "secret_access_key": secret_access_key, "session_token": session_token}
    explicit = any(value is not None for value in given.values())
    if anonymous + explicit + (secrets is not None) > 1:
        raise ConfigError(
            "give one of anonymous=True, access_key_id= with secret_access_key=, or secrets=, not several"
        )
    if secrets is not None:
        given = _from_mapping(secrets)
    elif not explicit:
        return None
    return _pair(given, "secrets=" if secrets is not None else "the arguments")


def _from_mapping(secrets: Mapping[str, str]) -> dict[str, str | None]:
    given: dict[str, str | None] = {}
    for name, value in secrets.items():
        part = str(name).upper()
        part = part if part.startswith("AWS_") else f"AWS_{part}"
        if part not in _PARTS:
            known = ", ".join(_PARTS)
            raise ConfigError(f"secrets= has an entry {str(name)!r} that S3 does not know: the names are {known}")
        given[_PARTS[part]] = value
    return given


def from_environment(environment: Mapping[str, str] = os.environ) -> S3Credentials | None:
    """The credentials in AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or None.

    Raises ConfigError when only half a pair is set. Empty variables count as unset.

    >>> from_environment({}) is None
    True
    """
    given = {part: environment.get(name) or None for name, part in _PARTS.items()}
    if given["access_key_id"] is None and given["secret_access_key"] is None:
        return None
    return _pair(given, "the environment")


def _pair(given: Mapping[str, str | None], where: str) -> S3Credentials:
    access_key_id, secret_access_key = given.get("access_key_id"), given.get("secret_access_key")
    if not access_key_id or not secret_access_key:
        missing = ACCESS_KEY_ID if not access_key_id else SECRET_ACCESS_KEY
        raise ConfigError(f"half a pair of S3 credentials in {where}: {missing} is missing, set both")
    for value in (access_key_id, secret_access_key, given.get("session_token") or ""):
        if not (value.isascii() and value.isprintable()):
            raise ConfigError(
                f"an S3 credential in {where} is not printable ASCII text: was it pasted with a line end?"
            )
    return S3Credentials(access_key_id, secret_access_key, given.get("session_token") or None)


def nothing_found(store: str, *, dropped: bool = False) -> AuthError:
    """The error for a store without credentials; ``dropped`` when a pickle left explicit ones behind."""
    why = (
        "its explicit credentials stayed behind when it was pickled (a pickle carries no secrets), and there are none"
        if dropped
        else "no credentials among the arguments (access_key_id, secret_access_key, secrets) nor"
    )
    return AuthError(
        f"{why} in the environment ({ACCESS_KEY_ID}, {SECRET_ACCESS_KEY}, {SESSION_TOKEN}); no profile and no metadata "
        f"service was asked. Set {ACCESS_KEY_ID} and {SECRET_ACCESS_KEY}, or read a public bucket without: "
        "anonymous=True (CloudFiles: no_sign_request=True; command line: --anonymous)",
        store=store,
    )


def s3_endpoint(environment: Mapping[str, str] = os.environ) -> str | None:
    """The endpoint that AWS_ENDPOINT_URL_S3 or else AWS_ENDPOINT_URL names, or None for Amazon's own."""
    return environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL") or None


def s3_region(environment: Mapping[str, str] = os.environ) -> str | None:
    """The region that AWS_REGION or else AWS_DEFAULT_REGION names, or None."""
    return environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or None


def plain_http_allowed(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether an endpoint may be http://: yes, unless AWS_ALLOW_HTTP says no; ConfigError if it says neither.

    >>> plain_http_allowed({}), plain_http_allowed({"AWS_ALLOW_HTTP": "false"})
    (True, False)
    """
    word = environment.get("AWS_ALLOW_HTTP", "").strip().lower()
    if word and word not in _TRUE | _FALSE:
        raise ConfigError(f"AWS_ALLOW_HTTP={word!r} is neither true nor false")
    return word not in _FALSE
