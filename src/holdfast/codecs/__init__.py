"""Content encodings: gzip, br, zstd, xz and bz2, whole or streamed, checked to the last byte and bounded.

Encoding is deterministic: gzip members carry no time, no name and a fixed OS byte, so that one build of the
codecs gives the same bytes for the same input. The default levels (``DEFAULT_LEVELS``) are chosen for throughput:

    gzip 2   from isal: within 3 % of the size of zlib's level 6 on text, ten times as fast. Levels 1 to 3 are isal's,
             0 and 4 to 9 the standard library's
    br 5     zstd 3 (with the frame checksum, which costs four bytes)     xz 6     bz2 9

Decoding never returns short data silently. A stream that is empty, cut, corrupt or followed by anything else is a
DecompressionError; members of gzip, frames of zstd and streams of xz and bz2 that follow each other decode to their
concatenation, and zero bytes after a gzip member or an xz stream are padding, as the tools treat them (tar pads).
brotli has no checksum of its own, so only its structure can be checked.

Decoding is bounded, against small objects that decode to huge ones: to ``limit`` decoded bytes where it is given,
else to the environment's HOLDFAST_DECODED_LIMIT, else to 256 MiB or 100 times the encoded size, whichever is more.
At most about 2 MiB are decoded before each check.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NoReturn

from ..errors import ConfigError, DecompressionError, UnknownEncoding
from .backends import Compressor, Decoder, backend_of

Buffer = bytes | bytearray | memoryview
Encoding = str | bool | None

#: File name suffixes, for stores that cannot say Content-Encoding. The order is that in which readers try them.
SUFFIXES = {"gzip": ".gz", "br": ".br", "zstd": ".zstd", "xz": ".xz", "bz2": ".bz2"}

DEFAULT_LEVELS = {"gzip": 2, "br": 5, "zstd": 3, "xz": 6, "bz2": 9}
LEVELS = {"gzip": (0, 9), "br": (0, 11), "zstd": (-50, 22), "xz": (0, 9), "bz2": (1, 9)}

DEFAULT_LIMIT = 256 << 20
DEFAULT_RATIO = 100

_ALIASES: dict[Encoding, str | None] = {name: name for name in SUFFIXES}
_ALIASES |= {True: "gzip", "x-gzip": "gzip", "bzip2": "bz2", "lzma": "xz"}
_ALIASES |= {False: None, None: None, "": None, "identity": None}

_STEP = 1 << 20  # decoded bytes asked for at a time
_PIECE = 64 << 10  # encoded bytes fed at a time: what follows a member's end is copied once for each member
_SMALL = 256 << 10  # encoded bytes that usually decode in one step


def canonical(name: Encoding) -> str | None:
    """The one name of this encoding, or None for no encoding.

    True means gzip; False, None and "" mean none; bzip2 and lzma are bz2 and xz. UnknownEncoding (a ValueError)
    for anything else.

    >>> canonical(True), canonical("bzip2"), canonical("")
    ('gzip', 'bz2', None)
    """
    try:
        return _ALIASES[name]
    except (KeyError, TypeError):
        pass
    lowered = name.strip().lower() if isinstance(name, str) else name
    if isinstance(lowered, str) and lowered in _ALIASES:
        return _ALIASES[lowered]
    raise UnknownEncoding(
        f"unknown encoding {name!r}: the known ones are {', '.join(SUFFIXES)} "
        "(also True for gzip, bzip2, lzma, and None for no encoding); raw=True reads the stored bytes as they are"
    )


def parse_content_encoding(header: str | None) -> tuple[str, ...]:
    """The codings of a Content-Encoding header, canonical, in the order in which they were applied.

    ``identity`` and ``aws-chunked`` say nothing about the stored bytes and are left out. UnknownEncoding for a
    coding that cannot be decoded.

    >>> parse_content_encoding("aws-chunked, GZIP , br")
    ('gzip', 'br')
    """
    names = (coding.strip() for coding in (header or "").split(","))
    return tuple(name for coding in names if coding.lower() != "aws-chunked" and (name := canonical(coding)))


def _codings(encoding: Encoding) -> tuple[str, ...]:
    if isinstance(encoding, str) and "," in encoding:
        return parse_content_encoding(encoding)
    name = canonical(encoding)
    return () if name is None else (name,)


# ---------------------------------------------------------------------- encoding
def compress(data: Buffer, encoding: Encoding, level: int | None = None) -> bytes:
    """The data, encoded; by several codings in turn for a list such as "gzip, br".

    ``level`` None takes DEFAULT_LEVELS; one outside LEVELS is a ConfigError (a ValueError).

    >>> decompress(compress(b"abc" * 100, "gzip"), "gzip") == b"abc" * 100
    True
    """
    encoded = data
    for name in _codings(encoding):
        chosen, backend = _level(name, level), backend_of(name)
        if backend.whole is not None:
            encoded = backend.whole(encoded, chosen)
        else:
            compressor = backend.compressor(chosen)
            encoded = compressor.compress(encoded) + compressor.flush()
    return bytes(encoded)


def compress_chunks(chunks: Iterable[Buffer], encoding: Encoding, level: int | None = None) -> Iterator[Buffer]:
    """The chunks, encoded on the way, in memory that does not grow with them.

    The level is checked at the call, not at the first chunk. A zstd frame made here cannot tell its decoded size
    beforehand, as one of :func:`compress` does.

    >>> b"".join(compress_chunks([b"ab", b"c"], "xz")) == b"".join(compress_chunks([b"abc"], "xz"))
    True
    """
    encoded: Iterable[Buffer] = chunks
    for name in _codings(encoding):
        encoded = _encode(encoded, backend_of(name).compressor(_level(name, level)))
    return iter(encoded)


def _encode(chunks: Iterable[Buffer], compressor: Compressor) -> Iterator[Buffer]:
    for chunk in chunks:
        view = memoryview(chunk).cast("B")
        for start in range(0, len(view), _STEP):
            if encoded := compressor.compress(view[start : start + _STEP]):
                yield encoded
    if encoded := compressor.flush():
        yield encoded


def _level(name: str, level: int | None) -> int:
    if level is None:
        return DEFAULT_LEVELS[name]
    low, high = LEVELS[name]
    if not low <= level <= high:
        raise ConfigError(f"compression level {level!r}: {name} has the levels {low} to {high}")
    return level


# ---------------------------------------------------------------------- decoding
def decompress(data: Buffer, encoding: Encoding, *, limit: int | None = None, key: str | None = None) -> bytes:
    """The decoded data, whole and sound; for a list such as "gzip, br" the last coding is undone first.

    DecompressionError for anything else, also for more than ``limit`` decoded bytes (the module tells the default;
    ``sys.maxsize`` is no limit); UnknownEncoding for an unknown coding. ``key`` is named in errors.

    >>> decompress(compress(b"abc", "br"), "br")
    b'abc'
    """
    codings = _codings(encoding)
    if len(codings) == 1 and len(data) <= _SMALL:
        # One call decodes what fits one step, without the generators below.
        backend = backend_of(codings[0])
        decoder = backend.decoder()
        try:
            decoded = decoder.decompress(data, _STEP)
        except backend.error as error:
            _broken(codings[0], key, str(error), error)
        if decoder.eof and not decoder.unused_data and len(decoded) <= (_limit() if limit is None else limit):
            return decoded
    elif not codings:
        return bytes(data)
    return b"".join(decompress_chunks((data,), encoding, limit=limit, key=key))


def decompress_chunks(
    chunks: Iterable[Buffer], encoding: Encoding, *, limit: int | None = None, key: str | None = None
) -> Iterator[Buffer]:
    """The decoded chunks, as :func:`decompress` checks and bounds them, in memory that does not grow.

    Errors come when the iterator gets there: what was decoded before is not known to be sound until the end.

    >>> b"".join(decompress_chunks([compress(b"abc", "zstd")], "zstd"))
    b'abc'
    """
    decoded: Iterable[Buffer] = chunks
    if codings := _codings(encoding):
        budget = _Budget(limit, key)
        decoded = budget.count(chunks)
        for name in reversed(codings):
            decoded = _decode(decoded, name, budget)
    return iter(decoded)


def decode_range(
    chunks: Iterable[Buffer],
    encoding: Encoding,
    start: int | None,
    end: int | None = None,
    *,
    limit: int | None = None,
    key: str | None = None,
) -> Iterator[Buffer]:
    """The decoded bytes [start:end) as a slice would give them; a negative ``start`` counts from the end.

    Decoding starts at the first byte, and stops as soon as ``end`` is reached: then the rest of the stream, and
    with it the checksum in its tail, is not looked at. A range without ``end``, or one that reaches past the last
    byte, is checked like a whole read. Everything decoded counts against the limit, also what comes before start.

    >>> b"".join(decode_range([compress(b"0123456789", "gzip")], "gzip", 2, 5))
    b'234'
    """
    decoded = decompress_chunks(chunks, encoding, limit=limit, key=key)
    if start is not None and start < 0:
        return _tail(decoded, -start)
    return _slice(decoded, start or 0, sys.maxsize if end is None else end)


def _slice(chunks: Iterable[Buffer], start: int, end: int) -> Iterator[Buffer]:
    position = 0
    if start >= end:
        return
    for chunk in chunks:
        after = position + len(chunk)
        if after > start:
            wanted = memoryview(chunk)[max(0, start - position) : end - position]
            yield chunk if len(wanted) == len(chunk) else bytes(wanted)
        if after >= end:
            return
        position = after


def _tail(chunks: Iterable[Buffer], length: int) -> Iterator[Buffer]:
    kept: deque[Buffer] = deque()
    surplus = -length
    for chunk in chunks:
        kept.append(chunk)
        surplus += len(chunk)
        while kept and surplus >= len(kept[0]):
            surplus -= len(kept.popleft())
    if surplus > 0:
        kept.appendleft(bytes(memoryview(kept.popleft())[surplus:]))
    yield from kept


class _Budget:
    """How much may be decoded: a fixed limit, or a floor that grows with what was read."""

    __slots__ = ("_fixed", "_read", "key")

    def __init__(self, limit: int | None, key: str | None) -> None:
        self._fixed = limit
        self._read = 0
        self.key = key

    def count(self, chunks: Iterable[Buffer]) -> Iterator[Buffer]:
        for chunk in chunks:
            self._read += len(chunk)
            yield chunk

    def check(self, decoded: int, name: str) -> None:
        allowed = decoded_limit(self._read) if self._fixed is None else self._fixed
        if decoded > allowed:
            raise DecompressionError(
                f"{_of(self.key)}the {name} data decodes to more than {allowed} bytes, which may be an attack: if it "
                "is to be trusted, set HOLDFAST_DECODED_LIMIT (bytes) higher; raw=True reads the "
                "stored bytes as they are",
                key=self.key,
            )


def decoded_limit(encoded: int) -> int:
    """How many bytes so many encoded ones may decode to, where nobody names a limit: what the module says.

    >>> decoded_limit(1000) >> 20
    256
    """
    limit = _limit()
    return limit if "HOLDFAST_DECODED_LIMIT" in os.environ else max(limit, DEFAULT_RATIO * encoded)


def _limit() -> int:
    text = os.environ.get("HOLDFAST_DECODED_LIMIT")
    if text is None:
        return DEFAULT_LIMIT
    try:
        return int(text)
    except ValueError as error:
        raise ConfigError(f"HOLDFAST_DECODED_LIMIT={text!r} is not a number of bytes") from error


def _decode(chunks: Iterable[Buffer], name: str, budget: _Budget) -> Iterator[Buffer]:
    backend = backend_of(name)
    decoder: Decoder | None = None
    members = decoded = 0
    for piece in _pieces(chunks):
        data: Buffer = piece
        while True:
            if decoder is None:
                if members and backend.padded:
                    data = bytes(data).lstrip(b"\0")
                if not len(data):
                    break
                if members and not backend.members:
                    _broken(name, budget.key, "bytes follow its end")
                decoder = backend.feeder()
            try:
                out = decoder.decompress(data, _STEP)
            except backend.error as error:
                _broken(name, budget.key, f"{error}{', after a sound stream' if members else ''}", error)
            if out:
                decoded += len(out)
                budget.check(decoded, name)
                yield out
            if decoder.eof:
                data, decoder, members = decoder.unused_data, None, members + 1
            elif decoder.needs_input or not (out or len(data)):
                break
            else:
                data = b""
    if decoder is not None:
        _broken(name, budget.key, "it ends too early")
    if not members:
        _broken(name, budget.key, "it is empty")


def _pieces(chunks: Iterable[Buffer]) -> Iterator[memoryview]:
    for chunk in chunks:
        view = memoryview(chunk).cast("B")
        for start in range(0, len(view), _PIECE):
            yield view[start : start + _PIECE]


def _broken(name: str, key: str | None, why: str, cause: Exception | None = None) -> NoReturn:
    raise DecompressionError(
        f"{_of(key)}no whole, sound {name} data: {why}; raw=True reads the stored bytes as they are",
        key=key,
        cause=cause,
    ) from cause


def _of(key: str | None) -> str:
    return "" if key is None else f"object {key!r}: "
