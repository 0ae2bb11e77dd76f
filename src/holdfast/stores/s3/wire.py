"""The small wire of our own to S3: signed requests over urllib3, for what the engine cannot say.

One request is one exchange: no redirect is followed (a signature is for one host), nothing is retried here but through
the store's Policy, and Ctrl-C leaves it. Failures are the errors that the engine's would be, out of the same table.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import TypeVar

import urllib3

from ... import engine, locks
from ...credentials import S3Credentials
from ...errors import HoldfastError, Timeout
from ...retry import Policy
from .._documents import Document
from .._list_objects import Page
from .._timeouts import Timeouts
from .._transport import BLOCK, Exchanges
from .options import COPY_SOURCE, SOURCE_CUSTOMER, S3Options
from .signing import encode_path, encode_query, signed_headers

Value = TypeVar("Value")
Parsed = TypeVar("Parsed", bound=Document)

#: How a service says that a bucket is in another region, and (by header, else in the document) in which one.
ELSEWHERE = frozenset((301, 307, 400))
REGION_HEADER = "x-amz-bucket-region"
_REGION = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_REGION_ELEMENT = re.compile(rb"<Region>([^<]+)</Region>")

#: In which region buckets were found to be, by endpoint and name.
_regions: dict[tuple[str | None, str], str] = {}


def known_region(endpoint: str | None, bucket: str) -> str | None:
    """The region that this bucket was found to be in, if the service was ever asked in a wrong one."""
    return _regions.get((endpoint, bucket))


@dataclass(frozen=True, slots=True)
class Request:
    """One request to a bucket, or to an object in it; ``doing`` is what errors call it ("read", "write" ...)."""

    doing: str
    method: str
    key: str | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # a customer's key may be one
    body: bytes = field(default=b"", repr=False)


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
    """Which conditions the service honours, None where it was not asked yet.

    ``complete``: also where a multipart upload is completed.
    """

    create: bool | None = True
    replace_if: bool | None = True
    delete_if: bool | None = True
    complete: bool | None = True

    def unknown(self, names: Iterable[str]) -> frozenset[str]:
        """Those of these conditions about which it was not asked.

        >>> sorted(UNASKED.unknown(["create"])), sorted(Guarantees().unknown(["create"]))
        (['create'], [])
        """
        return frozenset(name for name in names if getattr(self, name) is None)


#: What is known of a service before it was asked anything, and all that it can be asked.
UNASKED = Guarantees(None, None, None, None)
CONDITIONS = tuple(field.name for field in fields(Guarantees))


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


class Wire(Exchanges):
    """Signed requests to one bucket, over a pool of connections that is shared by threads and left by a fork.

    ``credentials`` is called for each request (None: unsigned). ``store`` is what errors call the place. A bucket that
    the service says is in another region is asked there from then on.
    """

    service = "an S3"

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
        super().__init__(store, timeouts or Timeouts(), policy or Policy())
        self.address = address
        self.region = region
        #: What the service was found to do with conditions (by probe.py), so that it is asked once.
        self.guarantees = UNASKED
        self._asking = (os.getpid(), locks.lock())
        self._credentials = credentials
        self.options = options or S3Options()
        #: Whether an object was seen to be encrypted as the options ask.
        self.encrypts = False
        self._located = False
        self._beside: dict[str, Wire] = {}

    def asking(self) -> locks.Lock:
        """What is held while the service is asked what it does, so that many threads do not ask at the same time.

        After a fork it is another one: whoever held it may not be there any more.
        """
        process, lock = self._asking
        if process != os.getpid():
            lock = locks.lock()
            self._asking = (os.getpid(), lock)
        return lock

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

    def page(self, query: Mapping[str, str]) -> Page:
        """One page of a listing."""
        request = Request("list", "GET", query=query)
        return self.policy.call(lambda: self._document(request, "ListBucketResult", Page))[0]

    def document(self, request: Request, root: str, *, repeat: bool = True) -> tuple[Document, Answer]:
        """The parsed answer to a request, which must be an XML document with this root; else StoreError."""
        attempt = functools.partial(self._document, request, root, Document)
        return self.policy.call(attempt) if repeat else attempt()

    def _believed(self, request: Request, answer: Answer) -> Answer:
        """The answer, if it is one of an S3 service to this request; else a StoreError, and it may have been done.

        Proxies answer with status 200 and a page of HTML. But a service names the version that it stored or shows,
        and has nothing to say about a delete.
        """
        object_only = request.key is not None and not request.query and COPY_SOURCE not in request.headers
        if object_only and request.method in {"PUT", "HEAD"} and answer.etag is None:
            raise self.nonsense(request, "names no ETag", retryable=True)
        if object_only and request.method == "DELETE" and answer.body:
            raise self.nonsense(request, "is a page", retryable=True)
        return answer

    def _document(self, request: Request, root: str, kind: type[Parsed]) -> tuple[Parsed, Answer]:
        answer = self.attempt(request)
        return self.parsed(request, answer.headers, answer.body, root, kind), answer

    def _exchange(self, request: Request, take: Callable[[urllib3.BaseHTTPResponse], Value]) -> Value:
        try:
            value: Value = engine.interruptible(self._send, request, take)
            return value
        except (urllib3.exceptions.HTTPError, OSError) as error:
            if isinstance(error, HoldfastError):
                raise
            told = self.broken(request, error)
        # Outside the handler, so that no traceback shows foreign text, which may hold a password.
        raise told

    def _send(
        self, request: Request, take: Callable[[urllib3.BaseHTTPResponse], Value], *, sent_on: bool = False
    ) -> Value:
        # The region first: an address may be newer than the region that was signed for, but not older.
        region = self.region
        response = self._request(request, region)
        if 200 <= response.status < 300:
            return take(response)
        refusal = self._refusal(request, response, region, sent_on=sent_on)
        if refusal is None:
            return self._send(request, take, sent_on=True)
        raise refusal

    def _refusal(
        self, request: Request, response: urllib3.BaseHTTPResponse, asked: str, *, sent_on: bool
    ) -> HoldfastError | None:
        """The error for this answer from the region that was asked, or None to ask again in the one that it named."""
        # In a method of its own, which is over when the error is raised: a body may repeat what it was sent, and
        # some tools show the local variables of a traceback.
        body = self.said(response)
        if not sent_on and response.status in ELSEWHERE and self._moved(request, response.headers, body, asked):
            return None
        return self.refused(request, response.status, response.reason or "", body, response.headers)

    def _request(self, request: Request, region: str) -> urllib3.BaseHTTPResponse:
        path = self.address.path(request.key)
        found = self._credentials()
        headers = {"host": self.address.host, **self.options.headers(request.method, request.key, request.query)}
        headers |= request.headers
        if COPY_SOURCE in headers:
            headers |= self.options.customer_headers(SOURCE_CUSTOMER)
        if request.body or request.method in {"PUT", "POST"}:
            headers["content-length"] = str(len(request.body))
        if found is not None:
            digest = hashlib.sha256(request.body).hexdigest()
            headers = signed_headers(request.method, path, request.query, headers, digest, found, region)
        target = encode_path(path) + (f"?{encode_query(request.query)}" if request.query else "")
        return self.answer(request, f"{self.address.url}{target}", headers, request.body)

    def _moved(self, request: Request, headers: Mapping[str, str], body: bytes, asked: str) -> bool:
        """Whether the refusal names another region than was asked, where the bucket is asked from now on."""
        element = _REGION_ELEMENT.search(body)
        region = headers.get(REGION_HEADER) or (element[1].decode("ascii", "replace") if element else None)
        if region is None and request.key is not None and request.method == "HEAD":
            # Such a refusal has no document, and may name no region.
            with contextlib.suppress(HoldfastError):
                return self.locate() != asked
            return False
        # It becomes part of a host name that is sent signed requests.
        if region is None or region == asked or not _REGION.fullmatch(region):
            return False
        self.address = Address.of(self.address.endpoint, self.address.bucket, region)
        self.region = region
        _regions[self.address.endpoint, self.address.bucket] = region
        return True

    def _whole(self, response: urllib3.BaseHTTPResponse) -> Answer:
        return Answer(response.status, response.headers, b"".join(self.pieces(response, BLOCK)))
