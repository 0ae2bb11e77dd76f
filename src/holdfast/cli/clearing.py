"""What ``rm -r`` leaves of a local directory whose objects it removed: nothing, unless somebody still uses it.

In ``.holdfast`` at the root of a file store lie the files that are being written, the locks that are held, and the
attributes of objects. Whoever writes there while the directory is removed keeps them, and so the directory.
"""

from __future__ import annotations

import contextlib
import os
import shutil

from ..errors import HoldfastError
from ..stores.file import FileStore
from .locations import PRIVATE

IN_USE = "kept, because somebody is writing there (or its file system has no locks to tell)"
_ATTRIBUTES = "attributes"


def is_private(key: str) -> bool:
    """Whether a listing below the root of a store shows this of another store, whose root lies deeper.

    >>> is_private("run1/.holdfast/tmp/1f"), is_private("run1/.holdfast")
    (True, False)
    """
    return PRIVATE in key.split("/")[:-1]


def clear_away(path: str) -> str | None:
    """Why something of the directory was kept, or None when it is gone; the current directory itself stays."""
    in_use = False
    for directory, _, _ in os.walk(path, topdown=False):
        if is_private(os.path.relpath(directory, path) + "/"):
            continue  # goes with the directory that it is in
        if os.path.isdir(os.path.join(directory, PRIVATE)):
            in_use |= not _remove_private(directory)
        if directory != path:
            _remove_empty(directory)
    left = os.listdir(path) if os.path.isdir(path) else []
    if not left and os.path.realpath(path) != os.getcwd():
        _remove_empty(path)
    if not left:
        return None
    return IN_USE if in_use else f"kept, because it still holds {_what_is_left(path)}"


def _what_is_left(path: str) -> str:
    """What is still in the directory, in words, with the name of the first."""
    left = []
    for directory, folders, files in os.walk(path):
        links = [name for name in folders if os.path.islink(os.path.join(directory, name))]
        left += [os.path.relpath(os.path.join(directory, name), path) for name in sorted([*files, *links])]
    if not left:
        return "directories that cannot be removed"
    kind = "the symlink" if os.path.islink(os.path.join(path, left[0])) else "the file"
    return f"{kind} {left[0]!r}" + (f" and {len(left) - 1} more" if left[1:] else "")


def _remove_private(root: str) -> bool:
    """Remove what a store kept for its objects; False if somebody uses it, or something is left beside it."""
    _sweep(root)
    private = os.path.join(root, PRIVATE)
    if not os.path.isdir(private):
        return True
    if not _is_quiet(root):
        return False
    attributes = os.path.join(private, _ATTRIBUTES)
    aside = f"{attributes}-{os.getpid()}"
    with contextlib.suppress(FileNotFoundError):
        os.rename(attributes, aside)
    # A writer has its temporary before it writes attributes, and until its object is there. So what a writer put
    # there before the rename shows now, and whoever begins after this look writes to a new directory.
    quiet = _is_quiet(root)
    if quiet:
        for name in os.listdir(private):
            if name.startswith(f"{_ATTRIBUTES}-"):
                shutil.rmtree(os.path.join(private, name), ignore_errors=True)
            else:
                _remove_empty(os.path.join(private, name))
        _remove_empty(private)
    elif os.path.isdir(aside):
        os.makedirs(attributes, mode=0o777, exist_ok=True)
        for name in os.listdir(aside):
            os.rename(os.path.join(aside, name), os.path.join(attributes, name))
        os.rmdir(aside)
    return quiet and not os.path.exists(private)


def _sweep(root: str) -> None:
    """Remove temporaries and locks that nobody holds any more."""
    with contextlib.suppress(HoldfastError), FileStore(root) as store, store.locked("rm"):
        pass  # whoever begins to write sweeps, and whoever closes tidies up


def _is_quiet(root: str) -> bool:
    """Whether there is nothing but the private directory, and nothing in that but attributes."""
    private = os.path.join(root, PRIVATE)
    try:
        inside = [name for name in os.listdir(private) if not name.startswith(_ATTRIBUTES)]
        in_use = any(os.listdir(os.path.join(private, name)) for name in inside)
        # In this order: a temporary that is gone by now has become an object, which shows here.
        return not in_use and os.listdir(root) == [PRIVATE]
    except OSError:
        return False


def _remove_empty(directory: str) -> None:
    # Not empty, or gone already: what is left is looked at afterwards.
    with contextlib.suppress(OSError):
        os.rmdir(directory)
