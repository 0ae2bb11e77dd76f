"""What a mapping cannot be over, what it is over only as far as the store is able, and stacks of wrappers."""

from __future__ import annotations

import pytest

from holdfast import (
    CachingStore,
    CloudMapping,
    ConfigError,
    GzipStore,
    KeySyncError,
    MirroringStore,
    ObjectStore,
    PrefixStore,
    Unsupported,
    open_store,
)
from holdfast.stores.memory import MemoryStore
from tests.mapping.places import Narrowed


class Five(ObjectStore):
    """What a user writes: no versions, no conditions."""

    def __init__(self):
        self.objects = {}

    def get(self, key):
        return self.objects[key]

    def put(self, key, data):
        self.objects[key] = data

    def delete(self, key):
        del self.objects[key]

    def exists(self, key):
        return key in self.objects

    def keys(self):
        return iter(list(self.objects))


@pytest.mark.parametrize("missing", [("create",), ("replace_if",), ("create", "replace_if")])
def test_a_store_without_atomic_writes_is_refused_with_the_reason(missing):
    store = Narrowed(MemoryStore(), **dict.fromkeys(missing, False))
    with pytest.raises(Unsupported, match=" and no ".join(missing)) as caught:
        CloudMapping(store)
    assert "unsafe=True" in str(caught.value)
    mapping = CloudMapping(store, unsafe=True)
    mapping["a"] = b"1"
    mapping["a"] = b"2"
    assert mapping.pop("a") == b"2"
    store.store.put("b", b"theirs")
    with pytest.raises(KeySyncError):
        mapping["b"] = b"mine"
    assert store.store.get("b") == b"theirs"


def test_without_atomic_deletes_only_deletes_are_unsupported(memory):
    mapping = CloudMapping(Narrowed(memory.open(), delete_if=False))
    mapping.update(a=b"1", b=b"2")
    mapping["a"] = b"3"
    assert mapping.modify("a", lambda value: value + b"4") == b"34"
    for operation in (
        lambda: mapping.__delitem__("a"),
        lambda: mapping.pop("a"),
        mapping.popitem,
        mapping.clear,
        lambda: mapping.delete_many(["a"]),
    ):
        with pytest.raises(Unsupported, match="delete"):
            operation()
    assert dict(memory.mapping()) == {"a": b"34", "b": b"2"}
    assert mapping.pop("x", None) is None
    unsafe = CloudMapping(Narrowed(memory.open(), delete_if=False), unsafe=True)
    del unsafe["a"]
    with pytest.raises(KeySyncError):
        memory.mapping(sync_initially=False).__setitem__("b", b"")
    memory.open().put("b", b"theirs")
    with pytest.raises(KeySyncError):
        del unsafe["b"]
    assert dict(memory.mapping()) == {"b": b"theirs"}


def test_a_store_of_five_methods_is_read_and_written_unsafely():
    store = Five()
    store.put("a", b"1")
    with pytest.raises(Unsupported):
        CloudMapping(store)
    mapping = CloudMapping(store, unsafe=True)
    assert dict(mapping) == {"a": b"1"}
    mapping["a"] = b"2"
    mapping["b"] = b"3"
    assert mapping.modify("b", lambda value: value + b"4") == b"34"
    store.put("c", b"theirs")
    with pytest.raises(KeySyncError):
        mapping["c"] = b"mine"
    del store.objects["b"]
    with pytest.raises(KeySyncError):
        mapping["b"] = b"5"
    with pytest.raises(KeySyncError):
        mapping["b"]
    del mapping["a"]
    assert store.objects == {"c": b"theirs"}


def test_a_service_that_ignores_conditions_is_found_out(rclone_s3):
    location = rclone_s3.url(rclone_s3.make_bucket())
    keys = {"access_key_id": rclone_s3.access_key, "secret_access_key": rclone_s3.secret_key}
    with pytest.raises(Unsupported, match="loses no write"):
        CloudMapping(location, **keys)
    late = CloudMapping(location, sync_initially=False, **keys)
    with pytest.raises(Unsupported):
        late["a"] = b"1"
    assert list(open_store(location, **keys).keys()) == []  # and what it was tried on is gone again


def test_a_cache_that_may_be_stale_is_refused(memory):
    for revalidate in ("ttl", "never"):
        store = PrefixStore(CachingStore(memory.open(), MemoryStore(), revalidate=revalidate), "p/")
        with pytest.raises(Unsupported, match=revalidate):
            CloudMapping(store)
        CloudMapping(store, unsafe=True)["a"] = b"1"
        del memory.mapping()["p/a"]


