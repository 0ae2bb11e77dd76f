"""sync on a terminal: the plan, the question, the bar, and Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import pytest

from .conftest import Place

# Each local copy takes that many seconds, whatever the machine: a bar is drawn after one second.
PROGRAM = """
import sys, time
from holdfast.cli import main
from holdfast.stores.file import FileStore

seconds, copy = float(sys.argv.pop(1)), FileStore._copy

def slowly(*arguments):
    time.sleep(seconds)
    return copy(*arguments)

FileStore._copy = slowly
main()
"""


class Terminal:
    """A sync that sits on a terminal of its own."""

    def __init__(self, *arguments, cwd, seconds=0.0):
        self.screen = b""
        self.controller, terminal = pty.openpty()
        self.child = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(seconds), *map(str, arguments)],
            cwd=cwd, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "200"},
        )  # fmt: skip
        os.close(terminal)

    def read_until(self, pattern, seconds=60):
        """Read until the screen shows the pattern (None: until the command ends)."""
        deadline = time.monotonic() + seconds
        while pattern is None or not re.search(pattern, self.shown):
            left = deadline - time.monotonic()
            assert left > 0, self.shown
            if select.select([self.controller], [], [], left)[0]:
                try:
                    data = os.read(self.controller, 65536)
                except OSError:  # how Linux says that nobody holds the other end any more
                    data = b""
                if not data:
                    assert pattern is None, self.shown
                    return
                self.screen += data

    def type(self, text):
        os.write(self.controller, text.encode())

    @property
    def shown(self):
        """What was written, without colours."""
        return re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", self.screen).decode(errors="replace")

    def end(self):
        self.read_until(None)
        return self.child.wait(timeout=30)


@pytest.fixture
def terminal(tmp_path):
    with contextlib.ExitStack() as opened:

        def start(*arguments, **more):
            one = Terminal(*arguments, cwd=tmp_path, **more)
            opened.callback(os.close, one.controller)
            opened.callback(one.child.wait)
            opened.callback(one.child.kill)
            return one

        yield start


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
    one.child.send_signal(signal.SIGINT)
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
