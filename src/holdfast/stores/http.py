"""HttpStore: objects that a plain web server serves, for reading."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from .. import network, recipes, redact
from ..blob import Blob
from ..errors import AuthError, ConfigError, NotFound
from ..recipes import stayed_behind
from ..retry import Policy, shared
from ..store import LIST, READ, REMOVE, WRITE, Removed, Store
from ..types import Body, Capabilities, ListOptions, Location, ObjectInfo, ReadOptions, RemoveOptions, WriteOptions
from . import _chunked, _obstore
from ._obstore import Client
from ._obstore_errors import Forbidden, MissingHeader, shown
from ._timeouts import Timeouts
from ._transport import Request, Transport

_URL = re.compile(r"(https?)://(?:([^/?#@\s]*)@)?([^/?#@\s]+)(/[^?#]*)?")
#: Web servers take request lines of some 8 KB, and a byte of a key may become three ("%20") on the way.
LONGEST_KEY = 2048
#: A key of up to this many characters cannot have more than LONGEST_KEY bytes.
SURELY_SHORT = LONGEST_KEY // 4


class HttpStore(Store):
    """The objects below a URL of a web server: get, head, ranges and conditional reads, nothing else.

    ``base_url`` is ``http(s)://[user:password@]host[:port][/path]``; its path is taken as it stands, as keys are
    (spaces, "%", "#", "?" and unicode are encoded on the way). User and password go into the Authorization header,
    which a redirect to another host loses, and are shown nowhere; a redirect from https down to http is a ConfigError.
    ``secrets`` is a mapping with the same ``user`` and ``password``, or with a bearer ``token``, instead.
    ``forbidden`` says what a 403 means: that the
    object is ``"missing"``, as on most public servers, or an AuthError (``"raise"``). The timeouts are seconds
    without progress, and what comes more slowly than ``minimum_rate`` (bytes a second) is stuck too.

    Reads are checked for length, and a broken one is resumed when the server names an ETag that is not weak. A server
    that ignores ranges is read whole and cut. A body of unknown length is read if it comes in chunks, for then its end
    is told; its ``info.size`` is None, and one that breaks is read again from its start or fails. A page of HTML with
    status 200 in place of an object cannot be told from the object.

    >>> HttpStore("https://me:secret@data.example/public/").name
    'https://data.example/public'
    """

    def __init__(
        self,
        base_url: str,
        *,
        forbidden: Literal["missing", "raise"] = "missing",
        secrets: Mapping[str, Any] | None = None,
        connect_timeout: float = 10.0,
        read_timeout: float = 60.0,
        minimum_rate: int = Timeouts.SLOWEST,
        retry: Policy | None = None,
    ) -> None:
        match = _URL.fullmatch(base_url)
        if match is None:
            raise ConfigError(
                f"{redact.text(base_url)!r} is not http(s)://host[:port][/path]: a query or fragment (as in a signed "
                "URL) belongs to one object and would be lost"
            )
        if forbidden not in {"missing", "raise"}:
            raise ConfigError(f"forbidden={forbidden!r} is neither 'missing' nor 'raise'")
        scheme, userinfo, host, path = match.groups(default="")
        self.forbidden = forbidden
        self.timeouts = Timeouts(connect_timeout, read_timeout, minimum_rate)
        self.retry = retry
        self._origin = f"{scheme}://{host}"
        self._prefix = path.strip("/")
        self._name = f"{self._origin}/{self._prefix}".rstrip("/")
        self._authorization = basic(userinfo)
        if secrets is not None:
            if self._authorization is not None:
                raise ConfigError(f"{self._name}: give user and password in the URL or in secrets=, not in both")
            self._authorization = _authorization(secrets)
        self._dropped = False
        self._client: Client | None = None
        self._transport = Transport(self._name, self.timeouts, retry or shared(self._origin))
        if self._prefix:
            _obstore.check_key(self._prefix, self._name)
            self._prefix += "/"

    # ------------------------------------------------------------------ what the store is
    @property
    def name(self) -> str:
        return self._name

    def __repr__(self) -> str:
        return f"HttpStore({self._name!r})"

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(ranges=True)

    def close(self) -> None:
        self._client = None

    def __reduce__(self) -> tuple[Any, ...]:
        options = {
            "forbidden": self.forbidden,
            "connect_timeout": self.timeouts.connect,
            "read_timeout": self.timeouts.read,
            "minimum_rate": self.timeouts.slowest,
            "retry": self.retry,
        }
        dropped = self._authorization is not None or self._dropped
        return (_from_recipe, (type(self), self._name, options, dropped, recipes.carried(self._authorization)))

    def client(self) -> Client:
        """The engine's client for this server, shared with equal stores."""
        if self._client is None:
            if self._dropped:
                raise AuthError(
                    f"{stayed_behind('its user and password')}: make the store anew with them where it is used",
                    store=self._name,
                )
            make = functools.partial(_make_engine, self._origin, self._authorization)
            timeouts, retry = self.timeouts, self.retry or shared(self._origin)
            identity = (
                *("http", self._name, self._authorization, timeouts.connect, timeouts.read, timeouts.slowest),
                id(retry),
                network.identity(),
            )
            self._client = _obstore.pooled(identity, lambda: Client(self._name, make, timeouts=timeouts, policy=retry))
        return self._client

    # ------------------------------------------------------------------ the verbs
    def _read(self, key: str, options: ReadOptions = READ) -> Blob:
        client = self._client or self.client()
        if key[0] == "/" or key[-1] == "/" or len(key) > SURELY_SHORT:
            _obstore.check_key(key, self._name, longest=LONGEST_KEY)
        try:
            return self._open(client, key, options)
        except Forbidden as error:
            if self.forbidden == "raise":
                raise
            cause = error
        message = f"no object {shown(key)!r}, or not for everybody: the server says 403 (forbidden='raise' raises that)"
        raise NotFound(message, store=self._name, key=key, cause=cause)

    def _open(self, client: Client, key: str, options: ReadOptions) -> Blob:
        path = self._prefix + key
        try:
            if options is READ or options == READ:
                return client.open(key, path)
            return _obstore.read_part(client, key, path, options)
        except MissingHeader:
            prepare = functools.partial(self._request, key)
        return _chunked.read(_chunked.Source(client, self._transport, prepare, key, options))

    def _request(self, key: str, method: str, headers: Mapping[str, str]) -> Request:
        url = f"{self._origin}/{urllib.parse.quote(self._prefix + key)}"
        if self._authorization is not None:
            headers = {**headers, "Authorization": self._authorization}
        return Request("read", method, url, key, headers, follow=True)

    def _write(self, key: str, body: Body, options: WriteOptions = WRITE) -> ObjectInfo:
        raise self._unsupported("a write", cure="web servers are read")

    def _remove(self, keys: Sequence[str], options: RemoveOptions = REMOVE) -> Removed:
        raise self._unsupported("a delete", cure="web servers are read")

    def _scan(self, options: ListOptions = LIST) -> Iterator[ObjectInfo]:
        raise self._unsupported("a listing", cure="web servers have no common way to list; name the keys")

    def _locate(self, key: str) -> Location | None:
        who = hashlib.sha256(self._authorization.encode()).hexdigest()[:12] if self._authorization else "anonymous"
        return Location("http", f"{self._origin} as {who}", "", self._prefix + key)


