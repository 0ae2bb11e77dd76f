"""``holdfast sync``: the plan, the question, the work, the summary."""

from __future__ import annotations

import sys
from contextlib import ExitStack

import click

from ..sync import Journal, Plan, apply
from ..sync.comparing import COMPARISONS
from ..sync.plans import is_undecided
from . import DONE, USAGE, asking
from .applied import Report, are_equal, is_long, name_the_cure, show
from .ends import plan_for, refuse_stdio
from .locations import Opener, locate
from .options import Command, Settings, filters, given, shared

EXAMPLES = """
holdfast sync --dry-run results s3://bucket/run1  # only shows what, and why
holdfast sync results s3://bucket/run1            # asks before it replaces
holdfast sync --delete --exclude '*.tmp' results s3://bucket/run1
holdfast sync --yes --delete --max-delete 50 s3://bucket/run1 /backup
holdfast sync --journal j.sqlite s3://bucket/big .     # resumed after a kill
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
  0  all is done (with --dry-run: it would be)
  1  something failed or must not be done: each is named, the rest is done
  2  nothing was done: it cannot be, needs --yes, or the answer was no
  3  something has changed since the plan: run it again
  4  nothing is there at SRC
  5  the bucket of DST does not exist
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
    report = Report(settings)
    with report.summarised(), Opener(settings, places) as opener, opener.target(places[:1], places[1]):
        planned = plan_for(
            opener, *places, settings, delete=delete, include=include, exclude=exclude, compare=compare,
            on_unknown=on_unknown, max_delete=max_delete, reencode="" if reencode == "none" else reencode,
        )  # fmt: skip
        if delete and not planned.terms.delete:
            raise click.UsageError(f"--delete has no meaning for one object, as {source} is: leave it out")
        if dry_run:
            return show(planned, settings)
        decided = _decided(planned, report, ask=not yes)
        if decided is None:
            sys.stderr.write("holdfast: nothing was done\n")
            return USAGE
        with ExitStack() as opened:
            noted = None if journal is None else opened.enter_context(Journal(journal))
            done = apply(
                decided, journal=noted, threads=settings.threads, progress=settings.progress, on_result=report.tell
            )
            report.add(done)
            name_the_cure(decided)
            if noted is not None and report.exit_code == DONE:
                noted.forget_complete()  # each call makes a plan of its own, so nobody asks for this one again
    return report.close()


def _decided(planned: Plan, report: Report, *, ask: bool) -> Plan | None:
    """The plan as it is to be done, None if it is not to be; UsageError where somebody must be asked, and is not there.

    Nobody is asked about a plan that only adds, and knows what is equal.
    """
    undecided = sum(map(is_undecided, planned.of_kind("conflict")))
    lost = asking.losses(planned)
    if ask and lost and not asking.is_terminal():
        raise asking.refuse(lost)
    if not ask or not (lost or undecided) or not asking.is_terminal():
        return planned
    planned.print(sys.stderr)
    report.shown(planned)
    if is_long(planned):
        sys.stderr.write("--dry-run shows all of it\n")
    if undecided:
        question = f"Nothing tells whether {are_equal(undecided)}: transfer, skip or leave {_them(undecided)}?"
        answer = asking.choose(question, ("transfer", "skip", "leave"), "leave")
        if answer is None:
            return None
        if answer != "leave":
            planned = planned.decide(answer)
            lost = asking.losses(planned)
    return planned if not lost or asking.confirm(f"{lost}. Go on?") else None


def _them(count: int) -> str:
    return "it" if count == 1 else "them"
