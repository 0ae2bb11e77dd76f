"""A plan: everything that a sync would do, to be looked at, kept, and applied later."""

from __future__ import annotations

import hashlib
import html
import json
import os
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import IO, Any

from ..errors import ConfigError
from ..keys import printable
from ..progress import print_table, size_text
from .actions import KINDS, Action, Kind
from .places import Place, place
from .sequence import Actions

FORMAT = 1
#: So many rows are shown of a plan; all of them are in its JSON lines.
SHOWN = 50


@dataclass(frozen=True)
class Terms:
    """What a plan was asked for, and what it found about the two sides as a whole.

    ``in_scope`` counts the target's keys that the filters let through, ``listed`` the source's of any name.
    ``recoverable`` tells whether the target keeps what is deleted or overwritten (a versioned bucket): None if nobody
    can tell. ``max_delete`` is the number of deletions above which none is done. ``reencode`` is the content encoding
    that objects get on their way ("" decodes them), None for none; ``content_type`` what they get in place of their
    own. ``id`` tells this plan from every other one, also
    from those that do the same.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    compare: str = "auto"
    on_unknown: str = "ask"
    names: str = "auto"
    delete: bool = False
    move: bool = False
    reencode: str | None = None
    content_type: str | None = None
    max_delete: int = 0
    listed: int = 0
    in_scope: int = 0
    recoverable: bool | None = None
    warnings: tuple[str, ...] = ()
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    id: str = field(default_factory=lambda: secrets.token_hex(8))


class Plan:
    """For each key one Action, in the order of the keys; iterate over it, print it, write it to disk, apply it.

    ``source`` and ``target`` are the two places, ``terms`` what was asked for. ``counts`` and ``nbytes`` are totals by
    kind of action. ``str(plan)`` is a table, which is HTML in a notebook. A plan of any length takes little memory.

    >>> from holdfast.stores.memory import MemoryStore
    >>> from holdfast.sync import plan
    >>> source, target = MemoryStore(), MemoryStore()
    >>> _ = source.put("a", b"1"), target.put("b", b"2")
    >>> for action in plan(source, target, delete=True):
    ...     print(action.kind, action.key, "-", action.reason)
    add a - only in the source
    delete b - not in the source
    """

    def __init__(self, source: Place, target: Place, terms: Terms, actions: Actions | Iterable[Action]) -> None:
        self.source = source
        self.target = target
        self.terms = terms
        self._actions = actions if isinstance(actions, Actions) else Actions(actions)

    @property
    def counts(self) -> Counter[str]:
        """How many actions there are of each kind."""
        return self._actions.counts

    @property
    def nbytes(self) -> Counter[str]:
        """How many bytes the actions of each kind send, or delete."""
        return self._actions.nbytes

    # ------------------------------------------------------------------ what is in it
    def __iter__(self) -> Iterator[Action]:
        return iter(self._actions)

    def __len__(self) -> int:
        return len(self._actions)

    def __bool__(self) -> bool:
        return True

    def of_kind(self, *kinds: Kind) -> Iterator[Action]:
        """The actions of these kinds."""
        return (action for action in self if action.kind in kinds)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do and nothing to complain of: every key is skipped."""
        return self.counts["skip"] == len(self) and not (self.terms.move and len(self))

    @property
    def deletes_too_many(self) -> bool:
        """Whether the plan has more deletions than ``terms.max_delete``, so that none will be done."""
        return self.counts["delete"] > self.terms.max_delete

    @property
    def fingerprint(self) -> str:
        """A digest of all that the plan does: the same for one that was read from disk as for the one written."""
        digest = hashlib.sha256(json.dumps(self._header(), sort_keys=True).encode())
        for action in self:
            if action.kind != "skip" or self.terms.move:
                digest.update(action.to_json().encode() + b"\n")
        return digest.hexdigest()

    def decide(self, what: str) -> Plan:
        """The same plan, with what could not be compared decided: "transfer" sends it, "skip" leaves it."""
        if what not in ("transfer", "skip"):
            raise ConfigError(f"{what!r} is no decision: say 'transfer' or 'skip'")
        kind: Kind = "update" if what == "transfer" else "skip"
        decided = (
            Action(action.key, kind, f"{action.reason}; decided to {what}", action.source, action.target)
            if is_undecided(action)
            else action
            for action in self
        )
        return Plan(self.source, self.target, self.terms, decided)

    # ------------------------------------------------------------------ on disk
    def write(self, file: str | os.PathLike[str] | IO[str]) -> None:
        """Write the plan as JSON lines: the first one says what the plan is, each other one is an action."""
        if isinstance(file, str | os.PathLike):
            with open(file, "w", encoding="utf-8") as opened:
                self.write(opened)
            return
        file.write(json.dumps(self._header()) + "\n")
        for action in self:
            file.write(action.to_json() + "\n")

    @classmethod
    def read(cls, file: str | os.PathLike[str] | IO[str], source: Any = None, target: Any = None) -> Plan:
        """The plan that was written; ConfigError for a file that is none, or is cut short.

        The places are opened by their locations; pass the stores if they were given as objects, or need credentials
        of their own. They must go by the names that they had.
        """
        if isinstance(file, str | os.PathLike):
            with open(file, encoding="utf-8") as opened:
                return cls.read(opened, source, target)
        header = _header_of(file.readline())
        known = {one.name for one in fields(Terms)}
        terms: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in header["terms"].items()
            if name in known
        }
        plan = cls(
            _opened(source, header["source"], "source"),
            _opened(target, header["target"], "target"),
            Terms(**terms),
            (Action.from_json(line) for line in file),
        )
        if len(plan) != header["actions"]:
            raise ConfigError(f"the plan is cut short: {len(plan)} of {header['actions']} actions are there")
        return plan

    def _header(self) -> dict[str, Any]:
        terms = {one.name: getattr(self.terms, one.name) for one in fields(Terms)}
        places = {
            name: {"name": where.name, "location": where.location}
            for name, where in (("source", self.source), ("target", self.target))
        }
        return {"holdfast_plan": FORMAT, **places, "terms": terms, "actions": len(self)}

    # ------------------------------------------------------------------ to look at
    def totals(self) -> list[str]:
        """One line for each kind of action, and what to know before it is applied."""
        lines = [
            f"{kind}: {self.counts[kind]}" + (f" ({size_text(self.nbytes[kind])})" if kind in SIZED else "")
            for kind in KINDS
            if self.counts[kind]
        ]
        return [", ".join(lines) or "nothing to do", *self._notes()]

    def _notes(self) -> Iterator[str]:
        if self.counts["delete"]:
            yield f"Deletions are {DELETIONS[self.terms.recoverable]}."
        if self.deletes_too_many:
            yield (
                f"{self.counts['delete']} deletions are more than max_delete={self.terms.max_delete}: none will be "
                f"done; {cure_of_too_many(self.counts['delete'])}"
            )
        yield from self.terms.warnings

    def rows(self, limit: int | None = None) -> Iterator[tuple[str, str, str, str]]:
        """The actions but for skips as text to show: kind, size, key, reason; at most ``limit``."""
        shown = 0
        for action in self:
            if action.kind != "skip":
                if limit is not None and shown >= limit:
                    return
                shown += 1
                yield action.kind, _size(action), printable(action.key), action.reason

    def __str__(self) -> str:
        rows = list(self.rows(SHOWN))
        lines = [f"{printable(self.source.name)} -> {printable(self.target.name)}"]
        widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
        for kind, size, key, reason in rows:
            lines.append(f"  {kind:<{widths[0]}}  {size:>{widths[1]}}  {key:<{widths[2]}}  {reason}")
        return "\n".join([*lines, *self._more(rows), *self.totals()])

    def _more(self, rows: list[Any]) -> list[str]:
        left = len(self) - self.counts["skip"] - len(rows)
        return [f"  and {left} more"] if left else []

    def __repr__(self) -> str:
        counts = ", ".join(f"{kind}={self.counts[kind]}" for kind in KINDS if self.counts[kind])
        return f"<Plan {printable(self.source.name)} -> {printable(self.target.name)}: {counts or 'nothing'}>"

    def _repr_html_(self) -> str:
        escape = html.escape
        rows = list(self.rows(SHOWN))
        body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
        head = "".join(f"<th>{name}</th>" for name in COLUMNS)
        title = f"{escape(printable(self.source.name))} &rarr; {escape(printable(self.target.name))}"
        below = "".join(f"<div>{escape(line)}</div>" for line in [*self._more(rows), *self.totals()])
        return f"<div><b>{title}</b><table><tr>{head}</tr>{body}</table>{below}</div>"

    def print(self, file: IO[str] | None = None) -> None:
        """Draw the plan as a table, on standard output or into the file; with colours where that is a terminal."""
        rows = list(self.rows(SHOWN))
        title = f"{printable(self.source.name)} -> {printable(self.target.name)}"
        print_table(title, COLUMNS, rows, footer=[*self._more(rows), *self.totals()], styles=STYLES, file=file)


