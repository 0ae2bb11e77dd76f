"""Digests of objects' bytes, and the stamp by which Holdfast knows its own objects again.

The stamp is the value of the metadata name ``holdfastcrc32c``: the CRC-32C (Castagnoli, RFC 3720) of the stored
bytes as eight lowercase hexadecimal digits, a hyphen, and their count in decimal: ``9a71bb4c-5``.
"""

from __future__ import annotations

import functools
import hashlib
import re
from base64 import b64encode
from collections.abc import Callable, Iterable
from typing import NamedTuple

from .errors import IntegrityError

Buffer = bytes | bytearray | memoryview

#: The metadata name that holds the stamp: letters and digits only, because Azure takes no hyphens and Ceph rewrites
#: underscores.
STAMP_NAME = "holdfastcrc32c"

ALGORITHMS = ("crc32c", "md5", "sha256")

_STAMP = re.compile(r"([0-9a-f]{8})-(0|[1-9][0-9]{0,18})", re.ASCII)


class Digest:
    """A digest that grows chunk by chunk: ``crc32c``, ``md5`` or ``sha256``; ``size`` counts the bytes.

    >>> digest = Digest("crc32c", b"hel")
    >>> digest.update(b"lo")
    >>> digest.hex(), digest.base64(), digest.size
    ('9a71bb4c', 'mnG7TA==', 5)
    """

    __slots__ = ("_hash", "_value", "algorithm", "size")

    def __init__(self, algorithm: str, data: Buffer = b"") -> None:
        if algorithm not in ALGORITHMS:
            raise ValueError(f"unknown digest {algorithm!r}: the known ones are {', '.join(ALGORITHMS)}")
        self.algorithm = algorithm
        self.size = 0
        self._value = 0
        # Not for security: services define their checks by MD5, and FIPS builds refuse it otherwise.
        self._hash = None if algorithm == "crc32c" else hashlib.new(algorithm, usedforsecurity=False)
        self.update(data)

    def update(self, data: Buffer) -> None:
        """Take in the next bytes."""
        self.size += data.nbytes if isinstance(data, memoryview) else len(data)
        if self._hash is not None:
            self._hash.update(data)
        else:
            self._value = crc32c(data, self._value)

    def digest(self) -> bytes:
        """The digest of everything so far; of crc32c four bytes, the most significant first."""
        return self._value.to_bytes(4, "big") if self._hash is None else self._hash.digest()

    def hex(self) -> str:
        """The digest in lowercase hexadecimal, as ETags spell it."""
        return self.digest().hex()

    def base64(self) -> str:
        """The digest in base64, as Content-MD5 and x-amz-checksum headers spell it."""
        return b64encode(self.digest()).decode("ascii")


def crc32c(data: Buffer, value: int = 0) -> int:
    """The CRC-32C of the data, continued from ``value``, that of the bytes before it.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    return _native_crc32c()(data, value)


@functools.cache
def _native_crc32c() -> Callable[[Buffer, int], int]:
    # Imported at the first use, because a process that moves no bytes needs no checksum library.
    from crc32c import crc32c as native

    return native


def digest_chunks(chunks: Iterable[Buffer], algorithm: str) -> Digest:
    """The digest of the chunks, one after another.

    >>> digest_chunks([b"a", b"b"], "md5").hex() == Digest("md5", b"ab").hex()
    True
    """
    digest = Digest(algorithm)
    for chunk in chunks:
        digest.update(chunk)
    return digest


class Stamp(NamedTuple):
    """What a stamp says: the CRC-32C and the size in bytes of what was stored."""

    crc32c: int
    size: int


def format_stamp(digest: Digest) -> str:
    """The stamp of the bytes that went through this crc32c digest.

    >>> format_stamp(Digest("crc32c", b"hello"))
    '9a71bb4c-5'
    """
    if digest.algorithm != "crc32c":
        raise ValueError(f"a stamp is made of a crc32c digest, not of {digest.algorithm}")
    return f"{digest.hex()}-{digest.size}"


def stamp_of(data: Buffer) -> str:
    """The stamp of these bytes, which are all of the object.

    >>> stamp_of(b"hello")
    '9a71bb4c-5'
    """
    # As every small object is stamped and checked: half the price of a Digest.
    size = data.nbytes if isinstance(data, memoryview) else len(data)
    return f"{crc32c(data):08x}-{size}"


def parse_stamp(text: str) -> Stamp | None:
    """What the stamp says, or None for anything that is no stamp (somebody else's metadata).

    >>> parse_stamp("9a71bb4c-5"), parse_stamp("9a71bb4c")
    (Stamp(crc32c=2591144780, size=5), None)
    """
    match = _STAMP.fullmatch(text)
    return None if match is None else Stamp(int(match[1], 16), int(match[2]))


def verify(digest: Digest, stamp: Stamp, *, key: str | None = None, store: str | None = None) -> None:
    """Return if the bytes that went through this crc32c digest are the stamped ones; else IntegrityError.

    >>> verify(Digest("crc32c", b"hello"), Stamp(0x9A71BB4C, 5))
    """
    found, expected = format_stamp(digest), f"{stamp.crc32c:08x}-{stamp.size}"
    if found != expected:
        raise IntegrityError(
            f"the bytes of object {key!r} are not those that were stored (crc32c-size {found} instead of {expected}): "
            "read it again; if that repeats, the stored object is damaged",
            key=key,
            store=store,
        )
