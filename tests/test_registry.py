from __future__ import annotations

import sys
import textwrap

import pytest

from holdfast import registry, url
from holdfast.errors import ConfigError
from holdfast.registry import open_object, open_store, register, store_class
from holdfast.store import ObjectStore
from holdfast.stores.file import FileStore
from holdfast.stores.memory import MemoryStore, clear_all
from holdfast.url import URL, parse
from holdfast.wrap.rekey import PrefixStore


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    """What a test registers is gone after it."""
    monkeypatch.setattr(registry, "_registered", {})
    monkeypatch.setattr(url, "_added", set())
    yield
    clear_all()


class Tiny(ObjectStore):
    """Five methods, and nothing else."""

    def __init__(self, bucket="", *, shout=False):
        self.bucket, self.shout = bucket, shout
        self.objects = {}

    def get(self, key):
        return self.objects[key]

    def put(self, key, data):
        self.objects[key] = data.upper() if self.shout else data

    def delete(self, key):
        del self.objects[key]

    def exists(self, key):
        return key in self.objects


class FromUrl(Tiny):
    """A class that opens locations itself."""

    @classmethod
    def from_url(cls, where, *, shout=False):
        store = cls(str(where), shout=shout)
        assert isinstance(where, URL)
        return store


def test_a_location_opens_the_store_whose_keys_are_relative_to_it(tmp_path):
    open_store("mem://bucket/run1").put("a", b"1")
    open_store("mem://bucket/run10").put("a", b"2")
    assert sorted(open_store("mem://bucket").keys()) == ["run1/a", "run10/a"]
    assert list(open_store("mem://bucket/run1/").keys()) == ["a"]
    assert list(open_store("mem://bucket/run").keys()) == []
    with open_store(str(tmp_path / "dir")) as store:
        assert isinstance(store, FileStore)
        store.put("a/b", b"3")
    assert (tmp_path / "dir" / "a" / "b").read_bytes() == b"3"


def test_a_parsed_location_opens_as_its_text_does():
    open_store(parse("mem://bucket/x")).put("a", b"1")
    assert open_store("mem://bucket/x").get("a") == b"1"


def test_one_object_opens_as_a_store_and_a_key(tmp_path):
    (tmp_path / "a b").write_bytes(b"1")
    store, key = open_object(f"file://{tmp_path}/a b")
    assert (type(store), key, store.get(key)) == (FileStore, "a b", b"1")
    MemoryStore("bucket").put("dir/key", b"2")
    store, key = open_object("mem://bucket/dir/key")
    assert (key, store.get(key)) == ("dir/key", b"2")


@pytest.mark.parametrize("text", ["mem://bucket", "mem://bucket/", "file:///", "/tmp/", "."])
def test_what_can_only_be_a_directory_is_not_one_object(text):
    with pytest.raises(ConfigError):
        open_object(text)


def test_options_go_to_the_constructor(tmp_path):
    register("tiny", Tiny)
    assert open_store("tiny://x", shout=True).shout
    assert not open_store("tiny://x").shout
    store, key = open_object("tiny://x/a", shout=True)
    assert (store.shout, key) == (True, "a")
    with open_store(str(tmp_path), durable=True) as store:
        store.put("a", b"1")


@pytest.mark.parametrize("location", ["mem://bucket", "mem://bucket/a", "/tmp/a", "tiny://x", "from-url://x"])
def test_an_unknown_option_is_named(location):
    register("tiny", Tiny)
    register("from-url", FromUrl)
    with pytest.raises(ConfigError, match=r"durabel: it takes (none|durable|shout)$"):
        open_store(location, durabel=True)
    with pytest.raises(ConfigError, match="durabel"):
        open_object(location + "/key", durabel=True)


def test_a_registered_class_gets_the_bucket_and_a_prefix_for_the_path():
    register("tiny", Tiny)
    store = open_store("tiny://bucket/run1")
    assert isinstance(store, PrefixStore)
    store.put("a", b"1")
    assert store.store.bucket == "bucket"
    assert store.store.objects == {"run1/a": b"1"}
    assert open_store("tiny://").bucket == ""
    assert open_object("tiny:///a/b")[1] == "a/b"


def test_a_registered_class_may_read_the_location_itself():
    register("from-url", FromUrl)
    store = open_store("from-url://bucket/run1", shout=True)
    assert store.store.bucket == "from-url://bucket/"
    store.put("a", b"quiet")
    assert store.store.objects == {"run1/a": b"QUIET"}


