"""Stores against a dict: random sequences of every operation, each answer compared with what a dict would say."""

from __future__ import annotations

import itertools
import shutil
import tempfile

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule, run_state_machine_as_test

from holdfast.errors import AlreadyExists, Conflict, NotFound, PathConflict, Unsupported
from holdfast.keys import sort_key
from holdfast.store import select
from holdfast.stores.file import FileStore
from holdfast.stores.memory import MemoryStore
from holdfast.stores.plain import DictStore, SafeFilesystemStore
from holdfast.stores.redis import RedisStore
from holdfast.stores.sqlite import SqliteStore
from holdfast.types import ListOptions, ObjectInfo, ReadOptions, WriteOptions
from holdfast.wrap.cache import CachingStore
from holdfast.wrap.encrypt import EncryptingStore
from holdfast.wrap.guard import IdentityStore
from holdfast.wrap.mirror import MirroringStore
from holdfast.wrap.observe import LoggingStore, NotifyingStore
from holdfast.wrap.rekey import HashPrefixStore, PrefixStore, UrlEncodingStore
from holdfast.wrap.retrying import RetryingStore
from holdfast.wrap.route import RegexRoutingStore
from holdfast.wrap.transform import GzipStore
from tests.conformance.test_stacks import SIZELESS, STACKS, archive, five_methods, primary
from tests.stores.s3_stores import open_store
from tests.user_stores import FiveMethods

# Few keys, so that they meet; some are prefixes of others, and of directories of others.
KEYS = st.sampled_from(["a", "a.b", "a/b", "a/c", "ab", "ab/c/d", "b", "b/é", "c d", "\U0001f600", "\uffee"])
PREFIXES = st.sampled_from(["", "a", "a/", "ab", "ab/c", "b/", "c", "\uffee", "nothing"])
BODIES = st.binary(max_size=20)
EDGES = st.one_of(st.none(), st.integers(0, 25))


