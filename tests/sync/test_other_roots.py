"""Files whose encoding and metadata another store keeps, deeper or above: never copied or moved without them."""

from __future__ import annotations

import gzip
import os

import pytest

from holdfast import open_store
from holdfast.stores.file.store import FileStore
from holdfast.stores.memory import MemoryStore
from holdfast.sync import apply, plan
from holdfast.types import WriteOptions

from .test_plan import kinds

STORED = gzip.compress(b"hello" * 9, mtime=0)
OPTIONS = WriteOptions(content_encoding="gzip", metadata={"owner": "ann"})


@pytest.mark.parametrize("move", [False, True])
@pytest.mark.parametrize(("kept_by", "source"), [("run1", ""), ("", "run1")])
def test_what_another_root_keeps_attributes_of_is_refused_and_the_rest_is_copied(tmp_path, kept_by, source, move):
    FileStore(tmp_path / kept_by).write("x" if kept_by else "run1/x", STORED, OPTIONS)
    (tmp_path / "run1/plain").write_bytes(b"1")
    FileStore(tmp_path / "run1").write("own", b"2", OPTIONS)
    (tmp_path / "a").write_bytes(b"3")
    target = MemoryStore()
    planned = plan(FileStore(tmp_path / source), target, move=move, index=None)
    folder = "" if source else "run1/"
    refused = {f"{folder}x", *([] if source else ["run1/own"])}
    assert {key for key, kind in kinds(planned).items() if kind == "refuse"} == refused
    [reason] = {action.reason for action in planned.of_kind("refuse")}
    assert str(tmp_path / kept_by) in reason
    done = apply(planned, index=None)
    assert done.exit_code == 1
    assert target.get(f"{folder}plain") == b"1"
    assert not target.exists(f"{folder}x")
    info = FileStore(tmp_path / kept_by).head("x" if kept_by else "run1/x")
    assert (info.content_encoding, dict(info.metadata)) == ("gzip", {"owner": "ann"})
    key = "x" if kept_by else "run1/x"
    assert kinds(plan(FileStore(tmp_path / kept_by), target, index=None))[key] == "add"


def test_attributes_of_files_that_are_not_there_any_more_refuse_nothing(tmp_path):
    inner = FileStore(tmp_path / "run1")
    inner.write("x", STORED, OPTIONS)
    os.replace(_file(tmp_path / "new"), tmp_path / "run1/x")
    assert kinds(plan(FileStore(tmp_path), MemoryStore(), index=None)) == {"run1/x": "add"}


def _file(path):
    path.write_bytes(b"by other means")
    return path


def test_a_place_opened_by_its_path_has_the_attributes_of_its_root(tmp_path):
    open_store(tmp_path).write("run1/x", STORED, OPTIONS)
    target = MemoryStore()
    assert apply(plan(tmp_path / "run1", target, index=None), index=None).exit_code == 0
    assert target.head("x").content_encoding == "gzip"
