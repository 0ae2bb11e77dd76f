"""``storage.utils``: wrappers that watch, refuse, mirror and cache, and utilities for whole stores."""

from __future__ import annotations

import io
import logging

import pytest

from holdfast.compat.storage import utils
from holdfast.compat.storage.fs import FilesystemStore, HashdirStore
from holdfast.compat.storage.object import DictStore, ObjectStore
from holdfast.compat.storage.utils import (
    CachingStore,
    ExceptionLoggingStore,
    IdentityStore,
    JsonStore,
    LoggingStore,
    MirroringStore,
    NotifyingStore,
    PrefixStore,
    ReadonlyStore,
    RegexRoutingStore,
    TextEncodingStore,
    WriteonlyStore,
    clear_store,
    copy_store,
    sync_stores,
)
from holdfast.errors import Conflict, PartialFailure
from tests.compat.rows import row

MODULES = {
    "object": "ObjectStore DictStore StoreError",
    "fs": "FilesystemStore HashdirStore SafeFilesystemStore",
    "db": "SqliteStore",
    "s3": "BucketStore AsyncBucketStore",
    "zip": "ZipStore",
    "utils": (
        "IdentityStore ReadonlyStore WriteonlyStore MirroringStore CachingStore NotifyingStore LoggingStore "
        "ExceptionLoggingStore TransformingStore TextEncodingStore GzipStore BufferStore Base64Store JsonStore "
        "KeyTransformingStore KeyValidatingStore RegexValidator RegexValidatingStore validate_http_url_key "
        "UrlValidatingStore PrefixStore HashPrefixStore UrlEncodingStore RegexRoutingStore copy_store clear_store "
        "sync_stores DataTransformer TextEncodingTransformer GzipTransformer BufferTransformer Base64Transformer "
        "JsonTransformer KeyTransformer ValidatingKeyTransformer PrefixKeyTransformer HashPrefixKeyTransformer "
        "UrlEncodingKeyTransformer"
    ),
}


class Failing(ObjectStore):
    """A store whose service is down."""

    def get(self, key):
        raise OSError("down")

    put = delete = exists = lambda self, *arguments: self.get("")

    def keys(self):
        raise OSError("down")


class Plain:
    """Five methods, and no base class at all."""

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
        return set(self.objects)


@row("storage", "the modules object, fs, db, s3, zip, utils have all their names")
@pytest.mark.parametrize("module", MODULES)
def test_every_name_is_where_it_was(module):
    import importlib

    found = importlib.import_module(f"holdfast.compat.storage.{module}")
    assert [name for name in MODULES[module].split() if not hasattr(found, name)] == []


@row("storage", "MediaStore", "different", "not carried over: it speaks to one particular service")
def test_mediastore_is_not_carried_over():
    assert not hasattr(utils, "MediaStore")


@row("storage", "IdentityStore: the same store once more")
def test_identity():
    inner = DictStore()
    store = IdentityStore(inner)
    store.put("a", "any value")
    assert inner.objects == {"a": "any value"}
    assert store.get("a") == "any value"
    assert list(store.keys()) == ["a"]
    store.delete("a")
    assert not store.exists("a")
    assert store.store is inner


@row("storage", "ReadonlyStore: put and delete are NotImplementedError")
def test_readonly():
    store = ReadonlyStore(DictStore({"a": b"1"}))
    for refused in (lambda: store.put("a", b"2"), lambda: store.delete("a")):
        with pytest.raises(NotImplementedError, match="read-only"):
            refused()
    assert (store.get("a"), store.exists("a"), list(store.keys())) == (b"1", True, ["a"])


@row("storage", "WriteonlyStore: get, exists and keys are NotImplementedError")
def test_writeonly():
    inner = DictStore()
    store = WriteonlyStore(inner)
    store.put("a", b"1")
    for refused in (lambda: store.get("a"), lambda: store.exists("a"), store.keys):
        with pytest.raises(NotImplementedError, match="write-only"):
            refused()
    assert inner.objects == {"a": b"1"}
    store.delete("a")
    assert inner.objects == {}


