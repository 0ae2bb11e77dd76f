"""Regular expressions over keys that cannot hang: matched by RE2, or in a process that is ended when it takes long.

Python's own engine needs time without bound for some patterns (``(a+)+$``), holds the interpreter's lock meanwhile
and cannot be interrupted. RE2 (the extra ``[regex]``) takes linear time but knows no look-around and no
back-references; those, and everything where it is not installed, are matched in a child process.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any, Self

from ..errors import ConfigError, Timeout

#: The seconds that one batch of keys may take in the child.
DEADLINE = 10.0

_CHILD = """
import json, re, sys
pattern, flags = json.loads(sys.argv[1])
match = re.compile(pattern, flags).match
for line in sys.stdin:
    print("".join("1" if match(key) else "0" for key in json.loads(line)), flush=True)
"""


class Regex:
    """A regular expression, matched at the start of the key as ``re.match`` does; close it after use.

    >>> with Regex(r"data/.*[.]csv$") as regex:
    ...     regex.matches(["data/a.csv", "database/a.csv", "data/b"])
    [True, False, False]
    """

    def __init__(self, pattern: str, flags: int = 0, *, deadline: float = DEADLINE) -> None:
        try:
            compiled = re.compile(pattern, flags)
        except re.error as error:
            raise ConfigError(f"{pattern!r} is no regular expression: {error}") from error
        self.pattern = pattern
        self.flags = compiled.flags
        self.deadline = deadline
        self._linear = _re2(pattern, self.flags)
        self._child: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"Regex({self.pattern!r})"

    def matches(self, keys: Sequence[str]) -> list[bool]:
        """Whether the pattern matches, key by key; Timeout if that takes longer than the deadline."""
        if self._linear is None:
            return self._by_child(keys)
        # The two engines mean the same by a pattern where a key is plain: not so by \w in other alphabets, nor by $
        # before a line's end.
        odd = [key for key in keys if not (key.isascii() and key.isprintable())]
        answers = iter(self._by_child(odd))
        return [
            self._linear.match(key) is not None if key.isascii() and key.isprintable() else next(answers)
            for key in keys
        ]

    def _by_child(self, keys: Sequence[str]) -> list[bool]:
        if not keys:
            return []
        answer = self._ask(json.dumps(list(keys)).encode() + b"\n")
        return [letter == "1" for letter in answer.decode().strip()]

    def _ask(self, line: bytes) -> bytes:
        if self._child is None:
            command = [sys.executable, "-I", "-S", "-W", "ignore", "-c", _CHILD, json.dumps([self.pattern, self.flags])]
            self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 - this Python
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # a child that has ended gives no answer, which is told below
            self._child.stdin.write(line)
            self._child.stdin.flush()
        end, answer = time.monotonic() + self.deadline, b""
        watched = select.poll()  # unlike select(), for descriptors of any number
        watched.register(self._child.stdout, select.POLLIN)
        while not answer.endswith(b"\n"):
            if not watched.poll(max(0.0, end - time.monotonic()) * 1000):
                self.close()
                raise Timeout(
                    f"the pattern {self.pattern!r} takes more than {self.deadline:g} s for some keys: write it without "
                    "nested repetition, or install holdfast[regex]"
                )
            piece = os.read(self._child.stdout.fileno(), 1 << 16)
            if not piece:
                self.close()
                raise ConfigError(f"the process that matched {self.pattern!r} ended by itself")
            answer += piece
        return answer

    def close(self) -> None:
        """End the child; it is started again when it is needed."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            with contextlib.suppress(OSError):
                child.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _re2(pattern: str, flags: int) -> Any:
    """The pattern compiled by RE2, or None where it is not installed, or the pattern is beyond it."""
    try:
        re2 = importlib.import_module("re2")
    except ImportError:
        return None
    if "{," in pattern or "[:" in pattern:
        return None  # which mean something else to RE2
    if flags & ~(re.IGNORECASE | re.MULTILINE | re.DOTALL | re.UNICODE):
        return None
    named = (("i", re.IGNORECASE), ("m", re.MULTILINE), ("s", re.DOTALL))
    letters = "".join(letter for letter, flag in named if flags & flag)
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(f"(?{letters}){pattern}" if letters else pattern, options)
    except re2.error:
        return None
