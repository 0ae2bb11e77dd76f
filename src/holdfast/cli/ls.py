"""``holdfast ls``."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import click

from ..progress import size_text
from ..types import ObjectInfo, is_marker
from . import output
from .locations import Found, Location, Opener, locate, look
from .options import Command, Settings, shared

EXAMPLES = """
holdfast ls
holdfast ls -l s3://bucket/run1
holdfast ls -r --json s3://bucket/run1
holdfast ls --anonymous s3://open-data/
"""


@click.command(cls=Command, epilog=EXAMPLES, short_help="List what lies at a location.")
@click.argument("locations", nargs=-1)
@click.option("-l", "long", is_flag=True, help="Also show the size in bytes and the time of the last write (UTC).")
@click.option("-h", "human", is_flag=True, help="With -l: sizes with units.")
@click.option("-r", "recursive", is_flag=True, help="Everything under the location, not one level.")
@shared("json", "endpoint", "anonymous")
def command(settings: Settings, locations: tuple[str, ...], long: bool, human: bool, recursive: bool) -> int:
    """List what lies at each LOCATION (default: this directory), one level deep; directories end in "/".

    Names are relative to the location. A location is an object or everything under location/, so "ls s3://b/run1"
    never shows run10. With --json each line has location, key (the name), type ("object" or "directory"), size ...
    """
    places = [locate(text) for text in locations or (".",)]
    tally = output.Tally()
    with Opener(settings, places) as opener:
        for place in places:
            found = look(opener, place, delimiter=None if recursive else "/")
            if found.nothing:
                tally.nothing_there(place.text)
                continue
            if len(places) > 1 and not settings.json:
                output.line(f"{place.text}:")
            _show(found, _Format(settings.json, long, human))
            tally.done()
    return tally.finish()


def _show(found: Found, show: _Format) -> None:
    if found.info is not None:
        show(found.location, found.location.name, found.info, is_directory=False)
    if found.directory is not None:
        prefix = found.directory.spot.key
        for row in found.directory.rows:
            marker = is_marker(row)
            if marker and row.key == prefix:
                continue  # the location's own marker
            name = row.key[len(prefix) :] or f"{found.location.name}/"
            show(found.location, name, row, is_directory=marker)


class _Format:
    """Prints one row in the way that was asked for."""

    def __init__(self, as_json: bool, long: bool, human: bool) -> None:
        self._json = as_json
        self._long = long
        self._human = human

    def __call__(self, place: Location, name: str, info: ObjectInfo, *, is_directory: bool) -> None:
        """Print the row of this name at the place."""
        if self._json:
            output.json_line({"location": place.text, **_row(name, info, is_directory)})
        elif self._long:
            output.line(f"{self._size(info, is_directory):>14}  {_time(info):<20}  {name}")
        else:
            output.line(name)

    def _size(self, info: ObjectInfo, is_directory: bool) -> str:
        if is_directory or info.size is None:
            return "-"
        return size_text(info.size) if self._human else str(info.size)


def _row(name: str, info: ObjectInfo, is_directory: bool) -> dict[str, Any]:
    if is_directory:
        return {"key": name, "type": "directory"}
    moment = None if info.last_modified is None else info.last_modified.isoformat()
    row = {"key": name, "type": "object", "size": info.size, "last_modified": moment, "etag": info.etag}
    return row if info.storage_class is None else {**row, "storage_class": info.storage_class}


def _time(info: ObjectInfo) -> str:
    moment = info.last_modified
    return "-" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
