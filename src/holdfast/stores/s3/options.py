"""What a store asks of the service for each object: who pays, how it is encrypted and kept, who may read it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from ...errors import ConfigError

ENCRYPTION = "x-amz-server-side-encryption"
CUSTOMER = f"{ENCRYPTION}-customer"
COPY_SOURCE = "x-amz-copy-source"
SOURCE_CUSTOMER = f"{COPY_SOURCE}-server-side-encryption-customer"
#: With a key of the customer's own, which the service does not keep.
WITH_CUSTOMER_KEY = "sse-c"

_METHODS = ("AES256", "aws:kms", "aws:kms:dsse")
_ACLS = (
    *("private", "public-read", "public-read-write", "authenticated-read", "aws-exec-read"),
    *("bucket-owner-read", "bucket-owner-full-control", "log-delivery-write"),
)
_MOST_TAGS = 10
_TRUE = frozenset(("1", "true", "yes", "on"))


@dataclass(frozen=True, slots=True)
class S3Options:
    """The options of one store, checked; ``sse_customer_key`` is base64 and never shown. The rest: see ``S3Store``."""

    request_payer: bool = False
    storage_class: str | None = None
    encryption: str | None = None
    kms_key_id: str | None = None
    bucket_key: bool = False
    sse_customer_key: str | None = field(default=None, repr=False)
    acl: str | None = None
    tags: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(
        cls,
        *,
        encryption: str | None,
        kms_key_id: str | None,
        sse_customer_key: bytes | str | None,
        tags: Mapping[str, str] | None,
        environment: Mapping[str, str] = os.environ,
        **others: Any,
    ) -> S3Options:
        """The options that were given; without any about encryption, those of the AWS_* environment.

        Raises ConfigError for what cannot be, or excludes each other.
        """
        bucket_key = others.pop("bucket_key")
        if encryption is None and kms_key_id is None and sse_customer_key is None:
            encryption = environment.get("AWS_SERVER_SIDE_ENCRYPTION") or None
            kms_key_id = environment.get("AWS_SSE_KMS_KEY_ID") or None
            sse_customer_key = environment.get("AWS_SSE_CUSTOMER_KEY_BASE64") or None
            bucket_key = bucket_key or environment.get("AWS_SSE_BUCKET_KEY_ENABLED", "").lower() in _TRUE
        if sse_customer_key is not None and encryption in {None, WITH_CUSTOMER_KEY}:
            encryption = WITH_CUSTOMER_KEY
        elif kms_key_id is not None and encryption is None:
            encryption = "aws:kms"
        options = cls(
            encryption=encryption,
            kms_key_id=kms_key_id,
            bucket_key=bucket_key,
            sse_customer_key=None if sse_customer_key is None else _customer_key(sse_customer_key),
            tags=tuple(sorted((tags or {}).items())),
            **others,
        )
        options._check()
        return options

    def _check(self) -> None:
        kms = (self.encryption or "").startswith("aws:kms")
        if self.encryption not in {None, WITH_CUSTOMER_KEY, *_METHODS}:
            known = ", ".join((*_METHODS, f"{WITH_CUSTOMER_KEY} (with sse_customer_key=)"))
            raise ConfigError(f"encryption={self.encryption!r} is none that S3 knows: {known}")
        if (self.encryption == WITH_CUSTOMER_KEY) != (self.sse_customer_key is not None):
            raise ConfigError(
                f"encryption={self.encryption!r} and sse_customer_key= do not go together: give the key alone"
            )
        if (self.kms_key_id or self.bucket_key) and not kms:
            raise ConfigError("kms_key_id= and bucket_key= are for encryption='aws:kms'")
        if self.acl not in {None, *_ACLS}:
            raise ConfigError(f"acl={self.acl!r} is none that S3 knows: {', '.join(_ACLS)}")
        if len(self.tags) > _MOST_TAGS or not all(isinstance(text, str) for tag in self.tags for text in tag):
            raise ConfigError(f"tags= are at most {_MOST_TAGS} names, each with a text")
        for name in ("storage_class", "kms_key_id"):
            text = getattr(self, name)
            if text is not None and not (text.isascii() and text.isprintable() and text.strip() == text != ""):
                raise ConfigError(f"{name}={text!r} cannot travel in a header")

    def __repr__(self) -> str:
        shown = {f.name: getattr(self, f.name) for f in fields(self) if f.repr and getattr(self, f.name) != f.default}
        return f"S3Options({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    def identity(self) -> tuple[Any, ...]:
        """What differs whenever an option differs, and reveals no key."""
        return (*(getattr(self, f.name) for f in fields(self) if f.repr), self.fingerprint())

    def fingerprint(self) -> str | None:
        """What differs whenever the customer's key differs, and does not reveal it."""
        return hashlib.sha256(self.sse_customer_key.encode()).hexdigest() if self.sse_customer_key else None

    def recipe(self) -> dict[str, Any]:
        """The arguments that make a store with these options, without the customer's key."""
        found = {f.name: getattr(self, f.name) for f in fields(self) if f.repr}
        if self.sse_customer_key is not None:
            del found["encryption"]
        return {**found, "tags": dict(self.tags)}

    # ------------------------------------------------------------------ as headers
    def headers(self, method: str, key: str | None, query: Mapping[str, str]) -> dict[str, str]:
        """The headers that these options add to a request."""
        added = {"x-amz-request-payer": "requester"} if self.request_payer else {}
        if key is None:
            return added
        begins = (method == "PUT" and not query) or (method == "POST" and "uploads" in query)
        if begins:
            added |= self._for_a_new_object()
        if self.sse_customer_key is not None and (begins or method in {"GET", "HEAD"} or "partNumber" in query):
            added |= self.customer_headers(CUSTOMER)
        return added

    def _for_a_new_object(self) -> dict[str, str]:
        found = {
            "x-amz-storage-class": self.storage_class,
            "x-amz-acl": self.acl,
            ENCRYPTION: None if self.encryption == WITH_CUSTOMER_KEY else self.encryption,
            f"{ENCRYPTION}-aws-kms-key-id": self.kms_key_id,
            f"{ENCRYPTION}-bucket-key-enabled": "true" if self.bucket_key else None,
            "x-amz-tagging": urllib.parse.urlencode(self.tags) or None,
        }
        return {name: value for name, value in found.items() if value is not None}

    def customer_headers(self, prefix: str) -> dict[str, str]:
        """The headers with the customer's key, if there is one."""
        if self.sse_customer_key is None:
            return {}
        digest = hashlib.md5(base64.b64decode(self.sse_customer_key), usedforsecurity=False).digest()
        return {
            f"{prefix}-algorithm": "AES256",
            f"{prefix}-key": self.sse_customer_key,
            f"{prefix}-key-md5": base64.b64encode(digest).decode(),
        }

    def engine(self) -> dict[str, Any]:
        """The engine's configuration for the same: everything but ``acl``, ``storage_class`` and ``tags``."""
        config: dict[str, Any] = {"request_payer": self.request_payer}
        if self.encryption is not None:
            config["server_side_encryption"] = self.encryption
        if self.kms_key_id is not None:
            config["sse_kms_key_id"] = self.kms_key_id
        if self.bucket_key:
            config["sse_bucket_key_enabled"] = True
        if self.sse_customer_key is not None:
            config["sse_customer_key_base64"] = self.sse_customer_key
        return config

    def honoured(self, answer: Mapping[str, str]) -> bool:
        """Whether an object with these headers is encrypted as was asked for."""
        if self.encryption == WITH_CUSTOMER_KEY:
            return answer.get(f"{CUSTOMER}-algorithm") == "AES256"
        return self.encryption is None or answer.get(ENCRYPTION) == self.encryption


def _customer_key(given: bytes | str) -> str:
    try:
        key = base64.b64decode(given, validate=True) if isinstance(given, str) else given
    except binascii.Error:
        key = b""
    if len(key) != 32:
        raise ConfigError("sse_customer_key= has 256 bits: give 32 bytes, or the base64 of them as text")
    return base64.b64encode(key).decode()
