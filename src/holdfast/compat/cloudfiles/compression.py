"""Compression as cloud-files calls it; levels that are not given are Holdfast's (gzip 2, br 5, zstd 3, xz 6, bz2 9)."""

from __future__ import annotations

from ... import codecs
from ...codecs import Buffer
from ...files.transcoding import transcode
from .exceptions import CompressionError, DecompressionError

COMPRESSION_TYPES = [None, False, True, "", "bz2", "bzip2", "gzip", "br", "zstd", "xz", "lzma"]


def compress(content: Buffer, method: str | bool | None = "gzip", compress_level: int | None = None) -> bytes:
    """The content, encoded; the same bytes each time. Raises UnsupportedCompressionType for an unknown method."""
    return codecs.compress(content, method, compress_level)


def decompress(content: Buffer, encoding: str | bool | None, filename: str = "N/A") -> bytes:
    """The decoded content; DecompressionError, which names the file, for a broken or empty stream."""
    return codecs.decompress(content, encoding, key=filename)


def normalize_encoding(encoding: str | bool | None) -> str | None:
    """The one name of an encoding, or None for none.

    >>> normalize_encoding(True), normalize_encoding("lzma"), normalize_encoding("")
    ('gzip', 'xz', None)
    """
    return codecs.canonical(encoding)


__all__ = [
    "COMPRESSION_TYPES",
    "CompressionError",
    "DecompressionError",
    "compress",
    "decompress",
    "normalize_encoding",
    "transcode",
]
