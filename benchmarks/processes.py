"""Whole processes, run and measured: wall time, CPU, peak memory; with a pseudo-terminal where a bar shall be drawn."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT = 600.0
#: For nginx, which does not look at credentials: that requests are signed is part of what everybody pays.
ANYBODY = {"AWS_ACCESS_KEY_ID": "AKNGINX", "AWS_SECRET_ACCESS_KEY": "SKNGINX", "AWS_REGION": "us-east-1"}
#: The unit of ru_maxrss: bytes on macOS, KiB elsewhere.
PEAK_UNIT = 1 if sys.platform == "darwin" else 1024


#: Runs a command and tells, by the descriptor that is named first, its status, seconds, seconds of CPU and peak memory.
#: A process begins with the peak of the one that it was forked from, and this is small; the benchmark itself is not.
STARTER = """
import json, os, sys, time
told, command = int(sys.argv[1]), sys.argv[2:]
os.set_inheritable(told, False)
started = time.perf_counter()
process = os.posix_spawn(command[0], command, os.environ)
_, status, usage = os.wait4(process, 0)
seconds = time.perf_counter() - started
os.write(told, json.dumps([status, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss]).encode())
"""


class BenchmarkFailed(Exception):
    """A measured program failed, or did not do what it was asked for."""


@dataclass(frozen=True)
class Finished:
    """What one process took: seconds of wall time and of CPU, and its peak resident memory in bytes."""

    seconds: float
    cpu: float
    peak: int
    output: str


def environment(home: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Nothing of the user's but PATH: no credentials, no proxies, no configuration files."""
    return {
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "PYTHONPATH": str(ROOT / "src"),
        "AWS_EC2_METADATA_DISABLED": "true",
        **(extra or {}),
    }


def program(name: str, *arguments: str) -> list[str]:
    """The command for a program of this environment."""
    return [str(Path(sys.executable).parent / name), *arguments]


def s5cmd(endpoint: str, *arguments: str) -> list[str]:
    """The command for s5cmd, which is slower where it prints a line for each file; 256 workers are its default."""
    return program("s5cmd", "--log", "error", "--endpoint-url", endpoint, *arguments)


def run(command: Sequence[str], env: Mapping[str, str], *, terminal: bool = False) -> Finished:
    """Run the program of this path to the end; BenchmarkFailed unless it ends with status 0.

    With ``terminal`` the program's output goes to a pseudo-terminal, so that it draws what it draws for people.
    """
    reader, writer = _pseudo_terminal() if terminal else os.pipe()
    output: list[bytes] = []
    drain = threading.Thread(target=_drain, args=(reader, output))
    drain.start()
    answers, told = os.pipe()
    starter = [sys.executable, "-I", "-S", "-c", STARTER, str(told), *command]
    process = subprocess.Popen(
        starter, stdin=subprocess.DEVNULL, stdout=writer, stderr=writer, env=env, cwd=ROOT, pass_fds=[told],
        start_new_session=True,
    )  # fmt: skip
    os.close(writer)
    os.close(told)
    limit = threading.Timer(TIMEOUT, _kill, (process.pid,))
    limit.start()
    try:
        with open(answers, "rb") as answer:
            said = answer.read()
        process.wait()
    except BaseException:
        _kill(process.pid)
        process.wait()
        raise
    finally:
        limit.cancel()
        drain.join(10)
    text = b"".join(output).decode(errors="replace")
    status, seconds, cpu, peak = json.loads(said or "[1, 0, 0, 0]")
    if status:
        code = os.waitstatus_to_exitcode(status)
        raise BenchmarkFailed(f"{' '.join(command)} ended with status {code}:\n{text[-2000:]}")
    return Finished(seconds, cpu, peak * PEAK_UNIT, text)


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _pseudo_terminal() -> tuple[int, int]:
    reader, writer = pty.openpty()
    fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    return reader, writer


def _drain(descriptor: int, output: list[bytes]) -> None:
    """Collect what is written until the other end is closed (which a pseudo-terminal reports as an error)."""
    try:
        while data := os.read(descriptor, 1 << 16):
            output.append(data)
    except OSError:
        pass
    finally:
        os.close(descriptor)
