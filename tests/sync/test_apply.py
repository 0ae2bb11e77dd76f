"""Applying a plan: what is done, under which conditions, and what is not done any more."""

from __future__ import annotations

import gzip
import os
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import pytest

from holdfast import GzipStore, MirroringStore, ReadonlyStore, open_store
from holdfast import errors as e
from holdfast.store import READ
from holdfast.stores.memory import MemoryStore
from holdfast.stores.plain import DictStore
from holdfast.sync import Index, Journal, Plan, apply, plan
from holdfast.testing.stores import CountingStore, FaultStore
from holdfast.types import WriteOptions

from .test_plan import kinds, store_of


def contents(store):
    return {row.key: store.get(row.key) for row in store.list()}


@pytest.fixture(params=["mem", "file"])
def target(request, tmp_path):
    return MemoryStore() if request.param == "mem" else open_store(tmp_path / "target")


def test_the_target_becomes_the_source(target):
    source = store_of(**{"a": b"1", "b/c": b"22", "same": b"s"})
    target.put("same", b"s")
    target.put("b/c", b"old")
    target.put("extra/x", b"e")
    told = []
    summary = apply(plan(source, target, delete=True), on_result=told.append)
    assert contents(target) == contents(source)
    assert (summary.added, summary.updated, summary.deleted, summary.skipped) == (1, 1, 1, 1)
    assert (summary.nbytes, summary.exit_code, summary.checked) == (3, 0, 0)
    assert sorted(result.key for result in told) == ["a", "b/c", "extra/x"]
    assert plan(source, target, delete=True).is_empty


def test_what_has_changed_since_is_stale_and_left_alone(target):
    source = store_of(new=b"1", changed=b"2", gone=b"3", late=b"4", sourcegone=b"5", sourcenew=b"6")
    for key in ("changed", "gone", "extra", "dropped"):
        target.put(key, b"old")
    planned = plan(source, target, delete=True, max_delete=10)
    target.put("new", b"theirs")
    target.put("changed", b"theirs")
    target.delete("gone")
    target.put("extra", b"theirs")
    target.delete("dropped")
    source.delete("sourcegone")
    source.put("sourcenew", b"newer")
    summary = apply(planned)
    assert contents(target) == {"new": b"theirs", "changed": b"theirs", "extra": b"theirs", "late": b"4"}
    assert sorted(result.key for result in summary.stale) == [
        "changed", "dropped", "extra", "gone", "new", "sourcegone", "sourcenew",
    ]  # fmt: skip
    assert summary.exit_code == 3
    assert (summary.added, summary.deleted) == (1, 0)  # nothing is deleted where the ground has moved


def test_what_appeared_meanwhile_with_the_same_contents_is_done_already(target):
    source = store_of(a=b"1")
    planned = plan(source, target)
    target.put("a", b"1")
    summary = apply(planned)
    assert (summary.exit_code, summary.counts["add", "already"], summary.nbytes) == (0, 1, 0)


def test_a_store_without_conditions_is_asked_just_before_and_that_is_told():
    source, target = store_of(a=b"1", b=b"2"), DictStore()
    target.put("b", b"old")
    target.put("c", b"extra")
    summary = apply(plan(source, target, compare="digest", delete=True))
    assert (summary.done, summary.checked, summary.exit_code) == (3, 3, 0)
    assert "not atomically" in str(summary)
    planned = plan(store_of(a=b"33"), target)
    target.put("a", b"4444")
    assert apply(planned).exit_code == 3
    assert target.get("a") == b"4444"


def test_a_failure_is_listed_stops_nothing_else_and_keeps_what_would_be_deleted():
    source, inner = store_of(a=b"1", b=b"2"), store_of(c=b"3")
    target = FaultStore(inner)
    target.fail(e.Throttled("slow down"), "write", "a")
    summary = apply(plan(source, target, delete=True))
    assert [(result.key, type(result.error)) for result in summary.failed] == [("a", e.Throttled)]
    assert [result.key for result in summary.kept] == ["c"]
    assert contents(inner) == {"b": b"2", "c": b"3"}
    assert summary.exit_code == 1


def test_nothing_is_deleted_if_a_comparison_failed():
    inner, target = store_of(a=b"1", b=b"2"), store_of(a=b"9", b=b"2", c=b"3")
    source = FaultStore(inner)
    source.fail(e.Throttled("slow down"), "read", "a")
    planned = plan(source, target, delete=True)
    assert kinds(planned) == {"a": "conflict", "b": "skip", "c": "delete"}
    summary = apply(planned)
    assert [(result.key, result.detail) for result in summary.kept] == [
        ("c", "not deleted, because 1 objects could not be compared: plan it again")
    ]
    assert (target.get("c"), summary.exit_code) == (b"3", 1)
    assert apply(plan(source, target, delete=True)).exit_code == 0
    assert contents(target) == contents(inner)


