"""The commands of cloud-files that list, copy, move and remove; the others are in the modules beside this one."""

from __future__ import annotations

import errno
import itertools
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import click

from ...cli import INTERRUPTED, end, output
from ...cli.cat import stream
from ...cli.lists import read_list
from ...cli.locations import Spot
from ...cli.recording import Recording
from ...errors import HoldfastError, NotFound
from ...files import paths
from ...files.expressions import expand
from ...files.work import processes_of
from ...keys import printable
from ...monitoring import IOEnum, TransmissionMonitor, plots
from ...progress import bar
from . import inventory, locations, managing, measuring
from .copying import STDIO, Options, copy, move, say

PROGRESS = click.option("--progress", is_flag=True, help="Show a progress bar.")
ANONYMOUS = click.option("--no-sign-request", is_flag=True, help="Ask the source's service without credentials.")
PART_BYTES = click.option(
    "--part-bytes", type=click.IntRange(min=1),
    help="Larger files are sent in parts of so many bytes (default: of a size that is fast).",
)  # fmt: skip


BLOCK_SIZE = click.option(
    "-b", "--block-size", type=click.IntRange(min=1), default=128, show_default=True,
    help="The number of files in a batch: for each process (-p), and to standard output.",
)  # fmt: skip


#: What recordings are called in the names of charts.
CHARTS = {"io rate": "est-io", "flight time": "flight-time", "machine io rate": "measured-io"}


class Failed(click.ClickException):
    """An error, told in one line as cloud-files' own problems are."""

    def show(self, file: Any = None) -> None:
        """Write the line."""
        click.echo(f"cloudfiles: {printable(self.message)}", file=file, err=file is None)


class _Interrupted(BaseException):
    """Ctrl-C, past click, which has a message and an exit code of its own for it."""


class Commands(click.Group):
    """A group whose errors are one line on standard error, and the exit code 1; 130 after Ctrl-C."""

    def main(self, *arguments: Any, **options: Any) -> Any:
        """Run the command line that is given, or that of this process, which it ends."""
        try:
            return super().main(*arguments, **options)
        except _Interrupted:
            end(INTERRUPTED)

    def invoke(self, ctx: click.Context) -> Any:
        """What the command returns."""
        try:
            return super().invoke(ctx)
        except output.ClosedOutput as closed:
            raise BrokenPipeError(errno.EPIPE, "nobody reads the output") from closed  # which click ends quietly
        except (HoldfastError, OSError) as error:
            if isinstance(error, BrokenPipeError):
                raise
            output.show_trace(error)
            raise Failed(output.describe(error)) from error
        except KeyboardInterrupt as interrupt:
            sys.stderr.write("\ncloudfiles: interrupted\n")
            raise _Interrupted from interrupt


@click.group(cls=Commands)
@click.option("-p", "--parallel", type=int, default=1, help="The number of processes; 0 or less is one for each core.")
@click.pass_context
def main(context: click.Context, parallel: int) -> None:
    """Objects in any cloud and on the local machine, with the commands and flags of cloud-files."""
    context.obj = {"parallel": processes_of(parallel)}


# ---------------------------------------------------------------------- ls
@main.command()
@click.option("--shortpath", is_flag=True, help="Paths without what they have in common.")
@click.option("--flat", is_flag=True, help="One level alone.")
@click.option("-e", "--expr", is_flag=True, help="The path is an expression such as a/[0-9a-f]{2}, for many prefixes.")
@click.option("--no-auth", is_flag=True, help="Ask the service without credentials.")
@click.option("--sqlite", "database", default="", help="Write the listing to this database; it goes on where it was.")
@click.option("--progress", is_flag=True, help="Show a progress bar, for --sqlite.")
@click.argument("cloudpath")
def ls(cloudpath: str, shortpath: bool, flat: bool, expr: bool, no_auth: bool, database: str, progress: bool) -> None:
    """List everything whose path begins with CLOUDPATH."""
    chosen = locations.pattern(cloudpath, recursive=True)
    directory, prefix = locations.prefix_of(cloudpath, chosen, expression=expr)
    flat = flat or chosen.flat
    prefixes = expand(prefix) if expr else [prefix]
    with locations.open_location(directory, anonymous=no_auth) as files:
        if database:
            inventory.write(files, database, prefixes, chosen.suffix, flat=flat, progress=progress)
            return
        names = itertools.chain.from_iterable(files.list(prefix=one, flat=flat) for one in prefixes)
        for name in names:
            if name.endswith(chosen.suffix):
                click.echo(name if shortpath else locations.join(directory, name))


