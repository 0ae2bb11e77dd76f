"""Requests of our own to web services, beside the engine: over urllib3, each sent once and never retried here.

What the wire of S3 and the transport of the other services share: connections that threads share and a fork leaves to
its parent, bodies that must not trickle, documents that must be the ones that were asked for, and failures that are
the errors which the engine's would be, out of the same table.
"""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import os
import time
import urllib.parse
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

import urllib3  # not at the first use: a child that is forked while a thread imports it would hang

from .. import engine, network, redact
from ..engine import native
from ..errors import ConfigError, HoldfastError, NotFound, StoreError, Throttled, Unsupported
from ..retry import Policy, retry_after
from ._documents import Document, Malformed
from ._obstore_errors import shown, translate
from ._timeouts import Timeouts

Parsed = TypeVar("Parsed", bound=Document)

#: A pool keeps this many idle connections to each host: one for each thread of the largest bulk run.
CONNECTIONS = 64
#: Bodies are sent and taken in blocks of this size (bytes). Each must leave within the read timeout and the time that
#: it needs at the slowest rate.
BLOCK = 256 << 10
#: This much of a refusal is read: an error document has a few hundred bytes.
LONGEST_REFUSAL = 64 << 10
MOST_REDIRECTS = 10

_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_XML_TYPES = frozenset(("application/xml", "text/xml"))
#: What goes along to another host; whatever else a request carries may be a secret.
_HARMLESS = frozenset(("accept-encoding", "range"))


class ServiceRefused(Exception):
    """The service answered, and not with success; its text is what the table of errors reads."""


class TransportFailed(Exception):
    """No whole answer came; its text is what the table of errors reads."""


