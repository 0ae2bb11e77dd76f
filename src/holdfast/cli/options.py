"""What the commands share: options (a command takes only those that it obeys) and how help shows examples."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click
from click.core import ParameterSource

from . import USAGE

Function = Callable[..., Any]

#: Every option has a default in the environment: HOLDFAST_CP_THREADS for "cp --threads".
PREFIX = "HOLDFAST"


class ShowsExamples(click.Command):
    """A command whose epilog is a list of command lines, shown as they are written."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the section Examples."""
        with formatter.section("Examples"):
            for example in (self.epilog or "").split("\n"):
                if example:
                    formatter.write(f"{'':>{formatter.current_indent}}{example}\n")


class Command(ShowsExamples):
    """One of Holdfast's commands; each option has a default in the environment, which its long names name."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """What is left of the arguments, all of which the parameters took."""
        for option in self.params:
            if isinstance(option, click.Option) and option.envvar is None and ctx.auto_envvar_prefix:
                option.envvar = [_variable(ctx.auto_envvar_prefix, name) for name in option.opts if name[:2] == "--"]
                option.allow_from_autoenv = False  # by the name that it has in Python
        return super().parse_args(ctx, args)


class Group(ShowsExamples, click.Group):
    """A command with commands of its own, such as ``alias add``."""

    command_class = Command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """What is left for the command inside; without one, help on standard error, and the exit code of misuse."""
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help(), err=True)
            ctx.exit(USAGE)
        return super().parse_args(ctx, args)


class SharedOption(click.Option):
    """An option of many commands: HOLDFAST_CP_THREADS is its default for one of them, HOLDFAST_THREADS for all."""

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """What the environment says, nearest first."""
        return super().resolve_envvar_value(ctx) or os.environ.get(f"{PREFIX}_{str(self.name).upper()}") or None


def _variable(prefix: str, name: str) -> str:
    """The variable for an option, such as HOLDFAST_CP_PART_BYTES."""
    return f"{prefix}_{name.lstrip('-').replace('-', '_').upper()}"


def given(name: str) -> bool:
    """Whether the option stands on the command line, so that it must mean something there; a default need not."""
    context = click.get_current_context()
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE


def is_typed_before(name: str) -> bool:
    """Whether the option of the program stands on the command line, before the command."""
    parent = click.get_current_context().parent
    return parent is not None and parent.get_parameter_source(name) is ParameterSource.COMMANDLINE


@dataclass(frozen=True, slots=True)
class Settings:
    """The shared options; ``progress`` None means a bar if standard error is a terminal.

    ``given`` names those that stand on the command line: they must mean something, which defaults need not.
    """

    threads: int | None = None
    json: bool = False
    progress: bool | None = None
    endpoint: str | None = None
    anonymous: bool = False
    literal: bool = False
    given: frozenset[str] = frozenset()


_option = functools.partial(click.option, cls=SharedOption)

_OPTIONS: dict[str, Callable[[Function], Function]] = {
    "threads": _option(
        "-j", "--threads", type=click.IntRange(min=1), metavar="N",
        help="At most N operations at a time (default: adapts itself).",
    ),
    "json": _option("--json", "json", is_flag=True, help="Print JSON lines for programs, with exact names."),
    "progress": _option(
        "--progress/--no-progress", default=None, help="A progress bar, or none (default: on a terminal)."
    ),
    "endpoint": _option(
        "--endpoint", metavar="URL", help="Address of the service that the s3:// (gs:// ...) locations are on."
    ),
    "anonymous": _option(
        "--anonymous", "--no-sign-request", "--no-auth", "anonymous", is_flag=True,
        help="Ask the service without credentials.",
    ),
    "literal": _option(
        "--literal", is_flag=True, help="Take * and ? in locations as they are (default: unless they are there, "
        "they are patterns).",
    ),
}  # fmt: skip


def shared(*names: str) -> Callable[[Function], Function]:
    """A decorator that adds these options to a command, which gets them together as ``settings``."""

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def gathered(**values: Any) -> Any:
            chosen = {name: values.pop(name) for name in names}
            settings = Settings(**chosen, given=frozenset(filter(given, names)))
            return function(settings=settings, **values)

        decorated: Function = gathered
        for name in reversed(names):
            decorated = _OPTIONS[name](decorated)
        return decorated

    return decorate


#: The options of cp, and of mv, for how much at a time.
in_blocks = click.option("-b", "--block-size", "block_size", type=click.IntRange(min=1), metavar="N",
                          help="Do N objects, then the next N (default: as they come).")  # fmt: skip
in_parts = click.option("--part-bytes", "part_bytes", type=click.IntRange(min=1), metavar="N", help="Send and fetch "
                          "larger objects in parts of N bytes (services want at least 5 MiB).")  # fmt: skip


def filters(function: Function) -> Function:
    """A decorator that adds --include and --exclude, each any number of times."""
    for option, help_text in (
        ("--exclude", "Leave out what matches, on both sides."),
        ("--include", "Only what matches a PATTERN: a glob, or re: and a regular expression."),
    ):
        function = click.option(option, multiple=True, metavar="PATTERN", help=help_text)(function)
    return function
