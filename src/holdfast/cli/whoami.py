"""``holdfast whoami``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from ..credentials import Explanation
from . import DONE, FAILED, output
from .locations import Location, Opener, locate
from .options import Command, Settings, shared

EXAMPLES = """
holdfast whoami s3://bucket
holdfast whoami --json s3://https://minio.example:9000/bucket
"""


@click.command(cls=Command, epilog=EXAMPLES, short_help="Show which credentials are used, and why.")
@click.argument("location")
@shared("json", "endpoint", "anonymous")
def command(settings: Settings, location: str) -> int:
    """Show which credentials would be used for LOCATION, where they come from, and what else was looked at.

    On S3 the first source that has credentials wins, in this order: secrets files (~/.cloudvolume/secrets,
    ~/.cloudfiles/secrets), the environment (AWS_ACCESS_KEY_ID), a web identity (AWS_WEB_IDENTITY_TOKEN_FILE), a
    profile of ~/.aws (AWS_PROFILE, else "default"), container metadata, instance metadata. For gs:// and az:// it is
    the first of Google's and Azure's own variables, files and services. To choose another one, unset what wins; for a
    public bucket use --anonymous. No secret is shown, and the bucket is not asked: ls does that.

    Exits with 0 when there are credentials or none are needed, with 1 when none are found.
    """
    place = locate(location)
    told = _explain(settings, place)
    if settings.json:
        row = asdict(told)
        row["expires_at"] = told.expires_at.isoformat() if told.expires_at else None
        output.json_line({"location": place.text, **row})
    else:
        _show(told)
    return DONE if told.source is not None else FAILED


def _explain(settings: Settings, place: Location) -> Explanation:
    if settings.anonymous or settings.endpoint or not place.is_local:
        with Opener(settings, [place]) as opener:
            store: Any = opener.object(place).store
            if hasattr(store, "explain_credentials"):
                told: Explanation = store.explain_credentials()
                return told
    return Explanation(place.text, "none needed", f"{place.url.scheme}:// has only what the location says")


def _show(told: Explanation) -> None:
    output.line(f"{told.store}")
    output.line(f"  credentials: {told.source or 'none'}")
    output.line(f"  because: {told.why}")
    if told.who is not None:
        output.line(f"  access key id: {told.who}")
    if told.expires_at is not None:
        output.line(f"  renewed before: {told.expires_at.isoformat(timespec='seconds')}")
    if told.looks:
        output.line("looked at, in this order:")
    for look in told.looks:
        output.line(f"  {'used' if look.won else 'skipped'} {look.source}: {look.why}")
    if told.source is None:
        cure = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or add --anonymous"
        output.complain(
            f"no credentials: {cure if told.looks else 'do what is said above, or add --anonymous'}", told.store
        )
