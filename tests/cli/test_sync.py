"""sync: the plan first, nothing lost without a yes, and only what was meant."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sqlite3
from pathlib import Path

import pytest

from holdfast import open_store, register
from holdfast import sync as planner
from holdfast.cli import applied
from holdfast.stores.memory import MemoryStore

from .conftest import TREE

RUN1 = {"a": b"one", "sub/b": b"two!"}


def kinds(rows):
    return {row["key"]: row["action"] for row in rows if "action" in row}


@pytest.mark.parametrize("location", ["run1", "run1/"])
def test_a_location_is_what_is_under_it_and_never_its_siblings(holdfast, place, backup, location):
    result = holdfast("sync", place / location, backup.base)
    assert (result.code, result.err, backup.objects) == (0, "", RUN1)
    assert result.out == "2 added, 0 updated, 0 deleted, 0 skipped; 7 B sent\n"
    assert place.objects == TREE


def test_siblings_of_the_target_are_never_deleted(holdfast, place, folder, tmp_path):
    new = tmp_path / "new"
    new.mkdir()
    (new / "a").write_bytes(b"one")
    result = holdfast("sync", "--delete", "--yes", "--max-delete", "10", new, place / "run1")
    assert (result.code, result.err) == (0, "")
    assert place.objects == {key: data for key, data in TREE.items() if key != "run1/sub/b"}


def test_data_and_database_are_two_places(holdfast, bucket, backup):
    bucket.put({"data/a": b"1", "database/a": b"22", "data.csv": b"333"})
    backup.put({"database/kept": b"x"})
    assert holdfast("sync", "--delete", "--yes", bucket / "data", backup / "data").code == 0
    assert backup.objects == {"data/a": b"1", "database/kept": b"x"}


def test_a_second_sync_does_nothing(holdfast, place, backup):
    holdfast("sync", place / "run1", backup.base)
    result = holdfast("sync", "--json", place / "run1", backup.base)
    assert (result.code, result.rows[-1]["skipped"], len(result.rows)) == (0, 2, 1)


def test_a_dry_run_shows_why_and_changes_nothing(holdfast, place, backup):
    backup.put({"a": b"old", "more": b"x"})
    result = holdfast("sync", "-n", "--delete", place / "run1", backup.base)
    assert (result.code, backup.objects) == (0, {"a": b"old", "more": b"x"})
    assert [line.split()[0] for line in result.lines[:3]] == ["update", "delete", "add"]
    assert "more  (not in the source)" in result.out
    assert "Deletions are permanent." in result.lines


def test_the_json_of_a_dry_run_is_a_plan_to_apply_later(holdfast, place, backup):
    result = holdfast("sync", "-n", "--json", place / "run1", backup.base)
    plan = planner.Plan.read(io.StringIO(result.out))
    assert planner.apply(plan).added == 2
    assert backup.objects == RUN1


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_without_a_terminal_nothing_is_overwritten_or_deleted_unless_yes(holdfast, place, backup, options):
    before = {"a": b"old", "more": b"x"}
    backup.put(before)
    result = holdfast("sync", "--delete", "--max-delete", "5", *options, place / "run1", backup.base)
    assert (result.code, result.out, backup.objects) == (2, "", before)
    assert "1 object will be overwritten and 1 object will be deleted, and there is no terminal" in result.err
    assert "--yes" in result.err
    result = holdfast("sync", "--delete", "--max-delete", "5", "--yes", *options, place / "run1", backup.base)
    assert (result.code, backup.objects) == (0, RUN1)


def test_additions_need_no_yes(holdfast, place, backup):
    backup.put({"more": b"x"})
    assert holdfast("sync", place / "run1", backup.base).code == 0
    assert backup.objects == {**RUN1, "more": b"x"}


def test_too_many_deletions_are_none(holdfast, place, backup):
    backup.put({f"more{n}": b"x" for n in range(5)})
    result = holdfast("sync", "--delete", "--dry-run", place / "run1", backup.base)
    assert (result.code, len(backup.objects)) == (1, 5)  # as the run has it
    assert "if they are meant, pass max_delete=5 (--max-delete 5)" in result.out
    result = holdfast("sync", "--delete", place / "run1", backup.base)
    assert (result.code, len(backup.objects)) == (1, 7)
    assert "5 not deleted, because 5 deletions are more than max_delete=1" in result.err
    assert "(--max-delete 5)" in result.err
    result = holdfast("sync", "--delete", "--yes", "--max-delete", "5", place / "run1", backup.base)
    assert (result.code, backup.objects) == (0, RUN1)


def test_an_empty_source_deletes_nothing(holdfast, backup, folder):
    backup.put({"a": b"1"})
    result = holdfast("sync", "--delete", "--yes", "--max-delete", "9", folder.base, backup.base)
    assert (result.code, backup.objects) == (1, {"a": b"1"})
    assert "the source lists nothing" in result.err


@pytest.mark.parametrize("missing", ["nope", "nope/", "run", "run1.txt/"])
def test_nothing_at_the_source_is_exit_4_and_nothing_is_deleted(holdfast, place, backup, missing):
    backup.put({"a": b"1"})
    result = holdfast("sync", "--delete", "--yes", "--max-delete", "9", place / missing, backup.base)
    assert (result.code, result.err) == (4, f"holdfast: {place / missing}: nothing there\n")
    assert backup.objects == {"a": b"1"}


def test_one_object(holdfast, place, backup):
    assert holdfast("sync", place / "run1.txt", backup / "x").code == 0
    assert holdfast("sync", place / "run1.txt", backup / "y/").code == 0
    assert backup.objects == {"x": b"nor this", "y/run1.txt": b"nor this"}
    backup.put({"z/kept": b"1"})
    result = holdfast("sync", place / "run1.txt", backup / "z")
    assert (result.code, "is a directory" in result.err) == (1, True)
    assert holdfast("sync", place / "run1", backup / "x").code == 1
    assert backup.objects == {"x": b"nor this", "y/run1.txt": b"nor this", "z/kept": b"1"}


def test_filters_hold_for_both_sides(holdfast, bucket, backup):
    bucket.put({"a.csv": b"1", "b.tmp": b"2", "cache/c.csv": b"3", "old-1.csv": b"4"})
    backup.put({"kept.tmp": b"x", "cache/kept": b"y", "gone.csv": b"z"})
    result = holdfast(
        "sync", "--delete", "--yes", "--max-delete", "9", "--include", "*.csv", "--exclude", "cache/",
        "--exclude", "re:old-[0-9]", bucket.base, backup.base,
    )  # fmt: skip
    assert result.code == 0
    assert backup.objects == {"a.csv": b"1", "kept.tmp": b"x", "cache/kept": b"y"}


def test_what_changes_after_the_plan_is_stale(holdfast, bucket, backup, monkeypatch):
    bucket.put({"a": b"1", "b": b"2"})
    apply = planner.apply

    def late(*arguments, **more):
        bucket.put({"a": b"changed"})
        return apply(*arguments, **more)

    monkeypatch.setattr("holdfast.cli.sync.apply", late)
    result = holdfast("sync", "--json", bucket.base, backup.base)
    assert (result.code, backup.objects) == (3, {"b": b"2"})
    assert {row["key"]: row["outcome"] for row in result.rows[:-1]} == {"a": "stale", "b": "done"}
    assert "run it again" in result.err
    monkeypatch.undo()
    assert holdfast("sync", bucket.base, backup.base).code == 0


def test_hostile_names_stay_outside_and_the_exit_code_tells(holdfast, bucket, tmp_path):
    store = MemoryStore(bucket.base.removeprefix("mem://"))
    for name in ("../up", "x/../../y", "/etc/z", "nul\0", "fine", "esc\x1b[2J"):
        store._write(name, b"evil")
    target = tmp_path / "deep" / "target"
    result = holdfast("sync", "--yes", bucket.base, target)
    assert result.code == 1
    assert result.err.count("refuse: ") == 4
    assert "\x1b" not in result.err
    assert "\0" not in result.err
    assert sorted(os.listdir(tmp_path / "deep")) == ["target"]
    assert sorted(name for name in os.listdir(target) if name != ".holdfast") == ["esc\x1b[2J", "fine"]


def test_names_are_shown_safely(holdfast, bucket, backup):
    MemoryStore(bucket.base.removeprefix("mem://"))._write("esc\x1b[2J\n", b"1")
    for arguments in (["sync", "-n"], ["diff"]):
        shown = holdfast(*arguments, bucket.base, backup.base).out
        assert "\x1b" not in shown
        assert "esc" in shown


def test_equal_or_not_is_asked_only_where_nothing_tells(holdfast):
    class Silent(MemoryStore):
        """A service whose ETags mean nothing, and that is far away."""

        local = False

    register("Silent", Silent)
    register("silent", Silent)
    open_store("silent://unknown").put("a", b"22")
    open_store("silent://known").put("a", b"11")
    for option, code, expected in (([], 1, b"11"), (["--on-unknown", "skip"], 0, b"11"),
                                   (["--yes", "--on-unknown", "transfer"], 0, b"22")):  # fmt: skip
        result = holdfast("sync", *option, "silent://unknown", "silent://known")
        assert (result.code, open_store("silent://known").get("a")) == (code, expected), result
        cure = (
            "nothing tells whether 1 object is equal: --compare digest reads it, --on-unknown transfer sends it, "
            "--on-unknown skip leaves it\n"
        )
        assert (cure in result.err) == (not option)
    open_store("silent://known").put("a", b"11")
    assert cure in holdfast("sync", "--dry-run", "silent://unknown", "silent://known").err


def test_reencode(holdfast, bucket, backup):
    bucket.put({"a": b"text " * 100})
    assert holdfast("sync", "--reencode", "gzip", bucket.base, backup.base).code == 0
    assert backup.store.head("a").content_encoding == "gzip"
    result = holdfast("sync", "--reencode", "gzip", bucket.base, backup.base)
    assert (result.code, "1 skipped" in result.out) == (0, True)
    assert holdfast("sync", "--reencode", "none", backup.base, bucket / "plain").code == 0
    assert bucket.objects["plain/a"] == b"text " * 100
    assert holdfast("sync", "--reencode", "rot13", bucket.base, backup / "x").code == 2


def rows_in(journal):
    """How many runs and how many tasks of them that are done another process sees in the journal."""
    with contextlib.closing(sqlite3.connect(journal)) as connection:
        runs = connection.execute("select count(*) from runs").fetchone()
        return (*runs, *connection.execute("select count(*) from tasks where result is not null").fetchone())


@pytest.fixture
def told(monkeypatch):
    """What is called for each result, when the journal has it."""
    calls = []
    apply = planner.apply

    def watched(plan, *, on_result, **more):
        def look(result):
            for call in calls:
                call(result)
            on_result(result)

        return apply(plan, on_result=look, **more)

    monkeypatch.setattr("holdfast.cli.sync.apply", watched)
    return calls


def test_a_journal_has_what_is_done_while_it_is_done_and_forgets_what_is_complete(
    holdfast, place, backup, tmp_path, told
):
    journal, seen = tmp_path / "journal", []
    told.append(lambda _: seen.append(rows_in(journal)))
    assert holdfast("sync", "--journal", journal, place / "run1", backup.base).code == 0
    assert len(seen) == 2
    assert all(runs == 1 and tasks >= at for at, (runs, tasks) in enumerate(seen, 1))
    assert rows_in(journal) == (0, 0)
    assert backup.objects == RUN1


def test_a_journal_keeps_what_did_not_end_well_until_it_is_cleaned(holdfast, bucket, backup, tmp_path, monkeypatch):
    bucket.put({"a": b"1", "b": b"2"})
    journal, apply = tmp_path / "journal", planner.apply

    def late(*arguments, **more):
        bucket.put({"a": b"changed"})
        return apply(*arguments, **more)

    monkeypatch.setattr("holdfast.cli.sync.apply", late)
    assert holdfast("sync", "--journal", journal, bucket.base, backup.base).code == 3
    assert rows_in(journal) == (1, 2)
    shown = holdfast("cleanup", "--older-than", "0s", "--journal", journal).lines
    assert [line.split()[2:4] for line in shown] == [["found", "sync"]]
    assert rows_in(journal) == (1, 2)
    assert len(holdfast("cleanup", "--older-than", "0s", "--yes", "--journal", journal).lines) == 1
    assert rows_in(journal) == (0, 0)


@pytest.mark.parametrize("content", ["foreign", "text"])
def test_a_file_that_is_no_journal_is_left_as_it_is(holdfast, bucket, backup, folder, tmp_path, content):
    bucket.put({"a": b"1"})
    temporary = Path(folder / ".holdfast/tmp/dead")
    temporary.parent.mkdir(parents=True, mode=0o700)
    temporary.touch()
    os.utime(temporary, (1, 1))
    path = tmp_path / "data.db"
    if content == "foreign":
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("create table runs (id integer)")
            connection.commit()
    else:
        path.write_text("not even a database, but long enough to have the header of one " * 9)
    before = path.read_bytes()
    for command in (
        ["sync", bucket.base, backup.base], ["cleanup"], ["cleanup", "--yes", folder.base]
    ):  # fmt: skip
        result = holdfast(*command, "--journal", path)
        assert (result.code, "name another file" in result.err) == (2, True)
    assert (path.read_bytes(), sorted(os.listdir(tmp_path)), backup.objects) == (before, ["data.db", "folder"], {})
    assert temporary.exists()
    path.write_bytes(b"")
    assert holdfast("cleanup", "--journal", path).code == 0
    assert path.read_bytes() == b""


def test_an_error_ends_json_with_a_summary(holdfast, place, backup, tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    for command, code in (
        (["sync", place / "nope", backup.base], 4),
        (["sync", "--dry-run", place / "nope", backup.base], 4),
        (["sync", place / "run1", tmp_path / "file"], 1),
        (["mv", place / "nope", backup.base], 4),
        (["mv", place / "run1", tmp_path / "file"], 1),
    ):
        result = holdfast(*command, "--json")
        [row] = result.rows
        assert (result.code, row["status"], row["exit_code"], row["added"]) == (code, "summary", code, 0)
        assert row["error"] in result.err


def test_a_sync_into_itself_is_refused(holdfast, place):
    for target in ("run1", "run1/deeper"):
        assert holdfast("sync", place / "run1", place / target).code == 2
    assert place.objects == TREE


@pytest.mark.server
def test_an_endpoint_and_the_plan_that_names_it(holdfast, moto, backup, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", moto.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", moto.secret_key)
    bucket = moto.make_bucket()
    backup.put({"a": b"1"})
    assert holdfast("sync", "--endpoint", moto.endpoint, backup.base, f"s3://{bucket}/x").code == 0
    assert moto.client().get_object(Bucket=bucket, Key="x/a")["Body"].read() == b"1"
    backup.put({"b": b"2"})
    result = holdfast("sync", "-n", "--json", "--endpoint", moto.endpoint, backup.base, f"s3://{bucket}/x")
    assert kinds(result.rows) == {"a": "skip", "b": "add"}
    assert planner.apply(planner.Plan.read(io.StringIO(result.out))).added == 1


@pytest.mark.server
def test_wrong_credentials_are_told_once(holdfast, ceph, backup, monkeypatch):
    backup.put({str(n): b"x" for n in range(5)})
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing-at-all")
    result = holdfast("sync", backup.base, f"s3://{ceph.endpoint}/{ceph.make_bucket()}/x")
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert "nothing-at-all" not in result.err


def test_a_report_names_failures_and_hides_secrets(capsysbinary):
    from holdfast.cli.options import Settings

    report = applied.Report(Settings(json=True))
    report.tell(planner.Result("a", "add", "failed", "https://u:hunter2@host/x?X-Amz-Signature=5f refused"))
    printed = capsysbinary.readouterr()
    assert json.loads(printed.out)["key"] == "a"
    assert b"hunter2" not in printed.out + printed.err


def test_a_report_tells_what_was_overtaken_by_changes(capsysbinary):
    from holdfast.cli.options import Settings

    report, summary = applied.Report(Settings()), planner.Summary()
    result = planner.Result("a", "update", "done", "the source changed while it was copied", overtaken=True)
    report.tell(result)
    summary.add(result)
    report.add(summary)
    assert report.close() == 3
    assert b"a: the source changed while it was copied" in capsysbinary.readouterr().err


def test_options_that_mean_whole_listings_are_not_dropped_for_one_object(holdfast, folder, tmp_path):
    (tmp_path / "one" / "x.tmp").parent.mkdir()
    (tmp_path / "one" / "x.tmp").write_bytes(b"1")
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "x.tmp").write_bytes(b"old")
    refused = holdfast("sync", "--delete", "--yes", tmp_path / "one" / "x.tmp", f"{tmp_path}/two/")
    assert refused.code == 2
    assert "--delete has no meaning for one object" in refused.err
    assert holdfast("sync", "--yes", "--exclude", "*.tmp", tmp_path / "one" / "x.tmp", f"{tmp_path}/two/").code == 0
    assert (tmp_path / "two" / "x.tmp").read_bytes() == b"old"


def test_symlinks_that_are_not_followed_are_told(holdfast, backup, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "a").write_bytes(b"1")
    (source / "link").symlink_to("a")
    warning = "1 symlink of the source not followed, such as 'link'"
    assert warning in holdfast("sync", "-n", source, backup.base).out
    for command in (["sync"], ["diff"]):
        result = holdfast(*command, source, backup.base)
        assert (result.code, result.err) == (0, f"holdfast: {warning}\n")
        assert holdfast(*command, "--json", source, backup.base).rows[-1]["warnings"] == [warning]


def test_symlinks_that_lead_out_of_the_source_are_refused(holdfast, backup, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "a").write_bytes(b"1")
    (source / "evil").symlink_to("/etc/passwd")
    result = holdfast("sync", source, backup.base)
    assert (result.code, backup.objects) == (1, {"a": b"1"})
    assert "evil: refuse: a symlink that leads out of the source" in result.err
    assert holdfast("sync", "-n", source, backup.base).code == 1
    result = holdfast("diff", source, backup.base)
    assert (result.code, result.lines[0].split()[:2]) == (1, ["conflict", "evil"])
    assert holdfast("sync", "--exclude", "evil", source, backup.base).code == 0
