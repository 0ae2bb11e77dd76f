"""Amazon S3 and everything that speaks its protocol, through obstore and a small wire of our own."""

from .administration import PendingUpload
from .store import S3Store

__all__ = ["PendingUpload", "S3Store"]
