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
from holdfast.stores.memory import MemoryStore
from holdfast.sync import apply, plan
from holdfast.testing.stores import FaultStore

from .test_apply import contents

#: Names that begin alike, lie in each other's directories, and sort otherwise than they read.
KEYS = ["a", "a!", "b/a", "b/c", "b!/c", "data/x.csv", "database/x.csv", "d/e/f.csv", "d/e.csv", "é", "\U0001f600", "z"]
TREES = st.dictionaries(st.sampled_from(KEYS), st.sampled_from([b"", b"1", b"2", b"33"]))
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


@pytest.mark.slow
@given(
    mine=TREES,
    theirs=TREES,
    include=st.sampled_from(sorted(PATTERNS, key=str)),
    exclude=st.sampled_from(sorted(PATTERNS, key=str)),
    delete=st.booleans(),
    move=st.booleans(),
    in_files=st.booleans(),
    meddling=st.dictionaries(st.sampled_from(KEYS), st.sampled_from([None, b"1", b"new"]), max_size=3),
    meddling_at_source=st.dictionaries(st.sampled_from(KEYS), st.sampled_from([None, b"new"]), max_size=2),
    faults=st.sets(st.sampled_from(KEYS), max_size=2),
    ends=st.lists(st.integers(0, 4), max_size=2),
)
@settings(max_examples=settings().max_examples if settings().max_examples > 100 else 150)
def test_the_target_becomes_what_the_model_says(
    mine, theirs, include, exclude, delete, move, in_files, meddling, meddling_at_source, faults, ends
):
    with tempfile.TemporaryDirectory() as directory:
        source = filled(MemoryStore(), mine)
        inner = open_store(Path(directory) / "target") if in_files else MemoryStore()
        target = FaultStore(filled(inner, theirs))
        chosen = {key for key in KEYS if PATTERNS[include](key) and not (exclude and PATTERNS[exclude](key))}
        planned = plan(
            source, target, include=include, exclude=exclude, delete=delete, move=move, max_delete=len(KEYS), index=None
        )

        # What the plan says, against the two trees.
        expected = {}
        for key in (mine.keys() | theirs.keys()) & chosen:
            if key not in theirs:
                expected[key] = "add"
            elif key not in mine:
                expected[key] = ("delete" if mine else "refuse") if delete else "skip"
            else:
                expected[key] = "skip" if mine[key] == theirs[key] else "update"
        assert {action.key: action.kind for action in planned} == expected

        # Somebody changes things behind its back.
        now, here = dict(theirs), dict(mine)
        touched = meddle(inner, now, meddling) | meddle(source, here, meddling_at_source)
        for key in faults:
            target.fail(lambda key: e.Throttled("slow down", key=key), "write", key)

        # It is ended a few times, and goes on.
        journal = Path(directory) / "journal"
        for left in ends:
            told = iter(range(left))

            def end(_, told=told):
                if next(told, None) is None:
                    raise Ended

            try:
                apply(planned, journal=journal, index=None, on_result=end)
            except Ended:
                continue
        summary = apply(planned, journal=journal, index=None)
        summary = apply(planned, journal=journal, index=None) if summary.failed or summary.kept else summary

        # The target is what the model says: planned actions on what was left alone, and nothing else.
        held = any(result.detail.startswith("not deleted, because") for result in summary.stale)
        assert touched or not held
        for key, kind in expected.items():
            if key not in touched and kind == "delete":
                if not held:
                    del now[key]
            elif key not in touched and kind in ("add", "update"):
                now[key] = mine[key]
        after = contents(inner)
        assert after == now
        assert not [result for result in summary.failed if result.key not in faults]

        # A source is gone only if it is a move, and then only if the very same bytes are at the target.
        left_here = contents(source)
        for key in here:
            if key not in left_here:
                assert move
                assert after[key] == mine[key]
        if not (touched or move):
            assert summary.exit_code == (1 if "refuse" in expected.values() else 0)
            assert summary.done == sum(kind in ("add", "update", "delete") for kind in expected.values())


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
