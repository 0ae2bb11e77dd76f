"""The journal: a SQLite file in which an apply notes what is done, so that it can go on after any end.

One file holds any number of runs, each of one plan. Several workers, threads or processes, may apply one plan with one
journal at the same time: each claims tasks under a lease, which it renews while it lives and which others take over
when it has run out. Only what a worker has noted counts as done; a task that was begun and not noted is looked at
again, and not sent again if it had been done.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from .. import locks
from ..errors import ConfigError, StoreError
from .actions import Action, Identity
from .index import state_directory
from .performing import Task
from .plans import Plan
from .queue import PHASES, Phase, Queue, tasks_of
from .resuming import Pending
from .summary import Result
from .workers import lives, owner_name

#: So long (seconds) a task belongs to a worker that gives no sign of life.
LEASE = 60.0
#: A complete run that nobody touched for so long (seconds) is nobody's: workers touch theirs a few times in a lease.
ABANDONED = 86_400.0

_TODO, _LEASED, _DONE, _FAILED = range(4)

#: Executes one statement.
Execute = Callable[..., sqlite3.Cursor]

#: What a SQLite file says of itself that is a journal, and in which form. One of another form is refused: what older
#: ones lack, such as the CRCs of pieces, cannot be made up.
_APPLICATION, FORMAT = 0x486F6C64, 3
_TABLES = (
    """create table if not exists runs (
    id integer primary key autoincrement, fingerprint text not null unique, source text not null, target text not null,
    created real not null, touched real not null)""",
    """create table if not exists tasks (
    run integer not null references runs(id) on delete cascade, number integer not null, phase text not null,
    action text not null, state integer not null default 0, owner text, until real, tries integer not null default 0,
    result text, primary key (run, number)) without rowid""",
    "create index if not exists tasks_by_state on tasks (run, phase, state, number)",
    """create table if not exists transfers (
    name text primary key, target text not null, key text not null, token text not null, part integer not null,
    touched real not null) without rowid""",
    """create table if not exists pieces (
    transfer text not null references transfers(name) on delete cascade, number integer not null,
    crc integer not null, primary key (transfer, number)) without rowid""",
    """create table if not exists copies (
    run integer not null references runs(id) on delete cascade, key text not null, target text not null,
    primary key (run, key)) without rowid""",
    f"pragma application_id = {_APPLICATION}",
    f"pragma user_version = {FORMAT}",
)


@dataclass(frozen=True, slots=True)
class JournalledRun:
    """One run that a journal knows: the names of its places, when it was begun and last touched, what is left."""

    id: int
    source: str
    target: str
    created: float
    touched: float
    left: int


@dataclass(frozen=True, slots=True)
class JournalledTransfer:
    """A transfer in parts that a journal knows: its target, key and token, and when it was last touched."""

    name: str
    target: str
    key: str
    token: str
    touched: float


class Journal:
    """A file of runs; ``begin(plan)`` gives the Queue of one, begun now or earlier.

    ``lease`` in seconds is how long a worker that gives no sign of life keeps its tasks.

    >>> journal = Journal(":memory:")
    >>> list(journal.runs())
    []
    >>> journal.close()
    """

    def __init__(self, path: str | os.PathLike[str], *, lease: float = LEASE) -> None:
        self.path = os.fspath(path)
        self.lease = lease
        self._lock = locks.rlock()
        #: The transfers in parts that were begun, or gone on with, by way of this object.
        self._transfers: set[str] = set()
        #: The runs that were begun, or gone on with, by way of this object.
        self._runs: set[int] = set()
        try:
            if self.path != ":memory:":
                Path(self.path).parent.mkdir(parents=True, exist_ok=True)
                # It has the keys of private buckets; SQLite gives its other files the same mode.
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._connection = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None, timeout=60)
            is_new = self._is_new()
            for pragma in ("journal_mode=wal", "synchronous=normal", "foreign_keys=on"):
                self._connection.execute(f"pragma {pragma}")
            if is_new:
                with self.transaction() as execute:
                    for statement in _TABLES:
                        execute(statement)
        except (OSError, sqlite3.Error, StoreError) as error:
            raise ConfigError(f"{self.path} cannot be used as a journal ({error}): name another file") from error

    def _is_new(self) -> bool:
        """Whether the file is empty; ConfigError, and nothing is changed, if it is something else than a journal."""
        (tables,) = self._connection.execute("select count(*) from sqlite_master").fetchone()
        if not tables:
            return True
        (application,) = self._connection.execute("pragma application_id").fetchone()
        (version,) = self._connection.execute("pragma user_version").fetchone()
        if (application, version) != (_APPLICATION, FORMAT):
            self._connection.close()
            what = f"a journal of format {version}" if application == _APPLICATION else "an old journal, or none at all"
            raise ConfigError(f"{self.path} is {what}, and this Holdfast writes format {FORMAT}: name another file")
        return False

    @classmethod
    def default(cls) -> Self:
        """The journal of this user: below $XDG_CACHE_HOME/holdfast, or ~/.cache/holdfast."""
        return cls(cls.default_path())

    @staticmethod
    def default_path() -> Path:
        """Where the journal of this user is. Each format has a file of its own, for nobody can name another one."""
        return state_directory() / f"journal-{FORMAT}.sqlite"

    def begin(self, plan: Plan) -> JournalQueue:
        """The queue of this very plan: new, or as far as earlier runs and other workers have come."""
        fingerprint, now = plan.fingerprint, time.time()
        with self.transaction() as execute:
            row = execute("select id from runs where fingerprint = ?", (fingerprint,)).fetchone()
            if row is None:
                row = execute(
                    "insert into runs (fingerprint, source, target, created, touched) values (?, ?, ?, ?, ?)"
                    " returning id",
                    (fingerprint, plan.source.name, plan.target.name, now, now),
                ).fetchone()
                self._connection.executemany(
                    "insert into tasks (run, number, phase, action) values (?, ?, ?, ?)",
                    (
                        (row[0], task.number, phase, task.action.to_json())
                        for phase in PHASES
                        for task in tasks_of(plan, phase)
                    ),
                )
            else:
                execute("update tasks set state = ? where run = ? and state = ?", (_TODO, row[0], _FAILED))
                execute("update runs set touched = ? where id = ?", (now, row[0]))
        self._runs.add(row[0])
        return JournalQueue(self, row[0])

    def runs(self) -> Iterator[JournalledRun]:
        """The runs in the journal, oldest first."""
        sql = (
            "select id, source, target, created, touched,"
            " (select count(*) from tasks where run = runs.id and state <> ?) from runs order by id"
        )
        return (JournalledRun(*row) for row in self.select(sql, (_DONE,)))

    def has_workers(self) -> bool:
        """Whether a worker holds tasks of any run: it lives, or its lease has not run out and nobody knows."""
        with self.transaction() as execute:
            return _is_worked_on(execute)

    def drop(self, run: int) -> None:
        """Forget one run; StoreError while a worker is at it."""
        with self.transaction() as execute:
            if _is_worked_on(execute, run):
                raise StoreError(f"a sync is going on with it, so it stays in the journal {self.path}")
            execute("delete from runs where id = ?", (run,))

    def forget_complete(self) -> None:
        """Forget runs of which nothing is left: those begun by way of this object, and what nobody touched for a day.

        Others may be done and not over: an apply of another process still looks whether all of it is.
        """
        for run in self.runs():
            if not run.left and (run.id in self._runs or run.touched < time.time() - ABANDONED):
                self.drop(run.id)

    # ------------------------------------------------------------------ transfers in parts
    def pending(self, transfer: str) -> Pending | None:
        """What is known of the transfer of this name, or None."""
        self._transfers.add(transfer)
        rows = self.select("select token, part from transfers where name = ?", (transfer,))
        pieces = dict(self.select("select number, crc from pieces where transfer = ?", (transfer,)))
        return Pending(rows[0][0], rows[0][1], pieces) if rows else None

    def transfers(self) -> Iterator[JournalledTransfer]:
        """The transfers in parts that were begun and not ended, oldest first."""
        rows = self.select("select name, target, key, token, touched from transfers order by touched")
        return (JournalledTransfer(*row) for row in rows)

    def begin_transfer(self, transfer: str, target: str, key: str, token: str, part: int) -> None:
        """Remember a transfer in parts of so many bytes, and the token by which it goes on."""
        with self.transaction() as execute:
            execute(
                "insert or replace into transfers values (?, ?, ?, ?, ?, ?)",
                (transfer, target, key, token, part, time.time()),
            )

    def note_piece(self, transfer: str, number: int, crc: int) -> None:
        """Remember that a piece of it is in its spool, and its CRC-32."""
        with self.transaction() as execute:
            execute("insert or replace into pieces values (?, ?, ?)", (transfer, number, crc))
            execute("update transfers set touched = ? where name = ?", (time.time(), transfer))

    def end_transfer(self, transfer: str) -> None:
        """Forget a transfer, and its spool."""
        self._transfers.discard(transfer)
        with self.transaction() as execute:
            execute("delete from transfers where name = ?", (transfer,))
        if (spool := self.spool(transfer)) is not None:
            spool.unlink(missing_ok=True)

    def drop_transfer(self, transfer: str) -> None:
        """Forget a transfer that nobody ended, and its spool; StoreError while a worker is at it, or at anything."""
        with self.transaction() as execute:
            if _is_worked_on(execute):
                raise StoreError(f"a sync is going on, so its pieces stay in the journal {self.path}")
            execute("delete from transfers where name = ?", (transfer,))
            if (spool := self.spool(transfer)) is not None:
                spool.unlink(missing_ok=True)

    def spool(self, transfer: str) -> Path | None:
        """The file for the pieces of this transfer, beside the journal; None for a journal in memory."""
        return None if self.path == ":memory:" else Path(f"{self.path}.parts") / transfer

    def select(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows that a query gives."""
        with self._lock:
            return self._connection.execute(sql, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[Execute]:
        """A block whose statements are all kept, or none; what it gives executes one."""
        with self._lock:
            try:
                self._connection.execute("begin immediate")
                yield self._connection.execute
                self._connection.execute("commit")
            except BaseException as error:
                if self._connection.in_transaction:
                    self._connection.execute("rollback")
                if isinstance(error, sqlite3.Error):
                    raise StoreError(f"the journal {self.path} cannot be written: {error}", cause=error) from error
                raise

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class JournalQueue(Queue):
    """The tasks of one run, as the journal has them."""

    def __init__(self, journal: Journal, run: int) -> None:
        self.journal = journal
        self.run = run
        self.owner = owner_name()
        self._renewed = time.monotonic()

    def claim(self, phase: Phase, limit: int) -> list[Task]:
        return self._claim(phase, limit) or (self._claim(phase, limit) if self._free_the_orphans() else [])

    def _claim(self, phase: Phase, limit: int) -> list[Task]:
        now = time.time()
        with self.journal.transaction() as execute:
            self._look_for_run(execute)
            rows = execute(
                "select number, action, tries from tasks where run = ? and phase = ?"
                " and (state = ? or (state = ? and until < ? and owner <> ?)) order by number limit ?",
                (self.run, phase, _TODO, _LEASED, now, self.owner, limit),
            ).fetchall()
            for number, _, _ in rows:
                execute(
                    "update tasks set state = ?, owner = ?, until = ?, tries = tries + 1 where run = ? and number = ?",
                    (_LEASED, self.owner, now + self.journal.lease, self.run, number),
                )
        return [Task(number, Action.from_json(action), tries) for number, action, tries in rows]

    def _free_the_orphans(self) -> bool:
        """Whether tasks were freed whose worker, a process of this machine, is gone: nobody waits for its leases."""
        with self.journal.transaction() as execute:
            owners = execute(
                "select distinct owner from tasks where run = ? and state = ? and owner <> ?",
                (self.run, _LEASED, self.owner),
            ).fetchall()
            gone = [owner for (owner,) in owners if lives(owner) is False]
            for owner in gone:
                execute(
                    "update tasks set state = ?, owner = null where run = ? and state = ? and owner = ?",
                    (_TODO, self.run, _LEASED, owner),
                )
        return bool(gone)

    def renew(self) -> None:
        """Say that this worker lives, now and then: its tasks stay its own for another lease, and nothing gets old."""
        if time.monotonic() - self._renewed < self.journal.lease / 4:
            return
        self._renewed, now = time.monotonic(), time.time()
        with self.journal.transaction() as execute:
            execute(
                "update tasks set until = ? where run = ? and state = ? and owner = ?",
                (now + self.journal.lease, self.run, _LEASED, self.owner),
            )
            execute("update runs set touched = ? where id = ?", (now, self.run))
            for transfer in tuple(self.journal._transfers):
                execute("update transfers set touched = ? where name = ?", (now, transfer))

    def finish(self, results: Sequence[tuple[Task, Result]]) -> list[Result]:
        noted = []
        with self.journal.transaction() as execute:
            self._look_for_run(execute)
            for task, result in results:
                state = _FAILED if result.is_failure else _DONE
                kept = execute(
                    # What is done stays done, and who lost the lease has no say in whether the new owner will fail.
                    "update tasks set state = ?, owner = ?, until = null, result = ? where run = ? and number = ?"
                    " and state <> ? and (? or state <> ? or owner = ?)",
                    (
                        *(state, self.owner, result.to_json(), self.run, task.number),
                        *(_DONE, state == _DONE, _LEASED, self.owner),
                    ),
                )
                if kept.rowcount:
                    noted.append(result)
                if state == _DONE:
                    execute("delete from copies where run = ? and key = ?", (self.run, json.dumps(task.action.key)))
            execute("update runs set touched = ? where id = ?", (time.time(), self.run))
        self.renew()
        return noted

    def note_copy(self, key: str, target: Identity) -> None:
        """Remember, before a move deletes the source, which version of the target is proved to be its copy."""
        with self.journal.transaction() as execute:
            self._look_for_run(execute)
            values = self.run, json.dumps(key), json.dumps(target.to_json())
            execute("insert or replace into copies values (?, ?, ?)", values)

    def copy(self, key: str) -> Identity | None:
        """The version of the target that was proved to be a copy, before its source was to be deleted; or None."""
        sql = "select target from copies where run = ? and key = ?"
        rows = self.journal.select(sql, (self.run, json.dumps(key)))
        return Identity.from_json(json.loads(rows[0][0])) if rows else None

    def is_waiting(self, phase: Phase) -> bool:
        with self.journal.transaction() as execute:
            self._look_for_run(execute)
            return self._count(phase, _TODO, _LEASED) > 0

    def _look_for_run(self, execute: Execute) -> None:
        """Raise StoreError if somebody has dropped the run meanwhile: then nobody knows what of it is done."""
        if execute("select 1 from runs where id = ?", (self.run,)).fetchone() is None:
            raise StoreError(
                f"the journal {self.journal.path} has forgotten this run while it was going on: make the plan anew"
            )

    def release(self) -> None:
        with self.journal.transaction() as execute:
            execute(
                "update tasks set state = ?, owner = null where run = ? and state = ? and owner = ?",
                (_TODO, self.run, _LEASED, self.owner),
            )

    def failures(self) -> int:
        # What another worker is about to try again has not succeeded yet, either.
        return self._count("transfer", _TODO, _LEASED, _FAILED)

    def stale(self) -> int:
        rows = self.journal.select(
            "select count(*) from tasks where run = ? and phase = ? and state = ?"
            " and json_extract(result, '$.outcome') = 'stale'",
            (self.run, "transfer", _DONE),
        )
        return int(rows[0][0])

    def _count(self, phase: Phase, *states: int) -> int:
        marks = ", ".join("?" * len(states))
        rows = self.journal.select(
            f"select count(*) from tasks where run = ? and phase = ? and state in ({marks})",  # noqa: S608 - of marks
            (self.run, phase, *states),
        )
        return int(rows[0][0])

    def by_others(self) -> Iterator[Result]:
        """What became of the tasks that earlier runs of this plan, and other workers of this one, have finished."""
        rows = self.journal.select(
            "select action, result from tasks where run = ? and state in (?, ?) and owner <> ? order by number",
            (self.run, _DONE, _FAILED, self.owner),
        )
        for action, result in rows:
            fields = json.loads(result)
            planned = Action.from_json(action)
            yield Result(
                planned.key, planned.kind, fields["outcome"], fields.get("detail", ""),
                atomic="checked" not in fields, overtaken="overtaken" in fields,
            )  # fmt: skip


def _is_worked_on(execute: Execute, run: int | None = None) -> bool:
    """Whether a worker holds tasks of the run, or of any: it lives here, or its lease has not run out elsewhere."""
    rows = execute(
        "select owner, max(until) from tasks where state = ? and (run = ? or ?) group by owner",
        (_LEASED, run, run is None),
    ).fetchall()
    now = time.time()
    return any(until > now if (alive := lives(owner)) is None else alive for owner, until in rows)