class StoreMachine(RuleBasedStateMachine):
    """One store and the dict that it should be equal to; ``versions`` are (key, etag, body) that once were written."""

    versions = Bundle("versions")
    tree = False
    #: Whether listings tell sizes.
    sizes = True

    def __init__(self):
        super().__init__()
        self.model = {}
        self.etags = {}
        self.store = self.make()

    def make(self):
        raise NotImplementedError

    def remember(self, key, body, info):
        assert info.key == key
        assert info.size == len(body)
        self.model[key] = body
        self.etags[key] = self.store.head(key).etag
        assert info.etag == self.etags[key]
        return key, info.etag or "never"  # None is no condition

    def blocked(self, key):
        """Whether a directory or a file of this name is in the way, as only a tree of files can have it."""
        if not self.tree:
            return False
        return any(other.startswith(key + "/") or key.startswith(other + "/") for other in self.model)

    @rule(target=versions, key=KEYS, body=BODIES)
    def put(self, key, body):
        if self.blocked(key):
            with pytest.raises(PathConflict):
                self.store.put(key, body)
            return key, "never"
        return self.remember(key, body, self.store.put(key, body))

    @rule(target=versions, key=KEYS, bodies=st.lists(BODIES, max_size=3), name=st.sampled_from(["x", "y"]))
    def put_chunks_with_attributes(self, key, bodies, name):
        if self.blocked(key):
            return key, "never"
        options = WriteOptions(content_type=f"text/{name}", metadata={"name": name})
        if not self.store.capabilities.metadata:
            with pytest.raises(Unsupported):
                self.store.write(key, iter(bodies), options)
            return key, "never"
        version = self.remember(key, b"".join(bodies), self.store.write(key, iter(bodies), options))
        info = self.store.head(key)
        assert (info.content_type, info.metadata) == (f"text/{name}", {"name": name})
        return version

    @rule(target=versions, key=KEYS, body=BODIES)
    def create(self, key, body):
        if self.blocked(key):
            return key, "never"
        if not self.store.capabilities.create:
            with pytest.raises(Unsupported):
                self.store.create(key, body)
            return key, "never"
        if key in self.model:
            with pytest.raises(AlreadyExists):
                self.store.create(key, body)
            return key, self.etags[key]
        return self.remember(key, body, self.store.create(key, body))

    @rule(target=versions, version=versions, body=BODIES)
    def replace_if(self, version, body):
        key, etag = version
        if not self.store.capabilities.replace_if:
            with pytest.raises(Unsupported):
                self.store.replace_if(key, body, etag)
            return version
        if key in self.model and self.etags[key] == etag:
            return self.remember(key, body, self.store.replace_if(key, body, etag))
        with pytest.raises((Conflict, PathConflict)):
            self.store.replace_if(key, body, etag)
        return version

    @rule(version=consumes(versions))
    def delete_if(self, version):
        key, etag = version
        if not self.store.capabilities.delete_if:
            with pytest.raises(Unsupported):
                self.store.delete_if(key, etag)
        elif key not in self.model:
            with pytest.raises(NotFound):
                self.store.delete_if(key, etag)
        elif self.etags[key] == etag:
            self.store.delete_if(key, etag)
            del self.model[key]
        else:
            with pytest.raises(Conflict):
                self.store.delete_if(key, etag)

    @rule(version=versions)
    def read_if(self, version):
        key, etag = version
        if not self.store.capabilities.ranges:
            with pytest.raises(Unsupported):
                self.store.read(key, ReadOptions(if_match=etag))
        elif key not in self.model:
            with pytest.raises(NotFound):
                self.store.read(key, ReadOptions(if_match=etag))
        elif self.etags[key] == etag:
            with self.store.read(key, ReadOptions(if_match=etag)) as blob:
                assert blob.bytes() == self.model[key]
        else:
            with pytest.raises(Conflict):
                self.store.read(key, ReadOptions(if_match=etag))

    @rule(key=KEYS)
    def get(self, key):
        assert self.store.exists(key) == (key in self.model)
        if key in self.model:
            assert self.store.get(key) == self.model[key]
        else:
            with pytest.raises(KeyError):
                self.store.get(key)

    @rule(key=KEYS, start=EDGES, end=EDGES)
    def get_range(self, key, start, end):
        if key in self.model:
            assert self.store.get_range(key, start, end) == self.model[key][start:end]
        else:
            with pytest.raises(NotFound):
                self.store.get_range(key, start, end)

    @rule(key=KEYS, count=st.integers(1, 25))
    def get_the_end(self, key, count):
        if key in self.model:
            assert self.store.get_range(key, -count) == self.model[key][-count:]

    @rule(key=KEYS)
    def delete(self, key):
        if key in self.model:
            self.store.delete(key)
            del self.model[key]
        else:
            with pytest.raises(NotFound):
                self.store.delete(key)

    @rule(keys=st.lists(KEYS, max_size=5))
    def remove(self, keys):
        assert self.store.remove(keys) == [None] * len(keys)
        for key in keys:
            self.model.pop(key, None)

    @rule(target=versions, src=KEYS, dst=KEYS)
    def copy(self, src, dst):
        if src not in self.model:
            if not self.blocked(dst):
                with pytest.raises(NotFound):
                    self.store.copy(src, dst)
            return dst, "never"
        if self.blocked(dst):
            with pytest.raises(PathConflict):
                self.store.copy(src, dst)
            return dst, "never"
        return self.remember(dst, self.model[src], self.store.copy(src, dst))

    @rule(prefix=PREFIXES, delimiter=st.sampled_from([None, "/"]), after=st.one_of(st.none(), KEYS, PREFIXES))
    def list(self, prefix, delimiter, after):
        rows = [ObjectInfo(key) for key in sorted(self.model, key=sort_key)]
        expected = [(row.key, row.is_prefix) for row in select(rows, ListOptions(prefix, delimiter, after))]
        found = [(row.key, row.is_prefix) for row in self.store.list(prefix, delimiter=delimiter, start_after=after)]
        assert self.ordered(found) == expected

    def ordered(self, rows):
        """The rows as they came, of a store that is sorted; else in order."""
        return rows if self.store.capabilities.sorted else sorted(rows, key=lambda row: sort_key(row[0]))

    @invariant()
    def the_store_is_the_dict(self):
        rows = [
            (info.key, len(self.model[info.key]) if info.size is None and not self.sizes else info.size)
            for info in self.store.list()
        ]
        assert self.ordered(rows) == [(key, len(self.model[key])) for key in sorted(self.model, key=sort_key)]
        for key, etag in self.etags.items():
            if key in self.model:
                assert self.store.head(key).etag == etag


class MemoryMachine(StoreMachine):
    tree = False

    def make(self):
        return MemoryStore()


class PrefixMachine(StoreMachine):
    tree = False

    def make(self):
        self.inner = MemoryStore()
        self.inner.put("p", b"neighbour")
        self.inner.put("pr0", b"neighbour")
        return PrefixStore(self.inner, "pr/")

    def teardown(self):
        assert self.inner.get("p") == self.inner.get("pr0") == b"neighbour"


