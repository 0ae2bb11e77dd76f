"""The matrix, with bodies transformed, over memory and over files."""

from __future__ import annotations

import base64
import gzip

import pytest

from holdfast import codecs
from holdfast.wrap.guard import IdentityStore
from holdfast.wrap.transform import (
    Base64Store,
    BufferStore,
    CompressingStore,
    GzipStore,
    JsonStore,
    TextEncodingStore,
    TransformingStore,
)
from tests.conformance.wrapped import WrapperConformance


class Inverted(TransformingStore):
    """A user's transformation of whole bodies."""

    def transform(self, data):
        return bytes(255 - byte for byte in data)

    def reverse_transform(self, data):
        return bytes(255 - byte for byte in data)


class TransformConformance(WrapperConformance):
    sizes = False
    pickles = True


class TestGzip(TransformConformance):
    def wrap(self, inner):
        return GzipStore(inner)

    def unwrapped(self, key, data):
        return key, gzip.decompress(data)


@pytest.mark.parametrize("coding", ["zstd", "br"])
class TestCompressing(TransformConformance):
    @pytest.fixture(autouse=True)
    def chosen(self, coding):
        self.coding = coding

    @pytest.fixture
    def store(self, inner, coding):
        self.inner = inner
        return CompressingStore(inner, coding)

    def unwrapped(self, key, data):
        return key, codecs.decompress(data, self.coding)


class TestBase64(TransformConformance):
    def wrap(self, inner):
        return Base64Store(inner)

    def unwrapped(self, key, data):
        return key, base64.b64decode(data, validate=True)


class TestASubclassWithTwoMethods(TransformConformance):
    large = 200_000  # byte by byte

    def wrap(self, inner):
        return Inverted(inner)

    def unwrapped(self, key, data):
        return key, bytes(255 - byte for byte in data)


@pytest.mark.parametrize("kind", [TextEncodingStore, BufferStore, JsonStore])
class TestTheBytesOfValues(WrapperConformance):
    pickles = True

    @pytest.fixture
    def store(self, inner, kind):
        self.inner = inner
        return IdentityStore(kind(inner))
