"""Values become bytes and values again; what is stored and is no value is an error that says so."""

from __future__ import annotations

import array
import gzip
import json
import mmap
import pickle
import sys
import zlib

import pytest

from holdfast import ConfigError, EncodingError, KeySyncError
from holdfast.mapping import serialisers
from holdfast.mapping.serialisers import CloudMappingSerialisation

VALUES = {
    "raw": b"\x00\xff",
    "string": "grüße",
    "json": {"b": [1, None, "ü"], "a": 1.5},
    "json_zlib": {"b": [1, None], "a": {}},
    "zlib": b"bytes",
    "pickle": {1, (2, 3)},
}


@pytest.mark.parametrize("name", VALUES)
def test_a_value_comes_back(memory, name):
    memory.mapping(serialisation=name)["a"] = VALUES[name]
    assert memory.mapping(serialisation=name)["a"] == VALUES[name]


def test_what_is_stored_is_what_others_read(memory):
    store = memory.open()
    memory.mapping(serialisation="json")["json"] = {"b": 1, "a": 2}
    memory.mapping(serialisation="json_zlib")["zlib"] = [1]
    memory.mapping(serialisation="string")["text"] = "ü"
    memory.mapping(serialisation="pickle")["pickle"] = {1}
    assert store.get("json") == b'{"a": 2, "b": 1}'
    assert json.loads(zlib.decompress(store.get("zlib"))) == [1]
    assert store.get("text") == "ü".encode()
    assert pickle.loads(store.get("pickle")) == {1}


@pytest.mark.parametrize("value", [bytearray(b"abc"), memoryview(b"xabc")[1:], b"abc"])
def test_raw_takes_anything_bytes_like(memory, value):
    mapping = memory.mapping()
    mapping["a"] = value
    mapping.update(b=value)
    assert mapping["a"] == mapping["b"] == b"abc"
    assert type(mapping["a"]) is bytes


@pytest.mark.parametrize("value", ["text", 5, None, [b"a"], {}])
def test_raw_takes_nothing_else(memory, value):
    mapping = memory.mapping()
    for operation in (
        lambda: mapping.__setitem__("a", value),
        lambda: mapping.setdefault("a", value),
        lambda: mapping.update(a=value),
    ):
        with pytest.raises(ValueError, match="must be bytes like"):
            operation()
    assert len(memory.mapping()) == 0


def test_whatever_has_the_bytes_of_a_value_is_one(memory):
    mapping = memory.mapping()
    numbers, anonymous = array.array("I", [1, 2, 3]), mmap.mmap(-1, 16)
    mapping["array"] = numbers
    mapping["mmap"] = anonymous
    assert mapping["array"] == numbers.tobytes()
    assert mapping["mmap"] == bytes(16)


def test_a_small_object_that_decodes_to_a_huge_one_is_refused(memory, monkeypatch):
    memory.open().put("a", zlib.compress(bytes(1 << 20)))
    memory.open().put("b", zlib.compress(b"1" * 1000))
    memory.open().put("cut", zlib.compress(b"1" * 1000)[:-1])
    mapping = memory.mapping(serialisation="zlib")
    assert mapping["a"] == bytes(1 << 20)
    monkeypatch.setenv("HOLDFAST_DECODED_LIMIT", "1000")
    with pytest.raises(EncodingError, match="more than 1000 bytes"):
        mapping["a"]
    assert mapping["b"] == b"1" * 1000
    with pytest.raises(EncodingError, match="truncated"):
        mapping["cut"]


@pytest.mark.parametrize("name", ["string", "json", "json_zlib", "zlib", "pickle", "parquet"])
def test_a_foreign_object_is_a_clear_error(memory, name):
    pytest.importorskip("pandas") if name == "parquet" else None
    memory.open().put("foreign", b"\xff\xfe nothing of the kind")
    mapping = memory.mapping(serialisation=name)
    assert "foreign" in mapping
    for operation in (lambda: mapping["foreign"], lambda: mapping.get("foreign", 1), lambda: dict(mapping.items())):
        with pytest.raises(EncodingError, match="'foreign'") as caught:
            operation()
        assert not isinstance(caught.value, KeyError)
        assert caught.value.key == "foreign"
    with pytest.raises(EncodingError):
        mapping.pop("foreign", None)
    assert memory.open().get("foreign").startswith(b"\xff")


