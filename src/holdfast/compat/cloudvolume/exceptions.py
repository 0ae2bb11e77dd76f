"""The errors of CloudVolume's Storage."""

from ...errors import ConfigError as UnsupportedProtocolError
from ...errors import DecompressionError, UnknownEncoding
from ...errors import EncodingError as CompressionError


class UnsupportedCompressionType(UnknownEncoding, NotImplementedError):
    """No such compression, or not in this place; also a NotImplementedError, as it was."""


__all__ = ["CompressionError", "DecompressionError", "UnsupportedCompressionType", "UnsupportedProtocolError"]