@row("storage", "MirroringStore(children): put into all; get from the first that has it, else KeyError")
@row("storage", "MirroringStore: delete where present, silent; keys() is the union as a set")
def test_mirroring():
    one, two = DictStore({"a": b"1"}), DictStore({"b": b"2"})
    store = MirroringStore([one, two])
    assert store.keys() == {"a", "b"}
    assert (store.get("a"), store.get("b")) == (b"1", b"2")
    store.put("c", b"3")
    assert one.get("c") == two.get("c") == b"3"
    assert store.exists("b")
    store.delete("b")
    store.delete("b")
    assert store.keys(prefix="") == {"a", "c"}
    with pytest.raises(KeyError):
        store.get("b")


@row(
    "storage",
    "gap: MirroringStore fails half way, and nobody knows what was done",
    "kept and fixed",
    "every child is tried, and PartialFailure tells what each of them did",
)
def test_a_mirror_tells_what_each_child_did():
    good = DictStore()
    store = MirroringStore([Failing(), good])
    with pytest.raises(PartialFailure) as raised:
        store.put("a", b"1")
    (_, failed), (_, done) = raised.value.outcomes
    assert "down" in str(failed)
    assert done is None
    assert good.get("a") == b"1"


@row(
    "storage",
    "MirroringStore.get: the first child's object, whatever the others hold",
    "different",
    "children that hold different versions are a Conflict, never one of them by chance",
)
def test_children_that_differ_are_a_conflict():
    store = MirroringStore([DictStore({"a": b"1"}), DictStore({"a": b"other"})])
    with pytest.raises(Conflict):
        store.get("a")


@row("storage", "CachingStore(main_store, cache_store): write-through, filled by reads, keys() from main")
@row("storage", "CachingStore.clear(key=None)")
def test_caching(tmp_path):
    main, cache = FilesystemStore(tmp_path), DictStore()
    store = CachingStore(main, cache, revalidate="never")
    main.put("a", b"1")
    assert store.get("a") == b"1"
    assert len(cache.objects) == 1
    (tmp_path / "a").unlink()
    assert store.get("a") == b"1"  # from the cache alone
    store.clear("a")
    with pytest.raises(KeyError):
        store.get("a")
    store.put("b", b"2")
    assert main.get("b") == b"2"
    assert list(store.keys()) == ["b"]
    assert store.get("b") == b"2"
    store.clear()
    assert cache.objects == {}
    store.delete("b")
    assert not store.exists("b")


@row(
    "storage",
    "gap: CachingStore serves stale data for ever",
    "kept and fixed",
    "by default each hit asks the origin for the object's ETag; revalidate='ttl' or 'never' may be declared",
)
def test_a_cache_serves_nothing_stale(tmp_path):
    main = FilesystemStore(tmp_path)
    store = CachingStore(main, DictStore())
    store.put("a", b"1")
    assert store.get("a") == b"1"
    main.put("a", b"2")  # around the cache
    assert store.get("a") == b"2"
    main.delete("a")
    with pytest.raises(KeyError):
        store.get("a")
    assert not store.exists("a")


@row(
    "storage",
    "gap: CachingStore.put is not atomic over its two stores",
    "kept and fixed",
    "the origin is written first, and a cache that fails makes reads slow, never wrong",
)
@pytest.mark.parametrize("revalidate", ["etag", "ttl", "never"])
def test_a_broken_cache_is_harmless(tmp_path, revalidate):
    store = CachingStore(FilesystemStore(tmp_path), Failing(), revalidate=revalidate)
    store.put("a", b"1")
    assert store.get("a") == b"1"
    store.delete("a")
    assert not store.exists("a")


