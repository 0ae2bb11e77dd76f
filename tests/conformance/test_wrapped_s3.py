"""The matrix, wrappers over S3 (moto), against what boto3 and the documented formats say."""

from __future__ import annotations

import gzip

import pytest

from holdfast.stores.memory import MemoryStore
from holdfast.wrap.cache import CachingStore
from holdfast.wrap.encrypt import EncryptingStore
from holdfast.wrap.mirror import MirroringStore
from holdfast.wrap.observe import LoggingStore, NotifyingStore
from holdfast.wrap.rekey import HashPrefixStore, PrefixStore
from holdfast.wrap.transform import GzipStore
from tests.conformance.test_s3 import OnMoto, S3Conformance, in_bucket

KEY = bytes(range(32))


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


class TestObserved(Wrapped):
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


class TestCached(Wrapped):
    def wrap(self, inner):
        return CachingStore(inner, MemoryStore())


class TestMirrored(Wrapped):
    def wrap(self, inner):
        return MirroringStore([PrefixStore(inner, "one/"), PrefixStore(inner, "two/")])

    def truth(self, store):
        one, two = (in_bucket(self.client, self.bucket_name, prefix) for prefix in ("one/", "two/"))
        assert one == two
        return one
