"""Large objects in parts, listings that go on after a token, and recordings of what was transmitted."""

from __future__ import annotations

import os

import pytest

from holdfast import CloudFiles
from holdfast.monitoring import IOEnum, TransmissionMonitor


@pytest.mark.parametrize("compress", [None, "gzip"])
def test_large_objects_are_read_in_parts(cf, compress):
    content = os.urandom(300_001)
    cf.puts([("big", content), ("small", b"1")], compress=compress)
    assert cf.get("big", part_size=50_000) == content
    rows = cf.get(["big", "small", "missing"], part_size=50_000, raise_errors=False)
    assert [row["content"] for row in rows] == [content, b"1", None]
    assert cf.get({"path": "big", "start": 10, "end": 70_000}, part_size=50_000) == content[10:70_000]
    with pytest.raises(ValueError, match="part_size"):
        cf.get("big", part_size=0)


def test_an_object_that_changes_between_its_parts_is_an_error_in_its_row(tmp_path):
    class Changing(type(CloudFiles(str(tmp_path)).store)):
        reads = 0

        def _read(self, key, options):
            type(self).reads += 1
            if type(self).reads == 3:
                CloudFiles(str(tmp_path)).put(key, b"y" * 300_000)
            return super()._read(key, options)

    files = CloudFiles(Changing(CloudFiles(str(tmp_path)).store.store), num_threads=1)
    files.put("a", b"x" * 300_000)
    (row,) = files.get(["a"], part_size=100_000, raise_errors=False)
    assert row["content"] is None
    assert type(row["error"]).__name__ == "Conflict"


def test_a_listing_goes_on_after_its_token(cf):
    paths = ["a/1", "a/2", "b", "c"]
    cf.puts((path, b"12") for path in paths)
    listed = list(cf.list(return_resume_token=True))
    assert [path for path, _ in listed] == paths
    assert list(cf.list(resume_token=listed[1][1])) == ["b", "c"]
    sized = list(cf.list(flat=True, size=True, return_resume_token=True))
    assert [row[:2] for row in sized] == [("a/", None), ("b", 2), ("c", 2)]
    assert list(cf.list(flat=True, resume_token=sized[0][2])) == ["b", "c"]


def test_the_size_of_several_subtrees(cf):
    cf.puts([("a/1", b"12"), ("b/1", b"345"), ("c", b"6")])
    assert cf.subtree_size(["a/", "b/"]) == {"N": 2, "num_bytes": 5}
    assert cf.subtree_size() == {"N": 3, "num_bytes": 6}


@pytest.mark.parametrize("parallel", [1, 2])
def test_a_recording_tells_when_and_how_much(tmp_path, parallel):
    files = CloudFiles(str(tmp_path))
    contents = {f"k{number}": b"x" * (number + 1) for number in range(40)}
    count, sent = files.puts(contents.items(), parallel=parallel, return_recording=True)
    assert count == 40
    assert isinstance(sent, TransmissionMonitor)
    assert (sent.direction, sent.total_bytes()) == (IOEnum.TX, sum(range(41)))
    rows, received = files.get([*contents, "missing"], parallel=parallel, return_recording=True)
    assert {row["path"]: row["content"] for row in rows} == {**contents, "missing": None}
    assert (received.direction, received.total_bytes()) == (IOEnum.RX, sum(range(41)))
    assert len(received.transmissions()) == 41
    assert sent.end_unix_time() <= received.end_unix_time()
    assert files.get("k3", return_recording=True)[0] == b"xxxx"
    assert files.get(["k3"], return_dict=True, return_recording=True)[0] == {"k3": b"xxxx"}


def test_failures_are_marked_in_the_recording(tmp_path):
    files = CloudFiles(str(tmp_path))
    files.put("a", b"1" * 300)
    rows, monitor = files.get(["a", "../x"], raise_errors=False, return_recording=True, part_size=100)
    assert rows[1]["error"] is not None
    assert sorted(monitor.failed(one.flight) for one in monitor.transmissions()) == [False, True]
