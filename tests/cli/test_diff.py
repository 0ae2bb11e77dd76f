"""diff: what differs, why, and an exit code."""

from __future__ import annotations

import os

import pytest

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
    counts = {"same": 1, "missing": 0, "extra": 0, "different": 1, "unknown": 0, "conflict": 0}
    assert result.rows == [
        {"key": "sub/b", "status": "different", "reason": reason, "source_size": 4, "target_size": 6},
        {"status": "summary", **counts, "warnings": []},
    ]


def test_an_empty_source_is_not_equal(holdfast, folder, backup):
    backup.put({"a": b"1"})
    result = holdfast("diff", folder.base, backup.base)
    assert (result.code, result.lines) == (1, ["extra      a", "0 same, 1 extra"])
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


@pytest.mark.parametrize("missing", ["nope", "nope/", "run"])
def test_nothing_there_is_exit_4(holdfast, place, backup, missing):
    assert holdfast("diff", place / missing, backup.base).code == 4
