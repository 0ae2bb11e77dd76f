"""How ``verify`` compares the contents of two objects: by digests of both, or of one and the other's ETag."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from .. import checksums, codecs, engine
from ..blob import Buffer
from ..store import HEAD, ObjectStore
from ..sync.comparing import ETagDigest
from ..types import ObjectInfo

#: From this size on (bytes) the two sides of one object are read at the same time.
LARGE = 16 << 20
#: The services whose ETags are MD5s, if they look like it.
_HASHING = frozenset(("s3", "gs"))


@dataclass(frozen=True)
class Proof:
    """How contents are compared.

    ``decode`` compares decoded bytes. With a ``part_size`` an object of S3 or Google Cloud Storage is not read where
    its ETag is the one that the other side's bytes get when they are uploaded in such parts, those of more than
    ``threshold`` bytes; where it is not, nothing follows, and both are read.
    """

    algorithm: str = "crc32c"
    decode: bool = False
    part_size: int | None = None
    threshold: int = 0

    def same(self, mine: ObjectStore, theirs: ObjectStore, one: ObjectInfo, other: ObjectInfo) -> bool | engine.Split:
        """Whether two objects have the same bytes, or what will tell, in an engine."""
        if self.part_size is not None and not self.decode and self._by_etag(mine, theirs, one, other, self.part_size):
            return True
        sides = partial(self._digest, mine, one.key), partial(self._digest, theirs, other.key)
        if min(one.size or 0, other.size or 0) >= LARGE:
            return engine.Split(sides, _equal)
        return _equal([side() for side in sides])

    def _digest(self, store: ObjectStore, key: str) -> tuple[int, bytes, str | None]:
        """Size and digest, and the encoding without which the bytes mean something else."""
        with store._read(key) as blob:
            chunks, encoding = blob.chunks(), blob.encoding
            if self.decode and encoding:
                chunks, encoding = codecs.decompress_chunks(chunks, encoding, key=key), None
            digest = checksums.digest_chunks(chunks, self.algorithm)
        return digest.size, digest.digest(), encoding

    def _by_etag(
        self, mine: ObjectStore, theirs: ObjectStore, one: ObjectInfo, other: ObjectInfo, part_size: int
    ) -> bool:
        """Whether an ETag proves that both are the same."""
        told = _md5_of(mine, one), _md5_of(theirs, other)
        if None not in told:
            return told[0] == told[1] and _encoding(mine, one) == _encoding(theirs, other)
        if told == (None, None):
            return False
        here, there = ((theirs, other), (mine, one)) if told[0] is not None else ((mine, one), (theirs, other))
        with here[0]._read(here[1].key) as blob:
            parts = (blob.size or 0) > self.threshold
            found = expected(blob.chunks(), part_size if parts else None)
            return found in told and blob.encoding == _encoding(*there)


def expected(chunks: Iterable[Buffer], part_size: int | None) -> ETagDigest:
    """The ETag that S3 gives these bytes, uploaded in parts of this size, or (None) with one request.

    >>> expected([b"hello"], None).md5, expected([b"hel", b"lo"], 4).parts
    ('5d41402abc4b2a76b9719d911017c592', 2)
    """
    if part_size is None:
        return ETagDigest(checksums.digest_chunks(chunks, "md5").hex(), 0)
    whole = hashlib.md5(usedforsecurity=False)
    count = 0
    for part in _parts(chunks, part_size):
        whole.update(part)
        count += 1
    return ETagDigest(whole.hexdigest(), count)


def _parts(chunks: Iterable[Buffer], part_size: int) -> Iterator[bytes]:
    """The MD5 of each part; of an empty object that of one empty part."""
    part, size, any_yet = hashlib.md5(usedforsecurity=False), 0, False
    for chunk in chunks:
        left = memoryview(chunk)
        while left:
            piece = left[: part_size - size]
            part.update(piece)
            size += len(piece)
            left = left[len(piece) :]
            if size == part_size:
                yield part.digest()
                part, size, any_yet = hashlib.md5(usedforsecurity=False), 0, True
    if size or not any_yet:
        yield part.digest()


def _md5_of(store: ObjectStore, info: ObjectInfo) -> ETagDigest | None:
    where = store._locate(info.key)
    return ETagDigest.of(info.etag) if where is not None and where.vendor in _HASHING else None


def _encoding(store: ObjectStore, info: ObjectInfo) -> str | None:
    with store._read(info.key, HEAD) as blob:
        return blob.encoding


def _equal(digests: list[tuple[int, bytes, str | None]]) -> bool:
    return digests[0] == digests[1]
