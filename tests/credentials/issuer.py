"""A local service that hands out credentials that end soon, and an S3 bucket that refuses ended ones."""

from __future__ import annotations

import itertools
import json
import re
import threading
import time
import urllib.parse
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

#: Part of every secret it hands out.
CANARY = "CANARYissued"
TOKEN = "imds-token"


class Issuer:
    """Plays instance metadata, container metadata, STS and SSO, and one bucket with every object in it.

    ``life`` is how long credentials hold (seconds), ``status`` what is answered instead of credentials, ``delay`` how
    long every answer takes. ``trusted`` are access key ids of others that may read. ``asked`` are the requests for
    credentials, ``signers`` the access key ids that read. The object ``echo`` is an error that repeats the headers of
    the login.
    """

    def __init__(self, life: float = 3600.0) -> None:
        self.life = life
        self.status: int | None = None
        self.delay = 0.0
        self.asked: list[tuple[str, str, dict[str, str], str]] = []
        self.signers: list[str] = []
        self.refused = 0
        self.trusted: set[str] = set()
        self._ends: dict[str, datetime] = {}
        self._serial = itertools.count(1)
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"issuer": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def issued(self) -> int:
        """How many sets of credentials were handed out."""
        return len(self._ends)

    def make(self) -> tuple[str, str, str, str]:
        """The parts and the end of new credentials."""
        with self._lock:
            number = next(self._serial)
            key, ends = f"ASIAISSUED{number:010}", datetime.now(UTC) + timedelta(seconds=self.life)
            self._ends[key] = ends
        end = ends.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return key, f"{CANARY}secret{number}", f"{CANARY}token{number}", end

    def holds(self, key: str) -> bool:
        """Whether the credentials of this access key id have not ended."""
        return key in self.trusted or (key in self._ends and datetime.now(UTC) < self._ends[key])


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    issuer: Issuer

    def do_PUT(self) -> None:
        self._note("")
        if self.headers.get("X-aws-ec2-metadata-token-ttl-seconds") and self.path == "/latest/api/token":
            self._answer(200, TOKEN)
        else:
            self._answer(400, "")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self._note(body)
        form = dict(urllib.parse.parse_qsl(body))
        action = form.get("Action", "")
        if self.issuer.status or action not in {"AssumeRoleWithWebIdentity", "AssumeRole"}:
            self._answer(self.issuer.status or 400, "<Error><Code>AccessDenied</Code></Error>")
            return
        key, secret, token, ends = self.issuer.make()
        self._answer(
            200,
            f"<{action}Response><{action}Result><Credentials>"
            f"<AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>"
            f"<SessionToken>{token}</SessionToken><Expiration>{ends}</Expiration>"
            f"</Credentials></{action}Result></{action}Response>",
        )

    def do_GET(self) -> None:
        if self.path.startswith("/bucket/"):
            self._object()
            return
        self._note("")
        roles = "/latest/meta-data/iam/security-credentials/"
        instance = self.path.startswith(roles)
        if instance and self.headers.get("X-aws-ec2-metadata-token") != TOKEN:
            self._answer(401, "")
        elif self.issuer.status:
            self._answer(self.issuer.status, "broken")
        elif self.path == roles:
            self._answer(200, "the-role")
        elif self.path.startswith("/federation/credentials"):
            key, secret, token, _ = self.issuer.make()
            ends = int((time.time() + self.issuer.life) * 1000)
            found = {"accessKeyId": key, "secretAccessKey": secret, "sessionToken": token, "expiration": ends}
            self._answer(200, json.dumps({"roleCredentials": found}))
        elif instance or self.path.startswith("/container"):
            key, secret, token, ends = self.issuer.make()
            document = {"AccessKeyId": key, "SecretAccessKey": secret, "Token": token, "Expiration": ends}
            self._answer(200, json.dumps(document))
        else:
            self._answer(404, "")

    do_HEAD = do_GET  # noqa: N815 - what http.server calls it

    def _object(self) -> None:
        signed = re.search(r"Credential=(\w+)/", self.headers.get("Authorization", ""))
        key = signed[1] if signed else "nobody"
        if self.path.endswith("/echo"):
            sent = "\n".join(f"{name}: {self.headers[name]}" for name in ("x-amz-security-token", "authorization"))
            self._answer(403, f"<Error><Code>AccessDenied</Code><Message>{sent[:400]}</Message></Error>")
            return
        if not self.issuer.holds(key):
            self.issuer.refused += 1
            self._answer(400, "<Error><Code>ExpiredToken</Code><Message>ended</Message></Error>")
            return
        self.issuer.signers.append(key)
        self._answer(200, "object")

    def _note(self, body: str) -> None:
        time.sleep(self.issuer.delay)
        self.issuer.asked.append((self.command, self.path, dict(self.headers), body))

    def _answer(self, status: int, body: str) -> None:
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", '"etag"')
        self.send_header("Last-Modified", "Sat, 21 Nov 2026 07:00:00 GMT")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass
