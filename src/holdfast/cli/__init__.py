"""The command line: ``holdfast ls, cp, mv, sync, diff, cat, head, rm, du, verify ...`` over every store.

Exit codes are the same everywhere:

    0  everything was done          4    nothing was found at the location
    1  some items failed: each is   5    sync, mv, cp and diff: the target's bucket does not exist, nothing was done
       named on standard error, the  130  interrupted by Ctrl-C
       rest was done                 141  whoever read the output went away (as for any program in a pipe)
    2  a usage or configuration error: nothing was done
    3  sync and mv: something has changed since it was planned, and was left as it is

``diff`` ends as diff(1) does: 1 is a difference, and what kept it from comparing is 2, 4 or 5.

Where nothing was done because everything was refused, that is said once, and after a hundred objects the command ends:
the login is wrong. With ``--json``, commands that do or find something end with a line whose status is "summary"; its
"error" is what ended the command before its time.

Results go to standard output, everything else to standard error. This module imports next to nothing, so that
``holdfast --version`` is instant; click and the commands are imported when one of them runs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

DONE = 0
FAILED = 1
USAGE = 2
NOTHING = 4
NO_TARGET = 5
INTERRUPTED = 130
CLOSED_PIPE = 141
#: The variable in which a shell asks how a command line may go on.
COMPLETION = "_HOLDFAST_COMPLETE"


def main() -> NoReturn:
    """Run the command that ``sys.argv`` names and end the process with its exit code."""
    end(run(sys.argv[1:]))


def end(code: int) -> NoReturn:
    """End the process with this exit code, whatever its workers do."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = code or CLOSED_PIPE
    # Not sys.exit: the interpreter would flush once more, and complain about a pipe that is closed; and workers
    # abandoned by Ctrl-C, which may sit in native code, had better not meet an interpreter that is taken down.
    # Stores are closed by now and the output is out.
    os._exit(code)


def run(arguments: Sequence[str]) -> int:
    """The exit code of one command line, run in this process.

    >>> run(["cp", "mem://cli-example/nothing-here", "mem://cli-example/copy"])
    4
    """
    try:
        if list(arguments) == ["--version"]:
            from .. import __version__

            print(f"holdfast {__version__}")  # noqa: T201 - this is what was asked for
            return DONE
        if COMPLETION in os.environ:
            from .completion import respond

            return respond(os.environ[COMPLETION])
        from .app import invoke

        return invoke(list(arguments))
    except BrokenPipeError:
        return CLOSED_PIPE
    except KeyboardInterrupt:
        sys.stderr.write("\nholdfast: interrupted\n")
        return INTERRUPTED
