"""Many keys at a time: what conflicts is told at the end, and nothing of it keeps the others from being done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ..engine import default as default_engine
from ..errors import HoldfastError, Indeterminate, KeySyncError


def collect(function: Callable[[Any], object], items: Iterable[Any], *, local: bool) -> list[HoldfastError]:
    """The conflicts and lost answers among the calls of the function; any other error is raised, and ends it."""
    failed: list[HoldfastError] = []
    for outcome in default_engine().run(function, items, ordered=True, on_error="collect", local=local):
        if isinstance(outcome.error, KeySyncError | Indeterminate):
            failed.append(outcome.error)
        elif outcome.error is not None:
            raise outcome.error
    return failed


def raise_together(errors: list[HoldfastError]) -> None:
    """Raise the first of the errors, with the rest of them as its ``others``; return if there is none."""
    if errors:
        first = errors[0]
        first.others = tuple(errors[1:])
        if first.others:
            first.add_note(f"and so for {len(first.others)} other keys: see its attribute 'others'")
        raise first


def rounds(pairs: Iterator[tuple[str, Any]]) -> Iterator[Iterator[tuple[str, Any]]]:
    """The pairs in rounds that hold no key twice, so that those of one round may be written in any order.

    Each round is to be taken whole before the next one is asked for.

    >>> [list(distinct) for distinct in rounds(iter([("a", 1), ("b", 2), ("a", 3)]))]
    [[('a', 1), ('b', 2)], [('a', 3)]]
    """
    held: list[tuple[str, Any]] = []

    def fetch() -> None:
        for key, value in pairs:
            held.append((key, value))
            return

    def distinct() -> Iterator[tuple[str, Any]]:
        seen: set[str] = set()
        while held and held[0][0] not in seen:
            pair = held.pop()
            seen.add(pair[0])
            yield pair
            fetch()

    fetch()
    while held:
        yield distinct()
