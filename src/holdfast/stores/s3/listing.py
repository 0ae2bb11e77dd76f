"""Exact listings by string prefix, out of an engine that lists whole path segments and forgets trailing slashes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...errors import HoldfastError, InvalidKey, NotFound, StoreError
from ...keys import printable
from ...store import HEAD, select
from ...types import ListOptions, ObjectInfo
from .. import _obstore
from .._obstore import Client

PAGE = 1000
LAST_CHARACTER = "\U0010ffff"

Page = Sequence[Mapping[str, Any]]

#: What the engine does not carry in a start-after key: the text before it is carried, and starts no later.
_UNCARRIED = re.compile(r"^/|//|(?<![^/])\.{1,2}(?=/|$)|[\x00-\x1f\x7f\ud800-\udfff]")


def scan(client: Client, options: ListOptions) -> Iterator[ObjectInfo]:
    """The rows of a listing, streamed page by page; delimiters other than "/" are rolled up here."""
    if options.delimiter:
        return select(_objects(client, options.prefix, None), options)
    return _objects(client, options.prefix, options.start_after)


def level(client: Client, options: ListOptions) -> Iterator[ObjectInfo]:
    """The rows of one level of a listing with the delimiter "/", in order; the level is held in memory."""
    prefix, after = options.prefix, options.start_after
    parent = _parent(client, prefix)
    answer = client.call("list", None, _obstore.list_level, client.plain, parent)
    rows = [ObjectInfo(f"{path}/", is_prefix=True) for path in answer["common_prefixes"]]
    # Markers of folders are rolled up with the folders here; the level's own one is not below its prefix.
    rows += [_info(meta) for meta in answer["objects"]]
    rows.sort(key=lambda row: row.key)
    for row in rows:
        if row.key.startswith(prefix) and (after is None or row.key > after):
            yield row


def _objects(client: Client, prefix: str, start_after: str | None) -> Iterator[ObjectInfo]:
    # Keys are compared as Python strings: code points sort as their UTF-8 does.
    parent = _parent(client, prefix)
    if start_after is not None and start_after > prefix and not start_after.startswith(prefix):
        return
    after = start_after if start_after is not None and start_after >= prefix else None
    offset = _just_before(prefix, parent) if after is None else _carried(after, parent)
    for path, meta in _told_apart(client, parent, offset):
        if not path.startswith(prefix):
            if path > prefix:
                return
        elif after is None or path > after:
            yield _info(meta)


def _told_apart(client: Client, parent: str | None, offset: str | None) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The rows that are objects: "folder/" comes as "folder" too, and is told by its place in the order or a HEAD."""
    previous = ""
    for meta, resumed in _rows(client, parent, offset):
        path, size = meta["path"], meta["size"]
        marker = path == parent or path <= previous
        if marker and path + "/" <= previous:
            if resumed:
                continue
            raise StoreError(
                f"the listing is out of order or repeats itself after {printable(previous)!r} (or there is a key that "
                "begins with a slash, which shows without): it cannot be trusted",
                store=client.store,
            )
        if marker and size:
            raise StoreError(
                f"{printable(path + '/')!r} is an object with {size} bytes, and the engine cannot tell it from "
                f"{printable(path)!r}: remove or rename it with another tool",
                store=client.store,
                key=path + "/",
            )
        marker = marker or (not size and not _exists(client, path))
        previous = path + "/" if marker else path
        if not marker:
            yield path, meta


def _rows(client: Client, parent: str | None, offset: str | None) -> Iterator[tuple[Mapping[str, Any], bool]]:
    """Every row, and whether it belongs to the first page after a listing that broke was taken up again."""
    resumed = False
    stream = _open(client, parent, offset)
    while True:
        try:
            page = _page(client, stream)
        except HoldfastError as error:
            failed, resumed = error, True
            stream, page = client.policy.again(lambda: _reopened(client, parent, offset), failed)  # noqa: B023 - called here
        for meta in page:
            yield meta, resumed
        if not page:
            return
        offset, resumed = page[-1]["path"], False


def _open(client: Client, parent: str | None, offset: str | None) -> Iterator[Page]:
    stream: Iterator[Page] = _obstore.list_objects(client.plain, parent, offset=offset, chunk_size=PAGE)
    return stream


def _page(client: Client, stream: Iterator[Page]) -> Page:
    page: Page = client.attempt("list", None, next, stream, ())
    return page


def _reopened(client: Client, parent: str | None, offset: str | None) -> tuple[Iterator[Page], Page]:
    stream = _open(client, parent, offset)
    return stream, _page(client, stream)


def _exists(client: Client, key: str) -> bool:
    try:
        _obstore.open_body(client, key, key, HEAD)
    except NotFound:
        return False
    return True


def _info(meta: Mapping[str, Any]) -> ObjectInfo:
    return ObjectInfo(meta["path"], meta["size"], meta["e_tag"] or None, meta["last_modified"])


def _parent(client: Client, prefix: str) -> str | None:
    """The whole path segments of a prefix, as far as the engine carries them, or None.

    Keys that begin as the rest does make the engine raise when it comes to them, except those that begin with a
    slash, which it would show without: they are looked for here.
    """
    if prefix.startswith("/"):
        top = client.call("list", None, _obstore.list_level, client.plain)
        if "" in top["common_prefixes"]:
            raise InvalidKey("some keys here begin with a slash, which this store cannot list", store=client.store)
    if bad := _UNCARRIED.search(prefix):
        prefix = prefix[: bad.start() + (bad[0] == "//")]
    return prefix.rpartition("/")[0] or None


def _just_before(prefix: str, parent: str | None) -> str | None:
    """A key after which the first match of a prefix comes soon, if not at once."""
    if not prefix or prefix.endswith("/"):
        return None
    code = ord(prefix[-1]) - 1
    if 0xD800 <= code <= 0xDFFF:
        code = 0xD7FF
    near = prefix[:-1] + chr(max(code, 0)) + LAST_CHARACTER
    return _carried(prefix[:-1] if _UNCARRIED.search(near) else near, parent)


def _carried(after: str, parent: str | None) -> str | None:
    """The key or the beginning of it that the engine can start after, if that lies below the parent at all."""
    bad = _UNCARRIED.search(after)
    carried = (after[: bad.start()] if bad else after).rstrip("/")
    return carried if carried and (parent is None or carried.startswith(parent + "/")) else None
