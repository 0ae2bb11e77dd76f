"""How a store reaches its bucket: credentials, the bucket's region, and the clients that equal stores share."""

from __future__ import annotations

import functools
from typing import Any

from ... import credentials as sources
from ...credentials import Explanation, Found, Look, Provider, S3Credentials
from ...errors import AuthError, ConfigError
from ...recipes import stayed_behind
from ...retry import Policy, shared
from ...store import Store
from .. import _obstore
from .._digests import Mode, Verifier
from .._obstore import Client
from .._timeouts import Timeouts
from . import administration, engine
from .direct import DirectClient
from .options import S3Options
from .wire import Address, Request, Wire, known_region


class S3Access(Store):
    """A store that knows its way to one bucket, made when it is first gone; S3Store adds what is done there."""

    bucket: str
    endpoint: str | None
    region: str
    anonymous: bool
    options: S3Options
    timeouts: Timeouts
    verify: Mode
    retry: Policy | None
    _name: str
    _create: bool
    _explicit: S3Credentials | None
    _given: Provider | None
    _found: Found | None
    _dropped: str | None
    _keyless: bool
    _client: Client | None
    _wire: Wire | None

    def credentials(self) -> S3Credentials | None:
        """The credentials to sign with now, None for anonymous access; AuthError when none can be found."""
        provider = self._provider()
        return provider.current() if provider else None

    def _provider(self) -> Provider | None:
        if self.anonymous:
            return None
        found = self._found or self._find()
        if found.provider is None:
            raise sources.nothing_found(self._name, found.looks, dropped=self._dropped is not None)
        if self._dropped not in {None, found.provider.principal()}:
            raise AuthError(
                f"{stayed_behind('its explicit credentials')}, and those "
                f"found here ({found.looks[-1].source}) are somebody else's: provide the same, or open the store again",
                store=self._name,
            )
        self._found = found
        return found.provider

    def explain_credentials(self) -> Explanation:
        """Which source of credentials is used and why, and what was looked at; raises as ``find`` does."""
        if self.anonymous:
            return Explanation(self._name, "anonymous", "anonymous=True was asked for, so requests are not signed")
        return (self._found or self._find()).explain(self._name)

    def _find(self) -> Found:
        if self._given is None:
            return sources.find(self.bucket, explicit=self._explicit)
        return Found(self._given, (Look("arguments", True, "an object that holds credentials was given to the store"),))

    def client(self) -> Client:
        """The engine's client for this bucket and these credentials, shared with equal stores."""
        if self._client is not None:
            return self._client
        if self._create:
            self.wire()  # creates it
        provider, identity = self._identity("s3")
        make = functools.partial(engine.make, self._address(), self.region, provider, self.options)
        verifier = Verifier(self._name, functools.partial(_encrypted, self.wire()), self.verify)
        self._client = _obstore.pooled(
            identity,
            lambda: Client(
                self._name,
                make,
                timeouts=self.timeouts,
                policy=self.retry or shared(self.endpoint),
                verifier=verifier,
                telling=DirectClient(self.wire(), verifier).get,
            ),
        )
        return self._client

    def wire(self) -> Wire:
        """The wire to this bucket for what the engine cannot say, shared with equal stores."""
        if self._wire is not None:
            return self._wire
        provider, identity = self._identity("s3-wire")
        wire = _obstore.pooled(
            identity,
            lambda: Wire(
                self._name,
                self._address(),
                self.region,
                provider.current if provider else _nobody,
                options=self.options,
                timeouts=self.timeouts,
                policy=self.retry or shared(self.endpoint),
            ),
        )
        if self._create:
            administration.create_bucket(wire)
            self._create = False
        self._wire = wire
        return wire

    def _identity(self, kind: str) -> tuple[Provider | None, tuple[Any, ...]]:
        """Who provides the credentials, and everything that makes two clients of a kind differ."""
        provider = self._provider()
        if self._keyless:
            raise AuthError(
                f"{stayed_behind('its sse_customer_key=')}, and "
                "AWS_SSE_CUSTOMER_KEY_BASE64 names none: open the store again with the key",
                store=self._name,
            )
        self.region = known_region(self.endpoint, self.bucket) or self.region
        if self.endpoint and self.endpoint.startswith("http:") and not sources.plain_http_allowed():
            raise ConfigError("AWS_ALLOW_HTTP forbids http:// endpoints: use https://", store=self._name)
        return provider, (
            kind,
            *(self.endpoint, self.bucket, self.region, self.options.identity()),
            *(self.timeouts.connect, self.timeouts.read, self.timeouts.slowest, self.verify),
            id(self.retry) if self.retry else None,
            provider.fingerprint() if provider else None,
            engine.environment(),
        )

    def _address(self) -> Address:
        return Address.of(self.endpoint, self.bucket, self.region)

    def _moved(self, asked: str) -> bool:
        """Whether the engine was refused because it ``asked`` in a region that is not the bucket's, as it does now."""
        if self.region == asked:
            self._follow()
        return self.region != asked

    def _follow(self) -> None:
        """Ask in the bucket's own region from now on, as far as the service tells."""
        region = self.wire().locate()
        if region != self.region:
            self.region, self._client = region, None


def _nobody() -> None:
    """The credentials of anonymous requests."""


def _encrypted(wire: Wire, key: str) -> bool:
    """Whether the object is encrypted with a key of the user's, so that its ETag is no MD5."""
    said = wire.call(Request("read", "HEAD", key)).headers
    kind = said.get("x-amz-server-side-encryption", "")
    return kind.startswith("aws:kms") or "x-amz-server-side-encryption-customer-algorithm" in said
