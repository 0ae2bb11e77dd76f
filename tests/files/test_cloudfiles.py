"""CloudFiles' promises, on the embedded stores and on a real S3 server."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import threading

import pytest

from holdfast import CloudFiles, ObjectStore, Unsupported
from holdfast import errors as e
from holdfast.engine import Engine
from holdfast.store import READ
from holdfast.stores.memory import MemoryStore
from holdfast.wrap.rekey import PrefixStore

CODECS = ["gzip", "br", "zstd", "xz", "bz2"]


@pytest.fixture
def local(tmp_path):
    return CloudFiles(str(tmp_path / "root"))


# ---------------------------------------------------------------------- get
def test_one_path_gives_its_bytes_and_a_missing_one_none(cf):
    assert cf.put("a", b"hello") == 1
    assert cf.get("a") == b"hello"
    assert cf.get("b") is None


def test_rows_of_a_bulk_get_are_complete_and_in_order(cf):
    cf.puts([(f"k{i:02}", b"%d" % i) for i in range(30)])
    paths = [f"k{i:02}" for i in reversed(range(30))] + ["missing", "k00"]
    rows = cf.get(iter(paths))
    assert [row["path"] for row in rows] == paths
    assert rows[0] == {
        "path": "k29", "content": b"29", "byte_range": (None, None), "error": None, "compress": None, "raw": False,
        "tags": None,
    }  # fmt: skip
    assert rows[30]["content"] is None
    assert rows[30]["error"] is None
    assert rows[31]["content"] == b"0"


def test_duplicates_in_a_get_give_duplicate_rows(cf):
    cf.put("info", b"x")
    assert [row["content"] for row in cf.get(["info"] * 20)] == [b"x"] * 20


def test_a_list_of_one_gives_a_list(cf):
    cf.put("a", b"1")
    assert [row["content"] for row in cf.get(["a"])] == [b"1"]
    assert cf.get([]) == []


@pytest.mark.parametrize("compress", [None, *CODECS])
@pytest.mark.parametrize(
    ("start", "end"), [(0, 4), (2, None), (None, 3), (3, 3), (8, 100), (100, 200), (None, None), (9, 10)]
)
def test_byte_ranges_are_slices_of_the_decoded_content(cf, compress, start, end):
    content = b"0123456789"
    cf.put("digits", content, compress=compress)
    request = {"path": "digits", "start": start, "end": end, "tags": {"mine": 1}}
    assert cf.get(request) == content[start:end]
    (row,) = cf.get([request])
    assert row["content"] == content[start:end]
    assert row["byte_range"] == (start, end)
    assert row["tags"] == {"mine": 1}


def test_a_range_of_a_missing_object_is_none(cf):
    assert cf.get({"path": "missing", "start": 0, "end": 3}) is None
    assert cf.get({"path": "missing", "start": 0, "end": 0}) is None


@pytest.mark.parametrize("compress", CODECS)
def test_raw_gives_the_stored_bytes(cf, compress):
    content = b"abc" * 1000
    cf.put("a", content, compress=compress)
    stored = cf.get("a", raw=True)
    assert stored != content
    assert len(stored) == cf.size("a")
    cf.put("b", stored, compress=compress, raw=True)
    assert cf.get("b") == content
    assert cf.get({"path": "a", "start": 0, "end": 2}, raw=True) == stored[:2]


def test_return_dict_maps_paths_to_bytes(cf):
    cf.put("a", b"1")
    assert cf.get(["a", "b"], return_dict=True) == {"a": b"1", "b": None}


def test_into_fills_the_callers_buffers(cf):
    cf.puts([("a", b"12345"), ("z", b"678")], compress=None)
    cf.put("c", b"compressed", compress="gzip")
    buffer = bytearray(8)
    assert cf.get("a", into=buffer) == 5
    assert buffer[:5] == b"12345"
    assert cf.get("missing", into=buffer) is None
    buffers = {"a": bytearray(5), "c": bytearray(20)}
    rows = {row["path"]: row["content"] for row in cf.get(["a", "c"], into=buffers)}
    assert bytes(rows["a"]) == b"12345"
    assert bytes(rows["c"]) == b"compressed"
    with pytest.raises(e.HoldfastError):
        cf.get("a", into=bytearray(2))


def test_errors_are_raised_or_kept_in_their_rows(local, tmp_path):
    local.put("good", b"1")
    (tmp_path / "root" / "bad.gz").write_bytes(gzip.compress(b"x" * 100)[:-9])
    with pytest.raises(e.DecompressionError):
        local.get(["good", "bad"])
    rows = local.get(["good", "bad", "../escape"], raise_errors=False)
    assert rows[0]["content"] == b"1"
    assert isinstance(rows[1]["error"], e.DecompressionError)
    assert rows[1]["content"] is None
    assert isinstance(rows[2]["error"], e.InvalidKey)
    with pytest.raises(e.DecompressionError):
        local.get(["bad"], return_dict=True, raise_errors=False)


def test_a_malformed_request_is_an_error_in_its_row(cf):
    cf.put("a", b"1")
    wrong = [{"path": "a", "begin": 1, "tags": 5}, {"start": 1, "end": 2}, {"path": "a", "end": -1}, 7, {"path": 8}]
    rows = cf.get(["a", *wrong], raise_errors=False)
    assert [type(row["error"]) for row in rows] == [type(None), TypeError, TypeError, ValueError, TypeError, TypeError]
    assert [row["path"] for row in rows] == ["a", "a", None, "a", 7, 8]
    assert rows[1]["tags"] == 5
    assert rows[2]["byte_range"] == (1, 2)
    assert all(row["content"] is None for row in rows[1:])


def test_into_of_the_wrong_form_is_a_type_error(cf):
    cf.put("a", b"1")
    with pytest.raises(TypeError, match="writable buffer"):
        cf.get("a", into={"a": bytearray(1)})
    for wrong in (bytearray(1), [bytearray(1)]):
        with pytest.raises(TypeError, match="mapping from path"):
            cf.get(["a"], into=wrong)


def test_wrong_requests_are_type_errors(cf):
    for wrong in (3, b"bytes", {"path": "a", "begin": 1}, [7]):
        with pytest.raises(TypeError):
            cf.get(wrong)


def test_a_bulk_get_stays_within_the_byte_budget(monkeypatch, local):
    size = 4 << 20
    local.puts([(str(i), bytes(size)) for i in range(12)])
    most = 0
    with Engine(budget=8 << 20) as small:
        monkeypatch.setattr("holdfast.engine.pool._default", small)
        acquire = type(small._budget).acquire

        def watched(budget, *args):
            nonlocal most
            acquire(budget, *args)
            most = max(most, budget.used)

        monkeypatch.setattr(type(small._budget), "acquire", watched)
        assert all(len(row["content"]) == size for row in local.get([str(i) for i in range(12)]))
    assert 0 < most <= 12 << 20


# ---------------------------------------------------------------------- put
@pytest.mark.parametrize("compress", [None, False, "", True, "gzip", "br", "zstd", "xz", "lzma", "bz2", "bzip2"])
def test_every_codec_round_trips(cf, compress):
    cf.put("a", b"data" * 100, compress=compress)
    assert cf.get("a") == b"data" * 100
    assert list(cf.list()) == ["a"]


def test_every_kind_of_content_is_stored_whole(cf, tmp_path):
    path = tmp_path / "content"
    path.write_bytes(b"from a file")
    for compress in (None, "gzip"):
        contents = {
            "bytes": b"x", "bytearray": bytearray(b"x"), "memoryview": memoryview(b"axb")[1:2], "path": path,
            "file": io.BytesIO(b"from a file"), "chunks": iter([b"from ", b"a file"]), "empty": b"",
        }  # fmt: skip
        cf.puts(contents.items(), compress=compress)
        assert cf.get(["bytes", "bytearray", "memoryview"], return_dict=True) == dict.fromkeys(
            ["bytes", "bytearray", "memoryview"], b"x"
        )
        assert [row["content"] for row in cf.get(["path", "file", "chunks"])] == [b"from a file"] * 3
        assert cf.get("empty") == b""


def test_text_is_refused_with_the_cure(cf):
    with pytest.raises(TypeError, match="encode"):
        cf.put("a", "text")
    assert cf.get("a") is None


@pytest.mark.parametrize("compress", [None, "gzip"])
@pytest.mark.parametrize("content", [{}, [], set(), {"a": 1}, [1, 2], {b"a"}], ids=repr)
def test_what_is_no_content_is_refused_and_leaves_the_old_value(cf, content, compress):
    cf.put("a", b"old")
    with pytest.raises(TypeError, match="a body"):
        cf.put("a", content, compress=compress)
    assert cf.get("a") == b"old"


def test_what_a_request_says_itself_overrides_the_arguments(cf):
    cf.puts(
        [{"path": "a", "content": b"1" * 99, "compress": None}, {"path": "b", "content": b"1" * 99}], compress="gzip"
    )
    assert cf.size("a") == 99
    assert cf.size("b") < 99


def test_an_unknown_codec_is_a_value_error_before_anything_is_written(cf):
    with pytest.raises(ValueError, match="snappy"):
        cf.puts([("a", b"1"), {"path": "b", "content": b"2", "compress": "snappy"}])
    with pytest.raises(ValueError, match="snappy"):
        cf.puts(iter([("a", b"1")]), compress="snappy")
    assert list(cf.list()) == []


def test_duplicate_paths_in_a_list_are_refused_before_anything_is_written(cf):
    with pytest.raises(ValueError, match="twice"):
        cf.puts([("a", b"1"), ("b", b"2"), ("a", b"3")])
    assert list(cf.list()) == []


def test_attributes_are_kept_or_refused_but_never_dropped(cf):
    cf.put("a", b"{}", content_type="application/json", cache_control="no-cache")
    head = cf.head("a")
    assert head["Content-Type"] == "application/json"
    assert head["Cache-Control"] == "no-cache"
    if cf.protocol == "file":
        with pytest.raises(Unsupported, match="storage_class"):
            cf.put("b", b"", storage_class="GLACIER")
        assert cf.get("b") is None


def test_a_failing_content_leaves_the_old_value(cf):
    def broken():
        yield b"half"
        raise RuntimeError("the source broke")

    cf.put("a", b"old")
    with pytest.raises(RuntimeError, match="the source broke"):
        cf.put("a", broken())
    assert cf.get("a") == b"old"


# ---------------------------------------------------------------------- exists, size, head, delete, touch
def test_exists_size_and_head_answer_for_one_and_for_many(cf):
    cf.puts([("a", b"123"), ("d/b", b"")])
    assert cf.exists("a") is True
    assert cf.exists("d") is False
    assert cf.exists(p for p in ["a", "x"]) == {"a": True, "x": False}
    assert cf.size("a") == 3
    assert cf.size("x") is None
    assert cf.size(["a", "d/b", "x"]) == {"a": 3, "d/b": 0, "x": None}
    assert cf.size(["a", "d/b", "x"], return_sum=True) == 3
    assert cf.head("a")["Content-Length"] == 3
    assert cf.head("a")["ETag"]
    assert cf.head("x") is None
    assert cf.head(["a", "x"])["x"] is None
    for name in ("Content-Md5", "Request-Charged", "Parts-Count"):
        assert cf.head("a")[name] is None


def test_delete_is_silent_about_what_is_missing_and_counts_what_it_was_given(cf):
    cf.puts([("a", b"1"), ("b", b"2"), ("c", b"3")])
    assert cf.delete(["a", "b", "missing"]) == 3
    assert cf.delete("missing") == 1
    assert cf.delete(p for p in ["c"]) == 1
    assert list(cf.list()) == []


def test_touch_creates_and_never_truncates(cf):
    cf.put("a", b"1")
    cf.touch(["a", "new"])
    assert cf.get("new") == b""
    assert cf.get("a") == b"1"


# ---------------------------------------------------------------------- list
LISTED = ["build/info3", "build.txt", "info1", "info2", "level1/level2/info4", "level1/level2/info5", "run1", "run10"]


@pytest.fixture
def tree(cf):
    cf.puts([(path, b"12") for path in LISTED], compress="gzip")
    return cf


def test_a_listing_is_sorted_and_relative(tree):
    assert list(tree) == sorted(LISTED, key=str.encode)


def test_a_local_listing_streams(monkeypatch, tmp_path):
    cf = CloudFiles(f"file://{tmp_path}")
    cf.puts([(f"d{n:02}/{i}", b"1") for n in range(20) for i in range(3)], compress="gzip")
    taken = []
    scan = type(cf.store.store)._scan

    def watched(store, options):
        for row in scan(store, options):
            taken.append(row)
            yield row

    monkeypatch.setattr(type(cf.store.store), "_scan", watched)
    listing = cf.list()
    assert next(listing) == "d00/0"
    assert len(taken) < 5
    assert len(list(listing)) == 59


def test_a_prefix_is_a_string_prefix(tree):
    assert list(tree.list("run1")) == ["run1", "run10"]
    assert list(tree.list("bui")) == ["build.txt", "build/info3"]
    assert list(tree.list("nofolder/")) == []


def test_a_flat_listing_is_one_level_with_directories(tree):
    assert set(tree.list(flat=True)) == {"build/", "build.txt", "info1", "info2", "level1/", "run1", "run10"}
    assert set(tree.list("build/", flat=True)) == {"build/info3"}
    assert set(tree.list("level1", flat=True)) == {"level1/level2/"}
    assert set(tree.list("level1/", flat=True)) == {"level1/level2/"}
    assert set(tree.list("bui", flat=True)) == {"build/", "build.txt"}


def test_sizes_come_with_the_listing(tree):
    sizes = dict(tree.list(size=True))
    assert sizes["info1"] == tree.size("info1")


def test_isdir_and_subtree_size(tree):
    assert tree.isdir("build")
    assert tree.isdir("build/")
    assert tree.isdir()
    assert not tree.isdir("info1")
    assert not tree.isdir("bui")
    one = tree.size("info1")
    assert tree.subtree_size("level1/") == {"N": 2, "num_bytes": 2 * one}
    assert tree.subtree_size()["N"] == len(LISTED)


def test_an_empty_location_is_no_directory_and_lists_nothing(cf):
    assert not cf.isdir()
    assert list(cf.list()) == []
    assert list(cf.list(flat=True)) == []


# ---------------------------------------------------------------------- like a dict
def test_indexing_reads_writes_slices_and_deletes(cf):
    cf["a"] = b"0123456789"
    cf["b"] = b"x"
    assert cf["a"] == b"0123456789"
    assert cf["a", 2:4] == b"23"
    assert cf["a", :] == b"0123456789"
    assert cf["missing"] is None
    assert [row["path"] for row in cf[:1]] == ["a"]
    assert [row["path"] for row in cf[["b", "a"]]] == ["b", "a"]
    del cf["a"]
    del cf["a"]
    assert list(cf) == ["b"]
    with pytest.raises(ValueError, match="step"):
        cf["b", ::2]


def test_a_thread_count_is_respected(tmp_path):
    class Slow(MemoryStore):
        active = most = 0
        lock = threading.Lock()

        def _read(self, key, options=READ):
            with self.lock:
                Slow.active += 1
                Slow.most = max(Slow.most, Slow.active)
            threading.Event().wait(0.002)
            with self.lock:
                Slow.active -= 1
            return super()._read(key, options)

    store = Slow()
    cf = CloudFiles(store, num_threads=3)
    cf.puts([(str(i), b"") for i in range(60)])
    cf.get([str(i) for i in range(60)])
    assert Slow.most == 3


# ---------------------------------------------------------------------- any store
class Tiny(ObjectStore):
    """A user's own store: five methods over a dict."""

    def __init__(self):
        self.objects = {}

    def get(self, key):
        return self.objects[key]

    def put(self, key, data):
        self.objects[key] = bytes(data)

    def delete(self, key):
        del self.objects[key]

    def exists(self, key):
        return key in self.objects

    def keys(self):
        return list(self.objects)


