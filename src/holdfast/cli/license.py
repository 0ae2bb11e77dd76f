"""``holdfast license``."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution

import click

from . import DONE, output
from .options import Command

EXAMPLES = """
holdfast license
"""
NAME = "Apache-2.0"


@click.command(cls=Command, epilog=EXAMPLES, short_help="Show the license of this program.")
def command() -> int:
    """Show the license that this program comes with."""
    try:
        text = distribution("holdfast").read_text("licenses/LICENSE")
    except PackageNotFoundError:  # run from its sources, which nobody has installed
        text = None
    output.line(f"Holdfast may be used under the license {NAME}.")
    for line in (text or f"Its text: https://spdx.org/licenses/{NAME}").splitlines():
        output.line(line)
    return DONE
