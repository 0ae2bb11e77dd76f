"""RemoteStorage: push, pull, delete and list below one base path of a bucket."""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .. import engine, registry, sync, url
from ..errors import AlreadyExists, ConfigError, InvalidKey, NotFound, StoreError
from ..keys import join, printable
from ..store import ObjectStore
from ..sync import Filter, Glob, Place, Regex
from ..sync.places import is_marker
from ..types import ObjectInfo
from ..wrap.rekey import PrefixStore
from .configuration import RemoteStorageConfig
from .local_paths import LocalFiles, Obstacles, gather, is_inside, match, parents, relative_to
from .remote_objects import Bucket, Driver, RemoteObject, RemoteObjectProtocol
from .sync_objects import Direction, SyncObject
from .syncing import ChosenObjects, Extra, Transaction
from .transactions import TransactionSummary

logger = logging.getLogger("holdfast.remote_storage")

Expression = str | re.Pattern[str]
AnyPath = str | os.PathLike[str]


class RemoteStorage:
    """Files and directories pushed to and pulled from a bucket, never over what differs by accident.

    ``add_extra_to_upload`` gives what is attached to an upload, as libcloud's ``extra`` (``content_type``,
    ``meta_data``). ``remote_hash_extractor`` gives the MD5 of a remote object where its ``hash`` is none, for instance
    from its ``meta_data``; without it equality is found out by ``holdfast.sync``.

    Each call plans first and then does exactly what it planned: whatever changes in between on either side is left
    alone and reported. Files and objects appear whole or not at all.

    >>> import tempfile
    >>> directory = tempfile.TemporaryDirectory()
    >>> storage = RemoteStorage(RemoteStorageConfig("local", directory.name, "bucket", ""))
    >>> storage.get_push_remote_path("data/a.txt"), storage.list_objects("")
    ('data/a.txt', [])
    >>> directory.cleanup()
    """

    def __init__(
        self,
        conf: RemoteStorageConfig,
        add_extra_to_upload: Callable[[SyncObject], Mapping[str, Any]] | None = None,
        remote_hash_extractor: Callable[[RemoteObjectProtocol], str] | None = None,
    ) -> None:
        self._conf = conf
        self._add_extra_to_upload = add_extra_to_upload
        self._remote_hash_extractor = remote_hash_extractor
        self._remote_base_path = ""
        self._bucket: Bucket | None = None
        self._log = _Log(logger, conf.log_level)
        self.set_remote_base_path(conf.base_path)

    def __repr__(self) -> str:
        return f"RemoteStorage({self._conf!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_bucket": None}

    # ------------------------------------------------------------------ what it is
    @property
    def conf(self) -> RemoteStorageConfig:
        """The configuration that it was made with."""
        return self._conf

    @property
    def provider(self) -> str:
        """The provider that the configuration names."""
        return self._conf.provider

    @property
    def remote_base_path(self) -> str:
        """The path in the bucket that everything is relative to, without a leading slash."""
        return self._remote_base_path

    def set_remote_base_path(self, path: str | None) -> None:
        """Change the base path; None is the whole bucket."""
        self._remote_base_path = (path or "").strip().lstrip("/")

    @property
    def bucket(self) -> Bucket:
        """The bucket: a Holdfast object with libcloud's attributes, whose ``store`` is the store behind it."""
        if self._bucket is None:
            self._bucket = Driver(self._conf).get_container(self._conf.bucket)
        return self._bucket

    @property
    def driver(self) -> Driver:
        """How the bucket is reached: a Holdfast object with libcloud's attributes, without a secret."""
        return self.bucket.driver

    def create_bucket(self, exist_ok: bool = True) -> None:
        """Create the bucket if it is not there; FileExistsError if it is and ``exist_ok`` is False.

        At Google and Azure a bucket that is missing is Unsupported: their own tools create it.
        """
        if not self.driver.make(self.bucket) and not exist_ok:
            raise AlreadyExists("the bucket is there already", store=self.bucket.store.name)

    def get_push_remote_path(self, local_path: AnyPath) -> str:
        """The whole name in the bucket that a pushed file gets, by its path relative to the prefix."""
        relative = os.path.normpath(os.fspath(local_path)).replace(os.sep, "/").lstrip("/")
        return join(self._base, "" if relative == "." else relative)

    @property
    def _base(self) -> str:
        return self._remote_base_path.rstrip("/")

    def _below(self, folder: str) -> ObjectStore:
        """The store of what lies below a folder of the base path."""
        prefix = join(join(self._base, folder), "") if folder else join(self._base, "") if self._base else ""
        return PrefixStore(self.bucket.store, prefix) if prefix else self.bucket.store

    # ------------------------------------------------------------------ push
    def push(
        self,
        path: AnyPath,
        local_path_prefix: AnyPath | None = None,
        force: bool = False,
        include_regex: Expression | None = None,
        exclude_regex: Expression | None = None,
        dryrun: bool = False,
        path_regex: Expression | None = None,
        use_pbar: bool | None = None,
    ) -> TransactionSummary:
        """What was uploaded: the file, the directory with all below it, or what the glob finds.

        Names in the bucket are relative to ``local_path_prefix``; without one to the current directory, or to "/" for
        an absolute path (see docs/remote_storage.md). ``include_regex`` and ``exclude_regex`` are matched at the start
        of that relative path, and excluding wins. What the bucket has already is not sent again. Nothing is sent if
        objects differ there (FileExistsError, without ``force``), or if an object and a directory would have one name.
        ``dryrun`` only tells.

        Raises FileNotFoundError for a path that names nothing, ValueError for one outside the prefix. If part of a push
        fails, StoreError or Conflict says which part, and the same call does the rest.
        """
        chosen = _filter(include_regex, exclude_regex, path_regex)
        found = match(path, local_path_prefix)
        files = gather(found)
        with files.store:
            directory = os.path.join(found.root, files.folder)
            transaction = self._push_plan(directory, files, chosen, use_pbar)
            if not transaction.summary.matched_source_files:
                self._log.warning("No files found to push under path: %s", os.fspath(path))
            return self._finish(transaction, force=force, dryrun=dryrun, use_pbar=use_pbar)

    def _push_plan(self, directory: str, files: LocalFiles, chosen: Filter, use_pbar: bool | None) -> Transaction:
        """The plan to push these files, entered into a summary."""
        store = self._below(files.folder)
        summary = TransactionSummary(sync_direction="push")
        with chosen:
            kept = list(self._chosen(files.rows, files.folder, chosen))
        rows = [row for row, keep in kept if keep]
        remote, collisions = self._remote_side(files, [row.key for row in rows], store)

        def describe(key: str) -> SyncObject:
            return self._sync_object("push", directory, files.folder, key, remote.get(key))

        for key in [row.key for row, keep in kept if not keep] + files.left_out:
            summary.add_entry(describe(key), skip=True)
        if files.left_out:
            self._log.warning("Not pushing what is no regular file: %s", ", ".join(map(repr, files.left_out)))
        known = [remote[row.key] for row in rows if row.key in remote]
        transaction = self._plan(
            "push",
            summary,
            describe,
            source=ChosenObjects(files.store, rows, files.actual),
            target=ChosenObjects(store, known, extra=self._extra(describe)),
            use_pbar=use_pbar,
        )
        transaction.enter(collisions.get, self._equal())
        return transaction

    def _remote_side(
        self, files: LocalFiles, keys: list[str], store: ObjectStore
    ) -> tuple[dict[str, ObjectInfo], dict[str, list[RemoteObjectProtocol]]]:
        """What the bucket has around these keys, by one listing, and what of it is in the way of which key."""
        remote: dict[str, ObjectInfo] = {}
        collisions: dict[str, list[RemoteObjectProtocol]] = {}
        if not keys:
            return remote, collisions
        wanted = set(keys)
        prefix = _encodable(os.path.commonprefix(keys))  # noqa: RUF071 - a prefix of strings is meant
        for row in store.list(prefix, delimiter="/" if files.flat else None):
            if row.is_prefix and row.key[:-1] in wanted:
                below = [one for one in store.list(row.key) if not is_marker(one)]
                collisions.setdefault(row.key[:-1], []).extend(self._objects(below, files.folder))
            elif not is_marker(row):
                remote[row.key] = row
        for key, row in remote.items():
            for above in parents(key):
                if above in wanted:
                    collisions.setdefault(above, []).extend(self._objects([row], files.folder))
        for above in parents(prefix):  # which no listing by this prefix shows
            if (found := _head(store, above)) is not None:
                remote[above] = found
        top = self._top(files)
        for key in keys:
            above_it = top or [remote[above] for above in parents(key) if above in remote]
            if above_it:
                collisions.setdefault(key, []).extend(self._objects(above_it, "" if top else files.folder))
        return remote, collisions

    def _top(self, files: LocalFiles) -> list[ObjectInfo]:
        """The object that has the name of the pushed directory itself, if there is one."""
        if files.flat or not files.folder:
            return []
        found = _head(self._below(""), files.folder)
        return [] if found is None else [found]

    def _objects(self, rows: Iterable[ObjectInfo], folder: str) -> list[RemoteObject]:
        """The remote objects of these rows, whose keys are relative to a folder of the base path."""
        return [RemoteObject(row.renamed(self._name(folder, row.key)), self.bucket) for row in rows]

    def _name(self, folder: str, key: str) -> str:
        return join(join(self._base, folder) if folder else self._base, key)

    # ------------------------------------------------------------------ pull
    def pull(
        self,
        remote_path: AnyPath,
        local_base_dir: AnyPath = "",
        force: bool = False,
        include_regex: Expression | None = None,
        exclude_regex: Expression | None = None,
        convert_to_linux_path: bool = True,
        dryrun: bool = False,
        path_regex: Expression | None = None,
        strip_abspath_prefix: AnyPath | None = None,
        strip_abs_local_base_dir: bool = True,
        use_pbar: bool | None = None,
    ) -> TransactionSummary:
        r"""What was downloaded: the object of that name, or everything below it, to its path in ``local_base_dir``.

        ``remote_path`` is relative to the base path; backslashes in it are slashes unless ``convert_to_linux_path`` is
        False. An absolute one loses ``strip_abspath_prefix`` (ValueError if it lies elsewhere) or, with
        ``strip_abs_local_base_dir``, an absolute ``local_base_dir`` that it begins with. ``include_regex`` and
        ``exclude_regex`` are matched at the start of the path relative to the base path, and excluding wins. Nothing is
        written if local files differ (FileExistsError, without ``force``), if something else is in their place, or if
        a name leads out of ``local_base_dir``; symlinks are never followed there. ``dryrun`` only tells.

        If there is nothing under that path, a warning is logged and the summary is empty. If part of a pull fails,
        StoreError or Conflict says which part, and the same call does the rest.
        """
        directory = os.path.abspath(local_base_dir)
        text = os.fspath(remote_path)
        strip = strip_abspath_prefix
        if strip is None and strip_abs_local_base_dir and os.path.isabs(local_base_dir) and is_inside(text, directory):
            strip = directory
        text = relative_to(text, strip)
        if convert_to_linux_path:
            text = text.replace("\\", "/")
        summary = TransactionSummary(sync_direction="pull")
        found = [row for row in self._objects_at(text) if not is_marker(row)]
        if not found:
            self._log.warning("No files found in remote storage under path: %s", self._name("", text.lstrip("/")))
            return summary
        with _filter(include_regex, exclude_regex, path_regex) as chosen:
            kept = list(self._chosen(found, "", chosen))
        remote = {row.key: row for row in found}

        def describe(key: str) -> SyncObject:
            return self._sync_object("pull", directory, "", key, remote.get(key))

        for row, keep in kept:
            if not keep:
                summary.add_entry(describe(row.key), skip=True)
        rows = [row for row, keep in kept if keep]
        real = os.path.realpath(directory)
        with registry.open_store(url.parse(Path(real))) as files:
            local = [info for row in rows if (info := _head(files, row.key)) is not None]
            transaction = self._plan(
                "pull",
                summary,
                describe,
                source=ChosenObjects(self._below(""), rows),
                target=ChosenObjects(files, local),
                use_pbar=use_pbar,
            )
            transaction.enter(Obstacles(real).why_not, self._equal())
            return self._finish(transaction, force=force, dryrun=dryrun, use_pbar=use_pbar)

    def _objects_at(self, remote_path: str) -> list[ObjectInfo]:
        """What a path selects: the object of that very name, and everything below it."""
        store, path = self._below(""), remote_path.lstrip("/")
        if not path:
            return list(store.list())
        found = None if path.endswith("/") else _head(store, path)
        return [*([] if found is None else [found]), *store.list(join(path, ""))]

    # ------------------------------------------------------------------ what both do
    def _chosen(self, rows: Iterable[ObjectInfo], folder: str, chosen: Filter) -> Iterator[tuple[ObjectInfo, bool]]:
        return chosen.divide((join(folder, row.key), row) for row in rows)

    def _sync_object(
        self, direction: Direction, directory: str, folder: str, key: str, row: ObjectInfo | None
    ) -> SyncObject:
        name = self._name(folder, key)
        path = os.path.join(directory, key)
        inside = "\0" not in path and os.path.normpath(path) == path and not key.startswith("/")
        return SyncObject(
            local_path=path if inside and not os.path.isdir(path) else None,
            remote_obj=None if row is None else RemoteObject(row.renamed(name), self.bucket),
            remote_path=name,
            sync_direction=direction,
        )

    def _plan(
        self,
        direction: Direction,
        summary: TransactionSummary,
        describe: Callable[[str], SyncObject],
        source: ObjectStore,
        target: ObjectStore,
        use_pbar: bool | None,
    ) -> Transaction:
        plan = sync.plan(
            Place(source, source.name),
            Place(target, target.name),
            on_unknown="transfer",  # into on_target_neq_md5, so that force decides
            progress=self._progress(use_pbar),
        )
        return Transaction(direction, plan, summary, describe, self._pushed)

    def _pushed(self, info: ObjectInfo) -> RemoteObject:
        return RemoteObject(info, self.bucket)

    def _finish(
        self, transaction: Transaction, *, force: bool, dryrun: bool, use_pbar: bool | None
    ) -> TransactionSummary:
        for warning in transaction.plan.terms.warnings:
            self._log.warning("%s", warning)
        if dryrun:
            transaction.warn(self._log, force)
            return transaction.summary
        transaction.refuse(force)
        transaction.execute(self._progress(use_pbar))
        return transaction.summary

    def _progress(self, use_pbar: bool | None) -> bool | None:
        wanted = self._conf.use_pbar if use_pbar is None else use_pbar
        return None if wanted else False

    def _extra(self, describe: Callable[[str], SyncObject]) -> Extra | None:
        added = self._add_extra_to_upload
        return None if added is None else lambda key: added(describe(key))

    def _equal(self) -> Callable[[SyncObject], bool] | None:
        extract = self._remote_hash_extractor
        if extract is None:
            return None
        return lambda entry: entry.remote_obj is not None and entry.local_hash == extract(entry.remote_obj)

    # ------------------------------------------------------------------ delete and list
    def delete(
        self,
        remote_path: AnyPath,
        include_regex: Expression | None = None,
        exclude_regex: Expression | None = None,
        path_regex: Expression | None = None,
        confirm: bool | Callable[[int], bool] = False,
    ) -> list[RemoteObject]:
        """The objects that were deleted: that of this very name, and everything below it.

        ``include_regex`` and ``exclude_regex`` are matched at the start of the path relative to the base path, and
        excluding wins. The empty path is everything below the base path: without an ``include_regex`` (an empty one is
        none) it needs ``confirm``, which is True or a function that is called with the number of objects and returns
        True; with anything else it is a ConfigError (a ValueError), and nothing is deleted. If there is nothing to
        delete, a warning is logged. Raises StoreError if some could not be deleted; the others are gone then.
        """
        path = os.fspath(remote_path)
        with _filter(include_regex, exclude_regex, path_regex) as chosen:
            everything = not path.strip("/") and all(_matches_all(pattern) for pattern in chosen.include)
            if everything and confirm is not True and not callable(confirm):
                raise ConfigError(
                    f"this deletes everything below {printable(self._base or self.bucket.name)!r}: say confirm=True if "
                    "that is meant, or name a path"
                )
            rows = [row for row, keep in self._chosen(self._objects_at(path), "", chosen) if keep]
        if everything and callable(confirm) and confirm(len(rows)) is not True:
            raise ConfigError(f"the {len(rows)} objects were not confirmed to be deleted; none was")
        if not rows:
            self._log.warning("No objects found under path: %s. Not deleting anything", self._name("", path))
            return []
        self._remove([row.key for row in rows])
        return self._objects(rows, "")

    def _remove(self, keys: list[str]) -> None:
        store = self._below("")
        step = max(1, store.remove_batch)
        batches = [keys[start : start + step] for start in range(0, len(keys), step)]
        errors: list[BaseException] = []
        for outcome in engine.default().run(store.remove, batches, on_error="collect", local=store.local):
            found = [outcome.error] * len(outcome.item) if outcome.error is not None else outcome.value
            errors += [error for error in found if error is not None]
        if errors:
            raise StoreError(f"{len(errors)} of {len(keys)} objects were not deleted: {errors[0]}", cause=errors[0])

    def list_objects(self, remote_path: AnyPath = "") -> list[RemoteObject]:
        """The objects whose names start with the base path, a slash and the *string* ``remote_path``.

        So ``run1`` lists ``run10`` as well, unlike every other method.
        """
        return self._objects(self._below("").list(os.fspath(remote_path).lstrip("/")), "")


