"""What can go wrong with one request: faults as plain data, and a web server in threads that carries them out."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal, Self

PIECE = 1 << 20
#: A stalled connection is given up by the server after this many seconds, so that no test waits for it longer.
PATIENCE = 30.0

Ending = Literal["reset", "close", "stall"]


@dataclass
class Request:
    """One request as it came in; ``key`` and ``query`` are decoded from its path-style target."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""
    key: str = ""
    query: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        path, _, query = self.target.partition("?")
        self.key = urllib.parse.unquote(path).lstrip("/").partition("/")[2]
        self.query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))


@dataclass(frozen=True)
class Answer:
    """What the server says. ``length`` is the Content-Length if it is not the body's; "" leaves it out."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    length: str | None = None

    def head(self) -> bytes:
        """The status line and the headers."""
        length = str(len(self.body)) if self.length is None else self.length
        lines = {"Content-Length": length, "Last-Modified": "Sat, 21 Nov 2026 00:00:00 GMT", **self.headers}
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
        return f"HTTP/1.1 {self.status} Faulty\r\n{text}\r\n".encode()


@dataclass(frozen=True)
class Fault:
    """What happens to one request.

    acts: whether the service does what was asked, before whatever becomes of the answer.
    change: makes another answer of the one that would be sent.
    arrives: makes another body of the one that was sent to the service.
    end: how the connection ends: after ``share`` of the body, or before any answer if that is None.
    pace: bytes and seconds; the body comes in pieces of so many bytes, with such a pause after each.
    """

    acts: bool = True
    change: Callable[[Answer], Answer] | None = None
    arrives: Callable[[bytes], bytes] | None = None
    end: Ending | None = None
    share: float | None = None
    pace: tuple[int, float] | None = None


def error(status: int, code: str, **headers: str) -> Answer:
    """An S3 error document with this status; the names of headers are written with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, f"<Error><Code>{code}</Code></Error>".encode(), {"Content-Type": "application/xml", **named})


def flip(body: bytes) -> bytes:
    """The body with one bit changed in its middle."""
    changed = bytearray(body)
    if changed:
        changed[len(changed) // 2] ^= 1
    return bytes(changed)


def instead(answer: Answer) -> Fault:
    """The service does nothing and says this."""
    return Fault(acts=False, change=lambda _: answer)


def lost(answer: Answer) -> Fault:
    """The service does what was asked, and something between says this."""
    return Fault(change=lambda _: answer)


def _cut(answer: Answer) -> Answer:
    return replace(answer, body=answer.body[: len(answer.body) // 2])


def _overlong(answer: Answer) -> Answer:
    length = str(len(answer.body)) if answer.length is None else answer.length
    return replace(answer, body=answer.body + b"more", length=length)


HTML = Answer(200, b"<html><body>Please log in</body></html>", {"Content-Type": "text/html"})
#: The service had begun to answer when it failed.
ERROR_200 = error(200, "InternalError")

REFUSED = instead(error(503, "SlowDown"))
LOST_AS_500 = lost(error(500, "InternalError"))
LOST_BY_RESET = Fault(end="reset")
LOST_BY_CLOSE = Fault(end="close")
LOST_BY_STALL = Fault(end="stall")
RESET = Fault(acts=False, end="reset")
CLOSE = Fault(acts=False, end="close")
STALL = Fault(acts=False, end="stall")
BODY_RESET = Fault(end="reset", share=0.6)
BODY_CLOSE = Fault(end="close", share=0.6)
BODY_STALL = Fault(end="stall", share=0.6)
TRICKLE = Fault(pace=(1, 0.05))
SHORT = Fault(change=_cut)
LONG = Fault(change=lambda answer: replace(answer, body=answer.body + b"more"))
OVERLONG = Fault(change=_overlong)
CORRUPT = Fault(change=lambda answer: replace(answer, body=flip(answer.body)))
NO_LENGTH = Fault(change=lambda answer: replace(answer, length=""), end="close", share=1.0)
CORRUPT_ARRIVAL = Fault(arrives=flip)


class FaultyServer:
    """A context manager: an HTTP server on a free port of 127.0.0.1, with a thread for each connection.

    ``fault(request)`` names what happens to a request, or None; ``after(request)`` is called once it was done;
    ``requests`` are those that came.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.fault: Callable[[Request], Fault | None] = lambda request: None
        self.after: Callable[[Request], None] = lambda request: None
        self._closing = threading.Event()
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            disable_nagle_algorithm = True

            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    while (request := _read(self.rfile)) is not None:
                        outer.requests.append(request)
                        if not outer._serve(self.connection, request):
                            return

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False
            allow_reuse_address = True
            request_queue_size = 128

        self._server = Server(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: Request) -> Answer:
        """What the service does and says when nothing goes wrong."""
        raise NotImplementedError

    def count(self, method: str) -> int:
        """How many requests with this method came."""
        return sum(request.method == method for request in self.requests)

    def _serve(self, connection: socket.socket, request: Request) -> bool:
        """Whether the connection goes on after this request."""
        fault = self.fault(request) or Fault()
        if fault.arrives is not None:
            request.body = fault.arrives(request.body)
        answer = Answer()
        if fault.acts:
            answer = self.answer(request)
            self.after(request)
        if fault.change is not None:
            answer = fault.change(answer)
        if fault.end is not None and fault.share is None:
            return self._finish(connection, fault.end)
        without_body = request.method == "HEAD" or answer.status in {204, 304}
        body = b"" if without_body else answer.body
        if fault.end is not None:
            body = body[: int(len(body) * (fault.share or 0))]
        pieces = self._paced(body, fault.pace)
        connection.sendall(answer.head() + next(pieces, b""))  # together, so that it is not by chance what comes when
        for piece in pieces:
            connection.sendall(piece)
        if fault.end is not None and not without_body:
            return self._finish(connection, fault.end)
        return not self._closing.is_set()

    def _paced(self, body: bytes, pace: tuple[int, float] | None) -> Iterator[bytes]:
        size, pause = pace or (PIECE, 0.0)
        ends = time.monotonic() + PATIENCE
        for start in range(0, len(body), size):
            yield body[start : start + size]
            if pause and (self._closing.wait(pause) or time.monotonic() > ends):
                return

    def _finish(self, connection: socket.socket, end: Ending) -> bool:
        if end == "stall":
            connection.settimeout(0.2)
            ends = time.monotonic() + PATIENCE
            while time.monotonic() < ends and not self._closing.is_set():
                with contextlib.suppress(TimeoutError):
                    connection.recv(1)  # the client went away, or breaks the protocol
                    return False
        if end == "reset":
            reset(connection)
        return False


def reset(connection: socket.socket) -> None:
    """Make the connection end with a reset (RST) when it is closed, and close what is left of it."""
    if connection.fileno() != -1:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _read(stream) -> Request | None:
    line = stream.readline().decode("latin-1").split()
    if len(line) != 3:
        return None
    headers = {}
    while text := stream.readline().decode("latin-1").strip():
        name, _, value = text.partition(":")
        headers[name.lower()] = value.strip()
    length = int(headers.get("content-length", 0))
    body = stream.read(length)
    return Request(line[0], line[1], headers, body) if len(body) == length else None