def test_too_many_deletions_are_not_done_at_all():
    source, target = store_of(a=b""), store_of(**{str(number): b"" for number in range(20)})
    planned = plan(source, target, delete=True)
    summary = apply(planned)
    assert (len(summary.kept), summary.deleted, summary.exit_code) == (20, 0, 1)
    assert "max_delete=2" in summary.kept[0].detail
    assert apply(plan(source, target, delete=True, max_delete=19)).deleted == 0
    assert apply(plan(source, target, delete=True), max_delete=20).deleted == 20


def test_a_source_whose_listing_left_something_out_loses_nothing_of_it_at_the_target():
    class Short(MemoryStore):
        def _scan(self, options=None):
            return iter(list(MemoryStore._scan(self))[:1])

    source, target = Short(), MemoryStore()
    for store in (source, target):
        store.put("a", b"1")
        store.put("b", b"2")
    target.put("c", b"3")
    summary = apply(plan(source, target, delete=True, max_delete=9))
    assert sorted(contents(target)) == ["a", "b"]
    assert [result.key for result in summary.stale] == ["b"]


def test_what_the_filters_leave_out_is_neither_copied_nor_deleted():
    source, target = store_of(**{"a.csv": b"1", "b.txt": b"2"}), store_of(**{"c.txt": b"3", "d.csv": b"4"})
    apply(plan(source, target, include="*.csv", delete=True))
    assert sorted(contents(target)) == ["a.csv", "c.txt"]
    apply(plan(source, target, exclude="*.txt", delete=True))
    assert sorted(contents(target)) == ["a.csv", "c.txt"]


def test_a_file_becomes_a_directory_and_a_directory_a_file_when_what_is_in_the_way_is_deleted(tmp_path):
    source = store_of(**{"a/b": b"1", "a/c/d": b"2", "e": b"3", "x": b""})
    target = open_store(tmp_path / "target")
    for key in ("a", "e/f", "e/g/h"):
        target.put(key, b"old")
    planned = plan(source, target)
    assert kinds(planned) == {
        "a": "skip", "a/b": "conflict", "a/c/d": "conflict",
        "e": "conflict", "e/f": "skip", "e/g/h": "skip", "x": "add",
    }  # fmt: skip
    planned = plan(source, target, delete=True, max_delete=3)
    planned.write(tmp_path / "plan")
    summary = apply(Plan.read(tmp_path / "plan", source, target), journal=tmp_path / "journal")
    assert (summary.added, summary.deleted, summary.exit_code) == (4, 3, 0)
    assert contents(target) == contents(source)


def test_what_is_not_deleted_stays_in_the_way_of_what_would_come_then(tmp_path):
    source = store_of(e=b"3", x=b"")
    target = open_store(tmp_path)
    target.put("e/f", b"1")
    os.mkdir(tmp_path / "x")
    planned = plan(source, target, delete=True, exclude="*.txt")
    assert kinds(planned) == {"e": "add", "e/f": "delete", "x": "conflict"}
    target.put("e/kept.txt", b"2")  # not there yet when it was planned: then it were a conflict
    summary = apply(planned)
    assert [result.key for result in summary.failed] == ["e"]
    assert contents(target) == {"e/kept.txt": b"2"}


def test_a_target_that_cannot_be_written_can_be_compared_with_and_nothing_else():
    planned = plan(store_of(a=b"1"), ReadonlyStore(store_of(a=b"1", b=b"2")))
    assert planned.is_empty
    with pytest.raises(e.Unsupported, match="cannot be written"):
        apply(planned)


@pytest.mark.parametrize("kind", ["sqlite:///{}/x.db", "zip:///{}/x.zip", "{}/directory", "gzip", "several"])
def test_any_store_is_a_target_and_a_source(tmp_path, kind):
    source = open_store(tmp_path / "source")
    for number in range(50):
        source.put(f"{number % 7}/{number}", b"x" * number)
    wrapped = {
        "gzip": lambda: GzipStore(MemoryStore()),
        "several": lambda: MirroringStore([MemoryStore(), MemoryStore()]),
    }
    there = wrapped[kind]() if kind in wrapped else open_store(kind.format(tmp_path))
    with there:
        assert apply(plan(source, there)).exit_code == 0
        assert plan(source, there).is_empty
        assert apply(plan(there, tmp_path / "back")).exit_code == 0
    assert contents(open_store(tmp_path / "back")) == contents(source)


