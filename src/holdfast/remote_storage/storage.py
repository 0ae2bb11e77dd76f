"""RemoteStorage: push, pull, delete and list below one base path of a bucket."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .. import engine, registry, sync, url
from ..errors import AlreadyExists
from ..keys import join, printable
from ..store import ObjectStore
from ..sync import Filter
from ..sync.places import is_marker
from ..types import ObjectInfo
from .base_path import BasePath, head, plain
from .configuration import RemoteStorageConfig
from .deleting import Confirmation, delete
from .expressions import Expression, filter_of
from .local_paths import LocalFiles, Obstacles, gather, is_inside, match, relative_to
from .remote_objects import Bucket, Driver, RemoteObject, RemoteObjectProtocol
from .sync_objects import Direction, SyncObject
from .syncing import ChosenObjects, ChosenPlace, Extra, Judge, Transaction
from .transactions import Collision, TransactionSummary

logger = logging.getLogger("holdfast.remote_storage")

AnyPath = str | os.PathLike[str]


class RemoteStorage:
    """Files and directories pushed to and pulled from a bucket, never over what differs by accident.

    ``add_extra_to_upload`` gives what is attached to an upload, as libcloud's ``extra`` (``content_type``,
    ``meta_data``). ``remote_hash_extractor`` gives the MD5 of a remote object, for instance from its ``meta_data``; it
    is asked where there are a file and an object (one HEAD each), and has the last word. Where it gives None, and
    without it, ``holdfast.sync`` finds out whether they are equal.

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
        remote_hash_extractor: Callable[[RemoteObjectProtocol], str | None] | None = None,
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

        At Google it is made in the default project of the credentials.
        """
        if not self.driver.make(self.bucket) and not exist_ok:
            raise AlreadyExists("the bucket is there already", store=self.bucket.store.name)

    def get_push_remote_path(self, local_path: AnyPath) -> str:
        """The whole name in the bucket that a pushed file gets, by its path relative to the prefix."""
        relative = os.path.normpath(os.fspath(local_path)).replace(os.sep, "/").lstrip("/")
        return join(self._remote_base_path.rstrip("/"), "" if relative == "." else relative)

    @property
    def _base(self) -> BasePath:
        return BasePath(self.bucket, self._remote_base_path)

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
        chosen = filter_of(include_regex, exclude_regex, path_regex)
        found = match(path, local_path_prefix)
        files = gather(found)
        if files.left_out:
            left_out = ", ".join(repr(printable(join(files.folder, key))) for key in files.left_out)
            self._log.warning("Not pushing what is no regular file: %s", left_out)
        with files.store:
            transaction = self._push_plan(os.path.join(found.root, files.folder), files, chosen, use_pbar)
            if not transaction.summary.matched_source_files:
                self._log.warning("No files found to push under path: %s", os.fspath(path))
            return self._finish(transaction, force=force, dryrun=dryrun, use_pbar=use_pbar)

    def _push_plan(self, directory: str, files: LocalFiles, chosen: Filter, use_pbar: bool | None) -> Transaction:
        """The plan to push these files, entered into a summary."""
        base, folder = self._base, files.folder
        with chosen:
            kept = list(_divided(files.rows, folder, chosen))
        rows = [row for row, keep in kept if keep]
        skipped = [row.key for row, keep in kept if not keep] + files.left_out
        holdable = base.can_hold(folder)
        looked_for = [*(row.key for row, _ in kept), *files.left_out] if holdable else []
        around = base.around(folder, looked_for, {row.key for row in rows}, flat=files.flat)

        def describe(key: str) -> SyncObject:
            return self._sync_object("push", directory, base.name(folder, key), key, around.rows.get(key))

        def in_the_way(key: str) -> Collision | None:
            return around.in_the_way.get(key) or _of_bucket(base, os.path.join(directory, key))

        summary = _summary("push", map(describe, skipped))
        if not holdable:
            for row in rows:
                summary.add_entry(describe(row.key), collides_with=f"unsafe name: {printable(folder)!r} is not UTF-8")
            rows = []
        remote = [around.rows[row.key] for row in rows if row.key in around.rows]
        source = ChosenObjects(files.store, rows, files.actual)
        target = ChosenObjects(base.store(folder if holdable else ""), remote, extra=self._extra(describe))
        return self._plan(summary, describe, source, target, in_the_way, use_pbar)

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
        chosen = filter_of(include_regex, exclude_regex, path_regex)
        directory = os.path.abspath(local_base_dir)
        if os.path.exists(directory) and not os.path.isdir(directory):
            raise AlreadyExists(f"local_base_dir has to be a directory, and this is none: {directory}")
        text = os.fspath(remote_path)
        strip = strip_abspath_prefix
        if strip is None and strip_abs_local_base_dir and os.path.isabs(local_base_dir) and is_inside(text, directory):
            strip = directory
        text = relative_to(text, strip)
        if convert_to_linux_path:
            text = text.replace("\\", "/")
        found = [row for row in self._base.select(text) if not is_marker(row)]
        if not found:
            name = printable(self._base.name("", plain(text)))
            self._log.warning("No files found in remote storage under path: %s", name)
            return TransactionSummary(sync_direction="pull")
        with registry.open_store(url.parse(Path(os.path.realpath(directory)))) as files:
            transaction = self._pull_plan(found, directory, files, chosen, use_pbar)
            return self._finish(transaction, force=force, dryrun=dryrun, use_pbar=use_pbar)

    def _pull_plan(
        self, found: list[ObjectInfo], directory: str, files: ObjectStore, chosen: Filter, use_pbar: bool | None
    ) -> Transaction:
        """The plan to pull these objects into the directory, which ``files`` holds, entered into a summary."""
        base, remote = self._base, {row.key: row for row in found}
        real = os.path.realpath(directory)
        obstacles = Obstacles(real)
        with chosen:
            kept = list(_divided(found, "", chosen))
        rows = [row for row, keep in kept if keep]
        local = [info for row in rows if (info := head(files, row.key)) is not None]

        def describe(key: str) -> SyncObject:
            return self._sync_object("pull", directory, base.name("", key), key, remote[key])

        def in_the_way(key: str) -> Collision | None:
            return obstacles.why_not(key) or _of_bucket(base, os.path.join(real, key))

        summary = _summary("pull", (describe(row.key) for row, keep in kept if not keep))
        source, target = ChosenObjects(base.store(), rows), ChosenObjects(files, local)
        return self._plan(summary, describe, source, target, in_the_way, use_pbar)

    # ------------------------------------------------------------------ what both do
    def _sync_object(
        self, direction: Direction, directory: str, name: str, key: str, row: ObjectInfo | None
    ) -> SyncObject:
        """How the file of this key in the directory, and the object of this name, stand to each other."""
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
        summary: TransactionSummary,
        describe: Callable[[str], SyncObject],
        source: ChosenObjects,
        target: ChosenObjects,
        in_the_way: Callable[[str], Collision | None],
        use_pbar: bool | None,
    ) -> Transaction:
        """What is to be done about the chosen objects of both sides, entered into the summary."""
        plan = sync.plan(
            ChosenPlace(source, source.name),
            ChosenPlace(target, target.name),
            on_unknown="transfer",  # into on_target_neq_md5, so that force decides
            progress=self._progress(use_pbar),
        )
        transaction = Transaction(plan, summary, describe, self._pushed)
        transaction.enter(in_the_way, self._judge())
        return transaction

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

    def _judge(self) -> Judge | None:
        extract, store = self._remote_hash_extractor, self.bucket.store
        if extract is None:
            return None

        def judge(entries: list[SyncObject]) -> Iterator[bool | None]:
            # Listings tell no metadata.
            found = engine.default().run(
                lambda entry: head(store, entry.name), entries, ordered=True, local=store.local
            )
            for entry, info in ((outcome.item, outcome.value) for outcome in found):
                if info is None:  # deleted a moment ago
                    yield None
                    continue
                entry.remote_obj = RemoteObject(info, self.bucket)
                extracted = extract(entry.remote_obj)
                yield None if extracted is None else extracted == entry.local_hash

        return judge

    # ------------------------------------------------------------------ delete and list
    def delete(
        self,
        remote_path: AnyPath,
        include_regex: Expression | None = None,
        exclude_regex: Expression | None = None,
        path_regex: Expression | None = None,
        confirm: Confirmation = False,
    ) -> list[RemoteObject]:
        """The objects that were deleted: that of this very name, and everything below it.

        ``include_regex`` and ``exclude_regex`` are matched at the start of the path relative to the base path, and
        excluding wins. The empty path is everything below the base path: without an ``include_regex`` (an empty one is
        none) it needs ``confirm``, which is True or a function that is called with the number of objects and returns
        True; with anything else it is a ConfigError (a ValueError), and nothing is deleted. If there is nothing to
        delete, a warning is logged. Raises StoreError if some could not be deleted; the others are gone then.
        """
        path = os.fspath(remote_path)
        with filter_of(include_regex, exclude_regex, path_regex) as chosen:
            deleted = delete(self._base, path, chosen, confirm)
        if not deleted:
            name = printable(self._base.name("", plain(path)))
            self._log.warning("No objects found under path: %s. Not deleting anything", name)
        return deleted

    def list_objects(self, remote_path: AnyPath = "") -> list[RemoteObject]:
        """The objects whose names start with the base path, a slash and the *string* ``remote_path``.

        So ``run1`` lists ``run10`` as well, unlike every other method.
        """
        return self._base.starting_with(os.fspath(remote_path).lstrip("/"))


class _Log(logging.LoggerAdapter[logging.Logger]):
    """The module's logger for one storage, which says nothing below its level."""

    def __init__(self, inner: logging.Logger, level: int) -> None:
        super().__init__(inner, {})
        self._least = level

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - logging calls it that
        return level >= self._least and super().isEnabledFor(level)


def _summary(direction: Direction, skipped: Iterable[SyncObject]) -> TransactionSummary:
    """The summary with what is left out."""
    summary = TransactionSummary(sync_direction=direction)
    for entry in skipped:
        summary.add_entry(entry, skip=True)
    return summary


def _divided(rows: Iterable[ObjectInfo], folder: str, chosen: Filter) -> Iterator[tuple[ObjectInfo, bool]]:
    """Each row, whose key is relative to the folder, and whether the filter keeps its path."""
    return chosen.divide((join(folder, row.key), row) for row in rows)


def _of_bucket(base: BasePath, path: str) -> str | None:
    """Why this file is neither sent nor written: it lies in the directory that the bucket is; None if it does not."""
    if base.directory is None or not is_inside(os.path.realpath(path), base.directory):
        return None
    return f"the file lies in the bucket itself, which is a directory: {printable(path)}"
