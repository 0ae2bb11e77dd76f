"""Applies that go on: after failures, after a kill, in parts of large objects, with several workers."""

from __future__ import annotations

import threading
import time

import pytest

from holdfast import errors as e
from holdfast import open_store
from holdfast.stores.memory import MemoryStore
from holdfast.sync import Journal, apply, plan, resuming
from holdfast.testing.stores import CountingStore, FaultStore
from tests.stores.before import Before
from tests.stores.scripted import Answer

from .test_apply import contents
from .test_plan import store_of

MIB = 1 << 20
DENIED = Answer(403, b"<Error><Code>AccessDenied</Code></Error>", {"content-type": "application/xml"})
SIZE = 21 * MIB + 5


def body(size: int, seed: int = 0) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[seed : seed + size]


def open_moto(server, bucket, endpoint=None):
    secrets = {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}
    return open_store(f"s3://{endpoint or server.endpoint}/{bucket}/deep/er", secrets=secrets)


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(resuming, "LARGE", 8 * MIB)
    monkeypatch.setattr(resuming, "PART", 5 * MIB)


def test_a_second_apply_does_only_what_the_first_one_did_not(tmp_path):
    source, inner = store_of(**{str(number): b"x" for number in range(50)}), MemoryStore()
    target = FaultStore(inner)
    target.fail(lambda key: e.Throttled("slow down", key=key), "write", times=20, after=10)
    planned = plan(source, target)
    first = apply(planned, journal=tmp_path / "journal")
    assert (first.added, len(first.failed), first.exit_code) == (30, 20, 1)
    counted = CountingStore(inner)
    planned.target = type(planned.target)(counted, planned.target.name)
    second = apply(planned, journal=tmp_path / "journal")
    assert (second.added, second.failed, second.exit_code) == (50, [], 0)
    assert counted.calls["write"] == 20
    third = apply(planned, journal=tmp_path / "journal")
    assert (third.added, counted.calls["write"]) == (50, 20)


def test_a_new_plan_of_the_same_second_is_not_taken_for_the_one_that_is_done(tmp_path):
    source, target = store_of(a=b"1"), MemoryStore()
    for _ in range(2):
        assert apply(plan(source, target), journal=tmp_path / "journal").added == 1
        assert target.get("a") == b"1"
        target.delete("a")


def test_what_a_lost_worker_had_written_is_not_written_again(tmp_path):
    source, target = store_of(a=b"1", b=b"2"), CountingStore(MemoryStore())
    planned = plan(source, target)
    with Journal(tmp_path / "journal", lease=0.0) as journal:
        lost = journal.begin(planned)
        assert len(lost.claim("transfer", 10)) == 2  # and it dies, after it has written one of them
        target.put("a", b"1")
        target.reset()
        summary = apply(planned, journal=journal)
    assert (summary.counts["add", "already"], summary.counts["add", "done"]) == (1, 1)
    assert target.calls["write"] == 1


def test_workers_on_one_journal_share_the_work_and_nothing_is_sent_twice(tmp_path):
    source = store_of(**{f"{number:03}": b"x" for number in range(400)})
    target = CountingStore(store_of(extra=b""))
    planned = plan(source, target, delete=True)
    summaries = []

    def work():
        summaries.append(apply(planned, journal=tmp_path / "journal", threads=0))

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert contents(target) == contents(source)
    assert target.calls["write"] == 400
    assert [(summary.added, summary.deleted, summary.exit_code) for summary in summaries] == [(400, 1, 0)] * 3


def test_a_worker_that_is_given_up_loses_its_tasks_and_one_that_lives_keeps_them(tmp_path):
    planned = plan(store_of(a=b"1"), MemoryStore())
    with Journal(tmp_path / "journal", lease=0.4) as journal:
        first, second = journal.begin(planned), journal.begin(planned)
        assert [task.action.key for task in first.claim("transfer", 1)] == ["a"]
        until = time.monotonic() + 1.0
        while time.monotonic() < until:
            first.renew()
            assert second.claim("transfer", 1) == []
            assert second.is_waiting("transfer")
            time.sleep(0.02)
        while not (taken := second.claim("transfer", 1)):
            time.sleep(0.02)
        assert taken[0].tries == 1
        second.release()
        assert [run.left for run in journal.runs()] == [1]


# ---------------------------------------------------------------------- parts
@pytest.mark.server
@pytest.mark.parametrize("failing", ["partNumber=3", "Complete"])
def test_an_upload_goes_on_with_the_parts_that_are_missing(moto, tmp_path, small_parts, failing):
    bucket = moto.make_bucket()
    source = open_store(tmp_path / "source")
    source.put("large", body(SIZE))
    sent = []
    broken = [True]

    def watch(request):
        if request.method == "PUT" and "partNumber" in request.target:
            sent.append(request.target.partition("partNumber=")[2][:1])
        name = "Complete" if request.method == "POST" and "uploadId" in request.target else request.target
        return DENIED if broken[0] and failing in name else None

    with Before(moto, watch) as before:
        target = open_moto(moto, bucket, before.endpoint)
        planned = plan(tmp_path / "source", target)
        first = apply(planned, journal=tmp_path / "journal", threads=4)
        assert (first.exit_code, len(first.failed)) == (1, 1)
        begun = sorted(sent)
        sent.clear()
        broken[0] = False
        # Not the same plan, as after a kill, when everything is asked anew: parts belong to versions, not to plans.
        second = apply(plan(tmp_path / "source", target), journal=tmp_path / "journal")
    assert second.exit_code == 0
    assert open_moto(moto, bucket).get("large") == body(SIZE)
    assert not set(sent) & (set(begun) - {"3"})
    assert sorted({*begun, *sent}) == ["1", "2", "3", "4", "5"]
    with Journal(tmp_path / "journal") as journal:
        assert list(journal.transfers()) == []
    assert not moto.client().list_multipart_uploads(Bucket=bucket).get("Uploads")


