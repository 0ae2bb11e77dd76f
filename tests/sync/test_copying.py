"""Bulk copies between stores: faithful, whole, bounded, with what the source says about each object."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import textwrap

import pytest

from holdfast import copy_objects
from holdfast import errors as e
from holdfast.engine import Engine
from holdfast.progress import Bar
from holdfast.store import READ
from holdfast.stores.file import FileStore
from holdfast.stores.http import HttpStore
from holdfast.stores.memory import MemoryStore
from holdfast.stores.s3 import S3Store
from holdfast.sync import copying
from holdfast.types import WriteOptions
from holdfast.wrap.rekey import PrefixStore
from tests.stores.scripted import Answer, Scripted
from tests.user_stores import FourMethods


@pytest.fixture
def bucket(moto):
    return S3Store(
        moto.make_bucket(), endpoint=moto.endpoint, region=moto.region,
        access_key_id=moto.access_key, secret_access_key=moto.secret_key,
    )  # fmt: skip


@pytest.fixture
def stores(tmp_path, bucket):
    return {
        "mem": MemoryStore(), "other-mem": MemoryStore(), "file": FileStore(tmp_path / "a"),
        "other-file": FileStore(tmp_path / "b"), "s3": bucket, "prefix": PrefixStore(bucket, "p/"),
    }  # fmt: skip


def copied(source, target, pairs, **kwargs):
    return {outcome.item: outcome.error or outcome.value for outcome in copy_objects(source, target, pairs, **kwargs)}


@pytest.mark.parametrize("target", ["mem", "file", "s3", "prefix", "other-mem", "other-file"])
@pytest.mark.parametrize("source", ["mem", "file", "s3", "prefix"])
def test_bytes_and_attributes_arrive_from_any_store_in_any_other(stores, source, target):
    source, target = stores[source], stores[target]
    options = WriteOptions(content_type="text/x-thing", content_encoding="gzip", metadata={"colour": "blue"})
    body = gzip.compress(b"hello", mtime=0)
    source._write("from/a", body, options)
    source.put("from/b", b"")
    pairs = [("from/a", "to/a"), ("from/b", "to/b")]
    assert copied(source, target, pairs) == {pairs[0]: len(body), pairs[1]: 0}
    info = target.head("to/a")
    assert target.get("to/a") == body
    assert (info.content_type, info.content_encoding, dict(info.metadata)) == (
        "text/x-thing",
        "gzip",
        {"colour": "blue"},
    )
    assert target.get("to/b") == b""


def test_decode_writes_the_decoded_bytes_without_the_encoding(stores):
    source, target = stores["s3"], stores["file"]
    source._write("a", gzip.compress(b"hello"), WriteOptions(content_encoding="gzip"))
    source.put("plain", b"as it is")
    copied(source, target, [("a", "a"), ("plain", "plain")], decode=True)
    assert target.get("a") == b"hello"
    assert target.head("a").content_encoding is None
    assert target.get("plain") == b"as it is"


def test_a_file_gets_no_attributes_that_its_name_implies(stores, tmp_path):
    stores["s3"]._write("a.json", b"{}", WriteOptions(content_type="application/json"))
    stores["s3"]._write("b", b"", WriteOptions(content_type="binary/octet-stream"))
    copied(stores["s3"], stores["file"], [("a.json", "a.json"), ("b", "b")])
    files = sorted(p.name for p in (tmp_path / "a").rglob("*") if p.is_file() and "locks" not in p.parts)
    assert files == ["a.json", "b"]
    copied(stores["file"], stores["s3"], [("a.json", "again.json")])
    assert stores["s3"].head("again.json").content_type == "application/json"


@pytest.mark.parametrize("size", [copying.WHOLE_STAGED + 1, copying.SPLIT + 5])
def test_large_objects_arrive_whole_in_parts(stores, size):
    body = os.urandom(1 << 20) * (size // (1 << 20) + 1)
    stores["mem"].put("large", body[:size])
    assert copied(stores["mem"], stores["file"], [("large", "large")]) == {("large", "large"): size}
    assert stores["file"].get("large") == body[:size]


def test_a_large_object_that_changes_between_its_parts_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(copying, "WHOLE_STAGED", 10)
    monkeypatch.setattr(copying, "SPLIT", 10)
    monkeypatch.setattr(copying, "PART", 100)

    class Changing(MemoryStore):
        reads = 0

        def _read(self, key, options=READ):
            blob = super()._read(key, options)
            Changing.reads += 1
            if Changing.reads == 1:
                self.put(key, b"2" * 1000)
            return blob

    source, target = Changing(), FileStore(tmp_path / "target")
    source.put("a", b"1" * 1000)
    target.put("a", b"old")
    (error,) = copied(source, target, [("a", "a")]).values()
    assert isinstance(error, e.Conflict)
    assert target.get("a") == b"old"
    assert not any(p.is_file() for p in (tmp_path / "target" / ".holdfast" / "tmp").rglob("*"))


def test_a_server_that_answers_ranges_with_the_whole_object_sends_it_once(monkeypatch, tmp_path):
    monkeypatch.setattr(copying, "SPLIT", 8 << 20)
    monkeypatch.setattr(copying, "PART", 2 << 20)
    body = os.urandom(1 << 20) * 16
    with Scripted(lambda request: Answer(200, body, {"ETag": '"v1"'})) as server:
        source, target = HttpStore(server.endpoint), FileStore(tmp_path)
        assert copied(source, target, [("a", "a"), ("b", "b")], threads=1) == {
            ("a", "a"): 16 << 20,
            ("b", "b"): 16 << 20,
        }
        assert target.get("a") == target.get("b") == body
        ranges = [request.headers.get("range") for request in server.requests]
    assert len(ranges) == 4, "once to see that it cuts no ranges"
    assert len([one for one in ranges if one]) == 1


def test_an_encoding_that_the_target_cannot_keep_is_not_dropped(stores):
    body = gzip.compress(b"hello")
    stores["mem"]._write("a", body, WriteOptions(content_encoding="gzip"))
    tiny = FourMethods()
    (error,) = copied(stores["mem"], tiny, [("a", "a")]).values()
    assert isinstance(error, e.Unsupported)
    assert "--decode" in str(error)
    with pytest.raises(e.Unsupported):
        tiny.copy("a", "b", stores["mem"])
    assert tiny.objects == {}
    assert copied(stores["mem"], tiny, [("a", "a")], decode=True) == {("a", "a"): len(body)}
    assert tiny.objects == {"a": b"hello"}


def test_a_bar_counts_objects_and_bytes(stores):
    bar = Bar(False, "copying")
    stores["mem"].put("large", bytes(5 << 20))
    stores["mem"].put("small", bytes(5))
    (tmp := stores["file"]).put("local", bytes(7))
    copied(stores["mem"], tmp, [("large", "large"), ("small", "small")], bar=bar)
    copied(tmp, stores["other-file"], [("local", "local")], bar=bar)
    assert (bar.count, bar.nbytes) == (3, (5 << 20) + 12)


def test_one_bad_object_does_not_stop_the_others(stores, tmp_path):
    stores["mem"].put("good", b"1")
    stores["mem"].put("../evil", b"2")
    outcome = copied(stores["mem"], stores["file"], [("good", "good"), ("../evil", "../evil"), ("missing", "missing")])
    assert outcome["good", "good"] == 1
    assert isinstance(outcome["../evil", "../evil"], e.InvalidKey)
    assert isinstance(outcome["missing", "missing"], e.NotFound)
    assert not (tmp_path / "evil").exists()


def test_a_copy_of_many_large_objects_stays_within_the_byte_budget(monkeypatch, stores, tmp_path):
    size = 8 << 20
    for i in range(10):
        stores["file"].put(str(i), bytes(size))
    most = 0
    with Engine(budget=16 << 20) as small:
        monkeypatch.setattr("holdfast.engine.pool._default", small)
        acquire = type(small._budget).acquire

        def watched(budget, *args):
            nonlocal most
            acquire(budget, *args)
            most = max(most, budget.used)

        monkeypatch.setattr(type(small._budget), "acquire", watched)
        result = copied(stores["file"], stores["s3"], [(str(i), str(i)) for i in range(10)])
    assert set(result.values()) == {size}
    assert 0 < most <= 16 << 20


def test_descriptors_suffice_under_a_small_limit(tmp_path):
    code = f"""
        import resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        from holdfast import copy_objects
        from holdfast.stores.file import FileStore
        source, target = FileStore({str(tmp_path / "s")!r}), FileStore({str(tmp_path / "t")!r})
        for i in range(400):
            source.put(f"d{{i % 40}}/{{i}}", b"x" * 100)
        pairs = [(f"d{{i % 40}}/{{i}}",) * 2 for i in range(400)]
        outcomes = list(copy_objects(source, target, pairs, threads=200))
        print(len(outcomes), sum(o.error is not None for o in outcomes), len(list(target.keys())))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["400", "0", "400"], done.stderr
