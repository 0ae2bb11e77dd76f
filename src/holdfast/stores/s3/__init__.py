"""Amazon S3 and everything that speaks its protocol, through obstore."""

from .store import S3Store

__all__ = ["S3Store"]
