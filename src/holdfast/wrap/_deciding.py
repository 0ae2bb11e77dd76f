"""What the children of a mirror hold together: of each object one version, none, or what is a Conflict."""

from __future__ import annotations

from collections import Counter
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
    groups = grouped(answered)
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


def grouped(answers: Sequence[Answer]) -> list[list[Answer]]:
    """The answers in groups that saw the same object, or none, each in the order of the children.

    Versions of mirrors are compared, and ETags where no mirror gave a version. Of a child that keeps neither only the
    size is known: it joins the others of that size if these agree among themselves, and otherwise stands alone,
    because nobody can tell whose object it has.
    """
    missing = [answer for answer in answers if answer.info is None]
    versions: dict[str, list[Answer]] = {}
    sizes: dict[int | None, list[Answer]] = {}
    for answer in answers:
        if answer.info is not None and (identity := answer.identity) is not None:
            versions.setdefault(identity, []).append(answer)
        elif answer.info is not None:
            sizes.setdefault(answer.info.size, []).append(answer)
    unknown = sizes.pop(None, [])
    groups = _matched(versions, sizes)
    if unknown:  # of any size: what there is besides, if that is one object
        groups = [[*groups[0], *unknown]] if len(groups) == 1 else [*groups, unknown]
    if missing:
        groups.append(missing)
    order = {id(answer.child): place for place, answer in enumerate(answers)}
    return [sorted(group, key=lambda answer: order[id(answer.child)]) for group in groups]


def _matched(versions: dict[str, list[Answer]], sizes: dict[int | None, list[Answer]]) -> list[list[Answer]]:
    """The groups of one version, with those of one size in the only version that each can have, and else alone."""
    fitting = {size: [name for name, group in versions.items() if {size, None} & {_size_of(group)}] for size in sizes}
    claimed = Counter(name for names in fitting.values() for name in names)
    groups = dict(versions)
    alone: list[list[Answer]] = []
    for size, same in sizes.items():
        match fitting[size]:
            case [name] if claimed[name] == 1:
                groups[name] = [*groups[name], *same]
            case _:
                alone.append(same)
    return [*groups.values(), *alone]


def _size_of(group: Sequence[Answer]) -> int | None:
    return next((answer.info.size for answer in group if answer.info and answer.info.size is not None), None)


def etag_of(winners: Sequence[Answer]) -> str | None:
    """The ETag that a mirror tells for an object that these children hold."""
    infos = [winner.info for winner in winners if winner.info is not None]
    if version := next(filter(None, map(version_of, infos)), None):
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
