"""What stands in the way of keys, though it is known only when other keys were seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from ..keys import printable
from .actions import Action
from .names import Obstacle
from .sequence import Actions


class Obstacles:
    """Obstacles to keys whose actions are decided before everything is known; ``settle`` changes these at the end.

    What is in the way in the source is refused. What is in the way at the target is a conflict; but with ``delete`` it
    may be deleted, and then the key is written late: after the deletions.
    """

    def __init__(self, *, delete: bool) -> None:
        self._delete = delete
        self._lasting: dict[str, Obstacle] = {}
        self._late: set[str] = set()
        self._directories: dict[str, Obstacle] = {}

    def refuse(self, key: str, reason: str) -> None:
        """The key must not be written, unless there was a reason before that."""
        self._lasting.setdefault(key, Obstacle("refuse", reason))

    def meet(self, key: str, reason: str, *, in_source: bool) -> None:
        """Another key is in this one's way: in the source, or else at the target."""
        if in_source:
            self.refuse(key, f"{reason} in the source")
        elif self._delete:
            self._late.add(key)
        else:
            self._lasting.setdefault(key, Obstacle("conflict", f"{reason} at the target"))

    def meet_unlisted(self, key: str, obstacle: Obstacle) -> bool:
        """Whether that which no listing told of may go with the deletions: a directory, if all that is in it does."""
        if self._delete and obstacle.kind == "conflict":
            self._directories[key] = obstacle
        return key in self._directories

    def settle(self, actions: Actions, is_emptied: Callable[[str], bool]) -> None:
        """Change the actions of keys with obstacles; ``is_emptied``: whether the deletions take all of a directory."""
        standing: set[str] = set()
        for key, obstacle in self._directories.items():
            if key not in self._late or not is_emptied(key):
                self._lasting.setdefault(key, obstacle)
                standing.add(key)
        if not (self._lasting or self._late):
            return
        changed = []
        for action in actions:
            if not action.is_change:
                continue
            if standing and action.kind == "delete" and (above := standing.intersection(_parents(action.key))):
                reason = f"not deleted: the directory {printable(above.pop())!r} holds more than that, and stays"
                changed.append((action, Action(action.key, "conflict", reason, None, action.target)))
            elif action.key in self._lasting:
                changed.append((action, Action(action.key, *self._lasting[action.key], action.source, action.target)))
            elif action.key in self._late:
                changed.append((action, replace(action, late=True)))
        for old, new in changed:
            actions.replace(old, new)


def _parents(key: str) -> Iterator[str]:
    """The directories that the key is in, the nearest first."""
    while key := key.rpartition("/")[0]:
        yield key
