"""CloudFiles and CloudFile with the arguments, defaults and attributes of cloud-files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple, Self

from ...files import paths as paths_of
from ...files.cloudfile import CloudFile as NativeFile
from ...files.cloudfile import dl
from ...files.cloudfiles import CloudFiles as Native
from ...files.requests import ReadRequest, WriteRequest
from ...files.storage import reset_connection_pools
from ...store import READ, ObjectStore
from ...stores.memory import clear_all
from ...sync.summary import Summary
from ...types import ReadOptions
from .monitoring import TransmissionMonitor
from .references import References, forget_references
from .transferring import Referred, transferred

DEFAULT_THREADS = 20
#: What cloud-files calls an encoding that Holdfast calls otherwise.
_ENCODINGS = {"bz2": "bzip2"}


class CloudFiles(Native):
    """Objects under one location, as cloud-files has them (see ``holdfast.CloudFiles`` for the rest).

    Arguments may be given in the order of cloud-files. ``green=None`` works for gevent where it has patched threads.
    ``.cloudpath`` is the path as it was written, normalised. In memory (``mem://``) any Python object is kept, by
    reference, where no compression is asked for.
    """

    def __init__(
        self,
        cloudpath: str,
        progress: bool = False,
        green: bool | None = None,
        secrets: Any = None,
        num_threads: int | None = DEFAULT_THREADS,
        use_https: bool = False,
        endpoint: str | None = None,
        parallel: int | bool = 1,
        request_payer: str | bool | None = None,
        locking: bool | None = None,
        lock_dir: str | None = None,
        composite_upload_threshold: int = int(1e8),
        no_sign_request: bool = False,
    ) -> None:
        cloudpath = paths_of.normalize(cloudpath)
        self._path = paths_of.extract(cloudpath)
        local = self._path.protocol == "file"
        super().__init__(
            cloudpath,
            progress,
            green,
            secrets,
            num_threads,
            use_https=use_https,
            endpoint=endpoint,
            parallel=parallel,
            request_payer=request_payer,
            # Services need no locks, and cloud-files takes none there.
            locking=locking if local else None,
            lock_dir=lock_dir if local else None,
            composite_upload_threshold=composite_upload_threshold,
            no_sign_request=no_sign_request,
        )
        if num_threads == DEFAULT_THREADS and self.store.local:
            # It is a cap for services; threads that work on this machine mostly wait for each other.
            self._work.threads = None
        if use_https:
            self._path = paths_of.to_https_protocol(self._path)
            cloudpath = paths_of.asprotocolpath(self._path)
        self.cloudpath = cloudpath
        self.secrets = secrets
        self._references = References(self.store.name) if self._path.protocol == "mem" else None

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "secrets": None}

    def get(self, paths: ReadRequest | Iterable[ReadRequest], *args: Any, **kwargs: Any) -> Any:
        """The bytes of one object, or a list of rows (see ``holdfast.CloudFiles.get``)."""
        found = super().get(paths, *args, **kwargs)
        result, monitor = found if kwargs.get("return_recording") else (found, None)
        if self._references is not None:
            result = self._references.resolved(paths, result)
        if self._path.protocol == "s3" and isinstance(result, list):
            for row in result:
                if row["compress"] is None and row["content"] is not None:
                    row["compress"] = ""  # as cloud-files has it: S3 said that there is none
        return result if monitor is None else (result, TransmissionMonitor.merge([monitor]))

    def put(self, path: str, content: Any, *args: Any, **kwargs: Any) -> int:
        """1, when the object is stored (see ``holdfast.CloudFiles.put``)."""
        if self._references is not None:
            content = self._references.replaced(path, content, _compressed(args, kwargs, at=1))
        return super().put(path, content, *args, **kwargs)

    def puts(self, files: WriteRequest | Iterable[WriteRequest], *args: Any, **kwargs: Any) -> Any:
        """The number of objects stored (see ``holdfast.CloudFiles.puts``)."""
        if self._references is not None:
            files = self._references.all_replaced(files, _compressed(args, kwargs, at=1))
        found = super().puts(files, *args, **kwargs)
        return (found[0], TransmissionMonitor.merge([found[1]])) if kwargs.get("return_recording") else found

    def touch(
        self,
        paths: str | Iterable[str],
        progress: bool | None = None,
        total: int | None = None,
        nocopy: bool = False,
    ) -> None:
        """Create empty objects where there are none; what is there is not copied, whatever ``nocopy`` says."""
        if not isinstance(nocopy, bool):
            raise TypeError("nocopy is True or False")
        super().touch(paths, progress, total)

    def transfer_to(  # type: ignore[override]  # the order, and the result, of cloud-files
        self,
        cf_dest: Native | str,
        paths: Any = None,
        block_size: int = 64,
        reencode: str | bool | None = None,
        content_type: str | None = None,
        allow_missing: bool = False,
        progress: bool | None = None,
        resumable: bool = False,
        part_size: int | None = None,
    ) -> TransmissionMonitor:
        """The recording of a transfer to the destination (see ``holdfast.CloudFiles.transfer_to``).

        Paths are str, ``{"path", "dest_path"}`` or pairs (path, path there), or a CloudFiles whose objects are meant;
        one path may go to several. There are no blocks, because all is planned before the first object is sent:
        ``block_size`` must be a number of objects, and changes nothing.
        """
        with opened(cf_dest, self.num_threads) as target:
            return transferred(
                self, target, paths, block_size, self._shown(progress), reencode=reencode, content_type=content_type,
                allow_missing=allow_missing, resumable=resumable, part_size=part_size,
            )  # fmt: skip

    def transfer_from(  # type: ignore[override]  # the order, and the result, of cloud-files
        self,
        cf_src: Native | str,
        paths: Any = None,
        block_size: int = 64,
        reencode: str | bool | None = None,
        content_type: str | None = None,
        allow_missing: bool = False,
        progress: bool | None = None,
        resumable: bool = False,
        part_size: int | None = None,
    ) -> TransmissionMonitor:
        """The recording of a transfer to here: ``transfer_to`` seen from the other end."""
        with opened(cf_src, self.num_threads) as source:
            return transferred(
                source, self, paths, block_size, self._shown(progress), reencode=reencode, content_type=content_type,
                allow_missing=allow_missing, resumable=resumable, part_size=part_size,
            )  # fmt: skip

    def move(self, src: str, dest: str) -> Summary:
        """What was done to move one object to a location of its own; one with a trailing slash is a directory."""
        directory, name = paths_of.split_object(dest, paths_of.basename(src))
        return self.moves(directory, [(src, name)])

    def moves(  # type: ignore[override]  # the order of cloud-files
        self,
        cf_dest: Native | str,
        paths: Iterable[str | tuple[str, str]],
        block_size: int = 64,
        total: int | None = None,
        progress: bool | None = None,
        part_size: int | None = None,
    ) -> Summary:
        """What was done to move objects to the destination (see ``holdfast.CloudFiles.moves``).

        All are planned before the first one moves, so there are no blocks: ``block_size`` must be a number of objects,
        and changes nothing. The plan knows the ``total`` by itself.
        """
        if block_size < 1 or (total is not None and total < 0):
            raise ValueError(f"block_size={block_size} and total={total} are numbers of objects")
        pairs = [(path, path) if isinstance(path, str) else path for path in paths]
        with opened(cf_dest, self.num_threads) as target, Referred(self, target, pairs, move=True):
            return super().moves(target, pairs, progress, part_size)

    def _get_connection(self) -> Connection:
        """What tests of cloud-files look at objects through, in a with statement or without."""
        return Connection(self.store)


class Received(NamedTuple):
    """What a connection got: the stored bytes, their encoding, and a digest where one is known (None)."""

    content: bytes | None
    encoding: str | None
    hash: str | None
    hash_type: str | None


class Connection:
    """The stored objects, as they are."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    @property
    def _data(self) -> dict[str, bytes]:
        """All objects by the names under which they are stored."""
        inner = getattr(self._store, "store", self._store)
        return {row.key: inner.get(row.key) for row in inner._scan()}

    def get_file(
        self, path: str, start: int | None = None, end: int | None = None, part_size: int | None = None
    ) -> Received:
        """The stored bytes and their encoding; (None, None, None, None) where there is no object."""
        if part_size is not None and part_size < 1:
            raise ValueError("part_size is a number of bytes")
        try:
            with self._store._read(path, READ if start is end is None else ReadOptions(start, end)) as blob:
                encoding = blob.encoding
                return Received(blob.bytes(), _ENCODINGS.get(encoding or "", encoding), None, None)
        except FileNotFoundError:
            return Received(None, None, None, None)


class CloudFile(NativeFile):
    """One object, as cloud-files has it (see ``holdfast.CloudFile``): a local one is locked while it is used."""

    _files: ClassVar[type[Native]] = CloudFiles

    def __init__(
        self,
        path: str,
        cache_meta: bool = False,
        secrets: Any = None,
        composite_upload_threshold: int = int(1e8),
        locking: bool = True,
        lock_dir: str | None = None,
        endpoint: str | None = None,
        no_sign_request: bool = False,
        request_payer: str | bool | None = None,
        use_https: bool = False,
    ) -> None:
        super().__init__(
            path,
            cache_meta,
            secrets,
            composite_upload_threshold,
            locking=locking,
            lock_dir=lock_dir,
            endpoint=endpoint,
            no_sign_request=no_sign_request,
            request_payer=request_payer,
            use_https=use_https,
        )


def clear_memory() -> None:
    """Empty every ``mem://`` bucket of this process."""
    clear_all()
    forget_references()


@contextmanager
def opened(where: Native | str, threads: int | None = DEFAULT_THREADS) -> Iterator[Native]:
    """The CloudFiles that is meant; one that is opened here is closed at the end."""
    if isinstance(where, Native):
        yield where
    else:
        with CloudFiles(where, num_threads=threads) as made:
            yield made


def _compressed(args: tuple[Any, ...], kwargs: Mapping[str, Any], at: int) -> bool:
    return bool(kwargs.get("compress", args[at] if len(args) > at else None))


__all__ = ["CloudFile", "CloudFiles", "Connection", "Received", "clear_memory", "dl", "reset_connection_pools"]
