"""S3 key pairs: the value itself, and how arguments, ``secrets=`` and JSON files spell one."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ..errors import ConfigError
from ..recipes import Secret

#: What a secrets mapping (in any letter case) and the environment call each part.
ACCESS_KEY_ID = "AWS_ACCESS_KEY_ID"
SECRET_ACCESS_KEY = "AWS_SECRET_ACCESS_KEY"  # noqa: S105 - the name of a variable
SESSION_TOKEN = "AWS_SESSION_TOKEN"  # noqa: S105 - the name of a variable

_PARTS = {
    ACCESS_KEY_ID: "access_key_id",
    SECRET_ACCESS_KEY: "secret_access_key",
    SESSION_TOKEN: "session_token",
}

#: The forms of ``secrets=``: a mapping, JSON text, the path of a JSON file, or several paths.
Secrets = Mapping[str, str] | str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


@dataclass(frozen=True, slots=True)
class S3Credentials(Secret):
    """An access key pair, perhaps with a session token and an end; its repr shows none of them.

    >>> S3Credentials("AK", "secret")
    S3Credentials(***)
    """

    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    expires_at: datetime | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        return "S3Credentials(***)"

    def fingerprint(self) -> str:
        """What differs whenever any secret part differs, and reveals none: the key of client pools."""
        parts = (self.access_key_id, self.secret_access_key, self.session_token or "")
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def principal(self) -> str:
        """Who acts, as twelve hexadecimal digits that stay when the session token is renewed."""
        return hashlib.sha256(self.access_key_id.encode()).hexdigest()[:12]

    def shown(self) -> str:
        """The access key id as it may be shown: its first four and last two characters, or less of a short one.

        >>> S3Credentials("AKIAIOSFODNN7EXAMPLE", "secret").shown()
        'AKIA…LE'
        """
        key = self.access_key_id
        return f"{key[:4]}…{key[-2:]}" if len(key) >= 16 else "…"


def from_arguments(
    access_key_id: str | None,
    secret_access_key: str | None,
    session_token: str | None,
    secrets: Secrets | None,
    *,
    anonymous: bool = False,
) -> S3Credentials | None:
    """The credentials that a caller gave, or None when none were given.

    ``secrets`` is a mapping with the names AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN (in any
    letter case, with or without AWS_), the same as JSON text, the path of a JSON file with it, or several paths, of
    which the first that exists counts. Raises ConfigError for half a pair, for unknown names in ``secrets``, for a
    file that is missing or no JSON, and where two of the ways are mixed.
    """
    given = {"access_key_id": access_key_id, "secret_access_key": secret_access_key, "session_token": session_token}
    explicit = any(value is not None for value in given.values())
    if anonymous + explicit + (secrets is not None) > 1:
        raise ConfigError(
            "give one of anonymous=True, access_key_id= with secret_access_key=, or secrets=, not several"
        )
    if secrets is None:
        return pair(given, "the arguments") if explicit else None
    mapping, where = _loaded(secrets)
    return from_mapping(mapping, where)


def from_mapping(secrets: Mapping[str, Any], where: str, *, strict: bool = True) -> S3Credentials:
    """The pair in a mapping; ``strict`` refuses entries that S3 does not know, with a ConfigError that names them."""
    given: dict[str, str | None] = {}
    for name, value in secrets.items():
        part = str(name).upper()
        part = part if part.startswith("AWS_") else f"AWS_{part}"
        if part in _PARTS:
            given[_PARTS[part]] = value
        elif strict:
            known = ", ".join(_PARTS)
            raise ConfigError(f"{where} has an entry {str(name)!r} that S3 does not know: the names are {known}")
    return pair(given, where)


def from_environment(environment: Mapping[str, str] = os.environ) -> S3Credentials | None:
    """The credentials in AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or None.

    Raises ConfigError when only half a pair is set. Empty variables count as unset.

    >>> from_environment({}) is None
    True
    """
    given = {part: environment.get(name) or None for name, part in _PARTS.items()}
    if given["access_key_id"] is None and given["secret_access_key"] is None:
        return None
    return pair(given, "the environment")


def read_json(path: str) -> Mapping[str, Any]:
    """The JSON object in a file of secrets; ConfigError, which shows nothing of it, if it holds none."""
    try:
        with open(path, encoding="utf-8") as file:
            return _parsed(file.read(), path)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
    raise ConfigError(f"the secrets in {path} cannot be read: {reason}")


def pair(given: Mapping[str, Any], where: str, *, expires_at: datetime | None = None) -> S3Credentials:
    """The checked pair of parts that ``where`` gave; ConfigError, without showing any part, for half or broken ones."""
    access_key_id, secret_access_key = given.get("access_key_id"), given.get("secret_access_key")
    if not access_key_id or not secret_access_key:
        missing = ACCESS_KEY_ID if not access_key_id else SECRET_ACCESS_KEY
        raise ConfigError(f"half a pair of S3 credentials in {where}: {missing} is missing, set both")
    session_token = given.get("session_token") or None
    for value in (access_key_id, secret_access_key, session_token or ""):
        if not isinstance(value, str) or not (value.isascii() and value.isprintable()):
            raise ConfigError(
                f"an S3 credential in {where} is not printable ASCII text: was it pasted with a line end?"
            )
    # The engine takes no other time zone, and botocore has a UTC of its own.
    ends = expires_at and expires_at.astimezone(UTC)
    return S3Credentials(access_key_id, secret_access_key, session_token, ends)


def _loaded(secrets: Secrets) -> tuple[Mapping[str, Any], str]:
    """The mapping that a value of ``secrets=`` stands for, and what to call the place it came from."""
    if isinstance(secrets, Mapping):
        return secrets, "secrets="
    if isinstance(secrets, str) and secrets.lstrip().startswith("{"):
        return _parsed(secrets, "secrets="), "secrets="
    if isinstance(secrets, str | os.PathLike):
        secrets = [secrets]
    paths = [os.path.expanduser(os.fspath(path)) for path in secrets]
    for path in paths:
        if os.path.exists(path):
            return read_json(path), path
    raise ConfigError(f"secrets= names no file that exists: {', '.join(paths) or 'the list is empty'}")


def _parsed(text: str, where: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None  # the parser's own error would carry the text along
    if isinstance(value, Mapping):
        return value
    raise ConfigError(f'{where} is not a JSON object such as {{"{ACCESS_KEY_ID}": ..., "{SECRET_ACCESS_KEY}": ...}}')