@row(
    "storage",
    "CachingStore: a copy lies in cache_store under the object's own key",
    "different",
    "entries carry the origin, key, size and digests, so that one cache serves several stores and damage is noticed",
)
def test_copies_say_what_they_are_of(tmp_path):
    cache = DictStore()
    CachingStore(FilesystemStore(tmp_path / "1"), cache, revalidate="never").put("a", b"1")
    other = CachingStore(FilesystemStore(tmp_path / "2"), cache, revalidate="never")
    assert not cache.exists("a")
    with pytest.raises(KeyError):
        other.get("a")


@row(
    "storage",
    "CachingStore over a store without ETags (a DictStore, five methods of your own) serves copies",
    "different",
    "nobody can tell whether such a copy is still right, so the origin is read, unless revalidate says otherwise",
)
def test_an_origin_without_etags_is_read_each_time():
    main, cache = DictStore({"a": b"1"}), DictStore()
    store = CachingStore(main, cache)
    assert store.get("a") == b"1"
    main.put("a", b"2")
    assert store.get("a") == b"2"
    declared = CachingStore(main, cache, revalidate="never")
    assert declared.get("a") == b"2"
    main.put("a", b"3")
    assert declared.get("a") == b"2"


@row("storage", "NotifyingStore: on_change(h(store, action, key, e)), on_put / on_delete(h(store, key, e))")
def test_handlers_are_called():
    seen = []
    inner = DictStore()
    store = NotifyingStore(inner)
    store.on_change(lambda *told: seen.append(("change", *told)))
    store.on_put(lambda *told: seen.append(("put only", *told)))
    store.on_delete(lambda *told: seen.append(("delete only", *told)))
    store.put("a", "any value")
    store.delete("a")
    assert seen == [
        ("change", inner, "put", "a", None),
        ("put only", inner, "a", None),
        ("change", inner, "delete", "a", None),
        ("delete only", inner, "a", None),
    ]


@row(
    "storage",
    "gap: NotifyingStore: after a failing put or delete no handler is called, and an UnboundLocalError is raised",
    "kept and fixed",
    "handlers get the error, and the caller too",
)
def test_handlers_are_told_of_failures():
    seen = []
    store = NotifyingStore(Failing())
    store.on_change(lambda _, action, key, error: seen.append((action, key, str(error))))
    with pytest.raises(OSError, match="down"):
        store.put("a", b"1")
    with pytest.raises(OSError, match="down"):
        store.delete("a")
    assert seen == [("put", "a", "down"), ("delete", "a", "down")]


@row("storage", "LoggingStore(store, store_name='store', logger=root): one record for each operation")
def test_logging(caplog):
    caplog.set_level(logging.INFO)
    store = LoggingStore(DictStore(), "mine", logging.getLogger("storage"))
    store.put("a", b"123")
    assert store.get("a") == b"123"
    assert store.exists("a")
    assert list(store.keys()) == ["a"]
    store.delete("a")
    with pytest.raises(KeyError):
        store.get("a")
    told = [(one.store_name, one.operation, one.key, one.bytes) for one in caplog.records]
    assert told == [
        ("mine", "put", "a", 3),
        ("mine", "get", "a", 3),
        ("mine", "head", "a", 0),
        ("mine", "keys", "", 0),
        ("mine", "delete", "a", 0),
        ("mine", "get", "a", 0),
    ]
    assert [one.outcome for one in caplog.records][-2:] == ["ok", "KeyError"]
    assert LoggingStore(DictStore()).logger is logging.getLogger()


@row("storage", "ExceptionLoggingStore: get and put give None, exists and delete False, keys [] after an error")
def test_exceptions_are_logged_instead(caplog):
    store = ExceptionLoggingStore(Failing(), "mine", logging.getLogger("storage"))
    assert store.get("a") is None
    assert store.put("a", b"") is None
    assert store.exists("a") is False
    assert store.delete("a") is False
    assert store.keys() == []
    assert [one.levelname for one in caplog.records] == ["ERROR"] * 5
    assert all("down" in one.getMessage() for one in caplog.records)
    good = ExceptionLoggingStore(DictStore({"a": "value"}))
    assert (good.get("a"), good.exists("a"), good.keys()) == ("value", True, ["a"])


