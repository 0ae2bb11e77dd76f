"""``storage.http``: objects of the web, called by their whole URLs."""

from __future__ import annotations

import urllib.parse
from functools import partial
from typing import Any, NoReturn

import urllib3

from ... import codecs, engine, redact
from ...aio import AsyncBytesStore
from ...errors import (
    AuthError,
    ConfigError,
    HoldfastError,
    InvalidKey,
    NotFound,
    StoreError,
    Throttled,
    Unsupported,
)
from ...retry import Policy, shared
from ...store import ObjectStore
from ...stores._timeouts import Timeouts
from ...stores._transport import BLOCK, Request, Transport
from ...stores.http import basic
from ...types import Capabilities
from ...wrap.guard import validate_http_url_key

__all__ = ["AsyncHttpStore", "HttpStore"]


class HttpStore(ObjectStore):
    """The objects of the web: keys are http and https URLs, to be read.

    A missing one is NotFound (a KeyError), whatever else went wrong another error, after retries where they make sense;
    only a redirect from https down to http is never followed. Bodies are checked for length, and decoded if the server
    encodes them. User and password of a URL go into a header that other hosts do not get.

    For the objects of one server, with ranges and streams, take ``holdfast.HttpStore``.
    """

    def __init__(self, follow_redirects: bool = True, *, retry: Policy | None = None) -> None:
        self.follow_redirects = follow_redirects
        self.retry = retry
        self._transport = Transport(self.name, Timeouts())

    def __repr__(self) -> str:
        return f"HttpStore(follow_redirects={self.follow_redirects})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.follow_redirects,)

    @property
    def name(self) -> str:
        """``the web``."""
        return "the web"

    @property
    def capabilities(self) -> Capabilities:
        """Nothing but to read whole objects."""
        return Capabilities()

    def get(self, key: str) -> bytes:
        """The bytes at the URL; NotFound (a KeyError) for the answer 404."""
        data: bytes = self._patiently(key, self._get)
        return data

    def exists(self, key: str) -> bool:
        """Whether there is something at the URL: by a HEAD, and by a GET where that is not answered.

        Only the answer 404 means no; what else is wrong (no permission, a broken server) is raised.
        """
        try:
            self._patiently(key, self._look, "HEAD")
        except (AuthError, Throttled):
            raise
        except HoldfastError as error:
            if error.retryable or isinstance(error, InvalidKey):
                raise
        else:
            return True
        try:
            self._patiently(key, self._look, "GET")
        except NotFound:
            return False
        return True

    def put(self, key: str, data: bytes) -> NoReturn:
        """Unsupported (a NotImplementedError)."""
        raise self._unsupported("a put", cure="the web is read")

    def delete(self, key: str) -> NoReturn:
        """Unsupported (a NotImplementedError)."""
        raise self._unsupported("a delete", cure="the web is read")

    def _patiently(self, key: str, function: Any, *arguments: Any) -> Any:
        policy = self.retry or shared(_parts(key).netloc.rpartition("@")[2])
        return policy.call(partial(engine.interruptible, function, key, *arguments))

    def _look(self, key: str, method: str) -> None:
        self._open(self._request(key, method)).close()

    def _get(self, key: str) -> bytes:
        request = self._request(key, "GET")
        answer = self._open(request)
        headers = answer.headers
        if "content-length" not in headers and not answer.chunked:
            answer.close()
            message = "the server tells neither the length nor the end of the object, so a broken one would look whole"
            raise Unsupported(message, store=self.name, key=request.key)
        try:
            body = b"".join(self._transport.pieces(answer, BLOCK))  # a body of another length is an error there
        except (urllib3.exceptions.HTTPError, OSError) as error:
            told = self._transport.broken(request, error)
        else:
            encoding = headers.get("content-encoding", "")
            return body if encoding in {"", "identity"} else codecs.decompress(body, encoding)
        raise told

    def _open(self, request: Request) -> urllib3.BaseHTTPResponse:
        try:
            return self._transport.open(request)
        except ConfigError as error:
            if self.follow_redirects:
                raise
            message = "it is redirected: say follow_redirects=True, or name the address that it is redirected to"
            raise StoreError(message, store=self.name, key=request.key) from error

    def _request(self, key: str, method: str) -> Request:
        parts = _parts(key)
        userinfo, _, host = parts.netloc.rpartition("@")
        login = basic(userinfo)
        headers = {"Accept-Encoding": "identity"} | ({"Authorization": login} if login else {})
        url = urllib.parse.urlunsplit((parts.scheme, host, parts.path or "/", parts.query, ""))
        return Request("read", method, url, redact.text(key), headers, follow=self.follow_redirects)


class AsyncHttpStore(AsyncBytesStore):
    """An HttpStore to await: the objects of the web, called by their whole URLs."""

    def __init__(self, follow_redirects: bool = True) -> None:
        super().__init__(HttpStore(follow_redirects))


def _parts(key: str) -> urllib.parse.SplitResult:
    try:
        validate_http_url_key(key)
    except KeyError:
        raise InvalidKey(
            f"{redact.text(key)!r} is no http or https URL", store="the web", key=redact.text(key)
        ) from None
    parts = urllib.parse.urlsplit(key)
    quoted = urllib.parse.quote(parts.path, safe="/%:@!$&'()*+,;=~")
    return parts._replace(path=quoted, query=urllib.parse.quote(parts.query, safe="/%:@!$&'()*+,;=~?[]"))
