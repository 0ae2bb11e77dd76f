"""Bearer tokens for Google: how each kind of credential gets one, and the process's memory of those that still hold."""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import os
import time
import weakref
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from .. import locks
from ..errors import AuthError, ConfigError, HoldfastError, StoreError
from ._obstore_errors import no_token

SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
TOKEN_ADDRESS = "https://oauth2.googleapis.com/token"  # noqa: S105 - where tokens are
#: A token is renewed this long before it ends, for requests that are still on their way then.
MARGIN = timedelta(seconds=60)
#: One that lives for less than the margin is still taken for this long, so that no service is asked per request.
SHORTEST = timedelta(seconds=1)

#: A metadata service that did not answer is taken for absent for so long.
ABSENT_SECONDS = 30.0

_SECONDS = 10.0
_METADATA_SECONDS = 3.0
_METADATA_PATH = "/computeMetadata/v1/instance/service-accounts/default/token"

#: When a metadata service that was absent may be asked again.
_absent: dict[str, float] = {}

#: What the engine takes from a provider: ``token``, and ``expires_at`` (None: never).
Token = dict[str, Any]


_bearers: weakref.WeakSet[Bearer] = weakref.WeakSet()


class Bearer:
    """The token of one credential, which ``ask`` gets anew before it ends: one thread asks, the others wait for it.

    >>> Bearer(lambda: {"token": "ya29", "expires_at": None})()["token"]
    'ya29'
    """

    def __init__(self, ask: Callable[[], Token]) -> None:
        self._ask = ask
        self._lock = locks.lock()
        self._token: Token | None = None
        self._renew_at: datetime | None = None
        _bearers.add(self)

    def __call__(self) -> Token:
        """A token that holds for some time; raises what ``ask`` raises."""
        with self._lock:
            now = datetime.now(UTC)
            if self._token is None or (self._renew_at is not None and now >= self._renew_at):
                self._token = self._ask()
                ends = self._token["expires_at"]
                self._renew_at = None if ends is None else max(ends - MARGIN, min(ends, now + SHORTEST))
            return self._token


def _after_fork_in_child() -> None:
    # A thread of the parent may have held these locks, and it does not exist here.
    for bearer in list(_bearers):
        bearer._lock = locks.lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


@functools.lru_cache(maxsize=64)
def bearer(kind: str, secret: Any) -> Bearer:
    """The tokens of a login (see gs_login.Login for the kinds), the same for everyone in this process."""
    if kind == "token":
        return Bearer(lambda: {"token": secret, "expires_at": None})
    if kind == "metadata":
        return Bearer(functools.partial(ask_metadata, secret))
    if kind == "authorized_user":
        return Bearer(functools.partial(_exchange, json.loads(secret)))
    credential = _service_account(secret) if kind == "service_account" else secret
    return Bearer(functools.partial(_refresh, credential))


def metadata_host() -> str:
    """Where this machine's metadata service is, if it has one."""
    return os.environ.get("GCE_METADATA_HOST") or "metadata.google.internal"


def ask_metadata(host: str) -> Token:
    """A token of this machine's own account; AuthError when no metadata service gives one within 3 s.

    One that was not there is not asked again for 30 s: a bulk run fails at once, and not once for each object.
    """
    import urllib3

    if time.monotonic() < _absent.get(host, 0.0):
        raise AuthError("this machine had no metadata service a moment ago")
    try:
        with urllib3.PoolManager(retries=False, timeout=_METADATA_SECONDS) as pool:
            answer = pool.request("GET", f"http://{host}{_METADATA_PATH}", headers={"Metadata-Flavor": "Google"})
            if answer.status == 200:
                return _token(answer.json())
        if answer.status >= 500 or answer.status == 429:
            raise StoreError(f"this machine's metadata service says {answer.status}", retryable=True)
        raise AuthError(f"this machine's metadata service says {answer.status}")
    except (urllib3.exceptions.HTTPError, ValueError, KeyError, TypeError) as error:
        _absent[host] = time.monotonic() + ABSENT_SECONDS
        raise AuthError(f"this machine has no metadata service ({type(error).__name__})") from None


def _exchange(user: dict[str, str]) -> Token:
    """A token for the refresh token that ``gcloud auth application-default login`` keeps."""
    import urllib3

    wanted = {name: user[name] for name in ("client_id", "client_secret", "refresh_token")}
    address = user.get("token_uri") or TOKEN_ADDRESS
    try:
        with urllib3.PoolManager(retries=False, timeout=_SECONDS) as pool:
            fields = {**wanted, "grant_type": "refresh_token"}
            answer = pool.request("POST", address, fields=fields, encode_multipart=False, redirect=False)
            if answer.status == 200:
                return _token(answer.json())
    except (urllib3.exceptions.HTTPError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"Google's token service gave no answer ({type(error).__name__})", retryable=True) from None
    if answer.status >= 500 or answer.status == 429:
        raise StoreError(f"Google's token service says {answer.status}", retryable=True)
    said = ""
    with contextlib.suppress(ValueError, AttributeError):
        said = str(answer.json().get("error", ""))[:80]
    raise AuthError(
        f"Google refuses the login in the file ({answer.status} {said}): run 'gcloud auth application-default login'"
    )


def _token(answer: Any) -> Token:
    expires = datetime.now(UTC) + timedelta(seconds=float(answer["expires_in"]))
    return {"token": str(answer["access_token"]), "expires_at": expires}


def _refused(credential: Any) -> HoldfastError | None:
    """Why this object of google-auth gets no new token, if it does not."""
    import urllib3

    transport = google_auth("google.auth.transport.urllib3").Request(urllib3.PoolManager())
    try:
        credential.refresh(transport)
    except Exception as error:  # noqa: BLE001 - a foreign object may raise anything
        return no_token(error)
    return None


def _refresh(credential: Any) -> Token:
    """A token of an object of google-auth."""
    failed = None if credential.valid else _refused(credential)
    if failed is not None:
        raise failed  # outside the handler: foreign text may hold a secret, and an error keeps its context
    expiry = credential.expiry
    return {"token": credential.token, "expires_at": expiry.replace(tzinfo=UTC) if expiry else None}


def _service_account(text: str) -> Any:
    # Signed here, without asking anybody, as the engine does it.
    kind = google_auth("google.oauth2.service_account").Credentials
    return kind.from_service_account_info(json.loads(text), scopes=[SCOPE]).with_always_use_jwt_access(True)


def federated(account: dict[str, Any]) -> Any:
    """An object of google-auth for a workload of another cloud or identity provider, from its file's content."""
    of_amazon = str(account.get("subject_token_type", "")).startswith("urn:ietf:params:aws:")
    module = google_auth("google.auth.aws" if of_amazon else "google.auth.identity_pool")
    try:
        return module.Credentials.from_info(account, scopes=[SCOPE])
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigError(f"the external account cannot be used: {error}") from None


def google_auth(module: str) -> Any:
    """A module of google-auth; ConfigError with the line to type where it is missing."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise ConfigError("these Google credentials need google-auth: pip install 'holdfast[gcs]'") from None