class Asked(Protocol):
    """What errors tell of a request: what it was ``doing`` ("read", "list" ...), with which ``key``, and how."""

    @property
    def doing(self) -> str: ...
    @property
    def key(self) -> str | None: ...
    @property
    def method(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Request:
    """One request; ``doing`` is what errors call it ("read", "delete" ...). Redirects are followed with ``follow``."""

    doing: str
    method: str
    url: str = field(repr=False)  # a signature may be in its query
    key: str | None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    follow: bool = False


class WithoutQueries(logging.Filter):
    """Takes the values out of queries in urllib3's debug log: a SAS token is one, and whoever has it may use it."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(redact.text(arg) if isinstance(arg, str) and "?" in arg else arg for arg in record.args)
        return True


_WITHOUT_QUERIES = WithoutQueries()


class Connections:
    """Connections to any hosts, as the environment wants them (see ``network``); the child of a fork makes new ones."""

    def __init__(self, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        self._pools: dict[tuple[str, int], urllib3.HTTPConnectionPool] = {}
        self._process = os.getpid()

    def alters(self, url: str) -> bool:
        """Whether this URL would arrive as another one: urllib3 resolves dots in what it tells a proxy in the clear."""
        parts = urllib.parse.urlsplit(url)
        service = f"{parts.scheme}://{parts.netloc}"
        if parts.scheme != "http" or self._pool(service).proxy is None:
            return False
        return urllib3.util.parse_url(url).request_uri != (url[len(service) :] or "/")

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> urllib3.BaseHTTPResponse:
        """The answer to one request, its body still to be read; what comes after the host goes out byte for byte."""
        parts = urllib.parse.urlsplit(url)
        service = f"{parts.scheme}://{parts.netloc}"
        pool = self._pool(service)
        in_clear = pool.proxy is not None and parts.scheme == "http"
        return pool.urlopen(
            method,
            url if in_clear else url[len(service) :] or "/",
            # A file goes in blocks, each with a timeout of its own; bytes would share one.
            body=io.BytesIO(body) if body else None,
            headers=dict(headers),
            redirect=False,
            assert_same_host=False,
            preload_content=False,
            decode_content=False,
        )

    def _pool(self, service: str) -> urllib3.HTTPConnectionPool:
        if self._process != os.getpid():  # the parent of this fork goes on using its own
            self._pools, self._process = {}, os.getpid()
        # Sockets that gevent has patched belong to the thread that opened them.
        owner = native.get_ident() if native.patched("socket") else 0
        pool = self._pools.get((service, owner))
        if pool is None:
            logging.getLogger("urllib3.connectionpool").addFilter(_WITHOUT_QUERIES)  # once, however often it is said
            timeout = urllib3.Timeout(connect=self._timeouts.connect, read=self._timeouts.read)
            pool = network.pool(
                service, maxsize=CONNECTIONS, block=False, blocksize=BLOCK, retries=False, timeout=timeout
            )
            sending = self._timeouts.read + BLOCK / self._timeouts.slowest
            pool.ConnectionCls = _patient(pool.ConnectionCls, sending)
            pool = self._pools.setdefault((service, owner), pool)
        return pool


def _patient(kind: Any, seconds: float) -> Any:
    """The same kind of connection, with this time for each block that it sends: urllib3's is the connect timeout."""

    class PatientConnection(kind):  # type: ignore[misc]
        def connect(self) -> None:
            super().connect()
            self.sock.settimeout(seconds)

        def putrequest(self, *args: Any, **options: Any) -> None:
            if self.sock is not None:  # one that is used again, for which the connect timeout was set again
                self.sock.settimeout(seconds)
            super().putrequest(*args, **options)

    return PatientConnection


class Exchanges:
    """What requests to one place have in common: their connections, their errors, and what an answer must be.

    ``store`` is what errors call the place, and ``service`` what they take it for ("an S3"). ``timeouts`` are about
    progress, as for the engine.
    """

    service = "a web"

    def __init__(self, store: str, timeouts: Timeouts, policy: Policy) -> None:
        self.store = store
        self.timeouts = timeouts
        self.policy = policy
        self._connections = Connections(timeouts)

    def answer(self, request: Asked, url: str, headers: Mapping[str, str], body: bytes) -> urllib3.BaseHTTPResponse:
        """The answer to one request, its body still to be read; Unsupported if another object would be asked for."""
        if self._connections.alters(url):
            raise Unsupported(
                f"could not {request.doing} {shown(request.key or '')!r}: a proxy for http would be asked for another "
                "object; use https, or name the host in NO_PROXY",
                store=self.store,
                key=request.key,
            )
        return self._connections.send(request.method, url, headers, body)

    def pieces(self, response: urllib3.BaseHTTPResponse, size: int) -> Generator[bytes, None, None]:
        """The body in pieces of at least so many bytes (but the last); TimeoutError if it comes too slowly."""
        waited, total, held = 0.0, 0, bytearray()
        try:
            while True:
                began = time.monotonic()
                part = response.read1(BLOCK, decode_content=False)
                waited += time.monotonic() - began  # the time that the caller takes between pieces is no slowness
                if not part:
                    break
                held += part
                total += len(part)
                # What was read is judged after the time that silence has, too: a first byte is no rate.
                seconds = waited - self.timeouts.read
                if seconds > 0 and not self.timeouts.healthy(total, seconds):
                    raise TimeoutError("the body trickles")
                if len(held) >= size:
                    yield bytes(held)
                    held.clear()
        except BaseException:
            response.close()  # what is left of it must not be taken for another answer
            raise
        response.release_conn()
        if held:
            yield bytes(held)

    def said(self, refusal: urllib3.BaseHTTPResponse) -> bytes:
        """What a refusal says, or the beginning of it; TimeoutError if it comes too slowly."""
        pieces = self.pieces(refusal, LONGEST_REFUSAL)
        body = next(pieces, b"")
        pieces.close()  # and the connection with it, if that was not all
        return body[:LONGEST_REFUSAL]

    def parsed(self, request: Asked, headers: Mapping[str, str], body: bytes, root: str, kind: type[Parsed]) -> Parsed:
        """The XML document that answers the request, which must have this root; else StoreError."""
        content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        # What was begun or done must not be taken for a failure because its XML goes by another name.
        if content_type and content_type not in _XML_TYPES and request.method == "GET":
            raise self.nonsense(request, f"is {content_type!r}, not XML")
        try:
            document = kind(body)
        except Malformed as error:
            raise self.nonsense(request, f"is no sound XML ({error})", retryable=True) from None
        if document.root == "Error":  # with status 200: it had begun to answer before it failed
            raise self.refused(request, 500, "", body, headers)
        # Where Amazon says ListPartsResult, moto says ListPartsResponse; and rclone leaves such endings out.
        if document.root.removesuffix("Result").removesuffix("Response") != root.removesuffix("Result"):
            # What a page was said about may be done all the same; only a read changes nothing.
            raise self.nonsense(
                request, f"is a {document.root[:80]!r}, not a {root!r}", retryable=request.method != "GET"
            )
        return document

    def nonsense(self, request: Asked, what: str, *, retryable: bool = False) -> StoreError:
        """The error for an answer with success that answers something else."""
        message = (
            f"could not {request.doing}: the answer {what}; is this {self.service} endpoint, or is there a proxy "
            "before it?"
        )
        return StoreError(message, store=self.store, key=request.key, retryable=retryable)

    def refused(
        self, request: Asked, status: int, reason: str, body: bytes, headers: Mapping[str, str]
    ) -> HoldfastError:
        """The error for an answer that is no success; bulk calls learn from it when to slow down."""
        redirect = "Received redirect, " if 300 <= status < 400 else ""
        said = f"{redirect}non-2xx status code: {status} {reason}: {body.decode('utf-8', 'replace')}"
        error = self._told(ServiceRefused(said), request)
        if isinstance(error, Throttled):
            engine.note_throttled()
            error.retry_after = retry_after(headers.get("retry-after"))
        return error

    def broken(self, request: Asked, failed: BaseException) -> HoldfastError:
        """The error for an exchange, or a body, that did not come to an end."""
        # To urllib3 a connection that is refused is a timeout, too.
        refused = isinstance(failed, urllib3.exceptions.NewConnectionError)
        timed_out = isinstance(failed, urllib3.exceptions.TimeoutError | TimeoutError) and not refused
        said = f"HTTP error{' (TimedOut)' if timed_out else ''}: {failed}"
        return self._told(TransportFailed(said), request)

    def _told(self, failed: Exception, request: Asked) -> HoldfastError:
        error = translate(failed, store=self.store, key=request.key, doing=request.doing)
        assert isinstance(error, HoldfastError)
        return error


class Transport(Exchanges):
    """Requests to any URLs, signed by whoever makes them.

    A redirect is an error, or followed where that is asked for: never from https down to http, and to another host
    without anything that could be a secret.
    """

    def __init__(self, store: str, timeouts: Timeouts, policy: Policy | None = None, service: str = "a web") -> None:
        super().__init__(store, timeouts, policy or Policy())
        self.service = service

    def open(self, request: Request) -> urllib3.BaseHTTPResponse:
        """The successful answer, its body still to be read (or to be closed); the error for any other."""
        for _ in range(MOST_REDIRECTS):
            answer = self._send(request)
            if 200 <= answer.status < 300:
                return answer
            if not request.follow or answer.status not in _REDIRECTS:
                raise self._refusal(request, answer)
            answer.close()
            # Addresses and headers may be secrets: they are in no local variable where an error is raised.
            following = self._redirected(request, answer.headers.get("location", ""))
            if isinstance(following, HoldfastError):
                raise following
            request = following
        raise StoreError(f"{_failing(request)}: more than {MOST_REDIRECTS} redirects", store=self.store)

    def document(self, prepare: Callable[[], Request], root: str, kind: type[Parsed]) -> Parsed:
        """The parsed answer to a request that may be repeated, signed anew by ``prepare`` each time; Ctrl-C leaves it.

        It must be an XML document with this root, which ``kind`` parses; else StoreError.
        """
        attempt: Callable[[], Parsed] = functools.partial(engine.interruptible, self._document, prepare, root, kind)
        return self.policy.call(attempt)

    def _document(self, prepare: Callable[[], Request], root: str, kind: type[Parsed]) -> Parsed:
        request = prepare()
        answer = self.open(request)
        try:
            body = b"".join(self.pieces(answer, BLOCK))
        except (urllib3.exceptions.HTTPError, OSError) as error:
            told = self.broken(request, error)
        else:
            return self.parsed(request, answer.headers, body, root, kind)
        raise told

    def _send(self, request: Request) -> urllib3.BaseHTTPResponse:
        try:
            return self.answer(request, request.url, request.headers, request.body)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            if isinstance(error, HoldfastError):
                raise
            told = self.broken(request, error)
        # Outside the handler, so that no traceback shows foreign text, which may hold a password.
        raise told

    def _redirected(self, request: Request, location: str) -> Request | HoldfastError:
        """The request to where this one is sent on, or why it does not follow."""
        target = urllib.parse.urljoin(request.url, location)
        if target == f"{request.url}/":
            return NotFound(
                f"no object {shown(request.key or '')!r}: it is a directory", store=self.store, key=request.key
            )
        if request.url.startswith("https:") and not target.startswith("https:"):
            return ConfigError(
                f"{_failing(request)}: the server redirects from https down to http, where anybody could read along; "
                "name the address that it redirects to if that is meant",
                store=self.store,
                key=request.key,
            )
        headers = request.headers
        if origin(target) != origin(request.url):
            headers = {name: value for name, value in headers.items() if name.lower() in _HARMLESS}
        return replace(request, url=target, headers=headers)

    def _refusal(self, request: Request, answer: urllib3.BaseHTTPResponse) -> HoldfastError:
        body = b""
        if request.method != "HEAD":
            with contextlib.suppress(Exception):  # what it says is worth less than its status
                body = self.said(answer)
        answer.close()
        return self.refused(request, answer.status, answer.reason or "", body, answer.headers)


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port: what must not change for a secret to go along with a redirect."""
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _failing(request: Request) -> str:
    return f"could not {request.doing} {shown(request.key or '')!r}"
