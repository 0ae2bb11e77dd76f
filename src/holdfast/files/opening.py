"""From the path and options of a CloudFiles to its store: formats, aliases, secrets files, and who locks what."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from .. import registry, url
from ..credentials import files as secrets_files
from ..credentials import pairs
from ..errors import ConfigError, Unsupported
from ..store import ObjectStore
from ..url import URL
from ..wrap.suffix import SuffixStore
from . import paths
from .locking import LockingStore, default_lock_directory

#: Where codecs show as file-name suffixes, because there is no Content-Encoding header to say it.
SUFFIXED = frozenset(("file", "mem", "zip"))
#: Where a path may be relative to the working directory.
LOCAL = frozenset(("config", "file", "hashdir", "sqlite", "zip"))


@dataclass(frozen=True, slots=True)
class Options:
    """How a CloudFiles reaches its location; ``CloudFiles`` tells what each means."""

    secrets: Any = field(default=None, repr=False)
    endpoint: str | None = None
    use_https: bool = False
    request_payer: str | bool | None = None
    no_sign_request: bool = False
    locking: bool | None = None
    lock_dir: str | None = None


class Opened(NamedTuple):
    """A store, and where it is: ``cloudpath`` normalised and without secrets.

    ``again`` is the path by which it can be opened again, whatever the working directory is then.
    """

    store: ObjectStore
    cloudpath: str
    protocol: str
    lock_dir: str | None
    again: str


def open_location(cloudpath: str, options: Options) -> Opened:
    """The store at the path; ConfigError for a path or an option that cannot be. Nothing is contacted yet."""
    spelled = paths.spell(os.fspath(cloudpath))
    where = url.parse(spelled.location)
    if options.use_https:
        where = _public(where, options)
    store = registry.open_store(where, **_store_options(where, spelled, options))
    if where.scheme in SUFFIXED:
        store = SuffixStore(store)
    lock_dir = None
    if options.locking or options.lock_dir is not None:
        if where.scheme != "file":
            raise ConfigError(f"locking= and lock_dir= are for local files: on {where.scheme}:// nothing can be torn")
        lock_dir = os.path.abspath(os.path.expanduser(options.lock_dir or default_lock_directory()))
        if options.locking is not False:
            store = LockingStore(store, where.local_path, lock_dir)
    elif where.scheme == "file":
        lock_dir = default_lock_directory()
    again = str(where) if where.scheme in LOCAL else cloudpath
    return Opened(store, str(where), spelled.token_scheme or where.scheme, lock_dir, again)


def _public(where: URL, options: Options) -> URL:
    """The web server that serves the same objects to anybody."""
    if where.scheme not in paths.WEB_HOSTS:
        return where
    others = ("secrets", "endpoint", "request_payer")
    if said := [name for name in others if getattr(options, name) is not None]:
        raise ConfigError(f"use_https=True reads without credentials: {said[0]}= does not go with it")
    return replace(
        where,
        scheme="https" if where.endpoint is None else where.endpoint.partition("://")[0],
        endpoint=where.endpoint or paths.WEB_HOSTS[where.scheme],
        bucket="",
        path=f"{where.bucket}/{where.path}",
    )


def _store_options(where: URL, spelled: paths.Spelled, options: Options) -> dict[str, Any]:
    """The arguments of the store's constructor: what was given, else what secrets files say."""
    given: dict[str, Any] = {
        "secrets": options.secrets,
        "endpoint": options.endpoint,
        "anonymous": (options.no_sign_request and where.scheme not in {"http", "https"}) or None,
        **_payer(where.scheme, options.request_payer),
    }
    if options.secrets is None and not options.no_sign_request:
        given |= _from_files(where, spelled)
    return {name: value for name, value in given.items() if value is not None}


def _payer(scheme: str, payer: str | bool | None) -> dict[str, Any]:
    if not payer:
        return {}
    if scheme == "gs":
        if not isinstance(payer, str):
            raise ConfigError("request_payer= is the name of the project that pays, on gs://")
        return {"user_project": payer}
    if payer not in {True, "requester"}:
        raise ConfigError(f"request_payer={payer!r}: S3 knows 'requester' alone")
    return {"request_payer": True}


def _from_files(where: URL, spelled: paths.Spelled) -> dict[str, Any]:
    """What the secrets files say that the stores do not look for themselves."""
    if spelled.alias and where.scheme == "s3":
        path = secrets_files.find(spelled.alias, where.bucket)
        if path is not None:
            found = pairs.from_mapping(pairs.read_json(path), path, strict=False)
            names = ("access_key_id", "secret_access_key", "session_token")
            return {name: getattr(found, name) for name in names}
    if where.scheme in {"http", "https"}:
        host = str(where.endpoint).partition("://")[2]
        found_here = _token(spelled.token_scheme, where, host) if spelled.token_scheme else _login(where, host)
        return {"secrets": found_here}
    return {}


def _token(token_scheme: str, where: URL, host: str) -> Mapping[str, Any] | None:
    """The bearer token for a server that asks for one."""
    if token_scheme.startswith("ngauth"):
        raise Unsupported(
            f"{token_scheme}:// asks for a login in a browser: read the bucket itself, as gs://BUCKET/PATH"
        )
    path = secrets_files.find("cave", host)
    if path is None:
        wanted = " or ".join(secrets_files.names("cave", host))
        raise ConfigError(
            f'{token_scheme}://{host} wants a token: put {{"token": ...}} into {wanted} in '
            f"{secrets_files.directories()[0]}, or pass secrets="
        )
    _not_in_the_clear(where, path)
    return {"token": pairs.read_json(path).get("token")}


def _login(where: URL, host: str) -> Mapping[str, Any] | None:
    """User and password for this very server: a general file must name the hosts that they are for."""
    path = secrets_files.find("http", host)
    if path is None or where.userinfo is not None:
        return None
    found = pairs.read_json(path)
    if not os.path.basename(path).startswith(f"{host}-") and host not in found.get("hosts", ()):
        if "hosts" not in found:
            warnings.warn(
                f"{path} is not used: it does not say for which servers it is. Name it {host}-http-secret.json, or add "
                f'"hosts": ["{host}"]',
                stacklevel=2,
            )
        return None
    _not_in_the_clear(where, path)
    return {name: found.get(name) for name in ("user", "password")}


def _not_in_the_clear(where: URL, path: str) -> None:
    host = str(where.endpoint).partition("://")[2].rpartition(":")[0] or str(where.endpoint).partition("://")[2]
    if where.scheme == "http" and host not in {"localhost", "127.0.0.1", "[::1]"}:
        raise ConfigError(f"the secrets in {path} are not sent over plain http to {host}: write https://")
