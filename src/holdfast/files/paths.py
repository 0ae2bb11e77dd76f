"""The paths of CloudFiles: ``[FORMAT://]PROTOCOL://BUCKET/PATH``, taken apart into six fields and put together again.

    gs://bucket/data                            precomputed://gs://bucket/data     a format before it,
    s3://https://host:port/bucket/data          gs://bucket/data|zarr2:            or behind it
    matrix://bucket/data                        middleauth+https://host/data       an alias; a server that wants a token
    file:///data     file://./data     ~/data   a local path; relative ones belong to the working directory

A format says what lies there, and changes nothing about how it is reached. Locations of every other scheme that
Holdfast has (az, sqlite, zip, redis and so on) are taken apart as well. An unknown scheme is a ConfigError, never a
local directory of that name.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from .. import aliases, url
from ..errors import ConfigError

#: What may stand before a location or, as "|FORMAT:", behind it.
FORMATS = frozenset(
    ("boss", "brainmaps", "deepzoom", "dvid", "graphene", "n5", "nggraph", "nifti", "precomputed", "render", "vtk",
     "zarr", "zarr2", "zarr3")
)  # fmt: skip
DEFAULT_FORMAT = "precomputed"
#: Web servers that ask for a token, as they are written.
TOKEN_SCHEMES = ("middleauth+https", "middleauth+http", "ngauth+https", "ngauth+http")
#: Where the public objects of these services are served to anybody.
WEB_HOSTS = {"gs": "https://storage.googleapis.com", "s3": "https://s3.amazonaws.com"}

_FORMAT = re.compile(rf"({'|'.join(sorted(FORMATS))})://", re.ASCII)
_TAIL = re.compile(r"\|(?:neuroglancer-)?([a-z0-9]+):$", re.ASCII)
#: A path of Windows, which is kept as it is.
_DRIVE = re.compile(rf"(?:({'|'.join(sorted(FORMATS))})://)?file://([A-Za-z]:[\\/].*)", re.ASCII)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


class ExtractedPath(NamedTuple):
    """The parts of a path: what is not there is None, and an empty path "".

    ``format`` is "precomputed" where none is said; ``protocol`` the scheme behind an alias; ``host`` the
    ``https://host:port`` of a web server or an endpoint; ``alias`` the short scheme that was written.
    """

    format: str
    protocol: str
    bucket: str | None
    path: str
    host: str | None
    alias: str | None


class Spelled(NamedTuple):
    """A path without its format: the ``location`` that url.parse takes, and what was written around it."""

    format: str | None
    location: str
    alias: str | None
    token_scheme: str | None


def spell(cloudpath: str) -> Spelled:
    """The path's location, and what was written around it; bare local paths stay as they are.

    >>> spell("zarr2://gs://bucket/x").location, spell("middleauth+https://host/x").token_scheme
    ('gs://bucket/x', 'middleauth+https')
    """
    kind = None
    if match := _FORMAT.match(cloudpath):
        kind, cloudpath = match[1], cloudpath[match.end() :]
    elif (match := _TAIL.search(cloudpath)) and match[1] in FORMATS and "://" in cloudpath:
        kind, cloudpath = match[1], cloudpath[: match.start()]
    scheme = _scheme(cloudpath)
    if scheme in TOKEN_SCHEMES:
        return Spelled(kind, cloudpath.partition("+")[2], None, scheme)
    if scheme == "file":
        # Relative ones are refused elsewhere, because file://x/y means the host x there.
        return Spelled(kind, f"file://{_absolute(cloudpath[len('file://') :])}", None, None)
    alias = scheme if scheme and not url.is_known(scheme) and aliases.find(scheme) is not None else None
    return Spelled(kind, cloudpath, alias, None)


def extract(cloudpath: str, windows: bool | None = None) -> ExtractedPath:
    r"""The six fields of a path that names its protocol; ConfigError for any other.

    ``windows`` says whether ``file:///C:/x`` means the drive C (default: on Windows).

    >>> extract("s3://https://host:9000/bucket/a/b")
    ExtractedPath(format='precomputed', protocol='s3', bucket='bucket', path='a/b', host='https://host:9000', ...)
    """
    if not cloudpath:
        return ExtractedPath("", "", "", "", "", "")
    windows = os.name == "nt" if windows is None else windows
    if windows and (drive := _DRIVE.fullmatch(cloudpath)):
        return ExtractedPath(drive[1] or DEFAULT_FORMAT, "file", None, drive[2], None, None)
    spelled = spell(cloudpath)
    if _scheme(spelled.location) is None:
        raise ConfigError(f"{cloudpath!r} has no protocol: write [FORMAT://]PROTOCOL://BUCKET/PATH")
    where = url.parse(spelled.location)
    kind, path = spelled.format or DEFAULT_FORMAT, where.path
    if where.scheme == "file":
        path = path.rstrip("/") or "/"
        if windows and re.match(r"/[A-Za-z]:", path):
            path = path[1:]
    protocol = spelled.token_scheme or where.scheme
    return ExtractedPath(kind, protocol, where.bucket or None, path, where.endpoint, spelled.alias)


def normalize(path: str) -> str:
    """The path with its protocol: a bare one is local, ``|FORMAT:`` moves to the front, and aliases stay.

    Raises ConfigError for an empty path and an unknown protocol.

    >>> normalize("gs://bucket/x|zarr2:"), normalize("/tmp/x")
    ('zarr2://gs://bucket/x', 'file:///tmp/x')
    """
    spelled = spell(path)
    location = spelled.location
    if _scheme(location) is None:
        if not location:
            raise ConfigError(f"{path!r} names nothing: write PROTOCOL://BUCKET/PATH or a local path ('.' is this one)")
        url.parse(location)
        location = f"file://{_absolute(location)}"
    url.parse(location)
    front = f"{spelled.format}://" if spelled.format and (spelled.format != DEFAULT_FORMAT or "|" not in path) else ""
    before = f"{spelled.token_scheme.partition('+')[0]}+" if spelled.token_scheme else ""
    return f"{front}{before}{location}"


def ascloudpath(parts: ExtractedPath) -> str:
    """The whole path, with its format if it has one.

    >>> ascloudpath(extract("matrix://bucket/x"))
    'precomputed://matrix://bucket/x'
    """
    return f"{parts.format}://{asprotocolpath(parts)}" if parts.format else asprotocolpath(parts)


def asprotocolpath(parts: ExtractedPath) -> str:
    """The path without its format: as it was written, by its alias if there was one."""
    if parts.protocol == "file":
        return f"file://{parts.bucket}/{parts.path}" if parts.bucket else f"file://{parts.path}"
    where = _root(parts)
    return f"{where}/{parts.path}" if parts.path else where


def asbucketpath(cloudpath: str | ExtractedPath) -> str:
    """The format and the bucket (or server) alone.

    >>> asbucketpath("s3://https://host/bucket/a/b")
    'precomputed://s3://https://host/bucket'
    """
    parts = _parts(cloudpath)
    return f"{parts.format}://file://" if parts.protocol == "file" else f"{parts.format}://{_root(parts)}"


def asfilepath(parts: str | ExtractedPath) -> str:
    """The local path; ConfigError (a ValueError) where it is none."""
    parts = _parts(parts)
    if parts.protocol != "file":
        raise ConfigError(f"{asprotocolpath(parts)} is not a local path")
    return parts.path


def to_https_protocol(cloudpath: str | ExtractedPath) -> ExtractedPath:
    """Where a web server serves the same objects to anybody; the path itself where there is no such server.

    >>> asprotocolpath(to_https_protocol("gs://bucket/x"))
    'https://storage.googleapis.com/bucket/x'
    """
    parts = _parts(cloudpath)
    host = parts.host or WEB_HOSTS.get(parts.protocol)
    if parts.protocol not in WEB_HOSTS or host is None:
        return parts
    return ExtractedPath(parts.format, host.partition("://")[0], None, f"{parts.bucket}/{parts.path}", host, None)


def get_protocol(cloudpath: str) -> str | None:
    """The protocol as it is written, an alias included, or None for a bare path."""
    if match := _FORMAT.match(cloudpath):
        cloudpath = cloudpath[match.end() :]
    return _scheme(cloudpath)


def basename(path: str) -> str:
    """What follows the last slash, as in ``posixpath``."""
    return posixpath.basename(path)


def dirname(path: str) -> str:
    """What precedes the last slash, as in ``posixpath``; a bucket or server is its own directory.

    >>> dirname("gs://bucket/x"), dirname("gs://bucket")
    ('gs://bucket', 'gs://bucket')
    """
    match = re.match(r"(?:[a-z0-9+.-]+://)*", path)
    front = match[0] if match else ""
    rest = path[len(front) :]
    return front + (posixpath.dirname(rest) if "/" in rest else rest if front else "")


def split_object(location: str, name: str = "") -> tuple[str, str]:
    """The directory of an object's location, and the object's path in it: ``name`` if the location is a directory.

    ConfigError if there is no name.

    >>> split_object("gs://bucket/a/b"), split_object("gs://bucket", "x")
    (('gs://bucket/a', 'b'), ('gs://bucket', 'x'))
    """
    location = normalize(location)
    parts = extract(location)
    if location.endswith("/") or not parts.path:
        if not name:
            raise ConfigError(f"{location} names no object: it is a bucket, a server or a directory")
        return location, name
    head, _, tail = location.rpartition("/")
    return (head + "/" if head.endswith("://") or head == "file:/" else head), tail


def find_common_buckets(cloudpaths: str | Mapping[str, Any] | Iterable[Any]) -> dict[str, list[dict[str, Any]]]:
    """The requests by the bucket, server or local directory that they belong to, with paths relative to it.

    Requests are paths or dicts with a ``path``, and maybe ``start``, ``end``, ``byte_range`` or ``tags``.

    >>> find_common_buckets(["gs://b/x", "gs://b/y/z"])["precomputed://gs://b"][1]["path"]
    'y/z'
    """
    found: dict[str, list[dict[str, Any]]] = {}
    many: Iterable[Any] = [cloudpaths] if isinstance(cloudpaths, str | Mapping) else cloudpaths
    for given in many:
        request: dict[str, Any] = {"path": given} if isinstance(given, str) else dict(given)
        start, end = request.pop("byte_range", None) or (None, None)
        request = {"start": start, "end": end, **request}
        parts = extract(normalize(request["path"]))
        if parts.protocol == "file":
            directory, _, name = parts.path.rpartition("/")
            bucket, request["path"] = f"file://{directory or '/'}", name
        else:
            bucket, request["path"] = asbucketpath(parts), parts.path
        found.setdefault(bucket, []).append(request)
    return found


def _parts(path: str | ExtractedPath) -> ExtractedPath:
    return extract(path) if isinstance(path, str) else path


def _root(parts: ExtractedPath) -> str:
    """The bucket or server, as it is written."""
    if parts.alias:
        return f"{parts.alias}://{parts.bucket}"
    if parts.bucket is None:
        before = f"{parts.protocol.partition('+')[0]}+" if parts.protocol in TOKEN_SCHEMES else ""
        return f"{before}{parts.host}"
    if parts.protocol in {"http", "https"}:
        return f"{parts.host}/{parts.bucket}"
    return f"{parts.protocol}://{parts.host}/{parts.bucket}" if parts.host else f"{parts.protocol}://{parts.bucket}"


def _scheme(path: str) -> str | None:
    match = _SCHEME.match(path)
    return match[1] if match else None


def _absolute(path: str) -> str:
    if path.startswith("localhost/"):
        path = path.removeprefix("localhost")
    absolute = os.path.abspath(os.path.expanduser(path))
    return absolute + "/" if path.endswith("/") and not absolute.endswith("/") else absolute
