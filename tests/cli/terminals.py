"""A command on a terminal of its own, whose screen is read and whose keys are pressed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator

WIDTHS = {"COLUMNS", "LINES"}


class Terminal:
    """A Python program that sits on a terminal of so many columns; other environment variables by their names."""

    def __init__(self, program, *arguments, columns=100, cwd=None, **environment):
        self.screen = b""
        self.controller, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        kept = {name: value for name, value in os.environ.items() if name not in WIDTHS}
        self.child = subprocess.Popen(
            [sys.executable, "-c", program, *map(str, arguments)],
            cwd=cwd, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
            env={**kept, "TERM": "xterm", **environment},
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
        """Press these keys."""
        os.write(self.controller, text.encode())

    def interrupt(self):
        """Ctrl-C; again, where it came at the moment before the command began to wait for an answer."""
        for _ in range(20):
            self.child.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.child.wait(timeout=1)
                return

    @property
    def shown(self):
        """What was written, without colours."""
        return re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", self.screen).decode(errors="replace")

    def end(self):
        """The exit code, once the command has ended."""
        self.read_until(None)
        return self.child.wait(timeout=30)


@contextlib.contextmanager
def terminals() -> Iterator:
    """A function that starts a Terminal; all are ended with the block."""
    with contextlib.ExitStack() as opened:

        def start(*arguments, **more):
            one = Terminal(*arguments, **more)
            opened.callback(os.close, one.controller)
            opened.callback(one.child.wait)
            opened.callback(one.child.kill)
            return one

        yield start
