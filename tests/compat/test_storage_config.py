"""``storage.config_builder``: stores described in YAML."""

from __future__ import annotations

import asyncio

import pytest

from holdfast.compat.storage import config_builder, fs, utils
from holdfast.compat.storage.config_builder import ConfigError, StoreFactory, StoreRegistry, register_store
from holdfast.compat.storage.object import DictStore, ObjectStore
from holdfast.compat.storage.utils import IdentityStore
from tests.compat.rows import row


@pytest.fixture
def factory(tmp_path):
    def write(text):
        path = tmp_path / "stores.yaml"
        path.write_text(text)
        return StoreFactory(str(path))

    return write


EXAMPLE = """
stores:
  files:
    type: FilesystemStore
    config:
      root_path: ${ROOT}
  hash_prefix_store:
    type: HashPrefixStore
    base: files
    config: {hash_length: 4}
  readonly_store:
    type: ReadonlyStore
    base: hash_prefix_store
  backup_store:
    type: DictStore
  caching_store:
    type: CachingStore
    base:
      main_store: hash_prefix_store
      cache_store: backup_store
  mirror_store:
    type: MirroringStore
    base:
      - caching_store
      - backup_store
main: readonly_store
"""


@row("storage", "StoreFactory(config_path).build(store_name=None): stores, main, type, base, config")
@row("storage", "StoreFactory: base is a name, a list (MirroringStore) or {main_store, cache_store} (CachingStore)")
def test_stores_are_built(factory, tmp_path, monkeypatch):
    monkeypatch.setenv("ROOT", str(tmp_path / "root"))
    built = factory(EXAMPLE)
    store = built.build()
    assert isinstance(store, utils.ReadonlyStore)
    assert isinstance(store.store, utils.HashPrefixStore)
    assert isinstance(store.store.store, fs.FilesystemStore)
    with pytest.raises(NotImplementedError):
        store.put("a", b"1")
    caching = built.build("caching_store")
    caching.put("a", b"1")
    assert (tmp_path / "root" / "ca97" / "a").read_bytes() == b"1"
    assert isinstance(built.build(store_name="mirror_store"), utils.MirroringStore)
    assert store.get("a") == b"1"


@row("storage", "StoreFactory: asynchronous types (AsyncBucketStore, AsyncFanoutStore with a list of bases ...)")
def test_asynchronous_stores_are_built(factory, tmp_path):
    text = f"""
stores:
  bucket:
    type: AsyncBucketStore
    config:
      endpoint_url: http://127.0.0.1:9
      s3_access_key: X
      s3_secret_key: Y
      bucket_name: test-bucket
  one: {{type: AsyncFilesystemStore, config: {{root_path: {tmp_path / "one"}}}}}
  two: {{type: AsyncSqliteStore, config: {{db_path: {tmp_path / "two.db"}}}}}
  both: {{type: AsyncFanoutStore, base: [one, two]}}
  hashed: {{type: AsyncHashdirStore, config: {{root_path: {tmp_path / "three"}}}}}
  cached: {{type: AsyncCachingStore, base: {{main_store: both, cache_store: hashed}}}}
main: both
"""

    async def main():
        built = factory(text)
        assert built.build("bucket").name == "s3://http://127.0.0.1:9/test-bucket"
        async with built.build() as store:
            await store.put("a", b"1")
        assert (tmp_path / "one" / "a").read_bytes() == b"1"
        async with built.build("cached") as store:
            assert await store.get("a") == b"1"

    asyncio.run(main())


@row(
    "storage",
    "${VAR} and ${VAR:-default} where they are the whole string",
    "kept and fixed",
    "they may stand anywhere in a string",
)
def test_variables_are_filled_in(factory, tmp_path, monkeypatch):
    monkeypatch.setenv("NAME", "root")
    text = "stores: {a: {type: FilesystemStore, config: {root_path: '%s'}}}\nmain: a\n"
    assert factory(text % f"{tmp_path}/${{NAME}}/x").build().root_path == f"{tmp_path}/root/x"
    assert factory(text % "${MISSING:-/tmp/default}").build().root_path == "/tmp/default"
    assert factory(text % "${NAME:-/tmp/default}").build().root_path == "root"


