"""Storage: the older interface of bulk work, with threads of its own, writes in the background, and a green sibling.

Listings with ``flat=True`` give files alone, as they always did here; those of CloudFiles give directories, too.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self

from .. import codecs, engine, keys
from ..blob import body_size
from ..store import ObjectStore
from ..types import Body, ListOptions
from . import paths as paths_of
from . import single
from .opening import Options, open_location
from .reading import Reader, json_reader, reader
from .requests import Write, batches, is_scalar
from .work import Job, Recipe, Work
from .writing import Writer, dump_json

DEFAULT_THREADS = 20

#: (path, content)
File = tuple[str, Any]


class SimpleStorage:
    """The objects under one location, worked on in the caller's thread; also by ``stor[path]`` and in assignments.

    ``layer_path`` is a location as CloudFiles takes it. There is nothing to end: what is open is closed when the object
    goes. A missing object is None, never an exception. Encodings are those of CloudFiles.

    >>> stor = SimpleStorage("mem://storage-example")
    >>> stor["a"] = b"1"
    >>> stor["a"], stor["missing"], stor.exists(["a", "missing"])
    (b'1', None, {'a': True, 'missing': False})
    """

    _green = False

    def __init__(self, layer_path: str, progress: bool = False, secrets: Any = None) -> None:
        options = Options(secrets)
        self.progress = progress
        self.progress_description = ""
        self.layer_path = paths_of.normalize(layer_path)
        self.store: ObjectStore = open_location(layer_path, options).store
        self._recipe = Recipe(layer_path, options)
        self._work = self._work_in(0, None)
        weakref.finalize(self, self.store.close).atexit = False

    def _work_in(self, threads: int | None, own: engine.Engine | None) -> Work:
        progress = bool(self.progress)
        return Work(self.store, self._recipe, threads, progress=progress, green=self._green, parallel=1, own=own)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.store.name!r})"

    def get_path_to_file(self, file_path: str) -> str:
        """The location of one object."""
        return keys.join(self.layer_path, file_path)

    # ------------------------------------------------------------------ writing
    def put_file(
        self,
        file_path: str,
        content: Body,
        content_type: str | None = None,
        compress: str | bool | None = None,
        compress_level: int | None = None,
        cache_control: str | None = None,
    ) -> Self:
        """This storage: the object is stored, whole, or will be (see ``ThreadedStorage``).

        Raises UnknownEncoding, a ValueError, for a ``compress`` that is none of gzip (True), br, zstd, xz, bz2, None.
        """
        said = (content_type, compress, compress_level, cache_control)
        self._begin([self._write(file_path, content, *said)])
        return self

    def put_files(
        self,
        files: Iterable[File],
        content_type: str | None = None,
        compress: str | bool | None = None,
        compress_level: int | None = None,
        cache_control: str | None = None,
        block: bool = True,
    ) -> Self:
        """This storage, when every (path, content) is stored; with ``block=False`` they will be.

        A path that comes twice is a ValueError before anything is written, unless they come from an iterator.
        """
        said = (content_type, compress, compress_level, cache_control)
        writes: Iterator[Write] = (self._write(path, content, *said) for path, content in files)
        if not isinstance(files, Iterator):
            listed = list(writes)
            if len({write.path for write in listed}) < len(listed):
                raise ValueError("a path stands twice among the files: which content should win? Nothing was written")
            writes = iter(listed)
        self._begin(writes)
        if block:
            self._settle(self.progress)
        return self

    def put_json(
        self,
        file_path: str,
        content: Any,
        content_type: str = "application/json",
        compress: str | bool | None = None,
        compress_level: int | None = None,
        cache_control: str | None = None,
    ) -> Self:
        """As ``put_file``, with the content as JSON; a str is stored as it is, because it is JSON already."""
        body = content.encode() if isinstance(content, str) else dump_json(content)
        return self.put_file(file_path, body, content_type, compress, compress_level, cache_control)

    def _write(
        self,
        path: str,
        content: Any,
        content_type: str | None,
        compress: str | bool | None,
        level: int | None,
        cache_control: str | None,
    ) -> Write:
        encoding = self._encoding(compress)
        content = content.encode() if isinstance(content, str) else content
        return Write(keys.check(path), content, content_type, encoding, level, cache_control, None, raw=False)

    def _encoding(self, compress: str | bool | None) -> str | None:
        return codecs.canonical(compress)

    def _begin(self, writes: Iterable[Write]) -> None:
        writer = Writer(self.store)
        for write in writes:
            self._work.one(writer, write)

    def _settle(self, progress: bool) -> None:
        """Wait for what was begun: nothing, here."""

    # ------------------------------------------------------------------ reading
    def get_file(self, file_path: str, start: int | None = None, end: int | None = None) -> bytes | None:
        """The bytes of one object, or [start:end) of them; None if it is missing."""
        row = self._work.one(Reader(self.store).one, _request(file_path, start, end))
        content: bytes | None = row["content"]
        return content

    def get_files(
        self,
        file_paths: Iterable[str],
        starts: Sequence[int | None] | int | None = None,
        ends: Sequence[int | None] | int | None = None,
    ) -> list[dict[str, Any]]:
        """A row for each path, in order: a dict with ``filename byte_range content error``.

        ``starts`` and ``ends`` (exclusive) are one number for all or one for each. An object that is missing has the
        content None and no error; one that failed has its ``error``.
        """
        paths = list(file_paths)
        requests = [_request(*request) for request in zip(paths, _each(starts, paths), _each(ends, paths), strict=True)]
        job = Job(reader, (False, None, None, True))
        rows = [outcome.value for outcome in self._work.many(job, requests, "Downloading", ordered=True)]
        names = {"path": "filename", "byte_range": "byte_range", "content": "content", "error": "error"}
        return [{ours: row[theirs] for theirs, ours in names.items()} for row in rows]

    def get_json(self, file_path: str) -> Any:
        """The parsed JSON document, or None if it is missing."""
        return self._work.one(json_reader(self.store), file_path)

    def exists(self, file_path: str | Iterable[str]) -> Any:
        """Whether there is such an object; of several paths a dict."""
        if not is_scalar(file_path):
            return self.files_exist(file_path)
        return self._work.one(single.asker(self.store, single.exists), str(file_path))

    def files_exist(self, file_paths: Iterable[str]) -> dict[str, bool]:
        """A dict from path to whether there is such an object."""
        outcomes = self._work.many(Job(single.asker, (single.exists,)), file_paths, "Existence testing", ordered=True)
        return {outcome.item: outcome.value for outcome in outcomes}

    def list_files(self, prefix: str = "", flat: bool = False) -> Iterator[str]:
        """An iterator over the paths that start with the string ``prefix``; ``flat``: without a further slash."""
        rows = self.store._scan(ListOptions(prefix, delimiter="/" if flat else None))
        return self._work.rows(row.key for row in rows if not row.is_prefix)

    # ------------------------------------------------------------------ deleting
    def delete_file(self, file_path: str) -> Self:
        """This storage: the object is gone, or will be; a missing one counts as gone."""
        return self.delete_files([file_path])

    def delete_files(self, file_paths: Iterable[str]) -> Self:
        """This storage: the objects are gone, or will be; missing ones count as gone."""
        remove = single.remover(self.store)
        for batch in batches(map(keys.check, file_paths), max(1, self.store.remove_batch)):
            self._work.one(remove, batch)
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.store.close()

    # ------------------------------------------------------------------ like a dict
    def __getitem__(self, file_path: str) -> bytes | None:
        return self.get_file(file_path)

    def __setitem__(self, file_path: str | tuple[str, dict[str, Any]], content: Body) -> None:
        """``stor[path] = content``, or ``stor[path, options] = content`` with arguments of ``put_file``."""
        path, options = (file_path, {}) if isinstance(file_path, str) else file_path
        self.put_file(path, content, **options)


class ThreadedStorage(SimpleStorage):
    """The same with threads of its own: ``put_file`` and ``delete_file`` return at once, ``wait`` waits for them.

    What goes wrong in the background is raised by ``wait()``, the first error of all. Writes of one path happen in the
    order in which they were asked for. Memory is bounded: beyond 256 MiB on their way ``put_file`` waits. Leaving the
    with statement waits, and ends every thread, as ``kill_threads`` does. With ``n_threads=0`` everything is done in
    the caller's thread.

    >>> with ThreadedStorage("mem://storage-example") as stor:
    ...     stor.put_file("b", b"2", compress="gzip").wait().get_file("b")
    b'2'
    """

    def __init__(
        self, layer_path: str, n_threads: int = DEFAULT_THREADS, progress: bool = False, secrets: Any = None
    ) -> None:
        super().__init__(layer_path, progress, secrets)
        self._background: engine.Background | None = None
        self._threads = n_threads
        self.start_threads(n_threads)

    def start_threads(self, n_threads: int) -> Self:
        """This storage, from now on with so many threads, after what is on its way is done."""
        self.kill_threads()
        self._threads = n_threads
        if n_threads:
            background = self._background = engine.Background(n_threads)
            weakref.finalize(self, background.engine.close).atexit = False
            self._work = self._work_in(n_threads, background.engine)
        return self

    def kill_threads(self) -> Self:
        """This storage without threads, after what is on its way is done; work goes on in the caller's thread."""
        background, self._background = self._background, None
        if background is not None:
            try:
                self._wait_for(background, False)
            finally:
                background.end()
                self._work = self._work_in(0, None)
        return self

    def are_threads_alive(self) -> bool:
        """Whether there are threads to work with."""
        return self._background is not None

    @property
    def pending(self) -> int:
        """How many writes and deletes are on their way."""
        return 0 if self._background is None else self._background.pending

    def wait(self, progress: bool | None = None) -> Self:
        """This storage, when nothing is on its way; raises the first error of what was."""
        self._settle(self.progress if progress is None else progress)
        return self

    def _settle(self, progress: bool) -> None:
        if self._background is not None:
            self._wait_for(self._background, progress)

    def _wait_for(self, background: engine.Background, progress: bool) -> None:
        with self._work.bar(self.progress_description or "Waiting", background.pending, progress, None) as bar:
            self._work.one(background.wait, bar.advance)

    def _begin(self, writes: Iterable[Write]) -> None:
        background = self._background
        if background is None:
            super()._begin(writes)
            return
        writer = Writer(self.store)
        for write in writes:
            if isinstance(write.content, bytearray | memoryview):
                # The caller may change it as soon as this returns.
                write = write._replace(content=bytes(write.content))  # noqa: PLW2901 - what is written from here on
            size = body_size(write.content) or 0
            self._on_its_way(background, [write.path], _Call(writer, write), size)

    def delete_files(self, file_paths: Iterable[str]) -> Self:
        """This storage: the objects are gone, or will be; missing ones count as gone."""
        background = self._background
        if background is None:
            return super().delete_files(file_paths)
        remove = single.remover(self.store)
        for batch in batches(map(keys.check, file_paths), max(1, self.store.remove_batch)):
            self._on_its_way(background, batch, _Call(remove, batch), 0)
        return self

    def _on_its_way(self, background: engine.Background, paths: list[str], call: _Call, size: int) -> None:
        if background.has_room(paths, size):
            background.begin(paths, call, size)
        else:
            self._work.one(background.begin, paths, call, size)  # it waits, and other greenlets must not

    def __enter__(self) -> Self:
        if self._background is None and self._threads:
            self.start_threads(self._threads)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        background = self._background
        try:
            if background is not None and isinstance(error, Exception):
                self._finish(background, error)
            elif background is not None and error is not None:  # somebody wants to leave at once
                background.abandon()
                background.end(patience=0.0)
                self._background = None
            self.kill_threads()
        finally:
            self.store.close()

    def _finish(self, background: engine.Background, error: Exception) -> None:
        try:
            self._wait_for(background, False)
        except Exception as later:  # noqa: BLE001 - told of beside the first one
            error.add_note(f"in the background, too: {type(later).__name__}: {later}")


