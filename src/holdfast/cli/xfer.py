"""``holdfast xfer``: transfers noted in a file, which any number of processes work on."""

from __future__ import annotations

import os
import sys

import click

from ..files.resumable import ResumableTransfer
from ..sync import Journal
from . import DONE, output
from .lists import read_lines, read_list
from .locations import STDIO
from .options import Command, Group, Settings, shared

EXAMPLES = """
holdfast xfer init --db run1.db s3://bucket/run1 gs://bucket/run1
holdfast xfer execute run1.db
"""
COMPRESSIONS = ("same", "none", "gzip", "br", "zstd", "bzip2", "xz")


@click.group(cls=Group, epilog=EXAMPLES, short_help="Large transfers, by several processes, that go on after any end.")
def command() -> None:
    """Plan a transfer once, then do it, in as many processes of this machine as you like, and again after any end.

    "xfer init" lists what is to go, in a file; "xfer execute" does it. What is noted as done is not done again, and
    large objects go on in the middle. Credentials are not kept: each execute finds those of its environment.
    """


@command.command(
    cls=Command, short_help="Plan a transfer, and note it.",
    epilog="""holdfast xfer init --db run1.db s3://bucket/run1 gs://bucket/run1
holdfast xfer init --db a.db --txt names -c gzip results s3://bucket/run1
""",
)  # fmt: skip
@click.argument("source")
@click.argument("target")
@click.option("--db", type=click.Path(dir_okay=False), required=True, metavar="FILE", help="Keep the transfer there.")
@click.option("--txt", "names", type=click.Path(dir_okay=False), metavar="FILE",
              help="Only the objects named in FILE, one a line, relative to SOURCE; - is standard input.")  # fmt: skip
@click.option("-c", "--compression", type=click.Choice(COMPRESSIONS), default="same", show_default=True,
              help="The encoding that objects get; none is decoded.")  # fmt: skip
def init(source: str, target: str, db: str, names: str | None, compression: str) -> int:
    """Plan the transfer of all objects under SOURCE/ to TARGET/, and note it; nothing is sent yet.

    What TARGET has already, proved equal, is not planned. FILE must not have a transfer yet.
    """
    paths = None if names is None else lines_of(names)
    encoding = {"same": None, "none": False}.get(compression, compression)
    ResumableTransfer(db).init(source, target, paths, encoding)
    output.complain(f"planned; holdfast xfer execute {db} does it")
    return DONE


@command.command(
    cls=Command, short_help="Do what is noted, or what is left of it.",
    epilog="""holdfast xfer execute run1.db
holdfast xfer execute --lease-msec 60000 --keep run1.db
""",
)  # fmt: skip
@click.argument("db", type=click.Path(dir_okay=False))
@click.option("--lease-msec", "lease", type=click.IntRange(min=0), default=0, metavar="N",
              help="Hold what is worked on for N ms after the last sign of life (default: a minute).")  # fmt: skip
@click.option("-b", "--block-size", "block_size", type=click.IntRange(min=1), metavar="N",
              help="Claim N objects, and do them, before the next N: fewer leave more to others.")  # fmt: skip
@click.option("--keep", is_flag=True, help="Keep FILE when all is done; else it is deleted.")
@shared("json", "progress")
def execute(settings: Settings, db: str, lease: int, block_size: int | None, keep: bool) -> int:
    """Do the transfer that is noted in DB, or what is left of it.

    Start it several times to have several processes share the work. It ends when nothing is left, whoever did it; what
    failed is tried again by the next one.
    """
    if not os.path.exists(db):
        raise click.UsageError(f"there is no {db}: make it with holdfast xfer init")
    transfer = ResumableTransfer(db, lease)
    shown = sys.stderr.isatty() if settings.progress is None else settings.progress
    summary = transfer.execute(progress=shown, block_size=block_size)
    if settings.json:
        output.json_line({"status": "summary", **summary.to_dict()})
    else:
        output.line(str(summary).splitlines()[0])
    if not keep:
        close(transfer)
    return DONE


def close(transfer: ResumableTransfer) -> None:
    """Forget a transfer that is done, unless another process is still at it, which then does that."""
    with Journal(transfer.db) as journal:
        has_others = journal.has_workers()
    if not has_others:
        transfer.close()


def lines_of(path: str) -> list[str]:
    """The lines of a file, or of standard input for "-"; UsageError if it cannot be read."""
    if path == STDIO:
        return read_list()
    try:
        with open(path, "rb") as file:
            return read_lines(file)
    except OSError as error:
        raise click.UsageError(f"{path} cannot be read: {error.strerror}") from error
