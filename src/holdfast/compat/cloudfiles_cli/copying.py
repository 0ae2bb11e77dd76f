"""``cp`` and ``mv`` as cloud-files has them: a directory goes into a target that exists, else it becomes the target."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import click

from ...cli.cat import stream
from ...cli.clearing import clear_away
from ...cli.lists import read_list
from ...cli.locations import Spot
from ...errors import AlreadyExists
from ...files import paths
from ...files.batches import Terms, transfer_batches
from ...files.requests import batches
from ...monitoring import TransmissionMonitor
from ...stores.file.store import FileStore
from ..cloudfiles import CloudFiles
from . import locations

STDIO = "-"


@dataclass(frozen=True, slots=True)
class Options:
    """The options of cp and mv, by their names on the command line."""

    recursive: bool = True
    compression: str = "same"
    progress: bool = False
    block_size: int = 128
    part_bytes: int | None = None
    no_sign_request: bool = False
    resumable: bool = False
    parallel: int = 1

    @property
    def reencode(self) -> str | None:
        """The encoding that objects get on their way: None keeps theirs, "" is none."""
        return {"same": None, "none": ""}.get(self.compression, self.compression)


@dataclass(frozen=True, slots=True)
class Selection:
    """What is to be sent where: ``names`` below the source, or one object, which gets ``new_name``."""

    source: CloudFiles
    target: str
    names: Iterable[str]
    new_name: str | None = None

    @property
    def requests(self) -> Iterable[Any]:
        """The paths as transfers take them."""
        if self.new_name is None:
            return self.names
        return [{"path": name, "dest_path": self.new_name} for name in self.names]


def copy(source: str, destination: str, options: Options, monitor: TransmissionMonitor) -> None:
    """Copy what one source stands for, and record it; problems with the names are told on standard output."""
    with ExitStack() as opened:
        selection = _selection(source, destination, options, opened)
        if selection is None:
            return
        if destination == STDIO:
            _to_stdout(selection, options, monitor)
            return
        target = opened.enter_context(locations.open_location(selection.target, progress=options.progress))
        if options.parallel == 1 or selection.new_name is not None:
            recorded = selection.source.transfer_to(
                target, selection.requests, options.block_size, options.reencode, progress=options.progress,
                resumable=options.resumable, part_size=options.part_bytes,
            )  # fmt: skip
            for one in recorded.transmissions():
                monitor.add(one.begin, one.end, one.nbytes)
            return
        terms = Terms(False, options.reencode, options.resumable, options.part_bytes)
        transfer_batches(
            selection.source, target, selection.requests, terms, block_size=options.block_size,
            parallel=options.parallel, progress=options.progress, monitor=monitor,
        )  # fmt: skip


def move(source: str, destination: str, options: Options) -> None:
    """Move what one source stands for: each object is deleted when its copy is proved to hold its bytes.

    Requests are signed, whatever the options say: nobody deletes without credentials. A local directory that stays in
    its file system is renamed, in one step, unless a store above it keeps the attributes of its files.
    """
    options = replace(options, no_sign_request=False)
    if destination == STDIO:
        raise click.UsageError("nothing is moved to standard output: use cp, then rm")
    if source != STDIO and locations.is_local(source) and locations.is_local(destination):
        path = locations.local_path(source)
        if os.path.isdir(path) and _renamed(path, _nested(source, destination)):
            return
    with ExitStack() as opened:
        selection = _selection(source, destination, options, opened)
        if selection is None:
            return
        target = opened.enter_context(locations.open_location(selection.target, progress=options.progress))
        if options.parallel == 1 or selection.new_name is not None:
            pairs: Any = selection.names
            if selection.new_name is not None:
                pairs = [(name, selection.new_name) for name in selection.names]
            selection.source.moves(
                target, pairs, options.block_size, progress=options.progress, part_size=options.part_bytes
            )
        else:
            transfer_batches(
                selection.source, target, selection.requests, Terms(move=True, part_size=options.part_bytes),
                block_size=options.block_size, parallel=options.parallel, progress=options.progress,
            )  # fmt: skip
    path = locations.local_path(source)
    if source != STDIO and os.path.isdir(path) and (reason := clear_away(path)):
        click.echo(f"cloudfiles: {path}: {reason}", err=True)


def _selection(source: str, destination: str, options: Options, opened: ExitStack) -> Selection | None:
    """What is to be sent, or None when it was told why nothing is."""
    anonymous = options.no_sign_request

    def open_source(directory: str) -> CloudFiles:
        return opened.enter_context(locations.open_location(directory, progress=options.progress, anonymous=anonymous))

    into_directory = destination != STDIO and locations.is_directory(destination)
    if source == STDIO:
        found = locations.common_directory(read_list())
        if found is None:
            say("No common prefix found. Currently only one bucket at a time is supported for STDIN.")
            return None
        return _many(open_source(found[0]), destination, found[1], into_directory)
    from_directory = locations.is_directory(source, anonymous=anonymous)
    chosen = locations.pattern(source, recursive=options.recursive and from_directory)
    if chosen.many:
        directory = source if from_directory else locations.split(source)[0]
        if from_directory and into_directory:
            destination = _nested(source, destination)
        files = open_source(directory)
        return _many(files, destination, locations.listed(files, chosen), into_directory)
    directory, name = locations.split(source)
    if from_directory and (not name or locations.is_local(source)):
        say(f"{source} is a directory (not copied).")
        return None
    files = open_source(directory)
    if not files.exists(name):
        say(
            f"{source} is a directory (not copied)."
            if from_directory
            else f"source path not found: {locations.local_path(source)}"
        )
        return None
    if destination == STDIO:
        return Selection(files, STDIO, [name])
    where, new_name = (destination, name) if into_directory else locations.split(destination)
    return Selection(files, where, [name], new_name)


def _many(files: CloudFiles, destination: str, names: Iterable[str], into_directory: bool) -> Selection | None:
    if destination != STDIO and not into_directory and locations.is_local(destination):
        path = locations.local_path(destination)
        if os.path.lexists(path) and not os.path.isdir(path):
            say(f"{paths.normalize(destination)} is not a directory (not copied).")
            return None
    return Selection(files, destination, names)


def _nested(source: str, destination: str) -> str:
    """Where a directory goes: into the destination, under its own name, if that is there."""
    if not locations.is_directory(destination):
        return destination
    return locations.join(destination, paths.basename(paths.normalize(source).rstrip("/")))


def _renamed(path: str, destination: str) -> bool:
    """Whether the local directory has another name now.

    Not if that is in another file system, or if the attributes of its files are kept above, where they would stay.
    """
    if FileStore.root_of(path)[1]:
        return False
    goal = locations.local_path(destination)
    if os.path.lexists(goal):
        raise AlreadyExists(f"{goal} exists: remove it, or move into another directory")
    os.makedirs(os.path.dirname(goal), exist_ok=True)
    try:
        os.rename(path, goal)
    except OSError as error:
        if error.errno == errno.EXDEV:
            return False
        raise
    return True


def _to_stdout(selection: Selection, options: Options, monitor: TransmissionMonitor) -> None:
    """Write the decoded objects to standard output, one after the other: a single one as a stream."""
    names = list(selection.names)
    if len(names) == 1:
        begin = time.monotonic()
        nbytes = stream(Spot(selection.source.store, names[0]))
        monitor.add(begin, time.monotonic(), nbytes)
        return
    for batch in batches(names, options.block_size):
        rows, recorded = selection.source.get(batch, return_recording=True, progress=False)
        for one in recorded.transmissions():
            monitor.add(one.begin, one.end, one.nbytes)
        for row in rows:
            write(row["content"] or b"")


def say(problem: str) -> None:
    """Tell of a problem as cloud-files does: on standard output."""
    click.echo(f"cloudfiles: {problem}")


def write(data: bytes) -> None:
    """Put bytes on standard output."""
    sys.stdout.buffer.write(data)
