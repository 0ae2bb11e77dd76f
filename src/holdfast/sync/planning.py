"""``plan``: two listings side by side, and for each key what is to be done. Nothing is changed."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from .. import engine, redact
from ..errors import ConfigError, HoldfastError, Unsupported
from ..keys import check, printable, sort_key
from ..progress import Bar, bar
from ..types import ListOptions, ObjectInfo
from .actions import Action, Identity, Kind
from .attributes import ForeignAttributes
from .comparing import COMPARISONS, Changing, Compare, Comparison, Verdict
from .filters import Filter, Patterns
from .index import Findings, Index, pair_of
from .names import (
    Ancestors,
    Lookalikes,
    NameCheck,
    Names,
    Obstacle,
    PassedOver,
    folds_names,
    holds_unlisted,
    passed_over,
    refused,
    unlisted,
    woven,
)
from .obstacles import Obstacles
from .ordering import in_order, merged
from .overlaps import refuse_overlap
from .places import Place, place
from .plans import KEPT_FROM_NOTHING, NOTHING_LISTED, UNCOMPARED, Plan, Terms
from .reencoding import ReencodedComparison, checked_encoding
from .renaming import renamed
from .sequence import Actions

OnUnknown = Literal["ask", "transfer", "skip"]
#: At most so many deletions, and at most this part of the target's keys in scope, unless ``max_delete`` says so.
MOST_DELETIONS = 1000
DELETED_PART = 10
#: So many keys are looked up together, and decided together at most; up to 512 such runs wait for their turn.
BATCH = 100
OUTWARD = "a symlink that leads out of the source, and is not followed: exclude it to sync without it"
#: So many look-alikes are named in a warning.
NAMED = 5


def plan(
    source: Any,
    target: Any,
    *,
    include: Patterns = None,
    exclude: Patterns = None,
    delete: bool = False,
    compare: Compare = "auto",
    on_unknown: OnUnknown = "ask",
    names: Names = "auto",
    max_delete: int | None = None,
    move: bool = False,
    reencode: str | None = None,
    keys: Iterable[str] | Mapping[str, str] | None = None,
    index: Index | Literal["auto"] | None = "auto",
    threads: int | None = None,
    progress: bool | None = False,
) -> Plan:
    """What a sync would do to make the target's objects those of the source, key by key; nothing is changed.

    ``source`` and ``target`` are locations, stores, CloudFiles or Places. ``include`` and ``exclude`` choose keys (see
    Filter), on both sides alike. ``delete`` plans the deletion of what only the target has; of an empty source nothing
    is deleted, and apply deletes nothing if there are more than ``max_delete`` of them (default: 1,000, or a tenth of
    the target's keys in scope, rounded up, if that is less). ``move`` plans that each source is deleted
    once it is safely there.

    ``compare`` is "auto", "digest", "etag", "size+mtime" or "size" (see Comparison). Where nothing tells whether two
    objects are equal, ``on_unknown`` says what is planned: "transfer", "skip", or "ask": a conflict, which
    ``Plan.decide`` settles. ``names`` is "auto" (refuse what the target cannot keep apart), "portable" (what any file
    system cannot) or "exact". ``reencode`` gives objects another content encoding on their way ("gzip", "br", "zstd";
    "" decodes them). ``keys`` limits the sync to these keys, which are asked for one by one and not listed (one that
    neither side has is refused); a mapping ``{key: new key}`` gives them others on their way, by which the actions go.
    ``index`` remembers what earlier syncs proved: one of the user's own by default, None for none.

    Raises ConfigError for what cannot be; StoreError for a listing that fails, goes back or repeats itself: then there
    is no plan.

    >>> from holdfast.stores.memory import MemoryStore
    >>> source, target = MemoryStore(), MemoryStore()
    >>> _ = source.put("a", b"1"), target.put("a", b"2"), source.put("b", b"3")
    >>> [(action.key, action.kind) for action in plan(source, target)]
    [('a', 'update'), ('b', 'add')]
    """
    if on_unknown not in ("ask", "transfer", "skip"):
        raise ConfigError(f"on_unknown={on_unknown!r} is none of ask, transfer, skip")
    if names not in ("auto", "portable", "exact"):
        raise ConfigError(f"names={names!r} is none of auto, portable, exact")
    if compare not in COMPARISONS:
        raise ConfigError(f"compare={compare!r} is none of {', '.join(COMPARISONS)}")
    if reencode is not None and compare != "auto":
        raise ConfigError(f"reencode compares decoded contents, so compare={compare!r} has no meaning: leave it out")
    if keys is not None and delete:
        raise ConfigError("delete goes with whole listings, not with keys=: leave one of them out")
    if max_delete is not None and max_delete < 0:
        raise ConfigError(f"max_delete={max_delete} is no number of deletions")
    here, there = place(source), place(target)
    if isinstance(keys, Mapping):
        here = renamed(here, there, keys)
    elif keys is not None:
        keys = list(keys)
        _refuse_itself(here, there, keys)
    else:
        refuse_overlap(here, there)
    remembered, own = _index(index, here, there)
    try:
        if reencode is not None:
            encoding = checked_encoding(reencode, there)
            comparison: Comparison | ReencodedComparison = ReencodedComparison(here, there, encoding, remembered)
        else:
            comparison = Comparison(here, there, compare, remembered)
        with Filter(include, exclude) as chosen, bar(progress, f"comparing {printable(here.name)}") as shown:
            planner = _Planner(here, there, chosen, comparison, delete=delete, on_unknown=on_unknown, names=names)
            if keys is None:
                # A move leaves them where they are, whatever they lead to.
                planner.passed_over = passed_over(here, chosen, refuse=not move)
            if remembered is not None and compare in ("auto", "digest") and (pair := pair_of(here, there, reencode)):
                planner.findings = Findings(remembered, pair, here, there)
            actions = planner.run(None if keys is None else _wanted(keys, chosen, here), threads, shown)
    finally:
        if own and remembered is not None:
            remembered.close()
    patterns = chosen.describe()
    limit = min(MOST_DELETIONS, -(-planner.in_scope // DELETED_PART)) if max_delete is None else max_delete
    terms = Terms(
        include=tuple(patterns[0]),
        exclude=tuple(patterns[1]),
        compare=compare,
        on_unknown=on_unknown,
        names=names,
        delete=delete,
        move=move,
        reencode=reencode,
        max_delete=limit,
        listed=planner.listed,
        in_scope=planner.in_scope,
        recoverable=_recoverable(there) if planner.deletions else None,
        warnings=tuple(planner.warnings),
    )
    return Plan(here, there, terms, actions)


class Pair(NamedTuple):
    """One key and what lies under it on both sides; ``obstacle`` is why it cannot be written."""

    key: str
    mine: ObjectInfo | None
    theirs: ObjectInfo | None
    obstacle: Obstacle | None


class _Planner:
    """The state of one planning: what was seen so far, and what must be changed afterwards."""

    def __init__(
        self,
        source: Place,
        target: Place,
        chosen: Filter,
        comparison: Comparison | ReencodedComparison,
        *,
        delete: bool,
        on_unknown: OnUnknown,
        names: Names,
    ) -> None:
        self.source = source
        self.target = target
        self.chosen = chosen
        self.compare = comparison
        self.delete = delete
        self.on_unknown = on_unknown
        self.names = NameCheck(target, names)
        self.foreign = ForeignAttributes(source)
        self.folds = names == "portable" or (
            names == "auto" and target.directory is not None and folds_names(target.directory)
        )
        self.ancestors = Ancestors()
        self.lookalikes = Lookalikes()
        self.obstacles = Obstacles(delete=delete)
        self.listed = 0
        self.in_scope = 0
        self.deletions = 0
        self.warnings: list[str] = []
        self.passed_over = PassedOver()
        #: Where to note what turned out to be equal; None where an index is not wanted, or of no use.
        self.findings: Findings | None = None

    def run(self, keys: list[str] | None, threads: int | None, shown: Bar) -> Actions:
        """The actions for all keys, or for these."""
        actions = Actions()

        def beat(_: int) -> None:
            shown.advance(0)  # the bar counts keys, of which an outcome may have many

        local = self.source.store.local and self.target.store.local
        outcomes = engine.default().run(
            self._decided, self._portions(keys), threads=threads, ordered=True, local=local, progress=beat
        )
        for outcome in outcomes:
            for action in outcome.value:
                actions.append(action)
                self.deletions += action.kind == "delete"
            shown.advance(len(outcome.value))
        if self.findings is not None:
            self.findings.flush()
        self.warnings += self.passed_over.warnings
        self._refuse_lookalikes(actions)
        self.obstacles.settle(actions, self._is_emptied)
        self.deletions = actions.counts["delete"]
        if self.deletions and not self.listed:
            self._refuse_deletions(actions)
        return actions

    # ------------------------------------------------------------------ both sides, key by key
    def pairs(self, keys: list[str] | None) -> Iterator[Pair]:
        """Every key in scope, in order, with what both sides have there."""
        if keys is None:
            rows = merged(self._rows(self.source), self._rows(self.target))
            if self.passed_over.outward:
                rows = woven(rows, self.passed_over.outward)
        else:
            rows = zip(keys, _heads(self.source, keys), _heads(self.target, keys), strict=True)
        outward = frozenset(self.passed_over.outward)
        for key, one, other in rows:
            if one is None and key in outward:
                self.in_scope += other is not None
                yield Pair(key, None, other, Obstacle("refuse", OUTWARD))
                continue
            if one is None and other is None:
                yield Pair(key, None, None, Obstacle("refuse", "neither side has it"))
                continue
            self.in_scope += other is not None
            obstacle = None if one is None else self.names.why_not(key) or self.foreign.why_not(key)
            if obstacle is None:
                self._look_for_collisions(key, one, other)
                if one is not None and other is None:
                    obstacle = self.names.in_the_way(key)
                    if obstacle is not None and self.obstacles.meet_unlisted(key, obstacle):
                        obstacle = None
            yield Pair(key, one, other, obstacle)

    def _rows(self, where: Place) -> Iterator[ObjectInfo]:
        """The rows that the filters choose, in order."""
        if not where.store.capabilities.listing:
            raise Unsupported("cannot be listed, so it cannot be synced", store=where.name)
        ordered = in_order(where.rows(), where.name, is_sorted=where.store.capabilities.sorted)
        counted = self._all_counted(ordered) if where is self.source else ordered
        if not self.chosen:
            return counted
        return (row for row, keep in self.chosen.divide((row.key, row) for row in counted) if keep)

    def _all_counted(self, rows: Iterator[ObjectInfo]) -> Iterator[ObjectInfo]:
        for row in rows:
            self.listed += 1
            yield row

    def _look_for_collisions(self, key: str, mine: ObjectInfo | None, theirs: ObjectInfo | None) -> None:
        self.lookalikes.add(key)
        if not self.names.is_tree:
            return
        for above, in_source, in_target in self.ancestors.meet(
            key, in_source=mine is not None, in_target=theirs is not None
        ):
            if in_target and theirs is not None:
                continue  # both are there already, whatever the target is
            if in_source and not in_target:
                reason = f"there are objects below it, such as {printable(key)!r}"
                self.obstacles.meet(above, reason, in_source=mine is not None)
            if mine is not None and theirs is None:
                reason = f"there is an object {printable(above)!r} where its directory would be"
                self.obstacles.meet(key, reason, in_source=in_source)

    # ------------------------------------------------------------------ key by key, or many at once
    def _portions(self, keys: list[str] | None) -> Iterator[Pair | list[Action]]:
        """What there is to decide, in order: single pairs, and the actions of those around them that are clear.

        Most keys are clear from the listings and the index. To hand each of them to a thread would take longer than
        to decide them.
        """
        pairs = self.pairs(keys)
        while batch := list(itertools.islice(pairs, BATCH)):
            clear: list[Action] = []
            for pair, action in zip(batch, self._clear(batch), strict=True):
                if action is not None:
                    clear.append(action)
                    continue
                if clear:
                    yield clear
                    clear = []
                yield pair
            if clear:
                yield clear

    def _clear(self, batch: list[Pair]) -> Iterator[Action | None]:
        """The action for each pair, or None where it takes a read or a request to tell."""
        both = [(pair.mine, pair.theirs) for pair in batch if pair.mine and pair.theirs and not pair.obstacle]
        verdicts = iter(self.compare.at_once(both))
        for key, mine, theirs, obstacle in batch:
            if obstacle is not None or (mine is None and not self.delete) or (theirs is None and _is_told(mine)):
                yield self.decide(Pair(key, mine, theirs, obstacle))
            elif mine and theirs and (verdict := next(verdicts)) is not None and verdict.same:
                one, other = Identity.of(mine), Identity.of(theirs)
                if self.findings is not None and not verdict.noted:
                    self.findings.add(key, one, other)
                yield Action(key, "skip", verdict.reason, one, other)
            else:
                yield None

    def _decided(self, portion: Pair | list[Action]) -> list[Action]:
        return [self.decide(portion)] if isinstance(portion, Pair) else portion

    def decide(self, pair: Pair) -> Action:
        """What is to be done with one key."""
        mine = None if pair.mine is None else Identity.of(pair.mine)
        theirs = None if pair.theirs is None else Identity.of(pair.theirs)
        if pair.obstacle is not None:
            return Action(pair.key, *pair.obstacle, mine, theirs)
        if pair.mine is None and not self.delete:
            return Action(pair.key, "skip", "only at the target", None, theirs)
        if pair.mine is None and (what := unlisted(self.source, pair.key)) is not None:
            reason = f"not deleted: the source has {what} there, which is not followed"
            return Action(pair.key, "refuse", reason, None, theirs)
        kind: Kind
        undecided = False
        try:
            if pair.theirs is None:
                kind, reason = "add", "only in the source"
            elif pair.mine is None:
                kind, reason = "delete", "not in the source"
            else:
                verdict = self.compare(pair.mine, pair.theirs)
                kind, reason = self._kind(verdict)
                undecided = kind == "conflict"
                if verdict.same and self.findings is not None and mine and theirs:
                    self.findings.add(pair.key, mine, theirs)
            if kind != "skip":
                mine, theirs = _identity(self.source, pair.mine), _identity(self.target, pair.theirs)
        except (Changing, HoldfastError) as error:
            kind, reason, undecided = "conflict", f"{UNCOMPARED}: {redact.text(str(error))}", False
        return Action(pair.key, kind, reason, mine, theirs, undecided=undecided)

    def _kind(self, verdict: Verdict) -> tuple[Kind, str]:
        if verdict.same is not None:
            return ("skip" if verdict.same else "update"), verdict.reason
        if self.on_unknown == "ask":
            return "conflict", f"cannot tell whether it is equal: {verdict.reason}"
        return ("update" if self.on_unknown == "transfer" else "skip"), verdict.reason

    # ------------------------------------------------------------------ what is known only at the end
    def _refuse_lookalikes(self, actions: Actions) -> None:
        groups = self.lookalikes.groups(lambda: (action.key for action in actions))
        if not groups:
            return
        named = "; ".join(" and ".join(map(repr, map(printable, group[:2]))) for group in groups[:NAMED])
        self.warnings.append(f"{len(groups)} names differ from others in case or Unicode form alone: {named}")
        if self.folds:
            for group in groups:
                for key in group:
                    other = next(one for one in group if one != key)
                    reason = f"differs from {printable(other)!r} in letter case or Unicode form alone"
                    self.obstacles.refuse(key, reason)

    def _is_emptied(self, folder: str) -> bool:
        """Whether the deletions take all that is below: not what the filters leave out, and no listing tells of."""
        below = [row.key for row in self.target.store._scan(ListOptions(prefix=f"{folder}/"))]
        return all(self.chosen.keeps(below)) and not holds_unlisted(self.target, folder)

    def _refuse_deletions(self, actions: Actions) -> None:
        self.warnings.append(NOTHING_LISTED)
        for action in [action for action in actions if action.kind == "delete"]:
            actions.replace(action, refused(action, KEPT_FROM_NOTHING))


def _wanted(keys: Iterable[str] | Mapping[str, str], chosen: Filter, where: Place) -> list[str]:
    """The keys at the target that the filters choose, in order; of renamed objects both names must be chosen."""
    both = list(keys.items() if isinstance(keys, Mapping) else ((key, key) for key in keys))
    for old, new in both:
        check(old, where.name)
        check(new, where.name)
    kept = zip(both, chosen.keeps([old for old, _ in both]), chosen.keeps([new for _, new in both]), strict=True)
    return sorted({new for (_, new), one, other in kept if one and other}, key=sort_key)


def _identity(where: Place, info: ObjectInfo | None) -> Identity | None:
    return None if info is None else Identity.of(where.identified(info))


def _is_told(info: ObjectInfo | None) -> bool:
    """Whether the listing tells by what this version is known again."""
    return info is not None and (info.etag is not None or info.last_modified is not None)


def _heads(where: Place, keys: list[str]) -> Iterator[ObjectInfo | None]:
    """The heads of the keys, in order; None of those that are not there."""
    return (outcome.value for outcome in engine.default().run(where.head, keys, ordered=True, local=where.store.local))


def _index(index: Index | Literal["auto"] | None, here: Place, there: Place) -> tuple[Index | None, bool]:
    """The index to ask, and whether it is ours to close."""
    if index != "auto":
        return index, False
    if here.identity is None and there.identity is None:
        return None, False
    default = Index.default()
    return default, default is not None


def _refuse_itself(here: Place, there: Place, keys: Iterable[str]) -> None:
    """Raise ConfigError for a key that is one object on both sides: a move would delete it."""
    for key in keys:
        if here.address(key) == there.address(key):
            raise ConfigError(f"{printable(key)!r} of {here.name} would be synced onto itself")


def _recoverable(there: Place) -> bool | None:
    """Whether the target keeps what is deleted, as far as it tells."""
    if there.vendor in ("file", "mem"):
        return False
    store, _ = there.native("x")
    versioned = getattr(store, "versioned", None)
    return None if versioned is None else versioned()
