"""The small helpers of cloud-files that its users import."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from ...checksums import crc32c as _crc32c
from ...files.writing import dump_json

Item = TypeVar("Item")


def mkdir(path: str) -> str:
    """The path, where there is now a directory."""
    path = toabs(path)
    os.makedirs(path, exist_ok=True)
    return path


def touch(path: str) -> None:
    """Create an empty file, and its directories, where there is none; set the time of one that is there."""
    path = toabs(path)
    mkdir(os.path.dirname(path))
    with open(path, "ab"):
        os.utime(path)


def toabs(path: str) -> str:
    """The absolute path, with ``~`` as the home directory."""
    return os.path.abspath(os.path.expanduser(path))


def sip(iterable: Iterable[Item], block_size: int) -> Iterator[list[Item]]:
    """The items in lists of at most ``block_size``.

    >>> list(sip(range(5), 2))
    [[0, 1], [2, 3], [4]]
    """
    iterator = iter(iterable)
    while block := list(islice(iterator, block_size)):
        yield block


def scatter(sequence: Iterable[Item], n: int) -> Iterator[list[Item]]:
    """The items dealt out into ``n`` lists.

    >>> list(scatter([1, 2, 3, 4, 5], 2))
    [[1, 3, 5], [2, 4]]
    """
    items = list(sequence)
    for start in range(n):
        yield items[start::n]


def toiter(obj: Any, is_iter: bool = False) -> Any:
    """The object if it can be iterated over and is no str or dict, else a list of it; with ``is_iter`` which it was."""
    given = hasattr(obj, "__iter__") and not isinstance(obj, str | dict)
    many = obj if given else [obj]
    return (many, given) if is_iter else many


def nvl(*args: Any) -> Any:
    """The first argument that is not None."""
    return next((arg for arg in args if arg is not None), None)


def first(lst: Iterable[Item]) -> Item | None:
    """The first item, or None."""
    return next(iter(lst), None)


def duplicates(lst: Iterable[Item]) -> set[Item]:
    """The items that come more than once."""
    seen: set[Item] = set()
    return {item for item in lst if item in seen or seen.add(item)}  # type: ignore[func-returns-value]


def md5(binary: bytes, base: int = 64) -> str:
    """The MD5 digest as text, to the base 64 or 16."""
    digest = hashlib.md5(binary, usedforsecurity=False)
    return digest.hexdigest() if base == 16 else base64.b64encode(digest.digest()).decode("ascii")


def crc32c(binary: bytes) -> int:
    """The CRC-32C of the bytes, as a number."""
    return _crc32c(binary)


def jsonify(obj: Any, **kwargs: Any) -> bytes:
    """The object as JSON in UTF-8 (see ``CloudFiles.put_json``)."""
    if kwargs:
        raise TypeError(f"jsonify takes no {', '.join(sorted(kwargs))} here: Holdfast encodes JSON in one way")
    return dump_json(obj)


def totalfn(files: Any, total: int | None) -> int | None:
    """The total that was given, else the count of the files where it can be told."""
    return len(files) if total is None and isinstance(files, Sequence) else total
