"""The errors of cloud-files, which are Holdfast's: catching one by its old name catches the new."""

from ...errors import AuthError as AuthorizationError
from ...errors import ConfigError as UnsupportedProtocolError
from ...errors import DecompressionError, IntegrityError
from ...errors import EncodingError as CompressionError
from ...errors import UnknownEncoding as UnsupportedCompressionType

#: Holdfast does not say by its class which digest it was that differed.
MD5IntegrityError = IntegrityError
CRC32CIntegrityError = IntegrityError

__all__ = [
    "AuthorizationError",
    "CRC32CIntegrityError",
    "CompressionError",
    "DecompressionError",
    "IntegrityError",
    "MD5IntegrityError",
    "UnsupportedCompressionType",
    "UnsupportedProtocolError",
]
