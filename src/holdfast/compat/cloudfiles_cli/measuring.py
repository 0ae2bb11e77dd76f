"""``du``, ``head`` and ``verify`` as cloud-files has them."""

from __future__ import annotations

import os
import pprint
from collections import Counter
from collections.abc import Iterator
from typing import Any

import click

from ... import engine
from ...errors import NotFound
from ...store import HEAD
from ...sync import Place
from ...sync.comparing import Comparison
from ...types import ObjectInfo
from ..cloudfiles import CloudFiles
from . import locations
from .copying import say

_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


@click.command()
@click.argument("paths_", metavar="PATHS", nargs=-1)
@click.option("-c", "--grand-total", is_flag=True, help="The sum of all.")
@click.option("-s", "--summarize", is_flag=True, help="The sum of each path, and not each file.")
@click.option("-h", "--human-readable", is_flag=True, help="Sizes in bytes, KiB, MiB, GiB, TiB, PiB, EiB.")
@click.option("-N", "--count-files", is_flag=True, help="The number of files as well.")
@click.option("-e", "--group-by-ext", is_flag=True, help="The sums by the extensions of names as well.")
def du(
    paths_: tuple[str, ...],
    grand_total: bool,
    summarize: bool,
    human_readable: bool,
    count_files: bool,
    group_by_ext: bool,
) -> None:
    """Show the stored sizes of files, and of what is in directories."""
    shown = human if human_readable else str
    total = count = 0
    extensions: Counter[str] = Counter()
    for path in paths_:
        nbytes = 0
        try:
            for name, size in _sizes(path):
                nbytes += size
                count += 1
                extensions[os.path.splitext(name)[1].lower() or "(no extension)"] += size
                if not summarize:
                    click.echo(f"{shown(size)}\t{name}")
        except NotFound:
            say(f"du: {path} does not exist")
            return
        total += nbytes
        if summarize:
            click.echo(f"{shown(nbytes)}\t{path}")
    if grand_total:
        click.echo(f"{shown(total)}\tbytes total")
    if count_files:
        click.echo(f"{count}\tfiles total")
    if group_by_ext:
        click.echo("\nUsage by file extension:")
        for extension, size in extensions.most_common():
            click.echo(f"{shown(size)}\t{extension}")


