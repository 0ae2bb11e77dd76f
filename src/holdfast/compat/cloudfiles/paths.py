"""The paths of cloud-files: Holdfast's own functions, by the names of before."""

from __future__ import annotations

from typing import Any

from ... import aliases, url
from ...files.paths import (
    ExtractedPath,
    asbucketpath,
    ascloudpath,
    asfilepath,
    asprotocolpath,
    basename,
    dirname,
    extract,
    find_common_buckets,
    get_protocol,
    normalize,
)
from ...files.paths import to_https_protocol as _to_https_protocol
from .exceptions import UnsupportedProtocolError

OFFICIAL_ALIASES = aliases.BUILT_IN


def to_https_protocol(cloudpath: str | ExtractedPath) -> str | ExtractedPath:
    """Where a web server serves the same objects to anybody, in the form that was given: text, or six fields.

    >>> to_https_protocol("gs://bucket/x"), to_https_protocol("mem://bucket/x")
    ('https://storage.googleapis.com/bucket/x', 'mem://bucket/x')
    """
    found = _to_https_protocol(cloudpath)
    if isinstance(cloudpath, ExtractedPath):
        return found
    parts = extract(cloudpath)
    if found == parts:
        return cloudpath
    return ascloudpath(found) if cloudpath.startswith(f"{parts.format}://") else asprotocolpath(found)


def add_alias(alias: str, host: str) -> None:
    """Let ``alias://`` mean the host in this process; a ValueError for the name of a protocol."""
    _check(alias)
    aliases.add_alias(alias, host)


def remove_alias(alias: str) -> None:
    """Forget an alias of this process."""
    aliases.remove_alias(alias)


def add_persistent_alias(alias: str, host: str) -> None:
    """Let ``alias://`` mean the host in every process of this user; a ValueError for the name of a protocol."""
    _check(alias)
    aliases.add_persistent_alias(alias, host)


def remove_persistent_alias(alias: str) -> None:
    """Take an alias out of the file, and out of this process."""
    aliases.remove_persistent_alias(alias)


def _check(alias: str) -> None:
    if url.is_known(alias):
        raise UnsupportedProtocolError(f"{alias!r} is a protocol, which an alias cannot replace")


def __getattr__(name: str) -> Any:
    if name == "ALIAS_FILE":  # where it is depends on the environment
        return aliases.alias_file()
    if name == "ALIASES":
        return aliases.known()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "OFFICIAL_ALIASES",
    "ExtractedPath",
    "UnsupportedProtocolError",
    "add_alias",
    "add_persistent_alias",
    "asbucketpath",
    "ascloudpath",
    "asfilepath",
    "asprotocolpath",
    "basename",
    "dirname",
    "extract",
    "find_common_buckets",
    "get_protocol",
    "normalize",
    "remove_alias",
    "remove_persistent_alias",
    "to_https_protocol",
]
