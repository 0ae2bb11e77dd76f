"""ResumableTransfer with the arguments of cloud-files, and the tables in its file that programs look at."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from typing import Any

from ... import redact
from ...files.resumable import ResumableTransfer as Native
from ...sync.summary import Summary
from .cloudfiles import CloudFiles, opened

#: What cloud-files keeps, read from Holdfast's journal, so that it cannot say anything else. State 2 is "done".
_TABLES = """
create table xfermeta (
    id integer primary key, source text not null, dest text not null, reencode text, created integer not null);
create table already_there (filename text not null);
create view filelist as
    select number + 1 as id, json_extract(action, '$.key') as filename, state = 2 as finished,
        coalesce(cast(until * 1000 as integer), 0) as lease from tasks
    union all select null, filename, 1, 0 from already_there;
create view stats as
    select 1 as id, 'finished' as key, (select count(*) from filelist where finished = 1) as value;
"""


class ResumableTransfer(Native):
    """A transfer noted in a SQLite file (see ``holdfast.ResumableTransfer``); its length is what is left to do.

    The file has what cloud-files keeps in its own: ``xfermeta`` (source, dest, reencode, created), ``filelist``
    (filename, finished, lease) and ``stats`` (key, value), for reading. ``lease_msec=0`` is a lease of a minute here,
    renewed while the worker lives, so that two workers never send the same.

    >>> import tempfile
    >>> _ = CloudFiles("mem://resumable-compat").put("a", b"1")
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     transfer = ResumableTransfer(os.path.join(directory, "transfer.db"))
    ...     transfer.init("mem://resumable-compat", "mem://resumable-compat-copy")
    ...     left = len(transfer)
    ...     _ = transfer.execute()
    ...     left, len(transfer), CloudFiles("mem://resumable-compat-copy").get("a")
    (1, 0, b'1')
    """

    @property
    def db_path(self) -> str:
        """The SQLite file."""
        return self.db

    def init(
        self,
        src: CloudFiles | str,  # type: ignore[override]  # locations are those of cloud-files here
        dest: CloudFiles | str,  # type: ignore[override]
        paths: CloudFiles | str | Iterable[str] | None = None,
        reencode: str | bool | None = None,
    ) -> None:
        """Plan the transfer of these paths (default: all), and note it; nothing is sent yet.

        A str is a location whose paths are meant, as is a CloudFiles. Raises ConfigError if the file has a transfer
        already: a transfer that is under way is not forgotten by accident.
        """
        with opened(src) as source, opened(dest) as target:
            wanted = None if paths is None else list(CloudFiles(paths) if isinstance(paths, str) else paths)
            super().init(source, target, wanted, reencode)
            names = source if wanted is None else wanted
            with closing(sqlite3.connect(self.db)) as connection, connection:
                connection.executescript(_TABLES)
                places = redact.url(source.cloudpath), redact.url(target.cloudpath)
                connection.execute(
                    "insert into xfermeta values (1, ?, ?, ?, ?)",
                    (*places, reencode or (None if reencode is None else ""), int(time.time() * 1000)),
                )
                connection.execute("create temporary table wanted (filename text)")
                connection.executemany("insert into wanted values (?)", ((name,) for name in names))
                connection.execute(
                    "insert into already_there select filename from wanted where filename not in"
                    " (select filename from filelist)"
                )

    def execute(  # type: ignore[override]  # the order of cloud-files
        self,
        progress: bool = False,
        block_size: int = 200,
        src: CloudFiles | str | None = None,
        dest: CloudFiles | str | None = None,
    ) -> Summary:
        """What was done, by all workers so far (see ``holdfast.ResumableTransfer.execute``)."""
        if block_size < 1:
            raise ValueError(f"block_size={block_size} is a number of objects")
        return super().execute(progress, src, dest, block_size)

    def __len__(self) -> int:
        if not os.path.exists(self.db):
            return 0
        with closing(sqlite3.connect(self.db)) as connection:
            found: Any = connection.execute("select count(*) from filelist where finished = 0").fetchone()
        return int(found[0])

    def __bool__(self) -> bool:
        return True  # also when nothing is left
