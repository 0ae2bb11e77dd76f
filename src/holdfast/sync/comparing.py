"""Whether the two objects of one key have the same bytes, by the cheapest proof there is."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Literal, NamedTuple, get_args

from ..blob import Buffer
from ..checksums import Digest
from ..errors import AuthError, ConfigError, Conflict, NotFound
from ..store import HEAD
from ..types import ObjectInfo
from .actions import Identity
from .index import Index, Synced, pair_of, seconds
from .places import Place

Compare = Literal["auto", "digest", "etag", "size+mtime", "size"]
COMPARISONS: tuple[Compare, ...] = get_args(Compare)

#: Services tell times in whole seconds, cut off.
LISTED = timedelta(seconds=1)
#: How often an object that changes while it is read is read anew.
READS = 3
#: The sizes (bytes) of the parts in which tools upload, ours and others'.
PART_SIZES = tuple(mib << 20 for mib in (5, 6, 8, 10, 15, 16, 20, 25, 32, 50, 64, 100, 128, 256, 512, 1024))

#: The backends whose ETags are MD5s of what is stored, if they look like it; but for encrypted ones (see ``_unlike``).
_HASHING = frozenset(("s3", "gs"))
_MD5 = re.compile(r'"?([0-9a-f]{32})(?:-([0-9]{1,5}))?"?', re.ASCII)


class Changing(Exception):
    """An object was another one each time that it had been read."""


class Verdict(NamedTuple):
    """Whether two objects are the same (None: nobody can tell without reading both), and how that is known.

    ``exact``: by their bytes or a digest of them, not by size and time. ``noted``: the index knows all of it already.
    """

    same: bool | None
    reason: str
    exact: bool = True
    noted: bool = False


_CHANGED = Verdict(False, "changed since the last sync")
_UNCHANGED = Verdict(True, "unchanged since the last sync", noted=True)
_NOT_NOTED = _UNCHANGED._replace(noted=False)


class _Stamp(NamedTuple):
    """What Holdfast notes about the stored bytes, and how these are encoded."""

    stamp: str
    encoding: str | None


class ETagDigest(NamedTuple):
    """What an ETag says that looks like a digest: an MD5, of the whole object or of so many parts' MD5s."""

    md5: str
    parts: int

    @classmethod
    def of(cls, etag: str | None) -> ETagDigest | None:
        """What this ETag says, or None if it is opaque.

        >>> ETagDigest.of('"d41d8cd98f00b204e9800998ecf8427e"').parts, ETagDigest.of("5f-1")
        (0, None)
        """
        found = _MD5.fullmatch(etag or "")
        return None if found is None else cls(found[1], int(found[2] or 0))


