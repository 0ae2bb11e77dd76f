"""redis-server on a free port, nothing kept on disk."""

from __future__ import annotations

import os
import socket

from tests.servers.process import Server, free_port


class Redis(Server):
    """An empty Redis; `endpoint` is its redis:// address."""

    name = "redis"
    install = "apt-get install --no-install-recommends redis-server"
    program = "redis-server"

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        super().__init__(directory)
        self.port = free_port()

    @property
    def endpoint(self) -> str:
        """The address of database 0, such as `redis://127.0.0.1:9571/0`."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start the server without snapshots and without a journal."""
        where = ("--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.directory))
        self.spawn(self.program, *where, "--save", "", "--appendonly", "no")
        self.wait_until(self._answers)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False
