"""The servers' own promises: they end with their run, and say why when they do not start."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.servers import Redis, Server, ServerFailed, ServerMissing
from tests.servers.process import http_answers

PROJECT = Path(__file__).resolve().parent.parent
HOLDER = """
import sys, time
from tests.servers import Nginx, Redis
with Nginx(sys.argv[1] + "/nginx") as nginx, Redis(sys.argv[1] + "/redis") as redis:
    print(nginx.port, nginx.processes[0].pid, redis.processes[0].pid, flush=True)
    time.sleep(60)
"""


class Liar(Server):
    """A program that ends at once."""

    name = "liar"
    install = "not at all"
    program = "sh"

    def start(self) -> None:
        self.spawn("sh", "-c", "echo no such luck; exit 3")
        self.wait_until(lambda: False)


def gone(pid: int, seconds: float = 10) -> bool:
    """Whether the process has ended, or does so within the time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True  # ended, and nobody has asked for its status yet
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv of util-linux")
def test_servers_die_with_a_run_that_is_killed(nginx, redis, tmp_path):
    # The fixtures are asked for only so that a missing program skips this test by name.
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path], cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    with holder:
        port, *pids = (int(word) for word in holder.stdout.readline().split())
        assert http_answers(port)
        holder.send_signal(signal.SIGKILL)
    assert [gone(pid) for pid in pids] == [True, True]
    deadline = time.monotonic() + 10
    while http_answers(port) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not http_answers(port), "a worker of nginx outlived its master"


def test_a_stopped_server_leaves_nothing_and_can_be_stopped_again(redis, tmp_path):
    with Redis(tmp_path) as server:
        pid = server.processes[0].pid
    assert gone(pid, seconds=0.5)
    server.stop()


def test_a_server_that_does_not_start_shows_its_log(tmp_path):
    with pytest.raises(ServerFailed, match=r"liar ended with status 3.*sh\.log.*\nno such luck"), Liar(tmp_path):
        pass


def test_a_missing_program_says_what_to_type(monkeypatch):
    monkeypatch.setattr(Redis, "program", "redis-server-of-another-world")
    with pytest.raises(ServerMissing, match="apt-get install"):
        Redis.version()


def test_descriptors_and_threads_left_behind_are_found(no_leaks):
    release = threading.Event()
    thread = threading.Thread(target=release.wait, args=(60,), name="straggler")
    thread.start()
    with open(os.devnull) as handle:
        number = handle.fileno()
        leaks = no_leaks.leaks()
    release.set()
    thread.join()
    assert leaks == ["thread straggler", f"descriptor {number} -> {os.devnull}"]
    assert not no_leaks.leaks()


def test_the_environment_holds_nothing_of_the_machine():
    assert not [name for name in os.environ if name.lower().endswith("_proxy")]
    assert [name for name in os.environ if name.startswith("AWS_")] == ["AWS_EC2_METADATA_DISABLED"]
    assert "holdfast-home-" in os.path.expanduser("~")