@pytest.mark.server
def test_an_upload_that_somebody_aborted_begins_anew(moto, tmp_path, small_parts):
    bucket = moto.make_bucket()
    open_store(tmp_path / "source").put("large", body(SIZE))
    broken = [True]

    def refuse(request):
        return DENIED if broken[0] and "partNumber=4" in request.target else None

    with Before(moto, refuse) as before:
        target = open_moto(moto, bucket, before.endpoint)
        assert apply(plan(tmp_path / "source", target), journal=tmp_path / "journal").exit_code == 1
        (upload,) = target.store.list_multipart_uploads()
        target.store.abort_multipart_upload(upload)
        broken[0] = False
        assert apply(plan(tmp_path / "source", target), journal=tmp_path / "journal").exit_code == 0
    assert target.get("large") == body(SIZE)


@pytest.mark.server
def test_a_download_goes_on_with_the_pieces_that_are_missing(moto, tmp_path, small_parts):
    bucket = moto.make_bucket()
    open_moto(moto, bucket).put("large", body(SIZE))
    ranges = []
    broken = [True]

    def watch(request):
        asked = {name.lower(): value for name, value in request.headers.items()}.get("range")
        if request.method == "GET" and asked:
            ranges.append(asked)
            if broken[0] and asked.startswith(f"bytes={10 * MIB}-"):
                return DENIED
        return None

    with Before(moto, watch) as before:
        source = open_moto(moto, bucket, before.endpoint)
        first = apply(plan(source, tmp_path / "target"), journal=tmp_path / "journal")
        assert (first.exit_code, contents(open_store(tmp_path / "target"))) == (1, {})
        begun = set(ranges) - {asked for asked in ranges if asked.startswith(f"bytes={10 * MIB}-")}
        ranges.clear()
        broken[0] = False
        assert apply(plan(source, tmp_path / "target"), journal=tmp_path / "journal").exit_code == 0
    assert begun
    assert not begun & set(ranges)
    assert contents(open_store(tmp_path / "target")) == {"large": body(SIZE)}
    assert list((tmp_path / "journal.parts").iterdir()) == []


@pytest.mark.server
def test_parts_of_two_versions_never_meet(moto, tmp_path, small_parts):
    bucket = moto.make_bucket()
    plain = open_moto(moto, bucket)
    plain.put("large", body(SIZE))

    def replace_it(request):
        asked = {name.lower(): value for name, value in request.headers.items()}.get("range", "")
        if asked.startswith(f"bytes={15 * MIB}-"):
            plain.put("large", body(SIZE, seed=1))

    with Before(moto, replace_it) as before:
        planned = plan(open_moto(moto, bucket, before.endpoint), tmp_path / "target")
        summary = apply(planned, journal=tmp_path / "journal")
    assert [result.key for result in summary.stale] == ["large"]
    assert contents(open_store(tmp_path / "target")) == {}
    assert apply(plan(plain, tmp_path / "target"), journal=tmp_path / "journal").exit_code == 0
    assert contents(open_store(tmp_path / "target")) == {"large": body(SIZE, seed=1)}


@pytest.mark.server
def test_a_large_object_does_not_replace_what_appeared_meanwhile(moto, tmp_path, small_parts):
    bucket = moto.make_bucket()
    open_store(tmp_path / "source").put("large", body(SIZE))
    target = open_moto(moto, bucket)
    planned = plan(tmp_path / "source", target)
    target.put("large", b"theirs")
    summary = apply(planned, journal=tmp_path / "journal")
    assert [result.key for result in summary.stale] == ["large"]
    assert target.get("large") == b"theirs"
    assert not moto.client().list_multipart_uploads(Bucket=bucket).get("Uploads")


@pytest.mark.server
def test_an_upload_whose_source_has_changed_leaves_no_parts(moto, tmp_path, small_parts):
    bucket = moto.make_bucket()
    source = open_store(tmp_path / "source")
    source.put("large", body(SIZE))

    def change(request):
        if "partNumber=2" in request.target:
            source.put("large", body(SIZE, seed=1))

    with Before(moto, change) as before:
        planned = plan(tmp_path / "source", open_moto(moto, bucket, before.endpoint))
        summary = apply(planned, journal=tmp_path / "journal")
    assert [result.key for result in summary.stale] == ["large"]
    assert not moto.client().list_multipart_uploads(Bucket=bucket).get("Uploads")
    with Journal(tmp_path / "journal") as journal:
        assert list(journal.transfers()) == []


@pytest.mark.server
@pytest.mark.parametrize("failing", [False, True])
def test_without_a_journal_a_large_object_goes_in_parts_that_leave_nothing_when_they_fail(
    moto, tmp_path, small_parts, failing
):
    bucket = moto.make_bucket()
    open_store(tmp_path / "source").put("large", body(SIZE))

    def refuse(request):
        return DENIED if failing and "partNumber=4" in request.target else None

    with Before(moto, refuse) as before:
        summary = apply(plan(tmp_path / "source", open_moto(moto, bucket, before.endpoint)))
        assert before.count("PUT", "partNumber") >= 4
    assert contents(open_moto(moto, bucket)) == ({} if failing else {"large": body(SIZE)})
    assert summary.exit_code == int(failing)
    assert not moto.client().list_multipart_uploads(Bucket=bucket).get("Uploads")
