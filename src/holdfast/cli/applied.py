"""How plans are shown, and how it is told what became of them."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import fields
from typing import Any

from .. import redact
from ..progress import size_text
from ..sync import Plan, Result, Summary
from ..sync.plans import SHOWN, is_undecided
from . import DONE, FAILED, output
from .options import Settings


def show(plan: Plan, settings: Settings) -> int:
    """The exit code that applying the plan would have, after all of it was printed.

    It is printed as JSON lines that ``Plan.read`` takes, as a table on a terminal if it fits into one, or as lines.
    """
    if settings.json:
        plan.write(sys.stdout)  # ASCII, whatever the names are
        warn(plan.terms.warnings)
    elif sys.stdout.isatty() and not is_long(plan):
        plan.print()
    else:
        for kind, size, key, reason in plan.rows():
            output.line(f"{kind:<8}  {size:>8}  {key}  ({reason})")
        for line in plan.totals():
            output.line(line)
    name_the_cure(plan)
    return foreseen(plan)


def foreseen(plan: Plan) -> int:
    """The exit code that applying the plan would have, as far as the plan tells."""
    return FAILED if plan.counts["conflict"] or plan.counts["refuse"] or plan.deletes_too_many else DONE


def is_long(plan: Plan) -> bool:
    """Whether the table of a plan would not have all of it."""
    return len(plan) - plan.counts["skip"] > SHOWN


def warn(warnings: Iterable[str]) -> None:
    """Tell what the planner found odd, where the plan is not shown."""
    for warning in warnings:
        output.complain(warning)


def name_the_cure(plan: Plan, *, only_look: bool = False) -> None:
    """Tell what to do about objects of which nothing tells whether they are equal, if the plan has any."""
    if not (undecided := sum(map(is_undecided, plan.of_kind("conflict")))):
        return
    cures = [] if plan.terms.compare == "digest" or plan.terms.reencode is not None else ["--compare digest reads"]
    if not only_look:
        cures += ["--on-unknown transfer sends", "--on-unknown skip leaves"]
    if cures:
        them = "it" if undecided == 1 else "them"
        output.complain(f"nothing tells whether {are_equal(undecided)}: {', '.join(f'{one} {them}' for one in cures)}")


def are_equal(count: int) -> str:
    """Some objects and their verb, in words.

    >>> are_equal(1), are_equal(2)
    ('1 object is equal', '2 objects are equal')
    """
    return f"{objects(count)} {'is' if count == 1 else 'are'} equal"


def objects(count: int) -> str:
    """So many objects, in words.

    >>> objects(1), objects(2)
    ('1 object', '2 objects')
    """
    return f"{count} object{'' if count == 1 else 's'}"


class Report:
    """Tells of each result when it is noted: what was not done on standard error, with --json everything.

    One report may be of several plans; ``summary`` is of all those that were applied.
    """

    def __init__(self, settings: Settings, *, moving: bool = False) -> None:
        self.summary = Summary()
        self._told = Summary()  # of the plan that is being applied
        self._json = settings.json
        self._moving = moving
        self._tally = output.Tally()
        self._kept: Counter[str] = Counter()
        self._warned: set[str] = set()
        self._problems: list[str] = []

    def tell(self, result: Result) -> None:
        """Tell of one; raises instead what would fail for all the others as well."""
        self._told.add(result)
        if self._json:
            row = json.loads(result.to_json())
            output.json_line({**row, "detail": redact.text(result.detail)} if result.detail else row)
        if result.outcome in {"done", "already"}:
            self._tally.done(result.nbytes)
            if result.overtaken:
                output.complain(result.detail, result.key)
        elif result.outcome == "failed":
            self._tally.fail(result.error or result.detail, result.key)
        elif result.outcome == "kept":
            self._kept[result.detail] += 1
        else:
            output.complain(f"{result.outcome}: {result.detail}", result.key)

    def shown(self, plan: Plan) -> None:
        """Take notice that somebody has seen the plan, so that its warnings are not told again."""
        self._warned.update(plan.terms.warnings)

    def add(self, summary: Summary) -> None:
        """Take in what became of a plan."""
        self.summary, self._told = _sum(self.summary, summary), Summary()

    def fail(self, problem: str, name: str) -> None:
        """Tell of something else that was not done."""
        self._problems.append(redact.text(f"{name}: {problem}"))
        output.complain(problem, name)

    @property
    def exit_code(self) -> int:
        """The exit code so far."""
        return FAILED if self._problems else self.summary.exit_code

    def summarised(self) -> AbstractContextManager[None]:
        """A block that ends with the summary for programs also when an error, told there, ends it."""
        return output.summarised(self._row, as_json=self._json)

    def close(self) -> int:
        """Tell what is left to tell, print the totals, and return the exit code."""
        self._tally.finish()
        of_all = dict.fromkeys(self.summary.warnings)  # of several plans the same one once
        warn(warning for warning in of_all if warning not in self._warned)
        for reason, count in self._kept.items():
            output.complain(f"{count} {reason}")
        if self.summary.stale:
            count = len(self.summary.stale)
            output.complain(f"{count} stale: not done, because of changes since the plan; run it again")
        if self._json:
            output.json_line(self._row())
        else:
            totals, *rest = str(self.summary).splitlines()
            moved = f"{objects(self.summary.done)} moved; {size_text(self.summary.nbytes)} sent"
            output.line(moved if self._moving else totals)
            if self.summary.checked:
                output.line(rest[-1])
        if self.summary.unaccounted:
            output.complain(f"{self.summary.unaccounted} actions of which nobody knows what became: run it again")
        return self.exit_code

    def _row(self) -> dict[str, Any]:
        summary = _sum(self.summary, self._told)
        problems = {"problems": self._problems} if self._moving else {}
        return {"status": "summary", **summary.to_dict(), **problems, "exit_code": self.exit_code}


def _sum(one: Summary, other: Summary) -> Summary:
    return Summary(**{entry.name: getattr(one, entry.name) + getattr(other, entry.name) for entry in fields(Summary)})
