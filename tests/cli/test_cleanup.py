"""cleanup: what dead processes left, and nothing that lives."""

from __future__ import annotations

import os
import time

import pytest

from holdfast import open_store
from holdfast.errors import StoreError
from holdfast.stores.file import FileStore
from holdfast.sync import Journal, plan
from holdfast.sync.summary import Result

OLD = 10 * 86400


def leave_temporary(root, name, age):
    directory = os.path.join(root, ".holdfast", "tmp")
    os.makedirs(directory, mode=0o700, exist_ok=True)
    path = os.path.join(directory, name)
    with open(path, "wb") as file:
        file.write(b"half")
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_temporaries_are_shown_then_removed(holdfast, folder):
    folder.put({"a": b"1"})
    path = leave_temporary(folder.base, "dead", OLD)
    result = holdfast("cleanup", folder.base)
    assert (result.code, result.lines[0].split()[2:], os.path.exists(path)) == (
        0, ["found", "temporary", path, "(4", "B)"], True,
    )  # fmt: skip
    assert "add --yes" in result.err
    assert holdfast("cleanup", "--yes", "--json", folder.base).rows[0]["status"] == "removed"
    assert not os.path.exists(path)
    assert folder.objects == {"a": b"1"}


def test_what_is_young_or_alive_is_left(holdfast, folder):
    folder.put({"a": b"1"})
    store = FileStore(folder.base)
    seen = []

    def slow():
        yield b"first "
        [temporary] = os.listdir(folder / ".holdfast/tmp")
        os.utime(folder / f".holdfast/tmp/{temporary}", (time.time() - OLD,) * 2)
        seen.append(holdfast("cleanup", "--yes", "--older-than", "1h", folder.base))
        yield b"last"

    store.write("b", slow())
    young = leave_temporary(folder.base, "young", 60)
    seen.append(holdfast("cleanup", "--yes", "--older-than", "1h", folder.base))
    assert [(result.code, result.out) for result in seen] == [(0, ""), (0, "")]
    assert os.path.exists(young)
    assert folder.objects == {"a": b"1", "b": b"first last"}


def test_a_directory_where_nothing_was_ever_written_is_left_as_it_is(holdfast, folder, tmp_path):
    result = holdfast("cleanup", "--yes", folder.base)
    assert (result.code, result.out, result.err) == (0, "", "removed 0 leftovers\n")
    assert os.listdir(folder.base) == []


def test_a_mistyped_location_is_no_clean_one(holdfast, folder, tmp_path):
    result = holdfast("cleanup", tmp_path / "nowhere")
    assert (result.code, f"{tmp_path}/nowhere: nothing there" in result.err) == (4, True)
    folder.put({"a": b"1"})
    result = holdfast("cleanup", folder / "a")
    assert (result.code, "is no directory" in result.err) == (1, True)
    leave_temporary(folder.base, "dead", OLD)
    result = holdfast("cleanup", folder.base, tmp_path / "nowhere")
    assert (result.code, len(result.lines), "found 1 leftover\n" in result.err) == (1, 1, True)
    assert sorted(os.listdir(tmp_path)) == ["folder"]


@pytest.mark.server
def test_uploads_are_shown_then_aborted(holdfast, moto, monkeypatch):
    for name, value in moto.environment.items():
        monkeypatch.setenv(name, value)
    bucket, client = moto.make_bucket(), moto.client()
    for key in ("run1/big", "run10/big"):
        client.create_multipart_upload(Bucket=bucket, Key=key)
    location = f"s3://{bucket}/run1"
    assert holdfast("cleanup", "--older-than", "20000d", location).out == ""  # moto says that all began in 2010
    result = holdfast("cleanup", "--older-than", "0s", location)
    assert (result.code, len(result.lines), f"upload     {location}/big" in result.out) == (0, 1, True)
    assert holdfast("cleanup", "--older-than", "0s", "--yes", location).code == 0
    left = client.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert [upload["Key"] for upload in left] == ["run10/big"]


def test_what_has_no_leftovers_is_refused(holdfast, bucket):
    result = holdfast("cleanup", bucket.base)
    assert (result.code, "no multipart uploads" in result.err) == (1, True)


def test_stale_syncs_and_their_pieces(holdfast, bucket, backup, tmp_path):
    bucket.put({"a": b"1"})
    path = tmp_path / "journal"
    with Journal(path) as journal:
        journal.begin(plan(open_store(bucket.base), backup.base))
        journal.begin_transfer("name", backup.base, "large", "token", 5)
        spool = journal.spool("name")
        spool.parent.mkdir()
        spool.write_bytes(b"half")
        assert holdfast("cleanup", "--journal", path, "--yes").out == ""
        with journal.transaction() as execute:
            execute("update runs set touched = touched - ?", (OLD,))
            execute("update transfers set touched = touched - ?", (OLD,))
    shown = holdfast("cleanup", "--journal", path).lines
    assert [line.split()[3] for line in shown] == ["sync", "pieces"]
    assert "1 of its actions are left" in shown[0]
    assert spool.exists()
    assert holdfast("cleanup", "--journal", path, "--yes").code == 0
    assert not spool.exists()
    with Journal(path) as journal:
        assert (list(journal.runs()), list(journal.transfers())) == ([], [])


def test_without_a_location_it_is_the_journal_of_the_user(holdfast, bucket, backup):
    bucket.put({"a": b"1"})
    assert holdfast("cleanup").err.startswith("found 0 leftovers\n")
    with Journal.default() as journal:
        journal.begin(plan(open_store(bucket.base), backup.base))
        assert holdfast("cleanup").lines == []  # it is young
        assert [run.left for run in journal.runs()] == [1]
        with journal.transaction() as execute:
            execute("update runs set touched = touched - ?", (OLD,))
    assert len(holdfast("cleanup").lines) == 1
    assert len(holdfast("cleanup", "--yes").lines) == 1
    assert holdfast("cleanup").lines == []


def test_a_journal_that_a_worker_uses_is_left_alone(holdfast, bucket, backup, tmp_path):
    bucket.put({"a": b"1"})
    path = tmp_path / "journal.sqlite"
    with Journal(path) as journal:
        queue = journal.begin(plan(open_store(bucket.base), backup.base))
        assert len(queue.claim("transfer", 1)) == 1
        with journal.transaction() as execute:
            execute("update runs set touched = touched - ?", (OLD,))
        result = holdfast("cleanup", "--journal", path, "--yes")
        assert (result.code, result.out, "a sync is going on" in result.err) == (0, "", True)
        assert [run.left for run in journal.runs()] == [1]
        queue.release()
        assert len(holdfast("cleanup", "--journal", path, "--yes").lines) == 1


def test_a_run_that_was_forgotten_meanwhile_is_no_success(bucket, backup, tmp_path):
    bucket.put({"a": b"1"})
    planned = plan(open_store(bucket.base), backup.base)
    with Journal(tmp_path / "journal.sqlite") as journal:
        queue = journal.begin(planned)
        [task] = queue.claim("transfer", 1)
        with journal.transaction() as execute:
            execute("delete from runs")
        with pytest.raises(StoreError, match="forgotten this run"):
            queue.finish([(task, Result("a", "add", "done"))])
