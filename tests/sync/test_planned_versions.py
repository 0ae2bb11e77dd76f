"""The version that was planned is the one that is copied, also where the store copies by itself; else it is told."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from holdfast import errors as e
from holdfast.stores.file import FileStore
from holdfast.stores.memory import MemoryStore
from holdfast.stores.s3 import S3Store
from holdfast.stores.sqlite import SqliteStore
from holdfast.sync import Index, apply, plan
from holdfast.types import WriteOptions
from holdfast.wrap.rekey import PrefixStore

from .test_plan import kinds


def overtaken(kind, *arguments, late=False, **options):
    """A store of this kind, in which a source is replaced just before it is copied, or just after (``late``)."""

    class Overtaken(kind):
        changes = 1

        def _copy(self, source, src, dst, options=None):
            if late:
                info = super()._copy(source, src, dst, options)
            if self.changes:
                self.changes -= 1
                source._write(src, b"newer!!")
            return info if late else super()._copy(source, src, dst, options)

    return Overtaken(*arguments, **options)


@pytest.fixture(
    params=["mem", "sqlite", "file", *(pytest.param(name, marks=pytest.mark.server) for name in ("moto", "ceph"))]
)
def arguments(request, tmp_path):
    """How to make a store that copies by itself."""
    if request.param == "mem":
        return (MemoryStore,), {}
    if request.param == "sqlite":
        return (SqliteStore, tmp_path / "objects.db"), {}
    if request.param == "file":
        return (FileStore, tmp_path), {}
    return of_s3(request.getfixturevalue(request.param))


def of_s3(server, kind=S3Store):
    login = {"access_key_id": server.access_key, "secret_access_key": server.secret_key}
    return (kind, server.make_bucket()), {"endpoint": server.endpoint, "region": server.region, **login}


def two_prefixes(store):
    return PrefixStore(store, "one/"), PrefixStore(store, "two/")


@pytest.mark.parametrize("move", [False, True])
@pytest.mark.parametrize("old", [None, b"old"])
def test_a_newer_version_of_the_source_is_not_copied_in_place_of_the_planned_one(arguments, old, move):
    store = overtaken(*arguments[0], **arguments[1])
    source, target = two_prefixes(store)
    source.put("a", b"planned")
    if old:
        target.put("a", old)
    summary = apply(plan(source, target, index=None, move=move), index=None)
    assert ([result.outcome for result in summary.stale], summary.exit_code) == (["stale"], 3)
    assert (target.get("a") if target.exists("a") else None) == old
    assert source.get("a") == b"newer!!"


def test_a_change_after_the_copy_does_not_make_it_another_one(arguments):
    store = overtaken(*arguments[0], late=True, **arguments[1])
    source, target = two_prefixes(store)
    source.put("a", b"planned")
    summary = apply(plan(source, target, index=None), index=None)
    assert (summary.exit_code, target.get("a")) == (0, b"planned")
    assert kinds(plan(source, target, index=None)) == {"a": "update"}


class Unconditional(S3Store):
    """A bucket of a service without conditional writes: a small object is copied in one request."""

    @property
    def capabilities(self):
        return replace(super().capabilities, create=False, replace_if=False)


@pytest.fixture
def unheeding(moto):
    """A bucket of a service that copies whatever is there, in which that is another version by then."""

    class Overtaken(Unconditional):
        changes = 1

        def wire(self):
            wire = super().wire()
            document = wire.document

            def overtake(request, *rest):
                if request.doing == "copy" and self.changes:
                    self.changes -= 1
                    self._write("one/a", b"newer!!")
                return document(request, *rest)

            wire.document = overtake
            return wire

    arguments, options = of_s3(moto, Overtaken)
    return arguments[0](*arguments[1:], **options)


@pytest.mark.server
def test_where_the_service_takes_no_notice_it_is_told_that_a_newer_version_was_copied(unheeding):
    """It was done, so it is not called stale; but something has changed since, which is exit code 3 and is told."""
    source, target = two_prefixes(unheeding)
    source.put("a", b"planned")
    target.put("a", b"before!")
    index = Index(":memory:")
    told = []
    summary = apply(plan(source, target, index=index), index=index, on_result=told.append)
    assert target.get("a") == b"newer!!"
    assert (summary.updated, summary.exit_code, summary.stale) == (1, 3, [])
    assert "may be of its newer version" in told[0].detail
    assert (summary.overtaken, told[0].outcome) == (told, "done")
    assert "a: the source changed while it was copied" in str(summary)
    assert [row["key"] for row in summary.to_dict()["overtaken"]] == ["a"]
    source.put("a", b"planned")
    assert kinds(plan(source, target, index=index)) == {"a": "update"}


@pytest.mark.server
def test_where_the_service_takes_no_notice_a_move_keeps_its_source(unheeding):
    source, target = two_prefixes(unheeding)
    source.put("a", b"planned")
    summary = apply(plan(source, target, index=None, move=True), index=None)
    assert (summary.exit_code, [result.detail for result in summary.stale]) == (
        3, ["copied; the source changed and was kept"],
    )  # fmt: skip
    assert (source.get("a"), target.get("a")) == (b"newer!!", b"newer!!")


def test_a_file_that_is_written_to_while_it_is_copied_is_not_copied(tmp_path):
    """In place: neither the old version nor the new one would arrive."""

    class Written(FileStore):
        def _read(self, key, *options):
            blob = super()._read(key, *options)
            if not (options and options[0].head):
                with open(os.path.join(self.root, key), "r+b") as file:
                    file.write(b"new")
            return blob

    source, target = Written(tmp_path / "one"), FileStore(tmp_path / "two")
    source.put("a", b"planned")
    with pytest.raises(e.Conflict):
        target._copy(source, "a", "a", WriteOptions(source_if_match=source.head("a").etag))
    assert not target.exists("a")


def test_a_write_has_no_source():
    with pytest.raises(ValueError, match="goes with a copy"):
        MemoryStore().write("a", b"1", WriteOptions(source_if_match="x"))
