"""Requests of our own to web services, beside the engine: over urllib3, each sent once and never retried here.

Failures are the errors that the engine's would be, out of the same table. A redirect is an error, or followed where
that is asked for: never from https down to http, and to another host without anything that could be a secret.
"""

from __future__ import annotations

import contextlib
import logging
import os
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .. import engine, redact
from ..errors import ConfigError, HoldfastError, NotFound, StoreError, Throttled
from ..retry import retry_after
from ._obstore_errors import shown, translate
from ._timeouts import Timeouts

if TYPE_CHECKING:
    import urllib3

#: A pool keeps this many idle connections to each host: one for each thread of the largest bulk run.
CONNECTIONS = 64
#: This much of a refusal is read: an error document has a few hundred bytes.
LONGEST_REFUSAL = 64 << 10
MOST_REDIRECTS = 10

_REDIRECTS = frozenset((301, 302, 303, 307, 308))
#: What goes along to another host; whatever else a request carries may be a secret.
_HARMLESS = frozenset(("accept-encoding", "range"))


class ServiceRefused(Exception):
    """The service answered, and not with success; its text is what the table of errors reads."""


class TransportFailed(Exception):
    """No whole answer came; its text is what the table of errors reads."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request; ``doing`` is what errors call it ("read", "delete" ...). Redirects are followed with ``follow``."""

    doing: str
    method: str
    url: str
    key: str
    headers: Mapping[str, str] = field(default_factory=dict)
    follow: bool = False


class WithoutQueries(logging.Filter):
    """Takes the values out of queries in urllib3's debug log: a SAS token is one, and whoever has it may use it."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(redact.text(arg) if isinstance(arg, str) and "?" in arg else arg for arg in record.args)
        return True


_WITHOUT_QUERIES = WithoutQueries()


class Transport:
    """Connections to any hosts, shared by threads and left to the parent by a fork.

    ``store`` is what errors call the place; ``timeouts`` are about progress, as for the engine.
    """

    def __init__(self, store: str, timeouts: Timeouts) -> None:
        self.store = store
        self.timeouts = timeouts
        self._pool: urllib3.PoolManager | None = None
        self._process = os.getpid()

    def open(self, request: Request) -> urllib3.BaseHTTPResponse:
        """The successful answer, its body still to be read (or to be closed); the error for any other."""
        url, headers = request.url, request.headers
        for _ in range(MOST_REDIRECTS):
            answer = self._send(request, url, headers)
            if 200 <= answer.status < 300:
                return answer
            if not request.follow or answer.status not in _REDIRECTS:
                raise self._refused(request, answer)
            answer.close()
            target = urllib.parse.urljoin(url, answer.headers.get("location", ""))
            if origin(target) != origin(url):
                headers = {name: value for name, value in headers.items() if name.lower() in _HARMLESS}
            self._check_redirect(request, url, target)
            url = target
        raise StoreError(f"{_failing(request)}: more than {MOST_REDIRECTS} redirects", store=self.store)

    def broken(self, doing: str, key: str, failed: BaseException) -> HoldfastError:
        """The error for an exchange, or a body, that did not come to an end."""
        import urllib3

        timed_out = isinstance(failed, urllib3.exceptions.TimeoutError | TimeoutError)
        said = f"HTTP error{' (TimedOut)' if timed_out else ''}: {failed}"
        return self._told(TransportFailed(said), doing, key)

    def _send(self, request: Request, url: str, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        import urllib3

        try:
            return self._connections().request(
                request.method,
                url,
                headers=dict(headers),
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            caught = error
        # Outside the handler, so that no traceback shows foreign text, which may hold a password.
        raise self.broken(request.doing, request.key, caught)

    def _connections(self) -> urllib3.PoolManager:
        import urllib3

        logging.getLogger("urllib3.connectionpool").addFilter(_WITHOUT_QUERIES)  # once, however often it is said
        if self._pool is None or self._process != os.getpid():  # the parent of a fork goes on using its own
            timeout = urllib3.Timeout(connect=self.timeouts.connect, read=self.timeouts.read)
            self._pool = urllib3.PoolManager(maxsize=CONNECTIONS, block=False, retries=False, timeout=timeout)
            self._process = os.getpid()
        return self._pool

    def _check_redirect(self, request: Request, url: str, target: str) -> None:
        if target == f"{url}/":
            raise NotFound(f"no object {shown(request.key)!r}: it is a directory", store=self.store, key=request.key)
        if url.startswith("https:") and not target.startswith("https:"):
            raise ConfigError(
                f"{_failing(request)}: the server redirects from https down to http, where anybody could read along; "
                "name the address that it redirects to if that is meant",
                store=self.store,
                key=request.key,
            )

    def _refused(self, request: Request, answer: urllib3.BaseHTTPResponse) -> HoldfastError:
        body = b""
        if request.method != "HEAD":
            with contextlib.suppress(Exception):  # what it says is worth less than its status
                body = answer.read(LONGEST_REFUSAL)
        answer.close()
        redirect = "Received redirect, " if 300 <= answer.status < 400 else ""
        said = f"{redirect}non-2xx status code: {answer.status} {answer.reason}: {body.decode('utf-8', 'replace')}"
        error = self._told(ServiceRefused(said), request.doing, request.key)
        if isinstance(error, Throttled):
            engine.note_throttled()
            error.retry_after = retry_after(answer.headers.get("retry-after"))
        return error

    def _told(self, failed: Exception, doing: str, key: str) -> HoldfastError:
        error = translate(failed, store=self.store, key=key, doing=doing)
        assert isinstance(error, HoldfastError)
        return error


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port: what must not change for a secret to go along with a redirect."""
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _failing(request: Request) -> str:
    return f"could not {request.doing} {shown(request.key)!r}"
