"""Questions on a terminal, before anything is lost; without a terminal what would be asked needs ``--yes``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from ..sync import Plan
from .applied import objects


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
    return _answer(f"{question} [y/N]") in {"y", "yes"}


def choose(question: str, answers: Sequence[str], default: str) -> str | None:
    """Which of the words was typed, or the beginning of it; None for the end of input, or q, which quits.

    What begins none of them is asked again; the default is for a line of its own.
    """
    letters = "/".join(word[0].upper() if word == default else word[0] for word in answers)
    while True:
        typed = _answer(f"{question} [{letters}/q]")
        if typed is None or (typed and "quit".startswith(typed)):
            return None
        for word in answers:
            if word.startswith(typed or default):
                return word


def refuse(what: str) -> click.UsageError:
    """The error of a command that would have to ask, and has nobody to."""
    return click.UsageError(f"{what}, and there is no terminal to ask on: look with --dry-run, then add --yes")


def _answer(question: str) -> str | None:
    """What was typed, in small letters, None at the end of input; Ctrl-C ends the command as everywhere."""
    sys.stderr.write(f"{question} ")
    sys.stderr.flush()
    typed = sys.stdin.buffer.readline()
    if not typed:
        sys.stderr.write("\n")
        return None
    return typed.decode(errors="replace").strip().lower()
