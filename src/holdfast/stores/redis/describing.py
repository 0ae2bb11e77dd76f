"""Infos out of what Redis keeps beside a value."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from ...types import ObjectInfo
from .. import _attributes


def info_of(key: str, etag: bytes | None, size: int, modified: bytes, attributes: bytes) -> ObjectInfo:
    """The info of a value; one that another program wrote has neither time nor attributes."""
    return ObjectInfo(
        key,
        size=int(size),
        etag=None if etag is None else etag.decode(),
        last_modified=datetime.fromtimestamp(float(modified), UTC) if modified else None,
        **_attributes.load(attributes),
    )


def info_of_row(key: str, size: int, details: Sequence[Any]) -> ObjectInfo:
    """The info of a row; of a value that another program wrote the ETag is not known without reading it."""
    etag, noted, modified, attributes = details
    if etag is None or noted is None or int(noted) != size:
        return info_of(key, None, size, b"", b"")
    return info_of(key, etag, size, modified or b"", attributes or b"")
