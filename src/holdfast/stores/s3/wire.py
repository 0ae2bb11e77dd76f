"""The small wire of our own to S3: signed requests over urllib3, for what the engine cannot say.

One request is one exchange: no redirect is followed (a signature is for one host), nothing is retried here but through
the store's Policy, and Ctrl-C leaves it. Failures are the errors that the engine's would be, out of the same table.
"""

from __future__ import annotations

import functools
import hashlib
import io
import os
import re
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import urllib3

from ... import engine, network
from ...credentials import S3Credentials
from ...errors import HoldfastError, StoreError, Throttled, Timeout
from ...retry import Policy, retry_after
from .._obstore_errors import translate
from .._timeouts import Timeouts
from .answers import Document, Malformed
from .options import S3Options
from .signing import encode_path, encode_query, signed_headers

Value = TypeVar("Value")

#: A pool keeps this many idle connections: one for each thread of the largest bulk run.
CONNECTIONS = 64
#: Bodies are sent in blocks of this size (bytes), each of which must leave within the connect timeout.
BLOCK = 256 << 10
#: This much of a refusal is read: an error document has a few hundred bytes.
LONGEST_REFUSAL = 64 << 10

#: How a service says that a bucket is in another region, and (by header, else in the document) in which one.
ELSEWHERE = frozenset((301, 307, 400))
REGION_HEADER = "x-amz-bucket-region"
_REGION = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_REGION_ELEMENT = re.compile(rb"<Region>([^<]+)</Region>")
_XML_TYPES = frozenset(("application/xml", "text/xml"))

#: In which region buckets were found to be, by endpoint and name.
_regions: dict[tuple[str | None, str], str] = {}


def known_region(endpoint: str | None, bucket: str) -> str | None:
    """The region that this bucket was found to be in, if the service was ever asked in a wrong one."""
    return _regions.get((endpoint, bucket))


class ServiceRefused(Exception):
    """The service answered, and not with success; its text is what the table of errors reads."""


class TransportFailed(Exception):
    """No whole answer came; its text is what the table of errors reads."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request to a bucket, or to an object in it; ``doing`` is what errors call it ("read", "write" ...)."""

    doing: str
    method: str
    key: str | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer, whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def etag(self) -> str | None:
        """The ETag as it was sent, with its quotes."""
        return self.headers.get("etag") or None


@dataclass(frozen=True, slots=True)
class Guarantees:
    """Which conditions the service honours; ``complete``: also where a multipart upload is completed."""

    create: bool = True
    replace_if: bool = True
    delete_if: bool = True
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Address:
    """Where a bucket is: the ``url`` of the service, and whether the bucket is a part of its host name.

    ``endpoint`` is what the user named, None for Amazon, whose address is another in each region.
    """

    url: str
    bucket: str
    virtual: bool
    endpoint: str | None

    @classmethod
    def of(cls, endpoint: str | None, bucket: str, region: str) -> Address:
        """Where this bucket is, on Amazon or at the endpoint.

        >>> Address.of(None, "bucket", "eu-west-1").url
        'https://bucket.s3.eu-west-1.amazonaws.com'
        """
        # Amazon's certificates cover names without dots only; services elsewhere rarely know buckets as host names.
        virtual = endpoint is None and "." not in bucket
        domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        url = endpoint or f"https://{bucket + '.' if virtual else ''}s3.{region}.{domain}"
        return cls(url, bucket, virtual, endpoint)

    @property
    def host(self) -> str:
        """What the Host header says, and so what is signed."""
        parts = urllib.parse.urlsplit(self.url)
        default = {"http": 80, "https": 443}[parts.scheme]
        return parts.netloc if parts.port != default else parts.netloc.rpartition(":")[0]

    def path(self, key: str | None) -> str:
        """The path of an object, or of the bucket, before encoding."""
        if self.virtual:
            return f"/{key or ''}"
        return f"/{self.bucket}/{key}" if key is not None else f"/{self.bucket}"


