"""Syncs of random trees against a model: with filters, faults, changes behind the plan's back, and sudden ends."""

from __future__ import annotations

import contextlib
import fnmatch
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast import errors as e
from holdfast import open_store
from holdfast.keys import sort_key
from holdfast.stores.memory import MemoryStore
from holdfast.sync import apply, plan
from holdfast.testing.stores import FaultStore
from holdfast.wrap.rekey import PrefixStore

from .test_apply import contents

#: Names that begin alike, lie in each other's directories, and sort otherwise than they read.
KEYS = ["a", "a!", "b/a", "b/c", "b!/c", "data/x.csv", "database/x.csv", "d/e/f.csv", "d/e.csv", "é", "\U0001f600", "z"]
#: What the two sides have under one key.
SIDES = [(b"1", None), (None, b"1"), (None, b""), (b"1", b"1"), (b"", b""), (b"1", b"2"), (b"1", b"33")]
PATTERNS = {
    None: lambda key: True,
    "*.csv": lambda key: key.endswith(".csv"),
    "data/": lambda key: key.startswith("data/"),
    "b*": lambda key: any(fnmatch.fnmatchcase(part, "b*") for part in key.split("/")),
    "re:[a-d]": lambda key: key[0] in "abcd",
}


class Ended(BaseException):
    """The process ends here."""


def filled(store, tree):
    for key, data in tree.items():
        store.put(key, data)
    return store


def meddle(store, tree, changes):
    """Put and delete these in the store and its model; the keys that have another version since."""
    touched = set()
    for key, data in changes.items():
        if data is not None:
            store.put(key, data)
            tree[key] = data
            touched.add(key)
        elif tree.pop(key, None) is not None:
            store.delete(key)
            touched.add(key)
    return touched


#: What goes wrong once with a key: on which side, at which verb, and whether only the answer is lost.
FAULTS = {
    "write": (1, "write", False),
    "answer to a write": (1, "write", True),
    "deletion": (1, "remove", False),
    "answer to a deletion": (1, "remove", True),
    "read": (0, "read", False),
    "deletion of what was moved": (0, "remove", False),
    "answer to that": (0, "remove", True),
}
#: What lies beside both places, and is nobody's business.
BESIDE = {"t!": b"1", "t0": b"2", "t-a": b"3", "tt/a": b"4", "T/a": b"5", "a": b"6"}


class Model:
    """What must become of two trees, from what they were when planned, and what they are when the plan is applied."""

    def __init__(self, mine, theirs, chosen, *, delete, move):
        self.mine, self.theirs, self.move = mine, theirs, move
        self.kinds = {}
        for key in (mine.keys() | theirs.keys()) & chosen:
            if key not in theirs:
                self.kinds[key] = "add"
            elif key not in mine:
                self.kinds[key] = ("delete" if mine else "refuse") if delete else "skip"
            else:
                self.kinds[key] = "skip" if mine[key] == theirs[key] else "update"

    def apply(self, here, there, touched_here, touched_there):
        """Change both trees as the sync must; the keys that are done, and those that are stale."""
        done, stale = set(), set()
        planned_here = sorted((key for key in self.kinds if key in self.mine), key=sort_key)
        for key in planned_here:
            if self.kinds[key] != "skip" or self.move:
                is_there = there.get(key) == self.mine[key]
                changed = key in touched_here or (key in touched_there and not is_there)
                (stale if changed else done).add(key)
        gone = not self.move and planned_here[:5] and not any(key in here for key in planned_here[:5])
        kept = bool(stale or gone)  # nothing is deleted on ground that has moved
        for key in (key for key, kind in self.kinds.items() if kind == "delete"):
            changed = key in touched_here or (key in touched_there and key in there)
            (stale if kept or changed else done).add(key)
        for key in done:
            if self.kinds[key] == "delete":
                there.pop(key, None)
                continue
            there[key] = self.mine[key]
            if self.move:
                del here[key]
        return done, stale


def opened(directory, name, tree, *, in_files):
    """A place with this tree in it and other things beside it: all of that, and the place."""
    everything = open_store(Path(directory) / name) if in_files else MemoryStore()
    filled(everything, BESIDE)
    return everything, filled(PrefixStore(everything, "t/"), tree)


