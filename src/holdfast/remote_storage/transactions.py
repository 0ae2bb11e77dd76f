"""TransactionSummary: what a push or pull found, would do, and did."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from .remote_objects import RemoteObjectProtocol
from .sync_objects import JsonRepr, SyncObject, checked_direction, described

#: What stands in the way of one object: remote objects, or a sentence.
Collision = list[RemoteObjectProtocol] | str


@dataclass(repr=False)
class TransactionSummary(JsonRepr):
    """What a push or pull found, would do, and did; made by RemoteStorage, for people to look at.

    ``matched_source_files`` were chosen, ``skipped_source_files`` left out by a regular expression (or because they are
    no regular files). Each of the former is in one of ``not_on_target``, ``on_target_eq_md5``, ``on_target_neq_md5``
    (which also has what nobody can tell to be equal), or, by its name, in ``unresolvable_collisions``.
    ``synced_files`` were sent. ``repr`` and ``to_json`` are JSON.

    >>> summary = TransactionSummary(sync_direction="push")
    >>> summary.add_entry(SyncObject(local_path="no/such/file", remote_path="a"))
    >>> [entry.name for entry in summary.files_to_sync], summary.requires_force
    (['a'], False)
    """

    matched_source_files: list[SyncObject] = field(default_factory=list)
    not_on_target: list[SyncObject] = field(default_factory=list)
    on_target_eq_md5: list[SyncObject] = field(default_factory=list)
    on_target_neq_md5: list[SyncObject] = field(default_factory=list)
    unresolvable_collisions: dict[str, Collision] = field(default_factory=dict)
    skipped_source_files: list[SyncObject] = field(default_factory=list)
    synced_files: list[SyncObject] = field(default_factory=list)
    sync_direction: str | None = None

    def __post_init__(self) -> None:
        checked_direction(self.sync_direction)

    @property
    def files_to_sync(self) -> list[SyncObject]:
        """What the target does not have, then what differs there."""
        return self.not_on_target + self.on_target_neq_md5

    def size_files_to_sync(self) -> int:
        """How many bytes ``files_to_sync`` have at their source; RuntimeError without a ``sync_direction``."""
        if self.sync_direction is None:
            raise RuntimeError(
                "the sync_direction is not set to 'push' or 'pull', so it is not known which size counts"
            )
        if self.sync_direction == "push":
            return sum(entry.local_size for entry in self.files_to_sync)
        return sum(entry.remote_obj.size for entry in self.files_to_sync if entry.remote_obj is not None)

    @property
    def requires_force(self) -> bool:
        """Whether only ``force=True`` lets the transaction happen, because files differ on the target."""
        return bool(self.on_target_neq_md5)

    @property
    def has_unresolvable_collisions(self) -> bool:
        """Whether something stands in the way that no ``force`` removes."""
        return bool(self.unresolvable_collisions)

    @property
    def all_files_analyzed(self) -> list[SyncObject]:
        """All source files, those that were left out first."""
        return self.skipped_source_files + self.matched_source_files

    def add_entry(
        self,
        synced_object: SyncObject | str | os.PathLike[str],
        collides_with: Iterable[RemoteObjectProtocol] | str | None = None,
        skip: bool = False,
    ) -> None:
        """Put a SyncObject (or the path of a local file, which is then its remote path too) where it belongs.

        ``collides_with`` says what is in its way; with ``skip`` it counts as left out and as nothing else.
        """
        if not isinstance(synced_object, SyncObject):
            path = os.fspath(synced_object)
            remote_path = path.replace(os.sep, "/").lstrip("/")
            synced_object = SyncObject(local_path=path, remote_path=remote_path, sync_direction=self.sync_direction)
        if skip:
            self.skipped_source_files.append(synced_object)
            return
        self.matched_source_files.append(synced_object)
        if collides_with:
            collision = collides_with if isinstance(collides_with, str) else list(collides_with)
            self.unresolvable_collisions[synced_object.name] = collision
        elif not synced_object.exists_on_target:
            self.not_on_target.append(synced_object)
        elif synced_object.equal_md5_hash_sum:
            self.on_target_eq_md5.append(synced_object)
        else:
            self.on_target_neq_md5.append(synced_object)

    def get_short_summary_dict(self) -> dict[str, Any]:
        """The direction and how many there are of each; ``total_size`` in bytes is None without a direction."""
        return {
            "sync_direction": self.sync_direction,
            "files_to_sync": len(self.files_to_sync),
            "total_size": None if self.sync_direction is None else self.size_files_to_sync(),
            "unresolvable_collisions": len(self.unresolvable_collisions),
            "synced_files": len(self.synced_files),
        }

    def print_short_summary(self) -> None:
        """Print ``get_short_summary_dict()`` as JSON."""
        print(json.dumps(self.get_short_summary_dict(), indent=2))  # noqa: T201 - that is what it is for

    def fields(self, *, make_serializable: bool, read_files: bool) -> dict[str, Any]:
        """What ``to_dict`` gives; without ``read_files`` digests that are not known yet are None."""

        def shown(entries: list[SyncObject]) -> list[Any]:
            if not make_serializable:
                return list(entries)
            return [entry.fields(make_serializable=True, read_files=read_files) for entry in entries]

        def collision(found: Collision) -> Any:
            return [described(one) for one in found] if make_serializable and not isinstance(found, str) else found

        return {
            "sync_direction": self.sync_direction,
            "matched_source_files": shown(self.matched_source_files),
            "not_on_target": shown(self.not_on_target),
            "on_target_eq_md5": shown(self.on_target_eq_md5),
            "on_target_neq_md5": shown(self.on_target_neq_md5),
            "unresolvable_collisions": {name: collision(found) for name, found in self.unresolvable_collisions.items()},
            "skipped_source_files": shown(self.skipped_source_files),
            "synced_files": shown(self.synced_files),
        }
