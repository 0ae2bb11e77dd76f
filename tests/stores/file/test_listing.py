"""Listings: the order of a flat namespace, exactly what was asked for, and no more directories than needed."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import InvalidKey
from holdfast.keys import sort_key
from holdfast.store import select
from holdfast.stores.file import FileStore
from holdfast.types import ListOptions, ObjectInfo, WriteOptions

NAMES = st.sampled_from(
    ["a", "b", "a.b", "a-", "a0", "a b", "ab", "ü", "\U0001f600", "\uffee", "\udcff", "\udcc3", "!"]
)
KEYS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
PREFIXES = st.one_of(
    st.just(""), KEYS, KEYS.map(lambda key: key + "/"), KEYS.map(lambda key: key[:-1]), st.text(max_size=3)
)


def without_clashes(keys: set[str]) -> set[str]:
    """The keys, less those that would have to be file and directory at once."""
    return {key for key in keys if not any(other.startswith(key + "/") for other in keys)}


def rows(store: FileStore, options: ListOptions) -> list[tuple[str, bool]]:
    return [(info.key, info.is_prefix) for info in store._scan(options)]


@pytest.mark.slow
@settings(max_examples=150)
@given(
    keys=st.sets(KEYS, max_size=12).map(without_clashes),
    prefix=PREFIXES,
    delimiter=st.sampled_from([None, "/", "a", "b/"]),
    start_after=st.none() | KEYS | KEYS.map(lambda key: key + "/") | KEYS.map(lambda key: key[:-1] or "a"),
)
def test_a_listing_is_what_sorting_all_keys_would_give(keys, prefix, delimiter, start_after) -> None:
    root = tempfile.mkdtemp()
    try:
        store = FileStore(root)
        for key in keys:
            path = Path(root) / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        options = ListOptions(prefix, delimiter, start_after)
        ordered = sorted((ObjectInfo(key) for key in keys), key=lambda info: sort_key(info.key))
        assert rows(store, options) == [(info.key, info.is_prefix) for info in select(ordered, options)]
    finally:
        shutil.rmtree(root)


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path)


def test_only_directories_that_can_match_are_opened(store: FileStore, monkeypatch) -> None:
    for name in ("run1", "run10", "run1.txt", "other"):
        for number in range(3):
            store.put(f"{name}/x/{number}", b"")
    scanned: list[str] = []
    real = os.scandir
    monkeypatch.setattr(os, "scandir", lambda fd: (scanned.append(os.readlink(f"/proc/self/fd/{fd}")), real(fd))[1])
    assert len(list(store.keys("run10/"))) == 3
    assert [Path(path).name for path in scanned] == ["run10", "x"]
    scanned.clear()
    assert [info.key for info in store.list("run1", start_after="run1/x/2")] == [f"run10/x/{n}" for n in range(3)]
    assert not any(path.endswith(("run1.txt", "other", "other/x")) for path in scanned)


def test_a_listing_streams_and_survives_what_changes_meanwhile(store: FileStore) -> None:
    for directory in "abc":
        for number in range(3):
            store.put(f"{directory}/{number}", b"")
    rows = store.list()
    assert next(rows).key == "a/0"
    store.delete("a/1")
    shutil.rmtree(Path(store.root) / "b")
    (Path(store.root) / "c/0").unlink()
    (Path(store.root) / "c/0").symlink_to("/etc/passwd")
    assert [row.key for row in rows] == ["a/2", "c/1", "c/2"]


def test_empty_directories_are_not_listed(store: FileStore) -> None:
    store.put("a/x", b"")
    (Path(store.root) / "empty/inner").mkdir(parents=True)
    assert [row.key for row in store.list(delimiter="/")] == ["a/"]


def test_a_private_directory_below_the_root_is_not_listed(store: FileStore) -> None:
    store.put("a/x", b"")
    os.makedirs(os.path.join(store.root, "a/.holdfast/tmp"))
    assert list(store.keys()) == ["a/x"]
    assert list(store.keys("a/.holdfast/")) == []
    assert list(store.keys(".holdfast")) == []
    assert list(store.keys(".holdfast/")) == []


def test_a_start_that_is_no_key_is_refused(store: FileStore) -> None:
    with pytest.raises(InvalidKey):
        list(store.list(start_after="\ud800"))
    assert list(store.list("\ud800")) == []


@pytest.mark.slow
def test_a_listing_of_a_deep_tree_keeps_few_descriptors(store: FileStore, no_leaks) -> None:
    for depth in range(1, 120):
        store.put("/".join(["d"] * depth) + "/x", b"")
    store.close()
    no_leaks.baseline()
    rows = store.list()
    most = 0
    for _ in rows:
        most = max(most, len(no_leaks.leaks()))
    assert most <= store._directories.keep + 4
    store.close()
    del rows


def test_attributes_are_listed_of_many_files_also_the_first_that_the_root_ever_had(store: FileStore) -> None:
    keys = [f"{number:03}" for number in range(200)]
    for key in keys:
        (Path(store.root) / key).write_bytes(b"")  # by other means: whether it has a sidecar must be asked
    rows = store.list()
    listed = [next(rows) for _ in range(10)]
    store.write("150", b"", WriteOptions(content_type="text/x"))
    listed += rows
    assert [row.key for row in listed] == keys
    assert [row.key for row in listed if row.content_type] == ["150"]


@pytest.mark.parametrize("delimiter", [None, "/", "b"])
def test_names_alone_are_the_keys_of_the_whole_listing(store: FileStore, delimiter: str | None) -> None:
    for key in ("aa", "a.b", "a/b/c", "a/b.c", "b/x", "c"):
        store.put(key, b"body")
    os.symlink("c", os.path.join(store.root, "link"))
    for attributes in ({}, {"content_type": "text/x"}):
        store.write("c", b"", WriteOptions(**attributes))
        for prefix, after in (("", None), ("a", None), ("a/", None), ("", "a.b"), ("", "a/b/c")):
            whole = store._scan(ListOptions(prefix, delimiter, after))
            names = store._scan(ListOptions(prefix, delimiter, after, names_only=True))
            assert [(row.key, row.is_prefix) for row in names] == [(row.key, row.is_prefix) for row in whole]


def test_names_alone_tell_encodings_also_the_first_that_the_root_ever_had(store: FileStore) -> None:
    keys = [f"{number:03}" for number in range(200)]
    for key in keys:
        (Path(store.root) / key).write_bytes(b"")
    rows = store._scan(ListOptions(names_only=True))
    listed = [next(rows) for _ in range(10)]
    store.write("150", b"", WriteOptions(content_encoding="br"))
    store.delete("160")
    listed += rows
    assert [row.key for row in listed] == [key for key in keys if key != "160"]
    assert [row.key for row in listed if row.content_encoding] == ["150"]
    assert listed[0].size is None
