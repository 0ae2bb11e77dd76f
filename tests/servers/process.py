"""What every test server shares: finding its program, starting it guarded, waiting for it, ending it by pid."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

SYSTEM_DIRECTORIES = "/usr/local/sbin:/usr/sbin:/sbin"  # where Debian keeps nginx, often not on a user's PATH
STOP_SECONDS = 5.0


class ServerMissing(Exception):
    """The program of a server is not installed; the message says how to install it."""


class ServerFailed(Exception):
    """A server was started and did not come up; the message ends with its log."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def http_answers(port: int, path: str = "/") -> bool:
    """Whether something on 127.0.0.1:port answers HTTP, whatever the status."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


class Server:
    """One server and its processes, between `start` and `stop`.

    A subclass says its `name`, how to `install` it and which `program` to look for, and implements `start`.
    """

    name: ClassVar[str]
    install: ClassVar[str]
    program: ClassVar[str]
    version_arguments: ClassVar[tuple[str, ...]] = ("--version",)
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.logs: list[Path] = []

    def start(self) -> None:
        """Start the server and return when it answers."""
        raise NotImplementedError

    def stop(self) -> None:
        """End every process that was started, the last one first; safe to call twice."""
        while self.processes:
            process = self.processes.pop()
            process.send_signal(self.stop_signal)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(STOP_SECONDS)

    def __enter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @classmethod
    def find(cls, program: str) -> str:
        """The path of a program: beside this Python, on PATH, or in the system directories."""
        places = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath), SYSTEM_DIRECTORIES]
        found = shutil.which(program, path=os.pathsep.join(places))
        if found is None:
            raise ServerMissing(f"{cls.name}: no program {program!r} here; install it with: {cls.install}")
        return found

    @classmethod
    def version(cls) -> str:
        """The version that the program reports, such as `1.22.1`; raises ServerMissing."""
        command = [cls.find(cls.program), *cls.version_arguments]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        match = re.search(r"\d+\.\d+[\w.]*", answer.stdout + answer.stderr)
        return match.group() if match else "unknown version"

    def spawn(self, program: str, *arguments: str, death_signal: str = "KILL") -> subprocess.Popen[bytes]:
        """Start one process that gets `death_signal` when the process that started it ends, however that ends."""
        log = self.directory / f"{Path(program).name}.log"
        # setpriv (util-linux) arms PR_SET_PDEATHSIG and then becomes the program, so the pid is the server's own;
        # preexec_fn could deadlock here, because a test run has threads.
        guard = shutil.which("setpriv")
        command = [guard, "--pdeathsig", death_signal, "--"] if guard else []
        with log.open("ab") as output:
            process = subprocess.Popen(
                [*command, self.find(program), *arguments],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.processes.append(process)
        self.logs.append(log)
        return process

    def wait_until(self, ready: Callable[[], bool], seconds: float = 30.0) -> None:
        """Return once `ready()` is true; raise ServerFailed when a process ended or the time is over."""
        deadline = time.monotonic() + seconds
        while not ready():
            for process, log in zip(self.processes, self.logs, strict=False):
                if process.poll() is not None:
                    raise self.failure(f"ended with status {process.returncode}", log)
            if time.monotonic() > deadline:
                raise self.failure(f"did not answer within {seconds:g} s", self.logs[-1])
            time.sleep(0.05)

    def failure(self, what: str, log: Path) -> ServerFailed:
        """The error to raise when the server `what`, with the end of its log."""
        tail = log.read_text(errors="replace")[-2000:] if log.exists() else ""
        return ServerFailed(f"{self.name} {what}; its log is {log}, which ends with:\n{tail}")