def test_a_cache_that_asks_serves_nothing_that_was_changed(memory):
    mine = CloudMapping(store := CachingStore(memory.open(), MemoryStore()))
    mine["a"] = b"1"
    assert (mine["a"], mine["a"]) == (b"1", b"1")
    theirs = memory.mapping()
    theirs["a"] = b"2"
    for operation in (lambda: mine["a"], lambda: mine.__setitem__("a", b"3"), lambda: mine.__delitem__("a")):
        with pytest.raises(KeySyncError):
            operation()
    assert mine.modify("a", lambda value: value + b"+") == b"2+"
    mine.sync_with_cloud()
    assert mine["a"] == b"2+"
    assert store.get("a") == b"2+"


def test_mappings_over_stacks_of_wrappers(memory):
    def stack():
        children = [PrefixStore(memory.open(), name) for name in ("one/", "two/")]
        return GzipStore(MirroringStore(children, "primary"))

    mine, theirs = CloudMapping(stack(), serialisation="json"), CloudMapping(stack(), serialisation="json")
    mine["a"] = 1
    with pytest.raises(KeySyncError):
        theirs["a"] = 2
    theirs.sync_with_cloud()
    assert theirs.modify("a", lambda value: value + 1) == 2
    with pytest.raises(KeySyncError):
        mine["a"]
    assert memory.open().get("two/a")[:2] == b"\x1f\x8b"


def test_ceph_is_a_place_for_mappings_as_far_as_its_release_knows_conditions(ceph):
    keys = {"access_key_id": ceph.access_key, "secret_access_key": ceph.secret_key}
    location = ceph.url(ceph.make_bucket())
    able = open_store(location, **keys).probe()
    if not (able.create and able.replace_if):
        with pytest.raises(Unsupported):
            CloudMapping(location, **keys)
        return
    mine, theirs = CloudMapping(location, **keys), CloudMapping(location, **keys)
    mine["a"] = b"1"
    with pytest.raises(KeySyncError):
        theirs["a"] = b"2"
    theirs.sync_with_cloud()
    assert theirs.modify("a", lambda value: value + b"+") == b"1+"
    with pytest.raises(KeySyncError):
        mine["a"] = b"3"
    with pytest.raises(KeySyncError):
        mine["a"]
    if able.delete_if:
        del theirs["a"]
        assert dict(CloudMapping(location, **keys)) == {}
    else:
        with pytest.raises(Unsupported):
            del theirs["a"]
        assert dict(CloudMapping(location, **keys)) == {"a": b"1+"}


def test_a_mapping_closes_its_store(tmp_path):
    with CloudMapping(f"sqlite://{tmp_path}/a.db") as mapping:
        mapping["a"] = b"1"
    assert mapping["a"] == b"1"  # which opens it again


def test_what_a_mapping_can_be_over(memory):
    with pytest.raises(TypeError, match="a store, a location or a provider"):
        CloudMapping(5)
    with pytest.raises(TypeError, match="options of a store"):
        CloudMapping(memory.open(), region="x")
    with pytest.raises(ConfigError, match="no option"):
        CloudMapping("mem://x", colour="blue")
    assert repr(CloudMapping("mem://mapping-repr/a")) == "cloudmapping<mem://mapping-repr/a/>"


def test_what_cannot_be_listed_is_mapped_without_a_sync(tmp_path):
    location = f"hashdir://{tmp_path}/tree"
    with pytest.raises(Unsupported, match="sync_initially=False"):
        CloudMapping(location)
    mapping = CloudMapping(location, sync_initially=False)
    mapping["a"] = b"1"
    assert dict(mapping) == {"a": b"1"}
    late = CloudMapping(location, sync_initially=False)
    with pytest.raises(KeySyncError):
        late["a"] = b"2"
    assert late.modify("a", lambda value: value + b"+") == b"1+"
    with pytest.raises(Unsupported):
        late.sync_with_cloud()


def test_what_can_only_be_read_is_read_blindly(nginx):
    (nginx.root / "settings").write_bytes(b'{"a": 1}')
    with pytest.raises(Unsupported):
        CloudMapping(nginx.endpoint)
    how = {"unsafe": True, "sync_initially": False, "read_blindly": True, "read_blindly_default": "none"}
    mapping = CloudMapping(nginx.endpoint, serialisation="json", **how)
    assert "settings" in mapping
    assert "missing" not in mapping
    assert mapping.get_many(["settings", "missing"]) == {"settings": {"a": 1}}
    assert mapping["missing"] == "none"
    for operation in (lambda: mapping.__setitem__("new", 1), mapping.sync_with_cloud):
        with pytest.raises(Unsupported):
            operation()