def test_a_five_method_store_under_a_prefix_works_in_bulk():
    tiny = Tiny()
    tiny.objects["foreign"] = b"not ours"
    cf = CloudFiles(PrefixStore(tiny, "mine/"))
    assert cf.puts((f"k{i}", b"%d" % i) for i in range(100)) == 100
    assert set(tiny.objects) == {"foreign", *(f"mine/k{i}" for i in range(100))}
    assert [row["content"] for row in cf.get(f"k{i}" for i in range(100))] == [b"%d" % i for i in range(100)]
    assert cf["k42", 0:1] == b"4"
    assert sorted(cf.list("k9")) == sorted(["k9", *(f"k9{i}" for i in range(10))])
    assert cf.exists(["k1", "foreign"]) == {"k1": True, "foreign": False}
    assert cf.delete(["k1", "nothing"]) == 2
    with pytest.raises(Unsupported, match="content_encoding"):
        cf.put("a", b"", compress="gzip")


def test_sizes_are_asked_for_where_the_listing_does_not_tell_them():
    tiny = Tiny()
    cf = CloudFiles(tiny)
    cf.puts([("d/a", b"1"), ("d/b", b"22"), ("d/e/c", b""), ("x", b"4444")])
    assert dict(cf.list(size=True)) == {"d/a": 1, "d/b": 2, "d/e/c": 0, "x": 4}
    assert dict(cf.list("d", flat=True, size=True)) == {"d/a": 1, "d/b": 2, "d/e/": None}
    assert cf.subtree_size("d/") == {"N": 3, "num_bytes": 3}


