"""Bulk work on files: CloudFiles, and copies between any two stores."""

from .cloudfiles import CloudFiles
from .copying import copy_objects

__all__ = ["CloudFiles", "copy_objects"]
