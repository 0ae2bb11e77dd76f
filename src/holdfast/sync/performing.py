"""One action, done: under the conditions that make it right, or not at all."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from .. import redact
from ..errors import AlreadyExists, Conflict, HoldfastError, Indeterminate, InvalidKey, NotFound, Unsupported
from ..store import READ
from ..types import ObjectInfo, RemoveOptions, WriteOptions
from .actions import Action, Identity
from .comparing import Changing, Comparison, ETagDigest
from .copying import Copier, Guard, Stale
from .places import Place
from .proving import refuse_one_object
from .reencoding import decoded_digest, reencoded
from .resuming import Notes, Resumer
from .summary import Result, reported
from .unversioned import DigestedBlob

SOURCE_CHANGED = "the source has changed since the plan was made"
TARGET_CHANGED = "the target has changed since the plan was made"
MOVED = "it was moved by an earlier run, which did not come to note it"
#: Kinds of stores that copy exactly the version that they are told to; services of others may take no notice of it.
_EXACT = frozenset(("file", "gs", "mem", "redis", "sqlite", "zip"))
OVERTAKEN = "the source changed while it was copied, and the copy may be of its newer version: sync again"


class Task(NamedTuple):
    """One action to do; ``number`` is its place in the plan, ``tries`` how often somebody has begun it before."""

    number: int
    action: Action
    tries: int = 0


class Copies(Protocol):
    """Remembers copies whose sources are about to be deleted, also after a kill; see ``JournalQueue``."""

    def note_copy(self, key: str, target: Identity) -> None:
        """Remember that the target has this version, and that it is proved to be a copy of the source."""

    def copy(self, key: str) -> Identity | None:
        """The version that was remembered, or None."""


class Settings(NamedTuple):
    """How actions are performed: plain data, which goes to other processes with them."""

    move: bool = False
    reencode: str | None = None
    content_type: str | None = None
    part_size: int | None = None


class Performer:
    """Does tasks, for an engine: the value is a Result, or what will give one.

    Every write and delete rests on the identities in the plan: by the store's own conditions where it has them, else
    by a look just before (``Result.atomic`` is then False).
    """

    def __init__(
        self,
        source: Place,
        target: Place,
        settings: Settings,
        moved: Callable[[int], None] | None = None,
        notes: Notes | None = None,
        copies: Copies | None = None,
    ) -> None:
        self.source = source
        self.target = target
        self.settings = settings
        self.copier = Copier(
            source.store, target.store, moved=moved, content_type=settings.content_type, part_size=settings.part_size
        )  # fmt: skip
        self.native = self.copier.native and settings.reencode is None
        self.capabilities = target.store.capabilities
        self._resumer = Resumer(source, target, notes, self.copier.moved, settings.part_size)
        self._copies = copies
        self._compare = Comparison(source, target)

    def __call__(self, task: Task) -> Any:
        action = task.action
        try:
            if action.kind == "delete":
                return self._delete(action)
            if action.kind == "skip":
                return self._move_skipped(task)
            return self._transfer(task)
        except Exception as error:  # noqa: BLE001 - it becomes the task's result
            return self.failure(task, error)

    def failure(self, task: Task, error: BaseException) -> Result:
        """The result of a task that ended with this error: done after all, stale, or failed."""
        action = task.action
        result = functools.partial(Result, action.key, action.kind, source=action.source)
        if isinstance(error, Stale):
            return result("stale", str(error))
        if isinstance(error, AlreadyExists | Conflict | Indeterminate | NotFound) and action.kind != "delete":
            try:
                settled = self._settle(action)
            except (HoldfastError, OSError, Changing) as another:
                error = another
            else:
                if settled is not None:
                    return settled
        return result("failed", redact.text(str(error)), error=reported(error, action.key))

    def _settle(self, action: Action) -> Result | None:
        """What a refused condition, or a lost answer, means: the target has it already, or somebody changed a side."""
        mine, theirs = self.source.head(action.key), self.target.head(action.key)
        if mine is None or not self._is_source(action, mine):
            return Result(action.key, action.kind, "stale", SOURCE_CHANGED, source=action.source)
        if theirs is not None and self._is_done(mine, theirs):
            return self._move_source(
                action,
                Result(
                    action.key, action.kind, "already", "the target has the same contents by now",
                    source=action.source, target=Identity.of(theirs),
                ),
            )  # fmt: skip
        if self._as_planned(action, theirs):
            return None  # nothing has happened there: it failed, and the next run may do it
        return Result(action.key, action.kind, "stale", TARGET_CHANGED, source=action.source)

    def _is_done(self, mine: ObjectInfo, theirs: ObjectInfo) -> bool:
        """Whether the target holds what the transfer would have written."""
        if self.settings.content_type not in (None, theirs.content_type):
            return False
        if self.settings.reencode is None:
            return self._compare(mine, theirs).same is True
        return theirs.content_encoding == (self.settings.reencode or None) and self._is_copy(mine, theirs)

    # ------------------------------------------------------------------ transfers
    def _transfer(self, task: Task) -> Any:
        action = task.action
        if task.tries and (found := self._found_done(action)) is not None:
            return found
        condition = self._condition(action)
        try:
            return self._copy(action, condition, atomic=bool(condition))
        except Unsupported:
            if not condition:
                raise
        # The store has such conditions, but not for an object of this size, or not for a copy of its own.
        return self._copy(action, {}, atomic=False)

    def _found_done(self, action: Action) -> Result | None:
        """The result of a task that somebody began, if it was done and only the note of it was lost."""
        theirs = self.target.head(action.key)
        if theirs is None or self._as_planned(action, theirs):
            return None
        if self.settings.move and self.source.head(action.key) is None and self._was_moved(theirs):
            return Result(action.key, action.kind, "already", MOVED, target=Identity.of(theirs))
        return self._settle(action)

    def _was_moved(self, theirs: ObjectInfo) -> bool:
        """Whether this very version of the target was noted as the copy of a source that was to be deleted next.

        That somebody claimed the task proves nothing: its owner may have deleted the source before anybody read it.
        """
        noted = None if self._copies is None else self._copies.copy(theirs.key)
        return noted is not None and noted.matches(self.target.identified(theirs))

    def _condition(self, action: Action) -> dict[str, Any]:
        """What the write depends on, as fields of WriteOptions; nothing where the store cannot do that."""
        if action.target is None:
            return {"if_absent": True} if self.capabilities.create else {}
        if self.capabilities.replace_if and action.target.etag is not None:
            # With the time of that version a store need not look at it first.
            return {"if_match": action.target.etag, "if_match_time": action.target.last_modified}
        return {}

    def _copy(self, action: Action, condition: dict[str, Any], *, atomic: bool) -> Any:
        if not atomic and not self._as_planned(action, self.target.head(action.key)):
            return self._settle(action) or Result(
                action.key, action.kind, "stale", TARGET_CHANGED, source=action.source
            )
        done = functools.partial(self._done, action, atomic, time.monotonic())
        guard = Guard(condition, functools.partial(self._check_source, action), done)
        if self.native and action.source is not None:
            options = WriteOptions(**condition, **self.copier.given, source_if_match=action.source.etag)
            return self._copy_natively(action, options, guard)
        if self.settings.reencode is None and self._resumer.takes(action):
            found = self.source.head(action.key)
            if found is None or not self._is_source(action, found):
                raise Stale(SOURCE_CHANGED)
            self._refuse_loss(found)
            parts = self._resumer.transfer(found, self.copier.options(found, action.key, condition), guard)
            if parts is not None:
                return parts
        blob = self.source.store._read(action.key, READ)
        try:
            if action.source is None or not action.source.matches(blob.info):
                raise Stale(SOURCE_CHANGED)
            self._refuse_loss(blob.info)
            if _is_unversioned(blob.info):
                blob = DigestedBlob(blob)
                guard = guard._replace(check=functools.partial(_check_digest, action.source, blob))
            if self.settings.reencode is not None:
                return self._reencode(action, blob, guard)
            return self.copier.transfer(blob, action.key, action.key, guard)
        except BaseException:
            blob.close()
            raise

    def _copy_natively(self, action: Action, options: WriteOptions, guard: Guard) -> Result:
        """Have the store itself copy the planned version.

        Some S3 servers take no notice of the condition on the source. Then another version may have been copied, and
        the target is another one now: which must be told.
        """
        assert action.source is not None
        if action.source.etag is None:
            guard.check()
        info = self.target.store._copy(self.source.store, action.key, action.key, options)
        self.copier.moved(action.nbytes)
        if action.source.etag is not None and self.source.vendor in _EXACT:
            exact: Result = guard.done(info, action.nbytes)
            return exact
        now = self.source.head(action.key)
        changed = now is None or not self._is_source(action, now)
        if not changed or _have_one_digest(action.source, info):
            done: Result = guard.done(info, action.nbytes)
            return done
        result = self._written(action, atomic=bool(guard.condition), info=info, nbytes=action.nbytes)
        # Without a source, for nobody shall remember that the two are equal.
        return self._move_source(action, dataclasses.replace(result, source=None, detail=OVERTAKEN, overtaken=True))

    def _reencode(self, action: Action, blob: Any, guard: Guard) -> Any:
        wanted = self.settings.reencode or None
        options = self.copier.options(blob.info, action.key, guard.condition, decoded=True)
        if wanted is not None:
            options = dataclasses.replace(options, content_encoding=wanted)

        def chunks() -> Any:
            yield from reencoded(blob, wanted)
            guard.check()

        with blob:
            info = self.target.store._write(action.key, chunks(), options)
        self.copier.moved(action.nbytes)
        return guard.done(info, action.nbytes)

    def _check_source(self, action: Action) -> None:
        """Raise Stale if the source is another version now: what was read may be neither the one nor the other.

        Services answer with one version; only what lies on this machine can change under the reader.
        """
        if not (self.source.store.local or self.native):
            return
        now = self.source.head(action.key)
        if now is None or not self._is_source(action, now):
            raise Stale(SOURCE_CHANGED)

    def _is_source(self, action: Action, found: ObjectInfo) -> bool:
        """Whether this is the version of the source that was planned."""
        return action.source is not None and action.source.matches(self.source.identified(found))

    def _as_planned(self, action: Action, found: ObjectInfo | None) -> bool:
        """Whether this is what the plan found at the target."""
        if found is None or action.target is None:
            return found is None and action.target is None
        return action.target.matches(self.target.identified(found))

    def _done(
        self, action: Action, atomic: bool, began: float, info: ObjectInfo | None, nbytes: int, stamp: str | None = None
    ) -> Result:
        assert info is not None
        span = began, time.monotonic()
        written = self._written(action, atomic=atomic, info=info, nbytes=nbytes, stamp=stamp, span=span)
        return self._move_source(action, written)

    def _written(
        self,
        action: Action,
        *,
        atomic: bool,
        info: ObjectInfo,
        nbytes: int,
        stamp: str | None = None,
        span: tuple[float, float] | None = None,
    ) -> Result:
        return Result(
            action.key, action.kind, "done", "", nbytes, atomic,
            source=action.source, target=Identity.of(info), stamp=stamp, span=span,
        )  # fmt: skip

    # ------------------------------------------------------------------ deletions
    def _move_skipped(self, task: Task) -> Result:
        """What becomes of a source whose copy is at the target already, if it is one."""
        action = task.action
        mine, theirs = self.source.head(action.key), self.target.head(action.key)
        if task.tries and mine is None and theirs is not None and self._was_moved(theirs):
            return Result(action.key, action.kind, "already", MOVED)
        if mine is None or not self._is_source(action, mine):
            raise Stale(SOURCE_CHANGED)
        if theirs is None or not self._is_copy(mine, theirs):
            if not self._as_planned(action, theirs):
                raise Stale(TARGET_CHANGED)
            return Result(action.key, "skip", "kept", "not deleted: the target's object is no copy of it")
        return self._move_source(action, Result(action.key, "skip", "done", source=action.source))

    def _move_source(self, action: Action, result: Result) -> Result:
        """The result, after the source was deleted if this is a move and the copy is proved to be that very version."""
        if not self.settings.move:
            return result
        mine, theirs = self.source.head(action.key), self.target.head(action.key)
        # Identified, so that no later version is deleted in its place.
        found = None if mine is None else self.source.identified(mine)
        if mine is None or found is None or not self._is_source(action, found):
            return dataclasses.replace(result, outcome="stale", detail="copied; the source changed and was kept")
        if theirs is None or not self._is_copy(mine, theirs):
            raise Conflict("the copy is not what the source holds: the source was kept", key=action.key)
        self._refuse_loss(mine)
        refuse_one_object(self.source, self.target, mine, theirs)
        if self._copies is not None:
            self._copies.note_copy(action.key, Identity.of(self.target.identified(theirs)))
        error, atomic = self._remove(self.source, action.key, Identity.of(found))
        if isinstance(error, Conflict):
            return dataclasses.replace(result, outcome="stale", detail="copied; the source changed and was kept")
        if isinstance(error, Indeterminate) and self.source.head(action.key) is None:
            error = None  # only its answer was lost
        if error is not None and not isinstance(error, NotFound):
            raise error
        return dataclasses.replace(result, atomic=result.atomic and atomic)

    def _refuse_loss(self, info: ObjectInfo) -> None:
        """Raise Unsupported if a move would lose what the source says about the object, for its target keeps no such.

        The content type alone is no reason: most are guesses from the name, made by those who uploaded.
        """
        if not self.settings.move or self.capabilities.metadata:
            return
        if lost := sorted(info.attributes().keys() - {"content_type", "content_encoding", "storage_class"}):
            raise Unsupported(
                f"the target cannot keep the {', '.join(lost)} of {info.key!r}, which would be lost with the source: "
                "copy it, and delete the source if you want it to be",
                store=self.target.name,
                key=info.key,
            )

    def _is_copy(self, mine: ObjectInfo, theirs: ObjectInfo) -> bool:
        """Whether the target's bytes are the source's, by a digest of both; re-encoded ones are decoded for it."""
        if self.settings.reencode is not None:
            with self.source.store._read(mine.key) as one, self.target.store._read(theirs.key) as other:
                return decoded_digest(one) == decoded_digest(other)
        return Comparison(self.source, self.target, "digest")(mine, theirs).same is True

    def _delete(self, action: Action) -> Result:
        """Delete what only the target has: unless the source has it after all, whatever its listing said."""
        result = functools.partial(Result, action.key, "delete")
        assert action.target is not None
        with contextlib.suppress(InvalidKey):  # a key that the source cannot have
            if self.source.head(action.key) is not None:
                return result("stale", "the source has it, though its listing did not say so")
        error, atomic = self._remove(self.target, action.key, action.target)
        if isinstance(error, Conflict):
            return result("stale", TARGET_CHANGED)
        if isinstance(error, NotFound):
            return result("already", "it is gone already", target=action.target)
        if error is not None:
            return result("failed", redact.text(str(error)), error=error)
        return result("done", atomic=atomic, target=action.target)

    def _remove(self, where: Place, key: str, identity: Identity) -> tuple[HoldfastError | None, bool]:
        """What removing exactly this version came to, and whether it was one step."""
        if where.store.capabilities.delete_if and identity.etag is not None:
            try:
                return where.store._remove([key], RemoveOptions(if_match=identity.etag, must_exist=True))[0], True
            except Unsupported:
                pass  # a service that turns out not to honour it
        found = where.head(key)
        if found is None:
            return NotFound("it is gone", key=key, store=where.name), False
        if not identity.matches(where.identified(found)):
            return Conflict("it is another version now", key=key, store=where.name), False
        return where.store._remove([key])[0], False


def _is_unversioned(info: ObjectInfo) -> bool:
    return info.etag is None and info.last_modified is None


def _check_digest(planned: Identity, blob: DigestedBlob) -> None:
    """Raise Stale if other bytes were read than those of the planned version."""
    if planned.etag is not None and planned.etag != blob.etag:
        raise Stale(SOURCE_CHANGED)


def _have_one_digest(source: Identity, copy: ObjectInfo) -> bool:
    """Whether the ETags of both are digests of the same bytes."""
    digest = ETagDigest.of(source.etag)
    return digest is not None and digest == ETagDigest.of(copy.etag)
