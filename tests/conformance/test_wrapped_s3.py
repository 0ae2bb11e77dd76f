"""The matrix, wrappers over S3 (moto), against what boto3 and the documented formats say."""

from __future__ import annotations

import gzip
from urllib.parse import unquote

import pytest

from holdfast.stores.memory import MemoryStore
from holdfast.wrap.cache import CachingStore
from holdfast.wrap.encrypt import EncryptingStore
from holdfast.wrap.guard import (
    IdentityStore,
    KeyValidatingStore,
    ReadonlyStore,
    RegexValidatingStore,
)
from holdfast.wrap.key_transformers import PrefixKeyTransformer
from holdfast.wrap.mirror import MirroringStore
from holdfast.wrap.observe import ExceptionLoggingStore, LoggingStore, NotifyingStore
from holdfast.wrap.rekey import HashPrefixStore, KeyTransformingStore, PrefixStore, UrlEncodingStore
from holdfast.wrap.retrying import RetryingStore
from holdfast.wrap.route import RegexRoutingStore
from holdfast.wrap.suffix import SuffixStore
from holdfast.wrap.throttle import ThrottledStore
from holdfast.wrap.transform import (
    Base64Store,
    BufferStore,
    CompressingStore,
    GzipStore,
    JsonStore,
    TextEncodingStore,
    TransformingStore,
)
from holdfast.wrap.transformers import Base64Transformer
from tests.conformance.test_s3 import OnMoto, S3Conformance, in_bucket
from tests.conformance.wrapped import urls

KEY = bytes(range(32))


class KeysPassAlong:
    """For wrappers that do nothing to keys: what becomes of awkward ones is shown by others, and takes long."""

    test_a_key_is_stored_faithfully_or_refused = None
    test_two_keys_are_never_one_object = None
    test_a_prefix_that_no_key_has_lists_nothing = None


class Wrapped(OnMoto, S3Conformance):
    pickles = False
    rounds = 8

    def wrap(self, inner):
        raise NotImplementedError

    def unwrapped(self, key, data):
        return key, data

    @pytest.fixture
    def store(self, inner):
        return self.wrap(inner)

    def truth(self, store):
        return dict(self.unwrapped(key, data) for key, data in in_bucket(self.client, self.bucket_name).items())


class TestObserved(KeysPassAlong, Wrapped):
    def wrap(self, inner):
        return NotifyingStore(LoggingStore(inner))


class TestGzipAndHashPrefix(Wrapped):
    sizes = False

    def wrap(self, inner):
        return GzipStore(HashPrefixStore(inner))

    def unwrapped(self, key, data):
        return key[9:], gzip.decompress(data)


class TestEncrypted(Wrapped):
    def wrap(self, inner):
        return EncryptingStore(inner, KEY)

    def unwrapped(self, key, data):
        other = MemoryStore()
        other.put(key, data)
        return key, EncryptingStore(other, KEY).get(key)


class TestCached(KeysPassAlong, Wrapped):
    def wrap(self, inner):
        return CachingStore(inner, MemoryStore())


class TestMirrored(Wrapped):
    def wrap(self, inner):
        return MirroringStore([PrefixStore(inner, "one/"), PrefixStore(inner, "two/")])

    def truth(self, store):
        one, two = (in_bucket(self.client, self.bucket_name, prefix) for prefix in ("one/", "two/"))
        assert one == two
        return one


class TestRekeyed(Wrapped):
    def wrap(self, inner):
        return UrlEncodingStore(KeyTransformingStore(inner, PrefixKeyTransformer("below/")))

    def unwrapped(self, key, data):
        return unquote(key.removeprefix("below/"), errors="surrogateescape"), data


class TestReadonly(KeysPassAlong, Wrapped):
    def wrap(self, inner):
        self.inner = inner
        return ReadonlyStore(inner)

    def seed(self, store, key, data):
        self.inner.put(key, data)


def guarded(store):
    return IdentityStore(RegexValidatingStore(KeyValidatingStore(store, lambda key: "%" not in key), "(?s).+"))


def values(store):
    """The verbs of facades deal in stored bytes."""
    return IdentityStore(JsonStore(BufferStore(TextEncodingStore(ExceptionLoggingStore(store)))))


def transformed(store):
    return Base64Store(CompressingStore(TransformingStore(store, Base64Transformer())))


def patient(store):
    return RetryingStore(ThrottledStore(store, operations_per_second=1e9, bytes_per_second=1e12))


def routed(store):
    return RegexRoutingStore(PrefixStore(store, "rest/"), {"(?s)r.*": PrefixStore(store, "r/")})


@pytest.mark.parametrize("build", [guarded, urls, values, transformed, patient, routed, SuffixStore])
class TestTheOthers(KeysPassAlong, OnMoto, S3Conformance):
    pickles = False
    rounds = 4
    many = 15
    large = 5 << 20
    test_a_range_of_an_empty_object_is_empty = None
    test_what_is_no_body_is_a_type_error = None

    @pytest.fixture
    def store(self, inner, build):
        return build(inner)

    @pytest.fixture(autouse=True)
    def _sizes(self, build):
        self.sizes = build is not transformed

    def truth(self, store):
        return None
