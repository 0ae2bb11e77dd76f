"""``holdfast doctor``."""

from __future__ import annotations

import secrets
import shutil
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager

import click

from .. import registry
from . import DONE, FAILED, output
from .checks import CHECKS, FIRST, LACKS, UNKNOWN, WORKS, WRONG, Doctor, Finding
from .locations import Location, Opener, locate
from .options import Command, Settings, shared
from .reading_checks import Reader

EXAMPLES = """
holdfast doctor s3://bucket/scratch
holdfast doctor --json s3://https://minio.example:9000/bucket
"""

#: Everything that is written lies under a name that begins like this.
SCRATCH = "holdfast-doctor-"
_NAME_WIDTH = max(map(len, (FIRST, *CHECKS))) + 2
_VERDICT_WIDTH = 9


@click.command(cls=Command, epilog=EXAMPLES, short_help="Try what works at a location, and show it in a table.")
@click.argument("location")
@shared("json", "endpoint", "anonymous")
def command(settings: Settings, location: str) -> int:
    """Try at LOCATION, guarantee by guarantee, what the store there does, and show it in a table.

    "works" and "lacks" were found by trying: what a store lacks raises Unsupported, or is done in a slower way,
    as the table says. "wrong" is a store that does not do what it promises. "unknown" could not be tried. All is
    done on some forty small objects under LOCATION/holdfast-doctor-..., which are deleted again, and (on S3 other
    than Amazon's) on one named holdfast-probe-... in the bucket. With --json each guarantee is one line.

    Where nothing may be written, or can be, an object that is there is read, LOCATION itself or one below it, and
    what only a write could tell stays unknown.

    Exits with 0 unless something is wrong or nothing works.
    """
    place = locate(location)
    findings = []
    with Opener(settings, [place]) as opener, _scratch(opener, place) as doctor:
        if not settings.json:
            output.line(place.text)
        for finding in _examine(doctor, opener, place):
            findings.append(finding)
            _show(finding, settings)
    verdicts = [finding.verdict for finding in findings]
    if settings.json:
        counts = {verdict: verdicts.count(verdict) for verdict in sorted(set(verdicts))}
        output.json_line({"status": "summary", "location": place.text, **counts})
    return FAILED if WRONG in verdicts or WORKS not in verdicts else DONE


def _examine(doctor: Doctor, opener: Opener, place: Location) -> Iterator[Finding]:
    """What the doctor finds by writing or, where that is refused, by reading what is there."""
    verdict = WORKS
    for finding in doctor.examine():
        verdict = finding.verdict if finding.check == FIRST else verdict
        yield finding
    if verdict in {LACKS, UNKNOWN}:
        spot = opener.directory(place)
        prefix = spot.key.lstrip("/")  # of a whole bucket, too
        yield from Reader(spot.store, prefix, prefix.rstrip("/")).examine()


@contextmanager
def _scratch(opener: Opener, place: Location) -> Iterator[Doctor]:
    """A doctor for the location, whose traces are removed at the end."""
    name = f"{SCRATCH}{secrets.token_hex(4)}/"
    if place.is_local:
        # A store of its own, because a file store keeps attributes and locks beside its files.
        below = place.url.child(name)
        try:
            with registry.open_store(below) as store:
                yield Doctor(store, "")
        finally:
            shutil.rmtree(below.local_path, ignore_errors=True)
        return
    spot = opener.directory(place)
    doctor = Doctor(spot.store, spot.key + name)
    try:
        yield doctor
    finally:
        doctor.clean_up()


def _show(finding: Finding, settings: Settings) -> None:
    if settings.json:
        output.json_line({"check": finding.check, "verdict": finding.verdict, "detail": finding.detail})
        return
    indent = _NAME_WIDTH + _VERDICT_WIDTH + 2
    width = max(shutil.get_terminal_size().columns, indent + 20) if sys.stdout.isatty() else 10_000
    first, *rest = textwrap.wrap(finding.detail, width - indent) or [""]
    output.line(f"  {finding.check:<{_NAME_WIDTH}}{finding.verdict:<{_VERDICT_WIDTH}}{first}")
    for line in rest:
        output.line(" " * indent + line)
