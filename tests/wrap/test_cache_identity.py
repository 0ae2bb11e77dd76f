"""Stores that share a cache share copies only where they certainly show the same objects."""

from __future__ import annotations

import gc
import importlib
import os
import pickle

import pytest

from holdfast.store import READ, Wrapper
from holdfast.stores.file import FileStore
from holdfast.stores.file.renamed import HashdirStore
from holdfast.stores.memory import MemoryStore
from holdfast.stores.plain import DictStore, FilesystemStore
from holdfast.stores.sqlite import SqliteStore
from holdfast.wrap import _identity
from holdfast.wrap._identity import identity_of
from holdfast.wrap.cache import CachingStore
from holdfast.wrap.encrypt import EncryptingStore
from holdfast.wrap.guard import (
    IdentityStore,
    KeyValidatingStore,
    ReadonlyStore,
    RegexValidatingStore,
    RegexValidator,
    UrlValidatingStore,
    WriteonlyStore,
)
from holdfast.wrap.key_transformers import HashPrefixKeyTransformer, KeyTransformer, ValidatingKeyTransformer
from holdfast.wrap.mirror import MirroringStore
from holdfast.wrap.observe import ExceptionLoggingStore, LoggingStore, NotifyingStore
from holdfast.wrap.rekey import (
    HashPrefixStore,
    KeyTransform,
    KeyTransformingStore,
    PrefixStore,
    UrlEncodingStore,
)
from holdfast.wrap.retrying import RetryingStore
from holdfast.wrap.route import RegexRoutingStore
from holdfast.wrap.suffix import SuffixStore
from holdfast.wrap.throttle import ThrottledStore
from holdfast.wrap.transform import Base64Store, CompressingStore, GzipStore, JsonStore, TransformingStore
from holdfast.wrap.transformers import Base64Transformer, DataTransformer
from tests.user_stores import FourMethods
from tests.wrap.test_reflection import PLAIN, TABLE

KEY = bytes(range(32))
MODES = pytest.mark.parametrize("revalidate", ["etag", "ttl", "never"])


def cached(store, cache, key="k"):
    return CachingStore(store, cache, revalidate="never").get(key)


class Tenant(KeyTransform):
    """A user's wrapper of which the repr says too little."""

    def __init__(self, store, tenant):
        super().__init__(store)
        self.tenant = tenant

    def to_inner(self, key):
        return f"{self.tenant}/{key}"

    def to_outer(self, key):
        return key.removeprefix(f"{self.tenant}/")


class Shift(DataTransformer):
    """A user's transformer that shows nothing of itself."""

    def __init__(self, by):
        self.by = by

    def __repr__(self):
        return "Shift()"

    def reverse_transform(self, data):
        return bytes(byte + self.by for byte in data)


class Upper(MemoryStore):
    """A backend that a user changed."""

    def _read(self, key, options=READ):
        blob = super()._read(key, options)
        blob._data = blob._data.upper()
        return blob


@MODES
def test_stores_that_decode_otherwise_do_not_see_each_others_copies(revalidate):
    origin = MemoryStore()
    origin.put("k", b"aGVsbG8=")
    pairs = [
        (TransformingStore(origin), b"aGVsbG8="),
        (TransformingStore(origin, Base64Transformer()), b"hello"),
        (TransformingStore(origin, Shift(1)), bytes(byte + 1 for byte in b"aGVsbG8=")),
        (TransformingStore(origin, Shift(2)), bytes(byte + 2 for byte in b"aGVsbG8=")),
    ]
    cache = MemoryStore()
    for _ in range(2):
        for store, expected in pairs:
            assert CachingStore(store, cache, revalidate=revalidate).get("k") == expected


@MODES
def test_a_cache_gives_no_secret_to_who_has_another_key(revalidate):
    origin, cache = MemoryStore(), MemoryStore()
    CachingStore(EncryptingStore(origin, KEY), cache, revalidate=revalidate).put("k", b"secret")
    assert CachingStore(EncryptingStore(origin, KEY), cache, revalidate=revalidate).get("k") == b"secret"
    for other in (EncryptingStore(origin, bytes(32)), EncryptingStore(origin, KEY, context="other")):
        with pytest.raises(Exception, match="k"):
            CachingStore(other, cache, revalidate=revalidate).get("k")


def test_wrappers_of_a_user_that_look_alike_do_not_share_copies():
    origin, cache = MemoryStore(), MemoryStore()
    for tenant in ("alice", "bob"):
        Tenant(origin, tenant).put("k", tenant.encode())
    for tenant in ("alice", "bob"):
        assert cached(Tenant(origin, tenant), cache) == tenant.encode()

    class Loud(Wrapper):
        """What an observer forwards it may also change: of a user's class nobody knows."""

    assert identity_of(Loud(origin)) != identity_of(Loud(origin))
    assert identity_of(Upper("shared")) != identity_of(MemoryStore("shared"))


@pytest.mark.parametrize("revalidate", ["ttl", "never"])
def test_an_address_in_memory_that_is_used_again_is_another_store(revalidate):
    cache = MemoryStore()
    for number in range(200):
        store = CachingStore(FourMethods({"k": str(number).encode()}), cache, revalidate=revalidate)
        assert store.get("k") == str(number).encode()
        del store
        gc.collect(0)


def test_stores_that_are_gone_are_forgotten():
    before = len(_identity._names)
    stores = [FourMethods() for _ in range(50)]
    assert len({identity_of(store) for store in stores}) == 50
    del stores
    gc.collect()
    assert len(_identity._names) <= before