def test_an_error_of_a_serialisation_is_no_missing_key(memory):
    def missing(data):
        raise KeyError(data)

    mapping = memory.mapping(serialisation=CloudMappingSerialisation(bytes, missing))
    mapping["a"] = b"1"
    with pytest.raises(EncodingError):
        mapping.get("a", b"default")
    with pytest.raises(EncodingError):
        mapping.setdefault("a", b"default")


def test_foreign_objects_are_values_where_they_can_be(memory):
    from holdfast.types import WriteOptions

    memory.open().put("foreign", b'{"x": 1}')
    memory.open().write("packed", gzip.compress(b'{"y": 2}'), WriteOptions(content_encoding="gzip"))
    assert dict(memory.mapping(serialisation="json")) == {"foreign": {"x": 1}, "packed": {"y": 2}}
    assert memory.mapping()["packed"] == b'{"y": 2}'
    mapping = memory.mapping(serialisation="json")
    mapping["packed"] = {"y": 3}
    assert memory.open().get("packed") == b'{"y": 3}'
    memory.open().write("odd", b"?", WriteOptions(content_encoding="rot13"))
    mapping.sync_with_cloud()
    with pytest.raises(EncodingError, match="rot13"):
        mapping["odd"]


@pytest.mark.parametrize("name", ["csv", "parquet"])
def test_tables_of_pandas_come_back(memory, name):
    pandas = pytest.importorskip("pandas", reason="pip install pandas pyarrow")
    table = pandas.DataFrame({"a": [1, 2], "b": ["x", "ü"]})
    mapping = memory.mapping(serialisation=name)
    mapping["table"] = table
    pandas.testing.assert_frame_equal(memory.mapping(serialisation=name)["table"], table)


@pytest.mark.parametrize(("name", "module"), [("csv", "pandas"), ("parquet", "pandas")])
def test_a_missing_package_is_named_with_the_line_to_type(memory, monkeypatch, name, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=f"pip install {module}"):
        memory.mapping(serialisation=name)


def test_serialisations_are_data():
    assert serialisers.json() == serialisers.json()
    assert serialisers.pickle() == serialisers.pickle()
    assert serialisers.pickle(4) != serialisers.pickle(5)
    assert serialisers.json() != serialisers.json_zlib()
    assert hash(serialisers.json()) == hash(serialisers.json())
    assert serialisers.none() is None
    assert not CloudMappingSerialisation(None, None)
    assert serialisers.json()
    with pytest.raises(AttributeError):
        serialisers.json().dumps = None
    assert pickle.loads(pickle.dumps(serialisers.json_zlib())) == serialisers.json_zlib()
    with pytest.raises(ConfigError):
        CloudMappingSerialisation(bytes, None)


def test_chains_go_one_way_and_back(memory):
    links = [str, int, str.encode, bytes.decode, zlib.compress, zlib.decompress]
    mapping = memory.mapping(serialisation=serialisers.buffers(links))
    mapping["a"] = 5
    assert zlib.decompress(memory.open().get("a")) == b"5"
    assert memory.mapping(serialisation=serialisers.buffers(links))["a"] == 5
    assert memory.mapping(serialisation=["json", "zlib"]).serialisation == serialisers.json_zlib()
    assert memory.mapping(serialisation=[]).serialisation is None
    with pytest.raises(ValueError, match="equal number"):
        serialisers.buffers(links[:3])


def test_any_pair_of_dumps_and_loads_will_do(memory):
    mapping = memory.mapping(serialisation=pickle)
    mapping["a"] = {1}
    assert mapping["a"] == {1}
    with pytest.raises(ValueError, match="must be bytes like, not str"):
        memory.mapping(serialisation=json)["b"] = {}


@pytest.mark.parametrize("wrong", ["yaml", 5, object()])
def test_what_is_no_serialisation_is_refused(memory, wrong):
    with pytest.raises(ConfigError):
        memory.mapping(serialisation=wrong)


def test_a_raw_mapping_works_under_zict(memory):
    zict = pytest.importorskip("zict", reason="pip install zict")
    mine = zict.Func(pickle.dumps, pickle.loads, memory.mapping())
    mine["a"] = {1, 2}
    mine.update({"b": [3]})
    theirs = zict.Func(pickle.dumps, pickle.loads, memory.mapping())
    assert dict(theirs.items()) == {"a": {1, 2}, "b": [3]}
    theirs["a"] = {4}
    with pytest.raises(KeySyncError):
        mine["a"]
    with pytest.raises(KeySyncError):
        mine["a"] = {5}
    del theirs["b"]
    assert list(theirs) == ["a"]
    assert sorted(mine) == ["a", "b"]
