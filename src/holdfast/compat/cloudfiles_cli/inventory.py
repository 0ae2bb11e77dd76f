"""``ls --sqlite``: a listing in a database with the tables of cloud-files, which goes on where it was when it ended."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import click

from ...cli.inventory import kept, told
from ...errors import ConfigError
from ...files.requests import batches
from ...progress import bar
from ..cloudfiles import CloudFiles

#: So many rows are written together, with the place where the listing goes on.
ROWS = 5000
_TABLES = """
create table if not exists files (id integer primary key autoincrement, path text not null unique, size integer);
create table if not exists checkpoint (
    id integer primary key autoincrement, page_token text, rows_done integer default 0,
    updated_at datetime default current_timestamp);
create table if not exists metadata (id integer primary key autoincrement, name text, value text);
insert or ignore into checkpoint (id, page_token, rows_done) values (1, '', 0);
insert or ignore into metadata (id, name, value) values (1, 'cloudpath', '');
"""


def write(files: CloudFiles, database: str, prefixes: list[str], suffix: str, *, flat: bool, progress: bool) -> None:
    """Write paths and sizes into the database, after those that it has.

    ``prefixes`` are in order, and none begins with another: so one place, the last path, tells where to go on. A
    database of another location is left as it is, and told of.
    """
    try:
        connection = sqlite3.connect(database, isolation_level=None)
        connection.executescript(_TABLES)
    except sqlite3.Error as error:
        raise ConfigError(f"{database} cannot be a database of a listing ({error}): name another file") from error
    with closing(connection):
        saved = _value(connection, "select value from metadata where name = 'cloudpath'")
        if saved not in {"", files.cloudpath}:
            click.echo(f"Cloudpath does not match database. Aborting.\nSaved: {saved}\nArgument: {files.cloudpath}")
            return
        connection.execute("update metadata set value = ? where name = 'cloudpath'", (files.cloudpath,))
        token = _value(connection, "select page_token from checkpoint") or None
        done = _value(connection, "select rows_done from checkpoint")
        if progress and token is not None:
            click.echo(f"Resuming from {done} rows.")
        with bar(progress, "Files") as shown:
            shown.advance(done)
            for prefix in prefixes:
                rows = files.list(prefix, flat, size=True, return_resume_token=True, resume_token=token)
                for batch in batches(rows, ROWS):
                    wanted = [(kept(path), size) for path, size, _ in batch if path.endswith(suffix)]
                    connection.execute("begin immediate")
                    connection.executemany("insert or replace into files (path, size) values (?, ?)", wanted)
                    connection.execute(
                        "update checkpoint set page_token = ?, rows_done = rows_done + ?,"
                        " updated_at = current_timestamp",
                        (kept(batch[-1][2]), len(wanted)),
                    )
                    connection.execute("commit")
                    shown.advance(len(wanted))


def _value(connection: sqlite3.Connection, query: str) -> Any:
    (found,) = connection.execute(query).fetchone()
    return told(found)
