"""Whether a body is the one that was stored: what an answer promises about it, and what to think of a difference.

Two promises are known. The stamp is our own, in the metadata of what Holdfast wrote. An ETag of 32 hexadecimal digits
is the MD5 of the body on most services, but not for objects that were encrypted with a key of the user's (SSE-KMS,
SSE-C), and not everywhere: it is believed once it was right for another object of the same bucket. Until then two
identical downloads that differ from it are returned, with one warning, and the bucket's ETags are not asked again.
A tool may have carried a stamp along to another body of the same size: one whose MD5 is the ETag is believed.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from ..checksums import STAMP_NAME, Buffer, Digest, parse_stamp, stamp_of
from ..errors import ConfigError, IntegrityError, StoreError
from ._obstore_errors import shown

Mode = Literal["auto", "strict", "length"]
MODES = ("auto", "strict", "length")

_MD5 = re.compile(r'"?([0-9a-f]{32})"?', re.ASCII)
_PAGES = ("text/html", "application/xml", "text/xml")


class Promise(NamedTuple):
    """The digest that the whole body must have; ``sure``: a difference can only mean damage.

    ``etag`` is an MD5 that the ETag looks like, beside a stamp. A tool that rewrote the object may have carried the
    stamp of the old body along: then the body whose MD5 is the ETag is the one that is stored.
    """

    algorithm: str
    hex: str
    sure: bool
    etag: str | None = None

    def of(self, data: Buffer) -> str:
        """The digest that this body has."""
        return Digest(self.algorithm, data).hex()

    def outdated(self, data: Buffer) -> bool:
        """Whether the stamp is that of an older body, because this one's MD5 is the ETag."""
        return self.etag is not None and Digest("md5", data).hex() == self.etag


def checked(mode: Mode) -> Mode:
    """The mode, if it is one; else ConfigError."""
    if mode not in MODES:
        raise ConfigError(f"verify={mode!r} is none of {', '.join(map(repr, MODES))}")
    return mode


class Verifier:
    """Judges the bodies of one bucket, and learns what its ETags are.

    ``mode`` "auto" is described above; "strict" raises for every difference; "length" looks at lengths alone.
    ``encrypted(key)`` asks the service whether an object is one of those whose ETags only look like MD5s.
    ``service`` is what errors take the service for.
    """

    __slots__ = ("_encrypted", "_service", "_store", "md5_etags", "mode")

    def __init__(
        self, store: str, encrypted: Callable[[str], bool], mode: Mode = "auto", service: str = "an S3"
    ) -> None:
        self.mode = mode
        self.md5_etags: bool | None = None
        self._store = store
        self._service = service
        self._encrypted = encrypted

    def refuse_page(self, key: str, attributes: Any, etag: Any) -> None:
        """Raise StoreError for a page of HTML or an error document that came, with status 200, for an object.

        Objects of these types have ETags, as all objects do.
        """
        if etag or not str(attributes.get("Content-Type", "")).startswith(_PAGES):
            return
        message = (
            f"could not read {shown(key)!r}: the answer is a page of {attributes['Content-Type']} without an ETag, "
            f"no object; is this {self._service} endpoint, or is there a proxy before it?"
        )
        raise StoreError(message, store=self._store, key=key, retryable=True)

    def vouches(self, attributes: Any, result: Any, data: Buffer) -> bool:
        """Whether this whole body is surely the one that was stored; False leaves it to ``promise`` and ``check``.

        Most small bodies need nothing more than this, at a third of the price: the engine makes ``meta`` anew each
        time, which costs more than the digest.
        """
        if self.mode == "length":
            return False
        if stamp := attributes.get(STAMP_NAME):
            return bool(stamp == stamp_of(data))
        if not self.md5_etags:
            return False
        etag: str = result.meta["e_tag"] or ""
        return etag.strip('"') == hashlib.md5(data, usedforsecurity=False).hexdigest()

    def promise(self, attributes: Any, size: int, etag: str | None) -> Promise | None:
        """What the answer to a GET promises about the whole body, if anything."""
        if self.mode == "length":
            return None
        text = attributes.get(STAMP_NAME)
        stamp = parse_stamp(text) if text else None
        if stamp is not None and stamp.size == size:
            md5 = _MD5.fullmatch(etag or "")
            return Promise("crc32c", f"{stamp.crc32c:08x}", True, md5[1] if md5 else None)
        looks = _MD5.fullmatch(etag or "") if self.md5_etags is not False else None
        if looks is not None:
            return Promise("md5", looks[1], sure=self.md5_etags is True or stamp is not None)
        return None if stamp is None else Promise("crc32c", f"{stamp.crc32c:08x}", sure=True)

    def check(self, key: str, promise: Promise, found: str) -> None:
        """Return if the digest is the promised one; else raise IntegrityError, which a second download may settle."""
        if found != promise.hex:
            raise self._damaged(key, promise, found, retryable=True)
        if promise.algorithm == "md5":
            self.md5_etags = True

    def settle(self, key: str, promise: Promise, first: str, second: str) -> None:
        """Return if the second of two downloads may be believed, though the first was not the promised one."""
        if second == promise.hex:
            self.check(key, promise, second)
        elif first != second or self.mode == "strict" or not self._excused(key, promise):
            raise self._damaged(key, promise, second, retryable=False)

    def can_be_md5(self, key: str) -> bool:
        """Whether an ETag of this object that looks like an MD5 can be one; the service is asked."""
        return self.md5_etags is not False and not self._encrypted(key)

    def _excused(self, key: str, promise: Promise) -> bool:
        if promise.algorithm != "md5":
            return False
        if promise.sure:
            return self._encrypted(key)
        self.md5_etags = False
        warnings.warn(
            f"{self._store}: two identical downloads of {shown(key)!r} have another MD5 than its ETag says, so "
            "ETags are not taken for MD5s here (verify='strict' raises instead)",
            stacklevel=2,
        )
        return True

    def _damaged(self, key: str, promise: Promise, found: str, *, retryable: bool) -> IntegrityError:
        message = (
            f"the bytes of {shown(key)!r} are not those that were stored ({promise.algorithm} {found} instead of "
            f"{promise.hex}): "
            + ("read it again" if retryable else "the stored object is damaged; verify='length' reads it as it is")
        )
        return IntegrityError(message, store=self._store, key=key, retryable=retryable)
