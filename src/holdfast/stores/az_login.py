"""Where Azure credentials come from: arguments, a ``secrets`` mapping, or the AZURE_STORAGE_* environment."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ..errors import AuthError, ConfigError
from ..recipes import Secret, stayed_behind
from ._obstore_errors import no_token

ACCOUNT_KEY = ("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_KEY")
SAS_TOKEN = ("AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_SAS_KEY")
CONNECTION_STRING = "AZURE_STORAGE_CONNECTION_STRING"

_PARTS = {"ACCOUNT_KEY": "account_key", "ACCESS_KEY": "account_key", "SAS_TOKEN": "sas_token"}
_SCOPE = "https://storage.azure.com/.default"


@dataclass(frozen=True, slots=True)
class Login(Secret):
    """One way to sign requests; ``provide`` is what the engine calls for it, and its repr shows nothing.

    ``source`` says where it was found.

    >>> Login("account_key", "c2VjcmV0")
    Login('account_key', ***)
    """

    kind: str
    secret: Any = field(repr=False)
    #: Where it was found.
    source: str = field(default="the arguments", compare=False)

    def __repr__(self) -> str:
        return f"Login({self.kind!r}, ***)"

    def provide(self) -> dict[str, Any]:
        """The credential in the form that the engine takes; tokens say when to ask again."""
        if self.kind == "account_key":
            return {"access_key": self.secret, "expires_at": None}
        if self.kind == "sas_token":
            return {"sas_token": self.secret, "expires_at": None}
        try:
            token = self.secret.get_token(_SCOPE)
        except Exception as error:  # noqa: BLE001 - a foreign object may raise anything
            failed = no_token(error)
        else:
            return {"token": token.token, "expires_at": datetime.fromtimestamp(token.expires_on, UTC)}
        raise failed  # outside the handler: foreign text may hold a secret, and an error keeps its context

    def fingerprint(self) -> str:
        """What differs whenever the credential does, and reveals none: the key of client pools."""
        text = self.secret if isinstance(self.secret, str) else f"object {id(self.secret)}"
        return hashlib.sha256(f"{self.kind}\0{text}".encode()).hexdigest()

    def principal(self) -> str:
        """Who acts, as twelve hexadecimal digits."""
        return self.fingerprint()[:12]

    @staticmethod
    def nothing_found(store: str, *, dropped: bool = False) -> AuthError:
        """The error for a store without credentials; ``dropped`` when a pickle left explicit ones behind."""
        why = (
            f"{stayed_behind('its explicit credentials')}, and there are none in the environment"
            if dropped
            else "no credentials in the arguments (account_key, sas_token, credential, secrets) nor in the environment"
        )
        return AuthError(
            f"{why} ({ACCOUNT_KEY[0]}, {SAS_TOKEN[0]}, {CONNECTION_STRING}); no identity service was asked. Set one of "
            "them, pass credential=azure.identity.DefaultAzureCredential(), or anonymous=True for a public container",
            store=store,
        )


@dataclass(frozen=True, slots=True)
class Found:
    """What a connection string says about the account, besides its credentials."""

    account: str | None = None
    endpoint: str | None = None


def find_login(
    given: Mapping[str, Any],
    secrets: Mapping[str, str] | None,
    *,
    anonymous: bool = False,
) -> tuple[Login | None, Found]:
    """The credentials that a caller gave, or else those of the environment, or None; and the account with them.

    Raises ConfigError where several are given, for unknown names in ``secrets`` and for what cannot be a credential.
    """
    given = {kind: value for kind, value in given.items() if value is not None}
    if len(given) + anonymous + (secrets is not None) > 1:
        raise ConfigError("give one of account_key=, sas_token=, credential=, secrets= or anonymous=True, not several")
    if anonymous:
        return None, Found()
    if secrets is not None:
        given = _from_mapping(secrets)
    if given:
        ((kind, value),) = given.items()
        return _login(kind, value, "the arguments"), Found()
    return _from_environment(os.environ)


def _from_mapping(secrets: Mapping[str, str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for name, value in secrets.items():
        part = str(name).upper().removeprefix("AZURE_STORAGE_")
        if part not in _PARTS:
            known = ", ".join(f"AZURE_STORAGE_{part}" for part in _PARTS)
            raise ConfigError(f"secrets= has an entry {str(name)!r} that Azure does not know: the names are {known}")
        given[_PARTS[part]] = value
    if len(given) != 1:
        raise ConfigError("secrets= holds one account key or one SAS token")
    return given


def _from_environment(environment: Mapping[str, str]) -> tuple[Login | None, Found]:
    for kind, names in (("account_key", ACCOUNT_KEY), ("sas_token", SAS_TOKEN)):
        for name in names:
            if value := environment.get(name):
                return _login(kind, value, name), Found()
    if text := environment.get(CONNECTION_STRING):
        return from_connection_string(text, CONNECTION_STRING)
    return None, Found()


def from_connection_string(text: str, where: str) -> tuple[Login | None, Found]:
    """The credentials in a connection string, or None, and the account with them; ``where`` it stood, for errors.

    Raises ConfigError if it names no account, or what cannot be a credential.
    """
    parts = dict(part.split("=", 1) for part in text.strip().strip(";").split(";") if "=" in part)
    account, endpoint = parts.get("AccountName"), parts.get("BlobEndpoint")
    if account and not endpoint and (suffix := parts.get("EndpointSuffix")):
        endpoint = f"{parts.get('DefaultEndpointsProtocol', 'https')}://{account}.blob.{suffix}"
    if not account and not endpoint:
        raise ConfigError(f"{where} names neither an AccountName nor a BlobEndpoint")
    for kind, name in (("account_key", "AccountKey"), ("sas_token", "SharedAccessSignature")):
        if value := parts.get(name):
            return _login(kind, value, where), Found(account, endpoint)
    return None, Found(account, endpoint)


def _login(kind: str, value: Any, where: str) -> Login:
    if kind == "credential":
        if not isinstance(getattr(value, "get_token", None), Callable):  # type: ignore[arg-type]
            raise ConfigError("credential= is an object of azure-identity, or another with a method get_token(scope)")
        return Login(kind, value, where)
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or not value:
        raise ConfigError(f"the {kind} in {where} is not printable ASCII text: was it pasted with a line end?")
    if kind == "sas_token":
        return Login(kind, value.removeprefix("?"), where)
    try:
        base64.b64decode(value, validate=True)
    except binascii.Error:
        raise ConfigError(f"the {kind} in {where} is not base64, as Azure's account keys are") from None
    return Login(kind, value, where)
