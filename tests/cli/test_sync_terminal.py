"""sync on a terminal: the plan, the question, the bar, and Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import time

import pytest

from .conftest import Place
from .terminals import terminals

# Each local copy takes that many seconds, whatever the machine: a bar is drawn after one second.
PROGRAM = """
import os, sys, time
from holdfast.cli import main
from holdfast.stores.file import FileStore

seconds, copy = float(sys.argv.pop(1)), FileStore._copy
FileStore.local = "FAR" not in os.environ  # as on a service, what is far away is not read to be compared

def slowly(*arguments):
    time.sleep(seconds)
    return copy(*arguments)

FileStore._copy = slowly
main()
"""


@pytest.fixture
def terminal(tmp_path):
    with terminals() as start:

        def sync(*arguments, seconds=0.0, columns=200, **environment):
            return start(PROGRAM, seconds, *arguments, cwd=tmp_path, columns=columns, **environment)

        yield sync


@pytest.fixture
def ends(tmp_path):
    source, target = (Place(str(tmp_path / name)) for name in ("source", "target"))
    source.put({"changed": b"new!", "added": b"1", "same": b"s"})
    target.put({"changed": b"old", "gone": b"x", "same": b"s"})
    return source, target


SYNC = ("sync", "--delete", "--max-delete", "5", "source", "target")


def test_the_plan_is_shown_and_yes_does_it(terminal, ends):
    source, target = ends
    one = terminal(*SYNC)
    one.read_until(r"Go on\? \[y/N\] ")
    for text in ("1 object will be overwritten and 1 object will be deleted", "sizes differ (4 and 3 bytes)",
                 "not in the source", "only in the source", "Deletions are permanent."):  # fmt: skip
        assert text in one.shown
    assert target.objects == {"changed": b"old", "gone": b"x", "same": b"s"}
    one.type("y\n")
    assert one.end() == 0
    assert "1 added, 1 updated, 1 deleted, 1 skipped" in one.shown
    assert target.objects == source.objects


def test_a_warning_that_the_plan_has_shown_is_not_told_again(terminal, ends, tmp_path):
    os.symlink("changed", tmp_path / "source/link")
    one = terminal(*SYNC)
    one.read_until(r"Go on\? \[y/N\] ")
    one.type("y\n")
    assert one.end() == 0
    assert one.shown.count("1 symlink of the source not followed") == 1


@pytest.mark.parametrize("answer", ["n\n", "\n", "maybe\n", "\x04"])
def test_any_other_answer_leaves_everything(terminal, ends, answer):
    one = terminal(*SYNC)
    one.read_until(r"Go on\?")
    one.type(answer)
    assert one.end() == 2
    assert "nothing was done" in one.shown
    assert ends[1].objects == {"changed": b"old", "gone": b"x", "same": b"s"}


def test_ctrl_c_at_the_question_leaves_everything(terminal, ends):
    one = terminal(*SYNC)
    one.read_until(r"Go on\?")
    one.interrupt()
    assert one.end() == 130
    assert one.shown.rstrip().endswith("holdfast: interrupted")
    assert ends[1].objects == {"changed": b"old", "gone": b"x", "same": b"s"}


def test_what_only_adds_is_not_asked_about(terminal, ends):
    one = terminal("sync", "--exclude", "changed", "source", "target")
    assert one.end() == 0
    assert "Go on?" not in one.shown
    assert ends[1].objects["added"] == b"1"


def test_deletions_that_are_too_many_are_no_question(terminal, ends):
    one = terminal("sync", "--delete", "--max-delete", "0", "--exclude", "changed", "source", "target")
    assert one.end() == 1
    assert "Go on?" not in one.shown
    assert ends[1].objects["gone"] == b"x"


def test_what_changed_while_the_question_stood_is_stale(terminal, ends):
    _, target = ends
    one = terminal(*SYNC)
    one.read_until(r"Go on\?")
    target.put({"changed": b"somebody was faster"})
    one.type("yes\n")
    assert one.end() == 3
    assert "run it again" in one.shown
    assert target.objects["changed"] == b"somebody was faster"


def test_a_long_plan_is_shown_in_part_at_the_question_and_whole_by_a_dry_run(terminal, ends):
    source, _ = ends
    source.put({f"more/{number:03}": b"x" for number in range(60)})
    one = terminal(*SYNC)
    one.read_until(r"Go on\?")
    assert "and 13 more\r\n" in one.shown
    assert "--dry-run shows all of it" in one.shown
    assert "more/059" not in one.shown
    one.type("n\n")
    assert one.end() == 2
    one = terminal(*SYNC, "--dry-run")
    assert one.end() == 0
    assert "more/059" in one.shown


@pytest.fixture
def unknown(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for key in ("a", "b"):
            (tmp_path / name / key).write_text(f"{key} of {name}")
    return lambda: {key: (tmp_path / "two" / key).read_text() for key in ("a", "b")}


@pytest.mark.parametrize(
    ("typed", "code", "left"),
    [
        ("q\n", 2, "two"),
        ("\x04", 2, "two"),
        ("t\nn\n", 2, "two"),
        ("s\n", 0, "two"),
        ("\n", 1, "two"),
        ("what?\nn\nl\n", 1, "two"),
        ("Transfer\ny\n", 0, "one"),
    ],
)
def test_what_nothing_tells_is_a_question_that_can_be_quit(terminal, unknown, typed, code, left):
    one = terminal("sync", "one", "two", FAR="1")
    for line in typed.splitlines(keepends=True):
        one.read_until(r"\] $")
        one.screen = b""
        one.type(line)
    assert one.end() == code
    assert ("nothing was done" in one.shown) == (code == 2)
    assert ("--on-unknown transfer sends them" in one.shown) == (code == 1)
    assert unknown() == {key: f"{key} of {left}" for key in ("a", "b")}


def test_the_question_is_english(terminal, unknown):
    one = terminal("sync", "one", "two", FAR="1")
    one.read_until(r"Nothing tells whether 2 objects are equal: transfer, skip or leave them\? \[t/s/L/q\] $")
    again = terminal("sync", "--include", "a", "one", "two", FAR="1")
    again.read_until(r"Nothing tells whether 1 object is equal: transfer, skip or leave it\? \[t/s/L/q\] $")


def test_a_plan_in_a_narrow_terminal_that_knows_no_unicode(terminal, ends):
    source, _ = ends
    source.put({"caf\u00e9": b"1" * 2000})
    one = terminal(*SYNC, columns=40, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    one.read_until(r"Go on\?")
    shown = one.shown.replace("\r", "")
    assert re.search(
        r"^file:///.*/source/ -> file:///.*/target/$", shown, re.MULTILINE
    )  # in one line, whatever its length
    assert re.search(r"^delete +1 B  gone", shown, re.MULTILINE)
    assert re.search(r"^add +1.95 KiB  caf\\xe9 +only in the", shown, re.MULTILINE)
    one.type("n\n")
    assert one.end() == 2
    shown = terminal(*SYNC, "--dry-run", columns=100, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert shown.end() == 0
    assert "| caf\\xe9 " in shown.shown


@pytest.fixture
def many(tmp_path):
    return Place(str(tmp_path / "many")).put({f"{n % 10}/{n}": b"x" * 100 for n in range(400)})


@pytest.mark.slow
def test_the_bar_moves(terminal, many, tmp_path):
    one = terminal("sync", "-j", "1", "many", "new", seconds=0.008)
    assert one.end() == 0
    counts = [int(count) for count in re.findall(r"syncing .*?(\d+)/400", one.shown)]
    assert len(set(counts)) >= 2, one.shown
    assert counts == sorted(counts)
    assert Place(str(tmp_path / "new")).objects == many.objects


@pytest.mark.slow
def test_the_bar_of_a_move_counts_what_is_moved_in_narrow_terminals_too(terminal, many, tmp_path):
    Place(str(tmp_path / "new")).put({f"{n % 10}/{n}": b"x" * 100 for n in range(200)})
    one = terminal("mv", "-j", "1", "many", "new", seconds=0.02, columns=40)
    assert one.end() == 0
    counts = re.findall(r"(?m)^\s*moving +(\d+)/(\d+) files +[\d.]+ (?:Ki)?B [\d:-]+ *$", one.shown.replace("\r", "\n"))
    assert len(set(counts)) >= 2, one.shown
    assert {total for _, total in counts} == {"400"}
    assert counts[-1][0] == "400"
    assert "400 objects moved" in one.shown


@pytest.mark.slow
def test_ctrl_c_in_the_middle_ends_it_and_the_next_one_goes_on(terminal, many, tmp_path):
    one = terminal("sync", "-j", "1", "many", "new", seconds=0.02)
    one.read_until(r"syncing")
    began = time.monotonic()
    one.child.send_signal(signal.SIGINT)
    assert one.end() == 130
    assert time.monotonic() - began < 2
    assert "Traceback" not in one.shown
    done = Place(str(tmp_path / "new")).objects
    assert 0 < len(done) < 400
    assert set(done.values()) == {b"x" * 100}
    again = terminal("sync", "many", "new")
    assert again.end() == 0
    skipped = int(re.search(r"(\d+) skipped", again.shown)[1])
    assert skipped >= len(done)
    assert Place(str(tmp_path / "new")).objects == many.objects
