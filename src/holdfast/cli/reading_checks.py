"""What ``holdfast doctor`` can tell of a store that it may not write: by the objects that are there."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

from ..errors import InvalidKey, NotFound, Unsupported
from ..keys import printable
from ..store import ObjectStore
from ..types import ObjectInfo, is_marker
from .checks import CHECKS, UNKNOWN, Finding, Unknown, expect, finding

#: So many rows of a listing are looked at.
ROWS = 100
#: An object of up to this size (bytes) is read whole.
SMALL = 16 << 20


class Reader:
    """Examines one store by reading: the object ``key`` if there is one, or a small one below ``prefix``."""

    def __init__(self, store: ObjectStore, prefix: str, key: str) -> None:
        self.store = store
        self.prefix = prefix
        self._key = key

    def examine(self) -> Iterator[Finding]:
        """One finding a guarantee; what only a write could tell is unknown."""
        checks: dict[str, Callable[[], str]] = {
            "ranges": self.ranges,
            "exact listing": self.listing,
        }
        yield finding("read", self.reads)
        for name in CHECKS:
            check = checks.get(name)
            yield finding(name, check) if check else Finding(name, UNKNOWN, "needs write access to be tried")

    def reads(self) -> str:
        """An object has the bytes that its description promises."""
        found = self._sample()
        name = printable(found.key)
        if found.size is not None and found.size > SMALL:
            expect(
                len(self.store.get_range(found.key, 0, SMALL)) == SMALL, f"{name!r} is shorter than it is said to be"
            )
            return f"the beginning of {name!r} was read"
        data = self.store.get(found.key)
        expect(found.size in {None, len(data)}, f"{name!r} has {len(data)} bytes and is said to have {found.size}")
        return f"{name!r} was read, and has as many bytes as it is said to have"

    def ranges(self) -> str:
        """A part of an object is the same part of its beginning."""
        found = self._sample()
        beginning = self.store.get_range(found.key, 0, 64)
        expect(self.store.get_range(found.key, 1, 3) == beginning[1:3], "a part of an object is another part of it")
        if not self.store.capabilities.ranges:
            raise Unsupported("each range is answered with the whole object: it is cut here, exactly but slowly")
        return "parts of objects are read as asked for"

    def listing(self) -> str:
        """Rows are those below the prefix, and go on where it is asked for."""
        if not self.store.capabilities.listing:
            raise Unsupported("there is no way to list")
        rows = [row.key for row in itertools.islice(self.store.list(self.prefix), ROWS)]
        expect(all(key.startswith(self.prefix) for key in rows), "a listing shows keys outside its prefix")
        if not self.store.capabilities.sorted:
            raise Unsupported("listings are whole, but in no order")
        if not rows:
            return "listed, and nothing is there"
        expect(rows == sorted(rows), "the listing is not in the order of its keys")
        rest = self.store.list(self.prefix, start_after=rows[0])
        expect([row.key for row in itertools.islice(rest, ROWS - 1)] == rows[1:], "a listing starts at another key")
        return "rows are sorted, below the prefix, and start where asked"

    def _sample(self) -> ObjectInfo:
        """An object that is there, preferably a small one; Unknown if there is none to be found."""
        if self._key:
            try:
                return self.store.head(self._key)
            except (NotFound, InvalidKey):
                pass
        if not self.store.capabilities.listing:
            raise Unknown("no object was named: give the location of one, to be read")
        rows = [row for row in itertools.islice(self.store.list(self.prefix), ROWS) if not is_marker(row)]
        if not rows:
            raise Unknown("there is no object that could be read")
        return min(rows, key=lambda row: SMALL if row.size is None else row.size)
