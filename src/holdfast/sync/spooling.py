"""The file beside a journal in which the pieces of one object come together, used by one transfer at a time."""

from __future__ import annotations

import fcntl
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

from ..errors import IntegrityError

_STEP = 1 << 20
#: Makes written bytes outlast a power cut, before a journal notes that they are there.
_sync = getattr(os, "fdatasync", os.fsync)


class Spool:
    """A file of pieces of ``part`` bytes, locked as long as it is open: ``Spool.opened`` gives it or None."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._file = os.fdopen(descriptor, "r+b", buffering=0)

    @classmethod
    def opened(cls, path: Path) -> Self | None:
        """The spool of this path, made if it was not there; None while another transfer has it, in any process."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        while True:
            spool = cls(path, os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            try:
                fcntl.flock(spool._file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:  # or this file system has no locks: then nothing proves that nobody else has it
                spool.close()
                return None
            if spool._is_in_place():
                return spool
            spool.close()  # whoever had it has ended, and removed it, since it was opened here

    def _is_in_place(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), os.stat(self.path))
        except FileNotFoundError:
            return False

    @property
    def size(self) -> int:
        """The size of the file in bytes."""
        return os.fstat(self._file.fileno()).st_size

    def clear(self, size: int) -> None:
        """Make it a file of so many zeros."""
        self._file.truncate(0)
        self._file.truncate(size)

    def write(self, data: bytes, offset: int) -> int:
        """Write one piece, so that it outlasts a power cut, and return its CRC-32; from any thread."""
        view, at = memoryview(data), offset
        while view:
            written = os.pwrite(self._file.fileno(), view, at)
            view, at = view[written:], at + written
        _sync(self._file.fileno())
        return zlib.crc32(data)

    def chunks(self, size: int, part: int, checks: Mapping[int, int]) -> Iterator[bytes]:
        """The bytes of all pieces in order; IntegrityError in place of the end of one that has not its CRC-32."""
        for number, start in enumerate(range(0, size, part), 1):
            end, crc = min(start + part, size), 0
            for at in range(start, end, _STEP):
                chunk = os.pread(self._file.fileno(), min(_STEP, end - at), at)
                crc = zlib.crc32(chunk, crc)
                if at + _STEP >= end and crc != checks.get(number):
                    raise IntegrityError(
                        f"piece {number} in {self.path} was damaged since it was received: run the sync again, which "
                        "will fetch the object anew"
                    )
                yield chunk

    def close(self) -> None:
        """Close the file, which others may use now."""
        self._file.close()
