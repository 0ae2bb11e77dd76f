"""Many keys at a time: what conflicts is told at the end, and nothing of it keeps the others from being done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from ..engine import default as default_engine
from ..errors import HoldfastError, Indeterminate, KeySyncError

_END: Final[Any] = object()


@contextmanager
def together() -> Iterator[list[HoldfastError]]:
    """A list for the conflicts and lost answers of the calls within, which are raised together at its end.

    The first one has the rest of them as its ``others``. If anything else is raised, that tells of them all.
    """
    failed: list[HoldfastError] = []
    try:
        yield failed
    except Exception as error:
        _tell(error, failed, "before that, this failed for {} keys")
        raise
    if failed:
        _tell(failed[0], failed[1:], "and so for {} other keys")
        raise failed[0]


def _tell(error: Exception, others: list[HoldfastError], what: str) -> None:
    if not others:
        return
    told = what.format(len(others))
    if isinstance(error, HoldfastError):
        error.others = (*error.others, *others)
        error.add_note(f"{told}: see its attribute 'others'")
    else:
        error.add_note("\n".join((f"{told}:", *map(str, others))))


def collect(
    function: Callable[[Any], object], items: Iterable[Any], failed: list[HoldfastError], *, local: bool
) -> None:
    """Add the conflicts and lost answers among the calls of the function to ``failed``.

    Any other error ends it: no further call begins, and it is raised once those that had begun are over.
    """
    fatal: list[BaseException] = []

    def wanted() -> Iterator[Any]:
        for item in items:
            if fatal:
                return
            yield item

    for outcome in default_engine().run(function, wanted(), ordered=True, on_error="collect", local=local):
        if isinstance(outcome.error, KeySyncError | Indeterminate):
            failed.append(outcome.error)
        elif outcome.error is not None:
            fatal.append(outcome.error)
    if fatal:
        raise fatal[0]


def pairs(other: Any, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The pairs that the arguments of ``dict.update`` stand for."""
    if isinstance(other, Mapping):
        yield from other.items()
    elif hasattr(other, "keys"):
        yield from ((key, other[key]) for key in other.keys())  # noqa: SIM118 - it may be no Mapping
    else:
        yield from other
    yield from values.items()


def rounds(pairs: Iterator[tuple[str, Any]]) -> Iterator[Iterator[tuple[str, Any]]]:
    """The pairs in rounds that hold no key twice, so that those of one round may be written in any order.

    Each round is to be taken whole before the next one is asked for.

    >>> [list(distinct) for distinct in rounds(iter([("a", 1), ("b", 2), ("a", 3)]))]
    [[('a', 1), ('b', 2)], [('a', 3)]]
    """
    pair = next(pairs, _END)

    def distinct() -> Iterator[tuple[str, Any]]:
        nonlocal pair
        seen: set[str] = set()
        while pair is not _END and pair[0] not in seen:
            seen.add(pair[0])
            yield pair
            pair = next(pairs, _END)

    while pair is not _END:
        yield distinct()
