"""Sources of every kind are known again: without ETags, by another name of their service, and after a kill."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from holdfast import errors as e
from holdfast import open_store
from holdfast.store import LIST
from holdfast.stores.memory import MemoryStore
from holdfast.sync import Identity, Journal, apply, place, plan
from holdfast.sync.overlaps import _are_one
from holdfast.types import ObjectInfo
from tests.user_stores import FiveMethods

from .test_apply import contents
from .test_plan import kinds, store_of

#: Longer (seconds) than anything here takes.
LONG = 10


# ---------------------------------------------------------------------- one service by two names
def of_moto(moto, name, prefix):
    login = {"AWS_ACCESS_KEY_ID": moto.access_key, "AWS_SECRET_ACCESS_KEY": moto.secret_key}
    endpoint = moto.endpoint.replace("127.0.0.1", "localhost") if name == "alias" else moto.endpoint
    return lambda bucket: open_store(f"s3://{endpoint}/{bucket}/{prefix}", secrets=login)


@pytest.mark.server
@pytest.mark.parametrize(("source", "target"), [("q", "q/sub"), ("q/sub", "q"), ("q/sub", "")])
def test_places_inside_one_another_are_refused_also_by_another_name_of_the_service(moto, source, target):
    bucket = moto.make_bucket()
    one, other = of_moto(moto, "own", source)(bucket), of_moto(moto, "alias", target)(bucket)
    one.put("b", b"2")
    one.put("sub/a", b"1")
    with pytest.raises(e.ConfigError, match="one inside the other"):
        plan(one, other, index=None)
    beside = of_moto(moto, "alias", "beside")(bucket)
    assert kinds(plan(one, beside, index=None)) == {"b": "add", "sub/a": "add"}


@pytest.mark.server
def test_buckets_of_one_name_at_two_services_may_lie_inside_one_another(moto, ceph):
    bucket = moto.make_bucket()
    ceph.client().create_bucket(Bucket=bucket)
    one = of_moto(moto, "own", "q")(bucket)
    other = of_moto(ceph, "own", "q/sub")(bucket)
    one.put("a", b"1")
    assert kinds(plan(one, other, index=None)) == {"a": "add"}
    assert kinds(plan(other, one, index=None, delete=True)) == {"a": "refuse"}


def test_a_copy_elsewhere_has_the_same_etag_but_not_the_same_time():
    when = datetime(2026, 1, 1, 12, 0, 0, 5000, tzinfo=UTC)
    row = ObjectInfo("a", 1, '"x"', when)
    assert _are_one(row, ObjectInfo("q/a", 1, '"x"', when.replace(microsecond=0)))
    assert not _are_one(row, ObjectInfo("q/a", 1, '"x"', when + timedelta(seconds=1)))
    assert not _are_one(row, ObjectInfo("q/a", 1, '"y"', when))
    assert not _are_one(row, None)


# ---------------------------------------------------------------------- stores without ETags and times
def five_methods(**objects):
    store = FiveMethods()
    for key, data in objects.items():
        store.put(key, data)
    return store


@pytest.mark.parametrize("move", [False, True])
@pytest.mark.parametrize("old", [None, b"old"])
def test_a_source_without_etags_is_seen_to_have_changed(old, move):
    source, target = five_methods(a=b"111"), MemoryStore()
    if old:
        target.put("a", old)
    planned = plan(source, target, on_unknown="transfer", move=move)
    source.put("a", b"222")
    summary = apply(planned)
    assert (len(summary.stale), summary.exit_code) == (1, 3)
    assert contents(target) == ({"a": old} if old else {})
    assert source.get("a") == b"222"


@pytest.mark.parametrize("reencode", [None, "gzip"])
def test_a_source_without_etags_that_changes_while_it_is_read_is_not_written(reencode):
    class Changing(FiveMethods):
        reads = 0

        def get(self, key):
            self.reads += 1
            return super().get(key) if self.reads == 1 else b"222"

    source, target = Changing(), MemoryStore()
    source.put("a", b"111")
    summary = apply(plan(source, target, reencode=reencode))
    assert (source.reads, len(summary.stale), contents(target)) == (2, 1, {})


@pytest.mark.parametrize("looks", range(1, 6))
def test_a_move_deletes_the_version_that_was_copied_and_no_later_one(looks):
    class Overtaken(FiveMethods):
        """Changes after so many looks at it once it is copied."""

        left = looks

        def get(self, key):
            data = super().get(key)
            if target.exists("a"):
                self.left -= 1
                if self.left == 0:
                    self.put("a", b"222")
            return data

    source, target = Overtaken(), MemoryStore()
    source.put("a", b"111")
    summary = apply(plan(source, target, move=True))
    assert (summary.exit_code, target.get("a")) == (3, b"111")
    assert source.get("a") == b"222"


def test_a_store_and_a_view_of_it_without_etags_are_not_moved_onto_one_another():
    class View(FiveMethods):
        """The same objects as those of another store, which nobody can tell."""

        def get(self, key):
            return target.get(key)

        def exists(self, key):
            return target.exists(key)

        def delete(self, key):
            target.delete(key)

        def keys(self):
            return [row.key for row in target.list()]

    target = store_of(a=b"only copy")
    summary = apply(plan(View(), target, move=True, compare="digest"))
    assert (summary.exit_code, contents(target)) == (1, {"a": b"only copy"})
    assert "are the same place" in summary.failed[0].detail


def test_what_is_moved_from_such_a_store_is_gone_there():
    source, target = five_methods(a=b"1", b=b"2"), store_of(b=b"2")
    assert apply(plan(source, target, move=True, compare="digest")).exit_code == 0
    assert (list(source.keys()), contents(target)) == ([], {"a": b"1", "b": b"2"})


# ---------------------------------------------------------------------- moves that were killed
@pytest.mark.parametrize(("there", "kind"), [({}, "add"), ({"a": b"0"}, "update"), ({"a": b"1"}, "skip")])
def test_a_move_that_was_killed_before_it_was_noted_is_done(tmp_path, there, kind):
    source, target = store_of(a=b"1"), store_of(**there)
    planned = plan(source, target, move=True)
    assert kinds(planned) == {"a": kind}
    with Journal(tmp_path / "journal", lease=0.0) as journal:
        queue = journal.begin(planned)
        assert sum(len(queue.claim(phase, 1)) for phase in ("transfer", "late", "delete")) == 1
        if kind != "skip":
            target.put("a", b"1")
        queue.note_copy("a", Identity.of(target.head("a")))
        source.delete("a")
        summary = apply(planned, journal=journal)
    assert (summary.exit_code, summary.stale, summary.failed) == (0, [], [])
    assert contents(target) == {"a": b"1"}


# ---------------------------------------------------------------------- a directory that is to become a file
def in_the_way(tmp_path, what):
    target = open_store(tmp_path / "target")
    target.put("a/b/x", b"1")
    if what == "excluded":
        target.put("a/keep.tmp", b"precious")
    elif what == "link":
        (tmp_path / "target/a/b/link").symlink_to("elsewhere")
    return target


@pytest.mark.parametrize("what", ["excluded", "link"])
def test_nothing_is_deleted_below_a_directory_that_stays(tmp_path, what):
    target = in_the_way(tmp_path, what)
    planned = plan(store_of(a=b"file", z=b""), target, delete=True, exclude="*.tmp", max_delete=5)
    assert kinds(planned) == {"a": "conflict", "a/b/x": "conflict", "z": "add"}
    summary = apply(planned)
    assert (summary.exit_code, summary.deleted, target.get("a/b/x")) == (1, 0, b"1")


def test_a_directory_that_is_emptied_becomes_a_file(tmp_path):
    target = in_the_way(tmp_path, "nothing else")
    assert apply(plan(store_of(a=b"file"), target, delete=True, max_delete=5)).exit_code == 0
    assert contents(target) == {"a": b"file"}


def test_a_listing_of_markers_is_not_read_on_when_nobody_wants_its_rows():
    """A service lists directory markers without end; they are passed over only after the rows came."""
    given_up, freed = threading.Event(), threading.Event()

    class Marked(MemoryStore):
        local = False

        def _scan(self, options=LIST):
            try:
                yield from (ObjectInfo(f"a{number}", size=1) for number in range(1000))
                while not given_up.is_set():
                    yield ObjectInfo("marker/", size=0)
            finally:
                if not given_up.is_set():
                    freed.set()

    rows = place(Marked()).rows()
    assert next(rows).key == "a0"
    rows.close()
    del rows
    let_go = freed.wait(LONG)
    given_up.set()
    assert let_go