def test_a_class_that_wants_no_bucket_or_needs_one_says_so():
    class Nothing(Tiny):
        def __init__(self):
            super().__init__()

    class Needy(Tiny):
        def __init__(self, bucket):
            super().__init__(bucket)

    register("nothing", Nothing)
    register("needy", Needy)
    assert open_store("nothing://").objects == {}
    assert open_store("needy://x").bucket == "x"
    with pytest.raises(ConfigError, match="nothing://x/"):
        open_store("nothing://x")
    with pytest.raises(ConfigError, match="bucket"):
        open_store("needy://")


def test_a_class_may_be_registered_by_its_name_alone_and_is_imported_late(tmp_path, monkeypatch):
    (tmp_path / "late_store_module.py").write_text(
        textwrap.dedent("""
            from holdfast.stores.memory import MemoryStore

            class Late(MemoryStore):
                pass
        """)
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    register("late", "late_store_module:Late")
    register("Late", "late_store_module:Late")
    assert "late_store_module" not in sys.modules
    assert type(open_store("late://x")).__name__ == "Late"
    assert store_class("Late") is store_class("late")
    assert not url.is_known("Late")


def test_classes_are_found_by_name():
    assert store_class("MemoryStore") is store_class("mem") is MemoryStore
    assert store_class("PrefixStore") is PrefixStore
    with pytest.raises(ConfigError, match="MemoryStore"):
        store_class("MemoryStor")


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("mem", Tiny),
        ("MemoryStore", Tiny),
        ("tiny", dict),
        ("tiny", 7),
        ("tiny", "no class"),
        ("tiny", "module"),
        ("tiny", ":Class"),
        ("t", Tiny),
        ("two words", Tiny),
        ("", Tiny),
    ],
)
def test_what_cannot_be_registered_is_refused(name, target):
    with pytest.raises(ConfigError):
        register(name, target)
    assert not registry._registered
    assert not url._added


def test_what_does_not_lead_to_a_store_says_what_is_wrong(tmp_path, monkeypatch):
    (tmp_path / "no_store_module.py").write_text("Thing = 7\nclass Other: pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for scheme, target in {
        "one": "there_is_no_such_module:Class",
        "two": "no_store_module:Missing",
        "three": "no_store_module:Thing",
        "four": "no_store_module:Other",
        "five": "no_store_module.deeper:Other",
    }.items():
        register(scheme, target)
        with pytest.raises(ConfigError, match=target.partition(":")[0]):
            open_store(f"{scheme}://x")


def test_a_missing_package_is_one_sentence_with_the_line_to_type(tmp_path, monkeypatch):
    (tmp_path / "needs_boto.py").write_text("import boto3\n")
    (tmp_path / "needs_other.py").write_text("import a_package_that_is_missing.sub\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "boto3", None)
    register("boto", "needs_boto:Store")
    register("other", "needs_other:Store")
    with pytest.raises(ConfigError, match=r"pip install 'holdfast\[s3\]'$"):
        open_store("boto://x")
    with pytest.raises(ConfigError, match=r"pip install a_package_that_is_missing$"):
        open_store("other://x")


def test_an_unknown_class_says_which_there_are():
    with pytest.raises(ConfigError, match=r"'NoSuchStore'.*gs.*mem.*s3"):
        store_class("NoSuchStore")


def test_an_installed_package_may_offer_a_scheme(tmp_path, monkeypatch):
    (tmp_path / "offered_store.py").write_text("from holdfast.stores.memory import MemoryStore as Offered\n")
    metadata = tmp_path / "offering-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: offering\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[holdfast.stores]\noffered = offered_store:Offered\n")
    with pytest.raises(ConfigError, match="unknown scheme"):
        open_store("offered://x")
    monkeypatch.syspath_prepend(str(tmp_path))
    store = open_store("offered://x/run1")
    store.put("a", b"1")
    assert MemoryStore("x").get("run1/a") == b"1"
    assert "offered" in url.known_schemes()


def test_an_endpoint_in_the_location_reaches_the_store():
    store = open_store("s3://http://127.0.0.1:9/bucket/dir", anonymous=True)
    assert store.store.endpoint == "http://127.0.0.1:9"
    assert store.store.bucket == "bucket"
    with pytest.raises(ConfigError, match="twice"):
        open_store("s3://http://127.0.0.1:9/bucket", endpoint="http://127.0.0.1:8")


def test_a_web_location_with_a_query_is_refused_and_its_signature_not_shown():
    with pytest.raises(ConfigError, match="has a query") as caught:
        open_store("https://host/data/?X-Amz-Signature=canary0123456789")
    assert "canary" not in str(caught.value)


def test_a_web_location_keeps_its_password_to_itself():
    store = open_store("http://me:hunter2@127.0.0.1:9/dir/")
    assert store.prefix == "dir/"
    assert "hunter2" not in repr(store) + store.name
