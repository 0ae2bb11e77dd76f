"""Operations of CloudFiles on one object each, as jobs that an engine here or in another process makes many of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import keys
from ..errors import AlreadyExists, NotFound
from ..store import HEAD, ObjectStore
from ..types import ObjectInfo
from .reading import head_fields

Answer = Callable[[ObjectInfo | None], Any]


def asker(store: ObjectStore, answer: Answer) -> Callable[[str], Any]:
    """The operation that asks for one object's head and answers from it."""
    read = store._read

    def ask(path: str) -> Any:
        try:
            with read(keys.check(path), HEAD) as blob:
                return answer(blob.info)
        except NotFound:
            return answer(None)

    return ask


def exists(info: ObjectInfo | None) -> bool:
    """Whether there is an object."""
    return info is not None


def size(info: ObjectInfo | None) -> int | None:
    """Its stored size, or None."""
    return None if info is None else info.size


def head(info: ObjectInfo | None) -> Any:
    """Its headers, or None."""
    return None if info is None else head_fields(info)


def remover(store: ObjectStore) -> Callable[[list[str]], int]:
    """The operation that removes a batch of objects and returns their number; missing ones count as gone."""

    def remove(batch: list[str]) -> int:
        for error in store._remove(batch):
            if error is not None and not isinstance(error, NotFound):
                raise error
        return len(batch)

    return remove


def toucher(store: ObjectStore) -> Callable[[str], None]:
    """The operation that creates an empty object where there is none."""

    def touch(path: str) -> None:
        try:
            store._read(keys.check(path), HEAD).close()
        except NotFound:
            try:
                store.create(path, b"")
            except AlreadyExists:
                return

    return touch
