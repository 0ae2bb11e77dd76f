"""The compression libraries, each behind the same two shapes, and each loaded by its first use."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple, Protocol

Buffer = bytes | bytearray | memoryview

_XZ_MEMORY = 256 << 20  # what an xz header may make the decoder allocate; level 9 needs 65 MiB
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # no flags, no time, unknown OS
_GZIP_HEADER_LIMIT = 256 << 10


class Compressor(Protocol):
    """Takes data, gives what is ready of its encoding; ``flush`` once at the end."""

    def compress(self, data: Any, /) -> bytes:
        """What is ready of the encoding once this data is taken; often nothing."""
        ...

    def flush(self) -> bytes:
        """The rest of the encoding."""
        ...


class Decoder(Protocol):
    """Decodes one stream: takes input when it ``needs_input``, gives about ``max_length`` bytes at a time."""

    @property
    def eof(self) -> bool:
        """Whether the stream has ended."""
        ...

    @property
    def needs_input(self) -> bool:
        """Whether nothing more comes out before something goes in."""
        ...

    @property
    def unused_data(self) -> bytes:
        """What was given beyond the end of the stream."""
        ...

    def decompress(self, data: Any, max_length: int, /) -> bytes:
        """About ``max_length`` decoded bytes at most; what is more stays inside for the next call."""
        ...


class Backend(NamedTuple):
    """One encoding's library."""

    compressor: Callable[[int], Compressor]
    decoder: Callable[[], Decoder]  # to be fed from the first byte in one piece
    feeder: Callable[[], Decoder]  # to be fed in any pieces
    error: type[Exception] | tuple[type[Exception], ...]
    members: bool = True  # streams may follow each other
    padded: bool = False  # zeros may follow a stream
    whole: Callable[[Buffer, int], bytes] | None = None  # for data at hand, where that gives a better stream


@cache
def backend_of(name: str) -> Backend:
    """The library of this encoding, loaded now if it was not."""
    return _LOADERS[name]()


def _load_gzip() -> Backend:
    from isal import igzip_lib

    def decoder() -> Decoder:
        return igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_GZIP)

    broken: Any = igzip_lib.IsalError  # a class, although its stub says otherwise
    return Backend(_GzipCompressor, decoder, lambda: _GzipFeeder(decoder()), (broken, ValueError), padded=True)


def _load_br() -> Backend:
    import brotli

    return Backend(
        lambda level: _BrotliCompressor(brotli.Compressor(quality=level)),
        lambda: _BrotliDecoder(brotli.Decompressor()),
        lambda: _BrotliDecoder(brotli.Decompressor()),
        brotli.error,
        members=False,
    )


def _load_zstd() -> Backend:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd

    level_of, checksum = zstd.CompressionParameter.compression_level, zstd.CompressionParameter.checksum_flag

    def compressor(level: int) -> Compressor:
        return zstd.ZstdCompressor(options={level_of: level, checksum: 1})

    def whole(data: Buffer, level: int) -> bytes:
        # In one call the frame tells its decoded size, which some readers (cloud-files) cannot do without.
        one = zstd.ZstdCompressor(options={level_of: level, checksum: 1})
        return one.compress(data, zstd.ZstdCompressor.FLUSH_FRAME)

    return Backend(compressor, zstd.ZstdDecompressor, zstd.ZstdDecompressor, zstd.ZstdError, whole=whole)


def _load_xz() -> Backend:
    import lzma

    def decoder() -> Decoder:
        # Not FORMAT_AUTO: the legacy .lzma format has no checksum, and takes a run of zeros for an empty stream.
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)

    return Backend(lambda level: lzma.LZMACompressor(preset=level), decoder, decoder, lzma.LZMAError, padded=True)


def _load_bz2() -> Backend:
    import bz2

    return Backend(bz2.BZ2Compressor, bz2.BZ2Decompressor, bz2.BZ2Decompressor, (OSError, ValueError))


_LOADERS = {"gzip": _load_gzip, "br": _load_br, "zstd": _load_zstd, "xz": _load_xz, "bz2": _load_bz2}


class _GzipCompressor:
    """One gzip member with a header of our own, over raw deflate (RFC 1952)."""

    __slots__ = ("_checksum", "_crc32", "_deflate", "_head", "_size")

    def __init__(self, level: int) -> None:
        import zlib

        from isal import isal_zlib

        fast = 1 <= level <= 3
        self._deflate: Compressor = (
            isal_zlib.compressobj(level, isal_zlib.DEFLATED, -15)
            if fast
            else zlib.compressobj(level, zlib.DEFLATED, -15)
        )
        self._checksum: Callable[[Any, int], int] = isal_zlib.crc32
        self._head = _GZIP_HEADER
        self._crc32 = self._size = 0

    def compress(self, data: Buffer, /) -> bytes:
        self._crc32 = self._checksum(data, self._crc32)
        self._size += len(data)
        head, self._head = self._head, b""
        return head + self._deflate.compress(data)

    def flush(self) -> bytes:
        tail = self._crc32.to_bytes(4, "little") + (self._size & 0xFFFFFFFF).to_bytes(4, "little")
        return self._head + self._deflate.flush() + tail


class _GzipFeeder:
    """A gzip decoder that sees its header in one piece: isal misreads optional fields that arrive cut."""

    __slots__ = ("_decoder", "_header")

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._header: bytes | None = b""

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    @property
    def needs_input(self) -> bool:
        return self._decoder.needs_input

    @property
    def unused_data(self) -> bytes:
        return self._decoder.unused_data

    def decompress(self, data: Buffer, max_length: int, /) -> bytes:
        if self._header is not None:
            data = b"".join((self._header, data))
            if not _has_gzip_header(data):
                self._header = data
                return b""
            self._header = None
        return self._decoder.decompress(data, max_length)


def _has_gzip_header(data: bytes) -> bool:
    """Whether the data begins with a whole header, or with something that can be no header."""
    if len(data) < 10:
        return not _GZIP_HEADER.startswith(data[:3])
    flags, at = data[3], 10
    if flags & 4:
        if len(data) < at + 2:
            return False
        at += 2 + int.from_bytes(data[at : at + 2], "little")
    for flag in (8, 16):
        if flags & flag:
            at = data.find(b"\0", at) + 1
            if not at:
                if len(data) > _GZIP_HEADER_LIMIT:
                    raise ValueError("its header has no end")
                return False
    return len(data) >= at + (2 if flags & 2 else 0)


class _BrotliCompressor:
    __slots__ = ("_compressor",)

    def __init__(self, compressor: Any) -> None:
        self._compressor = compressor

    def compress(self, data: Buffer, /) -> bytes:
        return bytes(self._compressor.process(data))

    def flush(self) -> bytes:
        return bytes(self._compressor.finish())


class _BrotliDecoder:
    """brotli's decoder; bytes after the end of its stream are an error that it raises itself."""

    __slots__ = ("_decoder", "_drained")
    unused_data = b""

    def __init__(self, decoder: Any) -> None:
        self._decoder = decoder
        self._drained = True

    @property
    def eof(self) -> bool:
        return bool(self._decoder.is_finished())

    @property
    def needs_input(self) -> bool:
        # brotli accepts more as soon as it has taken in what there was, also while output still waits for a call.
        return self._drained and bool(self._decoder.can_accept_more_data())

    def decompress(self, data: Buffer, max_length: int, /) -> bytes:
        out = bytes(self._decoder.process(data, output_buffer_limit=max_length))
        self._drained = not out
        return out