@main.command("mkdir")
@click.argument("paths_", metavar="PATHS", nargs=-1)
def mkdir(paths_: tuple[str, ...]) -> None:
    """Make local directories; services have none, and need none."""
    from ..cloudfiles import lib

    for path in paths_:
        if locations.is_local(path):
            lib.mkdir(locations.local_path(path))


# ---------------------------------------------------------------------- cp, mv
@main.command()
@click.argument("source", nargs=-1)
@click.argument("destination", nargs=1)
@click.option("-r", "--recursive", is_flag=True, help="Copy what is in directories.")
@click.option("-c", "--compression", default="same", show_default=True,
              help="The encoding of the copies: same, none, gzip, br, zstd.")  # fmt: skip
@PROGRESS
@BLOCK_SIZE
@PART_BYTES
@ANONYMOUS
@click.option("--resumable", is_flag=True, help="Note how far it has come: the same command goes on there.")
@click.option("--flight-time", is_flag=True, help="Save a chart of when each file was on its way.")
@click.option("--io-rate", is_flag=True, help="Save a chart of the rate, from sizes and times of files.")
@click.option("--machine-io-rate", is_flag=True, help="Save a chart of the rate, from this machine's counters.")
@click.option("--machine-io-rate-buffer-sec", type=click.IntRange(min=1), default=600, show_default=True,
              help="So many seconds of samples are kept for that.")  # fmt: skip
@click.pass_context
def cp(
    context: click.Context,
    /,
    source: tuple[str, ...],
    destination: str,
    flight_time: bool,
    io_rate: bool,
    machine_io_rate: bool,
    machine_io_rate_buffer_sec: int,
    **given: Any,
) -> None:
    """Copy each SOURCE to DESTINATION; "-" reads the names of sources, or writes to standard output."""
    if len(source) > 1 and destination != STDIO and not locations.is_directory(destination):
        say("destination must be a directory for multiple source files.")
        return
    if flight_time or io_rate or machine_io_rate:
        plots.require()
    options = Options(parallel=context.obj["parallel"], **given)
    recording = Recording(flight_time, io_rate, machine_io_rate, machine_io_rate_buffer_sec)
    with recording.watching():
        for one in source:
            copy(one, destination, options, recording.monitor or TransmissionMonitor(IOEnum.TX))
    for what, _, draw in recording.reports():
        draw(filename=_chart(CHARTS[what], to_stderr=destination == STDIO))


def _chart(kind: str, *, to_stderr: bool) -> str:
    """The name of a chart in the current directory, which is told."""
    now = datetime.now(UTC).strftime("%Y-%m-%d_%H-%M-%S.%f")[:-5]
    name = f"./cloudfiles-cp-{kind}-{now}Z.png"
    click.echo(f"Saved chart: {name}", err=to_stderr)
    return name


@main.command()
@click.argument("source", nargs=-1)
@click.argument("destination", nargs=1)
@PROGRESS
@BLOCK_SIZE
@PART_BYTES
@click.option("--no-sign-request", is_flag=True, help="Not needed here: what is moved is deleted, with credentials.")
@click.pass_context
def mv(context: click.Context, /, source: tuple[str, ...], destination: str, **given: Any) -> None:
    """Move each SOURCE to DESTINATION; "-" reads the names of sources."""
    if len(source) > 1 and not locations.is_directory(destination):
        say("destination must be a directory for multiple source files.")
        return
    for one in source:
        _mv_single(one, destination, parallel=context.obj["parallel"], **given)


def _mv_single(
    source: str,
    destination: str,
    progress: bool,
    block_size: int,
    part_bytes: int | None,
    no_sign_request: bool,
    parallel: int,
) -> None:
    """Move what one source stands for (see ``mv``)."""
    move(source, destination, Options(
        progress=progress, block_size=block_size, part_bytes=part_bytes, no_sign_request=no_sign_request,
        parallel=parallel,
    ))  # fmt: skip


