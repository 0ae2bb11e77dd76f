"""Names of workers, by which others on the same machine can tell whether they still live."""

from __future__ import annotations

import os
import platform
import secrets


def owner_name() -> str:
    """A name for a worker of this process: its machine, its process, when that began, and a random part."""
    pid = os.getpid()
    return "|".join((platform.node(), str(pid), _birth(pid), secrets.token_hex(8)))


def lives(owner: str) -> bool | None:
    """Whether the worker's process lives; None where that cannot be known, as of other machines.

    >>> lives(owner_name()), lives("elsewhere|1||ff")
    (True, None)
    """
    host, _, rest = owner.partition("|")
    pid, _, rest = rest.partition("|")
    if host != platform.node() or not pid.isdecimal():
        return None
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # it lives, and is somebody else's
    return _birth(int(pid)) == rest.partition("|")[0]


def _birth(pid: int) -> str:
    """When the process began, in the kernel's words: numbers of processes are used again; "" where that is not told."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
