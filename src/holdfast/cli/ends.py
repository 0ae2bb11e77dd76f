"""The two ends of a sync, as the planner takes them, from two locations of a command line."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any

import click

from .. import redact
from ..errors import NotFound, PathConflict
from ..keys import join
from ..sync import Place, Plan, plan
from ..wrap.rekey import PrefixStore
from .locations import STDIO, Location, Opener, Spot, look
from .options import Settings


@dataclass(frozen=True)
class Ends:
    """What is to be made equal: everything in two places, or with ``keys`` only those, {key: key at the target}."""

    source: Place
    target: Place
    keys: dict[str, str] | None = None


def plan_for(
    opener: Opener, source: Location, target: Location, settings: Settings, *, delete: bool, **options: Any
) -> Plan:
    """The plan to make everything under the target like what is under the source, or one object like the other.

    A service is asked for an object at the source only when nothing is under it. Nothing is deleted for one object,
    whatever ``delete`` says. Raises NotFound if there is neither.
    """

    def planned(ends: Ends) -> Plan:
        return plan(
            ends.source, ends.target, keys=ends.keys, delete=delete and ends.keys is None,
            threads=settings.threads, progress=settings.progress, **options,
        )  # fmt: skip

    ends = the_object(opener, source, target) if _is_file(target) else None
    if ends is None and (not source.is_local or source.local_directory() is not None):
        made = planned(directories(opener, source, target, settings))
        if made.terms.listed or source.is_local or not source.url.path:
            return made
    ends = ends or the_object(opener, source, target)
    if ends is None:
        raise NotFound(f"{source.text}: nothing there")
    return planned(ends)


def refuse_stdio(*locations: str) -> None:
    """UsageError for a "-" among them."""
    if STDIO in locations:
        raise click.UsageError("'-' has no meaning here: name a location")


def directories(opener: Opener, source: Location, target: Location, settings: Settings) -> Ends:
    """Everything under the source, and where it is at the target; PathConflict where that is a file."""
    if _is_file(target):
        raise PathConflict(f"{target.text} is a file: name a directory, or remove it first")
    return Ends(_place(opener, source, settings), _place(opener, target, settings))


def single(opener: Opener, spot: Spot, name: str, target: Location) -> Ends:
    """One object, and where it is at the target: under its own name in what is written as a directory."""
    if target.is_directory:
        goal = opener.directory(target)
        goal = Spot(goal.store, goal.key + name)
    elif target.local_directory() is not None:
        raise PathConflict(f"{target.text} is a directory: write {target.text}/ for {target.child(name)}")
    else:
        goal = opener.object(target)
    here, there = (Place(one.store, opener.name(one.store, "")) for one in (spot, goal))
    return Ends(here, there, {spot.key: goal.key})


def the_object(opener: Opener, source: Location, target: Location) -> Ends | None:
    """The object at the source as one end, or None where there is none."""
    found = look(opener, source, under=False)
    return None if found.info is None else single(opener, found.spot, source.name, target)


def _is_file(location: Location) -> bool:
    return location.is_local and os.path.isfile(location.url.local_path.rstrip("/"))


def _place(opener: Opener, location: Location, settings: Settings) -> Place:
    spot = opener.directory(location)
    store: Any = PrefixStore(spot.store, spot.key) if spot.key else spot.store
    url = location.url
    if settings.endpoint is not None and url.endpoint is None and not location.is_local:
        url = replace(url, endpoint=settings.endpoint)
    where = url.local_path if location.is_local else redact.url(str(url))
    return Place(store, join(redact.text(store.name), ""), where)
