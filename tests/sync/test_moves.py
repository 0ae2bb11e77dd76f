"""What a move deletes, and what it says it has done: only what it can prove."""

from __future__ import annotations

import dataclasses
import os

import pytest

from holdfast import errors as e
from holdfast.stores.memory import MemoryStore
from holdfast.stores.zip import ZipStore
from holdfast.sync import Journal, apply, plan
from holdfast.sync.executing import Batch, perform_batch
from holdfast.sync.journal import JournalQueue
from holdfast.sync.performing import Settings, Task
from holdfast.types import WriteOptions

from .test_apply import contents
from .test_plan import store_of


class PowerCutError(Exception):
    """The end of this process, before it comes to note what it did."""


@pytest.fixture
def cut(monkeypatch):
    """Have the next apply end after its work is done, and before any of it is noted."""

    def cut_off(planned, journal):
        def end(*_):
            raise PowerCutError

        with monkeypatch.context() as patch:
            patch.setattr(JournalQueue, "finish", end)
            with pytest.raises(PowerCutError):
                apply(planned, journal=journal, index=None)

    return cut_off


# ---------------------------------------------------------------------- "moved by an earlier run"
@pytest.mark.parametrize("before", [None, b"old!!", b"mine"])
def test_what_an_earlier_run_moved_and_did_not_note_is_known_again(tmp_path, cut, before):
    source, target = store_of(x=b"mine"), MemoryStore() if before is None else store_of(x=before)
    planned = plan(source, target, move=True, index=None)
    cut(planned, tmp_path / "journal")
    assert (contents(source), contents(target)) == ({}, {"x": b"mine"})
    summary = apply(planned, journal=tmp_path / "journal", index=None)
    assert (summary.exit_code, [outcome for _, outcome in summary.counts]) == (0, ["already"])


@pytest.mark.parametrize("reencode", [None, "gzip"])
def test_a_claim_does_not_prove_that_anything_was_moved(tmp_path, reencode):
    """The owner deletes the source, and somebody else writes as many other bytes, before anybody began."""
    source, target = store_of(x=b"mine"), store_of(x=b"old!!")
    planned = plan(source, target, move=True, reencode=reencode, index=None)
    with Journal(tmp_path / "journal", lease=0.0) as journal:
        queue = journal.begin(planned)
        queue.claim("transfer", 1)
        queue.release()
        source.delete("x")
        target.put("x", b"evil")
        summary = apply(planned, journal=journal, index=None)
    assert (summary.exit_code, [result.key for result in summary.stale]) == (3, ["x"])


def test_a_claim_does_not_prove_that_what_was_equal_was_moved(tmp_path):
    source, target = store_of(x=b"1"), store_of(x=b"2")
    planned = plan(source, target, move=True, compare="size", index=None)
    with Journal(tmp_path / "journal", lease=0.0) as journal:
        queue = journal.begin(planned)
        queue.claim("transfer", 1)
        queue.release()
        source.delete("x")
        summary = apply(planned, journal=journal, index=None)
    assert (summary.exit_code, [result.key for result in summary.stale]) == (3, ["x"])


def test_a_copy_that_was_replaced_since_is_not_the_one_that_was_moved(tmp_path, cut):
    source, target = store_of(x=b"mine"), MemoryStore()
    planned = plan(source, target, move=True, index=None)
    cut(planned, tmp_path / "journal")
    target.put("x", b"evil")
    summary = apply(planned, journal=tmp_path / "journal", index=None)
    assert (summary.exit_code, [result.key for result in summary.stale]) == (3, ["x"])


def test_what_is_noted_of_a_copy_goes_with_its_task(tmp_path):
    with Journal(tmp_path / "journal") as journal:
        apply(plan(store_of(x=b"1"), MemoryStore(), move=True, index=None), journal=journal, index=None)
        assert journal.select("select * from copies") == []


# ---------------------------------------------------------------------- what the target cannot keep
@pytest.mark.parametrize("there", [False, True])
def test_a_move_does_not_drop_what_the_target_cannot_keep(tmp_path, there):
    source = MemoryStore()
    source.write("x", b"1", WriteOptions(metadata={"owner": "ann"}))
    source.write("y", b"2", WriteOptions(content_type="text/x-special"))
    with ZipStore(tmp_path / "archive.zip") as target:
        if there:
            target.put("x", b"1")
        summary = apply(plan(source, target, move=True, index=None), index=None)
        assert contents(target) == ({"x": b"1", "y": b"2"} if there else {"y": b"2"})
    [failed] = summary.failed
    assert isinstance(failed.error, e.Unsupported)
    assert "cannot keep the metadata of 'x'" in failed.detail
    assert (summary.exit_code, source.head("x").metadata) == (1, {"owner": "ann"})
    assert not source.exists("y")


# ---------------------------------------------------------------------- done, whatever was heard of it
class Lossy(MemoryStore):
    """A store that deletes, and whose answer to that is lost."""

    def _remove(self, keys, options=None):
        super()._remove(keys)
        return [e.Indeterminate("the answer was lost", key=key) for key in keys]


class Silent(MemoryStore):
    """A store that does not delete, and whose answer to that is lost."""

    def _remove(self, keys, options=None):
        return [e.Indeterminate("the answer was lost", key=key) for key in keys]


def test_a_source_whose_deletion_lost_its_answer_is_moved_if_it_is_gone():
    for kind, code in ((Lossy, 0), (Silent, 1)):
        source, target = kind(), MemoryStore()
        source.put("x", b"1")
        summary = apply(plan(source, target, move=True, index=None), index=None)
        assert (summary.exit_code, summary.stale, contents(target)) == (code, [], {"x": b"1"})
        assert source.exists("x") is bool(code)


class Unconditional(MemoryStore):
    """A store without conditions, which copies nothing by itself."""

    @property
    def capabilities(self):
        return dataclasses.replace(super().capabilities, create=False, replace_if=False, delete_if=False, copy=False)


@pytest.mark.parametrize("before", [None, b"older"])
def test_a_batch_that_is_done_twice_is_done_also_without_conditions(before):
    source, target = Unconditional(), Unconditional()
    source.put("x", b"new")
    if before is not None:
        target.put("x", before)
    planned = plan(source, target, index=None)
    tasks = tuple(Task(number, action) for number, action in enumerate(planned))
    batch = Batch(source, target, Settings(), tasks, 1, os.getpid())
    assert [[result.outcome for _, result in perform_batch(batch)] for _ in range(2)] == [["done"], ["already"]]
    target.put("x", b"somebody's")
    assert [result.outcome for _, result in perform_batch(batch)] == ["stale"]
