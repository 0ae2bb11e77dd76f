"""What is moved: trees of files made from a fixed seed, and the proof that a copy of one is whole."""

from __future__ import annotations

import filecmp
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import BenchmarkFailed

MIB = 1 << 20
#: What the file store keeps to itself below a root: locks, and nothing that was copied.
PRIVATE = ".holdfast"


@dataclass(frozen=True)
class Tree:
    """Files below a directory: how many, and how many bytes in all."""

    root: Path
    keys: Sequence[str]
    nbytes: int

    @property
    def items(self) -> int:
        """The number of files."""
        return len(self.keys)

    def verify(self, copy: Path, *, contents: bool = False) -> None:
        """BenchmarkFailed unless the copy has as many files and bytes (and, if asked, the same bytes)."""
        sizes = []
        for where, directories, names in os.walk(copy):
            directories[:] = set(directories) - {PRIVATE}
            sizes += [os.stat(os.path.join(where, name)).st_size for name in names]
        if (len(sizes), sum(sizes)) != (self.items, self.nbytes):
            raise BenchmarkFailed(
                f"{copy} has {len(sizes)} files of {sum(sizes)} bytes instead of {self.items} of {self.nbytes}"
            )
        if contents:
            _, different, unreadable = filecmp.cmpfiles(self.root, copy, self.keys, shallow=False)
            if different or unreadable:
                raise BenchmarkFailed(f"{copy} differs from {self.root} in {(different + unreadable)[:3]}")


def small_files(root: Path, count: int, smallest: int, largest: int) -> Tree:
    """Files of random sizes and bytes in directories of a hundred; the same ones every time."""
    generator = random.Random(2)
    pool = generator.randbytes(2 * MIB)
    keys, total = [], 0
    for number in range(count):
        size = generator.randint(smallest, largest)
        start = generator.randrange(len(pool) - size)
        key = f"{number // 100:03}/object-{number:05}"
        path = root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pool[start : start + size])
        keys.append(key)
        total += size
    return Tree(root, keys, total)


def mixed_files(root: Path, count: int) -> Tree:
    """Files as trees have them: nine of ten small, one of a thousand of megabytes; none empty (accsr loses those)."""
    generator = random.Random(4)
    pool = generator.randbytes(16 * MIB)
    keys, total = [], 0
    for number in range(count):
        kind = generator.random()
        if kind < 0.001:
            size = generator.randint(1 << 20, 8 << 20)
        else:
            size = generator.randint(16 << 10, 256 << 10) if kind < 0.1 else generator.randint(1, 16 << 10)
        start = generator.randrange(len(pool) - size)
        key = f"{number // 1000:02}/{number // 100 % 10}/file {number:05}.bin"
        path = root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pool[start : start + size])
        keys.append(key)
        total += size
    return Tree(root, keys, total)


def large_files(root: Path, count: int, size: int) -> Tree:
    """Files of one size, each with other random bytes."""
    root.mkdir(parents=True, exist_ok=True)
    generator = random.Random(3)
    keys = [f"large-{number}" for number in range(count)]
    for key in keys:
        with (root / key).open("wb") as file:
            for start in range(0, size, MIB):
                file.write(generator.randbytes(min(MIB, size - start)))
    return Tree(root, keys, count * size)


def sparse_file(root: Path, size: int) -> Tree:
    """One file of zeros that takes no room on the disk."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / "sparse").open("wb") as file:
        file.truncate(size)
    return Tree(root, ["sparse"], size)


def file_system(path: Path) -> str:
    """The kind of file system that the path is on, such as `ext4` or `tmpfs`; `disk` where nobody tells."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return "disk"
    where = path.resolve()
    found = [line.split()[1:3] for line in mounts.read_text().splitlines()]
    inside = [(mount, kind) for mount, kind in found if where.is_relative_to(mount)]
    return max(inside, key=lambda pair: len(pair[0]))[1] if inside else "disk"
