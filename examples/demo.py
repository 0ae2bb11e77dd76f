"""The main job, on real input and without a network: `python -m examples.demo`.

A tree of some thousand files (the source of Python's standard library, and binary chunks made here) is copied into an
object store in a local directory, compressed; then it is listed, read in ranges, and verified byte for byte.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import shlex
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from holdfast import CloudFiles
from holdfast.progress import bar, size_text

CHUNKS = 2000
CHUNK_SIZE = 32 << 10
BATCH = 500
RANGE = 100
NOT_SOURCE = {"site-packages", "dist-packages", "__pycache__"}

#: What is copied: the file behind each key.
Sources = Mapping[str, Path]


@dataclass(frozen=True)
class Step:
    """What one step of the demonstration did, for a row of the closing table."""

    name: str
    objects: int
    nbytes: int
    stored: int | None
    seconds: float


def library_files() -> Iterator[tuple[str, Path]]:
    """The source files of the standard library of this Python, without what was installed beside it."""
    root = Path(sysconfig.get_path("stdlib"))
    for where, directories, names in os.walk(root):
        directories[:] = sorted(set(directories) - NOT_SOURCE)
        for name in sorted(names):
            path = Path(where, name)
            if path.suffix == ".py" and path.is_file():
                yield f"python/{path.relative_to(root).as_posix()}", path


def make_chunks(directory: Path, count: int) -> Iterator[tuple[str, Path]]:
    """Binary chunks as image archives have them: half noise, half empty; the same ones every time."""
    generator = random.Random(1)
    for number in range(count):
        path = directory / f"{number:05}"
        path.write_bytes(generator.randbytes(CHUNK_SIZE // 2) + bytes(CHUNK_SIZE // 2))
        yield f"chunks/{number // 100:02}/{number % 100:02}", path


def upload(files: CloudFiles, sources: Sources, *, show: bool) -> Step:
    """Store every file, compressed; each object is there whole or not at all."""
    started = time.perf_counter()
    count = files.puts(sources.items(), compress="gzip", total=len(sources), progress=show)
    seconds = time.perf_counter() - started
    nbytes = sum(path.stat().st_size for path in sources.values())
    return Step("upload, gzip", count, nbytes, files.subtree_size()["num_bytes"], seconds)


def list_all(files: CloudFiles, sources: Sources) -> tuple[Step, set[str]]:
    """List everything, and say which keys are missing, or there without having been put."""
    started = time.perf_counter()
    listed = dict(files.list(size=True))
    seconds = time.perf_counter() - started
    return Step("list", len(listed), 0, sum(listed.values()), seconds), listed.keys() ^ sources.keys()


def read_ranges(files: CloudFiles, sources: Sources) -> tuple[Step, set[str]]:
    """Read a few bytes from the middle of every tenth object, and say where they differ from the file's."""
    wanted = {key: (path, path.stat().st_size // 2) for key, path in itertools.islice(sources.items(), 0, None, 10)}
    requests = [{"path": key, "start": start, "end": start + RANGE} for key, (_, start) in wanted.items()]
    started = time.perf_counter()
    rows = files.get(requests)
    seconds = time.perf_counter() - started
    found = {row["path"]: row["content"] for row in rows}
    different = {
        key for key, (path, start) in wanted.items() if found.get(key) != path.read_bytes()[start : start + RANGE]
    }
    return Step(f"read ranges of {RANGE} bytes", len(rows), sum(map(len, found.values())), None, seconds), different


def verify(files: CloudFiles, sources: Sources, *, show: bool) -> tuple[Step, set[str]]:
    """Read everything back, decompressed, and say which objects differ from their files."""
    different: set[str] = set()
    keys, seconds = iter(sources), 0.0
    with bar(show, "Verifying", len(sources)) as progress:
        while batch := list(itertools.islice(keys, BATCH)):
            started = time.perf_counter()
            rows = files.get(batch, progress=False)
            seconds += time.perf_counter() - started
            different.update(row["path"] for row in rows if row["content"] != sources[row["path"]].read_bytes())
            progress.advance(len(rows), sum(len(row["content"] or b"") for row in rows))
    return Step("read back", progress.count, progress.nbytes, None, seconds), different


def show_table(steps: Sequence[Step]) -> None:
    """Print what each step did."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="A local object store")
    for name in ("step", "objects", "bytes", "stored", "seconds", "MB/s"):
        table.add_column(name, justify="left" if name == "step" else "right")
    for step in steps:
        table.add_row(
            step.name,
            f"{step.objects:,}",
            size_text(step.nbytes) if step.nbytes else "",
            size_text(step.stored) if step.stored is not None else "",
            f"{step.seconds:.2f}",
            f"{step.nbytes / step.seconds / 1e6:,.1f}" if step.nbytes else "",
        )
    Console().print(table)


def show_next(store: Path) -> None:
    """Print commands to try on the store that was kept."""
    program = f"print(CloudFiles({store.as_uri()!r}).get('python/this.py').decode())"
    commands = (
        ["holdfast", "du", "-h", str(store)],
        ["holdfast", "ls", "-l", str(store / "python" / "json")],
        ["holdfast", "cp", "-r", str(store / "python" / "json"), "json-copy"],
        ["python", "-c", f"from holdfast import CloudFiles; {program}"],
    )
    print("\nThe store is kept. Try:")
    for command in commands:
        print(f"  {shlex.join(command)}")


def demonstrate(store: Path, chunks: int) -> int:
    """Run all steps; 0 if every object came back identical."""
    show = sys.stderr.isatty()
    with tempfile.TemporaryDirectory(prefix="holdfast-demo-") as made:
        sources = dict(itertools.chain(library_files(), make_chunks(Path(made), chunks)))
        print(
            f"{len(sources):,} files: the standard library of Python and {chunks:,} binary chunks -> {store.as_uri()}"
        )
        with CloudFiles(store.as_uri()) as files:
            uploaded = upload(files, sources, show=show)
            listed, unexpected = list_all(files, sources)
            ranges, wrong = read_ranges(files, sources)
            verified, different = verify(files, sources, show=show)
    show_table([uploaded, listed, ranges, verified])
    bad = sorted(unexpected | wrong | different)
    identical = verified.objects - len(different)
    print(f"verified: {identical:,} of {len(sources):,} identical")
    for key in bad[:10]:
        print(f"  differs: {key}", file=sys.stderr)
    return int(bool(bad) or identical != len(sources))


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 if everything came back identical, 1 if anything differs."""
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description="The main job, on the local machine.")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="a new directory for the store, which is then kept")
    parser.add_argument("--chunks", type=int, default=CHUNKS, help=f"how many chunks to make (default: {CHUNKS})")
    options = parser.parse_args(arguments)
    if options.keep is None:
        with tempfile.TemporaryDirectory(prefix="holdfast-demo-store-") as directory:
            return demonstrate(Path(directory), options.chunks)
    store = options.keep.absolute()
    if store.exists() and any(store.iterdir()):
        parser.error(f"{store} is not empty: name a new directory")
    code = demonstrate(store, options.chunks)
    show_next(store)
    return code


if __name__ == "__main__":
    sys.exit(main())
