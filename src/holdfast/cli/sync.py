"""``holdfast sync``: the plan, the question, the work, the summary."""

from __future__ import annotations

import sys

import click

from ..sync import Journal, Plan, apply
from ..sync.comparing import COMPARISONS
from ..sync.plans import is_undecided
from . import DONE, FAILED, USAGE, asking
from .applied import Report, show
from .ends import plan_for, refuse_stdio
from .locations import Opener, locate
from .options import Command, Settings, filters, given, shared

EXAMPLES = """
holdfast sync --dry-run results s3://bucket/run1
holdfast sync results s3://bucket/run1
holdfast sync --delete --exclude '*.tmp' --exclude cache/ results s3://bucket/run1
holdfast sync --yes --delete --max-delete 50 s3://bucket/run1 /backup/run1
holdfast sync --dry-run --json results s3://bucket/run1 > plan.jsonl
"""


HELP = """
Make everything under DST/ like everything under SRC/, sending only what differs.

First both are listed and compared, which changes nothing. On a terminal the plan is shown, with a reason for each
object, and there is a question before anything is overwritten or deleted; elsewhere that needs --yes. Then each
change is made on condition that both sides are still what the plan saw. What has changed meanwhile is left, and
named.

--include and --exclude take globs ("*.csv" and "cache/" at any depth, "data/*.csv" from the top, "**" for any
directories) or "re:" and a regular expression, any number of times; what they leave out is neither copied nor
deleted. Nothing is deleted if SRC lists nothing, or anything failed. SRC may also be one object.

\b
Exit codes:
  0  all is done                    3  something has changed since the plan:
  1  something failed, or must         run it again
     not be done: each is named     4  nothing is there at SRC
  2  nothing was done: it cannot be, needs --yes, or the answer was no
"""


@click.command(cls=Command, help=HELP, epilog=EXAMPLES, short_help="Make one location like another: plan, ask, apply.")
@click.argument("source", metavar="SRC")
@click.argument("target", metavar="DST")
@click.option("-n", "--dry-run", "dry_run", is_flag=True, help="Only show what would be done, and why.")
@click.option("--delete", is_flag=True, help="Delete what only DST has.")
@click.option("--max-delete", "max_delete", type=click.IntRange(min=0), metavar="N",
              help="Delete nothing if more than N objects would go (default: 1000, or a tenth of those in DST, rounded "
              "up, if that is less).")  # fmt: skip
@filters
@click.option("--compare", type=click.Choice(COMPARISONS), default="auto", show_default=True,
              help="How to tell whether two objects are equal; auto is the cheapest proof there is.")  # fmt: skip
@click.option("--on-unknown", "on_unknown", type=click.Choice(["ask", "transfer", "skip"]), default="ask",
              show_default=True, help="What to do where nothing tells; without a terminal, ask leaves it.")  # fmt: skip
@click.option("--reencode", metavar="ENCODING", help="Store objects as gzip, br, zstd ..., or as none: decoded.")
@click.option("--journal", type=click.Path(dir_okay=False), metavar="FILE",
              help="Note in FILE how far it has come, so that large objects go on in the middle.")  # fmt: skip
@click.option("-y", "--yes", is_flag=True, help="Do not ask before something is overwritten or deleted.")
@shared("threads", "json", "progress", "endpoint", "anonymous")
def command(
    settings: Settings, source: str, target: str, dry_run: bool, delete: bool, max_delete: int | None,
    include: tuple[str, ...], exclude: tuple[str, ...], compare: str, on_unknown: str, reencode: str | None,
    journal: str | None, yes: bool,
) -> int:  # fmt: skip
    """Plan, ask, apply, report."""
    refuse_stdio(source, target)
    if given("max_delete") and not delete:
        raise click.UsageError("--max-delete has no meaning without --delete: leave it out")
    places = locate(source), locate(target)
    with Opener(settings, places) as opener:
        planned = plan_for(
            opener, *places, settings, delete=delete, include=include, exclude=exclude, compare=compare,
            on_unknown=on_unknown, max_delete=max_delete, reencode="" if reencode == "none" else reencode,
        )  # fmt: skip
        if dry_run:
            show(planned, settings)
            return FAILED if planned.counts["conflict"] or planned.counts["refuse"] else DONE
        decided = planned if yes else _asked(planned, ask=on_unknown == "ask")
        if decided is None:
            sys.stderr.write("holdfast: nothing was done\n")
            return USAGE
        report = Report(settings)
        summary = apply(
            decided, journal=journal, threads=settings.threads, progress=settings.progress, on_result=report.tell
        )
        if journal is not None and summary.exit_code == DONE:
            with Journal(journal) as noted:
                noted.forget_complete()  # each call makes a plan of its own, so nobody asks for this one again
    return report.close(summary)


def _asked(planned: Plan, *, ask: bool) -> Plan | None:
    """The plan as it is decided on the terminal, None if it is not to be done; UsageError without a terminal."""
    undecided = sum(map(is_undecided, planned.of_kind("conflict"))) if ask else 0
    lost = asking.losses(planned)
    if not asking.is_terminal():
        if lost:
            raise asking.refuse(lost)
        return planned
    if not lost and not undecided:
        return planned
    planned.print(sys.stderr)
    if undecided:
        question = f"Nothing tells whether {asking.objects(undecided)} are equal: transfer, skip or leave them? [t/s/L]"
        answer = asking.answer(question)
        if answer[:1] in {"t", "s"}:
            planned = planned.decide("transfer" if answer[:1] == "t" else "skip")
            lost = asking.losses(planned)
    if lost and not asking.confirm(f"{lost}. Go on?"):
        return None
    return planned
