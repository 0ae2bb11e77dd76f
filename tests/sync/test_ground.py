"""What lies there though no listing tells of it, and sources that go away: nothing is lost on account of either."""

from __future__ import annotations

import os
from concurrent.futures import Future

import pytest

from holdfast import errors as e
from holdfast import open_store
from holdfast.stores.file import FileStore
from holdfast.stores.memory import MemoryStore
from holdfast.sync import Identity, Journal, Result, apply, plan
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


def linked(source, outside):
    """Fill the source with symlinks: {key: whether it leads out of it}."""
    (source / "sub").mkdir(parents=True)
    (source / "file").write_bytes(b"1")
    os.symlink(source, source.parent / "alias")
    links = {
        "up": ("../outside/secret", True),
        "absolute": (outside / "secret", True),
        "sub/deep": ("../../outside", True),
        "dangling-out": ("/nowhere/at/all", True),
        "beside": (f"{source}-2/x", True),  # a sibling whose name begins like that of the source
        "zigzag": ("sub/../../outside/secret", True),
        "in": ("file", False),
        "sub/back": ("../file", False),
        "absolute-in": (source / "file", False),
        "alias-in": (source.parent / "alias/file", False),
        "dangling-in": ("not/there", False),
        "around": ("around", False),
    }
    for key, (text, _) in links.items():
        os.symlink(text, source / key)
    return {key: leads_out for key, (_, leads_out) in links.items()}


@pytest.mark.parametrize("delete", [False, True])
def test_symlinks_that_lead_out_of_the_source_are_refused_and_others_told(tmp_path, delete):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    links = linked(tmp_path / "source", outside)
    refused = {key for key, leads_out in links.items() if leads_out}
    target = store_of(up=b"good", zzz=b"2", **{"in": b"good"})
    planned = plan(tmp_path / "alias", target, delete=delete, max_delete=9)
    assert {key for key, kind in kinds(planned).items() if kind == "refuse"} == refused | ({"in"} if delete else set())
    keys = [action.key for action in planned]
    assert keys == sorted(keys)
    assert planned.terms.warnings == (
        f"{len(links) - len(refused)} symlinks of the source not followed, such as 'absolute-in'",
    )
    summary = apply(planned)
    assert {result.key for result in summary.refused} >= refused
    assert "leads out of the source" in str(summary)
    assert summary.exit_code == 1
    assert contents(target) == {"file": b"1", "up": b"good", "in": b"good"} | ({} if delete else {"zzz": b"2"})


def test_symlinks_that_lead_out_of_the_source_may_be_left_out_and_stay_when_the_rest_is_moved(tmp_path):
    links = linked(tmp_path / "source", tmp_path / "outside")
    # By another name of the source than the one that was given, "alias-in" seems to lead out of it, too.
    outward = [key for key, leads_out in links.items() if leads_out or key == "alias-in"]
    assert apply(plan(tmp_path / "source", MemoryStore(), exclude=outward)).exit_code == 0
    assert kinds(plan(tmp_path / "source", MemoryStore(), keys=["file"])) == {"file": "add"}
    below = plan(PrefixStore(open_store(tmp_path / "source"), "sub/"), MemoryStore())
    assert kinds(below) == {"back": "refuse", "deep": "refuse"}  # out of the directory that is synced
    summary = apply(plan(tmp_path / "source", MemoryStore(), move=True))
    assert (summary.exit_code, summary.warnings[0][:11]) == (0, f"{len(links)} symlinks")
    assert set(os.listdir(tmp_path / "source")) >= {"up", "in"}


def test_what_lies_under_the_name_of_a_symlink_by_the_time_it_is_listed_is_synced(tmp_path):
    links = linked(tmp_path / "source", tmp_path / "outside")

    class Replaced(FileStore):
        def passed_over(self, prefix=""):
            found = list(super().passed_over(prefix))
            yield from found
            os.unlink(tmp_path / "source/up")
            (tmp_path / "source/up").write_bytes(b"2")

    assert links["up"]
    assert kinds(plan(Replaced(tmp_path / "source"), MemoryStore()))["up"] == "add"


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
        queue = journal.begin(planned)
        queue.claim("transfer", 1)
        target.put("a", b"1")
        queue.note_copy("a", Identity.of(target.head("a")))
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
