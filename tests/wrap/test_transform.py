from __future__ import annotations

import base64
import gzip
import io
import itertools
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import ConfigError, DecompressionError, EncodingError, NotFound, UnknownEncoding, Unsupported
from holdfast.store import ObjectStore
from holdfast.stores.file import FileStore
from holdfast.stores.memory import MemoryStore
from holdfast.testing import CountingStore
from holdfast.types import ReadOptions, WriteOptions
from holdfast.wrap.guard import ReadonlyStore
from holdfast.wrap.rekey import PrefixStore
from holdfast.wrap.transform import (
    Base64Store,
    BufferStore,
    CompressingStore,
    GzipStore,
    JsonStore,
    TextEncodingStore,
    TransformingStore,
    ValueStore,
)
from holdfast.wrap.transformers import (
    Base64Transformer,
    BufferTransformer,
    CompressingTransformer,
    DataTransformer,
    GzipTransformer,
    JsonTransformer,
    TextEncodingTransformer,
)


class Dict(ObjectStore):
    """A third party's five methods, which take and give bytes and nothing else."""

    def __init__(self):
        self.objects = {}

    def get(self, key):
        return self.objects[key]

    def put(self, key, data):
        assert type(data) is bytes
        self.objects[key] = data

    def delete(self, key):
        del self.objects[key]

    def exists(self, key):
        return key in self.objects


@pytest.fixture(params=[MemoryStore, Dict, lambda: PrefixStore(MemoryStore(), "p/"), "file"])
def inner(request, tmp_path):
    return FileStore(tmp_path) if request.param == "file" else request.param()


@pytest.mark.parametrize(
    ("wrap", "value"),
    [
        (JsonStore, {"a": [1, None, True, "ü\ud800"], "b": {"c": 1.5}}),
        (JsonStore, None),
        (TextEncodingStore, "grüezi \U0001f600"),
        (lambda store: TextEncodingStore(store, "utf-16"), "x"),
        (lambda store: JsonStore(GzipStore(store)), [1, 2]),
        (lambda store: ValueStore(Base64Store(store), TextEncodingTransformer()), "text"),
    ],
)
def test_values_come_back_from_any_store(inner, wrap, value):
    store = wrap(inner)
    store.put("key", value)
    assert store.get("key") == value
    assert store.exists("key")
    store.delete("key")
    with pytest.raises(KeyError):
        store.get("key")


def test_json_is_stored_as_other_programs_read_it():
    inner = MemoryStore()
    JsonStore(inner).put("a", {"ü": 1})
    assert inner.get("a") == '{"ü": 1}'.encode()
    assert JsonTransformer().reverse_transform('{"a": 1}') == {"a": 1}


def test_bytes_that_are_no_value_name_their_key():
    inner = MemoryStore()
    inner.put("bad", b"\xff{")
    for store in (JsonStore(inner), TextEncodingStore(inner)):
        with pytest.raises(EncodingError, match="'bad'") as raised:
            store.get("bad")
        assert isinstance(raised.value, ValueError)
        with pytest.raises(NotFound):
            store.get("missing")
    with pytest.raises(TypeError):
        JsonStore(inner).put("bad", object())
    with pytest.raises(TypeError):
        TextEncodingStore(inner).put("bad", b"bytes")
    with pytest.raises(UnicodeEncodeError):
        TextEncodingStore(inner, "ascii").put("bad", "ü")
    with pytest.raises(LookupError):
        TextEncodingStore(inner, "klingon")
    assert inner.get("bad") == b"\xff{"


def test_files_stream_into_a_buffer_store(tmp_path):
    inner = CountingStore(MemoryStore())
    store = BufferStore(inner)
    (tmp_path / "body").write_bytes(b"0123456789")
    with (tmp_path / "body").open("rb") as file:
        file.seek(3)
        store.put("a", file)
    found = store.get("a")
    assert isinstance(found, io.BytesIO)
    assert (found.tell(), found.read()) == (0, b"3456789")
    for wrong in (b"bytes", io.StringIO("text")):
        with pytest.raises(TypeError):
            store.put("b", wrong)
    assert not store.exists("b")
    with pytest.raises(TypeError):
        BufferTransformer().transform(io.StringIO("text"))
    assert BufferTransformer().transform(io.BytesIO(b"abc")) == b"abc"


@pytest.mark.parametrize(
    "store", [GzipStore(MemoryStore()), CompressingStore(MemoryStore(), "xz"), Base64Store(MemoryStore())]
)
def test_what_cannot_be_native_is_narrowed_and_nothing_stored_leaks_out(store):
    capabilities = store.capabilities
    assert not any((capabilities.ranges, capabilities.copy))
    assert capabilities.create
    assert capabilities.metadata
    info = store.write("a", b"0123456789" * 10, WriteOptions(content_type="text/x", metadata={"unit": "3"}))
    assert info.size == 100
    head = store.head("a")
    assert (head.size, head.etag, head.content_type, head.metadata) == (None, info.etag, "text/x", {"unit": "3"})
    assert [row.size for row in store.list()] == [None]
    assert store.get_range("a", 10, 12) == b"01"
    assert store.get_range("a", -3) == b"789"
    with store.read("a", ReadOptions(5, 8)) as blob:
        assert blob.emulated
        assert blob.size is None
        assert b"".join(blob.chunks()) == b"567"
    with pytest.raises(Unsupported):
        store.read("a", ReadOptions(if_match=info.etag))
    assert store._locate("a") is None
    target = MemoryStore()
    target.copy("a", "b", source=ReadonlyStore(store))
    assert target.get("b") == b"0123456789" * 10
    assert target.head("b").content_type == "text/x"


