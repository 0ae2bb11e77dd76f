"""``holdfast uploads``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from ..errors import HoldfastError, Unsupported
from . import output
from .locations import Location, Opener, locate
from .options import Command, Settings, shared

EXAMPLES = """
holdfast uploads s3://bucket
holdfast uploads --abort --older-than 7d s3://bucket/run1
"""

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Age(click.ParamType[timedelta]):
    """A span of time: a number and a unit."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """The span that the text means."""
        if isinstance(value, timedelta):
            return value
        match = re.fullmatch(r"(\d{1,6})([smhdw])", value)
        if match is None:
            self.fail(f"{value!r} is no age: write a number and s, m, h, d or w, such as 7d", param, ctx)
        return timedelta(**{_UNITS[match[2]]: int(match[1])})


@click.command(cls=Command, epilog=EXAMPLES, short_help="Show or abort uploads that were never completed.")
@click.argument("locations", nargs=-1, required=True)
@click.option("--abort", "abort", is_flag=True, help="Abort them: their parts are deleted.")
@click.option("--older-than", "older_than", type=Age(), metavar="AGE",
              help="Only those that began so long ago, such as 90m, 12h or 7d.")  # fmt: skip
@shared("json", "endpoint", "anonymous")
def command(settings: Settings, locations: tuple[str, ...], abort: bool, older_than: timedelta | None) -> int:
    """Show the multipart uploads to LOCATION, or to anything under LOCATION/, that were begun and never completed.

    A process that is killed in the middle of a large upload leaves one behind: nobody sees its parts, but they are
    stored and paid for. An upload that is going on right now looks the same, and fails if it is aborted: hence
    --abort insists on --older-than. With --json each upload is one line.
    """
    if abort and older_than is None:
        raise click.UsageError("--abort would abort uploads that are going on as well: add --older-than 1d")
    before = datetime.now(UTC) - (older_than or timedelta())
    places = [locate(text) for text in locations]
    tally = output.Tally()
    with tally.summarised(settings.json), Opener(settings, places) as opener:
        for place in places:
            store = administered(opener, place)
            for upload in uploads_at(opener, store, place):
                if older_than is None or upload.started <= before:
                    _treat(opener, store, upload, settings, tally, abort=abort)
    return tally.close("aborted" if abort else "found", "upload", as_json=settings.json, verbose=False)


def administered(opener: Opener, place: Location) -> Any:
    """The store at the location, which can show its uploads; Unsupported for any other."""
    store = opener.object(place).store
    if not hasattr(store, "list_multipart_uploads"):
        raise Unsupported(f"{place.url.scheme}:// has no multipart uploads to show", store=store.name)
    return store


def uploads_at(opener: Opener, store: Any, place: Location) -> Iterator[Any]:
    """The uploads to the object at the location, or to anything under it."""
    directory = opener.directory(place).key
    key = None if place.is_directory else opener.object(place).key
    for upload in store.list_multipart_uploads(directory if key is None else key):
        if upload.key == key or upload.key.startswith(directory):
            yield upload


def _treat(opener: Opener, store: Any, upload: Any, settings: Settings, tally: output.Tally, *, abort: bool) -> None:
    name = opener.name(store, upload.key)
    row = {"location": name, "id": upload.id, "started": upload.started.isoformat()}
    status = "aborted" if abort else "pending"
    if abort:
        try:
            store.abort_multipart_upload(upload)
        except HoldfastError as error:
            tally.fail(error, name)
            row["error"], status = output.describe(error), "failed"
    if status != "failed":
        tally.done()
    if settings.json:
        output.json_line({**row, "status": status})
    else:
        output.line(f"{upload.started.astimezone(UTC):%Y-%m-%d %H:%M:%S}  {status}  {name}")
