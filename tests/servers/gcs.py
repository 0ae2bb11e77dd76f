"""A small Google Cloud Storage in this process: the XML API as far as the engine speaks it, after Google's reference.

No independent server speaks that API, so this is a fake, written from the published documentation: objects in memory
with generations, generation preconditions, ETags that are MD5s, decompressive transcoding, ranges, listings in pages,
multipart uploads, server-side copies, bearer tokens and public buckets. What it does not know it answers with 501.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import itertools
import re
import threading
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

import crc32c

KEPT = (
    "content-type",
    "content-encoding",
    "content-language",
    "content-disposition",
    "cache-control",
    "x-goog-storage-class",
)


#: What only Google's own answers have.
OWN = {"x-goog-metageneration": "1"}


@dataclass
class Stored:
    """One generation of an object."""

    data: bytes
    headers: dict[str, str]
    generation: int
    etag: str = ""
    modified: str = field(default_factory=lambda: formatdate(usegmt=True))

    def __post_init__(self) -> None:
        self.etag = self.etag or f'"{hashlib.md5(self.data, usedforsecurity=False).hexdigest()}"'

    def describe(self) -> dict[str, str]:
        """The headers that tell of the stored bytes."""
        crc = base64.b64encode(crc32c.crc32c(self.data).to_bytes(4, "big")).decode()
        return {
            "ETag": self.etag,
            "Last-Modified": self.modified,
            "x-goog-generation": str(self.generation),
            "x-goog-metageneration": "1",
            "x-goog-stored-content-length": str(len(self.data)),
            "x-goog-stored-content-encoding": self.headers.get("content-encoding", "identity"),
            "x-goog-hash": f"crc32c={crc}",
            **self.headers,
        }


@dataclass
class Bucket:
    """The objects of one bucket, and the parts of its unfinished uploads."""

    public: bool = False
    project: str | None = None
    objects: dict[str, Stored] = field(default_factory=dict)
    uploads: dict[str, tuple[dict[str, str], dict[int, bytes]]] = field(default_factory=dict)


@dataclass
class Reply:
    """What goes back; ``chunked`` bodies come without a Content-Length, and for status 0 the connection is closed."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    chunked: bool = False


def refusal(status: int, code: str) -> Reply:
    """An error in the form of the XML API."""
    body = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{code}.</Message></Error>"
    return Reply(status, body.encode(), {"Content-Type": "application/xml"})


