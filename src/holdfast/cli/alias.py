"""``holdfast alias``."""

from __future__ import annotations

import click

from .. import aliases, redact, url
from . import DONE, NOTHING, output
from .options import Command, Group, Settings, shared

EXAMPLES = """
holdfast alias add lab s3://https://minio.example:9000/
holdfast alias ls
holdfast alias rm lab
"""


@click.group(cls=Group, epilog=EXAMPLES, short_help="Short names for services of one's own.")
def command() -> None:
    """Let lab://bucket/run1 mean s3://https://minio.example:9000/bucket/run1, in every program of this user.

    The names are kept in ~/.cloudfiles/aliases.json (CLOUD_FILES_DIR moves it), which cloud-files shares.
    """


@command.command("ls", cls=Command, epilog="holdfast alias ls\nholdfast alias ls --json\n")
@shared("json")
def list_aliases(settings: Settings) -> int:
    """Show every alias, what it stands for, and whether it is built in."""
    for name, host in sorted(aliases.known().items()):
        built_in = aliases.BUILT_IN.get(name) == host
        if settings.json:
            output.json_line({"alias": name, "host": redact.url(host), "built_in": built_in})
        else:
            output.line(f"{name:<12}  {redact.url(host)}{'  (built in)' if built_in else ''}")
    return DONE


@command.command(cls=Command, epilog="holdfast alias add lab s3://https://minio.example:9000/\n")
@click.argument("name")
@click.argument("host")
def add(name: str, host: str) -> int:
    """Let NAME:// stand for HOST, the beginning of a location, from now on.

    An alias of that name is replaced. A name that is a scheme already, such as s3, is refused.
    """
    if url.is_known(name):
        raise click.UsageError(f"{name}:// means something already: take another name")
    aliases.add_persistent_alias(name, host)
    return DONE


@command.command(cls=Command, epilog="holdfast alias rm lab\n")
@click.argument("name")
def rm(name: str) -> int:
    """Forget the alias NAME; what is built in stays."""
    if name in aliases.BUILT_IN and aliases.known()[name] == aliases.BUILT_IN[name]:
        raise click.UsageError(f"{name!r} is built in: it cannot be removed, only replaced (holdfast alias add)")
    if name not in aliases.known():
        output.complain(f"there is no alias {name!r}: holdfast alias ls shows all")
        return NOTHING
    aliases.remove_persistent_alias(name)
    return DONE
