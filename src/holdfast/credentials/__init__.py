"""Where credentials and settings come from, and who one is with them.

For S3, ``find`` walks a chain and the first source that has credentials wins: arguments and ``secrets=``, secrets
files, the AWS_* environment, a web identity, a profile of ``~/.aws``, container metadata, instance metadata. What it
returns is a ``Provider``, shared in the process, that renews credentials before they end, and the list of what was
looked at, which ``holdfast whoami`` shows.

Other services have modules of their own beside ``chain``; what they share is ``Provider`` and ``Explanation``.
Credentials pickle only within ``holdfast.pickling(secrets=True)``, and no repr or error shows a secret.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from ..errors import ConfigError
from .chain import Explanation, Found, Look, find, nothing_found
from .pairs import (
    ACCESS_KEY_ID,
    SECRET_ACCESS_KEY,
    SESSION_TOKEN,
    S3Credentials,
    Secrets,
    from_arguments,
    from_environment,
)
from .profiles import setting
from .providers import Absent, Provider, shared

__all__ = [
    "ACCESS_KEY_ID",
    "SECRET_ACCESS_KEY",
    "SESSION_TOKEN",
    "Absent",
    "Explanation",
    "Found",
    "Look",
    "Provider",
    "S3Credentials",
    "Secrets",
    "find",
    "from_arguments",
    "from_environment",
    "nothing_found",
    "plain_http_allowed",
    "s3_endpoint",
    "s3_region",
    "shared",
]

_TRUE, _FALSE = frozenset(("1", "true", "yes", "on")), frozenset(("0", "false", "no", "off"))


def s3_endpoint(environment: Mapping[str, str] = os.environ) -> str | None:
    """The endpoint that AWS_ENDPOINT_URL_S3 or else AWS_ENDPOINT_URL names, or None for Amazon's own."""
    return environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL") or None


def s3_region(environment: Mapping[str, str] = os.environ) -> str | None:
    """The region that AWS_REGION, AWS_DEFAULT_REGION or else the profile of ``~/.aws`` names, or None."""
    return environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or setting("region", environment)


def plain_http_allowed(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether an endpoint may be http://: yes, unless AWS_ALLOW_HTTP says no; ConfigError if it says neither.

    >>> plain_http_allowed({}), plain_http_allowed({"AWS_ALLOW_HTTP": "false"})
    (True, False)
    """
    word = environment.get("AWS_ALLOW_HTTP", "").strip().lower()
    if word and word not in _TRUE | _FALSE:
        raise ConfigError(f"AWS_ALLOW_HTTP={word!r} is neither true nor false")
    return word not in _FALSE