class Gcs:
    """The fake as a context manager; ``buckets`` is its state and ``requests`` the (method, target, headers) that came.

    ``chunked`` makes it send bodies without their length, as Google does with some large ones; ``transcodes`` makes it
    decompress whatever the client accepts, as when a proxy takes that header off. ``accepts(token)`` says whether a
    bearer token is good; that is ``token`` unless a test knows better. ``lost`` has one word for each of the next
    writes and deletes under a condition: "" (answered), "not done" (500, nothing happened), "status" (done, 500) or
    "close" (done, no answer).
    """

    token = "fake-token"
    page = 1000

    def __init__(self) -> None:
        self.buckets: dict[str, Bucket] = {}
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.chunked = self.transcodes = False
        self.lost: list[str] = []
        self.accepts: Callable[[str], bool] = lambda token: token == self.token
        self._generations = itertools.count(1_700_000_000_000_001)
        self._names = itertools.count(1)
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def make_bucket(self, *, public: bool = False) -> str:
        """The name of a fresh bucket, whose objects anybody may read if it is public."""
        name = f"bucket-{next(self._names)}"
        self.buckets[name] = Bucket(public)
        return name

    def url(self, bucket: str, prefix: str = "") -> str:
        """The `gs://http://...` address of a bucket, or of a prefix in it."""
        return f"gs://{self.endpoint}/{bucket}" + (f"/{prefix}" if prefix else "")

    def objects(self, bucket: str) -> dict[str, bytes]:
        """What the bucket holds."""
        return {key: stored.data for key, stored in self.buckets[bucket].objects.items()}

    def put(self, bucket: str, key: str, data: bytes, **headers: str) -> Stored:
        """Store one object around Holdfast; ``content_encoding="gzip"`` is a header."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        stored = Stored(data, {"content-type": "application/octet-stream", **named}, next(self._generations))
        self.buckets[bucket].objects[key] = stored
        return stored

    # ------------------------------------------------------------------ requests
    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """What the service says to one request; requests are taken one at a time."""
        with self._lock:
            self.requests.append((method, target, dict(headers)))
            path, _, text = target.partition("?")
            query = dict(urllib.parse.parse_qsl(text, keep_blank_values=True))
            name, _, key = path.removeprefix("/").partition("/")
            bucket, key = self.buckets.get(urllib.parse.unquote(name)), urllib.parse.unquote(key)
            if denied := self._denied(method, bucket, headers):
                return denied
            if not key and not query and method in {"HEAD", "PUT"}:
                return self._bucket_itself(method, urllib.parse.unquote(name), headers)
            if bucket is None:
                return refusal(404, "NoSuchBucket")
            if not key:
                return (
                    self._list(bucket, query) if method == "GET" and "list-type" in query else refusal(501, "Unknown")
                )
            if "uploads" in query or "uploadId" in query:
                return self._multipart(method, bucket, key, query, headers, body)
            verbs = {"GET": self._get, "HEAD": self._get, "PUT": self._put, "DELETE": self._delete}
            if method not in verbs:
                return refusal(501, "Unknown")
            lost = self.lost.pop(0) if self.lost and "x-goog-if-generation-match" in headers else ""
            if lost == "not done":
                return refusal(500, "InternalError")
            reply = verbs[method](bucket, key, headers, body)
            return {"": reply, "status": refusal(500, "InternalError"), "close": Reply(0)}[lost]

    def _bucket_itself(self, method: str, name: str, headers: Mapping[str, str]) -> Reply:
        if method == "HEAD":
            return Reply(200, headers=OWN) if name in self.buckets else Reply(404)
        if name in self.buckets:
            return refusal(409, "BucketAlreadyOwnedByYou")
        self.buckets[name] = Bucket(project=headers.get("x-goog-project-id"))
        return Reply(200, headers=OWN)

    def _denied(self, method: str, bucket: Bucket | None, headers: Mapping[str, str]) -> Reply | None:
        token = headers.get("authorization", "").removeprefix("Bearer ")
        if token:
            return None if self.accepts(token) else refusal(401, "AuthenticationRequired")
        may = bucket is not None and bucket.public and method in {"GET", "HEAD"}
        return None if may else refusal(403, "AccessDenied")

    def _get(self, bucket: Bucket, key: str, headers: Mapping[str, str], body: bytes) -> Reply:
        stored = bucket.objects.get(key)
        if stored is None:
            return refusal(404, "NoSuchKey")
        if headers.get("if-match", stored.etag) != stored.etag:
            return refusal(412, "PreconditionFailed")
        described, data = stored.describe(), stored.data
        encoded = stored.headers.get("content-encoding") == "gzip"
        fixed = "no-transform" in stored.headers.get("cache-control", "")
        if encoded and not fixed and (self.transcodes or "gzip" not in headers.get("accept-encoding", "")):
            # Decompressive transcoding: another length, which is not told, no ETag, and ranges are ignored.
            for name in ("content-encoding", "ETag"):
                del described[name]
            described["Warning"] = '214 UploadServer "gunzipped"'
            return Reply(200, gzip.decompress(data), described, chunked=True)
        if span := _span(headers.get("range"), len(data)):
            start, stop = span
            if start >= stop:
                return refusal(416, "InvalidRange")
            described["Content-Range"] = f"bytes {start}-{stop - 1}/{len(data)}"
            return Reply(206, data[start:stop], described, chunked=self.chunked)
        return Reply(200, data, described, chunked=self.chunked)

    def _put(self, bucket: Bucket, key: str, headers: Mapping[str, str], body: bytes) -> Reply:
        old = bucket.objects.get(key)
        wanted = headers.get("x-goog-if-generation-match")
        if wanted is not None and int(wanted) != (old.generation if old else 0):
            return refusal(412, "PreconditionFailed")
        if source := headers.get("x-goog-copy-source"):
            name, _, source_key = urllib.parse.unquote(source).removeprefix("/").partition("/")
            there = self.buckets[name].objects.get(source_key) if name in self.buckets else None
            if there is None:
                return refusal(404, "NoSuchKey")
            if headers.get("x-goog-copy-source-if-match", there.etag) != there.etag:
                return refusal(412, "PreconditionFailed")
            stored = Stored(there.data, dict(there.headers), next(self._generations))
            bucket.objects[key] = stored
            return Reply(200, f"<CopyObjectResult><ETag>{stored.etag}</ETag></CopyObjectResult>".encode())
        stored = bucket.objects[key] = Stored(body, _kept(headers), next(self._generations))
        return Reply(200, b"", {"ETag": stored.etag, "x-goog-generation": str(stored.generation)})

    def _delete(self, bucket: Bucket, key: str, headers: Mapping[str, str], body: bytes) -> Reply:
        stored = bucket.objects.get(key)
        if stored is None:
            return refusal(404, "NoSuchKey")
        if headers.get("x-goog-if-generation-match", str(stored.generation)) != str(stored.generation):
            return refusal(412, "PreconditionFailed")
        del bucket.objects[key]
        return Reply(204)

    def _list(self, bucket: Bucket, query: Mapping[str, str]) -> Reply:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        after = query.get("continuation-token") or query.get("start-after", "")
        rows: dict[str, str] = {}
        truncated = False
        for key in sorted(bucket.objects):  # code points sort as UTF-8 does
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            name = key[: cut + len(delimiter)] if cut >= 0 else key
            if not key.startswith(prefix) or name <= after or name in rows:
                continue
            if len(rows) == int(query.get("max-keys", self.page)):
                truncated = True
                break
            shown = urllib.parse.quote(name) if query.get("encoding-type") == "url" else escape(name)
            rows[name] = _row(shown, bucket.objects[key]) if cut < 0 else _common(shown)
        encoding = "<EncodingType>url</EncodingType>" if query.get("encoding-type") == "url" else ""
        token = f"<NextContinuationToken>{escape(next(reversed(rows)))}</NextContinuationToken>" if truncated else ""
        body = (
            "<?xml version='1.0' encoding='UTF-8'?><ListBucketResult xmlns='http://doc.s3.amazonaws.com/2006-03-01'>"
            f"<IsTruncated>{str(truncated).lower()}</IsTruncated>{encoding}{token}{''.join(rows.values())}</ListBucketResult>"
        )
        return Reply(200, body.encode(), {"Content-Type": "application/xml"})

    def _multipart(
        self, method: str, bucket: Bucket, key: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> Reply:
        if method == "POST" and "uploads" in query:
            upload = f"upload-{next(self._generations)}"
            bucket.uploads[upload] = (_kept(headers), {})
            result = f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
            return Reply(200, result.encode())
        if query.get("uploadId") not in bucket.uploads:
            return refusal(404, "NoSuchUpload")
        kept, parts = bucket.uploads[query["uploadId"]]
        if method == "PUT":
            parts[int(query["partNumber"])] = body
            return Reply(200, b"", {"ETag": f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'})
        del bucket.uploads[query["uploadId"]]
        if method == "DELETE":
            return Reply(204)
        numbers = [int(node.text or 0) for node in ET.fromstring(body).iter() if node.tag.endswith("PartNumber")]
        data = b"".join(parts[number] for number in numbers)
        etag = f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}-{len(numbers)}"'
        stored = bucket.objects[key] = Stored(data, kept, next(self._generations), etag)
        result = f"<CompleteMultipartUploadResult><ETag>{escape(etag)}</ETag></CompleteMultipartUploadResult>"
        return Reply(200, result.encode(), {"x-goog-generation": str(stored.generation)})


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of an upload that are stored with its object."""
    return {name: value for name, value in headers.items() if name in KEPT or name.startswith("x-goog-meta-")}