@row("storage", "ConfigError \"Environment variable 'X' not found…\"")
@row("storage", 'ConfigError "Unknown store type: …"')
@row("storage", 'ConfigError "Recursive store definition found -- NAME mentioned multiple times"')
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stores: {a: {type: FilesystemStore, config: {root_path: '${X}'}}}", "Environment variable 'X' not found"),
        ("stores: {a: {type: NoStore}}", "Unknown store type: NoStore"),
        ("stores: {a: {type: MediaStore}}", "Unknown store type: MediaStore"),
        (
            "stores: {a: {type: IdentityStore, base: b}, b: {type: IdentityStore, base: a}}",
            "Recursive store definition found -- a mentioned multiple times",
        ),
    ],
)
def test_mistakes_are_told_as_before(factory, text, said):
    with pytest.raises(ConfigError, match=said) as raised:
        factory(f"{text}\nmain: a\n").build()
    assert "stores.yaml" in str(raised.value)


@row(
    "storage",
    "gap: StoreFactory: one base used twice, or build() called twice, is called recursive",
    "kept and fixed",
    "a shared base is one object, and each build makes new stores",
)
def test_a_base_may_be_shared(factory):
    text = """
stores:
  shared: {type: DictStore}
  one: {type: PrefixStore, base: shared, config: {prefix: one/}}
  two: {type: PrefixStore, base: shared, config: {prefix: two/}}
  both: {type: MirroringStore, base: [one, two]}
main: both
"""
    built = factory(text)
    store = built.build()
    store.put("a", b"1")
    assert store.children[0].store is store.children[1].store
    assert store.children[0].store.objects == {"one/a": b"1", "two/a": b"1"}
    assert built.build().keys() == set()


@row("storage", "STORES: every class by its name")
def test_every_class_may_be_named():
    assert StoreFactory.STORES is config_builder.STORES
    assert config_builder.STORES["DictStore"] is DictStore
    seed = (
        "AsyncSqliteStore AsyncFilesystemStore AsyncHashdirStore AsyncFanoutStore AsyncCachingStore SqliteStore "
        "FilesystemStore HashdirStore DictStore BucketStore AsyncBucketStore IdentityStore ReadonlyStore "
        "WriteonlyStore MirroringStore CachingStore NotifyingStore LoggingStore ExceptionLoggingStore "
        "TransformingStore TextEncodingStore GzipStore BufferStore Base64Store JsonStore KeyTransformingStore "
        "PrefixStore HashPrefixStore UrlEncodingStore UrlValidatingStore RegexValidatingStore"
    )
    assert [name for name in seed.split() if name not in config_builder.STORES] == []
    for name, kind in config_builder.STORES.items():
        assert kind.__name__ == name
        assert kind.__module__.startswith("holdfast.compat.storage.")


@row("storage", "register_store: a class of your own in configurations, by its name")
def test_own_classes_are_registered(factory):
    @register_store
    class MyOwnStore(IdentityStore):
        """Puts in capitals."""

        def put(self, key, data):
            return super().put(key, data.upper())

    store = factory("stores: {a: {type: DictStore}, b: {type: MyOwnStore, base: a}}\nmain: b\n").build()
    store.put("a", b"x")
    assert store.get("a") == b"X"
    with pytest.raises(ValueError, match="already registered"):
        register_store(MyOwnStore)


@row("storage", "StoreRegistry: register(cls), get(name)")
def test_a_registry():
    registry = StoreRegistry()

    class Mine(ObjectStore):
        """A store."""

    assert registry.register(Mine) is Mine
    assert registry.get("Mine") is Mine
    assert registry.get("Other") is None
    with pytest.raises(TypeError, match="must inherit from ObjectStore"):
        registry.register(int)


def test_stores_of_holdfast_may_be_named_too(factory):
    text = "stores: {a: {type: MemoryStore}, b: {type: SuffixStore, base: a}}\nmain: b\n"
    assert type(factory(text).build()).__module__.startswith("holdfast.wrap")
