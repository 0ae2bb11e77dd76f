"""diff: what differs, why, and an exit code."""

from __future__ import annotations

import os

import pytest

from holdfast import open_store, register
from holdfast.errors import StoreError
from holdfast.store import READ
from holdfast.stores.memory import MemoryStore

from .conftest import TREE


def test_equal_places_are_exit_0(holdfast, place, backup):
    holdfast("cp", "-r", place / "run1", backup.base)
    result = holdfast("diff", place / "run1", backup.base)
    assert (result.code, result.out, result.err) == (0, "2 same\n", "")


def test_every_difference_with_its_reason(holdfast, place, backup):
    backup.put({"a": b"uno", "extra": b"x", "sub/c": b"", "sub/b": b"longer"})
    os.unlink(backup / "sub/c")
    result = holdfast("diff", place / "run1", backup.base)
    assert result.code == 1
    assert result.lines[1] == "extra      extra"
    assert result.lines[0].startswith("different  a  (")
    assert result.lines[2] == "different  sub/b  (sizes differ (4 and 6 bytes))"
    assert result.lines[3] == "0 same, 1 extra, 2 different"
    assert place.objects == TREE


def test_the_direction_counts(holdfast, place, backup):
    backup.put({"a": b"one"})
    assert holdfast("diff", place / "run1", backup.base).lines[0] == "missing    sub/b"
    assert holdfast("diff", backup.base, place / "run1").lines[0] == "extra      sub/b"


def test_json(holdfast, place, backup):
    backup.put({"a": b"one", "sub/b": b"longer"})
    result = holdfast("diff", "--json", place / "run1", backup.base)
    reason = "sizes differ (4 and 6 bytes)"
    counts = {"same": 1, "missing": 0, "extra": 0, "different": 1, "unknown": 0, "conflict": 0, "failed": 0}
    assert result.rows == [
        {"key": "sub/b", "status": "different", "reason": reason, "source_size": 4, "target_size": 6},
        {"status": "summary", **counts, "warnings": []},
    ]


def test_an_empty_source_is_not_equal(holdfast, folder, backup):
    backup.put({"a": b"1"})
    result = holdfast("diff", folder.base, backup.base)
    assert (result.code, result.lines, result.err) == (1, ["extra      a", "0 same, 1 extra"], "")
    row, summary = holdfast("diff", "--json", folder.base, backup.base).rows
    assert (row["status"], row["reason"], summary["warnings"]) == ("extra", "not in the source", [])
    assert holdfast("diff", folder.base, backup / "nope").code == 0


def test_filters(holdfast, place, backup):
    backup.put({"a": b"one", "x.tmp": b""})
    assert holdfast("diff", "--exclude", "*.tmp", "--exclude", "sub/", place / "run1", backup.base).code == 0
    assert holdfast("diff", "--include", "sub/", place / "run1", backup.base).lines[0] == "missing    sub/b"


def test_a_file_in_the_place_of_a_directory(holdfast, bucket, folder):
    bucket.put({"x/a": b"1"})
    folder.put({"x": b"2"})
    result = holdfast("diff", bucket.base, folder.base)
    assert (result.code, result.lines[-1]) == (1, "0 same, 1 missing, 1 extra")


def test_one_object(holdfast, place, folder, tmp_path):
    (tmp_path / "same").write_bytes(b"nor this")
    (tmp_path / "other").write_bytes(b"nor THIS")
    assert holdfast("diff", place / "run1.txt", tmp_path / "same").code == 0
    assert holdfast("diff", place / "run1.txt", tmp_path / "other").code == 1


def test_trouble_is_2_as_that_of_diff_1(holdfast, place, folder, tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "directory").mkdir()
    for source, target in (("run1", "file"), ("run1.txt", "directory")):
        result = holdfast("diff", "--json", place / source, tmp_path / target)
        assert (result.code, result.err.count("\n")) == (2, 1)
        assert (result.rows[-1]["status"], f"is a {target}" in result.rows[-1]["error"]) == ("summary", True)


def test_an_object_that_cannot_be_read_is_trouble_and_no_difference(holdfast):
    class Breaking(MemoryStore):
        """A service that loses its connections."""

        local = False

        def _read(self, key, options=READ):
            if key == "a":
                raise StoreError("connection reset", key=key, store=self.name)
            return super()._read(key, options)

    register("breaking", Breaking)
    for name in ("one", "other"):
        open_store(f"breaking://{name}").put("a", b"1")
    result = holdfast("diff", "breaking://one", "breaking://other")
    assert (result.code, result.lines[-1]) == (2, "0 same, 1 failed")
    assert "connection reset" in result.lines[0]


def test_what_nothing_tells_names_its_cure(holdfast):
    class Mute(MemoryStore):
        """A service whose ETags mean nothing, and that is far away."""

        local = False

    register("mute", Mute)
    open_store("mute://one").put("a", b"22")
    open_store("mute://other").put("a", b"11")
    result = holdfast("diff", "mute://one", "mute://other")
    assert (result.code, result.lines[-1]) == (1, "0 same, 1 unknown")
    assert result.err == "holdfast: nothing tells whether 1 object is equal: --compare digest reads it\n"
    result = holdfast("diff", "--compare", "digest", "mute://one", "mute://other")
    assert (result.code, result.lines[-1], result.err) == (1, "0 same, 1 different", "")


@pytest.mark.parametrize("missing", ["nope", "nope/", "run"])
def test_nothing_there_is_exit_4(holdfast, place, backup, missing):
    assert holdfast("diff", place / missing, backup.base).code == 4
