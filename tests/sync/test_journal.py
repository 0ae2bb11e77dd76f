"""The journal as a file: whose it is, what may be dropped from it, and what happens to those who still need that."""

from __future__ import annotations

import platform
import sqlite3
import subprocess
import sys
import time

import pytest

from holdfast import errors as e
from holdfast.stores.memory import MemoryStore
from holdfast.sync import Journal, apply, plan
from holdfast.sync.journal import FORMAT

from .test_plan import store_of

OLD = 1e6


@pytest.fixture
def planned():
    return plan(store_of(**{f"{number:04}": b"x" for number in range(1500)}), MemoryStore())


def changed(path, statement, *values):
    """Execute one statement in the file, as somebody else would."""
    with sqlite3.connect(path, timeout=60) as connection:
        connection.execute(statement, values)
    connection.close()


# ---------------------------------------------------------------------- the file
@pytest.mark.parametrize("statement", ["create table runs (id, fingerprint)", "create table addresses (name)"])
def test_what_is_no_journal_of_this_form_is_refused_and_left_as_it_is(tmp_path, statement):
    path = tmp_path / "journal"
    changed(path, statement)
    before = path.read_bytes()
    with pytest.raises(e.ConfigError, match="an old journal, or none at all"):
        Journal(path)
    assert (path.read_bytes(), [each.name for each in tmp_path.iterdir()]) == (before, ["journal"])


def test_a_journal_of_a_later_form_is_refused(tmp_path):
    path = tmp_path / "journal"
    Journal(path).close()
    Journal(path).close()
    changed(path, f"pragma user_version = {FORMAT + 1}")
    with pytest.raises(e.ConfigError, match=f"a journal of format {FORMAT + 1}"):
        Journal(path)


