"""``xfer``, ``alias``, ``watch`` and ``license`` as cloud-files has them."""

from __future__ import annotations

import contextlib

import click

from ... import aliases, url
from ...cli import license as licensing
from ...cli import watch as watching
from ...cli import xfer as transferring
from ...files import paths
from ..cloudfiles import ResumableTransfer


# ---------------------------------------------------------------------- xfer
@click.group()
def xfer() -> None:
    """Transfers that are noted in a file, which any number of processes work on, and which go on after any end.

    First "xfer init --db FILE SOURCE DESTINATION", then "xfer execute FILE", as often, and in as many processes at a
    time, as it takes.
    """


@xfer.command("init")
@click.argument("source")
@click.argument("destination")
@click.option("-c", "--compression", default="same", show_default=True,
              help="The encoding of the copies: same, none, gzip, br, zstd.")  # fmt: skip
@click.option("--db", required=True, help="The file in which the transfer is noted: one for each.")
@click.option("--txt", "text", type=click.Path(exists=True, dir_okay=False),
              help="A text file with the paths to transfer, relative to the source, one in each line.")  # fmt: skip
def xfer_init(source: str, destination: str, compression: str, db: str, text: str | None) -> None:
    """Note what is to be transferred."""
    wanted = None
    if text is not None:
        wanted = transferring.lines_of(text)
    reencode = {"same": None, "none": ""}.get(compression, compression)
    ResumableTransfer(db).init(paths.normalize(source), paths.normalize(destination), wanted, reencode)


@xfer.command("execute")
@click.argument("db")
@click.option("--progress", is_flag=True, help="Show a progress bar.")
@click.option("--lease-msec", type=click.IntRange(min=0), default=0, show_default=True,
              help="How long a file belongs to a process that gives no sign of life; 0 is a minute.")  # fmt: skip
@click.option("-b", "--block-size", type=click.IntRange(min=1), default=200, show_default=True,
              help="So many files are claimed, and done, before the next ones.")  # fmt: skip
def xfer_execute(db: str, progress: bool, lease_msec: int, block_size: int) -> None:
    """Transfer what was noted, or what is left of it; the last process that works on it forgets it."""
    transfer = ResumableTransfer(db, lease_msec)
    transfer.execute(progress, block_size)
    transferring.close(transfer)


# ---------------------------------------------------------------------- alias
@click.group()
def alias() -> None:
    """Names for the beginnings of locations, for every process of this user: NAME://bucket/file is HOST/bucket/file."""


@alias.command("ls")
def alias_ls() -> None:
    """List them."""
    for name, host in aliases.known().items():
        official = " (official)" if name in aliases.BUILT_IN else ""
        click.echo(f"{f'{name}://':15} -> {host}{official}")


@alias.command("add")
@click.argument("name")
@click.argument("host")
def alias_add(name: str, host: str) -> None:
    """Add one, such as "alias add lab s3://https://lab.example/"."""
    if url.is_known(name):
        click.echo(f"{name} cannot be aliased.")
    elif name in aliases.known():
        click.echo(f"{name} already exists.")
    else:
        aliases.add_persistent_alias(name, host)


@alias.command("rm")
@click.argument("name")
def alias_rm(name: str) -> None:
    """Forget one."""
    if name in aliases.BUILT_IN:
        click.echo("Cannot remove an official alias.")
    else:
        aliases.remove_persistent_alias(name)


# ---------------------------------------------------------------------- watch
@click.group()
def watch() -> None:
    """What this machine sends and receives."""


@watch.group()
def net() -> None:
    """By all its network devices."""


@net.command("print")
@click.option("--duration", type=click.FloatRange(min=0), default=0, show_default=True,
              help="So many seconds; 0 is until Ctrl-C.")  # fmt: skip
@click.option("--interval", type=click.FloatRange(min=0, min_open=True), default=1, show_default=True,
              help="A line every so many seconds.")  # fmt: skip
@click.option("--one-line", is_flag=True, help="Always in the same line.")
def net_print(duration: float, interval: float, one_line: bool) -> None:
    """Print the rates."""
    with contextlib.suppress(KeyboardInterrupt):
        for elapsed, received, sent in watching.rates(interval, duration):
            text = (
                f"t={elapsed:.1f}s | RX: {received / 8e6:.2f} MB/sec ({received / 1e9:.2f} Gbps)"
                f" | TX: {sent / 8e6:.2f} MB/sec ({sent / 1e9:.2f} Gbps)"
            )
            watching.show(text, one_line=one_line)
    if one_line:
        click.echo()


@net.command("histogram")
@click.option("--duration", type=click.FloatRange(min=0, min_open=True), default=5, show_default=True,
              help="So many seconds.")  # fmt: skip
@click.option("--interval", type=click.FloatRange(min=0, min_open=True), default=1, show_default=True,
              help="A sample every so many seconds.")  # fmt: skip
@click.option("--filename", default="", help="The file of the picture; without one it is shown on the screen.")
def net_histogram(duration: float, interval: float, filename: str) -> None:
    """Draw the rates over time."""
    watching.watched(duration, interval).plot_histogram(interval, filename or None)


@click.command("license")
def show_license() -> None:
    """Print the license of Holdfast."""
    click.echo(licensing.text())


COMMANDS = (xfer, alias, watch, show_license)