def test_what_vanishes_between_the_listing_and_its_size_is_left_out():
    class Vanishing(Tiny):
        def keys(self):
            return [*super().keys(), "vanished"]

    cf = CloudFiles(Vanishing())
    cf.put("a", b"1")
    assert list(cf.list(size=True)) == [("a", 1)]
    assert cf.subtree_size() == {"N": 1, "num_bytes": 1}


# ---------------------------------------------------------------------- bad input
def test_an_unknown_scheme_is_an_error_and_makes_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(e.ConfigError, match="ftp"):
        CloudFiles("ftp://x/")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/etc/x", "a//b", ".", "a\0b", ""])
def test_a_path_that_escapes_or_cannot_be_is_refused(local, tmp_path, path):
    with pytest.raises(e.InvalidKey):
        local.put(path, b"evil")
    with pytest.raises(e.InvalidKey):
        local.get(path)
    assert not (tmp_path / "x").exists()


def test_a_directory_where_a_file_should_be_is_a_path_conflict(local):
    local.put("d/a", b"1")
    with pytest.raises(e.PathConflict):
        local.put("d", b"2")
    assert local.get("d") is None
    assert local.get("d/a") == b"1"


def test_a_missing_bucket_is_an_error_and_not_a_missing_file(moto):
    secrets = {"AWS_ACCESS_KEY_ID": moto.access_key, "AWS_SECRET_ACCESS_KEY": moto.secret_key}
    cf = CloudFiles(f"s3://{moto.endpoint}/no-such-bucket-here", secrets=secrets)
    with pytest.raises(e.BucketNotFound):
        cf.get("a")
    with pytest.raises(e.BucketNotFound):
        cf.get(["a", "b"])


def test_a_pickled_cloudfiles_works_elsewhere_and_carries_no_secret(tmp_path, moto):
    local = CloudFiles(str(tmp_path), num_threads=3)
    local.put("a", b"1")
    again = pickle.loads(pickle.dumps(local))
    assert again.get("a") == b"1"
    assert again.num_threads == 3
    secrets = {"AWS_ACCESS_KEY_ID": "canary-id", "AWS_SECRET_ACCESS_KEY": "canary-secret"}
    cf = CloudFiles(f"s3://{moto.endpoint}/bucket", secrets=secrets)
    assert b"canary-secret" not in pickle.dumps(cf)
    assert "canary" not in repr(cf)
