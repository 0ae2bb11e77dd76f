"""What a move deletes, and what it says it has done: only what it can prove."""

from __future__ import annotations

import pytest

from holdfast.stores.memory import MemoryStore
from holdfast.sync import Journal, apply, plan
from holdfast.sync.journal import JournalQueue

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
