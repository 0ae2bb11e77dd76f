"""One store of several equal ones: every object in each of them.

**Policies.** ``all`` (the default): a write or delete has succeeded when every child has done it, so a read needs any
one child. ``quorum``: more than half of them must do it, and a read needs more than half to answer and that many to
agree. ``primary``: the first child decides; everything is read from it, and the others follow as well as they can.

**Versions.** Each write puts the same version into the metadata of the object in every child (``mirrorversion``, not
shown to users), because ETags of different services cannot be compared. Reads ask every child for the object's head
and compare: versions that differ (or ETags, for objects that did not come through a mirror) are a Conflict, never one
of them by chance. Of a child that keeps no metadata only sizes can be compared: bodies come from the others as long as
one of these can be read. Writers in one process take turns for each key; writers in several processes that write one
key at the same moment can leave the children different: that is the Conflict that reads raise then. ``primary`` reads
do not compare. A mirror cannot be a child of a mirror, whose versions would take the place of its own.

**Listings** show what any child has that reads do not call deleted. "quorum" lists while more than half of the children
can be listed, and logs the others; "all" needs every child, because one that was emptied would otherwise speak for all.

**Deletes** that some child could not do leave tombstones in those that could, under ``holdfast-tombstones/``: a key
that is there in some children and missing in others is deleted if a tombstone is newer than it, and otherwise is
there ("all"), or a Conflict where no majority says either ("quorum"). The tombstones go when a repeated delete, or
``repair``, finds that all children agree. "Newer" is by the clocks of the writers. A child that is known to refuse
such keys is refused; one that turns out to do so makes the delete a PartialFailure that says so, and until it is
repeated the object is there as before. While a tombstone that would decide cannot be read, reads raise that error.

**Failures.** An operation that too few children did raises PartialFailure, whose ``outcomes`` tell what each did (or
the children's own error when all of them raise the same); what was done is not undone. What the policy tolerates is
logged as a warning. ``repair(source=child)`` then makes the others equal to the one you trust.

A key that too many children refuse (InvalidKey) is taken back from those that took it, where these can delete just
that version; it is InvalidKey then, and otherwise a PartialFailure.

Conditional writes are exact with ``primary`` where the first child's are: the condition is the first child's to judge.
The other policies refuse them.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import reduce
from itertools import chain, groupby
from operator import and_

from .. import engine
from ..blob import Blob, Staged
from ..errors import Conflict, HoldfastError, InvalidKey, NotFound, PartialFailure
from ..keys import sort_key
from ..store import LIST, READ, REMOVE, WRITE, ObjectStore, Removed, select, stream_copy
from ..types import (
    Body,
    Capabilities,
    ListOptions,
    Location,
    ObjectInfo,
    ReadOptions,
    RemoveOptions,
    WriteOptions,
)
from ._blobs import ToldBlob
from ._changing import conclude, joined, remove_from, taken_back
from ._children import (
    VERSION,
    Answer,
    ask,
    failure,
    is_version,
    log,
    marked,
    new_version,
    own_error,
    repeatable,
    unmarked,
)
from ._deciding import Policy, decide, etag_of, majority
from ._locks import KeyLocks
from ._repairing import Repaired, clean_up, repair_key
from ._several import SeveralStores, stores_in
from ._tombstones import TOMBSTONES, bury, dig_up, refusal

__all__ = ["MirroringStore", "Policy", "Repaired"]

#: How often a read looks again when an object changes between the look and the read.
_TRIES = 5


class MirroringStore(SeveralStores):
    """A store that keeps every object in each of its children (the module tells the rules).

    A body that is a stream of more than 8 MiB waits in a temporary file until every child has it.

    >>> from holdfast.stores.memory import MemoryStore
    >>> one, two = MemoryStore(), MemoryStore()
    >>> store = MirroringStore([one, two])
    >>> _ = store.put("a", b"1")
    >>> one.get("a"), two.get("a")
    (b'1', b'1')
    >>> two.delete("a")
    >>> store.get("a"), [result.written for result in store.repair(source=one)], two.get("a")
    (b'1', [('memory',)], b'1')
    """

    def __init__(self, children: Iterable[ObjectStore], policy: Policy = "all") -> None:
        self.children = tuple(children)
        super().__init__(self.children)
        if not self.children or len(self.stores) != len(self.children):
            raise ValueError("a mirror has at least one child, and each of them once")
        if policy not in {"all", "quorum", "primary"}:
            raise ValueError(f"a mirror's policy is 'all', 'quorum' or 'primary', not {policy!r}")
        if any(isinstance(store, MirroringStore) for child in self.children for store in stores_in(child)):
            # The versions and tombstones of the two would take each other's place.
            raise ValueError("a mirror in a mirror cannot tell its versions: give all children to one mirror")
        for child in self.children:
            if (why := refusal(child)) is not None:
                where = f"in its children, under {TOMBSTONES!r}"
                raise ValueError(f"a mirror writes down deletes {where} ({why}): put that store around the mirror")
        self.policy = policy
        self._locks = KeyLocks()

    def __repr__(self) -> str:
        return f"MirroringStore({list(self.children)!r}, {self.policy!r})"

    @property
    def name(self) -> str:
        """The names of all children."""
        return f"mirror({', '.join(child.name for child in self.children)})"

    @property
    def capabilities(self) -> Capabilities:
        """What all children can do; conditions with "primary" only, and no native copies."""
        common = reduce(and_, (child.capabilities for child in self.children))
        if self.policy == "primary":
            native = judge = self.children[0].capabilities
        else:
            native, judge = replace(common, atomic_write=False), Capabilities()
        return replace(
            native,
            metadata=common.metadata,
            write=common.write,
            create=common.write and judge.create,
            replace_if=common.write and judge.replace_if,
            delete_if=common.write and judge.delete_if,
            copy=False,
        )

    @property
    def remove_batch(self) -> int:
        """One: what became of a key is decided for each by itself, and bulk runs delete many at a time."""
        return 1

    # ------------------------------------------------------------------ reading
    def _read(self, key: str, options: ReadOptions = READ) -> Blob:
        self._check(key)
        if self.policy == "primary":
            return self._shown(self.children[0]._read(key, options), None)
        if options.if_match is not None and not self.capabilities.ranges:
            raise self._unsupported("a read", "if_match", "one of the children cannot")
        changed: HoldfastError | None = None
        for _ in range(_TRIES):
            winners = self._agreed(key)
            etag = etag_of(winners)
            if options.if_match is not None and options.if_match != etag:
                message = f"object {key!r} is not the version {options.if_match!r}: it is {etag!r}; read it again"
                raise Conflict(message, key=key, store=self.name)
            try:
                return self._open(key, winners, options, etag)
            except (Conflict, NotFound) as error:
                changed = error  # between the look and the read: look again
        raise Conflict(f"object {key!r} changes too often to be read", key=key, store=self.name, cause=changed)

    def _open(self, key: str, winners: Sequence[Answer], options: ReadOptions, etag: str | None) -> Blob:
        """The object from the first child that gives it, in just the version that was seen.

        Children that know their versions come first. Of the others only sizes can be compared, so where there are
        both, what one of them gives is told without an ETag.
        """
        failed: list[Answer] = []
        versioned = any(winner.identity is not None for winner in winners)
        for winner in sorted(winners, key=lambda winner: winner.identity is None):
            known = winner.identity is not None or not versioned
            if options.if_match is not None and not known:
                continue
            try:
                return self._shown(_opened(winner, key, options), etag if known else None)
            except (Conflict, NotFound):
                raise
            except Exception as error:  # noqa: BLE001 - a child's own: the next one may give it
                failed.append(Answer(winner.child, error=own_error(error, key, winner.child.name)))
        raise failure("a read", key, self.name, failed)

    def _agreed(self, key: str) -> list[Answer]:
        """The children that have the object as it is by the policy; NotFound, or Conflict if they do not agree."""
        found = decide(self.children, key, self.policy, self.name)
        if isinstance(found, Conflict):
            with self._locks.of(key):  # a writer of this process may be half way through
                found = decide(self.children, key, self.policy, self.name)
        if isinstance(found, HoldfastError):
            raise found
        return found

    def _shown(self, blob: Blob, etag: str | None) -> Blob:
        if self.policy == "primary":
            return ToldBlob(blob, unmarked)
        return ToldBlob(blob, lambda info: replace(unmarked(info), etag=etag))

    def _scan(self, options: ListOptions = LIST) -> Iterator[ObjectInfo]:
        if self.policy == "primary":
            rows = self.children[0]._scan(replace(options, delimiter=None))
            return select((unmarked(row) for row in rows if not row.key.startswith(TOMBSTONES)), options)
        if not self.capabilities.listing:
            raise self._unsupported("a listing", cure="one of the children cannot be listed")
        return select(self._rows(replace(options, delimiter=None)), options)

    def _rows(self, options: ListOptions) -> Iterator[ObjectInfo]:
        failed: list[Answer] = []
        listings = [self._listed(child, options, failed) for child in self.children]
        if self.capabilities.sorted:
            rows: Iterator[ObjectInfo] = heapq.merge(*listings, key=lambda row: sort_key(row.key))
        else:
            rows = iter(sorted(chain.from_iterable(listings), key=lambda row: sort_key(row.key)))
        for key, group in groupby(rows, key=lambda row: row.key):
            if key.startswith(TOMBSTONES):
                continue
            found = list(group)
            if len(found) < len(self.children) - len(failed) and not self._counts(key):
                continue
            sizes = {row.size for row in found if row.size is not None}
            yield ObjectInfo(key, sizes.pop() if len(sizes) == 1 else None, last_modified=found[0].last_modified)

    def _listed(self, child: ObjectStore, options: ListOptions, failed: list[Answer]) -> Iterator[ObjectInfo]:
        """A child's rows. With "quorum" it may fail: what was written is in one of any other majority as well."""
        try:
            yield from child._scan(options)
        except Exception as error:  # noqa: BLE001 - a child's own
            failed.append(Answer(child, error=own_error(error, None, child.name)))
            needed = majority(self.children) if self.policy == "quorum" else len(self.children)
            if len(self.children) - len(failed) < needed:
                raise failure("a listing", options.prefix, self.name, failed) from None
            log.warning("%s has not been listed: %s", child.name, error)

    def _counts(self, key: str) -> bool:
        """Whether an object that some child misses is listed: unless the policy calls it deleted."""
        try:
            self._agreed(key)
        except NotFound:
            return False
        except Conflict:
            return True  # there is something, and a read will tell what is wrong with it
        return True

    # ------------------------------------------------------------------ writing
    def _write(self, key: str, body: Body, options: WriteOptions = WRITE) -> ObjectInfo:
        self._check(key)
        self._refuse(options)
        with repeatable(body) as again, self._locks.of(key):
            return self._write_all(key, again, options, new_version())

    def _write_all(self, key: str, body: Body, options: WriteOptions, version: str) -> ObjectInfo:
        unconditional = replace(options, if_absent=False, if_match=None)
        answers: list[Answer] = []
        children = self.children
        if self.policy == "primary":
            answers.append(Answer(children[0], children[0]._write(key, body, marked(children[0], options, version))))
            children = children[1:]
        answers += ask(children, key, lambda child: child._write(key, body, marked(child, unconditional, version)))
        if not all(child.capabilities.metadata for child in self.children):
            # Without versions a tombstone could not be told to be older than this object.
            answers = joined(answers, dig_up(self.children, key))
        try:
            conclude("a write", key, self.name, self.policy, answers)
        except PartialFailure:
            refused = next((answer.error for answer in answers if isinstance(answer.error, InvalidKey)), None)
            if refused is not None and taken_back(key, answers):
                raise refused from None
            raise
        info = unmarked(next(answer.info for answer in answers if answer.info is not None))
        if self.policy == "primary":
            return info
        versioned = any(child.capabilities.metadata for child in self.children)
        return replace(info, etag=f'"{version}"' if versioned else None)

    def _refuse(self, options: WriteOptions) -> None:
        capabilities = self.capabilities
        if not capabilities.write:
            raise self._unsupported("a write", cure="one of the children cannot be written")
        if options.if_absent and not capabilities.create:
            raise self._unsupported("a write", "if_absent", "several children cannot decide as one")
        if options.if_match is not None and not capabilities.replace_if:
            raise self._unsupported("a write", "if_match", "several children cannot decide as one")
        if not is_version(options.metadata.get(VERSION)):
            raise self._unsupported("a write", f"the metadata name {VERSION!r}", "a mirror keeps its versions there")
        if not capabilities.metadata:
            for attribute in options.attributes():
                raise self._unsupported("a write", attribute, "one of the children keeps none")

    def _copy(self, source: ObjectStore, src: str, dst: str, options: WriteOptions = WRITE) -> ObjectInfo:
        self._check(dst)
        return stream_copy(source, src, self, dst, options)

    def _stage(self, key: str, size: int, options: WriteOptions = WRITE) -> Staged | None:
        """None: parts in several stores could not be committed as one."""
        return None

    def _locate(self, key: str) -> Location | None:
        """None: where an object lies in one child, that it is the right version is not checked."""
        return None

    # ------------------------------------------------------------------ removing
    def _remove(self, keys: Sequence[str], options: RemoveOptions = REMOVE) -> Removed:
        if not self.capabilities.write:
            raise self._unsupported("a delete", cure="one of the children cannot be written")
        if options.if_match is not None and not self.capabilities.delete_if:
            raise self._unsupported("a delete", "if_match", "several children cannot decide as one")
        removed: Removed = []
        for key in keys:
            try:
                self._check(key)
                with self._locks.of(key):
                    self._remove_key(key, options)
            except Exception as error:  # noqa: BLE001 - a child's own, among the answers for each key
                removed.append(own_error(error, key, self.name))
            else:
                removed.append(None)
        return removed

    def _remove_key(self, key: str, options: RemoveOptions) -> None:
        children = self.children
        answers: list[Answer] = []
        if self.policy == "primary":  # whose answer is the answer
            remove_from(children[0], key, options)
            answers.append(Answer(children[0], True))
            children = children[1:]

        def remove(child: ObjectStore) -> bool:
            try:
                remove_from(child, key, RemoveOptions(must_exist=True))
            except (NotFound, InvalidKey):
                return False
            return True

        answers += ask(children, key, remove)
        failed = any(answer.error is not None for answer in answers)
        if failed:
            # It must not come back with the child that kept it.
            gone = [answer.child for answer in answers if answer.error is None]
            answers = joined(answers, bury(gone, key))
        elif len({answer.value for answer in answers}) > 1:
            dig_up(self.children, key)  # now all agree; a tombstone that stays harms nothing that is newer
        conclude("a delete", key, self.name, self.policy, answers)
        if options.must_exist and not any(answer.value for answer in answers):
            raise NotFound(f"no object {key!r}", key=key, store=self.name)

    # ------------------------------------------------------------------ repairing
    def repair(
        self,
        source: ObjectStore | int = 0,
        *,
        threads: int | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> list[Repaired]:
        """What was done for each key of ``source`` (a child, or its number) to make the other children equal to it.

        Objects that differ or are missing elsewhere are written there, with their attributes. Nothing is deleted:
        what only other children hold stays (and can be the source of a second repair), and an object whose delete
        was left half done is reported as ``deleted`` and left alone. Errors are in the results. ``progress`` is
        called with the number of keys newly done.
        """
        trusted = self.children[source] if isinstance(source, int) else source
        if not any(trusted is child for child in self.children):
            raise ValueError("the source of a repair is one of the mirror's children")
        keys = (row.key for row in trusted._scan() if not row.key.startswith(TOMBSTONES))
        outcomes = engine.default().run(
            lambda key: self._repair_key(key, trusted),
            keys,
            threads=threads,
            on_error="collect",
            progress=progress,
            local=self.local,
        )
        results = [
            outcome.value if outcome.error is None else Repaired(outcome.item, (), error=outcome.error)
            for outcome in outcomes
        ]
        clean_up(self.children, self._locks)
        return sorted(results)

    def _repair_key(self, key: str, trusted: ObjectStore) -> Repaired:
        with self._locks.of(key):
            return repair_key(self.children, trusted, key, self.name)

    def _check(self, key: str) -> None:
        if key.startswith(TOMBSTONES):
            message = f"keys below {TOMBSTONES!r} are the mirror's own: choose another"
            raise InvalidKey(message, key=key, store=self.name)


def _opened(seen: Answer, key: str, options: ReadOptions) -> Blob:
    """The object from a child, as it was when it was looked at; Conflict if it is another one now."""
    child, info = seen.child, seen.info
    assert info is not None
    if child.capabilities.ranges:
        return child._read(key, replace(options, if_match=info.etag))
    blob = child._read(key, replace(options, if_match=None))
    resized = None not in {blob.info.size, info.size} and blob.info.size != info.size
    if Answer(child, blob.info).identity != seen.identity or resized:
        blob.close()
        raise Conflict(f"object {key!r} was replaced", key=key, store=child.name)
    return blob