class FileMachine(StoreMachine):
    tree = True

    def make(self):
        self.root = tempfile.mkdtemp(prefix="holdfast-machine-")
        return FileStore(self.root)

    def teardown(self):
        self.store.close()
        shutil.rmtree(self.root)


class CacheMachine(StoreMachine):
    def make(self):
        return CachingStore(MemoryStore(), MemoryStore(), max_bytes=2000)


class NeverAskingCacheMachine(StoreMachine):
    def make(self):
        return CachingStore(MemoryStore(), MemoryStore(), revalidate="never")


class MirrorMachine(StoreMachine):
    def make(self):
        return MirroringStore([MemoryStore(), GzipStore(MemoryStore())])


class PrimaryMachine(StoreMachine):
    def make(self):
        return MirroringStore([MemoryStore(), HashPrefixStore(MemoryStore())], "primary")


class EncryptedMachine(StoreMachine):
    def make(self):
        return HashPrefixStore(EncryptingStore(UrlEncodingStore(MemoryStore()), bytes(32)))


class StackMachine(StoreMachine):
    """Logged, routed, cached, compressed, encrypted."""

    sizes = False

    def make(self):
        bottom = GzipStore(EncryptingStore(MemoryStore(), bytes(32)))
        cached = CachingStore(RetryingStore(bottom), MemoryStore())
        return LoggingStore(RegexRoutingStore(cached, {"a.*": NotifyingStore(GzipStore(MemoryStore()))}))


MACHINES = [
    *(MemoryMachine, PrefixMachine, FileMachine, CacheMachine, NeverAskingCacheMachine, MirrorMachine, PrimaryMachine),
    *(EncryptedMachine, StackMachine),
]


@pytest.mark.slow
@pytest.mark.parametrize("machine", MACHINES)
def test_a_store_does_what_a_dict_does(machine, soak):
    compare(machine, 1000 if soak else 60)


def compare(machine, examples, steps=40):
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            suppress_health_check=[HealthCheck.too_slow],
            deadline=None,
        ),
    )


def machine_of(open_new, **attributes):
    """A machine whose stores are those that ``open_new(directory)`` gives, empty each time."""

    class Machine(StoreMachine):
        def make(self):
            self.directory = tempfile.mkdtemp(prefix="holdfast-machine-")
            return open_new(self.directory)

        def teardown(self):
            self.store.close()
            shutil.rmtree(self.directory)

    for name, value in attributes.items():
        setattr(Machine, name, value)
    return Machine


LOCAL = {
    "dict": lambda directory: IdentityStore(DictStore()),
    "five-methods": lambda directory: IdentityStore(FiveMethods()),
    "safe-files": SafeFilesystemStore,
    "sqlite": lambda directory: SqliteStore(f"{directory}/objects.db"),
}

#: Five methods list keys, and nothing else.
UNSIZED = {"dict", "five-methods"}


@pytest.mark.slow
@pytest.mark.parametrize("name", LOCAL)
def test_a_local_store_does_what_a_dict_does(name, soak):
    compare(machine_of(LOCAL[name], sizes=name not in UNSIZED), 300 if soak else 25)


@pytest.mark.slow
@pytest.mark.parametrize("build", STACKS, ids=lambda build: build.__name__)
def test_a_deep_stack_does_what_a_dict_does(build, soak):
    compare(
        machine_of(lambda directory: build(MemoryStore()), sizes=build not in {*SIZELESS, five_methods}),
        300 if soak else 15,
    )


@pytest.mark.server
def test_redis_does_what_a_dict_does(redis, soak):
    client = pytest.importorskip("redis").Redis.from_url(redis.endpoint)

    def open_new(directory):
        client.flushdb()
        return RedisStore(client)

    with client:
        compare(machine_of(open_new), 100 if soak else 10)


@pytest.mark.server
@pytest.mark.parametrize("build", [IdentityStore, archive, primary], ids=lambda build: build.__name__)
def test_s3_does_what_a_dict_does(moto, build, soak):
    bucket, numbers = moto.make_bucket(), itertools.count()
    compare(
        machine_of(
            lambda directory: build(PrefixStore(open_store(moto, bucket), f"{next(numbers)}/")),
            sizes=build not in SIZELESS,
        ),
        40 if soak else 4,
        20,
    )
