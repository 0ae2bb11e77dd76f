"""A web server in a thread whose every answer a test writes by hand: for what real servers do only when they break."""

from __future__ import annotations

import os
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

PIECE = 1 << 20


@dataclass
class Request:
    """One request as it came in."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""


@dataclass
class Answer:
    """What to send: ``cut`` bytes of the body and then nothing more, or a whole answer.

    ``pause`` is slept (seconds) after each MiB of the body, ``stall`` at the end.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    stall: float = 0.0
    pause: float = 0.0

    def head(self, method: str) -> bytes:
        lines = {
            "Content-Length": str(len(self.body)),
            "Last-Modified": "Sat, 21 Nov 2026 00:00:00 GMT",
            **self.headers,
        }
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
        return f"HTTP/1.1 {self.status} Scripted\r\n{text}\r\n".encode()


@dataclass
class Chunked(Answer):
    """A body that comes in chunks and without its length; ``cut`` counts bytes of what goes over the wire."""

    def head(self, method: str) -> bytes:
        self.headers = {"Transfer-Encoding": "chunked", **self.headers, "Content-Length": ""}
        return super().head(method)


def chunked(
    body: bytes, headers: dict[str, str] | None = None, status: int = 200, *, cut: int | None = None
) -> Chunked:
    """An answer whose body goes in chunks of 64 KiB; one that is cut ends before its time."""
    pieces = [body[at : at + 65536] for at in range(0, len(body), 65536)]
    framed = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    return Chunked(status, framed, headers or {}, cut)


class Scripted:
    """A context manager: ``answer(request)`` decides; ``requests`` are those that came.

    With a ``certificate`` (the file of a key and a certificate for "localhost") it speaks TLS.
    """

    def __init__(self, answer: Callable[[Request], Answer], certificate: str | os.PathLike[str] | None = None) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while (request := _read(self.rfile)) is not None:
                    outer.requests.append(request)
                    if not _send(self.connection, request, outer.answer(request)):
                        return

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, request, client_address) -> None:
                """A client that goes away in the middle is what many tests are about."""

        self.server = Server(("127.0.0.1", 0), Handler)
        port = self.server.server_address[1]
        self.endpoint = f"http://127.0.0.1:{port}"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            self.endpoint = f"https://localhost:{port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def _read(stream) -> Request | None:
    try:
        line = stream.readline().decode("latin-1").split()
        if len(line) != 3:
            return None
        headers = {}
        while text := stream.readline().decode("latin-1").strip():
            name, _, value = text.partition(":")
            headers[name.lower()] = value.strip()
        return Request(line[0], line[1], headers, stream.read(int(headers.get("content-length", 0))))
    except OSError:
        return None


def _send(connection: socket.socket, request: Request, answer: Answer) -> bool:
    """Whether the connection goes on."""
    try:
        body = b"" if request.method == "HEAD" else answer.body[: answer.cut]
        connection.sendall(answer.head(request.method) + body[:PIECE])
        for start in range(PIECE, len(body), PIECE):
            time.sleep(answer.pause)
            connection.sendall(body[start : start + PIECE])
        time.sleep(answer.stall)
    except OSError:
        return False
    return answer.cut is None
