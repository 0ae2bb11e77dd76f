"""The name of ``accsr.files``: the MD5 of a file."""

from __future__ import annotations

import os

from ...remote_storage.sync_objects import md5_of


def md5sum(path: str | os.PathLike[str]) -> str:
    """The MD5 of the file in hexadecimal, read in pieces; OSError if it is no file that can be read.

    >>> from pathlib import Path
    >>> _ = Path("hello").write_text("hello")
    >>> md5sum("hello")
    '5d41402abc4b2a76b9719d911017c592'
    """
    return md5_of(path)