# ---------------------------------------------------------------------- rm, touch, cat
@main.command()
@click.argument("paths_", metavar="PATHS", nargs=-1)
@click.option("-r", "--recursive", is_flag=True, help="Remove what is in directories.")
@PROGRESS
@click.option("-b", "--block-size", type=click.IntRange(min=1), default=128, show_default=True,
              help="Not needed here: as many are removed at a time as the service takes.")  # fmt: skip
@click.pass_context
def rm(context: click.Context, paths_: tuple[str, ...], recursive: bool, progress: bool, block_size: int) -> None:
    """Remove files; "-" reads their names. If one of the paths is a directory and -r is not given, nothing is."""
    wanted = read_list() if paths_ == (STDIO,) else list(paths_)
    singles: list[str] = []
    multiples: list[str] = []
    for path in wanted:
        (multiples if locations.pattern(path, recursive=recursive).many else singles).append(path)
    for path in singles:
        if locations.is_written_as_directory(path):
            say(f"{path}: is a directory.")
            return
    parallel = context.obj["parallel"]
    for bucket, requests in paths.find_common_buckets(singles).items():
        with locations.open_location(bucket, progress=progress, parallel=parallel) as files:
            files.delete([request["path"] for request in requests])
    for path in multiples:
        _rm_many(path, recursive, progress, parallel, block_size)


def _rm_many(path: str, recursive: bool, progress: bool, parallel: int, block_size: int) -> None:
    """Remove what one path stands for; a directory without ``recursive`` is left. An empty local one stays.

    The service takes as many at a time as it can: ``block_size`` must be a number of files, and changes nothing.
    """
    if block_size < 1:
        raise ValueError(f"block_size={block_size} is a number of files")
    from_directory = locations.is_directory(path)
    chosen = locations.pattern(path, recursive=recursive and from_directory)
    directory, name = locations.split(path)
    if from_directory and not chosen.many and (not name or locations.is_local(path)):
        say(f"{path}: is a directory.")
        return
    with locations.open_location(
        path if from_directory and chosen.many else directory, progress=progress, parallel=parallel
    ) as files:
        names: Iterable[str] = locations.listed(files, chosen) if chosen.many else [name]
        files.delete(names)


@main.command()
@click.argument("sources", nargs=-1)
@PROGRESS
@ANONYMOUS
def touch(sources: tuple[str, ...], progress: bool, no_sign_request: bool) -> None:
    """Create empty files where there are none."""
    with bar(progress, "Touch", len(sources)) as shown:
        for bucket, requests in paths.find_common_buckets(sources).items():
            with locations.open_location(bucket, anonymous=no_sign_request) as files:
                files.touch([request["path"] for request in requests])
            shown.advance(len(requests))


@main.command()
@click.argument("sources", nargs=-1)
@click.option("-r", "--range", "bounds", default=None, help="The bytes from A up to, not including, B: A-B, A- or -B.")
@ANONYMOUS
def cat(sources: tuple[str, ...], bounds: str | None, no_sign_request: bool) -> None:
    """Write the contents of files to standard output; "-" reads their names."""
    wanted = read_list() if sources == (STDIO,) else list(sources)
    if bounds is not None and len(wanted) > 1:
        say("cat: range argument can only be used with a single source.")
        return
    span = None if bounds is None else _range(bounds)
    for source in wanted:
        directory, name = locations.split(source)
        with locations.open_location(directory, anonymous=no_sign_request) as files:
            try:
                stream(Spot(files.store, name), span)
            except NotFound:
                say(f"{locations.local_path(source)} does not exist")
                return


def _range(text: str) -> tuple[int, int | None]:
    first, dash, last = text.partition("-")
    start, end = first or "0", last or None
    if dash and start.isdecimal() and (end is None or (end.isdecimal() and int(end) >= int(start))):
        return int(start), None if end is None else int(end)
    raise click.UsageError(f"{text!r} is not a range: write 100-200, 100- or -200")


for command in (*measuring.COMMANDS, *managing.COMMANDS):
    main.add_command(command)
