"""How long a call to a service may go without progress, in the two forms that this takes: silence, and a trickle."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from ..errors import ConfigError

#: Bodies up to this size (bytes) are taken in one piece; larger ones are streamed, so that they can be resumed.
WHOLE = 1 << 20


class Timeouts:
    """How long a call may go without progress: ``connect`` and ``read`` in seconds, ``slowest`` in bytes a second.

    There is no limit for a whole transfer. A body that comes more slowly than ``slowest`` is a failure, and an upload
    may take as long as ``read`` plus the time its body needs at that rate, because the engine cannot see the progress
    of what it sends.
    """

    __slots__ = ("connect", "read", "slowest")

    SLOWEST = 16 << 10
    WHOLE_CALL = timedelta(hours=12)
    #: Uploads are sent by one client per size class (bytes), so that few connection pools are enough.
    CLASSES = (64 << 10, 8 << 20, 64 << 20, 1 << 30, 5 << 30)

    def __init__(self, connect: float = 10.0, read: float = 60.0, slowest: int = SLOWEST) -> None:
        if not (connect > 0 and read > 0 and slowest > 0):
            raise ConfigError(f"timeouts and rates are above 0: connect={connect}, read={read}, slowest={slowest}")
        self.connect = connect
        self.read = read
        self.slowest = slowest

    @property
    def window(self) -> float:
        """How many seconds one request for a body may take; a longer body goes on in another."""
        return self.read + WHOLE / self.slowest

    def healthy(self, received: int, seconds: float) -> bool:
        """Whether so many bytes in so many seconds are at least the slowest rate."""
        return received >= self.slowest * seconds

    def options(self, upload: int = 0, *, patient: bool = False) -> dict[str, Any]:
        """The engine's client options for sending at most ``upload`` bytes; ``patient`` for bodies of any length."""
        sending = upload / self.slowest if upload > self.CLASSES[0] else 0
        return {
            "connect_timeout": timedelta(seconds=self.connect),
            "read_timeout": timedelta(seconds=self.read + sending),
            "timeout": self.WHOLE_CALL if patient else timedelta(seconds=max(self.window, self.read + sending)),
        }

    @classmethod
    def size_class(cls, size: int) -> int:
        """The smallest size class that holds ``size`` bytes."""
        return next((limit for limit in cls.CLASSES if size <= limit), size)
