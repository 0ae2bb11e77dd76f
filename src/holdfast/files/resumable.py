"""``ResumableTransfer``: a transfer that any number of processes work on, and that goes on after any end."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterable
from contextlib import ExitStack
from typing import IO, Any

from .. import redact
from ..errors import ConfigError
from ..sync.applying import apply
from ..sync.journal import LEASE, Journal
from ..sync.plans import Plan
from ..sync.summary import Summary
from .cloudfiles import CloudFiles
from .transferring import open_files
from .transfers import planned_transfer, settled

FORMAT = 1


class ResumableTransfer:
    """A transfer from one CloudFiles to another, noted in the SQLite file ``db`` while it is under way.

    ``init`` plans it; ``execute`` does it, in this process or any other on this machine, in several at the same time,
    and again after any of them was killed: nothing that was noted is sent twice, and large objects go on in the
    middle. A worker holds what it works on for ``lease_msec`` milliseconds after its last sign of life (0: a minute);
    what workers of this machine held that have ended is taken over at once. ``close`` forgets everything.

    >>> import os, tempfile
    >>> from holdfast import CloudFiles
    >>> here, there = CloudFiles("mem://resumable-one"), CloudFiles("mem://resumable-two")
    >>> here["a"] = b"1"
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     transfer = ResumableTransfer(os.path.join(directory, "transfer.db"))
    ...     transfer.init(here, there)
    ...     summary = transfer.execute()
    ...     transfer.close()
    >>> summary.added, there["a"]
    (1, b'1')
    """

    def __init__(self, db: str | os.PathLike[str], lease_msec: int = 0) -> None:
        if lease_msec < 0:
            raise ConfigError(f"lease_msec={lease_msec} is no span of time")
        self.db = os.path.abspath(os.fspath(db))
        self.lease_msec = lease_msec

    def __repr__(self) -> str:
        return f"ResumableTransfer({self.db!r}, lease_msec={self.lease_msec})"

    def init(
        self,
        src: CloudFiles | str,
        dest: CloudFiles | str,
        paths: str | Iterable[str] | None = None,
        reencode: str | bool | None = None,
    ) -> None:
        """Plan the transfer of these paths (default: all), and note it; nothing is sent yet.

        Raises ConfigError if ``db`` has a transfer already, NotFound if a path is not there.
        """
        if os.path.exists(self._plan):
            raise ConfigError(f"{self.db} has a transfer already: execute it, or close it to forget it")
        with ExitStack() as opened:
            source, target = open_files(src, opened), open_files(dest, opened)
            requests = [paths] if isinstance(paths, str) else paths
            planned = planned_transfer(source.store, target.store, requests, reencode, threads=source.num_threads)
            with Journal(self.db) as journal:
                journal.begin(planned)
            places = {"source": redact.url(source.cloudpath), "target": redact.url(target.cloudpath)}
            unfinished = f"{self._plan}.{os.getpid()}"
            with open(unfinished, "w", encoding="utf-8") as file:
                file.write(json.dumps({"holdfast_transfer": FORMAT, **places}) + "\n")
                planned.write(file)
            os.replace(unfinished, self._plan)

    def execute(
        self,
        progress: bool = False,
        src: CloudFiles | str | None = None,
        dest: CloudFiles | str | None = None,
        block_size: int | None = None,
    ) -> Summary:
        """What was done, by all workers so far; it returns when nothing is left, with this or any other worker.

        The two ends are opened by their locations: pass them where they need credentials or an address of their own,
        or were stores. Raises ConfigError if there is no transfer, else as ``CloudFiles.transfer_to`` does. What
        failed is tried again by the next call. This worker claims ``block_size`` objects, does them, then claims the
        next ones: fewer leave more to others (default: as they come). What changed on either side since ``init`` is not
        transferred, now or later, and raises Conflict or PartialFailure each time: ``close`` the transfer and ``init``
        another one.
        """
        with ExitStack() as opened:
            try:
                file = opened.enter_context(open(self._plan, encoding="utf-8"))
            except FileNotFoundError as error:
                raise ConfigError(f"{self.db} has no transfer: call init first") from error
            places = _places_of(file, self._plan)
            source = open_files(places["source"] if src is None else src, opened)
            target = open_files(places["target"] if dest is None else dest, opened)
            planned = Plan.read(file, source, target)
            journal = opened.enter_context(Journal(self.db, lease=self.lease_msec / 1000 or LEASE))
            threads = min(filter(None, (source.num_threads, target.num_threads)), default=None)
            done = apply(planned, journal=journal, threads=threads, block_size=block_size, progress=progress)
            return settled(done, planned.target)

    def close(self) -> None:
        """Forget the transfer: its file, and what lies beside it, is deleted."""
        for path in (self._plan, self.db, f"{self.db}-wal", f"{self.db}-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        shutil.rmtree(f"{self.db}.parts", ignore_errors=True)

    @property
    def _plan(self) -> str:
        """Where the plan is kept that all workers read."""
        return f"{self.db}.plan"


def _places_of(file: IO[str], path: str) -> dict[str, Any]:
    try:
        places: dict[str, Any] = json.loads(file.readline())
        if places["holdfast_transfer"] == FORMAT and isinstance(places["source"], str):
            return places
    except (ValueError, KeyError, TypeError):
        pass
    raise ConfigError(f"{path} is no transfer of this Holdfast: close it, and call init again")
