"""The matrix, thirteen deep stacks, two of them from YAML: what the parts guarantee holds for the whole."""

from __future__ import annotations

import base64
import itertools
import logging
import tempfile
import textwrap
from pathlib import Path

import pytest

from holdfast.config import StoreFactory
from holdfast.store import SimpleWrapper
from holdfast.stores.file import FileStore
from holdfast.stores.memory import MemoryStore
from holdfast.wrap.cache import CachingStore
from holdfast.wrap.encrypt import EncryptingStore
from holdfast.wrap.guard import IdentityStore, KeyValidatingStore, ReadonlyStore, RegexValidatingStore
from holdfast.wrap.mirror import MirroringStore
from holdfast.wrap.observe import LoggingStore, NotifyingStore
from holdfast.wrap.rekey import HashPrefixStore, PrefixStore, UrlEncodingStore
from holdfast.wrap.retrying import RetryingStore
from holdfast.wrap.route import RegexRoutingStore
from holdfast.wrap.suffix import SuffixStore
from holdfast.wrap.throttle import ThrottledStore
from holdfast.wrap.transform import Base64Store, CompressingStore, GzipStore, JsonStore
from tests.conformance.wrapped import WrapperConformance

KEY = bytes(range(32))
_serial = itertools.count()
LOGGER = logging.getLogger("holdfast.test.stack")


def observed(store):
    """As somebody would have it who wants to know everything."""
    return NotifyingStore(LoggingStore(IdentityStore(ThrottledStore(store, operations_per_second=1e9)), logger=LOGGER))


def archive(store):
    """Encrypted, compressed before that, spread by hash."""
    return GzipStore(EncryptingStore(HashPrefixStore(PrefixStore(store, "archive/")), KEY))


def encoded(store):
    """Any key and any byte over a store of text."""
    return Base64Store(UrlEncodingStore(PrefixStore(RetryingStore(store), "text/")))


def mirrored(store):
    """Mirrored between two prefixes, one of them compressed and under other keys."""
    return MirroringStore([PrefixStore(store, "one/"), HashPrefixStore(CompressingStore(PrefixStore(store, "two/")))])


def primary(store):
    """A mirror that still creates, replaces and deletes exactly."""
    return LoggingStore(MirroringStore([store, CompressingStore(MemoryStore())], "primary"), logger=LOGGER)


def cached(store):
    """A cache of what was decoded, below a prefix."""
    return PrefixStore(CachingStore(RetryingStore(CompressingStore(store, "zstd")), MemoryStore()), "p/")


def cached_twice(store):
    """A small cache in front of a larger one, encrypted at rest."""
    large = CachingStore(IdentityStore(store), EncryptingStore(PrefixStore(MemoryStore(), "c/"), KEY))
    return CachingStore(large, MemoryStore(), max_bytes=100_000, revalidate="ttl")


def routed(store):
    """Keys led into three layouts."""
    return RegexRoutingStore(
        PrefixStore(store, "rest/"),
        {"(?s)d.*": PrefixStore(store, "d/"), "(?s)a.*": EncryptingStore(PrefixStore(store, "a/"), KEY)},
    )


def everything(store):
    """The promise of the issue: logged, compressed, hashed, cached, mirrored."""
    bucket = MirroringStore([PrefixStore(store, "main/"), MemoryStore()], "quorum")
    stack = CachingStore(GzipStore(HashPrefixStore(bucket)), MemoryStore())
    return LoggingStore(RegexValidatingStore(stack, r"(?s)[^\x00].*"), "photos", LOGGER)


def five_methods(store):
    """A third party's store at the bottom, and the bytes of values on the way."""
    return KeyValidatingStore(
        PrefixStore(JsonStore(ThrottledStore(RetryingStore(SimpleWrapper(store)), bytes_per_second=1e12)), "five/"),
        lambda key: key != "\x01",
    )


def suffixes(store):
    """Names as CloudFiles writes them, observed, under a prefix."""
    return PrefixStore(NotifyingStore(SuffixStore(PrefixStore(store, "local/"))), "x/")


def from_yaml(store):
    """The promise of the issue again, as somebody writes it down: ten lines."""
    return configured(
        store,
        """
        stores:
          bucket: {type: location, config: {url: "${BENEATH}"}}
          one: {type: PrefixStore, base: bucket, config: {prefix: one/}}
          two: {type: PrefixStore, base: bucket, config: {prefix: two/}}
          hashed: {type: HashPrefixStore, base: two, config: {hash_length: 4}}
          both: {type: MirroringStore, base: [one, hashed], config: {policy: all}}
          small: {type: GzipStore, base: both}
          memory: {type: MemoryStore}
          cached: {type: CachingStore, base: {main_store: small, cache_store: memory}, config: {revalidate: etag}}
          logged: {type: LoggingStore, base: cached, config: {store_name: photos}}
        main: logged
        """,
    )


def secrets_from_yaml(store):
    """Encrypted with a key from the environment, routed, retried, under names of its own."""
    return configured(
        store,
        """
        stores:
          bucket: {type: location, config: {url: "${BENEATH}"}}
          patient: {type: RetryingStore, base: bucket, config: {policy: {tries: 3}}}
          named: {type: UrlEncodingStore, base: patient}
          secret: {type: EncryptingStore, base: named, config: {keys: {main: "${MASTER_KEY}"}, context: "tests"}}
          rest: {type: PrefixStore, base: named, config: {prefix: rest/}}
          d: {type: PrefixStore, base: secret, config: {prefix: d/}}
          routed: {type: RegexRoutingStore, base: {store: rest, routes: {"(?s)d.*": d}}}
          paced: {type: ThrottledStore, base: routed, config: {operations_per_second: 1000000000}}
          noticed: {type: NotifyingStore, base: paced}
        main: noticed
        """,
    )


def configured(store, text):
    """The main store of this file, in which ${BENEATH} is where the store lies (for memory: another bucket)."""
    where = f"file://{store.root}" if isinstance(store, FileStore) else f"mem://stack{next(_serial)}"
    with tempfile.TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENEATH", where)
        patch.setenv("MASTER_KEY", base64.b64encode(KEY).decode())
        path = Path(directory) / "stores.yaml"
        path.write_text(textwrap.dedent(text))
        return StoreFactory(path).build()


STACKS = [
    *(from_yaml, secrets_from_yaml),
    *(observed, archive, encoded, mirrored, primary, cached, cached_twice, routed, everything, five_methods, suffixes),
]
SIZELESS = {from_yaml, archive, encoded, cached, everything}


@pytest.mark.parametrize("build", STACKS, ids=lambda build: build.__name__)
class TestStacks(WrapperConformance):
    many = 60
    rounds = 12
    large = 2 << 20

    @pytest.fixture(autouse=True)
    def _sizes(self, build):
        self.sizes = build not in SIZELESS

    @pytest.fixture
    def store(self, inner, build):
        self.inner = inner
        with build(inner) as store:
            yield store

    def truth(self, store):
        return None


@pytest.mark.parametrize("build", STACKS, ids=lambda build: build.__name__)
def test_a_read_only_stack_can_be_opened_twice(build, tmp_path):
    inner = FileStore(tmp_path)
    stack = build(inner)
    with stack:
        stack.put("a", b"1")
    store = ReadonlyStore(stack)
    for _ in range(2):
        with store:
            assert store.get("a") == b"1"
            assert list(store.keys()) == ["a"]
