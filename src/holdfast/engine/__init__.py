"""Bulk work on lean threads and in processes: the only place in Holdfast that starts any.

``Engine.run(function, items)`` calls the function on each item, many at a time, and yields an Outcome each.
The caller's own thread feeds a bounded window of slots from ``items`` (which may be endless), kept daemon workers
take them from a deque without a lock, and the caller is woken only when it sleeps and has something to do:
0.7 microseconds an item where an executor costs 20.

Three rules keep it honest. The window is bounded by count *and*, through ``reserve``, by bytes. An operation
never waits for another: a large transfer returns a ``Split``, whose parts are served first and whose last part
runs ``finish``; a ``run`` inside a worker runs inline. And the caller is never stuck: Ctrl-C leaves at once, a
break or an error waits one second for operations in flight; a worker that hangs is abandoned, never reused.
"""

from .ahead import ahead
from .background import Background
from .lane import Call, Lane
from .outcome import InTurn, Outcome, Split
from .pace import note_throttled
from .pool import SMALL, Engine, default, in_worker, interruptible, reserve
from .processes import Remote, spread

__all__ = [
    "SMALL",
    "Background",
    "Call",
    "Engine",
    "InTurn",
    "Lane",
    "Outcome",
    "Remote",
    "Split",
    "ahead",
    "default",
    "in_worker",
    "interruptible",
    "note_throttled",
    "reserve",
    "spread",
]
