"""Names that the target cannot keep, or cannot keep apart: found while planning, before anything is written."""

from __future__ import annotations

import itertools
import os
import stat
import unicodedata
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

from ..errors import HoldfastError
from ..keys import check, printable, sort_key
from ..stores.file import names as file_names
from .actions import Action
from .filters import Filter
from .ordering import Merged, ascends
from .places import Place

#: "auto": what the target needs; "portable": what every file system needs; "exact": names are taken as they are.
Names = Literal["auto", "portable", "exact"]

_RESERVED = frozenset(
    ("con", "prn", "aux", "nul", *(f"com{n}" for n in range(1, 10)), *(f"lpt{n}" for n in range(1, 10)))
)
_UNPORTABLE = frozenset('\\:*?"<>|')
_PLURALS = {"symlink": "symlinks", "entry that is no file": "entries that are no files"}


class Obstacle(NamedTuple):
    """Why a key is not written: the kind of action that this makes of it, and the reason."""

    kind: Literal["conflict", "refuse"]
    reason: str


class NameCheck:
    """Why a key cannot be written at the target, or None.

    Files: components such as ``..``, names that are too long or Holdfast's own, directories in the way, and ways that
    lead through a symlink. Elsewhere: what is no text in UTF-8.
    """

    def __init__(self, target: Place, names: Names) -> None:
        self._target = target
        self._portable = names == "portable"
        self._directory = target.directory if names != "exact" else None
        #: Whether a key and a key below it cannot both be there.
        self.is_tree = names == "portable" or (names == "auto" and target.is_files)
        self._links: dict[str, bool] = {"": False}

    def why_not(self, key: str) -> Obstacle | None:
        """Why no object of this name can be written, or None if one can."""
        try:
            check(key, self._target.name)
            if self.is_tree:
                native = self._target.native(key)[1] if self._target.is_files else key
                file_names.check(file_names.split(native), self._target.name)
            else:
                key.encode()
        except HoldfastError as error:
            return _unsafe(error.message)
        except UnicodeEncodeError:
            return _unsafe(f"{printable(key)!r} is not UTF-8, so no service can hold it")
        if self._portable and (why := _unportable(key)):
            return _unsafe(f"{printable(key)!r} {why}")
        return None

    def in_the_way(self, key: str) -> Obstacle | None:
        """What stands at the target where a new object is to be written, though no listing tells of it; or None."""
        if self._directory is None:
            return None
        if self._through_link(key.rpartition("/")[0]):
            return Obstacle("refuse", "its directory at the target is a symlink, which is never followed")
        try:
            status = os.lstat(os.path.join(self._directory, key))
        except (OSError, ValueError):
            return None
        if stat.S_ISDIR(status.st_mode):
            return Obstacle("conflict", "a directory of this name is at the target")
        if not stat.S_ISREG(status.st_mode):
            return Obstacle("conflict", f"{_what(status.st_mode)} of this name is at the target, which would be lost")
        return None

    def _through_link(self, folder: str) -> bool:
        known = self._links.get(folder)
        if known is None:
            assert self._directory is not None
            known = self._through_link(folder.rpartition("/")[0]) or os.path.islink(
                os.path.join(self._directory, folder)
            )
            if len(self._links) < 100_000:
                self._links[folder] = known
        return known


def unlisted(source: Place, key: str) -> str | None:
    """What lies under this key in a local source, or above it, though no listing tells of it; None for nothing.

    A file that was replaced by a symlink is not gone: what was copied of it must not be deleted.
    """
    if source.directory is None:
        return None
    path = source.directory
    for component in key.split("/"):
        path = os.path.join(path, component)
        try:
            mode = os.lstat(path).st_mode
        except (OSError, ValueError):
            return None
        if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
            return _what(mode)
    return None


class PassedOver(NamedTuple):
    """What lies in a local source and is no file: symlinks that lead out of it, in order, and warnings of the rest."""

    outward: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def passed_over(source: Place, chosen: Filter, *, refuse: bool) -> PassedOver:
    """What lies in a local source and is no file, so that it is neither listed nor followed.

    Without ``refuse`` symlinks that lead out of the source are among the warnings.
    """
    store, prefix = source.native("")
    others: Any = getattr(store, "passed_over", None)
    if others is None:
        return PassedOver()
    outward: list[str] = []
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    found = ((key.removeprefix(prefix), is_link) for key, is_link in others(prefix))
    for (key, is_link), keep in chosen.divide((row[0], row) for row in found):
        if keep and refuse and is_link and _leads_out(source, key):
            outward.append(key)
        elif keep:
            what = "symlink" if is_link else "entry that is no file"
            counts[what] += 1
            examples[what] = min(key, examples.get(what, key), key=sort_key)
    warnings = (
        f"{f'1 {what}' if count == 1 else f'{count} {_PLURALS[what]}'} of the source not followed, "
        f"such as {printable(examples[what])!r}"
        for what, count in sorted(counts.items(), reverse=True)
    )
    return PassedOver(tuple(sorted(outward, key=sort_key)), tuple(warnings))


