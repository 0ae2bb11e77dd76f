"""What is checked alike for the stores of Google and Azure: programs that are interrupted, and that fork."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time

from tests.stores.scripted import Answer, Scripted

FORK = """
    import os, sys
    OPEN
    print(store.get("key"), flush=True)
    child = os.fork()
    if not child:
        try:
            store.get("key")
        except Exception as error:
            print(type(error).__name__, error, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    print(store.get("key"), flush=True)
"""


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


def assert_a_forked_child_is_told(opening: str) -> None:
    """Check that a forked child raises at once, naming the cure, and that its parent goes on."""
    with Scripted(lambda request: Answer(200, b"data", {"ETag": '"1"'})) as server:
        process = run(FORK, OPEN=opening, ENDPOINT=repr(server.endpoint), ADDRESS=server.endpoint)
        output, errors = process.communicate(timeout=30)
    first, said, last = output.splitlines() or [errors] * 3
    assert (first, last) == ("b'data'", "b'data'")
    assert said.startswith("StoreError")
    assert "spawn" in said
