"""Large objects whose transfer goes on where it was ended: in parts, which a journal or the service remembers.

Up: an upload in parts, of which the service knows those that it has. Down, and to any store that has no such uploads:
a file beside the journal, whose finished pieces the journal notes; it is written to the target when it is whole.
Every part is read under the ETag that was planned, so parts of two versions never meet.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from .. import engine
from ..errors import Conflict, IntegrityError, NotFound
from ..types import ObjectInfo, ReadOptions, WriteOptions
from .actions import Action
from .copying import Guard
from .places import Place

#: Objects from this size on (bytes) are transferred so that they can be resumed.
LARGE = 64 << 20
#: The size (bytes) of a part, unless there would be more than so many.
PART, MOST_PARTS = 16 << 20, 10_000
#: So many parts of one object are under way at a time.
LANES = 2


class Pending(NamedTuple):
    """A transfer that was begun: its token, the size of its parts, and the numbers of the pieces that are here."""

    token: str
    part: int
    pieces: frozenset[int]


class Notes(Protocol):
    """Where transfers of parts are remembered: a Journal."""

    def pending(self, transfer: str) -> Pending | None:
        """What is known of this transfer."""

    def begin_transfer(self, transfer: str, target: str, key: str, token: str, part: int) -> None:
        """Remember that it has begun."""

    def note_piece(self, transfer: str, number: int) -> None:
        """Remember that a piece is here."""

    def end_transfer(self, transfer: str) -> None:
        """Forget it."""

    def spool(self, transfer: str) -> Path | None:
        """The file that holds its pieces; None for a journal that is no file."""


class _Forgetful:
    """Where there is no journal: uploads in parts are faster all the same, and what failed is aborted."""

    def pending(self, transfer: str) -> Pending | None:
        return None

    def begin_transfer(self, transfer: str, target: str, key: str, token: str, part: int) -> None:
        pass

    def note_piece(self, transfer: str, number: int) -> None:
        pass

    def end_transfer(self, transfer: str) -> None:
        pass

    def spool(self, transfer: str) -> Path | None:
        return None


class Resumer:
    """Transfers large objects from one place to another so that, with ``notes``, they can go on in another process."""

    def __init__(self, source: Place, target: Place, notes: Notes | None, moved: Callable[[int], None]) -> None:
        self._source = source
        self._target = target
        self._notes: Notes = notes or _Forgetful()
        self._moved = moved
        self._remembers = notes is not None

    def takes(self, action: Action) -> bool:
        """Whether this object is transferred in parts: it is large, and parts of it can be read under its ETag."""
        planned = action.source
        return (
            planned is not None
            and planned.size is not None
            and planned.size >= LARGE
            and planned.etag is not None
            and not planned.etag.startswith("W/")
            and self._source.store.capabilities.ranges
            and not (self._source.store.local and self._target.store.local)
            and (self._uploads() or self._notes.spool("x") is not None)
        )

    def _uploads(self) -> bool:
        return hasattr(self._target.native("x")[0], "part_upload")

    def transfer(self, info: ObjectInfo, options: WriteOptions, guard: Guard) -> engine.Split:
        """The parts that are missing, and what ends the transfer."""
        engine.reserve(LANES * PART)
        if self._uploads():
            return self._upload(info, options, guard)
        return self._download(info, options, guard)

    def name_of(self, info: ObjectInfo) -> str:
        """What this transfer is called, in any process: made of both places, the key, and the version."""
        ends = (self._source.identity or self._source.name, self._target.identity or self._target.name)
        return hashlib.sha256("\n".join((*ends, info.key, info.etag or "", str(info.size))).encode()).hexdigest()

    # ------------------------------------------------------------------ up
    def _upload(self, info: ObjectInfo, options: WriteOptions, guard: Guard) -> engine.Split:
        name = self.name_of(info)
        store: Any
        store, key = self._target.native(info.key)
        assert info.size is not None
        upload, part, etags = self._begun(store, key, name, options, info)
        starts = range(0, info.size, part)
        missing = [number for number, _ in enumerate(starts, 1) if number not in etags]

        def send(number: int) -> None:
            start = (number - 1) * part
            data = self._read(info, start, min(start + part, info.size or 0))
            try:
                etags[number] = upload.send(number, data)
            except NotFound as error:
                self._notes.end_transfer(name)
                raise Conflict(error.message, key=info.key, store=self._target.name, cause=error) from error
            self._moved(len(data))

        def finish(_: list[Any]) -> Any:
            guard.check()
            ordered = [etags[number] for number in range(1, len(starts) + 1)]
            written: ObjectInfo = upload.complete(ordered, info.size, options)
            self._notes.end_transfer(name)
            return guard.done(written.renamed(info.key), sum(map(_sizes(info.size or 0, part), missing)))

        return engine.Split(_lanes(send, missing), finish, None if self._remembers else upload.abort)

    def _begun(
        self, store: Any, key: str, name: str, options: WriteOptions, info: ObjectInfo
    ) -> tuple[Any, int, dict[int, str]]:
        """The upload, the size of its parts, and the ETags of those that the service has."""
        known = self._notes.pending(name)
        if known is not None:
            upload = store.part_upload(key, options, known.token)
            try:
                there = upload.parts()
            except NotFound:
                self._notes.end_transfer(name)
            else:
                sizes = _sizes(info.size or 0, known.part)
                return upload, known.part, {part.number: part.etag for part in there if sizes(part.number) == part.size}
        part = max(PART, -(-(info.size or 0) // MOST_PARTS))
        upload = store.part_upload(key, options)
        self._notes.begin_transfer(name, self._target.name, info.key, upload.token, part)
        return upload, part, {}

    # ------------------------------------------------------------------ down
    def _download(self, info: ObjectInfo, options: WriteOptions, guard: Guard) -> engine.Split:
        name = self.name_of(info)
        path = self._notes.spool(name)
        assert path is not None
        assert info.size is not None
        known = self._notes.pending(name)
        if known is None or not path.exists() or path.stat().st_size != info.size:
            self._notes.end_transfer(name)
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with open(path, "wb") as file:
                file.truncate(info.size)
            self._notes.begin_transfer(name, self._target.name, info.key, str(path), PART)
            known = Pending(str(path), PART, frozenset())
        part = known.part
        missing = [number for number in range(1, -(-info.size // part) + 1) if number not in known.pieces]

        def fetch(number: int) -> None:
            start = (number - 1) * part
            data = self._read(info, start, min(start + part, info.size or 0))
            descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
            try:
                _write_at(descriptor, data, start)
            finally:
                os.close(descriptor)
            self._notes.note_piece(name, number)
            self._moved(len(data))

        def finish(_: list[Any]) -> Any:
            guard.check()
            written = self._target.store._write(info.key, path, options)
            path.unlink(missing_ok=True)
            self._notes.end_transfer(name)
            return guard.done(written, sum(map(_sizes(info.size or 0, part), missing)))

        return engine.Split(_lanes(fetch, missing), finish)

    def _read(self, info: ObjectInfo, start: int, end: int) -> bytes:
        with self._source.store._read(info.key, ReadOptions(start, end, if_match=info.etag)) as blob:
            data = blob.bytes()
        if len(data) != end - start:
            raise IntegrityError(f"{end - start} bytes promised, {len(data)} received", key=info.key)
        return data


def _lanes(step: Callable[[int], None], numbers: Sequence[int]) -> list[Callable[[], None]]:
    """The steps in a few lanes, each one after the other: so that only so many parts are in memory."""

    def lane(share: Sequence[int]) -> None:
        for number in share:
            step(number)

    return [functools.partial(lane, numbers[first::LANES]) for first in range(min(LANES, max(1, len(numbers))))]


def _sizes(size: int, part: int) -> Callable[[int], int]:
    """What size the part of each number has."""
    return lambda number: min(part, size - (number - 1) * part)


def _write_at(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written
