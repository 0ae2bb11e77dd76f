"""Objects that get another content encoding on their way."""

from __future__ import annotations

from collections.abc import Iterator

from .. import codecs
from ..blob import Blob, Buffer
from ..checksums import Digest
from ..errors import ConfigError, DecompressionError, UnknownEncoding
from ..types import ObjectInfo
from .actions import Identity
from .comparing import Changing, Comparison, Verdict
from .index import Index
from .places import Place


def checked_encoding(encoding: str, target: Place) -> str | None:
    """The encoding that objects get (None: none), if there is one of this name and the target can say it."""
    if not encoding:
        return None
    try:
        codecs.parse_content_encoding(encoding)
    except UnknownEncoding as error:
        raise ConfigError(f"reencode={encoding!r} is no content encoding: {error}") from error
    if not target.store.capabilities.metadata:
        raise ConfigError(f"{target.name} cannot keep that an object is encoded: leave reencode out, or say ''")
    return encoding


def reencoded(blob: Blob, encoding: str | None) -> Iterator[Buffer]:
    """The chunks of the blob in this encoding; as they are, if they have it already."""
    present = blob.info.content_encoding
    if present == encoding:
        return blob.chunks()
    chunks = codecs.decompress_chunks(blob.chunks(), present) if present else blob.chunks()
    return codecs.compress_chunks(chunks, encoding) if encoding else chunks


class ReencodedComparison:
    """Compares objects whose stored bytes are meant to differ: by the index, else by reading and decoding both.

    Nothing that a service tells proves that two encodings hold the same. Reading both costs no more than to send the
    object once more, and what was found equal is remembered. What has the encoding already is compared as it is stored.
    """

    def __init__(self, source: Place, target: Place, encoding: str | None, index: Index | None) -> None:
        self._source = source
        self._target = target
        self._encoding = encoding
        self._stored = Comparison(source, target, "auto", index, encoding or "")
        self.at_once = self._stored.at_once

    def __call__(self, mine: ObjectInfo, theirs: ObjectInfo) -> Verdict:
        if (verdict := self._stored._remembered(mine, theirs)) is not None:
            return verdict
        if mine.content_encoding == self._encoding and self._stored._is_told(0, mine):
            verdict = self._stored(mine, theirs)
            if verdict.same or (verdict.same is False and self._encoding is None):
                return verdict
        with opened(self._target, theirs) as other:
            if other.info.content_encoding != self._encoding:
                return Verdict(False, f"the target's encoding is {other.info.content_encoding or 'none'}")
            try:
                there = decoded_digest(other)
            except DecompressionError:
                there = None
        with opened(self._source, mine) as one:
            same = decoded_digest(one) == there
        if there is None:
            return Verdict(False, "the target cannot be decoded")
        for place, info in ((self._source, mine), (self._target, theirs)):
            if place.is_here:
                opened(place, info).close()  # a file may have been written to under the reader
        return Verdict(same, "same decoded contents" if same else "decoded contents differ")


def opened(place: Place, info: ObjectInfo) -> Blob:
    """The body of this version, to be read; Changing if another one is there by now."""
    blob = place.store._read(info.key)
    if Identity.of(info).matches(blob.info):
        return blob
    blob.close()
    raise Changing(f"{info.key!r} in {place.name} is another version by now")


def decoded_digest(blob: Blob) -> str:
    """The SHA-256 of the decoded contents."""
    digest = Digest("sha256")
    for chunk in reencoded(blob, None):
        digest.update(chunk)
    return digest.hex()
