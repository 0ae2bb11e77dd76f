"""Patterns in locations: ``s3://bucket/run*/x.json`` stands for what is there, as if a shell had written it out.

A location that is there under its very name is no pattern, whatever characters it has; nor is any with ``--literal``,
or in a list on standard input. On this machine a name that begins with a dot is matched by a component that does, as
in a shell; a service has no hidden names.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from .. import engine
from ..types import ListOptions, ObjectInfo
from .locations import Location, Opener, look
from .options import Settings

_WILD = re.compile(r"[*?]")


class Chosen(NamedTuple):
    """The locations that are meant, and whether any of them was a pattern: then what it matches keeps its name."""

    places: list[Location]
    by_pattern: bool


class Match(NamedTuple):
    """What a pattern matches: the name below its base, in ``kept`` the part that it keeps elsewhere, and its row."""

    name: str
    kept: str
    info: ObjectInfo
    is_directory: bool


class Pattern(NamedTuple):
    """A location with wildcards: the directory before the first one, and the components that follow it."""

    base: Location
    parts: list[str]
    ends_in_slash: bool


def choose(
    opener: Opener, places: Sequence[Location], settings: Settings, *, directories: bool, listed: bool = False
) -> Chosen:
    """The locations with patterns replaced by what they match: objects, and ``directories`` if wanted.

    A pattern that matches nothing stays, for nothing is there. Locations that were ``listed`` are none.
    """
    patterns = [None if listed else pattern_of(opener, place, settings) for place in places]
    if not any(patterns):
        return Chosen(list(places), False)
    chosen: dict[str, Location] = {}  # each once, however many patterns match it
    for place, pattern in zip(places, patterns, strict=True):
        found = [place]
        if pattern is not None:
            matched = matches(opener, pattern, settings, directories=directories)
            found = [_location(pattern, match) for match in matched] or found
        for one in found:
            other = chosen.get(str(one.url))
            if other is None or other.alone:  # an object, and a directory of its name
                chosen[str(one.url)] = one
    return Chosen(list(chosen.values()), True)


def pattern_of(opener: Opener, place: Location, settings: Settings) -> Pattern | None:
    """The pattern that the location is, or None if it names what it says."""
    path = place.url.path
    first = _WILD.search(path)
    if first is None or settings.literal or not opener.directory(place).store.capabilities.listing:
        return None
    if not look(opener, place, under=False).nothing:
        return None
    cut = path.rfind("/", 0, first.start()) + 1
    tail = path[cut:]
    # What a local path was made of is not what was typed.
    text = place.text.removesuffix(tail) if place.text.endswith(tail) else path[:cut]
    base = Location(text or "./", replace(place.url, path=path[:cut]))
    return Pattern(base, tail.removesuffix("/").split("/"), tail.endswith("/"))


def matches(opener: Opener, pattern: Pattern, settings: Settings, *, directories: bool) -> Iterator[Match]:
    """What the pattern matches, in order: a level is listed after the other, from "**" on everything."""
    from ..sync.globs import ANY_DEPTH, matches_whole  # with the planner, which takes long to import

    spot = opener.directory(pattern.base)
    if pattern.base.is_local and pattern.base.local_directory() is None:
        return
    deep = pattern.parts.index(ANY_DEPTH) if ANY_DEPTH in pattern.parts else len(pattern.parts)
    above, below = pattern.parts[: min(deep, len(pattern.parts) - 1)], pattern.parts[deep:]

    def level(directory: str, part: str) -> list[Match]:
        """What one component matches in a directory, given by its name below the base, "" or with a slash."""
        start = _WILD.split(part, maxsplit=1)[0]
        matcher, inside, found = _matcher(part), len(spot.key) + len(directory), []
        hidden = part.startswith(".") or not pattern.base.is_local
        for info in spot.store._scan(ListOptions(f"{spot.key}{directory}{start}", "/")):
            name = info.key[inside:].removesuffix("/")
            if name and matcher.match(name) and (hidden or not name.startswith(".")):
                found.append(Match(directory + name, name, info, info.key.endswith("/")))
        return found

    def under(directories: Sequence[str], part: str) -> list[Match]:
        run = engine.default().run(lambda one: level(one, part), directories, threads=settings.threads, ordered=True)
        return [match for outcome in run for match in outcome.value]

    found = [""]
    for part in above:
        if _WILD.search(part):
            found = [f"{match.name}/" for match in under(found, part) if match.is_directory]
        else:
            found = [f"{directory}{part}/" for directory in found]
    if not below:
        for match in under(found, pattern.parts[-1]):
            if (directories or pattern.ends_in_slash) if match.is_directory else not pattern.ends_in_slash:
                yield match
        return
    if pattern.ends_in_slash:
        return  # what "**" matches are objects
    matchers = [None if part == ANY_DEPTH else _matcher(part) for part in below]
    hidden = not pattern.base.is_local or any(part.startswith(".") for part in below)
    for directory in found:
        for info in spot.store._scan(ListOptions(spot.key + directory)):
            name = info.key[len(spot.key) + len(directory) :]
            parts = name.split("/")
            if not name or name.endswith("/") or not (hidden or not any(part.startswith(".") for part in parts)):
                continue
            if matches_whole(matchers, parts):
                yield Match(directory + name, name, info, False)


def _matcher(part: str) -> re.Pattern[str]:
    """One component, in which only "*" and "?" have a meaning; a failed match is given up in linear time."""
    return re.compile(fnmatch.translate(part.replace("[", "[[]")))


def _location(pattern: Pattern, match: Match) -> Location:
    base = pattern.base
    name = f"{match.name}/" if pattern.ends_in_slash else match.name
    url = replace(base.url, path=f"{base.url.path}{name}")
    return Location(f"{base.text}{name}", url, match.kept, alone=not match.is_directory)
