"""The marks that tell what became of each promise."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from tests.compat.rows import row, rows

MODULES = sorted(path.stem for path in Path(__file__).parent.glob("test_storage_*.py"))


def storage_rows():
    return list(rows(*(importlib.import_module(f"tests.compat.{name}") for name in MODULES)))


def test_marks_are_complete():
    found = storage_rows()
    assert len(found) > 90
    assert len({one.promise for one in found}) == len(found)
    assert {one.system for one in found} == {"storage"}
    assert all(one.test.startswith("test_") for one in found)


def test_no_gap_is_copied():
    gaps = [one for one in storage_rows() if one.promise.startswith("gap: ")]
    assert len(gaps) >= 20
    assert {one.status for one in gaps} == {"kept and fixed"}


def test_marks_that_say_too_little_are_refused():
    with pytest.raises(ValueError, match="needs a reason"):
        row("storage", "a promise", "different")
    with pytest.raises(ValueError, match="no other has one"):
        row("storage", "a promise", "kept", "because")
    with pytest.raises(ValueError, match="not what can become"):
        row("storage", "a promise", "broken")