@pytest.mark.slow
@given(
    trees=st.dictionaries(st.sampled_from(KEYS), st.sampled_from(SIDES)),
    include=st.none() | st.sampled_from(sorted(PATTERNS, key=str)),
    exclude=st.none() | st.sampled_from(sorted(PATTERNS, key=str)),
    delete=st.booleans(),
    move=st.booleans(),
    from_files=st.booleans(),
    in_files=st.booleans(),
    meddling=st.dictionaries(st.sampled_from(KEYS), st.sampled_from([None, b"1", b"new"]), max_size=3),
    meddling_at_source=st.dictionaries(st.sampled_from(KEYS), st.sampled_from([None, b"new"]), max_size=2),
    unmounted=st.booleans(),
    faults=st.lists(st.tuples(st.sampled_from(sorted(FAULTS)), st.sampled_from(KEYS)), max_size=3),
    ends=st.lists(st.integers(0, 4), max_size=2),
)
@settings(max_examples=settings().max_examples if settings().max_examples > 100 else 200)
def test_both_trees_become_exactly_what_the_model_says(
    trees,
    include,
    exclude,
    delete,
    move,
    from_files,
    in_files,
    meddling,
    meddling_at_source,
    unmounted,
    faults,
    ends,
):
    mine, theirs = ({key: sides[n] for key, sides in trees.items() if sides[n] is not None} for n in (0, 1))
    with tempfile.TemporaryDirectory() as directory:
        all_here, inner_source = opened(directory, "source", mine, in_files=from_files)
        all_there, inner = opened(directory, "target", theirs, in_files=in_files)
        sides = FaultStore(inner_source), FaultStore(inner)
        chosen = {key for key in KEYS if PATTERNS[include](key) and not (exclude and PATTERNS[exclude](key))}
        planned = plan(
            *sides, include=include, exclude=exclude, delete=delete, move=move, max_delete=len(KEYS), index=None
        )
        model = Model(mine, theirs, chosen, delete=delete, move=move)
        assert {action.key: action.kind for action in planned} == model.kinds

        # Somebody changes things behind its back, and the network has bad moments.
        here, there = dict(mine), dict(theirs)
        if unmounted:
            meddling_at_source |= dict.fromkeys(mine)
        touched = meddle(inner_source, here, meddling_at_source), meddle(inner, there, meddling)
        for name, key in faults:
            side, verb, landed = FAULTS[name]
            sides[side].fail(lambda key: e.Throttled("slow down", key=key), verb, key, landed=landed)

        # It is ended a few times, and goes on.
        journal = Path(directory) / "journal"
        for left in ends:
            told = iter(range(left))

            def end(_, told=told):
                if next(told, None) is None:
                    raise Ended

            with contextlib.suppress(Ended):
                apply(planned, journal=journal, index=None, on_result=end)
        summary = apply(planned, journal=journal, index=None)
        for _ in faults:
            if summary.failed or summary.kept:
                assert summary.exit_code == 1
                assert not summary.deleted or all(result.kind == "delete" for result in summary.failed)
                summary = apply(planned, journal=journal, index=None)

        done, stale = model.apply(here, there, *touched)
        assert (contents(inner_source), contents(inner)) == (here, there)
        for everything, tree in ((all_here, here), (all_there, there)):
            assert contents(everything) == {**BESIDE, **{f"t/{key}": data for key, data in tree.items()}}
        assert {result.key for result in summary.stale} == stale
        assert {result.key for result in summary.refused} == {k for k, kind in model.kinds.items() if kind == "refuse"}
        assert (summary.failed, summary.kept, summary.conflicts, summary.done) == ([], [], [], len(done))
        assert summary.exit_code == (1 if summary.refused else 3 if stale else 0)


NESTED = ["a", "a/b", "a/b/c", "a/d", "a!", "a!/e", "f/g", "f", "f/g/h"]


def collides(key, keys):
    return any(key.startswith(other + "/") or other.startswith(key + "/") for other in keys)


@given(
    mine=st.sets(st.sampled_from(NESTED), min_size=1), theirs=st.sets(st.sampled_from(NESTED)), ended=st.integers(0, 4)
)
def test_any_tree_of_files_becomes_any_other_one(mine, theirs, ended):
    theirs = {key for key in theirs if not collides(key, theirs)}
    with tempfile.TemporaryDirectory() as directory:
        source = filled(MemoryStore(), {key: key.encode() for key in mine})
        target = filled(open_store(Path(directory) / "target"), dict.fromkeys(theirs, b"old"))
        planned = plan(source, target, delete=True, max_delete=len(theirs), index=None)
        # What collides within the source is refused, but for what is at the target already.
        expected = {key: key.encode() for key in mine if key in theirs or not collides(key, mine)}
        told = iter(range(ended))

        def end(_):
            if next(told, None) is None:
                raise Ended

        with contextlib.suppress(Ended):
            apply(planned, journal=Path(directory) / "journal", index=None, on_result=end)
        summary = apply(planned, journal=Path(directory) / "journal", index=None)
        assert contents(target) == expected
        assert {result.key for result in summary.refused} == mine - expected.keys()
