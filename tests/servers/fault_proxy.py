"""A TCP proxy before a real server that breaks its connections on request: for faults on the way to a real S3."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
import time
from dataclasses import dataclass
from typing import Literal, Self

from tests.servers.faults import PATIENCE, flip, reset

BLOCK = 16 << 10

Way = Literal["up", "down"]
Kind = Literal["reset", "close", "stall", "corrupt", "trickle"]


@dataclass
class Break:
    """What happens to one connection, once: ``kind``, after so many bytes have gone ``way`` (down: to the client).

    Bytes are counted from where ``request`` was first seen going up, so that a connection may carry others before.
    "corrupt" flips one bit and goes on; "trickle" goes on at a few bytes a second.
    """

    kind: Kind
    way: Way = "down"
    after: int = 0
    request: bytes = b""
    done: bool = False


class FaultProxy:
    """A context manager: listens on ``endpoint`` and passes everything on to the server at ``port`` of 127.0.0.1."""

    def __init__(self, port: int) -> None:
        self.breaks: list[Break] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as server:
                    _Connection(outer, self.request, server).run()

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False

        self._server = Server(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def take(self, sent: bytes) -> Break | None:
        """The next break that waits for what was just sent up."""
        with self._lock:
            for index, fault in enumerate(self.breaks):
                if fault.request in sent:
                    return self.breaks.pop(index)
        return None

    def wait(self, seconds: float) -> None:
        """Sleep, but no longer than the proxy lives."""
        self._closing.wait(seconds)


class _Connection:
    """One connection through the proxy, pumped by a thread each way."""

    def __init__(self, proxy: FaultProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._fault: Break | None = None
        self._left = 0
        for side in (client, server):
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def run(self) -> None:
        """Pump until both sides have closed, or the connection was broken."""
        up = threading.Thread(target=self._pump, args=("up", self._client, self._server), daemon=True)
        up.start()
        self._pump("down", self._server, self._client)
        up.join(PATIENCE)

    def _pump(self, way: Way, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(BLOCK):
                idle = self._fault is None or self._fault.done
                if way == "up" and idle and (fault := self._proxy.take(data)):
                    self._fault, self._left = fault, fault.after
                if not self._pass(way, data, target):
                    return
        for side in (source, target):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)

    def _pass(self, way: Way, data: bytes, target: socket.socket) -> bool:
        """Whether the connection goes on after this data."""
        fault = self._fault
        if fault is None or fault.way != way or fault.done:
            target.sendall(data)
            return True
        if len(data) <= self._left:
            self._left -= len(data)
            target.sendall(data)
            return True
        before, rest = data[: self._left], data[self._left :]
        fault.done = True
        target.sendall(before)
        if fault.kind == "corrupt":
            target.sendall(flip(rest))
            return True
        if fault.kind == "trickle":
            ends = time.monotonic() + PATIENCE
            for index in range(len(rest)):
                target.sendall(rest[index : index + 1])
                self._proxy.wait(0.1)
                if time.monotonic() > ends:
                    break
        if fault.kind == "stall":
            self._proxy.wait(PATIENCE)
        for side in (self._client, self._server):
            if fault.kind == "reset":
                reset(side)
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RD if fault.kind == "reset" else socket.SHUT_RDWR)
        self._client.close()
        return False
