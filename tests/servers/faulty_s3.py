"""A small S3 in memory, in the test process, that honours every condition and fails when a test says so."""

from __future__ import annotations

import functools
import hashlib
import itertools
import threading
import urllib.parse
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape

from tests.servers.faults import Answer, Fault, FaultyServer, Request, error

BUCKET = "bucket"
MODIFIED = "2026-11-21T00:00:00.000Z"
#: The headers that are kept with an object, besides its metadata.
KEPT = ("content-type", "content-encoding", "cache-control", "content-disposition", "content-language")
XML = {"Content-Type": "application/xml"}


@dataclass
class Stored:
    """One object."""

    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    @functools.cached_property
    def etag(self) -> str:
        """The MD5 of the body, quoted, as Amazon's for an unencrypted object of one part."""
        return f'"{hashlib.md5(self.body).hexdigest()}"'


@dataclass
class Upload:
    """A multipart upload that goes on."""

    key: str
    headers: dict[str, str]
    parts: dict[int, bytes] = field(default_factory=dict)


@dataclass
class Rule:
    """A fault for the requests that match, ``times`` of them (None: all)."""

    fault: Fault
    matches: Callable[[Request], bool]
    times: int | None = None


class FaultyS3(FaultyServer):
    """One bucket, named ``bucket``, over http, path style; signatures are not checked, the payload's SHA-256 is.

    ``inject`` adds rules for faults; or ``fault`` is set to a function that decides about every request.
    """

    region, access_key, secret_key = "us-east-1", "AK", "SK"

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[str, Stored] = {}
        self.uploads: dict[str, Upload] = {}
        self.rules: list[Rule] = []
        self.fault = self._by_rule
        self.page = 1000
        self._lock = threading.Lock()
        self._serial = itertools.count(1)

    def make_bucket(self) -> str:
        """The name of the one bucket there is."""
        return BUCKET

    def inject(self, fault: Fault, matches: Callable[[Request], bool], times: int | None = None) -> Rule:
        """Let this happen to the next ``times`` requests (None: to all) that match, and return the rule."""
        rule = Rule(fault, matches, times)
        self.rules.append(rule)
        return rule

    def _by_rule(self, request: Request) -> Fault | None:
        with self._lock:
            for rule in self.rules:
                if rule.times != 0 and rule.matches(request):
                    rule.times = None if rule.times is None else rule.times - 1
                    return rule.fault
        return None

    # ------------------------------------------------------------------ the service
    def answer(self, request: Request) -> Answer:
        """What a sound S3 does and says."""
        if request.target.partition("?")[0].strip("/").partition("/")[0] != BUCKET:
            return error(404, "NoSuchBucket")
        promised = request.headers.get("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
        if len(promised) == 64 and promised != hashlib.sha256(request.body).hexdigest():
            return error(400, "XAmzContentSHA256Mismatch")
        with self._lock:
            return self._answer(request)

    def _answer(self, request: Request) -> Answer:
        if not request.key:
            return self._delete_many(request) if "delete" in request.query else self._list(request.query)
        if "uploads" in request.query or "uploadId" in request.query:
            return self._multipart(request)
        if request.method in {"GET", "HEAD"}:
            return self._read(request)
        if refusal := self._refusal(request):
            return refusal
        if request.method == "PUT":
            return self._copy(request) if "x-amz-copy-source" in request.headers else self._put(request)
        self.objects.pop(request.key, None)
        return Answer(204)

    def _read(self, request: Request) -> Answer:
        there, wanted = self.objects.get(request.key), request.headers.get("range")
        if there is None:
            return error(404, "NoSuchKey")
        if _differs(request.headers.get("if-match"), there):
            return error(412, "PreconditionFailed")
        headers = {"ETag": there.etag, "Accept-Ranges": "bytes", **there.headers}
        size = len(there.body)
        if request.method == "HEAD":
            return Answer(200, headers=headers, length=str(size))
        if wanted is None:
            return Answer(200, there.body, headers)
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start = int(first) if first else max(0, size - int(last))
        stop = min(size, int(last) + 1) if first and last else size
        if start >= size:
            return error(416, "InvalidRange")
        return Answer(206, there.body[start:stop], {**headers, "Content-Range": f"bytes {start}-{stop - 1}/{size}"})

    def _put(self, request: Request) -> Answer:
        stored = self.objects[request.key] = Stored(request.body, _attributes(request))
        return Answer(200, headers={"ETag": stored.etag})

    def _copy(self, request: Request) -> Answer:
        source = urllib.parse.unquote(request.headers["x-amz-copy-source"]).lstrip("/").partition("/")[2]
        if source not in self.objects:
            return error(404, "NoSuchKey")
        there = self.objects[source]
        stored = self.objects[request.key] = Stored(there.body, dict(there.headers))
        return _document("CopyObjectResult", ETag=stored.etag, LastModified=MODIFIED)

    def _refusal(self, request: Request) -> Answer | None:
        there, wanted = self.objects.get(request.key), request.headers.get("if-match")
        if wanted is not None and there is None:
            return error(404, "NoSuchKey")
        exists = request.headers.get("if-none-match") == "*" and there is not None
        if exists or (there is not None and _differs(wanted, there)):
            return error(412, "PreconditionFailed")
        return None

    def _multipart(self, request: Request) -> Answer:
        if "uploads" in request.query:
            name = f"upload-{next(self._serial)}"
            self.uploads[name] = Upload(request.key, _attributes(request))
            return _document("InitiateMultipartUploadResult", UploadId=name)
        name = request.query["uploadId"]
        if name not in self.uploads:
            return error(404, "NoSuchUpload")
        upload = self.uploads[name]
        if request.method == "PUT":
            upload.parts[int(request.query["partNumber"])] = request.body
            return Answer(200, headers={"ETag": Stored(request.body).etag})
        if request.method == "POST":
            if refusal := self._refusal(request):
                return refusal
            body = b"".join(upload.parts[number] for number in sorted(upload.parts))
            stored = self.objects[request.key] = Stored(body, upload.headers)
            digests = b"".join(hashlib.md5(upload.parts[number]).digest() for number in sorted(upload.parts))
            stored.etag = f'"{hashlib.md5(digests).hexdigest()}-{len(upload.parts)}"'
            del self.uploads[name]
            return _document("CompleteMultipartUploadResult", ETag=stored.etag)
        del self.uploads[name]
        return Answer(204)

    def _delete_many(self, request: Request) -> Answer:
        gone = [element.text or "" for element in ET.fromstring(request.body).iter() if element.tag.endswith("Key")]
        for key in gone:
            self.objects.pop(key, None)
        rows = "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in gone)
        return Answer(200, f"<DeleteResult>{rows}</DeleteResult>".encode(), XML)

    def _list(self, query: Mapping[str, str]) -> Answer:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        after = query.get("continuation-token") or query.get("start-after", "")
        rows: dict[str, str] = {}  # what each key of the listing, or prefix, is written as
        for key in sorted(self.objects):
            inside, cut, _ = key.removeprefix(prefix).partition(delimiter) if delimiter else (key, "", "")
            name = prefix + inside + cut if cut else key
            if key.startswith(prefix) and name > after and name not in rows:
                rows[name] = f"<Prefix>{_quoted(name)}</Prefix>" if cut else self._row(key)
        shown = list(rows)[: min(self.page, int(query.get("max-keys", "1000")))]
        more = len(shown) < len(rows)
        fields = {"EncodingType": "url", "Prefix": _quoted(prefix), "IsTruncated": str(more).lower()}
        if more:
            fields["NextContinuationToken"] = shown[-1]
        tags = ["CommonPrefixes" if rows[name].startswith("<Prefix>") else "Contents" for name in shown]
        content = "".join(f"<{tag}>{rows[name]}</{tag}>" for tag, name in zip(tags, shown, strict=True))
        return _document("ListBucketResult", content, **fields)

    def _row(self, key: str) -> str:
        there = self.objects[key]
        return (
            f"<Key>{_quoted(key)}</Key><LastModified>{MODIFIED}</LastModified>"
            f"<ETag>{escape(there.etag)}</ETag><Size>{len(there.body)}</Size>"
        )


def _document(root: str, content: str = "", **fields: Any) -> Answer:
    text = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in fields.items())
    return Answer(200, f"<{root}>{text}{content}</{root}>".encode(), XML)


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="/")


def _attributes(request: Request) -> dict[str, str]:
    return {name: value for name, value in request.headers.items() if name in KEPT or name.startswith("x-amz-meta-")}


def _differs(wanted: str | None, there: Stored) -> bool:
    return wanted not in {None, "*"} and wanted.strip('"') != there.etag.strip('"')
