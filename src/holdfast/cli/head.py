"""``holdfast head``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

import click

from .. import engine
from ..types import ObjectInfo
from . import output
from .locations import Found, Location, Opener, locate, look
from .options import Command, Settings, shared

EXAMPLES = """
holdfast head s3://bucket/run1/info.json
holdfast head --json results/a.bin s3://bucket/run1/a.bin
"""


@click.command(cls=Command, epilog=EXAMPLES, short_help="Show what is known about objects.")
@click.argument("locations", nargs=-1, required=True)
@shared("threads", "json", "endpoint", "anonymous")
def command(settings: Settings, locations: tuple[str, ...]) -> int:
    """Show what is known about the object at each LOCATION, without reading it: size, time, ETag, attributes.

    Sizes are in stored bytes, times in UTC. With --json each object is one line.
    """
    places = [locate(text) for text in locations]
    tally = output.Tally()
    with Opener(settings, places) as opener:

        def examine(place: Location) -> Found:
            return look(opener, place, under=False)

        run = engine.default().run(examine, places, threads=settings.threads, ordered=True, on_error="collect")
        for outcome in run:
            place = outcome.item
            if outcome.error is not None:
                tally.fail(outcome.error, place.text)
            elif outcome.value.nothing:
                tally.nothing_there(place.text)
            elif outcome.value.info is None:
                tally.is_a_directory(place.text, "ls shows what is in it")
            else:
                _show(place, outcome.value.info, settings.json)
                tally.done()
    return tally.finish()


def _show(place: Location, info: ObjectInfo, as_json: bool) -> None:
    if as_json:
        output.json_line({"location": place.text, **dict(_known(info))})
        return
    output.line(place.text)
    for name, value in _known(info):
        if isinstance(value, Mapping):
            for own, text in value.items():
                output.line(f"  {name}.{own}: {text}")
        else:
            output.line(f"  {name}: {value}")


def _known(info: ObjectInfo) -> Iterator[tuple[str, Any]]:
    for field in fields(info):
        value = getattr(info, field.name)
        if field.name in {"key", "is_prefix"} or value is None:
            continue
        if isinstance(value, datetime):
            value = value.isoformat()
        elif isinstance(value, Mapping):
            if not value:
                continue
            value = dict(value)
        yield field.name, value
