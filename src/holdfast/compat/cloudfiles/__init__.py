"""The names of cloud-files, over Holdfast: ``from holdfast.compat.cloudfiles import CloudFiles``."""

from . import compression, exceptions, lib, monitoring, paths, resumable_tools, secrets
from .cloudfiles import CloudFile, CloudFiles, clear_memory, dl, reset_connection_pools
from .resumable_tools import ResumableTransfer

__all__ = [
    "CloudFile",
    "CloudFiles",
    "ResumableTransfer",
    "clear_memory",
    "compression",
    "dl",
    "exceptions",
    "lib",
    "monitoring",
    "paths",
    "reset_connection_pools",
    "resumable_tools",
    "secrets",
]