@row("storage", "RegexRoutingStore(store, routes): where the first matching route leads")
def test_routing():
    photos, rest = DictStore(), DictStore()
    store = RegexRoutingStore(rest, {r".*[.]jpe?g": photos})
    store.put("a.jpg", b"1")
    store.put("a.txt", "text")
    assert (photos.objects, rest.objects) == ({"a.jpg": b"1"}, {"a.txt": "text"})
    assert sorted(store.keys()) == ["a.jpg", "a.txt"]
    assert store.exists("a.jpg")
    store.delete("a.jpg")
    assert store.get("a.txt") == "text"


@row("storage", "copy_store(a, b, overwrite=True)")
def test_copy():
    one, two = DictStore({"a": b"1", "b": b"2"}), DictStore({"b": b"old"})
    copy_store(one, two, overwrite=False)
    assert two.objects == {"a": b"1", "b": b"old"}
    copy_store(one, two)
    assert two.objects == one.objects


@row("storage", "clear_store(s)")
def test_clear():
    store = DictStore({"a": b"1", "b": b"2"})
    clear_store(store)
    assert store.objects == {}


@row("storage", "sync_stores(a, b, delete=False)")
def test_sync():
    one, two = DictStore({"a": b"1"}), DictStore({"b": b"2"})
    sync_stores(one, two)
    assert two.objects == {"a": b"1", "b": b"2"}
    sync_stores(one, two, delete=True)
    assert two.objects == {"a": b"1"}
    sync_stores(DictStore(), two, delete=True)
    assert two.objects == {}


@row(
    "storage",
    "gap: sync_stores never updates a key whose content differs",
    "kept and fixed",
    "contents are compared, also where sizes are equal",
)
def test_sync_makes_contents_equal():
    one, two = DictStore({"a": b"new"}), DictStore({"a": b"old"})
    sync_stores(one, two)
    assert two.objects == {"a": b"new"}


WRAPPERS = {
    "IdentityStore": IdentityStore,
    "MirroringStore": lambda store: MirroringStore([store]),
    "CachingStore": lambda store: CachingStore(store, DictStore()),
    "NotifyingStore": NotifyingStore,
    "LoggingStore": LoggingStore,
    "ExceptionLoggingStore": ExceptionLoggingStore,
    "TransformingStore": utils.TransformingStore,
    "GzipStore": utils.GzipStore,
    "Base64Store": utils.Base64Store,
    "KeyTransformingStore": utils.KeyTransformingStore,
    "KeyValidatingStore": lambda store: utils.KeyValidatingStore(store, len),
    "RegexValidatingStore": lambda store: utils.RegexValidatingStore(store, ".*"),
    "PrefixStore": lambda store: PrefixStore(store, "p/"),
    "HashPrefixStore": utils.HashPrefixStore,
    "UrlEncodingStore": utils.UrlEncodingStore,
    "RegexRoutingStore": lambda store: RegexRoutingStore(store, {}),
}


class Mine(FilesystemStore):
    """A subclass of a compatibility class, whose bytes lie reversed."""

    def get(self, key):
        return super().get(key)[::-1]

    def put(self, key, data):
        return super().put(key, data[::-1])


class FiveMethods(Plain, ObjectStore):
    """As the documentation of the original asks."""


@row(
    "storage", "a store of your own (a subclass of ObjectStore, or any object with the methods) works in every wrapper"
)
@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("kind", [Plain, FiveMethods, Mine])
def test_own_stores_work_under_every_wrapper(wrapper, kind, tmp_path):
    inner = kind(tmp_path / "root") if kind is Mine else kind()
    store = WRAPPERS[wrapper](inner)
    store.put("a", b"hello")
    assert store.get("a") == b"hello"
    assert store.exists("a")
    assert list(store.keys()) == ["a"]
    assert store.get_range("a", 1, 3) == b"el"  # by a verb: nothing goes around their methods
    copied = DictStore()
    copy_store(store, copied)
    assert copied.objects == {"a": b"hello"}
    store.delete("a")
    assert not store.exists("a")


