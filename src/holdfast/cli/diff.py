"""``holdfast diff``: what a sync would find, and why."""

from __future__ import annotations

import click

from ..sync import Action
from ..sync.comparing import COMPARISONS
from ..sync.plans import is_undecided
from . import DONE, FAILED, output
from .ends import plan_for, refuse_stdio
from .locations import Opener, locate
from .options import Command, Settings, filters, shared

STATES = ("missing", "extra", "different", "unknown", "conflict")

EXAMPLES = """
holdfast diff results s3://bucket/run1
holdfast diff --compare digest s3://bucket/run1 gs://bucket/run1
holdfast diff --include '*.csv' --json results s3://bucket/run1
"""


HELP = """
Show what "sync --delete SRC DST" would find different, by the cheapest proof there is; nothing is changed.

\b
missing    only SRC has it
extra      only DST has it
different  both have it, and it is not the same
unknown    both have it in one size, and nothing tells more: --compare digest reads them
conflict   DST cannot hold it: a directory stands there, or the name cannot be

The exit code is 0 if both are equal, and 1 if anything differs. "holdfast verify" reads everything on both sides.
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
    counts = dict.fromkeys(STATES, 0)
    with Opener(settings, places) as opener:
        planned = plan_for(opener, *places, settings, delete=True, include=include, exclude=exclude, compare=compare)
        for action in planned:
            if action.kind != "skip":
                state = _state(action)
                counts[state] += 1
                _print(action, state, settings)
    warnings = planned.terms.warnings
    if settings.json:
        output.json_line({"status": "summary", "same": planned.counts["skip"], **counts, "warnings": list(warnings)})
    else:
        for warning in warnings:
            output.complain(warning)
        parts = [f"{planned.counts['skip']} same", *(f"{count} {state}" for state, count in counts.items() if count)]
        output.line(", ".join(parts))
    return FAILED if any(counts.values()) else DONE


def _state(action: Action) -> str:
    if action.source is None:
        return "extra"
    if action.kind in {"conflict", "refuse"}:
        return "unknown" if is_undecided(action) else "conflict"
    return "missing" if action.target is None else "different"


def _print(action: Action, state: str, settings: Settings) -> None:
    reason = "" if state in {"missing", "extra"} else f"  ({action.reason})"
    if settings.json:
        sizes = {
            f"{side}_size": None if identity is None else identity.size
            for side, identity in (("source", action.source), ("target", action.target))
        }
        output.json_line({"key": action.key, "status": state, "reason": action.reason, **sizes})
    else:
        output.line(f"{state:<9}  {action.key}{reason}")
