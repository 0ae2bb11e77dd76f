"""A web server with TLS and certificates of one's own, and a proxy that only notes what it is asked."""

from __future__ import annotations

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class NotingServer:
    """A server on this machine that answers every GET with ``object`` and keeps the requests in ``requests``.

    ``certificate`` is one of trustme's; without one it speaks plain http, and refuses to tunnel (CONNECT).
    """

    def __init__(self, certificate: Any = None) -> None:
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        handler = type("Handler", (_Handler,), {"server_requests": self.requests})
        self._server = _Quiet(("127.0.0.1", 0), handler)
        if certificate is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            certificate.configure_cert(context)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = self._server.server_port
        self.endpoint = f"{'https' if certificate is not None else 'http'}://localhost:{self.port}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that refuse a certificate hang up in the handshake."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_requests: list[tuple[str, str, dict[str, str]]]

    def do_GET(self) -> None:
        self._answer(200, b"object")

    def do_CONNECT(self) -> None:
        self._answer(502, b"")

    def _answer(self, status: int, body: bytes) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server_requests.append((self.command, self.path, headers))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"etag"')
        self.send_header("Last-Modified", "Sat, 21 Nov 2026 07:00:00 GMT")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