class GreenStorage(ThreadedStorage):
    """The same for gevent: while one greenlet waits for it, others run. Nothing needs to be patched."""

    _green = True


def Storage(  # noqa: N802 - called like the class that it makes
    layer_path: str,
    n_threads: int = DEFAULT_THREADS,
    progress: bool = False,
    green: bool = False,
    secrets: Any = None,
) -> ThreadedStorage:
    """A ThreadedStorage, or with ``green=True`` a GreenStorage.

    >>> with Storage("mem://storage-example", n_threads=2) as stor:
    ...     stor.put_files([("c", b"3"), ("d", b"4")]).files_exist(["c", "d", "e"])
    {'c': True, 'd': True, 'e': False}
    """
    return (GreenStorage if green else ThreadedStorage)(layer_path, n_threads, progress, secrets)


class _Call:
    """One operation on one item, to be made later."""

    __slots__ = ("item", "operation")

    def __init__(self, operation: Any, item: Any) -> None:
        self.operation = operation
        self.item = item

    def __call__(self) -> Any:
        return self.operation(self.item)


def reset_connection_pools() -> None:
    """Forget the connections that are kept for new stores; those of open ones stay."""
    from ..stores import _obstore

    _obstore.forget_clients()


def _request(path: str, start: int | None, end: int | None) -> Any:
    return path if start is None and end is None else {"path": path, "start": start, "end": end}


def _each(given: Sequence[int | None] | int | None, paths: Sequence[str]) -> Sequence[int | None]:
    return [given] * len(paths) if given is None or isinstance(given, int) else given
