"""``holdfast license``."""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, distribution

import click

from . import DONE, output
from .options import Command

EXAMPLES = """
holdfast license
"""
NAME = "Apache-2.0"
_CHECKOUT = os.path.join(os.path.dirname(__file__), *[os.pardir] * 3, "LICENSE")


@click.command(cls=Command, epilog=EXAMPLES, short_help="Show the license of this program.")
def command() -> int:
    """Show the license that this program comes with."""
    output.line(f"Holdfast may be used under the license {NAME}.")
    for line in text().splitlines():
        output.line(line)
    return DONE


def text() -> str:
    """The license that lies beside the sources in a checkout, or in the distribution; else where to read it."""
    if os.path.isfile(_CHECKOUT):
        with open(_CHECKOUT, encoding="utf-8") as file:
            return file.read()
    try:
        installed = distribution("holdfast").read_text("licenses/LICENSE")
    except PackageNotFoundError:  # copied from somewhere
        installed = None
    return installed or f"Its text: https://spdx.org/licenses/{NAME}"
