"""Sources that lie or mean harm: nothing leaves the target, nothing is deleted, and everything is reported."""

from __future__ import annotations

import os
import re

import pytest

from holdfast import errors as e
from holdfast import open_store
from holdfast.stores.memory import MemoryStore
from holdfast.sync import apply, plan
from tests.stores.before import Before
from tests.stores.scripted import Answer

from .test_apply import contents
from .test_plan import kinds, store_of
from .test_resume import open_moto

HOSTILE = [
    "../up", "a/../../up", "/absolute", "nul\0nul", ".", "..", "a//b", "dir/.", ".holdfast/tmp/x", "x" * 300,
    "file", "file/below", "\udcff/latin", "link/inside", "esc\x1b[2J\x1b]0;owned\x07", "new\nline",
    "back\\slash", "C:\\x",
]  # fmt: skip


def everything_below(directory):
    return {
        os.path.relpath(os.path.join(folder, name), directory)
        for folder, folders, files in os.walk(directory)
        for name in (*folders, *files)
    }


def test_a_hostile_source_writes_nothing_outside_and_each_refusal_is_told(tmp_path):
    source = store_of(**dict.fromkeys(HOSTILE, b"evil"), fine=b"1")
    root, outside = tmp_path / "deep" / "root", tmp_path / "outside"
    root.mkdir(parents=True)
    outside.mkdir()
    (root / "link").symlink_to(outside)
    before = everything_below(tmp_path)
    summary = apply(plan(source, root))
    written = {name for name in everything_below(tmp_path) - before if ".holdfast" not in name}
    assert all(name.startswith("deep/root/") for name in written)
    assert list(outside.iterdir()) == []
    refused = {result.key for result in (*summary.refused, *summary.conflicts)}
    assert refused == set(HOSTILE[:12]) - {"\udcff/latin"} | {"link/inside"}
    assert summary.exit_code == 1
    assert summary.failed == []
    text = str(summary) + str(plan(source, root))
    assert all(key in {result.key for result in summary.refused} for key in refused)
    assert "\x1b" not in text
    assert "\x07" not in text


def test_names_that_no_service_can_hold_are_refused(tmp_path):
    root = tmp_path / "source"
    root.mkdir()
    with open(os.path.join(os.fsencode(root), b"latin\xff"), "wb"):
        pass
    assert kinds(plan(root, MemoryStore())) == {"latin\udcff": "refuse"}


def test_every_hostile_name_can_be_refused_as_not_portable():
    planned = plan(store_of(**dict.fromkeys(HOSTILE, b""), fine=b"1"), MemoryStore(), names="portable")
    assert {key for key, kind in kinds(planned).items() if kind == "add"} == {"fine", "link/inside"}


def page(rows, more=""):
    about = "<Size>1</Size><ETag>x</ETag><LastModified>2020-01-01T00:00:00Z</LastModified>"
    listed = "".join(f"<Contents><Key>{key}</Key>{about}</Contents>" for key in rows)
    text = f"<ListBucketResult>{listed}{more or '<IsTruncated>false</IsTruncated>'}</ListBucketResult>"
    return Answer(200, text.encode(), {"content-type": "application/xml"})


REPEATED = "<IsTruncated>true</IsTruncated><NextContinuationToken>again</NextContinuationToken>"
LIES = {
    "html": Answer(200, b"<html><body>Please log in</body></html>", {"content-type": "text/html"}),
    "html as xml": Answer(200, b"<html/>", {"content-type": "application/xml"}),
    "nothing at all": Answer(200, b""),
    "empty": page([]),
    "ended early": page(["deep/er/0"]),
    "a token repeated": page(["deep/er/0"], REPEATED),
    "truncated without a token": page(["deep/er/0"], "<IsTruncated>true</IsTruncated>"),
    "out of order": page(["deep/er/3", "deep/er/0"]),
    "twice the same": page(["deep/er/0", "deep/er/0"]),
    "denied": Answer(403, b"<Error><Code>AccessDenied</Code></Error>", {"content-type": "application/xml"}),
    "cut": Answer(200, page(["deep/er/0"]).body, {"content-type": "application/xml"}, cut=20),
}


@pytest.mark.server
@pytest.mark.parametrize("lie", LIES)
def test_no_listing_of_the_source_that_lies_deletes_anything(moto, lie, monkeypatch):
    monkeypatch.setenv("HOLDFAST_RETRY_WAIT", "0")
    bucket = moto.make_bucket()
    honest, target = open_moto(moto, bucket), MemoryStore()
    for number in range(5):
        honest.put(str(number), b"1")
        target.put(str(number), b"1")

    def lying(request):
        return LIES[lie] if request.method == "GET" and re.search("list-type|prefix=", request.target) else None

    with Before(moto, lying) as before:
        source = open_moto(moto, bucket, before.endpoint)
        try:
            planned = plan(source, target, delete=True, max_delete=100, compare="size")
        except e.HoldfastError:
            assert lie not in {"empty", "ended early"}
        else:
            assert lie in {"empty", "ended early"}
            assert apply(planned).exit_code != 0
    assert sorted(contents(target)) == ["0", "1", "2", "3", "4"]


@pytest.mark.server
def test_a_listing_of_the_target_that_lies_overwrites_nothing(moto):
    bucket = moto.make_bucket()
    honest = open_moto(moto, bucket)
    honest.put("a", b"theirs")

    def lying(request):
        return page([]) if request.method == "GET" and re.search("list-type|prefix=", request.target) else None

    with Before(moto, lying) as before:
        summary = apply(plan(store_of(a=b"mine", b=b"new"), open_moto(moto, bucket, before.endpoint)))
    assert [result.key for result in summary.stale] == ["a"]
    assert contents(honest) == {"a": b"theirs", "b": b"new"}


def test_siblings_are_left_alone(tmp_path):
    root = open_store(tmp_path)
    for key in ("source/a", "data/old", "database/b", "data.txt"):
        root.put(key, key.encode())
    apply(plan(tmp_path / "source", tmp_path / "data", delete=True, max_delete=9))
    assert sorted(contents(root)) == ["data.txt", "data/a", "database/b", "source/a"]
    bucket = "mem://siblings-sync"
    for key in ("run1/a", "run10/b"):
        open_store(bucket).put(key, b"1")
    apply(plan(tmp_path / "source", f"{bucket}/run1", delete=True, max_delete=9))
    assert "run10/b" in contents(open_store(bucket))
