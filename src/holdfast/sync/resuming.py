"""Large objects whose transfer goes on where it was ended: in parts, which a journal or the service remembers.

Up: an upload in parts, of which the service knows those that it has. Down, and to any store that has no such uploads:
a file beside the journal (see Spool), whose finished pieces the journal notes with their CRCs; when it is whole it is
written to the target, and each piece is checked on its way.
Every part is read under the ETag that was planned, so parts of two versions never meet.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from .. import engine
from ..errors import AlreadyExists, Conflict, HoldfastError, IntegrityError, NotFound
from ..types import NO_METADATA, ObjectInfo, ReadOptions, WriteOptions
from .actions import Action
from .copying import Guard, Stale
from .places import Place
from .spooling import Spool

#: Objects from this size on (bytes) are transferred so that they can be resumed.
LARGE = 64 << 20
#: The size (bytes) of a part, unless there would be more than so many.
PART, MOST_PARTS = 16 << 20, 10_000
#: So many parts of one object are under way at a time.
LANES = 2
#: What ends the transfer of a version for good: one side is another by now. Nobody will resume it, so nothing of it is
#: left, neither here nor at a service that charges for it.
_OVER = (Stale, AlreadyExists, Conflict, NotFound)


class Pending(NamedTuple):
    """A transfer that was begun: its token, the size of its parts, and the pieces that are here: numbers and CRCs."""

    token: str
    part: int
    pieces: Mapping[int, int]


class Notes(Protocol):
    """Where transfers of parts are remembered: a Journal."""

    def pending(self, transfer: str) -> Pending | None:
        """What is known of this transfer."""

    def begin_transfer(self, transfer: str, target: str, key: str, token: str, part: int) -> None:
        """Remember that it has begun."""

    def note_piece(self, transfer: str, number: int, crc: int) -> None:
        """Remember that a piece is here, and its CRC-32."""

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

    def note_piece(self, transfer: str, number: int, crc: int) -> None:
        pass

    def end_transfer(self, transfer: str) -> None:
        pass

    def spool(self, transfer: str) -> Path | None:
        return None


class Resumer:
    """Transfers large objects from one place to another so that, with ``notes``, they can go on in another process.

    ``part_size`` is that of their parts (bytes); one that was begun goes on with the parts that it has.
    """

    def __init__(
        self,
        source: Place,
        target: Place,
        notes: Notes | None,
        moved: Callable[[int], None],
        part_size: int | None = None,
    ) -> None:
        self._part = part_size or PART
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

    def transfer(self, info: ObjectInfo, options: WriteOptions, guard: Guard) -> engine.Split | None:
        """The parts that are missing, and what ends the transfer; None if another one fetches this very version now."""
        engine.reserve(LANES * min(self._part, info.size or 0))
        if self._uploads():
            return self._upload(info, options, guard)
        return self._download(info, options, guard)

    def name_of(self, info: ObjectInfo, given: Mapping[str, Any] = NO_METADATA) -> str:
        """What this transfer is called, in any process: made of both places, the key, the version and its attributes.

        ``given`` are the attributes of an upload: the service keeps those with which it was begun.
        """
        ends = (self._source.identity or self._source.name, self._target.identity or self._target.name)
        told = json.dumps(dict(given), default=dict, sort_keys=True)
        parts = (*ends, info.key, info.etag or "", str(info.size), told)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    # ------------------------------------------------------------------ up
    def _upload(self, info: ObjectInfo, options: WriteOptions, guard: Guard) -> engine.Split:
        name = self.name_of(info, options.attributes())
        store: Any
        store, key = self._target.native(info.key)
        assert info.size is not None
        upload, part, etags = self._begun(store, key, name, options, info)
        starts = range(0, info.size, part)
        missing = [number for number, _ in enumerate(starts, 1) if number not in etags]

        over: list[Exception] = []

        def send(number: int) -> None:
            start = (number - 1) * part
            try:
                data = self._read(info, start, min(start + part, info.size or 0))
                etags[number] = self._sent(upload, number, data)
            except _OVER as error:
                over.append(error)
                raise
            self._moved(len(data))

        def finish(_: list[Any]) -> Any:
            ordered = [etags[number] for number in range(1, len(starts) + 1)]
            try:
                guard.check()
                written: ObjectInfo = upload.complete(ordered, info.size, options)
            except _OVER:
                self._abort(upload, name)
                raise
            self._notes.end_transfer(name)
            return guard.done(written.renamed(info.key), sum(map(_sizes(info.size or 0, part), missing)))

        def abort() -> None:
            if over or not self._remembers:
                self._abort(upload, name)

        return engine.Split(_lanes(send, missing), finish, abort)

    def _sent(self, upload: Any, number: int, data: bytes) -> str:
        try:
            etag: str = upload.send(number, data)
        except NotFound as error:
            raise Conflict(error.message, key=error.key, store=self._target.name, cause=error) from error
        return etag

    def _abort(self, upload: Any, name: str) -> None:
        """End an upload that nobody resumes; one that cannot be aborted now stays in the journal, to be cleaned up."""
        try:
            upload.abort()
        except NotFound:
            pass  # somebody else has ended it
        except HoldfastError:
            return
        self._notes.end_transfer(name)

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
        part = max(self._part, -(-(info.size or 0) // MOST_PARTS))
        upload = store.part_upload(key, options)
        self._notes.begin_transfer(name, self._target.name, info.key, upload.token, part)
        return upload, part, {}

    # ------------------------------------------------------------------ down
    def _download(self, info: ObjectInfo, options: WriteOptions, guard: Guard) -> engine.Split | None:
        name = self.name_of(info)
        path = self._notes.spool(name)
        assert path is not None
        spool = Spool.opened(path)
        if spool is None:
            return None
        try:
            return self._spooled(spool, self._begun_spool(spool, name, info), name, info, options, guard)
        except BaseException:
            spool.close()
            raise

    def _begun_spool(self, spool: Spool, name: str, info: ObjectInfo) -> Pending:
        """What is in the spool by now, which is ours; if that is not known, it is made anew."""
        assert info.size is not None
        known = self._notes.pending(name)
        if known is not None and spool.size == info.size:
            return known
        spool.clear(info.size)
        self._notes.begin_transfer(name, self._target.name, info.key, str(spool.path), self._part)
        return Pending(str(spool.path), self._part, {})

    def _spooled(
        self, spool: Spool, known: Pending, name: str, info: ObjectInfo, options: WriteOptions, guard: Guard
    ) -> engine.Split:
        size, part, checks = info.size or 0, known.part, dict(known.pieces)
        missing = [number for number in range(1, -(-size // part) + 1) if number not in checks]
        over: list[Exception] = []

        def fetch(number: int) -> None:
            start = (number - 1) * part
            try:
                data = self._read(info, start, min(start + part, size))
            except _OVER as error:
                over.append(error)
                raise
            checks[number] = spool.write(data, start)
            self._notes.note_piece(name, number, checks[number])
            self._moved(len(data))

        def finish(_: list[Any]) -> Any:
            try:
                guard.check()
                written = self._target.store._write(info.key, spool.chunks(size, part, checks), options)
                self._notes.end_transfer(name)
            except (*_OVER, IntegrityError):
                self._notes.end_transfer(name)
                raise
            finally:
                spool.close()
            return guard.done(written, sum(map(_sizes(size, part), missing)))

        def stop() -> None:
            if over:
                self._notes.end_transfer(name)
            spool.close()

        return engine.Split(_lanes(fetch, missing), finish, stop)

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
