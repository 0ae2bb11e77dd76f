"""Reads: ranges, conditions, versions that change underneath, errors."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from holdfast.errors import AuthError, Conflict, IntegrityError, NotFound, StoreError
from holdfast.store import SimpleWrapper
from holdfast.stores.file import FileStore
from holdfast.types import ReadOptions

DATA = bytes(range(256)) * 10


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    store = FileStore(tmp_path)
    store.put("d/a", DATA)
    return store


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (0, 10),
        (5, 5),
        (5, None),
        (None, 7),
        (2559, 9999),
        (2560, 2570),
        (9999, None),
        (-5, None),
        (-9999, None),
        (7, 3),
    ],
)
def test_a_range_is_what_a_slice_would_be(store: FileStore, start: int | None, end: int | None) -> None:
    wanted = DATA[start:end]
    assert store.get_range("d/a", start, end) == wanted
    with store.read("d/a", ReadOptions(start, end)) as blob:
        assert blob.size == len(wanted)
        assert blob.info.size == len(DATA)
        assert b"".join(blob.chunks()) == wanted
    buffer = bytearray(len(wanted) + 3)
    with store.read("d/a", ReadOptions(start, end)) as blob:
        assert blob.readinto(buffer) == len(wanted)
        assert buffer[: len(wanted)] == wanted


def test_a_range_of_a_missing_object_is_not_found(store: FileStore) -> None:
    with pytest.raises(NotFound):
        store.get_range("d/b", 0, 0)


def test_the_head_agrees_with_the_read_and_with_the_listing(store: FileStore) -> None:
    head = store.head("d/a")
    with store.read("d/a") as blob:
        assert blob.info == head
    (row,) = store.list()
    assert (row.key, row.size, row.etag, row.last_modified) == (head.key, head.size, head.etag, head.last_modified)
    status = os.stat(Path(store.root) / "d/a")
    assert head.size == status.st_size
    assert head.last_modified is not None
    assert abs(head.last_modified.timestamp() - status.st_mtime) < 1e-3


def test_a_read_can_name_its_version(store: FileStore) -> None:
    old = store.head("d/a").etag
    assert store.read("d/a", ReadOptions(if_match=old)).bytes() == DATA
    store.put("d/a", b"x")
    for head in (False, True):
        with pytest.raises(Conflict):
            store.read("d/a", ReadOptions(if_match=old, head=head))


def test_an_opened_object_keeps_its_version_when_it_is_replaced_or_deleted(store: FileStore) -> None:
    with store.read("d/a") as first, store.read("d/a") as second:
        store.put("d/a", b"new")
        assert first.bytes() == DATA
        store.delete("d/a")
        assert b"".join(second.chunks()) == DATA


def test_a_file_cut_short_in_place_is_an_integrity_error_not_short_data(store: FileStore) -> None:
    takes = (lambda b: b.bytes(), lambda b: list(b.chunks()), lambda b: b.readinto(bytearray(len(DATA))))
    for take in takes:
        store.put("d/a", DATA)
        with store.read("d/a") as blob:
            os.truncate(Path(store.root) / "d/a", 100)
            with pytest.raises(IntegrityError, match="cut short"):
                take(blob)


def test_a_buffer_that_is_too_small_is_refused(store: FileStore) -> None:
    with store.read("d/a") as blob, pytest.raises(IntegrityError):
        blob.readinto(bytearray(10))


def test_a_large_object_comes_in_bounded_chunks(store: FileStore) -> None:
    data = os.urandom(3 << 20)
    store.put("big", data)
    with store.read("big") as blob:
        pieces = list(blob.chunks())
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) <= 1 << 20


def test_an_unclosed_blob_gives_its_descriptor_back(store: FileStore, no_leaks) -> None:
    store.get("d/a")
    no_leaks.baseline()
    for _ in range(20):
        store.read("d/a")
        store.read("d/a").chunks()


@pytest.mark.skipif(os.geteuid() == 0 and not hasattr(os, "seteuid"), reason="cannot give up root")
def test_a_file_that_may_not_be_read_is_an_auth_error(store: FileStore) -> None:
    path = Path(store.root)
    for directory in (path, *path.parents):
        if directory.stat().st_uid == os.geteuid() and directory.name.startswith("pytest"):
            directory.chmod(0o755)
    path.chmod(0o755)
    (path / "d/a").chmod(0)
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)
    try:
        with pytest.raises(AuthError) as caught:
            store.get("d/a")
        assert isinstance(caught.value, PermissionError)
        if was == 0:
            with pytest.raises(AuthError):
                store.put("d/b", b"1")
    finally:
        os.seteuid(was)


def test_running_out_of_descriptors_is_retryable(store: FileStore) -> None:
    import resource

    store.get("d/a")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(StoreError) as caught:
            store.get("d/a")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert caught.value.retryable
    assert store.get("d/a") == DATA


def test_a_wrapper_of_five_methods_works_over_files(store: FileStore) -> None:
    class Upper(SimpleWrapper):
        def get(self, key: str) -> bytes:
            return super().get(key).upper()

    store.put("t", b"text")
    assert Upper(store).get_range("t", 1, 3) == b"EX"
