"""docs/compat.md says what the marks of the tests say."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.compat.rows import Row
from tests.compat.table import DIRECTORY, DOCUMENT, STATUSES, SYSTEMS, document, found


def test_the_document_is_current():
    assert DOCUMENT.read_text() == document(found()), "run `make docs`"


def test_every_system_has_marks_and_what_is_not_just_kept_a_reason():
    marks = [one for _, one in found()]
    counts = Counter(one.system for one in marks)
    assert set(counts) == set(SYSTEMS)
    assert min(counts.values()) >= 20
    assert all(one.status in STATUSES and bool(one.reason) == (one.status != "kept") for one in marks)


def test_every_page_about_moving_exists():
    assert [page for _, page in SYSTEMS.values() if not (DOCUMENT.parent / page).is_file()] == []


def test_every_named_test_is_there():
    for file, one in found():
        assert f"def {one.test}(" in (DIRECTORY / file).read_text()


def test_a_promise_that_several_tests_show_is_one_row():
    first = Row("storage", "a|b <c>", "different", "be*cause", "test_x")
    text = document([("test_a.py", first), ("test_b.py", first)])
    assert text.count("a\\|b \\<c\\>") == 1
    assert "| **different**: be\\*cause | `test_a.py` `test_x`, `test_b.py` `test_x` |" in text
    assert "| amplify-storage-utils ([moving](from_storage_utils.md)) | 0 | 0 | 2 |" in text


def test_an_unknown_system_is_refused():
    with pytest.raises(KeyError, match="nosystem"):
        document([("test_a.py", Row("nosystem", "p", "kept", "", "test_x"))])
