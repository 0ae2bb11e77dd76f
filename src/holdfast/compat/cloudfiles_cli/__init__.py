"""The command line of cloud-files over Holdfast: ``holdfast-cloudfiles ls | cp | mv | rm | touch | cat ...``.

Commands, flags, what is printed and the exit codes are those of ``cloudfiles``, so that scripts go on as they were
(``alias cloudfiles=holdfast-cloudfiles``). A problem that cloud-files tells of in a line on standard output is told
there, and the exit code is 0; what it met with a traceback is one line on standard error, and 1. ``verify`` alone is
stricter: 1 if anything differs. The command line of Holdfast itself, ``holdfast``, has exit codes for everything.
"""

from .cloudfiles_cli import main

__all__ = ["main"]
