"""What became of a plan: totals, and by name everything that was not simply done."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

from .. import redact
from ..errors import HoldfastError, StoreError
from ..keys import printable
from ..progress import size_text
from .actions import Identity, Kind

Outcome = Literal["done", "already", "stale", "failed", "kept", "conflict", "refuse"]
#: So many results are shown of each kind; the summary has all of them.
SHOWN = 20

#: What the command line returns.
FAILED, STALE = 1, 3


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one action.

    ``outcome`` is "done", "already" (the target had it when its turn came, from an earlier run or from somebody else),
    "stale" (one side is not what was planned on any more: not done), "failed" (``error`` says why), "kept" (a deletion
    that was not done, for what ``detail`` says), "conflict" or "refuse" (as planned, so not done). ``atomic`` tells
    whether the condition was checked by the store in the same step, or (False) just before. ``target`` is the version
    that is there now; ``stamp`` its CRC-32C and size, where they are known. ``span`` is from when until when its bytes
    were sent (seconds of ``time.monotonic``). ``overtaken``: it was done, but the source changed meanwhile, and what is
    at the target may be of its newer version.
    """

    key: str
    kind: Kind
    outcome: Outcome
    detail: str = ""
    nbytes: int = 0
    atomic: bool = True
    source: Identity | None = None
    target: Identity | None = None
    error: HoldfastError | None = None
    stamp: str | None = None
    span: tuple[float, float] | None = None
    overtaken: bool = False

    @property
    def is_failure(self) -> bool:
        """Whether it was not done and may be tried again, by the next run with the same journal."""
        return self.outcome in {"failed", "kept"}

    def to_json(self) -> str:
        """The result as one line of JSON, without its end."""
        fields: dict[str, Any] = {"key": self.key, "action": self.kind, "outcome": self.outcome, "bytes": self.nbytes}
        if self.detail:
            fields["detail"] = self.detail
        if not self.atomic:
            fields["checked"] = "just before, not atomically"
        if self.overtaken:
            fields["overtaken"] = True
        return json.dumps(fields)


def reported(error: BaseException, key: str) -> HoldfastError:
    """The error as a Result has it: one that is not ours as a StoreError, without its secrets, and to be pickled."""
    return error if isinstance(error, HoldfastError) else StoreError(redact.error(error), key=key)


@dataclass
class Summary:
    """What a sync did; ``exit_code`` is 0 if all was done, 3 if something has changed since, 1 if something failed.

    ``counts`` has the results by kind of action and outcome, such as ``("add", "done")``; ``nbytes`` is what was sent.
    Everything that was not done is listed: ``stale``, ``failed``, ``kept``, ``conflicts``, ``refused``; and, as
    ``overtaken``, what was done though another version than the planned one may have been copied, which is 3 as well.
    ``checked`` counts changes whose condition could only be checked just before, not in the same step. ``warnings`` are
    the plan's. ``unaccounted`` counts actions of which nobody knows what became, which must not be: a failure.

    >>> summary = Summary()
    >>> summary.add(Result("a", "add", "done", nbytes=3))
    >>> summary.done, summary.nbytes, summary.exit_code
    (1, 3, 0)
    """

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    nbytes: int = 0
    checked: int = 0
    skipped: int = 0
    stale: list[Result] = field(default_factory=list)
    failed: list[Result] = field(default_factory=list)
    kept: list[Result] = field(default_factory=list)
    conflicts: list[Result] = field(default_factory=list)
    refused: list[Result] = field(default_factory=list)
    overtaken: list[Result] = field(default_factory=list)
    warnings: tuple[str, ...] = ()
    unaccounted: int = 0

    def add(self, result: Result) -> None:
        """Count one result in."""
        self.counts[result.kind, result.outcome] += 1
        if result.outcome == "done":
            self.nbytes += result.nbytes
            self.checked += not result.atomic
            if result.overtaken:
                self.overtaken.append(result)
        else:
            lists = {"stale": self.stale, "failed": self.failed, "kept": self.kept}
            lists |= {"conflict": self.conflicts, "refuse": self.refused}
            if result.outcome in lists:
                lists[result.outcome].append(result)

    def count(self, kind: Kind) -> int:
        """How many actions of this kind were done (or found done already)."""
        return self.counts[kind, "done"] + self.counts[kind, "already"]

    @property
    def done(self) -> int:
        """How many actions were done."""
        return sum(count for (_, outcome), count in self.counts.items() if outcome in {"done", "already"})

    @property
    def added(self) -> int:
        """How many objects are new at the target."""
        return self.count("add")

    @property
    def updated(self) -> int:
        """How many objects of the target were replaced."""
        return self.count("update")

    @property
    def deleted(self) -> int:
        """How many objects of the target are gone."""
        return self.count("delete")

    @property
    def exit_code(self) -> int:
        """What a program that did this returns: 0, 3 (something has changed since), or 1 (failed, refused)."""
        if self.failed or self.conflicts or self.refused or self.kept or self.unaccounted:
            return FAILED
        return STALE if self.stale or self.overtaken else 0

    def __str__(self) -> str:
        counts = f"{self.added} added, {self.updated} updated, {self.deleted} deleted, {self.skipped} skipped"
        lines = [f"{counts}; {size_text(self.nbytes)} sent"]
        for name, results in (
            ("stale (changed since the plan, not done)", self.stale),
            ("failed", self.failed),
            ("not deleted", self.kept),
            ("conflicts (not done)", self.conflicts),
            ("refused (not done)", self.refused),
            ("done, but overtaken by changes", self.overtaken),
        ):
            if results:
                lines.append(f"{len(results)} {name}:")
                lines += [f"  {printable(result.key)}: {result.detail}" for result in results[:SHOWN]]
                if len(results) > SHOWN:
                    lines.append(f"  and {len(results) - SHOWN} more")
        if self.unaccounted:
            lines.append(f"{self.unaccounted} actions of which nobody knows what became: plan again")
        lines += self.warnings
        if self.checked:
            lines.append(f"{self.checked} changes were checked just before they were made, not atomically with it")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """The summary as JSON has it."""
        lists = ("stale", "failed", "kept", "conflicts", "refused", "overtaken")
        return {
            "added": self.added,
            "updated": self.updated,
            "deleted": self.deleted,
            "skipped": self.skipped,
            "bytes": self.nbytes,
            "checked_not_atomic": self.checked,
            **{name: [json.loads(result.to_json()) for result in getattr(self, name)] for name in lists},
            "unaccounted": self.unaccounted,
            "warnings": list(self.warnings),
            "exit_code": self.exit_code,
        }