def test_nothing_goes_around_what_a_subclass_changes(tmp_path):
    store = Mine(tmp_path)
    store.put("a", b"hello")
    assert (tmp_path / "a").read_bytes() == b"olleh"
    assert store.get_range("a", 0, 2) == b"he"
    assert store.head("a").size == 5
    assert not store.capabilities.ranges
    copy_store(DictStore({"b": b"abc"}), store)
    assert (tmp_path / "b").read_bytes() == b"cba"
    assert FilesystemStore(tmp_path).capabilities.ranges


def test_values_pass_through_wrappers():
    for wrapper in ("IdentityStore", "NotifyingStore", "LoggingStore", "PrefixStore", "HashPrefixStore"):
        inner = DictStore()
        store = WRAPPERS[wrapper](JsonStore(inner))
        store.put("a", {"b": [1, None]})
        assert store.get("a") == {"b": [1, None]}
        assert list(inner.objects.values()) == ['{"b": [1, null]}']


@row(
    "storage",
    "MirroringStore and CachingStore over stores of values (text, JSON), and with values that are no bytes",
    "different",
    "they compare and check bytes: the store of values goes on top of them, and a TypeError says so",
)
@pytest.mark.parametrize("wrapper", ["MirroringStore", "CachingStore"])
def test_stores_of_bytes_refuse_stores_of_values(wrapper):
    with pytest.raises(TypeError, match="put it on top"):
        WRAPPERS[wrapper](PrefixStore(TextEncodingStore(DictStore()), "p/"))
    with pytest.raises(TypeError, match="str"):
        WRAPPERS[wrapper](DictStore()).put("a", "text")


def test_what_is_no_store_is_refused():
    with pytest.raises(TypeError, match="it has no put, delete, exists"):
        IdentityStore({})


def test_wrappers_open_and_close_what_they_wrap():
    class Opened(Plain):
        open = 0

        def __enter__(self):
            self.open += 1
            return self

        def __exit__(self, *error):
            self.open -= 1

    inner = Opened()
    with PrefixStore(LoggingStore(inner), "p/") as store:
        assert inner.open == 1
        store.put("a", b"1")
    assert inner.open == 0


def test_unlistable_stores_stay_so(tmp_path):
    for wrapper in WRAPPERS.values():
        store = wrapper(HashdirStore(tmp_path))
        if isinstance(store, ExceptionLoggingStore):
            assert store.keys() == []
        else:
            with pytest.raises(NotImplementedError):
                store.keys()


def test_bodies_stream_through_the_wrappers_of_bytes(tmp_path):
    store = utils.GzipStore(FilesystemStore(tmp_path))
    store.put("a", io.BytesIO(b"hello" * 1000))
    assert store.get("a") == b"hello" * 1000


@row(
    "storage",
    "a subclass of ObjectStore may have any other methods",
    "different",
    "not by the names of the conveniences (read, write, head, list, create, copy ...): a TypeError says so at once",
)
def test_names_of_conveniences_are_taken():
    with pytest.raises(TypeError, match="overrides copy"):
        type("Mine", (Plain, ObjectStore), {"copy": lambda self, a, b: None})


def test_stores_are_pickled(tmp_path):
    import pickle

    store = pickle.loads(pickle.dumps(PrefixStore(utils.GzipStore(FilesystemStore(tmp_path)), "p/")))
    store.put("a", b"1")
    assert store.get("a") == b"1"
    assert list(FilesystemStore(tmp_path).keys()) == ["p/a"]


def test_every_verb_is_handed_on():
    from holdfast.compat.storage._adapted import Adapted
    from tests.wrap.test_reflection import VERBS

    assert [verb for verb in VERBS if verb not in vars(Adapted)] == []
