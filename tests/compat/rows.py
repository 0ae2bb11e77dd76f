"""Which test shows what became of which promise of the systems that Holdfast replaces.

A test that shows one is marked with ``row``: the system, the promise in a few words, and what became of it: "kept", or
"kept and fixed" or "different", which need a reason. ``rows`` gives all marks of some modules, to make a table of.

    @row("storage", "SqliteStore: keys() is a list")
    def test_...
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Literal, TypeVar

Status = Literal["kept", "kept and fixed", "different"]
Test = TypeVar("Test", bound=Callable[..., object])

_ATTRIBUTE = "compat_rows"


@dataclass(frozen=True, slots=True)
class Row:
    """One promise of one system, and what became of it."""

    system: str
    promise: str
    status: Status
    reason: str
    test: str


def row(system: str, promise: str, status: Status = "kept", reason: str = "") -> Callable[[Test], Test]:
    """Mark the test that shows what became of a promise; a test may show several."""
    if status not in {"kept", "kept and fixed", "different"}:
        raise ValueError(f"{status!r} is not what can become of a promise")
    if (status != "kept") != bool(reason):
        raise ValueError(f"{promise!r}: a promise that is not just kept needs a reason, and no other has one")

    def marked(test: Test) -> Test:
        rows = [*getattr(test, _ATTRIBUTE, ()), Row(system, promise, status, reason, test.__name__)]
        setattr(test, _ATTRIBUTE, tuple(rows))
        return test

    return marked


def rows(*modules: ModuleType) -> Iterator[Row]:
    """The rows that the tests of these modules show, in their order."""
    for module in modules:
        for thing in vars(module).values():
            if getattr(thing, "__module__", None) == module.__name__:
                yield from reversed(getattr(thing, _ATTRIBUTE, ()))