def test_one_store_of_a_user_shares_its_copies_while_it_lives():
    origin, cache = DictStore({"k": b"1"}), MemoryStore()
    assert cached(origin, cache) == b"1"
    origin.objects.update(k=b"2", more=b"3")
    assert cached(origin, cache) == b"1", "it was cached for good"


@pytest.mark.parametrize("origin", [DictStore({"k": b"1"}), MemoryStore()])
def test_copies_of_a_store_in_memory_are_stores_of_their_own(origin):
    """Both go on alone, and may come to the same ETag with other bytes."""
    origin.put("k", b"1")
    store = CachingStore(origin, MemoryStore("shared"), revalidate="never")
    store.get("k")
    other = pickle.loads(pickle.dumps(store))
    store.put("k", b"ours")
    other.put("k", b"theirs")
    assert [other.get("k"), store.get("k"), other.get("k")] == [b"theirs", b"ours", b"theirs"]
    store.clear()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_store_in_memory_of_a_forked_child_is_another(tmp_path):
    store = CachingStore(MemoryStore(), FileStore(tmp_path))
    store.put("k", b"0")
    child = os.fork()
    if not child:
        store.put("k", b"their")
        os._exit(0 if store.get("k") == b"their" else 1)
    assert os.waitpid(child, 0)[1] == 0
    store.main_store.put("k", b"other")  # of the same ETag and size
    assert store.get("k") == b"other"


def alike(path):
    """Stacks that show different objects, each made anew by each call."""
    files = str(path)

    def origin():
        return FileStore(files)

    return {
        "file": origin(),
        "hashdir": HashdirStore(files),
        "hashdir 2": HashdirStore(files, depth=2),
        "sqlite": SqliteStore(f"{files}/objects.db"),
        "prefix a": PrefixStore(origin(), "a/"),
        "prefix b": PrefixStore(origin(), "b/"),
        "hashed": HashPrefixStore(origin()),
        "hashed 4": HashPrefixStore(origin(), 4),
        "keys": KeyTransformingStore(origin()),
        "keys hashed": KeyTransformingStore(origin(), HashPrefixKeyTransformer(5)),
        "keys valid": KeyTransformingStore(origin(), ValidatingKeyTransformer(RegexValidator("[a-z]+"))),
        "encoded": UrlEncodingStore(origin()),
        "gzip": GzipStore(origin()),
        "gzip bounded": GzipStore(origin(), limit=5),
        "zstd": CompressingStore(origin(), "zstd"),
        "base64": Base64Store(origin()),
        "same": TransformingStore(origin()),
        "encrypted": EncryptingStore(origin(), KEY),
        "encrypted otherwise": EncryptingStore(origin(), bytes(32)),
        "encrypted by two": EncryptingStore(origin(), {"a": KEY, "b": bytes(32)}, "a"),
        "encrypted elsewhere": EncryptingStore(origin(), KEY, context="x"),
        "regex": RegexValidatingStore(origin(), "[a-z]+"),
        "regex 2": RegexValidatingStore(origin(), "[a-z]*"),
        "urls": UrlValidatingStore(origin()),
        "drop": WriteonlyStore(origin()),
        "suffixes": SuffixStore(origin()),
        "mirror": MirroringStore([origin(), SqliteStore(f"{files}/objects.db")]),
        "mirror primary": MirroringStore([origin(), SqliteStore(f"{files}/objects.db")], "primary"),
        "routes": RegexRoutingStore(origin(), {"a.*": SqliteStore(f"{files}/objects.db")}),
        "routes 2": RegexRoutingStore(origin(), {"b.*": SqliteStore(f"{files}/objects.db")}),
        "deep": GzipStore(PrefixStore(origin(), "a/")),
    }


def test_equal_stacks_share_copies_also_after_a_restart_and_others_never(tmp_path):
    one, two = alike(tmp_path), alike(tmp_path)
    identities = {name: identity_of(store) for name, store in one.items()}
    assert identities == {name: identity_of(store) for name, store in two.items()}
    assert len(set(identities.values())) == len(identities)


def test_a_wrapper_that_shows_the_same_objects_is_the_same_origin(tmp_path):
    origin = FileStore(tmp_path)
    for kind in (
        IdentityStore,
        ReadonlyStore,
        NotifyingStore,
        LoggingStore,
        ExceptionLoggingStore,
        RetryingStore,
        ThrottledStore,
        JsonStore,
        lambda store: CachingStore(store, MemoryStore()),
        lambda store: FilesystemStore(tmp_path),
    ):
        assert identity_of(kind(origin)) == identity_of(origin)


def test_what_a_function_accepts_nobody_knows(tmp_path):
    for make in (
        lambda: KeyValidatingStore(FileStore(tmp_path), str.islower),
        lambda: KeyTransformingStore(FileStore(tmp_path), ValidatingKeyTransformer(str.islower)),
        lambda: KeyTransformingStore(FileStore(tmp_path), type("Mine", (KeyTransformer,), {})()),
        lambda: type("Mine", (GzipStore,), {})(FileStore(tmp_path)),
        lambda: GzipStore(FourMethods()),
    ):
        assert identity_of(make()) != identity_of(make())
        store = make()
        assert identity_of(store) == identity_of(store)


def test_every_wrapper_says_what_it_shows():
    known = _identity.known()
    assert {f"holdfast.wrap.{name}" for name in {*TABLE, *PLAIN} - {"rekey.KeyTransform"}} == known
    for name in known:
        module, _, kind = name.rpartition(".")
        assert hasattr(importlib.import_module(module), kind)
