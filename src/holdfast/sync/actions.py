"""What a plan is made of: for each key one action, its reason, and the identities that it rests on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from ..errors import ConfigError
from ..types import ObjectInfo

Kind = Literal["add", "update", "skip", "delete", "conflict", "refuse"]
#: All kinds of actions, in the order in which totals are shown.
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Identity:
    """Which version of an object was seen when the plan was made.

    ``etag`` is the service's ETag; of a plain file it is made of its inode, size, mtime_ns and ctime_ns. ``size`` is in
    stored bytes; each is None where the store does not tell.
    """

    size: int | None = None
    etag: str | None = None
    last_modified: datetime | None = None

    @classmethod
    def of(cls, info: ObjectInfo) -> Identity:
        """The identity of the object that this row or head tells of."""
        return cls(info.size, info.etag, info.last_modified)

    def matches(self, info: ObjectInfo) -> bool:
        """Whether the object still is this version: by ETag where both have one, else by size and time.

        >>> Identity(3, '"x"').matches(ObjectInfo("a", size=3, etag='"x"'))
        True
        """
        if self.size is not None and info.size is not None and self.size != info.size:
            return False
        if self.etag is not None and info.etag is not None:
            return self.etag == info.etag
        # What neither store tells cannot differ; a time that only one of the two answers has proves nothing.
        return self.last_modified is None or info.last_modified is None or self.last_modified == info.last_modified

    def to_json(self) -> dict[str, Any]:
        """The identity as JSON has it."""
        modified = None if self.last_modified is None else self.last_modified.isoformat()
        return {"size": self.size, "etag": self.etag, "last_modified": modified}

    @classmethod
    def from_json(cls, fields: dict[str, Any] | None) -> Identity | None:
        """The identity that was written, or None for none."""
        if fields is None:
            return None
        modified = fields.get("last_modified")
        return cls(
            fields.get("size"), fields.get("etag"), None if modified is None else datetime.fromisoformat(modified)
        )


@dataclass(frozen=True, slots=True)
class Action:
    """What is to be done with one key, and why.

    ``kind`` is "add" (the target lacks it), "update" (it differs), "skip" (nothing to do), "delete" (the source lacks
    it), "conflict" (the two sides stand in each other's way, or it is not known whether they are equal) or "refuse"
    (it must not be done). ``source`` and ``target`` are the versions that were seen, None where there is no object.
    ``late``: its turn comes after the deletions, because what is deleted is in its way. ``undecided``: it is a conflict
    only because nobody can tell whether the two are equal, so that ``Plan.decide`` settles it.

    >>> Action("a", "add", "only in the source", source=Identity(3)).nbytes
    3
    """

    key: str
    kind: Kind
    reason: str
    source: Identity | None = None
    target: Identity | None = None
    late: bool = False
    undecided: bool = False

    @property
    def nbytes(self) -> int:
        """How many bytes are to be sent, or of a deletion, how many go."""
        where = self.target if self.kind == "delete" else self.source if self.kind in ("add", "update") else None
        return 0 if where is None else where.size or 0

    @property
    def is_change(self) -> bool:
        """Whether it changes the target."""
        return self.kind in ("add", "update", "delete")

    def to_json(self) -> str:
        """The action as one line of JSON, without its end."""
        fields: dict[str, Any] = {"key": self.key, "action": self.kind, "reason": self.reason}
        for name in ("source", "target"):
            identity: Identity | None = getattr(self, name)
            if identity is not None:
                fields[name] = identity.to_json()
        for name in ("late", "undecided"):
            if getattr(self, name):
                fields[name] = True
        return json.dumps(fields, separators=(",", ":"))

    @classmethod
    def from_json(cls, line: str | bytes) -> Action:
        """The action that the line says; ConfigError if it says none."""
        try:
            fields = json.loads(line)
            key, kind, reason = fields["key"], fields["action"], fields["reason"]
            late, undecided = (fields.get(name, False) is True for name in ("late", "undecided"))
            source, target = Identity.from_json(fields.get("source")), Identity.from_json(fields.get("target"))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(f"a line of the plan is no action ({type(error).__name__}: {error})") from error
        if kind not in KINDS or not isinstance(key, str) or not isinstance(reason, str):
            raise ConfigError(f"a line of the plan has the action {kind!r}, which is none of {', '.join(KINDS)}")
        return cls(key, kind, reason, source, target, late, undecided)
