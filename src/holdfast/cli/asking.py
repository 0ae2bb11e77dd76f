"""Questions on a terminal, before anything is lost; without a terminal what would be asked needs ``--yes``."""

from __future__ import annotations

import sys

import click

from ..sync import Plan


def is_terminal() -> bool:
    """Whether somebody sits there who sees a question and can answer it."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def losses(plan: Plan) -> str:
    """What the plan deletes and overwrites, in words; "" if nothing."""
    deletions = 0 if plan.deletes_too_many else plan.counts["delete"]
    counts = ((plan.counts["update"], "overwritten"), (deletions, "deleted"))
    return " and ".join(f"{objects(count)} will be {what}" for count, what in counts if count)


def confirm(question: str) -> bool:
    """Whether the answer on the terminal was yes; anything else is no."""
    return answer(f"{question} [y/N]") in {"y", "yes"}


def answer(question: str) -> str:
    """What was typed, in small letters; Ctrl-C ends the command as everywhere, and the end of input is no answer."""
    sys.stderr.write(f"{question} ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower()


def refuse(what: str) -> click.UsageError:
    """The error of a command that would have to ask, and has nobody to."""
    return click.UsageError(f"{what}, and there is no terminal to ask on: look with --dry-run, then add --yes")


def objects(count: int) -> str:
    """So many objects, in words.

    >>> objects(1), objects(2)
    ('1 object', '2 objects')
    """
    return f"{count} object{'' if count == 1 else 's'}"
