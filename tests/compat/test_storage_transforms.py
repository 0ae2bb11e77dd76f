"""``storage.utils``: what changes data and keys on their way, and the transformers as data."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io

import pytest

from holdfast.compat.storage.fs import FilesystemStore
from holdfast.compat.storage.object import DictStore
from holdfast.compat.storage.utils import (
    Base64Store,
    Base64Transformer,
    BufferStore,
    BufferTransformer,
    DataTransformer,
    GzipStore,
    GzipTransformer,
    HashPrefixKeyTransformer,
    HashPrefixStore,
    IdentityStore,
    JsonStore,
    JsonTransformer,
    KeyTransformer,
    KeyTransformingStore,
    KeyValidatingStore,
    PrefixKeyTransformer,
    PrefixStore,
    RegexValidatingStore,
    RegexValidator,
    TextEncodingStore,
    TextEncodingTransformer,
    TransformingStore,
    UrlEncodingKeyTransformer,
    UrlEncodingStore,
    UrlValidatingStore,
    ValidatingKeyTransformer,
    validate_http_url_key,
)
from tests.compat.rows import row

SHA = hashlib.sha256(b"key").hexdigest()


class Reversing:
    """A transformer of one's own, with no base class."""

    def transform(self, data):
        return data[::-1]

    def reverse_transform(self, data):
        return data[::-1]


@row("storage", "TransformingStore(store, transformer=None): by a transformer")
@pytest.mark.parametrize("kind", [Reversing, type("Derived", (Reversing, DataTransformer), {})])
def test_transforming_by_a_transformer(kind):
    inner = DictStore()
    store = TransformingStore(inner, kind())
    store.put("a", b"abc")
    assert inner.objects == {"a": b"cba"}
    assert store.get("a") == b"abc"
    assert store.get_range("a", 0, 1) == b"a"
    assert TransformingStore(inner).get("a") == b"cba"


@row("storage", "TransformingStore: subclassed, with transform and reverse_transform")
def test_transforming_by_methods():
    class Mine(Reversing, TransformingStore):
        """As the first versions asked."""

    inner = DictStore()
    store = Mine(inner)
    store.put("a", "text")
    assert inner.objects == {"a": "txet"}
    assert store.get("a") == "text"
    store.put("a", b"abc")
    assert store.get_range("a", 0, 1) == b"a"


@row("storage", "TextEncodingStore(store, encoding='utf-8')")
def test_text():
    inner = DictStore()
    store = TextEncodingStore(inner, "utf-16-le")
    store.put("a", "ü")
    assert inner.objects == {"a": "ü".encode("utf-16-le")}
    assert store.get("a") == "ü"


@row("storage", "GzipStore")
def test_gzip():
    inner = DictStore()
    store = GzipStore(inner)
    store.put("a", b"abc")
    assert gzip.decompress(inner.objects["a"]) == b"abc"
    inner.put("b", gzip.compress(b"by another program"))
    assert (store.get("a"), store.get("b")) == (b"abc", b"by another program")


@row("storage", "BufferStore: put takes a file, get gives a BytesIO")
def test_buffer():
    inner = DictStore()
    store = BufferStore(inner)
    store.put("a", io.BytesIO(b"abc"))
    assert inner.objects == {"a": b"abc"}
    buffer = store.get("a")
    assert isinstance(buffer, io.BytesIO)
    assert buffer.read() == b"abc"


@row("storage", "Base64Store")
def test_base64():
    inner = DictStore()
    store = Base64Store(inner)
    store.put("a", b"\x00\xff")
    assert inner.objects == {"a": base64.b64encode(b"\x00\xff")}
    assert store.get("a") == b"\x00\xff"


