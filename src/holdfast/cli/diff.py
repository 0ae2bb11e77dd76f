"""``holdfast diff``: what a sync would find, and why."""

from __future__ import annotations

import click

from ..sync import Action
from ..sync.comparing import COMPARISONS
from ..sync.plans import KEPT_FROM_NOTHING, NOTHING_LISTED, is_uncompared, is_undecided
from . import DONE, FAILED, output
from .applied import name_the_cure, warn
from .ends import plan_for, refuse_stdio
from .locations import Opener, locate
from .options import Command, Settings, filters, shared

DIFFERENT, TROUBLE = 1, 2
STATES = ("missing", "extra", "different", "unknown", "conflict", "failed")

#: What ends a command in ways of its own.
_NOT_OURS = (output.ClosedOutput, BrokenPipeError, click.ClickException)

EXAMPLES = """
holdfast diff results s3://bucket/run1            # exit code 0: equal
holdfast diff --compare digest s3://bucket/run1 gs://bucket/run1
holdfast diff --include '*.csv' --json results s3://bucket/run1
"""


HELP = """
Show what "sync --delete SRC DST" would find different, by the cheapest proof there is; nothing is changed.

\b
missing    only SRC has it
extra      only DST has it
different  both have it, and it is not the same
unknown    both have it in one size: --compare digest reads them
conflict   DST cannot hold it: something else is there, or for its name
failed     it could not be compared

"holdfast verify" reads everything on both sides.

\b
Exit codes, as those of diff(1):
  0  both are equal
  1  something differs, or is not known to be equal: each is printed
  2  trouble: they, or some objects, could not be compared
  4  trouble: nothing is there at SRC
  5  trouble: the bucket of DST does not exist
"""


@click.command(cls=Command, help=HELP, epilog=EXAMPLES, short_help="Show what differs between two locations, and why.")
@click.argument("source", metavar="SRC")
@click.argument("target", metavar="DST")
@filters
@click.option("--compare", type=click.Choice(COMPARISONS), default="auto", show_default=True,
              help="How to tell whether two objects are equal; digest reads both where nothing tells.")  # fmt: skip
@shared("threads", "json", "progress", "endpoint", "anonymous")
def command(
    settings: Settings, source: str, target: str, include: tuple[str, ...], exclude: tuple[str, ...], compare: str
) -> int:
    """Plan, and print what differs."""
    refuse_stdio(source, target)
    places = locate(source), locate(target)
    counts = dict.fromkeys(("same", *STATES), 0)
    try:
        with (
            output.summarised(lambda: {"status": "summary", **counts}, as_json=settings.json),
            Opener(settings, places) as opener,
            opener.target(places[:1], places[1]),
        ):
            planned = plan_for(
                opener, *places, settings, delete=True, include=include, exclude=exclude, compare=compare
            )
            for action in planned:
                state = _state(action)
                counts[state] += 1
                if state != "same":
                    _print(action, state, settings)
    except Exception as error:
        if output.code_of(error) != FAILED or isinstance(error, _NOT_OURS):
            raise
        output.complain(error)
        return TROUBLE  # diff(1) says so: 1 is a difference
    warnings = [one for one in planned.terms.warnings if one != NOTHING_LISTED]  # here nothing would be anyway
    warn(warnings)
    name_the_cure(planned, only_look=True)
    if settings.json:
        output.json_line({"status": "summary", **counts, "warnings": warnings})
    else:
        output.line(", ".join(f"{count} {state}" for state, count in counts.items() if count or state == "same"))
    if counts["failed"]:
        return TROUBLE
    return DONE if counts["same"] == len(planned) else DIFFERENT


def _state(action: Action) -> str:
    if action.kind == "skip":
        return "same"
    if action.source is None and action.target is not None:
        return "extra"
    if action.kind in {"conflict", "refuse"}:
        return "unknown" if is_undecided(action) else "failed" if is_uncompared(action) else "conflict"
    return "missing" if action.target is None else "different"


def _print(action: Action, state: str, settings: Settings) -> None:
    if settings.json:
        sizes = {
            f"{side}_size": None if identity is None else identity.size
            for side, identity in (("source", action.source), ("target", action.target))
        }
        reason = "not in the source" if action.reason == KEPT_FROM_NOTHING else action.reason
        output.json_line({"key": action.key, "status": state, "reason": reason, **sizes})
    else:
        why = "" if state in {"missing", "extra"} else f"  ({action.reason})"
        output.line(f"{state:<9}  {action.key}{why}")