def test_a_journal_of_another_form_is_not_in_the_way_of_the_default_one(tmp_path, monkeypatch):
    """``transfer_to(resumable=True)`` takes that one, and cannot name another file."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with Journal.default() as journal:
        older = journal.path
    monkeypatch.setattr("holdfast.sync.journal.FORMAT", FORMAT + 1)
    with Journal.default() as journal:
        assert journal.path != older


# ---------------------------------------------------------------------- what may be dropped
def test_a_sign_of_life_is_one_of_the_run_and_of_its_transfers(planned, tmp_path):
    with Journal(tmp_path / "journal", lease=0.0) as journal:
        queue = journal.begin(planned)
        queue.claim("transfer", 1)
        for name in ("ours", "somebody's", "ended"):
            journal.begin_transfer(name, "target", "key", "token", 5)
        journal.end_transfer("ended")
    with Journal(tmp_path / "journal", lease=0.0) as journal:
        again = journal.begin(planned)
        assert journal.pending("ours") is not None
        for table in ("runs", "transfers"):
            changed(journal.path, f"update {table} set touched = touched - ?", OLD)
        again.renew()
        touched = {transfer.name: transfer.touched for transfer in journal.transfers()}
        assert next(journal.runs()).touched - touched["somebody's"] > OLD / 2
        assert touched["ours"] - touched["somebody's"] > OLD / 2


def test_a_run_that_is_taken_up_again_is_touched(planned, tmp_path):
    with Journal(tmp_path / "journal") as journal:
        journal.begin(planned)
        changed(journal.path, "update runs set touched = touched - ?", OLD)
        before = next(journal.runs()).touched
        journal.begin(planned)
        assert next(journal.runs()).touched > before + OLD / 2


def test_nothing_is_dropped_while_a_worker_is_at_it(planned, tmp_path):
    with Journal(tmp_path / "journal", lease=0.0) as journal:  # it has not renewed its lease, and lives
        queue = journal.begin(planned)
        idle = journal.begin(plan(store_of(a=b"1"), MemoryStore()))
        journal.begin_transfer("name", "target", "key", "token", 5)
        queue.claim("transfer", 1)
        assert journal.has_workers()
        with pytest.raises(e.StoreError, match="a sync is going on with it"):
            journal.drop(queue.run)
        with pytest.raises(e.StoreError, match="a sync is going on"):
            journal.drop_transfer("name")
        journal.drop(idle.run)
        assert [run.id for run in journal.runs()] == [queue.run]
        queue.release()
        assert not journal.has_workers()
        journal.drop(queue.run)
        journal.drop_transfer("name")
        assert [*journal.runs(), *journal.transfers()] == []


@pytest.mark.parametrize(
    ("host", "until", "held"), [(None, 3600, False), ("elsewhere", 3600, True), ("elsewhere", -1, False)]
)
def test_what_dead_workers_and_lost_machines_held_may_be_dropped(planned, tmp_path, host, until, held):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait(60)
    with Journal(tmp_path / "journal") as journal:
        queue = journal.begin(planned)
        queue.claim("transfer", 1)
        owner = f"{host or platform.node()}|{dead.pid}|1|ff"
        changed(journal.path, "update tasks set owner = ?, until = ? where state = 1", owner, time.time() + until)
        assert journal.has_workers() is held


def test_complete_runs_are_forgotten_by_those_who_began_them(tmp_path):
    """An apply of another process has done all, and still looks whether that is so."""
    path, done = tmp_path / "journal", []
    planned = plan(store_of(a=b"1", b=b"2"), MemoryStore(), index=None)

    def forget(result):
        done.append(result.key)
        with Journal(path) as other:
            apply(plan(store_of(c=b"3"), MemoryStore(), index=None), journal=other, index=None)
            other.forget_complete()

    with Journal(path) as journal:
        assert apply(planned, journal=journal, index=None, on_result=forget).exit_code == 0
        assert [run.left for run in journal.runs()] == [0]  # that of the others is gone
        journal.forget_complete()
        assert list(journal.runs()) == []
    assert done == ["a", "b"]


@pytest.mark.parametrize("days", [0.5, 2])
def test_complete_runs_that_nobody_touches_are_forgotten_by_anybody(tmp_path, days):
    path = tmp_path / "journal"
    apply(plan(store_of(a=b"1"), MemoryStore(), index=None), journal=path, index=None)
    with Journal(path) as journal:
        journal.begin(plan(store_of(b=b"1"), MemoryStore(), index=None)).claim("transfer", 1)
        changed(path, "update runs set touched = touched - ?", days * 86_400)
    with Journal(path) as journal:
        journal.forget_complete()
        assert [run.left for run in journal.runs()] == ([0, 1] if days < 1 else [1])


# ---------------------------------------------------------------------- who still needs what was dropped
def test_a_run_that_is_gone_is_an_error_for_all_that_is_asked_of_it(planned, tmp_path):
    with Journal(tmp_path / "journal") as journal:
        queue = journal.begin(planned)
        queue.claim("transfer", 1)
        queue.release()
        journal.drop(queue.run)
        journal.begin(plan(store_of(other=b"1"), MemoryStore()))  # which is not taken for the one that is gone
        for ask in (
            lambda: queue.claim("transfer", 1),
            lambda: queue.is_waiting("transfer"),
            lambda: queue.finish([]),
        ):
            with pytest.raises(e.StoreError, match="has forgotten this run"):
                ask()


def test_an_apply_whose_run_is_dropped_is_no_success(planned, tmp_path):
    path = tmp_path / "journal"
    with pytest.raises(e.StoreError, match="has forgotten this run"):
        apply(planned, journal=path, on_result=lambda _: changed(path, "delete from runs"))


def test_actions_that_are_lost_are_counted_and_no_success(planned, tmp_path):
    path = tmp_path / "journal"
    summary = apply(planned, journal=path, on_result=lambda _: changed(path, "delete from tasks where state = 0"))
    assert summary.unaccounted == 1500 - summary.added > 0
    assert (summary.failed, summary.exit_code, summary.to_dict()["unaccounted"]) == ([], 1, summary.unaccounted)
    assert f"{summary.unaccounted} actions of which nobody knows" in str(summary)
