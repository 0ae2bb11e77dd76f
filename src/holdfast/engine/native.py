"""Threads of the operating system, also where gevent has put its own in their places.

gevent's monkey patching replaces what ``threading`` and ``_thread`` offer by greenlets of one thread. The engine's
workers must be real threads, so it takes what gevent replaced, from here. Nothing of gevent is imported.
"""

from __future__ import annotations

import threading
from _queue import SimpleQueue  # patching replaces the name in ``queue`` alone
from collections.abc import Callable

from ..locks import Condition, Lock, lock, original, patched

_start: Callable[[Callable[[], None], tuple[()]], int] = original("_thread", "start_new_thread")
get_ident: Callable[[], int] = original("_thread", "get_ident")
local: type[threading.local] = original("_thread", "_local")


def main_thread() -> int | None:
    """What ``get_ident`` says in the main thread."""
    # Patching changes what the main thread's object says, but not whose it is: whoever imports is asked instead.
    if patched() and threading.main_thread() is threading.current_thread():
        return get_ident()
    return threading.main_thread().ident


def start(function: Callable[[], None], name: str) -> threading.Thread | None:
    """Run the function in a new daemon thread; the Thread to join, or None where gevent has replaced threads."""
    if patched():
        _start(function, ())
        return None
    thread = threading.Thread(target=function, name=name, daemon=True)
    thread.start()
    return thread


__all__ = [
    "Condition",
    "Lock",
    "SimpleQueue",
    "get_ident",
    "local",
    "lock",
    "main_thread",
    "original",
    "patched",
    "start",
]
