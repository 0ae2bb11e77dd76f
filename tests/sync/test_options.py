"""No option of a sync is dropped silently: each one counts, or is refused."""

from __future__ import annotations

import pytest

from holdfast import errors as e
from holdfast import open_store
from holdfast.sync import apply, plan

from .test_plan import kinds, store_of


def test_filters_hold_for_chosen_keys_too():
    source, target = store_of(**{"x.tmp": b"1", "y": b"1"}), store_of(**{"x.tmp": b"other", "y": b"2"})
    assert kinds(plan(source, target, keys=["x.tmp", "y"], exclude="*.tmp")) == {"y": "update"}
    assert kinds(plan(source, target, keys=["x.tmp", "y"], include="*.tmp")) == {"x.tmp": "update"}
    assert kinds(plan(source, target, keys={"x.tmp": "z", "y": "y.tmp"}, exclude="*.tmp")) == {}


def test_a_chosen_key_that_neither_side_has_is_refused():
    planned = plan(store_of(a=b"1"), store_of(a=b"1", c=b""), keys=["nope", "a", "c"])
    assert kinds(planned) == {"a": "skip", "c": "skip", "nope": "refuse"}
    assert apply(planned).exit_code == 1


def test_a_way_to_compare_is_refused_where_it_would_not_count():
    with pytest.raises(e.ConfigError, match="compare='nonsense' is none of"):
        plan(store_of(), store_of(), compare="nonsense", reencode="")
    with pytest.raises(e.ConfigError, match="compare='size' has no meaning"):
        plan(store_of(), store_of(), compare="size", reencode="gzip")


def test_a_directory_with_what_the_filters_leave_out_does_not_become_a_file(tmp_path):
    source, target = store_of(a=b"file", b=b"file", z=b""), open_store(tmp_path)
    for key in ("a/x", "a/keep.tmp", "b/x"):
        target.put(key, b"1")
    planned = plan(source, target, delete=True, exclude="*.tmp", max_delete=5)
    assert kinds(planned) == {"a": "conflict", "a/x": "conflict", "b": "add", "b/x": "delete", "z": "add"}
    assert apply(planned).failed == []
    assert sorted(target.keys()) == ["a/keep.tmp", "a/x", "b", "z"]