class _Log(logging.LoggerAdapter[logging.Logger]):
    """The module's logger for one storage, which says nothing below its level."""

    def __init__(self, inner: logging.Logger, level: int) -> None:
        super().__init__(inner, {})
        self._least = level

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - logging calls it that
        return level >= self._least and super().isEnabledFor(level)


def _filter(include: Expression | None, exclude: Expression | None, path_regex: Expression | None) -> Filter:
    """The filter of two regular expressions; ``path_regex`` is what ``include`` was called once."""
    if path_regex is not None:
        if include is not None:
            raise ValueError("path_regex is the old name of include_regex: give include_regex alone")
        warnings.warn("path_regex is deprecated: use include_regex", DeprecationWarning, stacklevel=3)
        include = path_regex
    return Filter(_regex(include), _regex(exclude))


def _regex(expression: Expression | None) -> Regex | re.Pattern[str] | None:
    return Regex(expression) if isinstance(expression, str) else expression


def _matches_all(pattern: Glob | Regex) -> bool:
    """Whether the pattern is empty, as one from a setting that was not set: it would choose every key."""
    return isinstance(pattern, Regex) and not pattern.pattern


def _head(store: ObjectStore, key: str) -> ObjectInfo | None:
    """The object's info, or None if there is none, or can be none."""
    try:
        return store.head(key)
    except (NotFound, InvalidKey):
        return None


def _encodable(text: str) -> str:
    """The text up to what is no UTF-8: bytes of file names that Python could not decode."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return text[: error.start]
    return text