@row("storage", "JsonStore: JSON text in a store that takes text")
@pytest.mark.parametrize("wrapper", [lambda store: store, IdentityStore, lambda store: PrefixStore(store, "")])
def test_json_is_text(wrapper):
    inner = DictStore()
    store = JsonStore(wrapper(inner))
    store.put("a", {"b": [1, None, "ü"]})
    assert inner.objects == {"a": '{"b": [1, null, "\\u00fc"]}'}
    assert store.get("a") == {"b": [1, None, "ü"]}
    encoded = JsonStore(wrapper(TextEncodingStore(inner, "utf-16")))
    encoded.put("a", [1])
    assert inner.objects == {"a": "[1]".encode("utf-16")}
    assert encoded.get("a") == [1]


@row(
    "storage",
    "gap: JsonStore gives text, so it cannot sit on FilesystemStore or S3",
    "kept and fixed",
    "a store of bytes gets the text in UTF-8",
)
def test_json_lies_in_files(tmp_path):
    store = JsonStore(FilesystemStore(tmp_path))
    store.put("a", {"b": 1})
    assert (tmp_path / "a").read_bytes() == b'{"b": 1}'
    assert store.get("a") == {"b": 1}
    for inner in (FilesystemStore(tmp_path), DictStore()):
        zipped = JsonStore(GzipStore(inner))
        zipped.put("z", [None])
        assert zipped.get("z") == [None]
        assert gzip.decompress(inner.get("z")) == b"[null]"


@row("storage", "DataTransformer, TextEncoding-, Gzip-, Buffer-, Base64- and JsonTransformer")
def test_transformers_are_reversed():
    assert DataTransformer().reverse_transform(DataTransformer().transform(b"\x00")) == b"\x00"
    assert TextEncodingTransformer(encoding="latin-1").transform("ü") == b"\xfc"
    assert TextEncodingTransformer().reverse_transform(b"\xc3\xbc") == "ü"
    assert GzipTransformer().reverse_transform(gzip.compress(b"abc")) == b"abc"
    assert Base64Transformer().reverse_transform(Base64Transformer().transform(b"\xff")) == b"\xff"
    assert BufferTransformer().transform(io.BytesIO(b"abc")) == b"abc"
    buffer = BufferTransformer().reverse_transform(b"abc")
    assert (buffer.tell(), buffer.read()) == (0, b"abc")
    assert JsonTransformer().transform({"a": True}) == '{"a": true}'
    assert JsonTransformer().reverse_transform('{"a": true}') == {"a": True}


@row("storage", "KeyTransformer, Validating-, Prefix-, HashPrefix- and UrlEncodingKeyTransformer")
def test_key_transformers_are_reversed():
    assert KeyTransformer().reverse_transform_key(KeyTransformer().transform_key("a/b")) == "a/b"
    assert PrefixKeyTransformer(prefix="p/").transform_key("a") == "p/a"
    assert HashPrefixKeyTransformer().transform_key("key") == f"{SHA[:8]}/key"
    assert HashPrefixKeyTransformer(hash_length=4, separator="::").transform_key("key") == f"{SHA[:4]}::key"
    assert UrlEncodingKeyTransformer().transform_key("a b/100%/a+b") == "a%20b/100%25/a%2Bb"
    for one in (PrefixKeyTransformer("p/"), HashPrefixKeyTransformer(), UrlEncodingKeyTransformer()):
        assert one.reverse_transform_key(one.transform_key("a b/ü")) == "a b/ü"
    validating = ValidatingKeyTransformer(RegexValidator("[a-z]+"))
    assert validating.transform_key("abc") == "abc"
    with pytest.raises(KeyError):
        validating.transform_key("1")


class Upper(KeyTransformer):
    def transform_key(self, key):
        return key.upper()

    def reverse_transform_key(self, key):
        if not key.isupper():
            raise ValueError(key)
        return key.lower()


@row("storage", "KeyTransformingStore: transform_key and reverse_transform_key, by a transformer or a subclass")
@row("storage", "KeyTransformingStore: keys() drops names whose reversal raises ValueError")
def test_keys_are_transformed():
    class Mine(KeyTransformingStore):
        transform_key = Upper.transform_key
        reverse_transform_key = Upper.reverse_transform_key

    for kind in (Mine, lambda store: KeyTransformingStore(store, Upper())):
        inner = DictStore({"foreign": b""})
        store = kind(inner)
        store.put("a", b"1")
        assert inner.objects == {"foreign": b"", "A": b"1"}
        assert (store.get("a"), store.exists("a"), list(store.keys())) == (b"1", True, ["a"])
        assert store.get_range("a", 0, 1) == b"1"
        assert (store.transform_key("b"), store.reverse_transform_key("B")) == ("B", "b")
        store.delete("a")
        assert inner.objects == {"foreign": b""}


