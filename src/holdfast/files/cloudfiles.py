"""CloudFiles: bulk reads and writes of many objects under one location, with compression."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sized
from typing import Any, Self

from .. import keys
from ..errors import ConfigError
from ..monitoring import IOEnum
from ..store import ObjectStore
from ..types import Body
from . import listing, locking, single
from . import paths as paths_of
from .opening import Options, open_location
from .reading import Reader, json_reader, reader
from .recording import Recorder
from .requests import ReadRequest, WriteDefaults, WriteRequest, batches, complete_writes, is_scalar
from .transferring import Transfers
from .work import Job, Recipe, Work
from .writing import Writer, dump_json, json_request


class CloudFiles(Transfers):
    """The objects under one location, by their paths relative to it: one at a time, or many at once.

    ``cloudpath`` is a URL (``s3://bucket/prefix``, ``s3://https://host:port/bucket/prefix``, ``gs://``,
    ``http(s)://``, ``file:///directory``, ``mem://bucket``, ``sqlite:///path.db``, ``zip:///path.zip``,
    ``hashdir:///directory``, ``redis://host/0/prefix``), a local directory, or any ObjectStore. ``progress``
    draws a bar for bulk calls. ``num_threads=None`` adapts the number of simultaneous requests to what pays; a
    number is a cap. ``secrets`` are credentials for this object alone (else the environment's are used),
    ``endpoint`` another server, ``no_sign_request`` anonymous access, ``use_https`` the public web server of a gs or
    s3 bucket. Paths may have a format or an alias (``holdfast.files.paths``). ``request_payer`` is "requester" on s3,
    the project to bill on gs. ``green=True`` lets gevent's other greenlets run meanwhile (None: if it has patched
    threads), ``parallel`` does bulk get, puts and delete in so many processes (0: one for each processor; what lies in
    this process's memory stays with its threads). ``locking=True`` takes locks on local files, in ``lock_dir``, that
    cloud-files takes too. ``composite_upload_threshold`` (bytes) is the size of the parts in which larger objects are
    sent, a hint to stores that send parts.

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
        green: bool | None = False,
        secrets: Any = None,
        num_threads: int | None = None,
        *,
        use_https: bool = False,
        endpoint: str | None = None,
        parallel: int | bool = 1,
        request_payer: str | bool | None = None,
        locking: bool | None = None,
        lock_dir: str | None = None,
        composite_upload_threshold: int | None = None,
        no_sign_request: bool = False,
    ) -> None:
        options = Options(secrets, endpoint, use_https, request_payer, no_sign_request, locking, lock_dir)
        if isinstance(cloudpath, ObjectStore):
            if options != Options():
                raise ConfigError(f"{cloudpath.name} is open already: options of the location belong to the store")
            self.store, self.cloudpath, self.protocol, self.lock_dir = cloudpath, cloudpath.name, "", None
            recipe = Recipe(None, options, cloudpath)
        else:
            self.store, self.cloudpath, self.protocol, self.lock_dir, again = open_location(cloudpath, options)
            recipe = Recipe(again, options)
        self._work = Work(self.store, recipe, num_threads, progress=progress, green=green, parallel=parallel)
        if composite_upload_threshold is not None and composite_upload_threshold < 1:
            raise ConfigError(f"composite_upload_threshold={composite_upload_threshold} is a number of bytes")
        self.composite_upload_threshold = composite_upload_threshold
        self.progress = progress
        self.green = self._work.green is not None
        self.num_threads = num_threads
        self.parallel = self._work.parallel

    def __repr__(self) -> str:
        return f"CloudFiles({self.cloudpath!r})"

    def __getstate__(self) -> dict[str, Any]:
        # The recipe may hold secrets, which a pickle carries nowhere: the store, pickled, knows that it lost them.
        recipe = Recipe(None, Options(), self.store)
        work = Work(
            self.store, recipe, self.num_threads, progress=self.progress, green=self.green, parallel=self.parallel
        )
        return {**self.__dict__, "_work": work}

    # ------------------------------------------------------------------ reading
    def get(
        self,
        paths: ReadRequest | Iterable[ReadRequest],
        total: int | None = None,
        raw: bool = False,
        progress: bool | None = None,
        parallel: int | bool | None = None,
        return_dict: bool = False,
        raise_errors: bool = True,
        part_size: int | None = None,
        return_recording: bool = False,
        into: Any = None,
    ) -> Any:
        """The bytes of one object (None if it is missing), or a list with one row for each request, in order.

        A request is a path, or ``{"path": ..., "start": ..., "end": ...}`` for the bytes [start:end) of the
        decoded content; past the end is shorter or empty. Rows are dicts with ``path content byte_range error
        compress raw tags``; duplicates give duplicate rows, a missing object the content None. ``raw`` gives the
        stored bytes, still encoded. ``return_dict`` gives ``{path: bytes}`` instead of rows.
        ``raise_errors=False`` puts an error into its row instead of raising the first one.
        ``part_size`` reads objects that are larger (bytes) in parts of that size, side by side.
        ``return_recording`` gives a tuple of the result and the TransmissionMonitor that watched.
        ``into`` is a writable buffer for one object (then the count of its bytes is returned), or for many a
        mapping from path to buffer: bodies are written there, by this process, and a row's content is the filled
        part of it.
        """
        scalar = is_scalar(paths)
        if into is not None and isinstance(into, Mapping) == scalar:
            wanted = "a writable buffer for one path" if scalar else "a mapping from path to buffer for many paths"
            raise TypeError(f"into is {wanted}, not {type(into).__name__}")
        gather = not (scalar or raise_errors or return_dict)
        job = Job(reader, (raw, into, part_size, gather))
        if scalar and part_size is None and not return_recording:
            row = self._work.one(Reader(self.store, raw=raw, into=into).one, paths, True)
            return {row["path"]: row["content"]} if return_dict else row["content"]
        recorder = Recorder(IOEnum.RX) if return_recording else None
        outcomes = self._work.many(
            recorder.job(job) if recorder else job,
            [paths] if scalar else paths, "Downloading", total, progress,
            ordered=True, parallel=1 if scalar or into is not None else parallel,
        )  # fmt: skip
        rows: Any = [outcome.value for outcome in outcomes]
        if recorder is not None:
            rows = recorder.unpacked(rows)
        if return_dict:
            rows = {row["path"]: row["content"] for row in rows}
        elif scalar:
            rows = rows[0]["content"] if into is None or rows[0]["content"] is None else len(rows[0]["content"])
        return rows if recorder is None else (rows, recorder.monitor)

    def get_json(self, paths: ReadRequest | Iterable[ReadRequest], total: int | None = None) -> Any:
        """The parsed JSON of one object (None if it is missing), or a list of them in the order asked for.

        Raises EncodingError, with the key, for an object that is no JSON.
        """
        if is_scalar(paths):
            return self._work.one(json_reader(self.store), paths)
        return [
            outcome.value for outcome in self._work.many(Job(json_reader), paths, "Downloading", total, ordered=True)
        ]

    def exists(self, paths: str | Iterable[str], total: int | None = None, progress: bool | None = None) -> Any:
        """Whether the object exists, or for many a dict from path to that."""
        return self._ask(paths, single.exists, "Existence testing", total, progress)

    def size(
        self, paths: str | Iterable[str], total: int | None = None, progress: bool | None = None,
        return_sum: bool = False,
    ) -> Any:  # fmt: skip
        """The stored size in bytes (None if missing), or for many a dict; or the sum of those that exist."""
        sizes = self._ask(paths, single.size, "Measuring", total, progress)
        if return_sum:
            return sum(size or 0 for size in (sizes.values() if isinstance(sizes, dict) else [sizes]))
        return sizes

    def head(self, paths: str | Iterable[str], total: int | None = None, progress: bool | None = None) -> Any:
        """The object's headers as a dict (None if missing), or for many a dict of those.

        Always there: Cache-Control, Content-Length, Content-Type, ETag, Last-Modified (an aware datetime),
        Content-Encoding, Content-Disposition, Content-Language, Storage-Class; None where there is none. Content-Md5,
        Content-Crc32c, Request-Charged, Parts-Count and Component-Count are there for programs that ask for them, and
        None: no store tells them.
        """
        return self._ask(paths, single.head, "Heading", total, progress)

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
        defaults = WriteDefaults(content_type, compress, compression_level, cache_control, storage_class, raw)
        self._work.one(Writer(self.store, self.composite_upload_threshold), defaults.complete((path, content)))
        return 1

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
        parallel: int | bool | None = None,
        storage_class: str | None = None,
        return_recording: bool = False,
    ) -> Any:
        """The number of objects stored, from dicts with ``path``, ``content`` and more, or (path, content).

        Content is bytes-like, a pathlib.Path, an open binary file or an iterator of bytes. ``compress`` is one
        of gzip (or True), br, zstd, xz, bz2, or None. ``raw`` says that the content is encoded already: it is
        stored as it is and labelled with ``compress``. What a dict says itself overrides the arguments.

        Unknown codecs and duplicate paths are a ValueError before anything is written (from a generator, which is
        not kept, a bad request is found when it comes). The first error stops the rest; objects written until
        then are whole. ``return_recording`` gives a tuple of the number and the TransmissionMonitor that watched.
        """
        defaults = WriteDefaults(content_type, compress, compression_level, cache_control, storage_class, raw)
        writes = complete_writes(files, defaults)
        recorder = Recorder(IOEnum.TX) if return_recording else None
        if isinstance(writes, list) and len(writes) == 1 and recorder is None:
            self._work.one(Writer(self.store, self.composite_upload_threshold), writes[0])
            return 1
        job = Job(Writer, (self.composite_upload_threshold,))
        job = job if recorder is None else recorder.job(job)
        outcomes = self._work.many(job, writes, "Uploading", total, progress, parallel=parallel)
        if recorder is None:
            return sum(1 for _ in outcomes)
        return len(recorder.unpacked([outcome.value for outcome in outcomes])), recorder.monitor

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
        content = dump_json(content)
        return self.put(path, content, content_type, compress, compression_level, cache_control, False, storage_class)

    def put_jsons(
        self,
        files: WriteRequest | Iterable[WriteRequest],
        compress: str | bool | None = None,
        compression_level: int | None = None,
        cache_control: str | None = None,
        total: int | None = None,
        progress: bool | None = None,
        parallel: int | bool | None = None,
        storage_class: str | None = None,
        return_recording: bool = False,
        content_type: str = "application/json",
    ) -> Any:
        """The number of objects stored as JSON; ``files`` as in ``puts``, each content any JSON-able object."""
        if isinstance(files, Mapping) or (isinstance(files, tuple) and len(files) == 2 and isinstance(files[0], str)):
            files = [files]
        encoded: Iterable[WriteRequest] = map(json_request, files)
        if not isinstance(files, Iterator):
            encoded = list(encoded)
        return self.puts(
            encoded, content_type, compress, compression_level, cache_control, total, False, progress, parallel,
            storage_class, return_recording,
        )  # fmt: skip

    def delete(
        self,
        paths: str | Iterable[str],
        total: int | None = None,
        progress: bool | None = None,
        parallel: int | bool | None = None,
    ) -> int:
        """How many paths were dealt with; each is gone afterwards, whether or not it was there."""
        if is_scalar(paths):
            return self._work.one(single.remover(self.store), [keys.check(paths)])  # type: ignore[arg-type]
        total = len(paths) if total is None and isinstance(paths, Sized) else total
        wanted = batches(map(keys.check, paths), max(1, self.store.remove_batch))
        outcomes = self._work.many(
            Job(single.remover), wanted, "Deleting", total, progress, parallel=parallel, count=int
        )
        return sum(outcome.value for outcome in outcomes)

    def touch(self, paths: str | Iterable[str], progress: bool | None = None, total: int | None = None) -> None:
        """Create an empty object under each path where there is none; what is there is never changed.

        Needs a store with an atomic create; Unsupported elsewhere, because "look, then write" could truncate
        what somebody else just wrote.
        """
        if is_scalar(paths):
            self._work.one(single.toucher(self.store), paths)
        else:
            for _ in self._work.many(Job(single.toucher), paths, "Touching", total, progress):
                pass

    # ------------------------------------------------------------------ listing
    def list(
        self,
        prefix: str = "",
        flat: bool = False,
        size: bool = False,
        return_resume_token: bool = False,
        resume_token: str | None = None,
    ) -> Iterator[Any]:
        """An iterator over the paths that start with the string ``prefix``; with ``size`` over (path, bytes).

        ``flat`` gives one level only: objects, and directories with a trailing slash (whose size is None). A
        prefix that is exactly a directory's name stands for what is in it. ``return_resume_token`` adds a token to
        each, with which (``resume_token=``) another listing goes on after it; Unsupported where listings have no order.
        """
        if return_resume_token or resume_token is not None:
            listing.check_token(self.store)
        rows = listing.scan(self.store, prefix, flat=flat, size=size, threads=self.num_threads, after=resume_token)
        return self._work.rows(listing.paths(rows, size=size, tokens=return_resume_token))

    def __iter__(self) -> Iterator[str]:
        return self.list()

    def isdir(self, prefix: str = "") -> bool:
        """Whether anything lies under ``prefix`` + "/" (or under the location itself, for "")."""
        return self._work.one(listing.is_directory, self.store, prefix)

    def subtree_size(self, prefix: str | Iterable[str] = "") -> dict[str, int]:
        """``{"N": objects, "num_bytes": stored bytes}`` of all whose paths start with the string, or one of several."""
        prefixes = [prefix] if isinstance(prefix, str) else prefix
        return self._work.one(listing.subtree_size, self.store, prefixes, self.num_threads)

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

    @staticmethod
    def dirname(path: str) -> str:
        """What precedes the last slash of a path or location."""
        return paths_of.dirname(path)

    @staticmethod
    def basename(path: str) -> str:
        """What follows the last slash of a path or location."""
        return paths_of.basename(path)

    def abspath(self, path: str) -> str:
        """The location of the object: the path below this location, slash by slash as it is.

        >>> CloudFiles("gs://bucket/data", no_sign_request=True).abspath("a/b")
        'gs://bucket/data/a/b'
        """
        return keys.join(self.cloudpath, path)

    def clear_locks(self) -> None:
        """Remove the lock files of ``lock_dir`` that nobody holds (see ``locking``); nothing on other services."""
        if self.lock_dir is not None:
            locking.clear(self.lock_dir)

    def close(self) -> None:
        """Release what the store holds; also at the end of a with statement."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _ask(
        self, paths: str | Iterable[str], answer: single.Answer, description: str, total: int | None,
        progress: bool | None,
    ) -> Any:  # fmt: skip
        """The answer from one head, or a dict of them."""
        if is_scalar(paths):
            return self._work.one(single.asker(self.store, answer), paths)
        outcomes = self._work.many(Job(single.asker, (answer,)), paths, description, total, progress, ordered=True)
        return {outcome.item: outcome.value for outcome in outcomes}