def human(size: int) -> str:
    """The size with its unit, as cloud-files writes it.

    >>> human(1023), human(1536), human(3 << 40)
    ('1023 bytes', '1.50 KiB', '3.00 TiB')
    """
    if size < 1024:
        return f"{size} bytes"
    power = min((size.bit_length() - 1) // 10, len(_UNITS))
    return f"{size / 1024**power:.2f} {_UNITS[power - 1]}"


def _sizes(path: str) -> Iterator[tuple[str, int]]:
    """The files of a directory by their names in it, or the one that the path is; NotFound if it is none."""
    if locations.is_directory(path):
        with locations.open_location(path) as files:
            yield from files.list(size=True)
        return
    directory, name = locations.split(path)
    with locations.open_location(directory) as files:
        size = files.size(name)
    if size is None:
        raise NotFound(f"{path}: there is no such file")
    yield path, size


@click.command()
@click.argument("paths_", metavar="PATHS", nargs=-1)
def head(paths_: tuple[str, ...]) -> None:
    """Show what is known of files, as Python dicts."""
    found: dict[str, Any] = {}
    for path in paths_:
        directory, name = locations.split(path)
        chosen = locations.pattern(path, recursive=False)
        with locations.open_location(directory) as files:
            if chosen.many:
                found |= files.head(locations.listed(files, chosen))
            else:
                found[path] = files.head(name)
    if len(paths_) == len(found) == 1:
        (one,) = found.values()
        click.echo(f"cloudfiles: head: File not found: {paths_[0]}" if one is None else str(one))
    elif paths_:
        click.echo(pprint.pformat(found, indent=2))


@click.command()
@click.argument("source")
@click.argument("target")
@click.option("-m", "--only-matching", is_flag=True, help="Compare the files alone that both sides have.")
@click.option("-v", "--verbose", is_flag=True, help="Name the files that differ.")
@click.option("--md5", is_flag=True, help="Read the contents where nothing else tells whether they are equal.")
@click.option("--multipart-threshold", type=click.IntRange(min=1), expose_value=False,
              help="Not needed here: contents are read where ETags of parts do not tell.")  # fmt: skip
@click.option("--part-size", type=click.IntRange(min=1), expose_value=False,
              help="Not needed, as --multipart-threshold.")  # fmt: skip
@click.pass_context
def verify(
    context: click.Context,
    source: str,
    target: str,
    only_matching: bool,
    verbose: bool,
    md5: bool,
) -> None:
    """Compare two directories, or two files: names, sizes and contents. The exit code is 1 if anything differs.

    Local files are always read. Those of services are compared by what the service says of them, and what that does
    not prove equal is told as different; --md5 reads them. Encoded files are equal if what is stored is.
    """
    from_directory = locations.is_directory(source)
    if from_directory != locations.is_directory(target):
        say("verify source and target must both be files or directories.")
        context.exit(1)
    pairs = _Pairs(source, target, from_directory=from_directory)
    with pairs.mine, pairs.theirs:
        same = pairs.same_names
        different = len(pairs.left) + len(pairs.right)
        if different and not only_matching:
            if verbose:
                click.echo("\n".join(["Extra source files:", *pairs.left, "Extra target files:", *pairs.right]))
            counts = [len(side) + len(same) for side in (pairs.left, pairs.right)]
            _failed(context, f"failed. {counts[0]} source files, {counts[1]} target files.")
        unequal = [(name, why) for name, why in pairs.compare("digest" if md5 else "auto") if why]
    if not unequal:
        click.secho(f"success. {len(same)} files matching. {different} ignored.", fg="green")
        return
    for name, why in unequal if verbose else ():
        click.echo(f"{name}: {why}")
    _failed(
        context, f"failed. {len(unequal)} failed. {len(same) - len(unequal)} succeeded. {different} ignored."
    )  # fmt: skip


def _failed(context: click.Context, text: str) -> None:
    click.secho(text, fg="red")
    context.exit(1)


class _Pairs:
    """The files of both sides, by their names."""

    def __init__(self, source: str, target: str, *, from_directory: bool) -> None:
        mine, theirs = ((source, None), (target, None)) if from_directory else map(locations.split, (source, target))
        self.mine = locations.open_location(mine[0])
        self.theirs = locations.open_location(theirs[0])
        here, there = _names(self.mine, mine[1]), _names(self.theirs, theirs[1])
        #: For each name that both sides have, what it is called at the target.
        self.same_names = {name: there[name] for name in here if name in there}
        if not from_directory and here and there:
            self.same_names = {str(mine[1]): str(theirs[1])}
            here, there = {}, {}
        self.left = sorted(here.keys() - self.same_names.keys())
        self.right = sorted(there.keys() - self.same_names.keys())

    def compare(self, how: Any) -> Iterator[tuple[str, str]]:
        """Each name that both sides have, and why the contents are not proved equal ("" if they are)."""
        mine, theirs = (Place(files.store, files.cloudpath) for files in (self.mine, self.theirs))
        compare = Comparison(mine, theirs, how)

        def why(name: str) -> str:
            infos = (_info(self.mine, name), _info(self.theirs, self.same_names[name]))
            if infos[0].content_encoding != infos[1].content_encoding:
                return "encodings differ"
            verdict = compare(*infos)
            return "" if verdict.same else verdict.reason

        local = all(files.store.local for files in (self.mine, self.theirs))
        for outcome in engine.default().run(why, self.same_names, ordered=True, local=local):
            yield outcome.item, outcome.value


def _names(files: CloudFiles, name: str | None) -> dict[str, str]:
    if name is None:
        return {one: one for one in sorted(files)}
    return {name: name} if files.exists(name) else {}


def _info(files: CloudFiles, name: str) -> ObjectInfo:
    with files.store._read(name, HEAD) as blob:
        return blob.info


COMMANDS = (du, head, verify)
