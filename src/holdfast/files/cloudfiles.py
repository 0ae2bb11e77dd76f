"""CloudFiles: bulk reads and writes of many objects under one location, with compression."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Self

from .. import engine, keys, progress, registry, url
from ..errors import AlreadyExists, NotFound, Unsupported
from ..store import HEAD, ObjectStore
from ..types import Body, ListOptions, ObjectInfo
from ..wrap.suffix import SuffixStore
from .reading import Reader, head_fields, parse_json
from .requests import ReadRequest, WriteDefaults, WriteRequest, batches, complete_writes, is_scalar, write_fields
from .transferring import Transfers
from .writing import Writer, dump_json

#: Where codecs show as file-name suffixes, because there is no Content-Encoding header to say it.
SUFFIXED = frozenset(("file", "mem", "zip"))


class CloudFiles(Transfers):
    """The objects under one location, by their paths relative to it: one at a time, or many at once.

    ``cloudpath`` is a URL (``s3://bucket/prefix``, ``s3://https://host:port/bucket/prefix``, ``gs://``,
    ``http(s)://``, ``file:///directory``, ``mem://bucket``, ``sqlite:///path.db``, ``zip:///path.zip``,
    ``hashdir:///directory``, ``redis://host/0/prefix``), a local directory, or any ObjectStore. ``progress``
    draws a bar for bulk calls. ``num_threads=None`` adapts the number of simultaneous requests to what pays; a
    number is a cap. ``secrets`` are credentials for this object alone (else the environment's are used),
    ``endpoint`` another server, ``no_sign_request`` anonymous access.

    A missing object is None, never an exception; everything else that goes wrong is an error of
    ``holdfast.errors``. Every method that takes a path also takes any iterable of paths and then works on many at
    once, in bounded memory. On ``file://``, ``mem://`` and ``zip://`` compressed objects carry their codec as a suffix
    (``.gz .br .zstd .xz .bz2``), elsewhere as Content-Encoding; either way they are read back decoded.

    >>> cf = CloudFiles("mem://doctest")
    >>> cf.puts([("a", b"1"), ("b/c", b"22")], compress="gzip")
    2
    >>> cf.get("b/c"), cf.get("missing"), list(cf)
    (b'22', None, ['a', 'b/c'])
    """

    sep = "/"

    def __init__(
        self,
        cloudpath: str | ObjectStore,
        progress: bool = False,
        green: bool = False,
        secrets: Any = None,
        num_threads: int | None = None,
        *,
        endpoint: str | None = None,
        no_sign_request: bool = False,
    ) -> None:
        if green:
            raise Unsupported("green threads are not in this release: leave green=False (threads do the same work)")
        self.progress = progress
        self.green = green
        self.num_threads = num_threads
        if isinstance(cloudpath, ObjectStore):
            self.store, self.cloudpath, self.protocol = cloudpath, cloudpath.name, ""
        else:
            location = url.parse(cloudpath)
            given = {"secrets": secrets, "endpoint": endpoint, "anonymous": no_sign_request or None}
            options = {name: value for name, value in given.items() if value is not None}
            store = registry.open_store(location, **options)
            self.store = SuffixStore(store) if location.scheme in SUFFIXED else store
            self.cloudpath, self.protocol = str(location), location.scheme

    def __repr__(self) -> str:
        return f"CloudFiles({self.cloudpath!r})"

    # ------------------------------------------------------------------ reading
    def get(
        self,
        paths: ReadRequest | Iterable[ReadRequest],
        total: int | None = None,
        raw: bool = False,
        progress: bool | None = None,
        return_dict: bool = False,
        raise_errors: bool = True,
        into: Any = None,
    ) -> Any:
        """The bytes of one object (None if it is missing), or a list with one row for each request, in order.

        A request is a path, or ``{"path": ..., "start": ..., "end": ...}`` for the bytes [start:end) of the
        decoded content; past the end is shorter or empty. Rows are dicts with ``path content byte_range error
        compress raw tags``; duplicates give duplicate rows, a missing object the content None. ``raw`` gives the
        stored bytes, still encoded. ``return_dict`` gives ``{path: bytes}`` instead of rows.
        ``raise_errors=False`` puts an error into its row instead of raising the first one.
        ``into`` is a writable buffer for one object (then the count of its bytes is returned), or for many a
        mapping from path to buffer: bodies are written there, and a row's content is the filled part of it.
        """
        scalar = is_scalar(paths)
        if into is not None and isinstance(into, Mapping) == scalar:
            wanted = "a writable buffer for one path" if scalar else "a mapping from path to buffer for many paths"
            raise TypeError(f"into is {wanted}, not {type(into).__name__}")
        reader = Reader(self.store, raw=raw, into=into)
        if scalar:
            row = reader.one(paths, scalar=True)  # type: ignore[arg-type]
            return {row["path"]: row["content"]} if return_dict else row["content"]
        rows = self._bulk(
            reader.gather if not raise_errors and not return_dict else reader.row,
            paths, "Downloading", total, progress, ordered=True,
        )  # fmt: skip
        if return_dict:
            return {outcome.value["path"]: outcome.value["content"] for outcome in rows}
        return [outcome.value for outcome in rows]

    def get_json(self, paths: ReadRequest | Iterable[ReadRequest], total: int | None = None) -> Any:
        """The parsed JSON of one object (None if it is missing), or a list of them in the order asked for.

        Raises EncodingError, with the key, for an object that is no JSON.
        """
        reader = Reader(self.store)

        def parsed(request: ReadRequest) -> Any:
            row = reader.row(request)
            return parse_json(row["content"], row["path"], self.store.name)

        if is_scalar(paths):
            return parsed(paths)  # type: ignore[arg-type]
        return [outcome.value for outcome in self._bulk(parsed, paths, "Downloading", total, None, ordered=True)]

    def exists(self, paths: str | Iterable[str], total: int | None = None, progress: bool | None = None) -> Any:
        """Whether the object exists, or for many a dict from path to that."""
        return self._ask(paths, lambda info: info is not None, "Existence testing", total, progress)

    def size(
        self, paths: str | Iterable[str], total: int | None = None, progress: bool | None = None,
        return_sum: bool = False,
    ) -> Any:  # fmt: skip
        """The stored size in bytes (None if missing), or for many a dict; or the sum of those that exist."""
        sizes = self._ask(paths, lambda info: None if info is None else info.size, "Measuring", total, progress)
        if return_sum:
            return sum(size or 0 for size in (sizes.values() if isinstance(sizes, dict) else [sizes]))
        return sizes

    def head(self, paths: str | Iterable[str], total: int | None = None, progress: bool | None = None) -> Any:
        """The object's headers as a dict (None if missing), or for many a dict of those.

        Always there: Cache-Control, Content-Length, Content-Type, ETag, Last-Modified (an aware datetime),
        Content-Encoding, Content-Disposition, Content-Language, Storage-Class; None where there is none. Content-Md5,
        Request-Charged and Parts-Count are there for programs that ask for them, and None: no store tells them.
        """
        return self._ask(paths, lambda info: None if info is None else head_fields(info), "Heading", total, progress)

    # ------------------------------------------------------------------ writing
    def put(
        self,
        path: str,
        content: Body,
        content_type: str | None = None,
        compress: str | bool | None = None,
        compression_level: int | None = None,
        cache_control: str | None = None,
        raw: bool = False,
        storage_class: str | None = None,
    ) -> int:
        """1, when the object is stored, whole: see ``puts`` for what the arguments mean."""
        return self.puts(
            [(path, content)], content_type, compress, compression_level, cache_control,
            raw=raw, progress=False, storage_class=storage_class,
        )  # fmt: skip

    def puts(
        self,
        files: WriteRequest | Iterable[WriteRequest],
        content_type: str | None = None,
        compress: str | bool | None = None,
        compression_level: int | None = None,
        cache_control: str | None = None,
        total: int | None = None,
        raw: bool = False,
        progress: bool | None = None,
        storage_class: str | None = None,
    ) -> int:
        """The number of objects stored, from dicts with ``path``, ``content`` and more, or (path, content).

        Content is bytes-like, a pathlib.Path, an open binary file or an iterator of bytes. ``compress`` is one
        of gzip (or True), br, zstd, xz, bz2, or None. ``raw`` says that the content is encoded already: it is
        stored as it is and labelled with ``compress``. What a dict says itself overrides the arguments.

        Unknown codecs and duplicate paths are a ValueError before anything is written (from a generator, which is
        not kept, a bad request is found when it comes). The first error stops the rest; objects written until
        then are whole.
        """
        defaults = WriteDefaults(content_type, compress, compression_level, cache_control, storage_class, raw)
        writes = complete_writes(files, defaults)
        if isinstance(writes, list) and len(writes) == 1:
            Writer(self.store)(writes[0])
            return 1
        return sum(1 for _ in self._bulk(Writer(self.store), writes, "Uploading", total, progress))

    def put_json(
        self,
        path: str,
        content: Any,
        compress: str | bool | None = None,
        compression_level: int | None = None,
        cache_control: str | None = None,
        storage_class: str | None = None,
        content_type: str = "application/json",
    ) -> int:
        """1, when the content is stored as JSON in UTF-8.

        numpy's arrays and scalars become lists and numbers, NaN and infinities null, and keys text.
        """
        return self.put_jsons(
            [(path, content)], compress, compression_level, cache_control,
            storage_class=storage_class, content_type=content_type,
        )  # fmt: skip

    def put_jsons(
        self,
        files: WriteRequest | Iterable[WriteRequest],
        compress: str | bool | None = None,
        compression_level: int | None = None,
        cache_control: str | None = None,
        total: int | None = None,
        progress: bool | None = None,
        storage_class: str | None = None,
        content_type: str = "application/json",
    ) -> int:
        """The number of objects stored as JSON; ``files`` as in ``puts``, each content any JSON-able object."""
        if isinstance(files, Mapping) or (isinstance(files, tuple) and len(files) == 2 and isinstance(files[0], str)):
            files = [files]
        encoded: Iterable[WriteRequest] = map(_json_request, files)
        if not isinstance(files, Iterator):
            encoded = list(encoded)
        return self.puts(
            encoded, content_type, compress, compression_level, cache_control,
            total=total, progress=progress, storage_class=storage_class,
        )  # fmt: skip

    def delete(self, paths: str | Iterable[str], total: int | None = None, progress: bool | None = None) -> int:
        """How many paths were dealt with; each is gone afterwards, whether or not it was there."""
        if is_scalar(paths):
            paths = [paths]  # type: ignore[list-item]
        checked = map(keys.check, paths)
        count = 0
        with self._bar("Deleting", total, progress, paths) as bar:
            for outcome in engine.default().run(
                functools.partial(_remove, self.store),
                batches(checked, max(1, self.store.remove_batch)),
                threads=self.num_threads,
                local=self.store.local,
            ):
                count += outcome.value
                bar.advance(outcome.value)
        return count

    def touch(self, paths: str | Iterable[str], progress: bool | None = None, total: int | None = None) -> None:
        """Create an empty object under each path where there is none; what is there is never changed.

        Needs a store with an atomic create; Unsupported elsewhere, because "look, then write" could truncate
        what somebody else just wrote.
        """
        if is_scalar(paths):
            paths = [paths]  # type: ignore[list-item]
        for _ in self._bulk(functools.partial(_touch, self.store), paths, "Touching", total, progress):
            pass

    # ------------------------------------------------------------------ listing
    def list(self, prefix: str = "", flat: bool = False, size: bool = False) -> Iterator[Any]:
        """An iterator over the paths that start with the string ``prefix``; with ``size`` over (path, bytes).

        ``flat`` gives one level only: objects, and directories with a trailing slash (whose size is None). A
        prefix that is exactly a directory's name stands for what is in it.
        """
        rows = self.store._scan(ListOptions(prefix, delimiter="/" if flat else None))
        for info in self._sized(rows) if size else rows:
            if flat and info.is_prefix and prefix and info.key == prefix + "/":
                yield from self.list(info.key, flat=True, size=size)
            else:
                yield (info.key, info.size) if size else info.key

    def _sized(self, rows: Iterator[ObjectInfo]) -> Iterator[ObjectInfo]:
        """The rows with their sizes: where the listing does not tell them, each object is asked."""
        for row in rows:
            if row.size is None and not row.is_prefix:
                rows = itertools.chain((row,), rows)
                break
            yield row
        else:
            return
        for outcome in engine.default().run(
            functools.partial(_with_size, self.store),
            rows,
            threads=self.num_threads,
            ordered=True,
            local=self.store.local,
        ):
            if outcome.value is not None:
                yield outcome.value

    def __iter__(self) -> Iterator[str]:
        return self.list()

    def isdir(self, prefix: str = "") -> bool:
        """Whether anything lies under ``prefix`` + "/" (or under the location itself, for "")."""
        if prefix and not prefix.endswith("/"):
            prefix += "/"
        return next(self.store._scan(ListOptions(prefix)), None) is not None

    def subtree_size(self, prefix: str = "") -> dict[str, int]:
        """``{"N": objects, "num_bytes": stored bytes}`` of all whose paths start with the string ``prefix``."""
        count = total = 0
        for info in self._sized(self.store._scan(ListOptions(prefix))):
            count += 1
            total += info.size or 0
        return {"N": count, "num_bytes": total}

    # ------------------------------------------------------------------ like a dict, and paths
    def __getitem__(self, key: Any) -> Any:
        """``cf[path]``, ``cf[path, start:end]``, ``cf[[paths]]``, or ``cf[:100]``: that many listed, and read."""
        if isinstance(key, tuple) and len(key) == 2 and isinstance(key[1], slice):
            path, part = key
            if part.step not in (None, 1):
                raise ValueError("a byte range has no step")
            return self.get({"path": path, "start": part.start, "end": part.stop})
        if isinstance(key, slice):
            return self.get(itertools.islice(self.list(), key.start, key.stop, key.step))
        return self.get(key)

    def __setitem__(self, path: str | slice, content: Any) -> None:
        """``cf[path] = content`` stores one object; ``cf[:] = other`` transfers all of another CloudFiles here."""
        if not isinstance(path, slice):
            self.put(path, content)
        elif path == slice(None):
            self.transfer_from(content)
        else:
            raise TypeError("only the whole can be assigned: cf[:] = other, or other.transfer_to(cf, paths)")

    def __delitem__(self, path: str) -> None:
        self.delete(path)

    @staticmethod
    def join(*paths: str) -> str:
        """The parts joined by exactly one slash each; empty parts add nothing.

        >>> CloudFiles.join("s3://bucket/", "a", "b/c")
        's3://bucket/a/b/c'
        """
        return functools.reduce(keys.join, filter(None, paths), "")

    def close(self) -> None:
        """Release what the store holds; also at the end of a with statement."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # ------------------------------------------------------------------ bulk
    def _ask(
        self,
        paths: str | Iterable[str],
        answer: Callable[[ObjectInfo | None], Any],
        description: str,
        total: int | None,
        progress: bool | None,
    ) -> Any:
        """The answer from one head, or a dict of them."""
        read = self.store._read

        def ask(path: str) -> Any:
            try:
                with read(keys.check(path), HEAD) as blob:
                    return answer(blob.info)
            except NotFound:
                return answer(None)

        if is_scalar(paths):
            return ask(paths)  # type: ignore[arg-type]
        return {outcome.item: outcome.value for outcome in self._bulk(ask, paths, description, total, progress, True)}

    def _bulk(
        self,
        operation: Callable[[Any], Any],
        items: Iterable[Any],
        description: str,
        total: int | None,
        progress: bool | None,
        ordered: bool = False,
    ) -> Iterator[engine.Outcome[Any]]:
        with self._bar(description, total, progress, items) as bar:
            yield from engine.default().run(
                operation, items, threads=self.num_threads, ordered=ordered, progress=bar.advance,
                local=self.store.local,
            )  # fmt: skip

    def _bar(self, description: str, total: int | None, progress_wanted: bool | None, items: Any) -> progress.Bar:
        if total is None and hasattr(items, "__len__"):
            total = len(items)
        return progress.bar(self.progress if progress_wanted is None else progress_wanted, description, total)


def _remove(store: ObjectStore, batch: list[str]) -> int:
    for error in store._remove(batch):
        if error is not None and not isinstance(error, NotFound):
            raise error
    return len(batch)


def _with_size(store: ObjectStore, row: ObjectInfo) -> ObjectInfo | None:
    """The row of a listing with its size, or None if the object is gone meanwhile."""
    if row.size is not None or row.is_prefix:
        return row
    try:
        with store._read(row.key, HEAD) as blob:
            return replace(row, size=blob.info.size)
    except NotFound:
        return None


def _touch(store: ObjectStore, path: str) -> None:
    try:
        store._read(keys.check(path), HEAD).close()
    except NotFound:
        try:
            store.create(path, b"")
        except AlreadyExists:
            return


def _json_request(request: WriteRequest) -> WriteRequest:
    fields = write_fields(request)
    return {**fields, "content": dump_json(fields["content"])}
