"""Where Google credentials come from: arguments, ``secrets``, the environment, gcloud's file, or the machine itself."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..credentials import files
from ..errors import AuthError, ConfigError
from ..recipes import Secret, stayed_behind
from . import gs_tokens

DEFAULT = "GOOGLE_APPLICATION_CREDENTIALS"
#: Variables that name a service account's file (the engine reads them, too), or hold its text.
PATHS = ("GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH")
TEXT = "GOOGLE_SERVICE_ACCOUNT_KEY"
EMULATOR = "STORAGE_EMULATOR_HOST"

#: What emulators are sent, which ask for no credentials but where the engine signs every write.
NOBODY = "anonymous"


@dataclass(frozen=True, slots=True)
class Login(Secret):
    """One way to get bearer tokens; its repr shows nothing.

    ``kind`` is "token" (``secret`` is one), "service_account" or "authorized_user" (the text of its file), "credential"
    (an object of google-auth) or "metadata" (this machine's own account; the host that tells). ``source`` says where it
    was found.

    >>> Login("token", "ya29")
    Login('token', ***)
    """

    kind: str
    secret: Any = field(repr=False, default=None)
    #: Where it was found.
    source: str = field(default="the arguments", compare=False)

    def __repr__(self) -> str:
        return f"Login({self.kind!r}, ***)"

    def engine_options(self) -> dict[str, Any]:
        """What tells the engine to use this."""
        # The engine signs for service accounts by itself, without google-auth. But it reads the variables, too, and
        # takes no key beside the path in one of them.
        if self.kind == "service_account" and not any(map(os.environ.get, PATHS)):
            return {"service_account_key": self.secret}
        return {"credential_provider": self.provide}

    def provide(self) -> gs_tokens.Token:
        """A bearer token and when it ends, as the engine takes them; raises AuthError when it is refused."""
        return gs_tokens.bearer(self.kind, self.secret)()

    def described(self) -> str:
        """What it is, without a secret."""
        if self.kind == "service_account":
            return f"a key of the service account {json.loads(self.secret)['client_email']}"
        names = {"token": "a bearer token", "authorized_user": "the login of a person", "credential": "an identity"}
        return names.get(self.kind, "the account of this machine")

    def fingerprint(self) -> str:
        """What differs whenever the credential does, and reveals none: the key of client pools."""
        text = self.secret if isinstance(self.secret, str) else f"object {id(self.secret)}"
        return hashlib.sha256(f"{self.kind}\0{text}".encode()).hexdigest()

    def principal(self) -> str:
        """Who acts, as twelve hexadecimal digits."""
        return self.fingerprint()[:12]


def from_arguments(given: Mapping[str, Any], secrets: Mapping[str, Any] | None, *, anonymous: bool) -> Login | None:
    """The credentials that a caller gave, or None; ConfigError where several are given or one cannot be used."""
    given = {kind: value for kind, value in given.items() if value is not None}
    if len(given) + anonymous + (secrets is not None) > 1:
        raise ConfigError("give one of service_account=, token=, credential=, secrets= or anonymous=True, not several")
    if secrets is not None:
        return _of_text(json.dumps(dict(secrets)), "secrets=")
    if not given:
        return None
    ((kind, value),) = given.items()
    if kind == "service_account":
        return from_file(os.fspath(value), "service_account=")
    if kind == "credential":
        if not hasattr(value, "refresh"):
            raise ConfigError("credential= is an object of google-auth, with its refresh, valid and token")
    elif not (isinstance(value, str) and value and value.isascii() and value.isprintable()):
        raise ConfigError("token= is not printable ASCII text: was it pasted with a line end?")
    return Login(kind, value)


def from_environment(store: str, bucket: str = "", *, dropped: bool = False) -> Login:
    """The credentials of a secrets file, the environment, gcloud's file, or this machine; else AuthError.

    The machine's metadata service is asked last, answers within 3 s or counts as absent, and is not asked at all when
    NO_GCE_CHECK is set.
    """
    environment = os.environ
    if path := files.find("google", bucket):
        return from_file(path, f"the secrets file {path}")
    for name in PATHS:
        if path := environment.get(name):
            return _service_account_of(from_file(path, name), name)
    if path := environment.get(DEFAULT):
        return from_file(path, DEFAULT)
    if text := environment.get(TEXT):
        return _service_account_of(_of_text(text, TEXT), TEXT)
    directory = environment.get("CLOUDSDK_CONFIG") or os.path.join(os.path.expanduser("~"), ".config", "gcloud")
    path = os.path.join(directory, "application_default_credentials.json")
    if os.path.exists(path):
        return from_file(path, f"gcloud's file {path}")
    tried = "this machine was not asked (NO_GCE_CHECK)"
    if environment.get("NO_GCE_CHECK", "").lower() != "true":
        try:
            login = Login("metadata", gs_tokens.metadata_host(), "this machine's metadata service")
            login.provide()
        except AuthError as error:
            tried = str(error)
        else:
            return login
    why = (
        f"{stayed_behind('its explicit credentials')}, and there are none"
        if dropped
        else "no credentials in the arguments (service_account, token, credential, secrets) nor"
    )
    raise AuthError(
        f"{why} in a secrets file ({' or '.join(files.names('google', bucket))}), in the environment "
        f"({', '.join((*PATHS, DEFAULT, TEXT))}) or in {path}, and {tried}. Run 'gcloud auth application-default "
        f"login', set {DEFAULT}, or pass anonymous=True for a public bucket",
        store=store,
    )


def from_file(path: str, where: str) -> Login:
    """The credentials of a JSON file as Google hands them out."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{where} names {path!r}, which cannot be read: {error}") from None
    return _of_text(text, where)


def _service_account_of(login: Login, where: str) -> Login:
    if login.kind != "service_account":
        raise ConfigError(f"what {where} holds is no service account: name a file of another kind in {DEFAULT}")
    return login


def _of_text(text: str, where: str) -> Login:
    try:
        parsed = json.loads(text)
        kind = parsed.get("type", "service_account" if "private_key" in parsed else None)
    except (ValueError, AttributeError):
        raise ConfigError(f"what {where} holds is not the JSON of a Google credential") from None
    if kind == "service_account":
        if missing := [name for name in ("client_email", "private_key") if not parsed.get(name)]:
            raise ConfigError(f"the service account in {where} has no {' and no '.join(missing)}")
        return Login(kind, text, where)
    if kind == "authorized_user":
        if missing := [name for name in ("client_id", "client_secret", "refresh_token") if not parsed.get(name)]:
            raise ConfigError(f"the credentials in {where} have no {' and no '.join(missing)}")
        return Login(kind, text, where)
    if kind == "external_account" and "executable" not in parsed.get("credential_source", {}):
        return Login("credential", gs_tokens.federated(parsed), where)
    raise ConfigError(
        f"{where} holds a credential of the kind {str(kind)[:80]!r}, which must be opened by google-auth: pass "
        "credential=google.auth.default()[0]"
    )
