"""The command in a process of its own: start, signals, pipes, terminals."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from tests.stores.scripted import Answer, Scripted

from .conftest import TREE, Place

HEAVY = ("obstore", "yaml", "boto3", "click", "rich", "asyncio", "urllib3", "holdfast.registry", "holdfast.engine")


@pytest.fixture
def tree(tmp_path):
    for name in ("run1/sub", "run10"):
        (tmp_path / name).mkdir(parents=True)
    for name, data in TREE.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


def test_version_loads_nothing_heavy():
    code = f"""
import sys
from holdfast.cli import run
assert run(["--version"]) == 0
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    version, loaded = done.stdout.splitlines()
    assert (version.split()[0], loaded) == ("holdfast", "[]"), done.stderr


def test_a_local_copy_loads_no_engine_of_the_clouds_and_no_drawing(tree):
    code = f"""
import sys
from holdfast.cli import run
assert run(["cp", "-r", {str(tree / "run1")!r}, {str(tree / "x")!r}]) == 0
assert run(["ls", {str(tree)!r}]) == 0
print([name for name in {(*HEAVY[:3], "rich", "asyncio", "urllib3", "numpy", "matplotlib")!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_help_imports_no_command():
    code = """
import sys
from holdfast.cli import run
assert run(["--help"]) == 0
print([name for name in sys.modules if name.startswith("holdfast.") and name.count(".") == 2], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr == "['holdfast.cli.options', 'holdfast.cli.output', 'holdfast.cli.app']\n"


@pytest.mark.slow
def test_exit_codes_of_the_process(process, tree):
    assert process("ls", "run1").code == 0
    assert process("cp", "-r", "run1", "x").code == 0
    assert process("verify", "run1", "x").code == 0
    (tree / "x/a").write_bytes(b"changed")
    assert process("verify", "run1", "x").code == 1
    assert process("cp", "run1", "y").code == 1
    assert process("nonsense").code == 2
    assert process("ls", "ftp://x/").code == 2
    assert process("ls", "run").code == 4
    assert process("rm", "-r", "x").code == 0
    assert sorted(os.listdir(tree)) == ["run1", "run1-", "run1.txt", "run10"]


@pytest.mark.slow
def test_a_hyphen_streams_any_amount(process, tree):
    body = os.urandom(5 << 20)
    assert process("cp", "-", "big", stdin=body).code == 0
    assert (tree / "big").read_bytes() == body
    done = process("cp", "big", "-")
    assert (done.code, done.out.encode("utf-8", "surrogateescape")) == (0, body)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_json_is_utf8_and_names_are_safe_whatever_the_terminal_speaks(process, tmp_path, encoding):
    (tmp_path / "d").mkdir()
    (tmp_path / "d/snow☃").write_text("")
    environment = {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    assert process("ls", "--json", "d", environment=environment).rows[0]["key"] == "snow☃"
    assert process("ls", "d", environment=environment).lines == [r"snow\u2603"]


@pytest.mark.slow
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_goes_away_is_no_error_message(tmp_path, monkeypatch, unbuffered):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    (tmp_path / "d").mkdir()
    for number in range(3000):
        (tmp_path / f"d/{number:060d}").touch()
    (tmp_path / "big").write_bytes(b"line\n" * (1 << 20))
    for arguments in (
        ["cat", "big"],
        ["cp", "big", "-"],
        ["ls", "-r", "d"],
        ["ls", "--json", "d"],
        ["rm", "-r", "--json", "d"],
    ):
        child = subprocess.Popen(
            [sys.executable, "-m", "holdfast", *arguments], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert child.stdout.readline()
        child.stdout.close()
        assert child.stderr.read() == b""
        child.stderr.close()
        assert child.wait(timeout=30) == 141
    assert holdfast_into_a_closed_pipe(["--version"], tmp_path) == (141, b"")
    assert holdfast_into_a_closed_pipe(["ls"], tmp_path) == (141, b"")


def holdfast_into_a_closed_pipe(arguments, directory):
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "holdfast", *arguments],
            cwd=directory,
            stdout=write,
            stderr=subprocess.PIPE,
            timeout=60,
        )
    finally:
        os.close(write)
    return done.returncode, done.stderr


@pytest.fixture
def silent_server():
    """A server that accepts connections and never answers."""
    listener = socket.create_server(("127.0.0.1", 0))
    accepted = []

    def accept():
        with contextlib.suppress(OSError):
            while True:
                accepted.append(listener.accept()[0])

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield listener.getsockname()[1], accepted
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(timeout=5)
    for connection in accepted:
        connection.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [["ls", "S3/run1"], ["cat", "S3/run1"], ["cp", "S3/a", "x"], ["cp", "-r", "d", "S3/x"], ["rm", "-r", "S3/x/"],
     ["verify", "d", "S3/x/"], ["du", "S3"], ["head", "S3/a"], ["cat", "http://127.0.0.1:PORT/x"]],
)  # fmt: skip
def test_ctrl_c_ends_a_stalled_call_quickly_and_quietly(tmp_path, silent_server, arguments):
    port, accepted = silent_server
    (tmp_path / "d").mkdir()
    for number in range(40):
        (tmp_path / f"d/{number}").write_text("x")
    s3 = f"s3://http://127.0.0.1:{port}/bucket"
    child = subprocess.Popen(
        [sys.executable, "-m", "holdfast", *(a.replace("S3", s3).replace("PORT", str(port)) for a in arguments)],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        env={**os.environ, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1"},
    )  # fmt: skip
    try:
        wait_until(lambda: accepted, 30)
        time.sleep(0.2)
        interrupted = time.monotonic()
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=10)
        assert time.monotonic() - interrupted < 2
    finally:
        child.kill()
        child.communicate()
    assert (child.returncode, err.split()) == (130, [b"holdfast:", b"interrupted"])


