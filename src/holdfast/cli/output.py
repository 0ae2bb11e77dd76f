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
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import click

from .. import redact
from ..errors import AuthError, BucketNotFound, ConfigError, HoldfastError, NotFound
from ..keys import printable
from ..progress import size_text
from . import DONE, FAILED, NO_TARGET, NOTHING, USAGE

#: So many objects refused, and none done: it is the login that is wrong, for all the others as well.
REFUSALS = 100

_encode = json.JSONEncoder(ensure_ascii=False, separators=(", ", ": ")).encode


class ClosedOutput(Exception):
    """Whoever read our standard output is gone."""


class NoTarget(BucketNotFound):
    """The bucket that something was to be written to does not exist."""


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
        message = redact.text(problem if name is None else f"{name}: {problem}")
    sys.stderr.write(f"holdfast: {printable(message)}\n")


def show_trace(error: BaseException) -> None:
    """Write the traceback to standard error if HOLDFAST_DEBUG asks for it."""
    if os.environ.get("HOLDFAST_DEBUG"):
        import traceback

        sys.stderr.write(redact.text("".join(traceback.format_exception(error))))


def describe(error: BaseException, name: str | None = None) -> str:
    """The error without secrets, with the name of the object where the error itself does not tell it."""
    return redact.text(_message(error, name))


def _message(error: BaseException, name: str | None) -> str:
    if isinstance(error, HoldfastError):
        message = str(error)
        tells = error.key is not None and (error.key in message or printable(error.key) in message)
        return message if name is None or tells else f"{name}: {message}"
    hint = "" if os.environ.get("HOLDFAST_DEBUG") else " (HOLDFAST_DEBUG=1 shows where)"
    message = f"{type(error).__name__}: {error}{hint}"
    return message if name is None else f"{name}: {message}"


def code_of(error: BaseException) -> int:
    """The exit code for an error that ended a whole command."""
    if isinstance(error, NoTarget):
        return NO_TARGET
    if isinstance(error, ConfigError):
        return USAGE
    return NOTHING if isinstance(error, NotFound | BucketNotFound) else FAILED


@contextmanager
def summarised(summary: Callable[[], Mapping[str, Any]], *, as_json: bool) -> Iterator[None]:
    """A block that ends with the summary for programs also when an error, told there, ends it.

    Not before a usage or configuration error, with which nothing has begun.
    """
    try:
        yield
    except (ClosedOutput, click.UsageError, ConfigError):
        raise
    except Exception as error:
        if as_json:
            row = {**summary(), "error": describe(error)}
            json_line({**row, "exit_code": code_of(error)} if "exit_code" in row else row)
        raise


class Tally:
    """Counts what was done, reports what was not as it happens, and knows the exit code that follows.

    Objects that are refused before any was done are reported when one is done, or at the end: only then is it known
    whether these objects are forbidden or the login is wrong, which is said once.
    """

    def __init__(self) -> None:
        self.count = 0
        self.nbytes = 0
        self.failed = 0
        self.missing = 0
        self._refused: list[tuple[AuthError, str | None]] = []
        self._began = time.monotonic()

    def done(self, nbytes: int = 0) -> None:
        """Count one more object that is done."""
        self._report_refused()
        self.count += 1
        self.nbytes += nbytes

    def fail(self, problem: BaseException | str, name: str | None = None) -> None:
        """Count and report one that failed; raise instead what would fail for every other object as well."""
        if isinstance(problem, BaseException) and not isinstance(problem, Exception):
            raise problem
        self.failed += 1
        if isinstance(problem, BucketNotFound | ConfigError):
            raise problem
        if isinstance(problem, AuthError) and not self.count:
            if len(self._refused) + 1 == REFUSALS:
                self._refused.clear()
                raise problem
            self._refused.append((problem, name))
            return
        complain(problem, name)

    def nothing_there(self, name: str) -> None:
        """Count and report a location where nothing was found."""
        self.missing += 1
        complain("nothing there", name)

    def is_a_directory(self, name: str, cure: str = "add -r") -> None:
        """Count and report a directory where an object was asked for."""
        self.fail(f"{name} is a directory: {cure}")

    def finish(self) -> int:
        """The exit code: 0, 1 or 4 (all done, some failed, nothing found at all); reports what is not yet reported."""
        if len(self._refused) > 1 and not self.count:
            (problem, name), *others = self._refused
            self._refused.clear()
            complain(problem, name)
            complain(f"{len(others)} more refused, and nothing was done: are these the right credentials?")
        self._report_refused()
        if self.failed or (self.missing and self.count):
            return FAILED
        return NOTHING if self.missing else DONE

    def _report_refused(self) -> None:
        refused, self._refused = self._refused, []
        for problem, name in refused:
            complain(problem, name)

    def close(self, verb: str, noun: str = "object", *, as_json: bool, verbose: bool, with_bytes: bool = True) -> int:
        """Finish, print the summary or the closing line, and return the exit code."""
        code = self.finish()
        if as_json:
            json_line(self.summary())
        elif verbose or sys.stderr.isatty():
            sys.stderr.write(f"{printable(self.closing_line(verb, noun, with_bytes=with_bytes))}\n")
        return code

    def summarised(self, as_json: bool) -> AbstractContextManager[None]:
        """A block that ends with the summary for programs also when an error, told there, ends it."""
        return summarised(self.summary, as_json=as_json)

    def closing_line(self, verb: str, noun: str = "object", *, with_bytes: bool = True) -> str:
        """A line such as "copied 5000 objects, 19.5 MiB in 1.02 s (19.1 MiB/s)"; rates are told of objects alone."""
        seconds = max(time.monotonic() - self._began, 1e-6)
        objects = f"{self.count} {noun}{'' if self.count == 1 else 's'}"
        amount = f", {size_text(self.nbytes)}" if with_bytes else ""
        rate = f"{size_text(self.nbytes / seconds)}/s" if with_bytes else f"{self.count / seconds:.0f}/s"
        failures = f", {self.failed} failed" if self.failed else ""
        if noun != "object":
            return f"{verb} {objects}{failures}"
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
