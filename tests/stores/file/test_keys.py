"""Keys become paths faithfully or not at all, and no path leads out of the root."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from holdfast.errors import AlreadyExists, BucketNotFound, ConfigError, InvalidKey, NotFound, PathConflict
from holdfast.stores.file import FileStore

AWKWARD = [
    "with space", " lead", "trail ", "hash#1", "per%20cent", "%2e%2e", "star*", "q?[x]~", "back\\slash", "new\nline",
    "tab\t", "bell\x07esc\x1b[2J", "ü/ñ/日本", "\U0001f600", "e\u0301", "\u00e9", "...", "..a", ".hidden", "a/.b/c",
    "pipe|", "c:", "x#1/y#2", ".holdfast2/a", "a/.hold/b", ".holdfas", "holdfast", "-rf", "a" * 255, "\udcff\udc80",
    "mixed\udcc3/\udca9", "CON", "quote'\"", "~", "$HOME", "`id`",
]  # fmt: skip
REFUSED = [
    "/a", "a/", "a//b", "/", "//", ".", "..", "../a", "a/..", "a/../b", "./a", "a/.", "a/./b", "nul\0", "a/n\0/b",
    "b" * 256, "a/" + "ü" * 128, ".holdfast", ".holdfast/a", ".holdfast/tmp/x", ".holdfast/../a",
    "a/.holdfast-temporary-0123456789abcdef",
]  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "root")


@pytest.mark.parametrize("key", AWKWARD)
def test_an_awkward_key_is_kept_as_it_is(store: FileStore, key: str) -> None:
    store.put(key, key.encode("utf-8", "surrogateescape"))
    assert list(store.keys()) == [key]
    assert (Path(store.root) / key).read_bytes() == store.get(key) == store.get(key)
    assert store.head(key).key == key
    store.delete(key)
    assert list(store.keys()) == []


def test_all_awkward_keys_live_side_by_side(store: FileStore) -> None:
    for key in AWKWARD:
        store.put(key, key.encode("utf-8", "surrogateescape"))
    assert sorted(store.keys()) == sorted(AWKWARD)
    for key in AWKWARD:
        assert store.get(key) == key.encode("utf-8", "surrogateescape")


@pytest.mark.parametrize("key", REFUSED)
def test_a_key_that_cannot_be_a_file_is_refused_by_every_verb_and_touches_nothing(
    store: FileStore, key: str, tmp_path: Path
) -> None:
    for _ in range(2):  # the second time with the directories around it open
        for call in (store.get, store.head, store.delete, store.exists, lambda k: store.put(k, b"x")):
            with pytest.raises(InvalidKey) as caught:
                call(key)
            assert caught.value.key == key
        assert isinstance(store.remove([key])[0], InvalidKey)
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(InvalidKey):
            store.create(key, b"x")
        assert sorted(tmp_path.rglob("*")) == before
        store.put("a/b", b"1")
        store.get("a/b")
        store.put("top", b"1")
        store.get("top")


def test_the_private_directory_is_not_reachable_even_when_it_is_open(store: FileStore) -> None:
    store.put("a", b"1")
    store.get("a")
    (Path(store.root) / ".holdfast/tmp/x").write_bytes(b"secret")
    for key in (".holdfast/tmp/x", ".holdfast/locks/00"):
        with pytest.raises(InvalidKey):
            store.get(key)


def test_a_directory_is_no_object_and_nothing_is_stored_over_or_below_the_wrong_kind(store: FileStore) -> None:
    store.put("dir/file", b"1")
    for key in ("dir", "dir/file/x", "dir/missing", "none/x"):
        with pytest.raises(NotFound):
            store.get(key)
        with pytest.raises(NotFound):
            store.delete(key)
        assert not store.exists(key)
    for key in ("dir", "dir/file/x", "dir/file/x/y"):
        for call in (store.put, store.create):
            with pytest.raises(PathConflict):
                call(key, b"2")
    assert store.get("dir/file") == b"1"
    assert list((Path(store.root) / ".holdfast/tmp").iterdir()) == []


def test_symlinks_are_never_followed_and_a_put_replaces_the_link_itself(store: FileStore, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    store.put("real/a", b"1")
    root = Path(store.root)
    (root / "link").symlink_to(outside / "secret")
    (root / "dir").symlink_to(outside)
    (root / "inner").symlink_to(root / "real")
    (root / "dangling").symlink_to(root / "nowhere")
    (root / "loop").symlink_to("loop")
    for key in ("link", "dir/secret", "dir", "inner/a", "dangling", "loop", "loop/x"):
        with pytest.raises(NotFound):
            store.get(key)
        with pytest.raises(NotFound):
            store.delete(key)
    assert list(store.keys()) == ["real/a"]
    assert list(store.keys("dir/")) == []
    for key in ("dir/secret", "dir/new", "inner/b", "loop/x"):
        with pytest.raises(PathConflict):
            store.put(key, b"2")
    store.put("link", b"3")
    with pytest.raises(AlreadyExists):
        store.create("dangling", b"4")
    assert (root / "dangling").is_symlink()
    store.put("dangling", b"4")
    assert not (root / "link").is_symlink()
    assert (store.get("link"), store.get("dangling")) == (b"3", b"4")
    assert (outside / "secret").read_bytes() == b"secret"
    assert [path.name for path in outside.iterdir()] == ["secret"]


@pytest.mark.parametrize("level", ["a", "a/b", "a/b/c"])
def test_a_directory_swapped_for_a_symlink_while_it_is_open_is_not_followed(
    store: FileStore, tmp_path: Path, level: str
) -> None:
    store.put("a/b/c/x", b"inside")
    assert store.get("a/b/c/x") == b"inside"
    root, outside = Path(store.root), tmp_path / "outside"
    # The link leads to the very directory whose descriptor is open: its identity alone would let it pass.
    (root / level).rename(outside)
    (root / level).symlink_to(outside)
    assert (root / "a/b/c/x").read_bytes() == b"inside"
    with pytest.raises(NotFound):
        store.get("a/b/c/x")
    with pytest.raises(PathConflict):
        store.put("a/b/c/x", b"escaped")
    with pytest.raises(NotFound):
        store.delete("a/b/c/x")
    assert (root / "a/b/c/x").read_bytes() == b"inside"
    assert list(store.keys()) == []


def test_a_private_directory_that_is_a_symlink_is_not_followed(store: FileStore, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    Path(store.root).mkdir()
    (Path(store.root) / ".holdfast").symlink_to(tmp_path / "outside")
    with pytest.raises(PathConflict):
        store.put("a", b"1")
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_directory_replaced_by_another_is_seen_at_once(store: FileStore) -> None:
    store.put("a/b/x", b"old")
    assert store.get("a/b/x") == b"old"
    root = Path(store.root)
    (root / "a").rename(root / "moved")
    (root / "a/b").mkdir(parents=True)
    (root / "a/b/x").write_bytes(b"new")
    assert store.get("a/b/x") == b"new"
    store.put("a/b/y", b"2")
    assert (root / "a/b/y").read_bytes() == b"2"
    assert store.get("moved/b/x") == b"old"


def test_a_root_that_is_removed_and_made_again_is_served_anew(store: FileStore, tmp_path: Path) -> None:
    store.put("x", b"old")
    assert store.get("x") == b"old"
    Path(store.root).rename(tmp_path / "aside")
    with pytest.raises(NotFound):
        store.get("x")
    store.put("y", b"new")
    assert list(store.keys()) == ["y"]


def test_a_root_reached_through_a_symlink_works(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    store = FileStore(tmp_path / "link")
    store.put("a/b/x", b"1")
    assert store.get("a/b/x") == store.get("a/b/x") == (tmp_path / "real/a/b/x").read_bytes()


def test_pipes_sockets_and_devices_are_no_objects(store: FileStore, tmp_path: Path, monkeypatch) -> None:
    store.put("a", b"1")
    root = Path(store.root)
    os.mkfifo(root / "fifo")
    monkeypatch.chdir(root)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        for key in ("fifo", "socket"):
            with pytest.raises(NotFound):
                store.get(key)
            assert not store.exists(key)
        assert list(store.keys()) == ["a"]
    store.put("fifo", b"2")
    assert store.get("fifo") == b"2"


def test_reading_makes_nothing(store: FileStore, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        store.get("a/b")
    with pytest.raises(NotFound):
        store.delete("a/b")
    assert not store.exists("a")
    assert list(store.keys()) == []
    assert list(store.list(delimiter="/")) == []
    assert store.remove(["a", "b/c"]) == [None, None]
    assert list(tmp_path.iterdir()) == []
    Path(store.root).mkdir()
    (Path(store.root) / "plain").write_bytes(b"1")
    assert store.get("plain") == b"1"
    assert store.head("plain").size == 1
    assert list(store.keys()) == ["plain"]
    assert [path.name for path in Path(store.root).iterdir()] == ["plain"]


def test_a_root_that_is_a_file_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = FileStore(tmp_path / "file")
    for call in (lambda: store.get("a"), lambda: list(store.keys())):
        with pytest.raises(BucketNotFound, match="name a directory"):
            call()
    with pytest.raises(BucketNotFound, match="name a directory"):
        store.put("a", b"")
    for root in ("", "a\0b"):
        with pytest.raises(ConfigError):
            FileStore(root)


def test_a_path_far_longer_than_the_system_takes_in_one_call_works(store: FileStore) -> None:
    key = "/".join(["d" * 200] * 40) + "/x"
    store.put(key, b"deep")
    assert store.get(key) == store.get(key) == b"deep"
    assert list(store.keys()) == [key]
    store.delete(key)
    assert list(store.keys()) == []


def test_where_the_system_lacks_openat_the_store_says_so() -> None:
    import subprocess
    import sys

    script = "import os; del os.O_NOFOLLOW; from holdfast.stores.file import FileStore; FileStore('x')"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert "Unsupported: file://x: local files need openat" in done.stderr


def test_a_slash_in_front_is_refused_whatever_was_read_before(store: FileStore) -> None:
    store.put("a", b"value of a")
    store.put("b/c", b"")
    for _ in range(2):
        with pytest.raises(InvalidKey):
            store.get("/a")
        with pytest.raises(InvalidKey):
            store.get("/b/c")
        assert store.get("a") == b"value of a"
        assert store.get("b/c") == b""
