"""What a mapping knows: the version of every key that it has seen or written, shared by the threads that use it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager

from ..keys import is_probe
from ..types import ObjectInfo
from ..wrap._locks import KeyLocks, ProcessLock


class Knowledge:
    """ETags by key, in the order in which the keys became known.

    A key's lock is held while it is written or deleted and that is noted, so that no thread sees one without the other.
    """

    def __init__(self) -> None:
        self.etags: dict[str, str] = {}
        self._locks = KeyLocks()
        self._guard = ProcessLock()
        self._watching: tuple[set[str], ...] = ()

    def lock(self, key: str) -> AbstractContextManager[None]:
        """The lock of the key, which its thread may take again."""
        return self._locks.of(key)

    def note(self, key: str, etag: str | None) -> None:
        """Take note of what this mapping has written, or (None) deleted; under the lock of the key."""
        self._set(key, etag)
        for changed in self._watching:
            changed.add(key)

    def take_over(self, covers: Callable[[str], bool], rows: Callable[[], Iterable[tuple[str, str]]]) -> None:
        """Know of the keys that are covered what the rows say, and no more.

        What this mapping notes while they come is newer than that, and stays.
        """
        with self._watched() as changed:
            before = self.etags.copy()
            after = dict(rows())
            gone = [key for key in before if key not in after and covers(key)]
            for key in (*after, *gone):
                etag = after.get(key)
                if self.etags.get(key) == etag:
                    continue
                with self.lock(key):
                    if key not in changed and self.etags.get(key) == before.get(key):
                        self._set(key, etag)

    def _set(self, key: str, etag: str | None) -> None:
        if etag is None:
            self.etags.pop(key, None)
        else:
            self.etags[key] = etag

    @contextmanager
    def _watched(self) -> Iterator[set[str]]:
        """The keys that are noted from now on."""
        changed: set[str] = set()
        with self._guard:
            self._watching = (*self._watching, changed)
        try:
            yield changed
        finally:
            with self._guard:
                self._watching = tuple(keys for keys in self._watching if keys is not changed)


def is_mark(info: ObjectInfo) -> bool:
    """Whether it looks like no value: a mark of a directory, as consoles make them, or what another mapping tries."""
    return (info.key.endswith("/") and info.size == 0) or is_probe(info.key)
