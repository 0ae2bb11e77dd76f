"""What the commands share: options (a command takes only those that it obeys) and how help shows examples."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

Function = Callable[..., Any]


class ShowsExamples(click.Command):
    """A command whose epilog is a list of command lines, shown as they are written."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the section Examples."""
        with formatter.section("Examples"):
            for example in (self.epilog or "").split("\n"):
                if example:
                    formatter.write(f"{'':>{formatter.current_indent}}{example}\n")


class Command(ShowsExamples):
    """One of Holdfast's commands."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The shared options as given; ``progress`` None means a bar if standard error is a terminal."""

    threads: int | None = None
    json: bool = False
    progress: bool | None = None
    endpoint: str | None = None
    anonymous: bool = False


_OPTIONS: dict[str, Callable[[Function], Function]] = {
    "threads": click.option(
        "-j", "--threads", type=click.IntRange(min=1), metavar="N",
        help="At most N operations at a time (default: adapts itself).",
    ),
    "json": click.option("--json", "json", is_flag=True, help="Print JSON lines for programs, with exact names."),
    "progress": click.option(
        "--progress/--no-progress", default=None, help="A progress bar, or none (default: on a terminal)."
    ),
    "endpoint": click.option(
        "--endpoint", metavar="URL", help="Address of the service that the s3:// (gs:// ...) locations are on."
    ),
    "anonymous": click.option("--anonymous", is_flag=True, help="Ask the service without credentials."),
}  # fmt: skip


def shared(*names: str) -> Callable[[Function], Function]:
    """A decorator that adds these options to a command, which gets them together as ``settings``."""

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def gathered(**values: Any) -> Any:
            settings = Settings(**{name: values.pop(name) for name in names})
            return function(settings=settings, **values)

        decorated: Function = gathered
        for name in reversed(names):
            decorated = _OPTIONS[name](decorated)
        return decorated

    return decorate


def filters(function: Function) -> Function:
    """A decorator that adds --include and --exclude, each any number of times."""
    for option, help_text in (
        ("--exclude", "Leave out what matches, on both sides."),
        ("--include", "Only what matches a PATTERN: a glob, or re: and a regular expression."),
    ):
        function = click.option(option, multiple=True, metavar="PATTERN", help=help_text)(function)
    return function