class Comparison:
    """Compares the objects of a source and a target, by one of ``COMPARISONS``; call it with both rows.

    "auto": size, then what the ``index`` remembers, then the MD5 that an ETag is or is made of, then one HEAD for the
    stamp that Holdfast leaves. Objects of local stores are read; those of services are not. "digest" reads those,
    too, when nothing else proves equality, and takes no digest from the index. "etag" compares ETags, "size" sizes,
    "size+mtime" sizes and times: an object is taken for the same if the source's is not later than the target's.

    Equal bytes under different content encodings are different contents. Where a listing does not tell the encoding,
    "auto" and "digest" ask for the object's head before they call it the same; the other ways go by what is told.
    """

    def __init__(
        self,
        source: Place,
        target: Place,
        compare: Compare = "auto",
        index: Index | None = None,
        reencode: str | None = None,
    ) -> None:
        if compare not in COMPARISONS:
            raise ConfigError(f"compare={compare!r} is none of {', '.join(COMPARISONS)}")
        self.source = source
        self.target = target
        self.index = index
        self.pair = pair_of(source, target, reencode) if index is not None else None
        self._is_cheap = compare in ("etag", "size+mtime", "size")
        self._is_reencoded = reencode is not None
        self._anew = compare == "digest"  # whoever asks for this wants the bytes of now, not what was once read
        self._compare: Callable[[ObjectInfo, ObjectInfo], Verdict] = {
            "auto": self._auto,
            "digest": self._digest,
            "etag": self._etag,
            "size+mtime": self._size_and_time,
            "size": self._size,
        }[compare]
        self._readable = (source.is_here, target.is_here)
        # Elsewhere an ETag that looks like an MD5 may be anything; through a wrapper that changes what is stored, it
        # is that of other bytes than those that are read.
        self._hashed = tuple(place.vendor in _HASHING for place in (source, target))
        self._places = (source, target)
        self._told = (source.lists_encodings, target.lists_encodings)

    def __call__(self, mine: ObjectInfo, theirs: ObjectInfo) -> Verdict:
        if mine.size is not None and theirs.size is not None and mine.size != theirs.size:
            return Verdict(False, f"sizes differ ({mine.size} and {theirs.size} bytes)")
        if self._are_encoded_otherwise(mine, theirs):
            return _encoded_otherwise(mine.content_encoding, theirs.content_encoding)
        return self._compare(mine, theirs)

    def at_once(self, rows: Sequence[tuple[ObjectInfo, ObjectInfo]]) -> list[Verdict | None]:
        """The verdicts that cost neither a read nor a request, for many pairs of rows; None where it takes more.

        The index is asked for all of them together, which takes a fraction of the time that single questions do.
        """
        if self._is_cheap:
            return [self(mine, theirs) for mine, theirs in rows]
        if self.index is None or self.pair is None or self._anew:
            return [None] * len(rows)
        known = self.index.synced_of(self.pair, [mine.key for mine, _ in rows])
        return [self._at_once(mine, theirs, known.get(mine.key)) for mine, theirs in rows]

    def _at_once(self, mine: ObjectInfo, theirs: ObjectInfo, known: Synced | None) -> Verdict | None:
        sizes_differ = None not in (mine.size, theirs.size) and mine.size != theirs.size
        if (sizes_differ and not self._is_reencoded) or self._are_encoded_otherwise(mine, theirs):
            return None
        return self._unchanged(mine, theirs, known)

    # ------------------------------------------------------------------ the ways to compare
    def _auto(self, mine: ObjectInfo, theirs: ObjectInfo) -> Verdict:
        if mine.size == theirs.size == 0:
            return Verdict(True, "both are empty")
        known = self._known(mine, theirs)
        if known is not None and _has_etags(known, mine, theirs):
            # Written again since then, with the same bytes: perhaps to say another encoding.
            return self._unchanged(mine, theirs, known) or self._if_encoded_alike(_NOT_NOTED, mine, theirs)
        if known is not None and (verdict := self._changed(mine, theirs, known)):
            return verdict
        if (verdict := self._by_etags(mine, theirs) or self._by_reading(mine, theirs)) is not None:
            return self._if_encoded_alike(verdict, mine, theirs)
        return self._by_stamp(mine, theirs) or Verdict(None, "same size, and nothing tells their contents")

    def _digest(self, mine: ObjectInfo, theirs: ObjectInfo) -> Verdict:
        if mine.size == theirs.size == 0:
            return Verdict(True, "both are empty")
        verdict = self._by_etags(mine, theirs)
        if verdict is None or not verdict.same:
            same = self.digest(self.source, mine, "sha256") == self.digest(self.target, theirs, "sha256")
            verdict = Verdict(same, "same contents" if same else "contents differ")
        return self._if_encoded_alike(verdict, mine, theirs)

    def _etag(self, mine: ObjectInfo, theirs: ObjectInfo) -> Verdict:
        if mine.etag is None or theirs.etag is None:
            return Verdict(None, "there is no ETag to compare")
        same = mine.etag.strip('"') == theirs.etag.strip('"')
        exact = ETagDigest.of(mine.etag) is not None and self._are_told(mine, theirs)
        return Verdict(same, "same ETag" if same else "ETags differ", exact)

    def _size_and_time(self, mine: ObjectInfo, theirs: ObjectInfo) -> Verdict:
        if None in (mine.size, theirs.size) or mine.last_modified is None or theirs.last_modified is None:
            return Verdict(None, "there is no size and time to compare", exact=False)
        modified = mine.last_modified
        if not self._readable[0] and not modified.microsecond:
            modified += LISTED  # it may have been written at any moment of that second, also after it was copied
        if modified <= theirs.last_modified:
            return Verdict(True, "same size, and not newer in the source", exact=False)
        return Verdict(False, "newer in the source", exact=False)

    def _size(self, mine: ObjectInfo, theirs: ObjectInfo) -> Verdict:
        if None in (mine.size, theirs.size):
            return Verdict(None, "there is no size to compare", exact=False)
        return Verdict(True, "same size", exact=False)

    # ------------------------------------------------------------------ proofs
    def _remembered(self, mine: ObjectInfo, theirs: ObjectInfo) -> Verdict | None:
        return self._unchanged(mine, theirs, self._known(mine, theirs))

    def _unchanged(self, mine: ObjectInfo, theirs: ObjectInfo, known: Synced | None) -> Verdict | None:
        """The verdict on versions that were found equal before; None for others.

        An ETag that is made of the bytes alone stays when they are written again under another encoding. So where no
        listing tells encodings, the time must be that of before, too, as soon as it is known: what answers an upload
        does not tell it, so the first listing afterwards is believed.
        """
        if known is None or not _has_etags(known, mine, theirs):
            return None
        verdict = _UNCHANGED
        for told, info, before in zip(self._told, (mine, theirs), (known.source_time, known.target_time), strict=True):
            if told or seconds(info) == before:
                continue
            if before is not None:
                return None
            verdict = _NOT_NOTED
        return verdict

    def _known(self, mine: ObjectInfo, theirs: ObjectInfo) -> Synced | None:
        if self.index is None or self.pair is None or mine.etag is None or theirs.etag is None:
            return None
        return self.index.synced(self.pair, mine.key)

    def _changed(self, mine: ObjectInfo, theirs: ObjectInfo, known: Synced) -> Verdict | None:
        """That they differ, if one side is what it was at the last sync and that proves it: this saves a HEAD."""
        if theirs.etag != known.target and mine.etag != known.source:
            return None
        changed = 0 if theirs.etag == known.target else 1
        rest, infos, before = 1 - changed, (mine, theirs), (known.source, known.target)
        if self._readable[changed]:
            # Bytes with another CRC-32C are others; those with the same one still need a better proof.
            if known.stamp is None:
                return None
            stamp = f"{self.digest(self._places[changed], infos[changed], 'crc32c')}-{infos[changed].size}"
            return None if stamp == known.stamp else _CHANGED
        now, then = ETagDigest.of(infos[changed].etag), ETagDigest.of(before[changed])
        if now is None or then is None or now.parts or then.parts:
            return None
        if not (self._hashed[changed] and self._readable[rest]):
            return None
        # The other side still has the bytes of then: if that ETag is their MD5, this one is that of other bytes. (Were
        # it encrypted by KMS since then, it would be no MD5: then the same bytes are sent once more.)
        return _CHANGED if self.digest(self._places[rest], infos[rest], "md5") == then.md5 else None

    def _by_etags(self, mine: ObjectInfo, theirs: ObjectInfo) -> Verdict | None:
        """By ETags that are MD5s, or made of them; the side that lies on this machine is read for its own."""
        ours, others = ETagDigest.of(mine.etag), ETagDigest.of(theirs.etag)
        ours = ours if self._hashed[0] else None
        others = others if self._hashed[1] else None
        if ours is not None and others is not None:
            if ours == others:
                return Verdict(True, "same ETag")
            return self._unlike(mine, theirs, "ETags differ") if not ours.parts and not others.parts else None
        verdict = None
        if others is not None and self._readable[0]:
            verdict = self._has_etag(self.source, mine, others, self.target)
        elif ours is not None and self._readable[1]:
            verdict = self._has_etag(self.target, theirs, ours, self.source)
        return verdict if verdict is None or verdict.same else self._unlike(mine, theirs, verdict.reason)

    def _unlike(self, mine: ObjectInfo, theirs: ObjectInfo, reason: str) -> Verdict:
        """What ETags mean that look like MD5s and differ; those that KMS encrypts look like it, and are none.

        So equal stamps count for more, unless the service says that the ETag is an MD5: then it is the stamp that does
        not belong to these bytes, because a tool carried it along.
        """
        by_stamp = self._by_stamp(mine, theirs)
        if by_stamp is None or not by_stamp.same:
            return Verdict(False, reason)
        sides = zip(self._hashed, (self.source, self.target), strict=True)
        if all(place.has_md5_etag(mine.key) for hashed, place in sides if hashed):
            return Verdict(False, reason)
        return by_stamp

    def _has_etag(self, place: Place, info: ObjectInfo, wanted: ETagDigest, other: Place) -> Verdict | None:
        if not wanted.parts:
            same = self.digest(place, info, "md5") == wanted.md5
            return Verdict(same, "same MD5" if same else "MD5s differ")
        # One request tells the size of the parts, which may be any, and saves a read for each size that is likely.
        told = other.part_size(info.key, wanted.parts) if wanted.parts > 1 else None
        for part in _part_sizes(info.size, wanted.parts) if told is None else [told]:
            if self.digest(place, info, f"md5/{part}") == f"{wanted.md5}-{wanted.parts}":
                return Verdict(True, f"same MD5 of {wanted.parts} parts")
        return None  # it may have been uploaded in parts of different sizes, or of one that nobody can guess

    def _by_reading(self, mine: ObjectInfo, theirs: ObjectInfo) -> Verdict | None:
        if self._readable != (True, True):
            return None
        same = self.digest(self.source, mine, "sha256") == self.digest(self.target, theirs, "sha256")
        return Verdict(same, "same contents" if same else "contents differ")

    def _by_stamp(self, mine: ObjectInfo, theirs: ObjectInfo) -> Verdict | None:
        # A tool may have carried a stamp along to other bytes, whose MD5 would then be the ETag: see ``_unlike``.
        one, other = self._stamp(0, mine), self._stamp(1, theirs)
        if one is None or other is None:
            return None
        if one.stamp != other.stamp:
            return Verdict(False, "CRC-32Cs differ")
        if one.encoding != other.encoding:
            return _encoded_otherwise(one.encoding, other.encoding)
        return Verdict(True, "same CRC-32C and size")

    def _stamp(self, side: int, info: ObjectInfo) -> _Stamp | None:
        place = self._places[side]
        if self._readable[side]:
            return _Stamp(f"{self.digest(place, info, 'crc32c')}-{info.size}", self._encoding(side, info))
        if place.vendor is None:
            return None  # whatever is noted there, is noted about the stored bytes
        try:
            with place.store._read(info.key, HEAD) as blob:
                if blob.stamp is None or not Identity.of(info).matches(blob.info):
                    return None
                return _Stamp(blob.stamp, blob.encoding)
        except NotFound:
            return None

    # ------------------------------------------------------------------ encodings
    def _is_told(self, side: int, info: ObjectInfo) -> bool:
        """Whether the info tells how the object is encoded: a head does, and has a type, which few listings have."""
        return self._told[side] or info.content_encoding is not None or info.content_type is not None

    def _are_told(self, mine: ObjectInfo, theirs: ObjectInfo) -> bool:
        return self._is_told(0, mine) and self._is_told(1, theirs)

    def _are_encoded_otherwise(self, mine: ObjectInfo, theirs: ObjectInfo) -> bool:
        return mine.content_encoding != theirs.content_encoding and self._are_told(mine, theirs)

    def _if_encoded_alike(self, verdict: Verdict, mine: ObjectInfo, theirs: ObjectInfo) -> Verdict:
        """The verdict about stored bytes, unless they are encoded differently; asks where no listing told it."""
        if not verdict.same or self._are_told(mine, theirs):
            return verdict
        try:
            one, other = self._encoding(0, mine), self._encoding(1, theirs)
        except AuthError:
            return Verdict(None, f"{verdict.reason}, but how it is encoded may not be asked")
        return verdict if one == other else _encoded_otherwise(one, other)

    def _encoding(self, side: int, info: ObjectInfo) -> str | None:
        if self._is_told(side, info):
            return info.content_encoding
        place = self._places[side]
        now = place.head(info.key)
        if now is None or not Identity.of(info).matches(now):
            raise Changing(f"{info.key!r} in {place.name} is another version by now")
        return now.content_encoding

    # ------------------------------------------------------------------ digests
    def digest(self, place: Place, info: ObjectInfo, algorithm: str) -> str:
        """The digest of exactly this version: "md5", "sha256", "crc32c", or "md5/SIZE" as of parts of that size.

        Read once and remembered by its ETag. Raises Changing if it is being changed, or is another version by now.
        """
        where = place.identity if place.is_here else None
        if self.index is not None and where is not None and info.etag is not None and not self._anew:
            known = self.index.digest(where, info.key, info.etag, algorithm)
            if known is not None:
                return known
        for _ in range(READS):
            began = time.time()
            digest = self._read_digest(place, info, algorithm)
            if digest is not None:
                if self.index is not None and where is not None:
                    self.index.remember_digest(where, info.key, Identity.of(info), algorithm, digest, began)
                return digest
        raise Changing(f"{info.key!r} in {place.name} changes while it is read")

    def _read_digest(self, place: Place, info: ObjectInfo, algorithm: str) -> str | None:
        """The digest, or None if the bytes may not have been those of this version."""
        try:
            with place.store._read(info.key) as blob:
                if not Identity.of(info).matches(blob.info):
                    return None
                digest = digest_of(blob.chunks(), algorithm)
        except (NotFound, Conflict):
            return None
        after = place.head(info.key)
        return digest if after is not None and Identity.of(info).matches(after) else None


