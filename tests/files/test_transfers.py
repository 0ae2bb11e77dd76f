"""transfer_to, transfer_from, move and moves: between stores of every kind, and what is refused."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from holdfast import CloudFiles
from holdfast import errors as e
from holdfast.aio import AsyncCloudFiles
from holdfast.files.transfers import settled
from holdfast.stores.memory import MemoryStore
from holdfast.sync import Journal, Result, Summary, place

_serial = itertools.count(1)
TREE = {"a": b"1", "data/b": b"22", "database/c": b"333", "e mpty": b""}


@pytest.fixture
def other(tmp_path):
    """Another CloudFiles than ``cf``."""
    return CloudFiles(str(tmp_path / "other"))


@pytest.fixture
def memory():
    return CloudFiles(f"mem://transfers-{next(_serial)}")


def contents(files):
    return files.get(files, return_dict=True)


# ---------------------------------------------------------------------- transfers
def test_everything_goes_there_and_back(cf, other, memory):
    cf.puts(TREE.items())
    assert cf.transfer_to(other).added == len(TREE)
    assert memory.transfer_from(other).added == len(TREE)
    assert contents(other) == contents(memory) == TREE
    cf.delete(list(cf))
    cf[:] = memory
    assert contents(cf) == TREE


def test_what_is_there_already_is_not_sent_again(cf, other):
    cf.puts(TREE.items())
    cf.transfer_to(other)
    cf["a"] = b"another"
    summary = cf.transfer_to(other)
    assert (summary.updated, summary.skipped, summary.nbytes) == (1, len(TREE) - 1, len(b"another"))
    assert contents(other) == contents(cf)


def test_what_only_the_destination_has_stays(cf, other):
    cf.puts(TREE.items())
    other["mine"] = b"kept"
    cf.transfer_to(other)
    assert other["mine"] == b"kept"


@pytest.mark.parametrize("paths", ["a", ["a"], iter(["a"]), {"path": "a"}, [{"path": "a", "dest_path": "a"}]])
def test_paths_in_every_form(memory, other, paths):
    memory.puts(TREE.items())
    memory.transfer_to(other, paths)
    assert contents(other) == {"a": b"1"}


def test_a_destination_is_a_location_too(memory, tmp_path):
    memory.puts(TREE.items())
    memory.transfer_to(str(tmp_path / "there"), ["data/b"])
    assert (tmp_path / "there/data/b").read_bytes() == b"22"
    memory.transfer_from(f"file://{tmp_path}/there", {"path": "data/b", "dest_path": "back"})
    assert memory["back"] == b"22"


def test_names_at_the_destination(cf, other):
    cf.puts(TREE.items())
    cf.transfer_to(other, [{"path": "a", "dest_path": "x/y"}, "data/b"])
    assert contents(other) == {"x/y": b"1", "data/b": b"22"}
    cf.transfer_to(cf, [{"path": "a", "dest_path": "copy"}])
    assert cf["copy"] == cf["a"] == b"1"


def test_two_objects_of_one_name_are_refused_before_anything_is_sent(memory, other):
    memory.puts(TREE.items())
    with pytest.raises(ValueError, match="would both become 'a'"):
        memory.transfer_to(other, ["a", {"path": "data/b", "dest_path": "a"}])
    assert list(other) == []


@pytest.mark.parametrize("request_", [{"path": "a", "content": b""}, {"dest_path": "a"}, 1, b"a"])
def test_requests_that_are_none(memory, other, request_):
    with pytest.raises(TypeError):
        memory.transfer_to(other, [request_])


def test_a_missing_path_is_an_error_before_anything_is_sent(cf, other):
    cf["a"] = b"1"
    other["gone"] = b"only there"
    with pytest.raises(FileNotFoundError) as caught:
        cf.transfer_to(other, ["a", "gone"])
    assert caught.value.key == "gone"
    assert list(other) == ["gone"]
    cf.transfer_to(other, ["a", "gone"], allow_missing=True)
    assert contents(other) == {"a": b"1", "gone": b"only there"}


@pytest.mark.parametrize("present", [None, "gzip", "br"])
@pytest.mark.parametrize(
    ("wanted", "stored"), [(None, None), ("gzip", "gzip"), (True, "gzip"), ("", ""), ("zstd", "zstd")]
)
def test_encodings_are_kept_or_changed(cf, other, present, wanted, stored):
    body = b"text " * 1000
    cf.put("a", body, compress=present)
    cf.transfer_to(other, reencode=wanted)
    assert other["a"] == body
    expected = present if stored is None else stored
    assert (other.head("a")["Content-Encoding"] or "") == (expected or "")
    assert cf.head("a")["Content-Encoding"] == present


def test_a_content_type_is_set_also_where_the_bytes_are_there_already(memory, other):
    memory.put("a", b"x" * (2 << 20), content_type="text/old", compress="gzip")
    for kind in ("text/one", "text/two"):
        memory.transfer_to(other, content_type=kind)
        head = other.head("a")
        assert (head["Content-Type"], head["Content-Encoding"]) == (kind, "gzip")
    assert other["a"] == b"x" * (2 << 20)


def test_a_transfer_into_itself_is_refused(memory, tmp_path):
    memory["a"] = b"1"
    for where in (memory, CloudFiles(memory.cloudpath), f"{memory.cloudpath}/below"):
        with pytest.raises(e.ConfigError, match="one inside the other"):
            memory.transfer_to(where)
    with pytest.raises(e.ConfigError, match="onto itself"):
        memory.transfer_to(memory, ["a"])
    for wrong in (slice(0, 1), slice(None, None, 2)):
        with pytest.raises(TypeError):
            memory[wrong] = memory


def test_one_failure_is_raised_after_the_rest_was_done(memory, other):
    memory.puts([("a", b"1"), ("b", b"2"), ("c", b"3")])
    other["b/in the way"] = b""
    with pytest.raises(e.HoldfastError) as caught:
        memory.transfer_to(other)
    assert caught.value.key == "b"
    assert contents(other) == {"a": b"1", "c": b"3", "b/in the way": b""}


def test_several_failures_are_told_together(other):
    source = MemoryStore()
    source.put("fine", b"1")
    for name in ("../up", "x/../../y"):
        source._write(name, b"evil")
    with pytest.raises(e.PartialFailure, match="2 objects were not transferred") as caught:
        CloudFiles(source).transfer_to(other)
    assert sorted(key for key, _ in caught.value.outcomes) == ["../up", "x/../../y"]
    assert contents(other) == {"fine": b"1"}


def test_a_resumable_transfer_is_noted_and_forgotten_when_it_is_complete(cf, other, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    cf.puts(TREE.items())
    assert cf.transfer_to(other, resumable=True).added == len(TREE)
    with Journal.default() as journal:
        assert list(journal.runs()) == []
    assert contents(other) == TREE


# ---------------------------------------------------------------------- what became of it
@pytest.mark.parametrize(
    ("result", "message"),
    [
        (
            Result("x", "skip", "kept", "not deleted: the target's object is no copy of it"),
            "was not moved: not deleted",
        ),
        (Result("x", "add", "done", "the source changed", overtaken=True), "was transferred, but the source changed"),
    ],
)
def test_what_is_not_as_it_was_planned_is_raised(memory, result, message):
    summary = Summary()
    summary.add(Result("a", "add", "done"))
    assert settled(summary, place(memory)) is summary
    summary.add(result)
    with pytest.raises(e.Conflict, match=message):
        settled(summary, place(memory))


def test_objects_of_which_nobody_knows_are_raised_with_all_others(memory):
    summary = Summary(unaccounted=2)
    summary.add(Result("x", "add", "stale", "the source has changed"))
    with pytest.raises(e.StoreError, match="became of 2 objects, and 1 others"):
        settled(summary, place(memory))


# ---------------------------------------------------------------------- moves
def test_a_move_within_one_place(cf):
    cf.puts(TREE.items())
    assert cf.move("a", "below/z").done == 1
    cf.moves(cf, [("data/b", "b2"), ("database/c", "data/c")])
    assert contents(cf) == {"below/z": b"1", "b2": b"22", "data/c": b"333", "e mpty": b""}


def test_a_move_to_another_place(cf, other, tmp_path):
    cf.puts(TREE.items())
    cf.moves(other, [("a", "a"), ("data/b", "x")])
    cf.move("database/c", f"file://{tmp_path}/else/where")
    cf.move("e mpty", str(tmp_path / "else/empty"))
    assert (contents(cf), contents(other)) == ({}, {"a": b"1", "x": b"22"})
    assert {path.name: path.read_bytes() for path in (tmp_path / "else").iterdir() if path.is_file()} == {
        "where": b"333", "empty": b"",
    }  # fmt: skip


def test_a_move_replaces_what_is_there_and_keeps_encodings(cf, other):
    cf.put("a", b"new" * 100, compress="gzip")
    other["a"] = b"old"
    cf.moves(other, [("a", "a")])
    assert (other["a"], other.head("a")["Content-Encoding"], list(cf)) == (b"new" * 100, "gzip", [])


@pytest.mark.parametrize(
    ("pairs", "error"),
    [
        ([("a", "a")], e.ConfigError),
        ([("a", "data/b"), ("data/b", "a")], e.ConfigError),
        ([("a", "x"), ("data/b", "x")], ValueError),
        ([("a", "x"), ("a", "y")], ValueError),
        ([("a", "x"), ("nope", "y")], e.NotFound),
    ],
)
def test_moves_that_would_lose_something_are_refused_whole(cf, pairs, error):
    cf.puts(TREE.items())
    with pytest.raises(error):
        cf.moves(CloudFiles(cf.cloudpath) if cf.protocol != "s3" else cf, pairs)
    assert contents(cf) == TREE


def test_a_move_names_an_object_and_no_directory(memory, tmp_path):
    memory["a"] = b"1"
    for where in (f"{tmp_path}/", "mem://nowhere", "mem://nowhere/x/"):
        with pytest.raises(ValueError, match="is a directory"):
            memory.move("a", where)
    assert memory["a"] == b"1"


def test_an_object_does_not_get_the_name_of_a_directory(cf, other):
    cf["a"] = b""
    for attempt in (
        lambda: cf.move("a", "dir/"),
        lambda: cf.moves(other, [("a", "dir/")]),
        lambda: cf.transfer_to(other, {"path": "a", "dest_path": "dir/"}),
    ):
        with pytest.raises(ValueError, match="'dir/' is a directory"):
            attempt()
    assert (contents(cf), contents(other)) == ({"a": b""}, {})


def test_a_source_that_changes_after_it_was_copied_is_kept(other):
    source = MemoryStore()
    source.put("a", b"first")
    target = other.store
    write = type(target)._write

    def overtaken(self, key, body, options):
        info = write(self, key, body, options)
        source.put("a", b"second")
        return info

    class Overtaken(type(target)):
        _write = overtaken

    with pytest.raises(e.Conflict, match="source changed"):
        CloudFiles(source).moves(CloudFiles(Overtaken(target.store)), [("a", "a")])
    assert (source.get("a"), other["a"]) == (b"second", b"first")


# ---------------------------------------------------------------------- asynchronously
def test_the_asynchronous_methods_do_the_same(tmp_path):
    async def main():
        async with (
            AsyncCloudFiles(f"mem://transfers-{next(_serial)}") as one,
            AsyncCloudFiles(tmp_path.as_uri()) as two,
        ):
            await one.puts(TREE.items())
            sent = await one.transfer_to(two, ["a", "data/b"])
            back = await one.transfer_from(two, {"path": "a", "dest_path": "again"})
            await one.move("again", "moved")
            await two.moves(one, [("a", "taken")])
            return sent.added, back.added, await one.get(["moved", "taken"], return_dict=True), await two.exists("a")

    assert asyncio.run(main()) == (2, 1, {"moved": b"1", "taken": b"1"}, False)


@pytest.mark.server
def test_large_objects_are_sent_in_parts_of_the_size_that_is_wanted(memory, moto, monkeypatch):
    for name, value in moto.environment.items():
        monkeypatch.setenv(name, value)
    body, part = bytes(range(256)) * (11 << 12), 5 << 20
    memory["large"] = body
    there = CloudFiles(moto.url(moto.make_bucket()))

    def parts():
        return there.store.head("large").etag.strip('"').rpartition("-")[2]

    memory.transfer_to(there, part_size=part)
    assert (parts(), there["large"] == body) == ("3", True)
    there.moves(memory, ["large"], part_size=part)
    assert (memory["large"] == body, list(there)) == (True, [])
    asyncio.run(AsyncCloudFiles(there.cloudpath).transfer_from(memory, part_size=6 << 20))
    assert parts() == "2"
    assert memory.moves(there, ["large"], part_size=part).done == 1
    with pytest.raises(e.ConfigError):
        there.transfer_to(memory, part_size=0)
