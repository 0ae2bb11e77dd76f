"""The part of CloudFiles that sends objects to other CloudFiles: transfers and moves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from .. import redact, url
from ..store import ObjectStore
from .green import Left
from .work import Work

if TYPE_CHECKING:
    from ..sync.summary import Result, Summary
    from .cloudfiles import CloudFiles
    from .transfers import TransferRequest


class Transfers:
    """Transfers and moves between two CloudFiles. The planner of ``holdfast.sync`` is imported when one is made."""

    store: ObjectStore
    _work: Work
    progress: bool
    num_threads: int | None

    def transfer_to(
        self,
        cf_dest: CloudFiles | str,
        paths: TransferRequest | Iterable[TransferRequest] | None = None,
        reencode: str | bool | None = None,
        content_type: str | None = None,
        allow_missing: bool = False,
        progress: bool | None = None,
        resumable: bool = False,
        part_size: int | None = None,
    ) -> Summary:
        """What was done to have the objects of ``paths`` (default: all of them) at the destination as well.

        ``cf_dest`` is a CloudFiles or a location. A path may be ``{"path": ..., "dest_path": ...}`` to get another
        name there. What is there already with the same bytes is not sent again; stored bytes and attributes are kept
        as they are, but for ``reencode`` (gzip, br, zstd, ... or "" for decoded) and ``content_type``. Between two
        places of one service and login the service copies. ``resumable`` notes in the user's journal how far it has
        come: the same call goes on there after it was killed, large objects in the middle. ``part_size`` is the size
        (bytes) of the parts in which larger objects are sent (default: what is fast).

        Raises NotFound (a FileNotFoundError) before anything is sent if a path is not there, unless
        ``allow_missing``; ValueError if two would get one name; else the error of the object that failed, or
        PartialFailure for several, whose ``outcomes`` tell of each. The rest was done then.

        >>> from holdfast import CloudFiles
        >>> here, there = CloudFiles("mem://transfer-one"), CloudFiles("mem://transfer-two")
        >>> here.puts([("a", b"1"), ("b", b"22")])
        2
        >>> here.transfer_to(there, ["a", {"path": "b", "dest_path": "c"}]).added, list(there)
        (2, ['a', 'c'])
        """
        with ExitStack() as opened:
            target = open_files(cf_dest, opened)
            return transfer_between(
                self, target, paths, self._shown(progress), reencode=reencode, content_type=content_type,
                allow_missing=allow_missing, resumable=resumable, part_size=part_size,
            )  # fmt: skip

    def transfer_from(
        self,
        cf_src: CloudFiles | str,
        paths: TransferRequest | Iterable[TransferRequest] | None = None,
        reencode: str | bool | None = None,
        content_type: str | None = None,
        allow_missing: bool = False,
        progress: bool | None = None,
        resumable: bool = False,
        part_size: int | None = None,
    ) -> Summary:
        """What was done to have the objects of ``cf_src`` here: ``transfer_to`` seen from the other end.

        >>> from holdfast import CloudFiles
        >>> here, there = CloudFiles("mem://transfer-three"), CloudFiles("mem://transfer-four")
        >>> there["a"] = b"1"
        >>> here.transfer_from(there).added, here["a"]
        (1, b'1')
        """
        with ExitStack() as opened:
            source = open_files(cf_src, opened)
            return transfer_between(
                source, self, paths, self._shown(progress), reencode=reencode, content_type=content_type,
                allow_missing=allow_missing, resumable=resumable, part_size=part_size,
            )  # fmt: skip

    def move(self, src: str, dest: str) -> Summary:
        """What was done to move one object: ``dest`` is its new path here, or a location elsewhere.

        A location has a scheme (``s3://bucket/key``) or is a local path that begins with "/", "./", "../" or "~";
        it names the object itself, not a directory. The source is deleted when the copy is proved to hold its bytes,
        and only that very version of it. Raises as ``moves`` does.
        """
        if not _is_location(dest):
            return self.moves(self, [(src, dest)], progress=False)
        if url.parse(dest).is_directory:
            raise ValueError(f"{redact.url(dest)} is a directory: name the object")
        directory, _, name = dest.rpartition("/")
        return self.moves(f"{directory}/", [(src, name)], progress=False)

    def moves(
        self,
        cf_dest: CloudFiles | Transfers | str,
        paths: Iterable[str | tuple[str, str]],
        progress: bool | None = None,
        part_size: int | None = None,
    ) -> Summary:
        """What was done to move objects to the destination, from (path here, path there) or one path for both.

        Each source is deleted when its copy is proved to hold its bytes, by digests or by reading it back, and only
        that very version of it. ``part_size`` is as for ``transfer_to``.

        Raises NotFound if one is not there, ValueError if two would get one name or one two, or one that of a directory
        ("there/"), ConfigError if one would be moved onto itself or another that is moved as well: then nothing was
        moved. What fails later is raised as by ``transfer_to``.

        >>> from holdfast import CloudFiles
        >>> files = CloudFiles("mem://moves")
        >>> files.puts([("a", b"1"), ("b", b"22")])
        2
        >>> files.moves(files, [("a", "c"), ("b", "d/e")]).done, list(files)
        (2, ['c', 'd/e'])
        """
        pairs = [(path, path) if isinstance(path, str) else path for path in paths]
        requests = [{"path": path, "dest_path": name} for path, name in pairs]
        if len({request["path"] for request in requests}) < len(requests):
            raise ValueError("one path is to be moved twice: nothing was moved")
        with ExitStack() as opened:
            target = open_files(cf_dest, opened).store
            return _performed(
                self, target, requests, move=True, threads=self.num_threads, part_size=part_size,
                progress=self._shown(progress),
            )  # fmt: skip

    def _shown(self, progress: bool | None) -> bool:
        return self.progress if progress is None else progress


def transfer_between(
    source: Transfers,
    target: Transfers,
    paths: TransferRequest | Iterable[TransferRequest] | None,
    progress: bool,
    *,
    resumable: bool,
    **options: Any,
) -> Summary:
    """What was done to have objects of the source at the target; the options are those of ``transfers.transfer``."""
    from ..sync.journal import Journal

    threads = min(filter(None, (source.num_threads, target.num_threads)), default=None)
    with ExitStack() as opened:
        journal = opened.enter_context(Journal.default()) if resumable else None
        summary = _performed(
            source, target.store, paths, journal=journal, threads=threads, progress=progress, **options
        )
        if journal is not None:
            journal.forget_complete()
        return summary


def _performed(
    source: Transfers,
    target: ObjectStore,
    paths: TransferRequest | Iterable[TransferRequest] | None,
    on_result: Callable[[Result], None] | None = None,
    **options: Any,
) -> Summary:
    """What was done, here or where no greenlet is kept waiting; it ends when the greenlet that waits for it goes."""
    from .transfers import transfer

    left = False

    def noted(result: Result) -> None:
        if left:
            raise Left
        if on_result is not None:
            on_result(result)

    try:
        return source._work.one(lambda: transfer(source.store, target, paths, on_result=noted, **options))
    finally:
        left = True


def open_files(where: Any, opened: ExitStack) -> CloudFiles:
    """The CloudFiles that is meant; one that is opened here is closed with the stack."""
    from .cloudfiles import CloudFiles

    return where if isinstance(where, CloudFiles) else opened.enter_context(CloudFiles(where))


def _is_location(path: str) -> bool:
    return "://" in path or path.startswith(("/", "./", "../", "~"))