def _from_recipe(
    kind: type[HttpStore], base_url: str, options: dict[str, Any], dropped: bool, authorization: str | None
) -> HttpStore:
    store = kind(base_url, **options)
    store._authorization = authorization
    store._dropped = dropped and authorization is None
    return store


def basic(userinfo: str) -> str | None:
    """The Authorization header for the user:password of a URL, in which both are percent-encoded."""
    if not userinfo:
        return None
    user, _, password = userinfo.partition(":")
    plain = f"{urllib.parse.unquote(user)}:{urllib.parse.unquote(password)}"
    return "Basic " + base64.b64encode(plain.encode()).decode("ascii")


def _authorization(secrets: Mapping[str, Any]) -> str:
    """The Authorization header for secrets; ConfigError, which shows nothing of them, where they make none."""
    token, user, password = (secrets.get(name) for name in ("token", "user", "password"))
    given = [value for value in (token, user, password) if value is not None]
    if not all(isinstance(value, str) and value and value.isprintable() for value in given):
        raise ConfigError("secrets= holds something that is not printable text: was it pasted with a line end?")
    if isinstance(token, str) and token.isascii() and user is None and password is None:
        return f"Bearer {token}"
    if isinstance(user, str) and isinstance(password, str) and token is None:
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
    raise ConfigError("secrets= for a web server are a mapping with 'user' and 'password', or with a 'token'")


def _make_engine(origin: str, authorization: str | None, options: dict[str, Any], tries: int) -> Any:
    # Plain http is allowed only where it was asked for: a redirect from https to http fails.
    client: dict[str, Any] = {**options, **network.engine_options(origin), "allow_http": origin.startswith("http:")}
    if authorization is not None:
        client["default_headers"] = {"authorization": authorization}
    return _obstore.HTTPEngine(origin, client_options=client, retry_config={"max_retries": tries - 1})
