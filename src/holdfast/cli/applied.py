"""How plans are shown, and how it is told what became of them."""

from __future__ import annotations

import json
import sys
from collections import Counter

from .. import redact
from ..sync import Plan, Result, Summary
from . import output
from .options import Settings


def show(plan: Plan, settings: Settings) -> None:
    """Print all of a plan: as JSON lines that ``Plan.read`` takes, as a table on a terminal, or as plain lines."""
    if settings.json:
        plan.write(sys.stdout)  # ASCII, whatever the names are
    elif sys.stdout.isatty():
        plan.print()
    else:
        for kind, size, key, reason in plan.rows():
            output.line(f"{kind:<8}  {size:>8}  {key}  ({reason})")
        for line in plan.totals():
            output.line(line)


class Report:
    """Tells of each result when it is noted: what was not done on standard error, with --json everything."""

    def __init__(self, settings: Settings) -> None:
        self._json = settings.json
        self._tally = output.Tally()
        self._kept: Counter[str] = Counter()

    def tell(self, result: Result) -> None:
        """Tell of one; raises instead what would fail for all the others as well."""
        if self._json:
            row = json.loads(result.to_json())
            output.json_line({**row, "detail": redact.text(result.detail)} if result.detail else row)
        if result.outcome in {"done", "already"}:
            self._tally.done(result.nbytes)
        elif result.outcome == "failed":
            self._tally.fail(result.error or result.detail, result.key)
        elif result.outcome == "kept":
            self._kept[result.detail] += 1
        else:
            output.complain(f"{result.outcome}: {result.detail}", result.key)

    def close(self, summary: Summary) -> int:
        """Tell what is left to tell, print the totals, and return the exit code."""
        self._tally.finish()
        for warning in summary.warnings:
            output.complain(warning)
        for reason, count in self._kept.items():
            output.complain(f"{count} {reason}")
        if summary.stale:
            output.complain(f"{len(summary.stale)} stale: not done, because of changes since the plan; run it again")
        if self._json:
            output.json_line({"status": "summary", **summary.to_dict()})
        else:
            totals, *rest = str(summary).splitlines()
            output.line(totals)
            if summary.checked:
                output.line(rest[-1])
        return summary.exit_code
