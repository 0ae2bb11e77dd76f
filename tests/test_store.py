"""The waist itself: its guards, what is emulated from five methods, and who forwards what."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import pytest

import holdfast.testing
import holdfast.wrap
from holdfast import store as waist
from holdfast.blob import Blob
from holdfast.errors import HoldfastError, InvalidKey, NotFound, StoreError, Unsupported
from holdfast.store import CONVENIENCES, FIVE, Facade, ObjectStore, SimpleWrapper, Store, Wrapper, select
from holdfast.stores.memory import MemoryStore
from holdfast.testing import CountingStore
from holdfast.types import Capabilities, ListOptions, ObjectInfo, ReadOptions, WriteOptions
from holdfast.wrap.rekey import PrefixStore


class Tiny(ObjectStore):
    def __init__(self, objects=()):
        self.objects = dict(objects)
        self.calls = []

    def get(self, key):
        self.calls.append(("get", key))
        return self.objects[key]

    def put(self, key, data):
        self.calls.append(("put", key))
        self.objects[key] = data

    def delete(self, key):
        del self.objects[key]

    def exists(self, key):
        return key in self.objects

    def keys(self):
        return list(self.objects)


# ---------------------------------------------------------------------- the guards
@pytest.mark.parametrize("name", FIVE)
def test_a_store_may_not_override_a_derived_method(name):
    with pytest.raises(TypeError, match=name):
        type("Mine", (MemoryStore,), {name: lambda self, *args: None})
    with pytest.raises(TypeError, match=name):
        type("Mine", (Wrapper,), {name: lambda self, *args: None})


@pytest.mark.parametrize("name", FIVE)
def test_a_mixin_cannot_slip_an_override_in(name):
    mixin = type("Mixin", (), {name: lambda self, *args: None})
    with pytest.raises(TypeError, match=name):
        type("Mine", (mixin, MemoryStore), {})
    with pytest.raises(TypeError, match=name):
        type("Mine", (mixin, PrefixStore), {})
    type("Mine", (MemoryStore, mixin), {})  # behind the store it overrides nothing


@pytest.mark.parametrize("name", CONVENIENCES)
@pytest.mark.parametrize("base", [ObjectStore, Tiny, MemoryStore, SimpleWrapper, Facade])
def test_nobody_overrides_a_convenience(base, name):
    with pytest.raises(TypeError, match=name):
        type("Mine", (base,), {name: lambda self, *args: None})
    with pytest.raises(TypeError, match=name):
        type("Mine", (type("Mixin", (), {name: lambda self, *args: None}), base), {})


def test_five_methods_and_verbs_are_what_the_bases_ask_for():
    assert ObjectStore.__abstractmethods__ == {"get", "put", "delete", "exists"}
    assert Store.__abstractmethods__ == {"capabilities", "_read", "_write", "_remove", "_scan"}
    with pytest.raises(TypeError, match="abstract"):
        ObjectStore()


def test_every_public_method_that_is_not_one_of_the_five_is_a_guarded_convenience():
    others = {"name", "capabilities", "local", "remove_batch", "close"}  # what a store is; overridden by every class
    public = {name for name in vars(ObjectStore) if not name.startswith("_")}
    assert public == {*FIVE, *CONVENIENCES, *others}


# ---------------------------------------------------------------------- who forwards what
VERBS = {"_read", "_write", "_remove", "_scan", "_copy", "_stage", "_locate"}
BESIDES = {"name", "capabilities", "local", "remove_batch", "close"}


def test_the_verbs_are_the_verbs():
    helpers = {"_unsupported", "_remove_one"}
    private = {n for n, v in vars(ObjectStore).items() if n.startswith("_") and not n.startswith("__") and callable(v)}
    assert private == VERBS | helpers, "a new verb: let every wrapper below decide what it does with it"
    for name in VERBS:
        assert name in waist.__doc__


def every_wrapper():
    for package in (holdfast.wrap, holdfast.testing):
        for module in pkgutil.iter_modules(package.__path__):
            yield from vars(importlib.import_module(f"{package.__name__}.{module.name}")).values()
    yield from (Wrapper, SimpleWrapper, Facade)


def wraps(kind):
    """Whether instances are made around another store (a private base of such classes has no instances)."""
    made_of_a_store = "store" in inspect.signature(kind.__init__).parameters
    private_base = kind.__module__.rpartition(".")[2].startswith("_")
    return issubclass(kind, ObjectStore) and made_of_a_store and not private_base


WRAPPERS = sorted({kind for kind in every_wrapper() if inspect.isclass(kind) and wraps(kind)}, key=lambda k: k.__name__)


@pytest.mark.parametrize("kind", WRAPPERS)
def test_every_wrapper_states_what_it_does_with_every_verb(kind):
    """Its own class, or one between it and the bases, defines each verb: nothing is inherited from an emulation."""
    bases = {ObjectStore, Store, object}
    owners = {name: next(base for base in kind.__mro__ if name in vars(base)) for name in sorted(VERBS | BESIDES)}
    undecided = {name for name, owner in owners.items() if owner in bases}
    if kind is SimpleWrapper:
        assert undecided == VERBS | {"remove_batch"}, "its verbs go through its own get and put"
    else:
        assert not undecided, f"{kind.__name__} must say what it does with {', '.join(sorted(undecided))}"


def test_the_wrappers_are_all_there():
    assert {"Facade", "PrefixStore", "SimpleWrapper", "Wrapper", "CountingStore"} <= {k.__name__ for k in WRAPPERS}


@pytest.mark.parametrize("kind", WRAPPERS)
def test_no_wrapper_forwards_by_accident(kind):
    assert not hasattr(kind, "__getattr__")


def test_a_wrapper_forwards_every_verb_with_everything_it_was_given():
    calls = []

    class Recording(MemoryStore):
        pass

    for verb in VERBS:

        def record(self, *arguments, verb=verb):
            calls.append((verb, arguments))
            return getattr(MemoryStore, verb)(self, *arguments)

        setattr(Recording, verb, record)
    inner = Recording()
    store = Wrapper(Wrapper(inner))
    write, read = WriteOptions(content_type="a/b", part_size=7), ReadOptions(1, 2)
    store._write("a", b"123", write)
    store._read("a", read)
    store._copy(store, "a", "b", write)
    store._stage("c", 3, write)
    store._locate("a")
    rows = list(store._scan(ListOptions("a", "/", "0")))
    assert [row.key for row in rows] == ["a"]
    store._remove(["a", "b"])
    seen = {verb: arguments for verb, arguments in calls if verb != "_locate" or arguments}
    assert set(seen) == VERBS
    assert seen["_write"] == ("a", b"123", write)
    assert seen["_read"] == ("a", read)
    assert seen["_copy"] == (store, "a", "b", write)
    assert seen["_stage"] == ("c", 3, write)
    assert seen["_scan"] == (ListOptions("a", "/", "0"),)
    assert seen["_remove"][0] == ["a", "b"]
    assert (store.name, store.capabilities, store.remove_batch) == (inner.name, inner.capabilities, inner.remove_batch)


# ---------------------------------------------------------------------- five methods
def test_five_methods_under_a_prefix_do_every_verb():
    tiny = Tiny({"other": b"not mine"})
    store = PrefixStore(tiny, "run1/")
    assert store.put("a", b"hello").size == 5
    assert tiny.objects["run1/a"] == b"hello"
    assert store.get("a") == b"hello"
    assert store.get_range("a", -3) == b"llo"
    assert store.head("a") == ObjectInfo("a", size=5)
    assert store.copy("a", "b/c").key == "b/c"
    assert [info.key for info in store.list(delimiter="/")] == ["a", "b/"]
    assert store._stage("x", 3) is None
    assert store._locate("a") is None
    assert store.remove(["a", "missing"]) == [None, None]
    with pytest.raises(NotFound) as raised:
        store.delete("a")
    assert raised.value.key == "a"
    for refused in (
        lambda: store.create("x", b""),
        lambda: store.replace_if("x", b"", "e"),
        lambda: store.delete_if("b/c", "e"),
        lambda: store.write("x", b"", WriteOptions(content_type="a/b")),
        lambda: store.write("x", b"", WriteOptions(metadata={"a": "b"})),
        lambda: store.read("b/c", ReadOptions(if_match="e")),
    ):
        with pytest.raises(Unsupported):
            refused()
    assert tiny.objects == {"other": b"not mine", "run1/b/c": b"hello"}


def test_an_encrypting_simple_wrapper_never_leaks_a_raw_byte():
    plain, inner = b"attack at dawn" * 100, CountingStore(MemoryStore())

    class Encrypting(SimpleWrapper):
        def get(self, key):
            return bytes(byte ^ 0xFF for byte in self.store.get(key))

        def put(self, key, data):
            return self.store.put(key, bytes(byte ^ 0xFF for byte in data))

    store = Encrypting(inner)
    store.put("a", plain)
    store.write("b", iter([plain[:7], plain[7:]]))
    raw = inner.store.get("a")
    assert plain not in raw
    assert inner.store.get("b") == raw
    for outer in (store, PrefixStore(store, ""), Wrapper(store)):
        assert outer.get_range("a", 7, 14) == plain[7:14]
        assert outer.get_range("a", -4) == plain[-4:]
        assert outer.get("b") == plain
        with outer.read("a", ReadOptions(3, 9)) as blob:
            assert b"".join(blob.chunks()) == plain[3:9]
        assert outer._locate("a") is None, "a native copy would move what lies there, not what a read returns"
        assert outer._stage("c", 10) is None, "parts would go around put"
        assert not outer.capabilities.ranges
        with pytest.raises(Unsupported):
            outer.create("c", plain)
        with pytest.raises(Unsupported):
            outer.write("c", plain, WriteOptions(content_type="text/plain"))
    copied = MemoryStore()
    copied.copy("a", "a", source=store)
    assert copied.get("a") == plain
    MemoryStore.copy(store, "a", "c")
    assert inner.store.get("c") == raw
    assert not inner.store.exists("d")


def test_keys_are_checked_once_at_the_public_edge():
    store = Tiny()
    for call in (store.head, store.read, lambda key: store.write(key, b""), lambda key: store.remove([key])):
        with pytest.raises(InvalidKey):
            call("")
        with pytest.raises(TypeError):
            call(7)
    assert not store.calls


def test_a_class_that_cannot_list_says_so():
    class Four(ObjectStore):
        get = put = delete = exists = None

    assert not Four().capabilities.listing
    with pytest.raises(Unsupported, match="Four"):
        Four().keys()
    with pytest.raises(Unsupported):
        list(Four().list())
    assert Tiny().capabilities == Capabilities(listing=True, write=True)


def test_five_methods_may_answer_with_errors_of_their_own():
    class Own(Tiny):
        def get(self, key):
            raise StoreError("the disk is on fire", key=key)

        def delete(self, key):
            raise StoreError("the disk is on fire", key=key)

    store = Own()
    with pytest.raises(StoreError):
        store.head("a")
    assert [type(error) for error in store.remove(["a", "b"])] == [StoreError, StoreError]


@pytest.mark.parametrize("answer", [None, "text", 7])
def test_a_get_that_returns_no_bytes_is_told_so(answer):
    store = Tiny({"a": answer})
    with pytest.raises(TypeError, match="Tiny"):
        store.head("a")


def test_a_get_that_raises_a_lookup_error_of_its_own_reads_as_not_found():
    with pytest.raises(NotFound) as raised:
        Tiny().read("a")
    assert raised.value.key == "a"
    assert isinstance(raised.value.cause, KeyError)


# ---------------------------------------------------------------------- the derived methods
def test_remove_keeps_the_batch_size_and_the_order_of_answers():
    batches = []

    class Batched(Wrapper):
        remove_batch = 3

        def _remove(self, keys, options=waist.REMOVE):
            batches.append(list(keys))
            return [StoreError(key, key=key) if key == "d" else None for key in keys]

    store = Batched(MemoryStore())
    answers = store.remove(iter("abcdefg"))
    assert batches == [["a", "b", "c"], ["d", "e", "f"], ["g"]]
    assert [error and error.key for error in answers] == [None, None, None, "d", None, None, None]


def test_exists_tells_absence_from_trouble():
    class Broken(MemoryStore):
        def _read(self, key, options=waist.READ) -> Blob:
            raise StoreError("no route to host", key=key)

    assert not MemoryStore().exists("a")
    with pytest.raises(StoreError):
        Broken().exists("a")


def test_an_unsupported_operation_names_store_operation_option_and_cure():
    error = MemoryStore("b")._unsupported("a write", "storage_class", "leave it out")
    assert isinstance(error, HoldfastError)
    assert str(error) == "mem://b: cannot do a write with storage_class: leave it out"


def test_a_facade_adapts_the_five_and_leaves_the_verbs_native():
    class Old(Facade):
        def get(self, key):
            return self.store.get(key).decode()

        def put(self, key, data):
            self.store.put(key, data.encode())
            return True

        delete = exists = None

        def keys(self):
            return list(self.store.keys())

    inner = MemoryStore()
    old = Old(inner)
    assert old.put("a", "text") is True
    assert old.get("a") == "text"
    assert old.keys() == ["a"]
    assert old.get_range("a", 1, 3) == b"ex"
    assert old.capabilities == inner.capabilities
    assert old._locate("a") == inner._locate("a")


def test_rows_are_selected_as_a_service_would():
    rows = [ObjectInfo(key) for key in ("a", "a/b", "a/c", "a/d/e", "ab", "b/c", "é/x")]

    def selected(*arguments):
        return [info.key for info in select(rows, ListOptions(*arguments))]

    assert selected("a") == ["a", "a/b", "a/c", "a/d/e", "ab"]
    assert selected("", "/") == ["a", "a/", "ab", "b/", "é/"]
    assert selected("a/", "/") == ["a/b", "a/c", "a/d/"]
    assert selected("", "/", "a/") == ["ab", "b/", "é/"]
    assert selected("", None, "a/c") == ["a/d/e", "ab", "b/c", "é/x"]
    assert [info.is_prefix for info in select(rows, ListOptions("", "/"))] == [False, True, False, True, True]
    # A key that ends with its first delimiter is rolled up into a prefix of the same name.
    ending = [(info.key, info.is_prefix) for info in select(map(ObjectInfo, ("run1", "run10")), ListOptions("", "1"))]
    assert ending == [("run1", True)]


def test_a_streamed_copy_takes_attributes_along_where_they_can_be_kept():
    source, target = MemoryStore(), MemoryStore()
    source.write("a", b"1", WriteOptions(content_type="text/a", content_encoding="gzip", metadata={"x": "y"}))
    info = waist.stream_copy(source, "a", target, "b", WriteOptions(content_type="text/b"))
    assert (info.content_type, info.content_encoding, info.metadata) == ("text/b", "gzip", {"x": "y"})
    source.write("plain", b"1", WriteOptions(content_type="text/a"))
    assert waist.stream_copy(source, "plain", Tiny(), "b").size == 1


def test_a_streamed_copy_does_not_drop_what_the_bytes_mean():
    source, target = MemoryStore(), Tiny()
    source.write("a", b"1", WriteOptions(content_encoding="gzip"))
    with pytest.raises(Unsupported, match=r"encoding gzip.*decode"):
        waist.stream_copy(source, "a", target, "b")
    assert not target.exists("b")
