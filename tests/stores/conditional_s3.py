"""A small S3 in memory that honours every condition at once, and loses answers when a test says so."""

from __future__ import annotations

import hashlib
import itertools
import threading
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from tests.stores.scripted import Answer, Request, Scripted

#: What may happen to a request: refused before it does anything, or done and its answer lost in one of two ways.
REFUSED, LOST_AS_500, LOST_BY_RESET = "refused", "lost as 500", "lost by reset"


@dataclass
class Stored:
    """One object."""

    body: bytes
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def etag(self) -> str:
        return f'"{hashlib.md5(self.body).hexdigest()}"'


class ConditionalS3:
    """One bucket over http; ``fault(request)`` names what happens to a request, or None."""

    region, access_key, secret_key = "us-east-1", "AK", "SK"

    def __init__(self) -> None:
        self.objects: dict[str, Stored] = {}
        self.uploads: dict[str, tuple[dict[str, str], dict[int, bytes]]] = {}
        self.fault: Callable[[Request], str | None] = lambda request: None
        self.after: Callable[[Request], None] = lambda request: None
        self._lock = threading.Lock()
        self._serial = itertools.count(1)
        self._server = Scripted(self._answer)
        self.endpoint, self.requests = self._server.endpoint, self._server.requests

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.__exit__()

    def count(self, method: str) -> int:
        """How many requests with this method came."""
        return sum(request.method == method for request in self.requests)

    def _answer(self, request: Request) -> Answer:
        fault = self.fault(request)
        if fault == REFUSED:
            return Answer(503, b"<Error><Code>SlowDown</Code></Error>")
        with self._lock:
            answer = self._done(request)
        self.after(request)
        if fault == LOST_AS_500:
            return Answer(500, b"<Error><Code>InternalError</Code></Error>")
        if fault == LOST_BY_RESET:
            return Answer(200, b"x" * 100, cut=0)
        return answer

    def _done(self, request: Request) -> Answer:
        target = urllib.parse.urlsplit(request.target)
        key = urllib.parse.unquote(target.path.removeprefix("/bucket").removeprefix("/"))
        query = dict(urllib.parse.parse_qsl(target.query, keep_blank_values=True))
        if not key:
            return Answer(200, b"<ListBucketResult/>")
        if "uploads" in query or "uploadId" in query:
            return self._multipart(request, key, query)
        there = self.objects.get(key)
        if request.method in {"GET", "HEAD"}:
            if there is None:
                return Answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            return Answer(200, there.body, {"ETag": there.etag, **there.metadata})
        if refusal := self._refusal(request, key):
            return refusal
        if request.method == "PUT":
            self.objects[key] = Stored(request.body, _metadata(request))
            return Answer(200, b"", {"ETag": self.objects[key].etag})
        self.objects.pop(key, None)
        return Answer(204)

    def _multipart(self, request: Request, key: str, query: dict[str, str]) -> Answer:
        if "uploads" in query:
            name = f"upload-{next(self._serial)}"
            self.uploads[name] = (_metadata(request), {})
            body = f"<InitiateMultipartUploadResult><UploadId>{name}</UploadId></InitiateMultipartUploadResult>"
            return Answer(200, body.encode())
        name = query["uploadId"]
        if name not in self.uploads:
            return Answer(404, b"<Error><Code>NoSuchUpload</Code></Error>")
        metadata, parts = self.uploads[name]
        if request.method == "PUT":
            parts[int(query["partNumber"])] = request.body
            return Answer(200, b"", {"ETag": '"part"'})
        if request.method == "POST":
            if refusal := self._refusal(request, key):
                return refusal
            stored = self.objects[key] = Stored(b"".join(parts[number] for number in sorted(parts)), metadata)
            del self.uploads[name]
            body = f"<CompleteMultipartUploadResult><ETag>{stored.etag}</ETag></CompleteMultipartUploadResult>"
            return Answer(200, body.encode())
        del self.uploads[name]
        return Answer(204)

    def _refusal(self, request: Request, key: str) -> Answer | None:
        there, wanted = self.objects.get(key), request.headers.get("if-match")
        if wanted is not None and there is None:
            return Answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        other = wanted is not None and there is not None and there.etag.strip('"') != wanted.strip('"')
        if other or (request.headers.get("if-none-match") == "*" and there is not None):
            return Answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
        return None


def _metadata(request: Request) -> dict[str, str]:
    return {name: value for name, value in request.headers.items() if name.startswith("x-amz-meta-")}