def _has_etags(known: Synced, mine: ObjectInfo, theirs: ObjectInfo) -> bool:
    return (known.source, known.target) == (mine.etag, theirs.etag)


def _encoded_otherwise(one: str | None, other: str | None) -> Verdict:
    return Verdict(False, f"encodings differ ({one or 'none'} and {other or 'none'})")


def digest_of(chunks: Iterator[Buffer], algorithm: str) -> str:
    """The digest of the chunks in hexadecimal; "md5/SIZE" is the ETag of an upload in parts of that size.

    >>> digest_of(iter([b"hello"]), "md5/3")
    '554a2f6105cc700b8cc987b5ddfb8102-2'
    """
    name, _, size = algorithm.partition("/")
    if not size:
        digest = Digest(name)
        for chunk in chunks:
            digest.update(chunk)
        return digest.hex()
    part, whole, room, count = Digest("md5"), Digest("md5"), int(size), 0
    for chunk in chunks:
        view = memoryview(chunk)
        while view:
            piece, view = view[: room - part.size], view[room - part.size :]
            part.update(piece)
            if part.size == room:
                whole.update(part.digest())
                part, count = Digest("md5"), count + 1
    if part.size:
        whole.update(part.digest())
        count += 1
    return f"{whole.hex()}-{count}"


def _part_sizes(size: int | None, parts: int) -> list[int]:
    """The sizes of parts that tools choose, and that give so many parts."""
    if not size:
        return []
    exact = -(-size // parts)
    in_mib = -(-exact // (1 << 20)) << 20
    return sorted({part for part in (*PART_SIZES, exact, in_mib) if -(-size // part) == parts})
