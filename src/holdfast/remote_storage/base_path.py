"""Everything below one base path of a bucket: what a path selects there, and what is in the way of new objects."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable
from typing import NamedTuple

from .. import engine
from ..errors import InvalidKey, NotFound
from ..keys import join
from ..store import ObjectStore
from ..sync import Place
from ..sync.places import is_marker
from ..types import ObjectInfo
from ..wrap.rekey import PrefixStore
from .configuration import LOCAL
from .local_paths import parents
from .remote_objects import Bucket, RemoteObject
from .transactions import Collision


class Around(NamedTuple):
    """What a bucket has around the keys of a push: the ``rows`` of those keys, and what is ``in_the_way`` of which."""

    rows: dict[str, ObjectInfo]
    in_the_way: dict[str, Collision]


class BasePath:
    """The objects below one base path of a bucket, by their paths relative to it.

    A ``folder`` is such a path, too, that of a directory; "" is the base path itself. Keys are relative to a folder.
    """

    def __init__(self, bucket: Bucket, path: str) -> None:
        self.bucket = bucket
        self._path = path.rstrip("/")

    def __str__(self) -> str:
        return self._path or self.bucket.name

    def name(self, folder: str, key: str) -> str:
        """The whole name in the bucket."""
        return join(join(self._path, folder) if folder else self._path, key)

    def store(self, folder: str = "") -> ObjectStore:
        """The store of what lies below the folder."""
        prefix = self.name(folder, "")
        return PrefixStore(self.bucket.store, prefix) if prefix else self.bucket.store

    def objects(self, folder: str, rows: Iterable[ObjectInfo]) -> list[RemoteObject]:
        """The remote objects that these rows tell of."""
        return [RemoteObject(row.renamed(self.name(folder, row.key)), self.bucket) for row in rows]

    @functools.cached_property
    def directory(self) -> str | None:
        """The real path of the directory that the bucket is, or None if it is none."""
        directory = Place(self.bucket.store, self.bucket.name).directory
        return None if directory is None else os.path.realpath(directory)

    def can_hold(self, path: str) -> bool:
        """Whether there can be objects of such a name: those of services are UTF-8, those of files any bytes."""
        if self.bucket.driver.provider == LOCAL:
            return True
        try:
            path.encode()
        except UnicodeEncodeError:
            return False
        return True

    # ------------------------------------------------------------------ what is there
    def head(self, path: str) -> ObjectInfo | None:
        """The object of that very name, or None if there is none, or can be none."""
        return head(self.store(), path)

    def select(self, path: str) -> list[ObjectInfo]:
        """What a path selects: the object of that very name, and everything below it; markers of directories, too."""
        store, path = self.store(), plain(path)
        if not path:
            return list(store.list())
        if not self.can_hold(path):
            return []
        found = None if path.endswith("/") else self.head(path)
        return [*([] if found is None else [found]), *store.list(join(path, ""))]

    def starting_with(self, prefix: str) -> list[RemoteObject]:
        """The objects whose paths start with this string."""
        return self.objects("", self.store().list(prefix)) if self.can_hold(prefix) else []

    # ------------------------------------------------------------------ what is in the way
    def around(self, folder: str, keys: list[str], wanted: set[str], *, flat: bool) -> Around:
        """What there is under these keys, and what is in the way of those that are wanted: objects above and below.

        One listing, and one HEAD for each directory above all keys. ``flat``: all of them lie in the folder itself.
        """
        if not keys:
            return Around({}, {})
        prefix = _encodable(os.path.commonprefix(keys))  # noqa: RUF071 - a prefix of strings is meant
        rows, below = self._listed(folder, prefix, wanted, flat=flat)
        above_all = self._heads(list(parents(join(folder, prefix)))) if wanted else []
        in_the_way: dict[str, Collision] = {}
        for key in wanted:
            near = [rows[name] for name in parents(key) if name in rows] + below.get(key, [])
            if above_all or near:
                in_the_way[key] = [*self.objects("", above_all), *self.objects(folder, near)]
        return Around(rows, in_the_way)

    def _listed(
        self, folder: str, prefix: str, wanted: set[str], *, flat: bool
    ) -> tuple[dict[str, ObjectInfo], dict[str, list[ObjectInfo]]]:
        """The objects whose keys start with the prefix, and for each wanted key those below it."""
        store = self.store(folder)
        rows: dict[str, ObjectInfo] = {}
        below: dict[str, list[ObjectInfo]] = {}
        for row in store.list(prefix, delimiter="/" if flat else None):
            if row.is_prefix and row.key[:-1] in wanted:
                below[row.key[:-1]] = [one for one in store.list(row.key) if not is_marker(one)]
            elif not is_marker(row):
                rows[row.key] = row
                for above in parents(row.key):
                    if above in wanted:
                        below.setdefault(above, []).append(row)
        return rows, below

    def _heads(self, paths: list[str]) -> list[ObjectInfo]:
        """The objects among those of these names that are there."""
        found = engine.default().run(self.head, paths, ordered=True, local=self.bucket.store.local)
        return [outcome.value for outcome in found if outcome.value is not None]


def head(store: ObjectStore, key: str) -> ObjectInfo | None:
    """The object's info, or None if there is none, or can be none."""
    try:
        return store.head(key)
    except (NotFound, InvalidKey):
        return None


def plain(path: str) -> str:
    """The path without what has no meaning in it: a slash at the start, "." and doubled slashes.

    One with ".." is left as it is: no object of that name is ever pushed, and it selects nothing else.

    >>> plain("./data//raw/"), plain("/data"), plain("."), plain("../data")
    ('data/raw/', 'data', '', '../data')
    """
    parts = path.split("/")
    if ".." in parts:
        return path.lstrip("/")
    kept = [part for part in parts if part not in ("", ".")]
    if kept and parts[-1] in ("", "."):
        kept.append("")
    return "/".join(kept)


def _encodable(text: str) -> str:
    """The text up to what is no UTF-8: bytes of file names that Python could not decode."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return text[: error.start]
    return text