# ---------------------------------------------------------------------- moves
def test_a_move_deletes_each_source_once_its_copy_is_proved(target):
    source = store_of(a=b"1", b=b"2", same=b"s")
    target.put("same", b"s")
    summary = apply(plan(source, target, move=True))
    assert (contents(source), summary.exit_code) == ({}, 0)
    assert contents(target) == {"a": b"1", "b": b"2", "same": b"s"}


def test_a_move_keeps_a_source_that_changed_or_whose_copy_is_another():
    class Meddled(MemoryStore):
        """Gets its objects changed, or the source's, right after they are written."""

        def _write(self, key, body, options=WriteOptions()):  # noqa: B008
            info = super()._write(key, body, options)
            if key == "copied":
                super()._write(key, b"x" * (info.size or 0))
            elif key == "source":
                source.put(key, b"newer")
            return info

        def _locate(self, key):
            return None

    source, target = store_of(copied=b"1", source=b"2", fine=b"3"), Meddled()
    summary = apply(plan(source, target, move=True))
    assert contents(source) == {"copied": b"1", "source": b"newer"}
    assert sorted(result.key for result in summary.stale) == ["copied", "source"]


def test_a_move_keeps_what_was_skipped_without_being_equal():
    source, target = store_of(a=b"1", b=b"2"), store_of(a=b"1", b=b"3")
    summary = apply(plan(source, target, move=True, compare="size"))
    assert contents(source) == {"b": b"2"}
    assert [result.key for result in summary.kept] == ["b"]
    assert summary.exit_code == 1


def test_a_key_that_the_source_cannot_have_is_deleted(tmp_path):
    open_store(tmp_path).put("a", b"1")
    target = store_of(**{"a": b"1", "a//b": b"2", "..": b"3"})
    assert apply(plan(tmp_path, target, delete=True, max_delete=2)).deleted == 2
    assert contents(target) == {"a": b"1"}


def test_objects_get_other_keys_on_their_way():
    store, other = store_of(**{"a": b"1", "d/b": b"2", "c": b"3"}), MemoryStore()
    summary = apply(plan(store, other, keys={"a": "x/y", "d/b": "z", "missing": "w"}))
    assert (contents(other), summary.added) == ({"x/y": b"1", "z": b"2"}, 2)
    summary = apply(plan(store, store, keys={"a": "new/a", "d/b": "b"}, move=True))
    assert (contents(store), summary.exit_code) == ({"new/a": b"1", "b": b"2", "c": b"3"}, 0)
    for keys, why in (
        ({"c": "x", "b": "x"}, "two objects would get"),
        ({"c": "b", "b": "x"}, "still to be read"),
        ({"c": "c"}, "still to be read"),
    ):
        with pytest.raises(e.ConfigError, match=why):
            plan(store, store, keys=keys, move=True)
    assert contents(store) == {"new/a": b"1", "b": b"2", "c": b"3"}


def test_a_renaming_is_not_taken_for_another_after_it_was_read_from_disk(tmp_path):
    source, target = store_of(a=b"1", b=b"2"), MemoryStore()
    plan(source, target, keys={"a": "b"}).write(tmp_path / "plan")
    with pytest.raises(e.ConfigError, match="was given"):
        Plan.read(tmp_path / "plan", source, target)


# ---------------------------------------------------------------------- on the way
def test_objects_are_encoded_anew_on_the_way_and_are_equal_afterwards(tmp_path):
    source, target = MemoryStore(), MemoryStore()
    source.write("a", gzip.compress(b"hello"), WriteOptions(content_encoding="gzip", metadata={"k": "v"}))
    source.put("b", b"plain")
    apply(plan(source, target, reencode="br"))
    assert target.head("a").content_encoding == target.head("b").content_encoding == "br"
    assert target.head("a").metadata == {"k": "v"}
    assert plan(source, target, reencode="br").is_empty
    apply(plan(source, target, reencode=""))
    assert contents(target) == {"a": b"hello", "b": b"plain"}
    assert target.head("a").content_encoding is None


