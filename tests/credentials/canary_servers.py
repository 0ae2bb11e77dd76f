"""Services for the tests of canaries: each fails where the key says so, and some repeat what they were sent."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from xml.sax.saxutils import escape

from tests.servers.faults import (
    BODY_CLOSE,
    CLOSE,
    HTML,
    RESET,
    STALL,
    Answer,
    Fault,
    FaultyServer,
    Request,
    error,
    instead,
)
from tests.servers.faulty_s3 import FaultyS3

XML = {"Content-Type": "application/xml"}


def _sent(request: Request) -> str:
    """All that the request says, secrets first, because messages are cut."""
    headers = sorted(request.headers.items(), key=lambda item: "token" not in item[0] and "key" not in item[0])
    return "\n".join((*(f"{name}: {value}" for name, value in headers), request.target))


def _echo(request: Request) -> Answer:
    return Answer(
        403, f"<Error><Code>AccessDenied</Code><Message>{escape(_sent(request)[:390])}</Message></Error>".encode(), XML
    )


def _broken_echo(request: Request) -> Answer:
    return Answer(
        500, f"<html><body>Cannot do {escape(_sent(request))}</body></html>".encode(), {"Content-Type": "text/html"}
    )


def _page(request: Request) -> Answer:
    return Answer(200, f"<html><body>{escape(_sent(request))}</body></html>".encode(), {"Content-Type": "text/html"})


def _redirect(request: Request) -> Answer:
    return Answer(302, b"", {"Location": f"http://127.0.0.1:9{request.target}&Signature=CANARYredirect"})


#: What happens to a request, by the first part of its key.
FAULTS = {
    "echo": lambda request: instead(_echo(request)),
    "error-page": lambda request: instead(_broken_echo(request)),
    "refused": lambda request: instead(error(401, "InvalidAccessKeyId")),
    "expired": lambda request: instead(error(400, "ExpiredToken")),
    "broken": lambda request: instead(error(500, "InternalError")),
    "html": lambda request: instead(HTML),
    "redirect": lambda request: instead(_redirect(request)),
    "reset": lambda request: RESET,
    "close": lambda request: CLOSE,
    "half": lambda request: BODY_CLOSE,
    "stall": lambda request: STALL,
}


def by_key(request: Request) -> Fault | None:
    """The fault that the key, the prefix or the list of keys of the request names."""
    said = f"{request.key} {request.query.get('prefix', '')} {request.body[:2000].decode('latin-1')}"
    for name, fault in FAULTS.items():
        if f"{name}/" in said:
            return fault(request)
    return None


class CanaryS3(FaultyS3):
    """A small S3 that fails by key, encrypts as it is told, and is a proxy to itself, too."""

    def __init__(self) -> None:
        super().__init__()
        self.fault = by_key

    @property
    def signers(self) -> set[str]:
        """The access key ids that signed what came."""
        signed = [request.headers.get("authorization", "") for request in self.requests]
        return {text.partition("Credential=")[2].partition("/")[0] for text in signed}

    def answer(self, request: Request) -> Answer:
        """What it does and says when nothing goes wrong."""
        if request.method == "GET" and "uploads" in request.query:
            return Answer(
                200, b"<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>", XML
            )
        answer = super().answer(request)
        name = "x-amz-server-side-encryption-customer-algorithm"
        encrypted = {name: request.headers[name]} if name in request.headers else {}
        return replace(answer, headers={**answer.headers, **encrypted})

    def _serve(self, connection: socket.socket, request: Request) -> bool:
        if request.target.startswith("http://"):  # as proxies are asked
            path = request.target.split("/", 3)[3]
            request = Request(request.method, f"/{path}", request.headers, request.body)
        return super()._serve(connection, request)


class CanaryService(FaultyServer):
    """Any other service: it has every object, gives bearer tokens to all who ask, and fails by key.

    ``logins`` are the Authorization headers, and the queries with a signature, that came.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fault = by_key

    @property
    def logins(self) -> set[str]:
        """How those who asked proved who they are."""
        headers = {request.headers.get("authorization", "") for request in self.requests}
        return (headers | {request.query.get("sig", "") for request in self.requests}) - {""}

    def answer(self, request: Request) -> Answer:
        """A token, or the object."""
        if request.target.endswith("/token"):
            token = json.dumps({"access_token": "CANARYissuedtoken", "expires_in": 3600}).encode()
            return Answer(200, token, {"Content-Type": "application/json"})
        return Answer(200, b"data", {"ETag": '"1"', "Content-Type": "text/plain"})
