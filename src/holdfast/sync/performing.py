"""One action, done: under the conditions that make it right, or not at all."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from .. import redact
from ..errors import AlreadyExists, Conflict, HoldfastError, Indeterminate, InvalidKey, NotFound, Unsupported
from ..store import READ
from ..types import ObjectInfo, RemoveOptions, WriteOptions
from .actions import Action, Identity
from .comparing import Changing, Comparison
from .copying import Copier, Guard, Stale
from .places import Place
from .proving import refuse_one_object
from .reencoding import decoded_digest, reencoded
from .resuming import Notes, Resumer
from .summary import Result

SOURCE_CHANGED = "the source has changed since the plan was made"
TARGET_CHANGED = "the target has changed since the plan was made"


class Task(NamedTuple):
    """One action to do; ``number`` is its place in the plan, ``tries`` how often somebody has begun it before."""

    number: int
    action: Action
    tries: int = 0


class Settings(NamedTuple):
    """How actions are performed: plain data, which goes to other processes with them."""

    move: bool = False
    reencode: str | None = None


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
    ) -> None:
        self.source = source
        self.target = target
        self.settings = settings
        self.copier = Copier(source.store, target.store, moved=moved)
        self.native = self.copier.native and settings.reencode is None
        self.capabilities = target.store.capabilities
        self._resumer = Resumer(source, target, notes, self.copier.moved)
        self._compare = Comparison(source, target)

    def __call__(self, task: Task) -> Any:
        action = task.action
        try:
            if action.kind == "delete":
                return self._delete(action)
            if action.kind == "skip":
                return self._move_skipped(action)
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
        return result("failed", redact.text(str(error)), error=error)

    def _settle(self, action: Action) -> Result | None:
        """What a refused condition, or a lost answer, means: the target has it already, or somebody changed a side."""
        mine, theirs = self.source.head(action.key), self.target.head(action.key)
        if mine is None or action.source is None or not action.source.matches(mine):
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
        if self.settings.move and action.source is not None and self.source.head(action.key) is None:
            size = action.source.size
            if self.settings.reencode is not None or size is None or size == theirs.size:
                detail = "it was moved by an earlier run, which did not come to note it"
                return Result(action.key, action.kind, "already", detail, target=Identity.of(theirs))
        return self._settle(action)

    def _condition(self, action: Action) -> dict[str, Any]:
        """What the write depends on, as fields of WriteOptions; nothing where the store cannot do that."""
        if action.target is None:
            return {"if_absent": True} if self.capabilities.create else {}
        if self.capabilities.replace_if and action.target.etag is not None:
            return {"if_match": action.target.etag}
        return {}

    def _copy(self, action: Action, condition: dict[str, Any], *, atomic: bool) -> Any:
        if not atomic and not self._as_planned(action, self.target.head(action.key)):
            raise Stale(TARGET_CHANGED)
        done = functools.partial(self._done, action, atomic, time.monotonic())
        guard = Guard(condition, functools.partial(self._check_source, action), done)
        if self.native:
            guard.check()
            options = WriteOptions(**condition)
            info = self.target.store._copy(self.source.store, action.key, action.key, options)
            guard.check()
            self.copier.moved(action.nbytes)
            return done(info, action.nbytes)
        if self.settings.reencode is None and self._resumer.takes(action):
            found = self.source.head(action.key)
            if found is None or action.source is None or not action.source.matches(found):
                raise Stale(SOURCE_CHANGED)
            parts = self._resumer.transfer(found, self.copier.options(found, action.key, condition), guard)
            if parts is not None:
                return parts
        blob = self.source.store._read(action.key, READ)
        try:
            if action.source is None or not action.source.matches(blob.info):
                raise Stale(SOURCE_CHANGED)
            if self.settings.reencode is not None:
                return self._reencode(action, blob, guard)
            return self.copier.transfer(blob, action.key, action.key, guard)
        except BaseException:
            blob.close()
            raise

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
        if now is None or action.source is None or not action.source.matches(now):
            raise Stale(SOURCE_CHANGED)

    def _as_planned(self, action: Action, found: ObjectInfo | None) -> bool:
        """Whether this is what the plan found at the target."""
        if found is None or action.target is None:
            return found is None and action.target is None
        return action.target.matches(self.target.identified(found))

    def _done(self, action: Action, atomic: bool, began: float, info: ObjectInfo | None, nbytes: int) -> Result:
        assert info is not None
        result = Result(
            action.key, action.kind, "done", "", nbytes, atomic,
            source=action.source, target=Identity.of(info), span=(began, time.monotonic()),
        )  # fmt: skip
        return self._move_source(action, result)

    # ------------------------------------------------------------------ deletions
    def _move_skipped(self, action: Action) -> Result:
        """What becomes of a source whose copy is at the target already, if it is one."""
        mine, theirs = self.source.head(action.key), self.target.head(action.key)
        if mine is None or action.source is None or not action.source.matches(mine):
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
        assert action.source is not None
        mine, theirs = self.source.head(action.key), self.target.head(action.key)
        if mine is None or not action.source.matches(mine):
            return dataclasses.replace(result, outcome="stale", detail="copied; the source changed and was kept")
        if theirs is None or not self._is_copy(mine, theirs):
            raise Conflict("the copy is not what the source holds: the source was kept", key=action.key)
        refuse_one_object(self.source, self.target, mine, theirs)
        error, atomic = self._remove(self.source, action.key, action.source)
        if isinstance(error, Conflict):
            return dataclasses.replace(result, outcome="stale", detail="copied; the source changed and was kept")
        if error is not None and not isinstance(error, NotFound):
            raise error
        return dataclasses.replace(result, atomic=result.atomic and atomic)

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