def test_bodies_stream_in_both_directions():
    chunk = os.urandom(1 << 20)
    held = []

    class Watching(MemoryStore):
        def _write(self, key, body, options=WriteOptions()):  # noqa: B008
            taken = 0
            for part in body:
                taken += len(part)
                held.append((produced[0], taken))
            return super()._write(key, b"", options)

    produced = [0]

    def produce():
        for _ in range(40):
            produced[0] += len(chunk)
            yield chunk

    for wrap in (GzipStore, Base64Store):
        produced[0] = 0
        held.clear()
        wrap(Watching()).write("a", produce())
        ahead = max(given - taken for given, taken in held)
        assert ahead < 16 << 20, "the body was gathered before it was handed on"

    inner = MemoryStore()
    store = GzipStore(inner)
    store.write("big", itertools.repeat(chunk, 20))
    with store.read("big") as blob:
        first = next(iter(blob.chunks()))
    assert len(first) <= 4 << 20


def test_a_body_that_is_small_arrives_whole_so_that_it_can_be_sent_again():
    seen = []

    class Looking(MemoryStore):
        def _write(self, key, body, options=WriteOptions()):  # noqa: B008
            seen.append(type(body))
            return super()._write(key, body, options)

    store = GzipStore(Looking())
    store.put("a", b"abc")
    store.put("b", iter([b"abc"]))
    assert seen == [bytes, bytes]


@pytest.mark.parametrize(
    "damage", [lambda d: d[:-1], lambda d: d[:10], lambda d: b"", lambda d: d[:20] + b"\0" + d[21:]]
)
def test_damaged_bodies_are_errors_that_name_their_key(damage):
    inner = MemoryStore()
    store = GzipStore(inner)
    store.put("a", os.urandom(1000))
    inner.put("a", damage(inner.get("a")))
    for reading in (lambda: store.get("a"), lambda: b"".join(store.read("a").chunks())):
        with pytest.raises(DecompressionError) as raised:
            reading()
        assert raised.value.key == "a"
        assert raised.value.store == "memory"


def test_bombs_are_refused():
    inner = MemoryStore()
    inner.put("bomb", gzip.compress(bytes(10 << 20)))
    with pytest.raises(DecompressionError, match="more than"):
        GzipStore(inner, limit=1 << 20).get("bomb")


@given(st.lists(st.binary(max_size=9), max_size=6), st.integers(1, 9))
def test_base64_is_that_of_the_standard_library_however_it_is_cut(chunks, step):
    data = b"".join(chunks)
    encoded = b"".join(Base64Transformer().transform_chunks(chunks))
    assert encoded == base64.b64encode(data) == Base64Transformer().transform(data)
    lines = base64.encodebytes(data)
    cut = [lines[at : at + step] for at in range(0, len(lines), step)]
    assert b"".join(Base64Transformer().reverse_chunks(cut)) == data
    assert Base64Transformer().reverse_transform(encoded.decode()) == data


@pytest.mark.parametrize("text", [b"a", b"abc", b"abcd=", b"ab==cdef", b"ab=c", b"a?bc", b"=abc", b"\xff\xff\xff\xff"])
@pytest.mark.parametrize("step", [1, 4, 100])
def test_what_is_no_base64_is_an_error(text, step):
    inner = MemoryStore()
    inner.put("a", text)
    with pytest.raises(EncodingError):
        Base64Store(inner).get("a")
    with pytest.raises(EncodingError):
        list(Base64Transformer().reverse_chunks(text[at : at + step] for at in range(0, len(text), step)))


def test_wrong_settings_are_told_at_once():
    with pytest.raises(UnknownEncoding):
        CompressingStore(MemoryStore(), "lzma9000")
    with pytest.raises(ConfigError):
        GzipStore(MemoryStore(), level=99)
    with pytest.raises(ValueError, match="no compression"):
        CompressingStore(MemoryStore(), "identity")
    with pytest.raises(TypeError, match="ValueStore"):
        TransformingStore(MemoryStore(), JsonTransformer())


def test_a_transformer_that_makes_no_bytes_is_a_type_error():
    class Wrong(DataTransformer):
        def transform(self, data):
            return "text"

    store = TransformingStore(MemoryStore(), Wrong())
    with pytest.raises(TypeError, match="Wrong gave str"):
        store.put("a", b"1")
    assert not store.exists("a")
    assert TransformingStore(MemoryStore()).put("a", b"1").size == 1


def test_transformers_tell_what_they_are():
    assert repr(GzipTransformer(3)) == "GzipTransformer(level=3, limit=None)"
    assert repr(CompressingTransformer("br")) == "CompressingTransformer(encoding='br', level=None, limit=None)"