class Wire:
    """Signed requests to one bucket, over a pool of connections that is shared by threads and left by a fork.

    ``credentials`` is called for each request (None: unsigned). ``store`` is what errors call the place. A bucket that
    the service says is in another region is asked there from then on.
    """

    def __init__(
        self,
        store: str,
        address: Address,
        region: str,
        credentials: Callable[[], S3Credentials | None],
        *,
        options: S3Options | None = None,
        timeouts: Timeouts | None = None,
        policy: Policy | None = None,
    ) -> None:
        self.store = store
        self.address = address
        self.region = region
        self.timeouts = timeouts or Timeouts()
        self.policy = policy or Policy()
        #: What the service was found to do with conditions (by probe.py), so that it is asked once.
        self.guarantees: Guarantees | None = None
        self._credentials = credentials
        self.options = options or S3Options()
        #: Whether an object was seen to be encrypted as the options ask.
        self.encrypts = False
        self._connections = self._connect()
        self._process = os.getpid()
        self._located = False
        self._beside: dict[str, Wire] = {}

    def _connect(self) -> urllib3.HTTPConnectionPool:
        settings: dict[str, Any] = {"maxsize": CONNECTIONS, "block": False, "blocksize": BLOCK, "retries": False}
        settings["timeout"] = urllib3.Timeout(connect=self.timeouts.connect, read=self.timeouts.read)
        return network.pool(self.address.url, **settings)

    def beside(self, bucket: str) -> Wire:
        """The wire to another bucket of the same service, with the same login."""
        if bucket == self.address.bucket:
            return self
        if bucket not in self._beside:
            region = known_region(self.address.endpoint, bucket) or self.region
            address = Address.of(self.address.endpoint, bucket, region)
            self._beside[bucket] = Wire(
                self.store.removesuffix(self.address.bucket) + bucket,
                address,
                region,
                self._credentials,
                options=self.options,
                timeouts=self.timeouts,
                policy=self.policy,
            )
        return self._beside[bucket]

    def locate(self) -> str:
        """The region to ask in: the bucket's own, if the service tells; asked once. Timeout if nobody answers."""
        if not self._located:
            try:
                self.policy.call(self._ask_for_the_region)
            except Timeout:
                raise  # nobody answers, and whoever comes next would wait as long again
            except HoldfastError:
                pass  # whoever comes next is told what is wrong
        return self.region

    def _ask_for_the_region(self) -> None:
        try:
            self.attempt(Request("find the region", "HEAD"))
        except HoldfastError as error:
            if error.retryable:
                raise
        self._located = True

    def call(self, request: Request) -> Answer:
        """The answer to a request that may be repeated: tried again as the policy allows."""
        return self.policy.call(functools.partial(self.attempt, request))

    def attempt(self, request: Request) -> Answer:
        """The answer to a request that is sent once."""
        return self._believed(request, self._exchange(request, self._whole))

    def open(self, request: Request) -> urllib3.BaseHTTPResponse:
        """The answer to a request that is sent once, its body still to be read."""
        return self._exchange(request, lambda response: response)

    def document(self, request: Request, root: str, *, repeat: bool = True) -> tuple[Document, Answer]:
        """The parsed answer to a request, which must be an XML document with this root; else StoreError."""
        attempt = functools.partial(self._document, request, root)
        return self.policy.call(attempt) if repeat else attempt()

    def _believed(self, request: Request, answer: Answer) -> Answer:
        """The answer, if it is one of an S3 service to this request; else a StoreError, and it may have been done.

        Proxies answer with status 200 and a page of HTML. But a service names the version that it stored or shows,
        and has nothing to say about a delete.
        """
        object_only = request.key is not None and not request.query and "x-amz-copy-source" not in request.headers
        if object_only and request.method in {"PUT", "HEAD"} and answer.etag is None:
            raise self._nonsense(request, "names no ETag", retryable=True)
        if object_only and request.method == "DELETE" and answer.body:
            raise self._nonsense(request, "is a page", retryable=True)
        return answer

    def _document(self, request: Request, root: str) -> tuple[Document, Answer]:
        answer = self.attempt(request)
        kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        # What was begun or done must not be taken for a failure because its XML goes by another name.
        if kind and kind not in _XML_TYPES and request.method == "GET":
            raise self._nonsense(request, f"is {kind!r}, not XML")
        try:
            document = Document(answer.body)
        except Malformed as error:
            raise self._nonsense(request, f"is no sound XML ({error})", retryable=True) from None
        if document.root == "Error":  # with status 200: it had begun to answer before it failed
            raise self.refused(request, 500, "", answer.body, answer.headers)
        if document.root.removesuffix("Result") != root.removesuffix("Result"):  # rclone leaves it out
            raise self._nonsense(request, f"is a {document.root[:80]!r}, not a {root!r}")
        return document, answer

    def _nonsense(self, request: Request, what: str, *, retryable: bool = False) -> StoreError:
        message = (
            f"could not {request.doing}: the answer {what}; is this an S3 endpoint, or is there a proxy before it?"
        )
        return StoreError(message, store=self.store, key=request.key, retryable=retryable)

    def _exchange(self, request: Request, take: Callable[[urllib3.BaseHTTPResponse], Value]) -> Value:
        try:
            value: Value = engine.interruptible(self._send, request, take)
            return value
        except (urllib3.exceptions.HTTPError, OSError) as error:
            if isinstance(error, HoldfastError):
                raise
            caught = error
        # Outside the handler, so that no traceback shows foreign text, which may hold a password.
        raise self.broken(request, caught)

    def _send(
        self, request: Request, take: Callable[[urllib3.BaseHTTPResponse], Value], *, sent_on: bool = False
    ) -> Value:
        response = self._request(request)
        if 200 <= response.status < 300:
            return take(response)
        body = response.read(LONGEST_REFUSAL, decode_content=False)
        response.drain_conn()
        if not sent_on and response.status in ELSEWHERE and self._moved(request, response.headers, body):
            return self._send(request, take, sent_on=True)
        raise self.refused(request, response.status, response.reason or "", body, response.headers)

    def _request(self, request: Request) -> urllib3.BaseHTTPResponse:
        if self._process != os.getpid():  # the parent of this fork goes on using its connections
            self._connections, self._process = self._connect(), os.getpid()
        path = self.address.path(request.key)
        headers = {"host": self.address.host, **self.options.headers(request.method, request.key, request.query)}
        headers |= request.headers
        if request.body or request.method in {"PUT", "POST"}:
            headers["content-length"] = str(len(request.body))
        found = self._credentials()
        if found is not None:
            digest = hashlib.sha256(request.body).hexdigest()
            headers = signed_headers(request.method, path, request.query, headers, digest, found, self.region)
        target = encode_path(path) + (f"?{encode_query(request.query)}" if request.query else "")
        if self._connections.proxy is not None and self.address.url.startswith("http:"):
            target = f"http://{self.address.host}{target}"
        return self._connections.urlopen(
            request.method,
            target,
            # A file goes in blocks, each with a timeout of its own; bytes would share one.
            body=io.BytesIO(request.body) if request.body else None,
            headers=headers,
            redirect=False,
            assert_same_host=False,
            preload_content=False,
            decode_content=False,
        )

    def _moved(self, request: Request, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether the refusal names another region, where the bucket is asked from now on."""
        element = _REGION_ELEMENT.search(body)
        region = headers.get(REGION_HEADER) or (element[1].decode("ascii", "replace") if element else None)
        asked = self.region
        if region is None and request.key is not None and request.method == "HEAD":
            return self.locate() != asked  # such a refusal has no document, and may name no region
        # It becomes part of a host name that is sent signed requests.
        if region is None or region == asked or not _REGION.fullmatch(region):
            return False
        self.address = Address.of(self.address.endpoint, self.address.bucket, region)
        self.region, self._connections = region, self._connect()
        _regions[self.address.endpoint, self.address.bucket] = region
        return True

    def pieces(self, response: urllib3.BaseHTTPResponse, size: int) -> Iterator[bytes]:
        """The body in pieces of at least so many bytes (but the last); TimeoutError if it comes too slowly."""
        waited, total, held = 0.0, 0, bytearray()
        try:
            while True:
                began = time.monotonic()
                part = response.read1(BLOCK, decode_content=False)
                waited += time.monotonic() - began  # the time that the caller takes between pieces is no slowness
                if not part:
                    break
                held += part
                total += len(part)
                # What was read is judged after the time that silence has, too: a first byte is no rate.
                seconds = waited - self.timeouts.read
                if seconds > 0 and not self.timeouts.healthy(total, seconds):
                    raise TimeoutError("the body trickles")
                if len(held) >= size:
                    yield bytes(held)
                    held.clear()
        except BaseException:
            response.close()  # what is left of it must not be taken for another answer
            raise
        response.release_conn()
        if held:
            yield bytes(held)

    def _whole(self, response: urllib3.BaseHTTPResponse) -> Answer:
        return Answer(response.status, response.headers, b"".join(self.pieces(response, BLOCK)))

    def refused(
        self, request: Request, status: int, reason: str, body: bytes, headers: Mapping[str, str]
    ) -> HoldfastError:
        """The error for an answer that is no success; bulk calls learn from it when to slow down."""
        redirect = "Received redirect, " if 300 <= status < 400 else ""
        said = f"{redirect}non-2xx status code: {status} {reason}: {body.decode('utf-8', 'replace')}"
        error = translate(ServiceRefused(said), store=self.store, key=request.key, doing=request.doing)
        assert isinstance(error, HoldfastError)
        if isinstance(error, Throttled):
            engine.note_throttled()
            error.retry_after = retry_after(headers.get("retry-after"))
        return error

    def broken(self, request: Request, failed: BaseException) -> HoldfastError:
        """The error for an exchange that did not come to an end."""
        timed_out = isinstance(failed, urllib3.exceptions.TimeoutError | TimeoutError)
        said = f"HTTP error{' (TimedOut)' if timed_out else ''}: {failed}"
        error = translate(TransportFailed(said), store=self.store, key=request.key, doing=request.doing)
        assert isinstance(error, HoldfastError)
        return error