def woven(rows: Iterator[Merged], outward: tuple[str, ...]) -> Iterator[Merged]:
    """The merged rows, and in their places the keys of symlinks that no listing tells of."""
    waiting = list(reversed(outward))
    for row in rows:
        while waiting and ascends(waiting[-1], row[0]):
            yield waiting.pop(), None, None
        if waiting and waiting[-1] == row[0]:
            waiting.pop()
        yield row
    yield from ((key, None, None) for key in reversed(waiting))


def _leads_out(source: Place, key: str) -> bool:
    """Whether the symlink's own text leads out of the place; nothing that it may lead to is looked at.

    Where it goes through another symlink, that one is asked for itself.
    """
    if source.directory is None:
        return False
    root = os.path.realpath(source.directory)
    try:
        text = os.readlink(os.path.join(root, key))
    except (OSError, ValueError):
        return False  # it is gone, or another thing by now
    for above in (root, os.path.abspath(source.directory)):
        end = os.path.normpath(os.path.join(above, os.path.dirname(key), text))
        if end == above or end.startswith(os.path.join(above, "")):
            return False
    return True


def holds_unlisted(where: Place, folder: str) -> bool:
    """Whether a directory of a local place holds anything below it that no listing tells of, such as a symlink."""
    if where.directory is None:
        return False
    for parent, folders, files in os.walk(os.path.join(where.directory, folder)):
        for name in (*folders, *files):
            mode = os.lstat(os.path.join(parent, name)).st_mode
            if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
                return True
    return False


def _what(mode: int) -> str:
    return "a symlink" if stat.S_ISLNK(mode) else "something that is neither a file nor a directory"


def _unsafe(what: str) -> Obstacle:
    return Obstacle("refuse", f"unsafe name: {what}")


def _unportable(key: str) -> str | None:
    for component in key.split("/"):
        if _UNPORTABLE.intersection(component) or not component.isprintable():
            return "has a character that not every file system can hold"
        if component.partition(".")[0].lower() in _RESERVED or component[-1:] in (".", " "):
            return f"has the component {printable(component)!r}, which not every file system can hold"
    return None


class Ancestors:
    """Finds keys that lie below other keys, in one pass over keys in order: ``a`` and ``a/b``.

    The keys that may still turn out to be above later ones are few: each is the beginning of the next.
    """

    def __init__(self) -> None:
        self._open: list[tuple[str, bool, bool]] = []

    def meet(self, key: str, *, in_source: bool, in_target: bool) -> list[tuple[str, bool, bool]]:
        """The keys above this one that came before: (key, whether in the source, whether in the target)."""
        while self._open and not key.startswith(self._open[-1][0]):
            self._open.pop()
        above = [entry for entry in self._open if key.startswith(entry[0] + "/")]
        self._open.append((key, in_source, in_target))
        return above


def folded(key: str) -> str:
    """What two keys have in common that differ in letter case or in the form of their Unicode alone.

    >>> folded("Å") == folded("a\u030a")
    True
    """
    if key.isascii():
        return key.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", key).casefold())


class Lookalikes:
    """Finds keys, and directories, that differ in letter case or Unicode form alone: eight bytes for each."""

    def __init__(self) -> None:
        self._hashes = array("q")
        self._folder = ""

    def add(self, key: str) -> None:
        """Take in the next key; they come in order."""
        self._hashes.extend(hash(folded(form)) for form in self._forms(key))

    def _forms(self, key: str) -> Iterator[str]:
        """The key, and its directories that the key before was not in."""
        folder = key.rpartition("/")[0]
        before, self._folder = self._folder, folder
        yield key
        while folder and not f"{before}/".startswith(f"{folder}/"):
            yield folder
            folder = folder.rpartition("/")[0]

    def groups(self, keys: Callable[[], Iterator[str]]) -> list[list[str]]:
        """The keys that look alike, by groups; ``keys()`` gives all keys once more, in the same order."""
        ordered = sorted(self._hashes)
        double = {one for one, other in itertools.pairwise(ordered) if one == other}
        if not double:
            return []
        self._folder = ""
        found: dict[str, dict[str, set[str]]] = {}
        for key in keys():
            for form in self._forms(key):
                if hash(look := folded(form)) in double:
                    found.setdefault(look, {}).setdefault(form, set()).add(key)
        return [
            sorted((key for members in forms.values() for key in members), key=sort_key)
            for forms in found.values()
            if len(forms) > 1
        ]


def folds_names(directory: str) -> bool:
    """Whether the file system of this directory takes names for one that differ in letter case alone.

    Seen by asking for what is there in the other case, so that nothing is written; False where nothing has letters.
    """
    path = os.path.abspath(directory)
    while path != os.path.dirname(path):
        parent, name = os.path.split(path)
        other = name.swapcase()
        if other != name:
            try:
                return os.path.samestat(os.lstat(path), os.lstat(os.path.join(parent, other)))
            except OSError:
                if os.path.lexists(path):
                    return False
        path = parent
    return False


def refused(action: Action, reason: str) -> Action:
    """The same key, refused for this reason."""
    return Action(action.key, "refuse", reason, action.source, action.target)
