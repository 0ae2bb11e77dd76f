"""What lies there though no listing tells of it, and sources that go away: nothing is lost on account of either."""

from __future__ import annotations

import os
from concurrent.futures import Future

import pytest

from holdfast import errors as e
from holdfast import open_store
from holdfast.stores.memory import MemoryStore
from holdfast.sync import Journal, Result, apply, plan
from holdfast.types import WriteOptions
from holdfast.wrap.rekey import PrefixStore

from .test_apply import contents
from .test_plan import kinds, store_of


@pytest.mark.parametrize("names", ["auto", "exact"])
def test_a_symlink_at_the_target_is_not_replaced_by_what_is_new(tmp_path, names):
    (tmp_path / "link").symlink_to("elsewhere")
    summary = apply(plan(store_of(link=b"1"), tmp_path, names=names))
    assert summary.exit_code == 1
    assert os.readlink(tmp_path / "link") == "elsewhere"


def test_a_file_store_creates_nothing_over_a_symlink(tmp_path):
    (tmp_path / "link").symlink_to("elsewhere")
    with pytest.raises(e.AlreadyExists):
        open_store(tmp_path).write("link", b"1", WriteOptions(if_absent=True))
    assert os.readlink(tmp_path / "link") == "elsewhere"


def test_what_became_a_symlink_in_the_source_is_not_deleted_at_the_target(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "link").symlink_to("elsewhere")
    (source / "folder").symlink_to("elsewhere")
    (source / "a").write_bytes(b"1")
    target = store_of(**{"link": b"good", "folder/x": b"good", "gone": b"x"})
    planned = plan(source, target, delete=True, max_delete=9)
    assert kinds(planned) == {"a": "add", "link": "refuse", "folder/x": "refuse", "gone": "delete"}
    apply(planned)
    assert contents(target) == {"a": b"1", "link": b"good", "folder/x": b"good"}


def test_what_a_directory_has_beside_files_is_told(tmp_path):
    """Not followed is not unnoticed: the plan says so, on disk too, and the summary."""
    source = tmp_path / "source"
    (source / "b").mkdir(parents=True)
    for name in ("b/link", "a", "hidden", ".holdfast"):
        (source / name).symlink_to("elsewhere")
    os.mkfifo(source / "pipe")
    (source / "file").write_bytes(b"1")
    planned = plan(source, MemoryStore(), exclude="hidden")
    told = (
        "2 symlinks of the source not followed, such as 'a'",
        "1 entry that is no file of the source not followed, such as 'pipe'",
    )
    assert planned.terms.warnings == told
    assert all(warning in str(planned) for warning in told)
    summary = apply(planned)
    assert (summary.warnings, summary.exit_code) == (told, 0)
    assert summary.to_dict()["warnings"] == list(told)
    assert told[0] in str(summary)
    below = plan(PrefixStore(open_store(source), "b/"), MemoryStore())
    assert below.terms.warnings == ("1 symlink of the source not followed, such as 'link'",)
    assert plan(source, MemoryStore(), keys=["file"]).terms.warnings == ()


@pytest.mark.parametrize("journalled", [False, True])
def test_nothing_is_deleted_where_a_transfer_was_stale(tmp_path, journalled):
    source, target = store_of(new=b"1"), store_of(old=b"1")
    planned = plan(source, target, delete=True, max_delete=9)
    source.delete("new")
    source.put("newer", b"1")
    summary = apply(planned, journal=tmp_path / "journal" if journalled else None)
    assert (contents(target), summary.exit_code) == ({"old": b"1"}, 3)


def test_nothing_is_deleted_when_the_source_is_gone(tmp_path):
    source, target = tmp_path / "source", store_of(a=b"1", old=b"1")
    open_store(source).put("a", b"1")
    planned = plan(source, target, delete=True, max_delete=9)
    source.rename(tmp_path / "unmounted")
    summary = apply(planned)
    assert (sorted(contents(target)), summary.exit_code) == (["a", "old"], 3)


def test_who_lost_a_task_does_not_overwrite_what_became_of_it(tmp_path):
    planned = plan(store_of(a=b"1"), MemoryStore())
    with Journal(tmp_path / "journal", lease=0.0) as journal:
        first, second = journal.begin(planned), journal.begin(planned)
        (lost,) = first.claim("transfer", 1)
        (taken,) = second.claim("transfer", 1)
        late = [(lost, Result("a", "add", "failed", "its spool is gone"))]
        assert first.finish(late) == []
        assert second.is_waiting("transfer")
        done = Result("a", "add", "done")
        assert second.finish([(taken, done)]) == [done]
        assert first.finish([(lost, done)]) == []
        assert second.failures() == 0
        assert [run.left for run in journal.runs()] == [0]


def test_a_move_that_was_done_and_not_noted_is_done(tmp_path):
    source, target = store_of(a=b"1"), MemoryStore()
    planned = plan(source, target, move=True)
    with Journal(tmp_path / "journal", lease=0.0) as journal:
        journal.begin(planned).claim("transfer", 1)
        target.put("a", b"1")
        source.delete("a")
        summary = apply(planned, journal=journal)
    assert (summary.exit_code, summary.counts) == (0, {("add", "already"): 1})


def test_an_executor_that_breaks_fails_its_tasks_and_the_summary_tells(tmp_path):
    class Broken:
        """Takes one batch, loses it, and takes no more, as a pool of processes whose worker was killed."""

        taken = False

        def submit(self, function, /, *arguments, **named):
            if self.taken:
                raise RuntimeError("the pool is broken")
            self.taken = True
            future: Future[object] = Future()
            future.set_exception(RuntimeError("the worker is gone"))
            return future

    source = store_of(**{str(number): b"" for number in range(200)})
    summary = apply(plan(source, tmp_path), executor=Broken())
    assert (len(summary.failed), summary.exit_code) == (200, 1)
