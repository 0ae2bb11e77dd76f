"""The views of a mapping: they show what it knows at any time, and read values many at a time.

Unlike those of ``collections.abc`` they let a conflict through: "not here" is said only of what is not there.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from .cloudmapping import CloudMapping

T = TypeVar("T")


class Keys(KeysView[str]):
    """The keys that the mapping knows, without a request; a set, as those of a dict are."""

    _mapping: CloudMapping[Any]

    def __reversed__(self) -> Iterator[str]:
        return reversed(self._mapping)

    def __repr__(self) -> str:
        return f"Keys({list(self)!r})"


class Values(ValuesView[T]):
    """The values, read many at a time and given in the order of the keys."""

    _mapping: CloudMapping[T]

    def __iter__(self) -> Iterator[T]:
        return (value for _, value in self._mapping._read_all())

    def __reversed__(self) -> Iterator[T]:
        return (value for _, value in self._mapping._read_all(backwards=True))

    def __contains__(self, value: object) -> bool:
        return any(found is value or found == value for found in self)

    def __repr__(self) -> str:
        return f"Values({self._mapping!r})"


class Items(ItemsView[str, T]):
    """The pairs of key and value, read many at a time and given in the order of the keys."""

    _mapping: CloudMapping[T]

    def __iter__(self) -> Iterator[tuple[str, T]]:
        return self._mapping._read_all()

    def __reversed__(self) -> Iterator[tuple[str, T]]:
        return self._mapping._read_all(backwards=True)

    def __contains__(self, item: object) -> bool:
        if not (isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str)):
            return False
        key, value = item
        found = self._mapping._known_value(key)  # a conflict is no answer; what is missing equals nothing
        return found is value or found == value

    def __repr__(self) -> str:
        return f"Items({self._mapping!r})"