def wait_until(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


# How long a copy takes must not depend on how fast the machine is: a bar is drawn after one second.
SLOW_DISK = """
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
    """A command whose standard error (and nothing else) is a terminal; each local copy takes that many seconds."""

    def __init__(self, *arguments, cwd, seconds):
        self.screen = b""
        self.controller, terminal = pty.openpty()
        self.child = subprocess.Popen(
            [sys.executable, "-c", SLOW_DISK, str(seconds), *arguments],
            cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=terminal,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
        )  # fmt: skip
        os.close(terminal)

    def read(self, seconds):
        """Read for so long, or until the command closes the terminal; whether it is still open."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([self.controller], [], [], left)[0]:
                return True
            try:
                data = os.read(self.controller, 65536)
            except OSError:  # how Linux says that nobody holds the other end any more
                return False
            if not data:
                return False
            self.screen += data
        return True

    def shown(self):
        """What was written, without colours."""
        return re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", self.screen).decode()

    def close(self):
        self.child.kill()
        self.child.wait()
        os.close(self.controller)


@pytest.fixture
def many(tmp_path):
    source = tmp_path / "many"
    for number in range(10):
        (source / str(number)).mkdir(parents=True)
        for other in range(200):
            (source / str(number) / str(other)).write_bytes(b"x" * 100)
    return source


def run_in_terminal(cwd, *arguments):
    terminal = Terminal(*arguments, cwd=cwd, seconds=0.001)
    try:
        assert not terminal.read(60), terminal.shown()
        return terminal.child.wait(timeout=30), terminal.shown()
    finally:
        terminal.close()


@pytest.mark.slow
def test_a_terminal_sees_the_bar_move_and_a_closing_line(many, tmp_path):
    code, shown = run_in_terminal(tmp_path, "cp", "-r", "-j", "1", "many", "target")
    assert code == 0
    counts = [int(count) for count in re.findall(r"copying .*?(\d+)/", shown)]
    assert len(set(counts)) >= 2, shown
    assert counts == sorted(counts)
    assert "2000/2000" in shown
    assert re.search(r"copied 2000 objects, 195 KiB in [\d.]+ s \(.*/s\)", shown)


@pytest.mark.slow
def test_a_terminal_sees_the_bar_move_within_one_large_object(tmp_path):
    with Scripted(lambda request: Answer(body=bytes(6 << 20), pause=0.5)) as server:
        code, shown = run_in_terminal(tmp_path, "cp", f"{server.endpoint}/large", "target")
    assert code == 0, shown
    amounts = set(re.findall(r"0/1 files ([\d.]+ MiB)", shown))
    assert len(amounts) >= 2, shown


@pytest.mark.slow
def test_no_progress_draws_no_bar_on_a_terminal(many, tmp_path):
    code, shown = run_in_terminal(tmp_path, "cp", "-r", "-j", "1", "--no-progress", "many", "target")
    assert (code, "copying" in shown) == (0, False)
    assert "copied 2000 objects" in shown


@pytest.mark.slow
def test_ctrl_c_on_a_terminal_while_a_bar_is_drawn(many, tmp_path):
    terminal = Terminal("cp", "-r", "-j", "1", "many", "target", cwd=tmp_path, seconds=0.03)
    try:
        wait_until(lambda: not terminal.read(0.05) or b"copying" in terminal.screen, 30)
        assert terminal.child.poll() is None, terminal.shown()
        interrupted = time.monotonic()
        terminal.child.send_signal(signal.SIGINT)
        terminal.read(10)
        assert terminal.child.wait(timeout=10) == 130
        assert time.monotonic() - interrupted < 2
        assert terminal.shown().rstrip().endswith("holdfast: interrupted")
        assert "Traceback" not in terminal.shown()
    finally:
        terminal.close()
    copied = Place(str(tmp_path / "target")).objects
    assert set(copied.values()) <= {b"x" * 100}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full, a disk that is always full")
def test_a_full_disk_under_the_output_is_an_error(tree):
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "holdfast", "ls"], cwd=tree, stdout=full, stderr=subprocess.PIPE, timeout=60
        )
    assert (done.returncode, b"No space left" in done.stderr) == (1, True)