def _row(key: str, stored: Stored) -> str:
    return (
        f"<Contents><Key>{key}</Key><Generation>{stored.generation}</Generation><LastModified>"
        f"2026-01-01T00:00:00.000Z</LastModified><ETag>{escape(stored.etag)}</ETag><Size>{len(stored.data)}</Size></Contents>"
    )


def _common(prefix: str) -> str:
    return f"<CommonPrefixes><Prefix>{prefix}</Prefix></CommonPrefixes>"


def _span(header: str | None, size: int) -> tuple[int, int] | None:
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", header or "")
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        return max(0, size - int(match[2])), size
    return int(match[1]), min(size, int(match[2]) + 1 if match[2] else size)


def _handler(fake: Gcs) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except OSError:
                self.close_connection = True  # a client that goes away in the middle

        def _do(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            reply = fake.answer(self.command, self.path, headers, body)
            if not reply.status:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.chunked:
                self.send_header("Transfer-Encoding", "chunked")
            elif reply.status != 204:
                self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(_in_chunks(reply.body) if reply.chunked else reply.body)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _do  # noqa: N815 - the names that it looks for

        def log_message(self, *args: Any) -> None:
            """Requests are kept by the fake, not printed."""

    return Handler


def _in_chunks(body: bytes) -> bytes:
    pieces = [body[at : at + 65536] for at in range(0, len(body), 65536)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
