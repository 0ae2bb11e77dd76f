r"""What the commands print: names made safe for people, exact JSON for programs, one line an error.

JSON is UTF-8 and escapes only what JSON must escape. A local name that is no UTF-8 reaches Python with surrogate
escapes; those are written as ``\udcXX``, which ``json.loads`` turns back into the very same string, so that
``os.fsencode`` of it is the name on disk. Every line of JSON is one document.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from typing import Any

from ..errors import AuthError, BucketNotFound, ConfigError, HoldfastError
from ..keys import printable
from ..progress import size_text
from . import DONE, FAILED, NOTHING

_encode = json.JSONEncoder(ensure_ascii=False, separators=(", ", ": ")).encode


class ClosedOutput(Exception):
    """Whoever read our standard output is gone."""


def write(data: bytes | bytearray | memoryview) -> None:
    """Put the bytes on standard output; ClosedOutput if nobody reads it any more."""
    left = memoryview(data)
    try:
        while left:
            # Unbuffered (PYTHONUNBUFFERED=1) a write may take only a part.
            left = left[sys.stdout.buffer.write(left) :]
        if sys.stdout.isatty():
            sys.stdout.buffer.flush()
    except BrokenPipeError as error:
        raise ClosedOutput from error


def flush() -> None:
    """See to it that everything printed is out; ClosedOutput if nobody reads it any more."""
    try:
        sys.stdout.flush()
    except BrokenPipeError as error:
        raise ClosedOutput from error


def line(text: str) -> None:
    """Print one line for people: control characters are escaped, and what the terminal cannot show."""
    write(printable(text).encode(sys.stdout.encoding or "utf-8", "backslashreplace") + b"\n")


def json_line(row: Mapping[str, Any]) -> None:
    """Print one JSON document on a line of its own, names exactly as they are."""
    # In JSON a lone surrogate can stand only inside a string, where this handler's \udcXX is its proper escape.
    write(_encode(row).encode("utf-8", "backslashreplace") + b"\n")


def complain(problem: BaseException | str, name: str | None = None) -> None:
    """Write one line about an error (and about which object) to standard error; HOLDFAST_DEBUG=1 adds where."""
    if isinstance(problem, BaseException):
        show_trace(problem)
        message = describe(problem, name)
    else:
        message = problem if name is None else f"{name}: {problem}"
    sys.stderr.write(f"holdfast: {printable(message)}\n")


def show_trace(error: BaseException) -> None:
    """Write the traceback to standard error if HOLDFAST_DEBUG asks for it."""
    if os.environ.get("HOLDFAST_DEBUG"):
        import traceback

        traceback.print_exception(error)


def describe(error: BaseException, name: str | None = None) -> str:
    """The error in one line, with the name of the object where the error itself does not tell it."""
    if isinstance(error, HoldfastError):
        message = str(error)
        tells = error.key is not None and (error.key in message or printable(error.key) in message)
        return message if name is None or tells else f"{name}: {message}"
    hint = "" if os.environ.get("HOLDFAST_DEBUG") else " (HOLDFAST_DEBUG=1 shows where)"
    message = f"{type(error).__name__}: {error}{hint}"
    return message if name is None else f"{name}: {message}"


class Tally:
    """Counts what was done, reports what was not as it happens, and knows the exit code that follows."""

    def __init__(self) -> None:
        self.count = 0
        self.nbytes = 0
        self.failed = 0
        self.missing = 0
        self._began = time.monotonic()

    def done(self, nbytes: int = 0) -> None:
        """Count one more object that is done."""
        self.count += 1
        self.nbytes += nbytes

    def fail(self, problem: BaseException | str, name: str | None = None) -> None:
        """Count and report one that failed; raise instead what would fail for every other object as well."""
        if isinstance(problem, BucketNotFound | ConfigError) or (isinstance(problem, AuthError) and not self.count):
            raise problem
        if isinstance(problem, BaseException) and not isinstance(problem, Exception):
            raise problem
        self.failed += 1
        complain(problem, name)

    def nothing_there(self, name: str) -> None:
        """Count and report a location where nothing was found."""
        self.missing += 1
        complain("nothing there", name)

    def is_a_directory(self, name: str, cure: str = "add -r") -> None:
        """Count and report a directory where an object was asked for."""
        self.fail(f"{name} is a directory: {cure}")

    @property
    def exit_code(self) -> int:
        """0, 1 or 4: all done, some failed, or nothing found at all."""
        if self.failed or (self.missing and self.count):
            return FAILED
        return NOTHING if self.missing else DONE

    def closing_line(self, verb: str, *, with_bytes: bool = True) -> str:
        """A line such as "copied 5000 objects, 19.5 MiB in 1.02 s (19.1 MiB/s)"."""
        seconds = max(time.monotonic() - self._began, 1e-6)
        objects = f"{self.count} object{'' if self.count == 1 else 's'}"
        amount = f", {size_text(self.nbytes)}" if with_bytes else ""
        rate = f"{size_text(self.nbytes / seconds)}/s" if with_bytes else f"{self.count / seconds:.0f}/s"
        failures = f", {self.failed} failed" if self.failed else ""
        return f"{verb} {objects}{amount} in {seconds:.2f} s ({rate}){failures}"

    def summary(self) -> dict[str, Any]:
        """The closing line for programs."""
        return {
            "status": "summary",
            "count": self.count,
            "bytes": self.nbytes,
            "failed": self.failed,
            "not_found": self.missing,
            "seconds": round(time.monotonic() - self._began, 3),
        }


def close_with(text: str, verbose: bool) -> None:
    """Write a closing line to standard error if a person is watching, or asked for it."""
    if verbose or sys.stderr.isatty():
        sys.stderr.write(f"{printable(text)}\n")