COLUMNS = ("action", "size", "key", "reason")
STYLES = {"add": "green", "update": "yellow", "delete": "red", "conflict": "magenta", "refuse": "bold red"}
DELETIONS = {
    True: "recoverable: the target keeps older versions",
    False: "permanent",
    None: "permanent, unless the target keeps older versions (it does not tell)",
}
#: The kinds of actions of which the bytes are told.
SIZED = ("add", "update", "delete")
UNCOMPARED = "could not be compared"
#: The warning of a plan to delete what an empty source does not have, and why each object is kept.
NOTHING_LISTED = "the source lists nothing, so nothing is deleted"
KEPT_FROM_NOTHING = "the source lists nothing, which may be a mistake: nothing is deleted"


def is_undecided(action: Action) -> bool:
    """Whether this is a conflict only because nobody can tell whether the two sides are equal."""
    return action.undecided


def is_uncompared(action: Action) -> bool:
    """Whether this is a conflict because the comparison failed."""
    return action.kind == "conflict" and action.reason.startswith(UNCOMPARED)


def cure_of_too_many(deletions: int) -> str:
    """What to do where so many deletions are more than ``max_delete``, in Python and on the command line."""
    return f"if they are meant, pass max_delete={deletions} (--max-delete {deletions})"


def _size(action: Action) -> str:
    """How much is sent, or deleted, as text to show."""
    known = action.kind != "delete" or (action.target is not None and action.target.size is not None)
    return size_text(action.nbytes) if known and action.kind in SIZED else ""


def _header_of(line: str) -> dict[str, Any]:
    try:
        header: dict[str, Any] = json.loads(line)
        version = header["holdfast_plan"]
        _ = header["terms"].items(), header["source"]["name"], header["target"]["name"], header["actions"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError("this is no plan: its first line does not say what it is") from error
    if version != FORMAT:
        raise ConfigError(f"this plan has format {version}, and this Holdfast reads {FORMAT}")
    return header


def _opened(given: Any, written: dict[str, Any], side: str) -> Place:
    where = given if given is not None else written["location"]
    if where is None:
        raise ConfigError(f"the plan's {side}, {written['name']}, was no location: pass {side}=")
    opened = place(where)
    if opened.name != written["name"]:
        raise ConfigError(f"the plan's {side} is {written['name']}, and {opened.name} was given")
    return opened
