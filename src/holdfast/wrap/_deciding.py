"""What the children of a mirror hold together: of each object one version, none, or what is a Conflict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ..errors import Conflict, HoldfastError, NotFound
from ..store import ObjectStore
from ._children import Answer, failure, look, version_of
from ._tombstones import deleted

Policy = Literal["all", "quorum", "primary"]


def majority(children: Sequence[ObjectStore]) -> int:
    """How many are more than half of the children."""
    return len(children) // 2 + 1


def decide(children: Sequence[ObjectStore], key: str, policy: Policy, store: str) -> list[Answer] | HoldfastError:
    """The children that have the object as it is by the policy; NotFound, or Conflict if they do not agree."""
    answers = look(children, key)
    answered = [answer for answer in answers if answer.error is None]
    if len(answered) < (majority(children) if policy == "quorum" else 1):
        raise failure("a read", key, store, answers)
    groups: list[list[Answer]] = []
    for answer in answered:
        alike = next((group for group in groups if group[0].agrees(answer)), None)
        groups.append([answer]) if alike is None else alike.append(answer)
    winner = next((group for group in groups if len(group) >= majority(children)), None)
    if policy == "quorum" and winner is not None:
        groups = [winner]
    present = [group for group in groups if group[0].info is not None]
    infos = [answer.info for group in present for answer in group if answer.info is not None]
    if not present or (len(present) < len(groups) and deleted([answer.child for answer in answered], key, infos)):
        return NotFound(f"no object {key!r}", key=key, store=store)
    if len(present) > 1 or (policy == "quorum" and len(groups) > 1):
        return _disagreement(key, store, answers)
    return present[0]


def etag_of(winners: Sequence[Answer]) -> str | None:
    """The ETag that a mirror tells for an object that these children hold."""
    infos = [winner.info for winner in winners if winner.info is not None]
    if (version := version_of(infos[0])) is not None:
        return f'"{version}"'
    etags = {info.etag for info in infos}
    return infos[0].etag if len(etags) == 1 else None


def _disagreement(key: str, store: str, answers: Sequence[Answer]) -> Conflict:
    told = "; ".join(f"{answer.child.name}: {_seen(answer)}" for answer in answers)
    message = f"the children hold different versions of {key!r} ({told}): repair(source=the child you trust)"
    return Conflict(message, key=key, store=store)


def _seen(answer: Answer) -> str:
    """What a child has, for people."""
    if answer.error is not None:
        return f"{type(answer.error).__name__}"
    return "missing" if answer.info is None else str(version_of(answer.info) or answer.info.etag or answer.info.size)
