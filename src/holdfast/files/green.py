"""Bulk work for gevent: it runs in a thread of the hub's pool, and meanwhile other greenlets do.

Nothing needs to be patched. What the caller hands over (generators of paths or contents) is consumed in that thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from ..engine import native
from ..errors import ConfigError

Result = TypeVar("Result")

#: How much of a bulk run is fetched at a time: seconds after the first outcome, outcomes, and bytes.
MOMENT = 0.01
MOST = 256
MOST_BYTES = 8 << 20


class Left(BaseException):
    """The greenlet that waited for this work waits no longer."""


def wanted(green: bool | None) -> bool:
    """Whether to work for greenlets: as asked, or for None where gevent has patched this process's threads."""
    if green is None:
        return native.patched()
    if green:
        try:
            import gevent  # noqa: F401 - whether it is there
        except ImportError as error:
            raise ConfigError("green threads need gevent: pip install 'holdfast[gevent]'") from error
    return green


class Green:
    """The way into the hub's pool."""

    def call(self, function: Callable[..., Result], *args: Any) -> Result:
        """What ``function(*args)`` returns or raises."""
        import gevent

        result, error = gevent.get_hub().threadpool.apply(_tried, (function, args))
        if error is not None:
            try:
                raise error
            finally:
                del error  # or its traceback and this frame would keep each other alive
        return result  # type: ignore[no-any-return]

    def pull(
        self, start: Callable[[Callable[[int], None]], Iterator[Result]], watch: Callable[[int], None] | None = None
    ) -> Iterator[Result]:
        """The values of the iterator that ``start(beat)`` returns, a moment's worth of them at a time.

        ``beat(count)`` is to be called now and then by what waits there, and goes on to ``watch``: it raises when
        nobody wants the values any more.
        """
        left = False

        def beat(count: int) -> None:
            if left:
                raise Left
            if watch is not None:
                watch(count)

        iterator = start(beat)
        over = False
        try:
            while not over:
                values, error, over = self.call(_some, iterator)
                yield from values
                if error is not None:
                    raise error
        finally:
            left = True
            close = getattr(iterator, "close", None)
            if not over and close is not None and not getattr(iterator, "gi_running", False):
                self.call(close)


def _tried(function: Callable[..., Result], args: tuple[Any, ...]) -> tuple[Result | None, BaseException | None]:
    # gevent prints the traceback of whatever is raised in its pool.
    try:
        return function(*args), None
    except BaseException as error:  # noqa: BLE001 - it is raised in the greenlet
        return None, error


def _some(iterator: Iterator[Any]) -> tuple[list[Any], BaseException | None, bool]:
    values: list[Any] = []
    size = 0
    until = 0.0
    try:
        for value in iterator:
            values.append(value)
            size += getattr(value, "reserved", 0)
            now = time.monotonic()
            until = until or now + MOMENT
            if now >= until or len(values) >= MOST or size >= MOST_BYTES:
                return values, None, False
    except BaseException as error:  # noqa: BLE001 - it is raised in the greenlet
        return values, error, True
    return values, None, True
