"""``holdfast completion``: the Tab key completes commands, options, local paths, and names on services."""

from __future__ import annotations

import contextlib
import itertools
import os
import re

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    split_arg_string,
)

from ..retry import WAIT_VARIABLE
from . import COMPLETION, DONE, USAGE, output
from .options import Command, Settings

EXAMPLES = """
eval "$(holdfast completion bash)"
holdfast completion zsh > ~/.zfunc/_holdfast
holdfast completion fish > ~/.config/fish/completions/holdfast.fish
"""
#: So many names of a service are offered at most.
NAMES = 100
#: What bash would not take as a part of a word.
_SPECIAL, _ESCAPED = re.compile(r"[^\w@%+=:,./~-]"), r"\\\g<0>"
# bash takes a location apart at each colon, so it hands over the line as typed, and gets back what follows the last.
BASH = """\
%(complete_func)s() {
    local type value
    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
            file) compopt -o default ;;
            open) compopt -o nospace; COMPREPLY+=("$value") ;;
            *) COMPREPLY+=("$value") ;;
        esac
    done < <(HOLDFAST_LINE="${COMP_LINE:0:COMP_POINT}" %(complete_var)s=bash_complete "$1")
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""


class _Completes(ShellComplete):
    """Offers locations where click has nothing to offer."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        """What the incomplete word may become."""
        found = super().get_completions(args, incomplete)
        return found if found or not args or incomplete.startswith("-") else names_of(incomplete)


class _Bash(_Completes, BashComplete):
    source_template = BASH

    def source(self) -> str:
        """The script."""
        return self.source_template % self.source_vars()

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the one that is to be completed, and that one."""
        line = os.environ["HOLDFAST_LINE"]
        words = split_arg_string(line)
        incomplete = words.pop() if words and not line[-1:].isspace() else ""
        self._cut = incomplete.rpartition(":")[0]
        return words[1:], incomplete

    def format_completion(self, item: CompletionItem) -> str:
        """One line of the answer."""
        value = str(item.value)
        if self._cut:
            value = value.removeprefix(f"{self._cut}:")
        kind = "open" if item.type == "plain" and value.endswith("/") else item.type
        return f"{kind},{_SPECIAL.sub(_ESCAPED, value)}"


class _Zsh(_Completes, ZshComplete):
    pass


class _Fish(_Completes, FishComplete):
    pass


SHELLS: dict[str, type[ShellComplete]] = {"bash": _Bash, "zsh": _Zsh, "fish": _Fish}


@click.command(cls=Command, epilog=EXAMPLES, short_help="Have the Tab key of a shell complete commands.")
@click.argument("shell", type=click.Choice(list(SHELLS)))
def command(shell: str) -> int:
    """Print the script that makes SHELL complete holdfast's commands, options and locations.

    Bash: put 'eval "$(holdfast completion bash)"' into ~/.bashrc. Names on services, such as s3://bucket/ru, are
    completed as well: the service is asked for them, once, with the login that the environment has.
    """
    output.write(_completing(shell).source().encode())
    return DONE


def respond(instruction: str) -> int:
    """Print what a shell asked for, as ``bash_complete``; nothing that goes wrong meanwhile is shown."""
    shell, _, wanted = instruction.partition("_")
    if shell not in SHELLS or wanted != "complete":
        return USAGE
    os.environ[WAIT_VARIABLE] = "0"  # whoever presses Tab does not wait for a service that is down
    with contextlib.suppress(Exception):
        output.write((_completing(shell).complete() + "\n").encode("utf-8", "surrogateescape"))
    return DONE


def names_of(incomplete: str) -> list[CompletionItem]:
    """Locations that begin so: local ones by the shell, those of a service by one listing."""
    if "://" not in incomplete:
        return [CompletionItem(incomplete, type="file")]
    from ..types import ListOptions
    from .locations import Opener, locate

    place = locate(incomplete)
    with Opener(Settings(), [place]) as opener:
        spot = opener.object(place) if place.url.path else opener.directory(place)
        rows = spot.store._scan(ListOptions(prefix=spot.key, delimiter="/"))
        front = incomplete.removesuffix(spot.key)
        return [CompletionItem(front + row.key) for row in itertools.islice(rows, NAMES)]


def _completing(shell: str) -> ShellComplete:
    from .app import commands

    return SHELLS[shell](commands, {}, "holdfast", COMPLETION)
