"""``holdfast config``."""

from __future__ import annotations

import click

from ..config import Definition, StoreFactory
from ..keys import printable
from . import DONE, USAGE, output
from .options import Command

EXAMPLES = """
holdfast config check stores.yaml
holdfast config show stores.toml
"""

HIDDEN = "***"


@click.command(cls=Command, epilog=EXAMPLES, short_help="Check or show a file that describes stores.")
@click.argument("action", type=click.Choice(["check", "show"]))
@click.argument("file", type=click.Path())
def command(action: str, file: str) -> int:
    """Check whether all stores that FILE (YAML or TOML) describes can be built, or show what they are made of.

    Check makes every store, and contacts none: it finds unknown types and parameters, missing variables, circles and
    values that a store refuses, and exits with 2 if there are any. Show draws a tree for the main store and for each
    other one that no store is made of; parameters are named, their values never shown.
    """
    factory = StoreFactory(file)
    if action == "show":
        _show(factory)
        return DONE
    problems = factory.problems()
    for problem in problems:
        output.complain(problem)
    if problems:
        return USAGE
    count = len(factory.definitions)
    output.line(f"{file}: {count} store{'' if count == 1 else 's'}, nothing wrong")
    return DONE


def _show(factory: StoreFactory) -> None:
    from rich.console import Console
    from rich.text import Text
    from rich.tree import Tree

    definitions = factory.definitions
    below = {name: factory.base_names(name) for name in definitions}
    used = {base for bases in below.values() for base in bases}
    main = factory.main
    tops = [name for name in definitions if name == main or name not in used]
    tops = sorted(tops, key=lambda name: name != main)
    in_circles = [name for name in definitions if name not in _reached(tops, below)]
    drawn: set[str] = set()

    def draw(name: str, tree: Tree) -> None:
        definition = definitions.get(name)
        again = name in drawn
        drawn.add(name)
        branch = tree.add(Text(_label(name, definition, again=again, main=name == main)))
        if not again:
            for base in below.get(name, ()):
                draw(base, branch)

    root = Tree(Text(printable(factory.path)))
    for name in (*tops, *in_circles):
        if name in tops or name not in drawn:
            draw(name, root)
    console = Console(no_color=True, highlight=False, soft_wrap=True)
    with console.capture() as captured:
        console.print(root)
    output.write(captured.get().encode(console.encoding, "backslashreplace"))


def _reached(tops: list[str], below: dict[str, list[str]]) -> set[str]:
    reached: set[str] = set()
    waiting = list(tops)
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting.extend(below.get(name, ()))
    return reached


def _label(name: str, definition: Definition | None, *, again: bool, main: bool) -> str:
    if definition is None:
        return f"{printable(name)}: not in this file"
    if again:
        return f"{printable(name)} (the same as above)"
    values = ", ".join(f"{parameter}={HIDDEN}" for parameter in definition.config)
    return printable(f"{name}: {definition.shown_type}({values}){' (main)' if main else ''}")
