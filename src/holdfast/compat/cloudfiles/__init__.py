"""The names of cloud-files, over Holdfast: ``from holdfast.compat.cloudfiles import CloudFiles``."""

from . import compression, exceptions, lib, monitoring, paths, secrets
from .cloudfiles import CloudFile, CloudFiles, clear_memory, dl, reset_connection_pools

__all__ = [
    "CloudFile",
    "CloudFiles",
    "clear_memory",
    "compression",
    "dl",
    "exceptions",
    "lib",
    "monitoring",
    "paths",
    "reset_connection_pools",
    "secrets",
]
