"""A server in front of a real one: it sees every request, and may answer some by itself."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Callable
from typing import Any

from tests.stores.scripted import Answer, Request, Scripted

_OF_THE_CONNECTION = {"connection", "date", "keep-alive", "server", "transfer-encoding"}


class Before(Scripted):
    """A context manager that passes for the server; ``instead(request)`` is an Answer, or None to ask the server."""

    def __init__(self, server: Any, instead: Callable[[Request], Answer | None] = lambda request: None) -> None:
        super().__init__(lambda request: instead(request) or self.forward(request))
        self.port, self.region = server.port, server.region
        self.access_key, self.secret_key = server.access_key, server.secret_key
        self.make_bucket, self.client = server.make_bucket, server.client

    def forward(self, request: Request) -> Answer:
        """The answer of the server behind."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request(request.method, request.target, request.body or None, request.headers)
            answer = connection.getresponse()
            headers = {n: v for n, v in answer.getheaders() if n.lower() not in _OF_THE_CONNECTION}
            return Answer(answer.status, answer.read(), headers)

    def bodies(self) -> list[int]:
        """The sizes of the objects (and parts) that were sent."""
        return [len(request.body) for request in self.requests if request.body and not request.body.startswith(b"<")]

    def count(self, method: str, word: str = "") -> int:
        """How many requests with this method came for something with this word in it."""
        return sum(request.method == method and word in request.target for request in self.requests)
