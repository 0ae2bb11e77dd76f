"""The marks of the tests of accsr's promises: each one once, and no gap of the original copied."""

from __future__ import annotations

import importlib
from pathlib import Path

from tests.compat.rows import rows

MODULES = sorted(path.stem for path in Path(__file__).parent.glob("test_accsr_*.py"))


def accsr_rows():
    return list(rows(*(importlib.import_module(f"tests.compat.{name}") for name in MODULES)))


def test_marks_are_complete():
    found = accsr_rows()
    assert len(found) > 60
    assert len({one.promise for one in found}) == len(found)
    assert {one.system for one in found} == {"accsr"}
    assert all(one.test.startswith("test_") for one in found)


def test_no_gap_is_copied():
    gaps = [one for one in accsr_rows() if one.promise.startswith("gap: ")]
    assert len(gaps) >= 13
    assert {one.status for one in gaps} == {"kept and fixed"}