def test_a_file_that_changes_while_it_is_read_is_not_written(tmp_path):
    source, target = open_store(tmp_path / "source"), MemoryStore()
    source.put("a", b"1" * 100)
    planned = plan(source, target)

    class Appending(CountingStore):
        def _read(self, key, options=READ):
            blob = super()._read(key, options)
            if not options.head:
                data = blob.bytes()
                with open(tmp_path / "source" / "a", "ab") as file:
                    file.write(b"2")
                from holdfast.blob import BytesBlob

                return BytesBlob(blob.info, data)
            return blob

    planned.source = type(planned.source)(Appending(source), "appending")
    summary = apply(planned)
    assert [result.key for result in summary.stale] == ["a"]
    assert contents(target) == {}


def test_what_a_lost_worker_had_encoded_anew_is_known_again(tmp_path):
    source, target = store_of(a=b"1" * 100), MemoryStore()
    planned = plan(source, target, reencode="gzip")
    with Journal(tmp_path / "journal", lease=0.0) as journal:
        journal.begin(planned).claim("transfer", 1)
        target.write("a", gzip.compress(b"1" * 100, 1), WriteOptions(content_encoding="gzip"))
        assert apply(planned, journal=journal).counts == {("add", "already"): 1}


# ---------------------------------------------------------------------- memory of earlier syncs
def test_an_unchanged_pair_is_known_without_reading(tmp_path, aged):
    index = Index(tmp_path / "index")
    source = open_store(tmp_path / "source")
    for name in ("a", "b"):
        source.put(name, name.encode())
    target = open_store(tmp_path / "target")
    apply(plan(source, target, index=index), index=index)
    counted = CountingStore(source)
    planned = plan(counted, target, index=index)
    assert {action.reason for action in planned} == {"unchanged since the last sync"}
    assert counted.bytes_read == 0
    target.put("b", b"x")
    assert kinds(plan(source, target, index=index)) == {"a": "skip", "b": "update"}
    index.close()


def test_fresh_files_are_read_again_because_their_times_prove_nothing(tmp_path):
    index = Index(tmp_path / "index")
    source, target = open_store(tmp_path / "source"), open_store(tmp_path / "target")
    source.put("a", b"1")
    apply(plan(source, target, index=index), index=index)
    assert [action.reason for action in plan(source, target, index=index)] == ["same contents"]
    assert [action.reason for action in plan(source, target, index=index)] == ["same contents"]
    index.close()


# ---------------------------------------------------------------------- executors
@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_an_executor_does_what_this_process_would_do(tmp_path, kind):
    for name in ("source", "local", "elsewhere"):
        store = open_store(tmp_path / name)
        for number in range(0, 300, 1 if name == "source" else 3):
            store.put(f"{number % 7}/{number}", b"%d" % (number if name == "source" or number % 2 else -number))
    open_store(tmp_path / "source").delete("3/3")
    results = {}
    pool = ThreadPoolExecutor(2) if kind == "threads" else ProcessPoolExecutor(2, mp_context=get_context("spawn"))
    with pool:
        for name, executor in (("local", None), ("elsewhere", pool)):
            planned = plan(tmp_path / "source", tmp_path / name, delete=True)
            summary = apply(planned, executor=executor, journal=tmp_path / f"{name}.journal")
            results[name] = (kinds(planned), summary.counts, summary.nbytes, summary.exit_code)
    assert results["local"] == results["elsewhere"]
    assert contents(open_store(tmp_path / "local")) == contents(open_store(tmp_path / "elsewhere"))
    assert contents(open_store(tmp_path / "local")) == contents(open_store(tmp_path / "source"))


def test_memory_is_not_given_to_other_processes(tmp_path):
    source, target = store_of(a=b"1"), open_store(tmp_path)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        summary = apply(plan(source, target), executor=pool)
    assert "memory belongs to one process" in summary.failed[0].detail
    assert contents(target) == {}


@pytest.mark.parametrize("wrong", [{"block_size": 0}, {"part_size": -1}])
def test_blocks_and_parts_of_nothing_are_refused(wrong):
    source, target = store_of(a=b"1"), MemoryStore()
    with pytest.raises(e.ConfigError):
        apply(plan(source, target), **wrong)
    assert contents(target) == {}


def test_blocks_are_noted_before_the_next_ones_begin():
    source = store_of(**{f"{number:02}": b"x" for number in range(25)})
    told, at_begin = [], []

    class Watched(MemoryStore):
        def _write(self, key, body, options):
            at_begin.append((int(key), len(told)))
            return super()._write(key, body, options)

    assert apply(plan(source, Watched()), block_size=10, on_result=told.append).added == 25
    assert all(noted >= number // 10 * 10 for number, noted in at_begin)
    assert max(noted for number, noted in at_begin if number >= 20) == 20