@row("storage", "KeyValidatingStore(store, validator): the validator raises KeyError, also in exists")
def test_keys_are_validated():
    def validator(key):
        if key != "good":
            raise KeyError(key)

    inner = DictStore({"bad": b""})
    store = KeyValidatingStore(inner, validator)
    store.put("good", "any value")
    assert store.get("good") == "any value"
    for refused in (
        lambda: store.put("bad", b""),
        lambda: store.get("bad"),
        lambda: store.exists("bad"),
        lambda: store.delete("bad"),
        lambda: store.get_range("bad", 0, 1),
    ):
        with pytest.raises(KeyError):
            refused()
    assert inner.objects == {"bad": b"", "good": "any value"}
    assert list(store.keys()) == ["good"]


@row("storage", "RegexValidator(pattern) and RegexValidatingStore(store, pattern)")
@row(
    "storage",
    "gap: RegexValidator takes a match at the start for a match",
    "kept and fixed",
    "the whole key has to match",
)
def test_regular_expressions():
    validator = RegexValidator(r"^[a-z]+")
    assert validator("abc") is None
    with pytest.raises(KeyError):
        validator("abc123")
    store = RegexValidatingStore(DictStore(), r"foo/.*")
    store.put("foo/bar", b"")
    with pytest.raises(KeyError):
        store.put("bar/foo/", b"")


@row("storage", "validate_http_url_key and UrlValidatingStore")
def test_urls():
    assert validate_http_url_key("https://example.com/a") is None
    store = UrlValidatingStore(DictStore())
    store.put("http://example.com/a", b"1")
    for key in ("ftp://example.com/a", "file:///etc/passwd", "example.com/a"):
        with pytest.raises(KeyError):
            validate_http_url_key(key)
        with pytest.raises(KeyError):
            store.put(key, b"")


@row("storage", "PrefixStore(store, prefix)")
@row("storage", "HashPrefixStore(store, hash_length=8, separator='/'): 'key' is '2c70e12b/key'")
@row("storage", "UrlEncodingStore: each part between slashes is quoted, nothing is safe")
@pytest.mark.parametrize(
    ("wrap", "key", "stored"),
    [
        (lambda store: PrefixStore(store, "p/"), "key", "p/key"),
        (HashPrefixStore, "key", "2c70e12b/key"),
        (lambda store: HashPrefixStore(store, 4, "-"), "key", "2c70-key"),
        (lambda store: HashPrefixStore(store, hash_length=2, separator="::"), "key", "2c::key"),
        (UrlEncodingStore, "a b/ü?", "a%20b/%C3%BC%3F"),
    ],
)
def test_keys_inside(wrap, key, stored):
    inner = DictStore()
    store = wrap(inner)
    store.put(key, "any value")
    assert inner.objects == {stored: "any value"}
    assert (store.get(key), list(store.keys())) == ("any value", [key])
    assert store.transform_key(key) == stored
    assert store.reverse_transform_key(stored) == key
    with pytest.raises(KeyError):
        store.get("missing")


@row(
    "storage",
    "gap: PrefixStore and HashPrefixStore: keys() shows foreign keys, chopped",
    "kept and fixed",
    "only keys that have the prefix, or their own hash, are listed",
)
def test_foreign_keys_are_not_listed():
    inner = DictStore({"zz/2": b"", "p/1": b"", "2c70e12b/key": b"", "2c70e12b/other": b""})
    assert list(PrefixStore(inner, "p/").keys()) == ["1"]
    assert list(HashPrefixStore(inner).keys()) == ["key"]
    assert list(HashPrefixStore(inner).keys(prefix="x")) == []
