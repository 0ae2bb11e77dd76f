"""What is checked alike for the stores of Google and Azure: programs that are interrupted."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time

from tests.stores.scripted import Answer, Scripted


def run(program: str, **variables: str) -> subprocess.Popen[str]:
    """A Python program in a process of its own; words in capitals are replaced first."""
    program = textwrap.dedent(program)
    for name, text in variables.items():
        program = program.replace(name, text)
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def assert_ctrl_c_ends(opening: str, call: str) -> None:
    """Check that Ctrl-C ends a call that no server answers; ENDPOINT in ``opening`` is where the server is."""
    with Scripted(lambda request: time.sleep(60) or Answer()) as server:
        program = f"{opening}\nprint('calling', flush=True)\n{call}"
        process = run(program, ENDPOINT=repr(server.endpoint), ADDRESS=server.endpoint)
        try:
            assert process.stdout.readline() == "calling\n", process.stderr.read()
            deadline = time.monotonic() + 10
            while not server.requests and time.monotonic() < deadline:
                time.sleep(0.02)
            started = time.monotonic()
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=10)
            assert time.monotonic() - started < 2
            assert "KeyboardInterrupt" in errors
        finally:
            process.kill()
            process.wait()
