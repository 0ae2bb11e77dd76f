"""From chosen objects on two sides to a plan, from the plan to a TransactionSummary, and to its execution."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .. import sync
from ..blob import Staged
from ..errors import AlreadyExists, Conflict, HoldfastError, InvalidKey, StoreError
from ..keys import printable, sort_key
from ..store import LIST, WRITE, ObjectStore, select
from ..sync import Action, Place, Plan, Result
from ..sync.renaming import meaning_of
from ..sync.summary import STALE
from ..types import Body, Capabilities, ListOptions, ObjectInfo, WriteOptions
from ..wrap.rekey import KeyTransform
from .remote_objects import RemoteObjectProtocol, attributes_of
from .sync_objects import SyncObject
from .transactions import Collision, TransactionSummary

#: So many names stand in one message.
NAMED = 5

#: What is sent with an upload, by key: libcloud's ``extra``.
Extra = Callable[[str], Mapping[str, Any]]
#: Whether files and remote objects, which are both there, are equal; None of those that this cannot tell.
Judge = Callable[[list[SyncObject]], Iterable[bool | None]]


class ChosenObjects(KeyTransform):
    """A store of which only certain objects are listed, some perhaps under other keys than their own.

    What is listed was looked up before, so a listing asks nothing. ``extra`` gives what is attached to new objects.
    """

    def __init__(
        self,
        store: ObjectStore,
        rows: Iterable[ObjectInfo],
        actual: Mapping[str, str] | None = None,
        extra: Extra | None = None,
    ) -> None:
        super().__init__(store)
        # How the stored bytes are encoded is no part of what an MD5 is about.
        self._rows = [replace(row, content_encoding=None) for row in sorted(rows, key=lambda row: sort_key(row.key))]
        self._actual = actual or {}
        self._extra = extra

    @functools.cached_property
    def meaning(self) -> str:
        """What tells an index that here stored bytes are compared, and under which keys: elsewhere equal means more."""
        return f"stored bytes {meaning_of(self._actual)}"

    @property
    def capabilities(self) -> Capabilities:
        """Those of the store inside; what is listed is sorted."""
        return replace(self.store.capabilities, sorted=True)

    def to_inner(self, key: str) -> str:
        """The key under which the store has it."""
        return self._actual.get(key, key)

    def to_outer(self, key: str) -> str:
        """The key by which it was chosen."""
        return next((outer for outer, inner in self._actual.items() if inner == key), key)

    def _scan(self, options: ListOptions = LIST) -> Iterator[ObjectInfo]:
        return select(iter(self._rows), options)

    def _write(self, key: str, body: Body, options: WriteOptions = WRITE) -> ObjectInfo:
        return super()._write(key, body, self._attached(key, options))

    def _copy(self, source: ObjectStore, src: str, dst: str, options: WriteOptions = WRITE) -> ObjectInfo:
        return super()._copy(source, src, dst, self._attached(dst, options))

    def _stage(self, key: str, size: int, options: WriteOptions = WRITE) -> Staged | None:
        return super()._stage(key, size, self._attached(key, options))

    def _attached(self, key: str, options: WriteOptions) -> WriteOptions:
        return options if self._extra is None else replace(options, **attributes_of(self._extra(key)))


class ChosenPlace(Place):
    """One side of a push or pull, of which only chosen objects are looked at.

    So it may lie inside the other: that no file is sent into itself, each of them is asked for. Stored bytes are
    compared, as MD5s are, and not what they decode to.
    """

    def root(self) -> tuple[tuple[str, ...], str]:
        """A place of its own."""
        return ("store", str(id(self.store))), ""

    @property
    def lists_encodings(self) -> bool:
        """True, so that no object is asked for its encoding: see ChosenObjects."""
        return True


@dataclass
class Transaction:
    """One push or pull: a plan over chosen objects, and how its keys are called on both sides.

    ``describe`` makes the SyncObject of a key, and ``remote_obj`` the remote object that a push left behind.
    """

    plan: Plan
    summary: TransactionSummary
    describe: Callable[[str], SyncObject]
    remote_obj: Callable[[ObjectInfo], RemoteObjectProtocol]

    def __post_init__(self) -> None:
        self._objects: dict[str, SyncObject] = {}
        #: Whether something is in the way that is there, and not only names that cannot be.
        self._blocked = False

    @property
    def direction(self) -> str | None:
        """Where it goes: push or pull."""
        return self.summary.sync_direction

    def enter(self, in_the_way: Callable[[str], Collision | None], judge: Judge | None) -> None:
        """Enter every action of the plan into the summary.

        ``in_the_way`` tells what else than the plan knows is in the way of a key; ``judge`` may overrule the planner
        about two objects that are there.
        """
        actions = list(self.plan)
        self._objects = {action.key: self.describe(action.key) for action in actions}
        collisions = {action.key: found for action in actions if (found := self._collision(action, in_the_way))}
        both = [action.key for action in actions if action.kind in {"skip", "update"} and action.key not in collisions]
        verdicts: dict[str, bool | None] = {}
        if judge is not None:
            verdicts = dict(zip(both, judge([self._objects[key] for key in both]), strict=True))
        decided = [_overruled(action, verdicts.get(action.key)) for action in actions]
        for action in decided:
            entry = self._objects[action.key].judged(action.kind == "skip")
            self.summary.add_entry(entry, collides_with=collisions.get(action.key))
        self.plan = Plan(self.plan.source, self.plan.target, self.plan.terms, decided)

    def _collision(self, action: Action, in_the_way: Callable[[str], Collision | None]) -> Collision | None:
        if action.kind == "refuse":
            return action.reason
        found = in_the_way(action.key) or (action.reason if action.kind == "conflict" else None)
        self._blocked = self._blocked or found is not None
        return found

    # ------------------------------------------------------------------ before anything is sent
    def refuse(self, force: bool) -> None:
        """Raise if something is in the way, or differs at the target without ``force``; nothing was sent then."""
        if self.summary.has_unresolvable_collisions:
            kind: type[HoldfastError] = AlreadyExists if self._blocked else InvalidKey
            raise kind(
                f"nothing was {self.direction}ed, because of what no force resolves: {self.collisions()}. Leave them "
                "out with exclude_regex, or remove what is in the way"
            )
        if self.summary.requires_force and not force:
            names = _named([entry.name for entry in self.summary.on_target_neq_md5])
            raise AlreadyExists(
                f"nothing was {self.direction}ed, because these differ at the target: {names}; force=True overwrites "
                "them"
            )

    def warn(self, log: logging.LoggerAdapter[logging.Logger], force: bool) -> None:
        """Log as a warning what ``refuse`` would raise."""
        if self.summary.has_unresolvable_collisions:
            log.warning("A %s would be refused: %s", self.direction, self.collisions())
        elif self.summary.requires_force and not force:
            names = _named([entry.name for entry in self.summary.on_target_neq_md5])
            log.warning("A %s would need force=True, because these differ at the target: %s", self.direction, names)

    def collisions(self) -> str:
        """What is in the way of what, for people."""
        return _named(
            [f"{printable(name)}: {_told(found)}" for name, found in self.summary.unresolvable_collisions.items()],
            shown=True,
        )

    # ------------------------------------------------------------------ sending
    def execute(self, progress: bool | None) -> None:
        """Do what the plan says, and enter what was sent; raises if not all of it was done.

        Conflict if something changed meanwhile on either side, StoreError if something failed: the rest was done, and
        the same call does what is left.
        """
        results: dict[str, Result] = {}

        def note(result: Result) -> None:
            results[result.key] = result

        done = sync.apply(self.plan, progress=progress, on_result=note)
        keys = {entry.name: key for key, entry in self._objects.items()}
        for entry in self.summary.files_to_sync:
            result = results.get(keys[entry.name])
            if result is not None and result.outcome == "done":
                self.summary.synced_files.append(self._sent(entry, result))
        if done.exit_code:
            raise self._left(done)

    def _left(self, done: sync.Summary) -> HoldfastError:
        """What to raise where not all was done as planned."""
        left = [*done.failed, *done.refused, *done.conflicts, *done.kept, *done.stale]
        told = [f"{printable(result.key)}: {result.detail}" for result in [*left, *done.overtaken]]
        if done.unaccounted:
            told.insert(0, f"nobody knows what became of {done.unaccounted} of them")
        is_changed = done.exit_code == STALE
        return (Conflict if is_changed else StoreError)(
            f"{len(left) + done.unaccounted} of {len(self.summary.files_to_sync)} files were not {self.direction}ed: "
            f"{_named(told, shown=True)}; what was {self.direction}ed stays, and the same call goes on",
            cause=left[0].error if left else None,
        )

    def _sent(self, entry: SyncObject, result: Result) -> SyncObject:
        remote = entry.remote_obj
        if self.direction == "push" and result.target is not None:
            info = ObjectInfo(entry.name, result.target.size, result.target.etag, result.target.last_modified)
            remote = self.remote_obj(info)
        sent = SyncObject(
            local_path=entry.local_path,
            remote_obj=remote,
            remote_path=entry.remote_path,
            sync_direction=self.direction,
        )
        return sent.judged(True)


def _overruled(action: Action, same: bool | None) -> Action:
    """The action, or what it is if somebody else found the two objects to be the same, or not."""
    if same is None:
        return action
    return replace(action, kind="skip" if same else "update", reason="same hash" if same else "hashes differ")


def _told(found: Collision) -> str:
    return found if isinstance(found, str) else "there is " + _named([one.name for one in found])


def _named(names: list[str], *, shown: bool = False) -> str:
    """Some of the names, and how many more there are; ``shown`` are sentences already."""
    told = names[:NAMED] if shown else [repr(printable(name)) for name in names[:NAMED]]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return "; ".join(told) + more if shown else ", ".join(told) + more
