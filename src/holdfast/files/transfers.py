"""How CloudFiles sends objects to other CloudFiles: a plan, and its application; errors are raised."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from .. import codecs, engine
from ..errors import Conflict, InvalidKey, NotFound, PartialFailure, StoreError
from ..keys import check
from ..store import ObjectStore
from ..sync.actions import Action
from ..sync.applying import apply
from ..sync.journal import Journal
from ..sync.places import Place
from ..sync.planning import plan
from ..sync.plans import Plan
from ..sync.summary import Result, Summary
from .requests import is_scalar

#: A path, or {"path": ..., "dest_path": ...} for one that gets another name.
TransferRequest = str | Mapping[str, str]


def transfer(
    source: ObjectStore,
    target: ObjectStore,
    paths: TransferRequest | Iterable[TransferRequest] | None,
    *,
    reencode: str | bool | None = None,
    content_type: str | None = None,
    allow_missing: bool = False,
    move: bool = False,
    journal: Journal | None = None,
    threads: int | None = None,
    part_size: int | None = None,
    progress: bool = False,
    on_result: Callable[[Result], None] | None = None,
) -> Summary:
    """What was done to have the objects of these paths (None: all) in the target; the first problem is raised.

    Objects of more than ``part_size`` bytes are sent in parts of so many. ``on_result`` is called with each Result when
    it is known.
    """
    planned = planned_transfer(source, target, paths, reencode, allow_missing, move, threads=threads, progress=progress)
    if content_type is not None:
        planned = _retyped(planned, content_type, threads)
    summary = apply(
        planned, journal=journal, threads=threads, part_size=part_size, progress=progress, on_result=on_result
    )
    return settled(summary, planned.target)


def planned_transfer(
    source: ObjectStore,
    target: ObjectStore,
    paths: TransferRequest | Iterable[TransferRequest] | None,
    reencode: str | bool | None = None,
    allow_missing: bool = False,
    move: bool = False,
    *,
    threads: int | None = None,
    progress: bool = False,
) -> Plan:
    """The plan of a transfer; NotFound if one of the paths is not there and ``allow_missing`` does not let it be."""
    names = None if paths is None else destinations(paths)
    planned = plan(
        source,
        target,
        keys=None if names is None else _keys(names),
        reencode=None if reencode is None else codecs.canonical(reencode) or "",
        on_unknown="transfer",
        move=move,
        threads=threads,
        progress=progress,
    )
    if names is not None and not allow_missing:
        found = {action.key for action in planned if action.source is not None}
        for name, path in names.items():
            if name not in found:
                raise NotFound(f"there is no {path!r} to transfer: nothing was", key=path, store=source.name)
    elif names is not None:
        there = (action for action in planned if action.source is not None or action.target is not None)
        planned = Plan(planned.source, planned.target, planned.terms, there)
    return planned


def destinations(paths: TransferRequest | Iterable[TransferRequest]) -> dict[str, str]:
    """For each name at the target the path at the source; ValueError if two get the same name."""
    names: dict[str, str] = {}
    for request in [paths] if is_scalar(paths) else paths:
        path, name = _names_of(request)
        if names.setdefault(name, path) != path:
            raise ValueError(f"{names[name]!r} and {path!r} would both become {name!r}: nothing was transferred")
    return names


def settled(summary: Summary, target: Place) -> Summary:
    """The summary, if all was done as planned; else the error of the first that was not, which counts the others.

    StoreError if there are some of which nobody knows what became.
    """
    problems = [*summary.failed, *summary.refused, *summary.conflicts, *summary.stale, *summary.kept]
    if summary.unaccounted:
        raise StoreError(
            f"nobody knows what became of {summary.unaccounted} objects, and {len(problems)} others were not "
            f"transferred (and {summary.done} were): look what is there, and transfer them again",
            store=target.name,
        )
    if not problems and summary.overtaken:
        first = summary.overtaken[0]
        raise Conflict(f"was transferred, but {first.detail}", key=first.key, store=target.name)
    if not problems:
        return summary
    first = problems[0]
    if len(problems) > 1:
        error = PartialFailure(
            f"{len(problems)} objects were not transferred (and {summary.done} were); the first: {first.detail}",
            key=first.key,
            store=target.name,
            cause=first.error,
        )
        error.outcomes = tuple((result.key, result.error or Conflict(result.detail)) for result in problems)
        raise error from first.error
    if first.error is not None:
        raise first.error
    kind = InvalidKey if first.outcome == "refuse" else Conflict
    what = "moved" if first.outcome == "kept" else "transferred"
    raise kind(f"was not {what}: {first.detail}", key=first.key, store=target.name)


def _names_of(request: Any) -> tuple[str, str]:
    if isinstance(request, str):
        return check(request), request
    if not isinstance(request, Mapping):
        raise TypeError(f"a request is a path or a dict with a 'path', not {type(request).__name__}")
    if unknown := request.keys() - {"path", "dest_path"}:
        raise TypeError(f"unknown field {min(unknown)!r} in a request: known are dest_path, path")
    if "path" not in request:
        raise TypeError("a request to transfer has a 'path'")
    path, name = check(request["path"]), check(request.get("dest_path", request["path"]))
    if name.endswith("/") and name != path:
        # Such an object stands for a directory in listings: what it holds would be seen by nobody.
        raise ValueError(f"{name!r} is a directory: name the object that {path!r} is to become")
    return path, name


def _keys(names: Mapping[str, str]) -> list[str] | dict[str, str]:
    """The keys to plan with: a list, or where some get another name a mapping from path to name."""
    if all(name == path for name, path in names.items()):
        return list(names)
    keys: dict[str, str] = {}
    for name, path in names.items():
        if keys.setdefault(path, name) != name:
            raise ValueError(f"{path!r} would get two names, {keys[path]!r} and {name!r}: make two calls of it")
    return keys


def _retyped(planned: Plan, content_type: str, threads: int | None) -> Plan:
    """The plan that also gives objects this content type; those that are there with another one are sent again."""
    keys = (action.key for action in planned.of_kind("skip") if action.source is not None)
    local = planned.target.store.local
    heads = engine.default().run(planned.target.head, keys, threads=threads, ordered=True, local=local)
    others = {head.item for head in heads if head.value is None or head.value.content_type != content_type}

    def with_type(action: Action) -> Action:
        if action.kind == "skip" and action.key in others:
            return replace(action, kind="update", reason="its content type is to be set")
        return action

    terms = replace(planned.terms, content_type=content_type)
    return Plan(planned.source, planned.target, terms, map(with_type, planned))
