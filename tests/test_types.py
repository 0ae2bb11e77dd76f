from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, fields, replace
from datetime import UTC, datetime

import pytest

from holdfast.types import (
    ATTRIBUTES,
    NO_METADATA,
    Capabilities,
    ListOptions,
    Location,
    ObjectInfo,
    ReadOptions,
    RemoveOptions,
    WriteOptions,
)

PLAIN = [
    ObjectInfo("a"),
    ObjectInfo("a", size=1, metadata={"x": "y"}),
    ReadOptions(1, 2),
    WriteOptions(),
    WriteOptions(metadata={"x": "y"}),
    RemoveOptions(must_exist=True),
    ListOptions("a", "/"),
    Capabilities(listing=True),
    Location("s3", "x", "b", "k"),
]


@pytest.mark.parametrize("value", PLAIN, ids=lambda value: type(value).__name__)
def test_plain_data_pickles_copies_and_stays_as_it_is(value):
    assert pickle.loads(pickle.dumps(value)) == value
    assert copy.deepcopy(value) == value
    assert hash(value) == hash(copy.copy(value))
    with pytest.raises(FrozenInstanceError):
        setattr(value, fields(value)[0].name, None)


def test_no_metadata_is_empty_and_one():
    assert not NO_METADATA
    assert NO_METADATA == {} == dict(NO_METADATA)
    assert repr(NO_METADATA) == "{}"
    assert NO_METADATA.get("x") is None
    assert pickle.loads(pickle.dumps(NO_METADATA)) is NO_METADATA
    assert ObjectInfo("a").metadata is NO_METADATA


def test_a_renamed_info_differs_in_its_key_alone():
    values = {
        "size": 3,
        "last_modified": datetime(2026, 1, 1, tzinfo=UTC),
        "metadata": {"x": "y"},
        "is_prefix": True,
    }
    info = ObjectInfo(**{f.name: values.get(f.name, f"a {f.name}") for f in fields(ObjectInfo)})
    assert info.renamed("new") == replace(info, key="new")


@pytest.mark.parametrize(("start", "end"), [(0, -1), (None, -1), (-5, 3), (-5, 0)])
def test_a_range_that_no_request_can_express_is_a_value_error(start, end):
    with pytest.raises(ValueError, match="range"):
        ReadOptions(start, end)


def test_a_read_knows_whether_it_is_of_a_part():
    assert not ReadOptions().ranged
    assert ReadOptions(0).ranged
    assert ReadOptions(end=0).ranged


def test_a_write_has_one_condition_at_most():
    with pytest.raises(ValueError, match="exclude"):
        WriteOptions(if_absent=True, if_match="x")
    assert not WriteOptions(content_type="x").conditional
    assert WriteOptions(if_absent=True).conditional
    assert WriteOptions(if_match="").conditional


def test_attributes_are_what_infos_and_writes_share():
    shared = {f.name for f in fields(ObjectInfo)} & {f.name for f in fields(WriteOptions)}
    assert shared == set(ATTRIBUTES)
    given = {"content_type": "a", "metadata": {"b": "c"}}
    assert WriteOptions(**given, part_size=7).attributes() == given


def test_capabilities_of_two_are_what_both_can_do():
    names = [f.name for f in fields(Capabilities)]
    assert len(names) <= 10
    everything = Capabilities(**dict.fromkeys(names, True))
    assert everything & everything == everything
    for name in names:
        one = Capabilities(**{name: True})
        assert everything & one == one == one & everything
        assert one & Capabilities() == Capabilities()
