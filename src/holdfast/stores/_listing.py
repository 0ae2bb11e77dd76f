"""Listings by string prefix for gs and az, out of an engine that lists whole path segments and forgets slashes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import InvalidKey, NotFound, StoreError
from ..keys import sort_key
from ..store import HEAD, select
from ..types import ListOptions, ObjectInfo
from . import _obstore
from ._obstore import Client
from ._obstore_errors import shown

PAGE = 1000
#: The engine's own tries for each page: nobody else can ask for one page again.
PAGE_TRIES = 7
LAST_CHARACTER = "\U0010ffff"


def scan(client: Client, options: ListOptions, *, in_order: bool) -> Iterator[ObjectInfo]:
    """The rows of a listing, streamed; one level of it (the delimiter "/") is held in memory.

    ``in_order`` says that the service lists in the order of UTF-8, so that a listing may start just before the
    prefix and stop after it. InvalidKey for a prefix that no key of such a store can have.
    """
    _obstore.check_key(options.prefix + "x", client.store)
    if options.delimiter == "/":
        return _level(client, options)
    return select(_objects(client, options, in_order=in_order), options)


def _level(client: Client, options: ListOptions) -> Iterator[ObjectInfo]:
    parent, prefix, after = _parent(options.prefix), options.prefix, options.start_after
    answer = client.call("list", None, _obstore.list_level, client.plain, parent)
    rows = [ObjectInfo(f"{path}/", is_prefix=True) for path in answer["common_prefixes"]]
    # Markers of folders are rolled up with the folders; that of this level comes as its parent.
    rows += [_info(meta) for meta in answer["objects"] if meta["path"] != parent]
    rows.sort(key=lambda row: sort_key(row.key))
    for row in rows:
        if row.key.startswith(prefix) and (after is None or sort_key(row.key) > sort_key(after)):
            yield row


def _objects(client: Client, options: ListOptions, *, in_order: bool) -> Iterator[ObjectInfo]:
    # Keys are compared as Python strings: code points sort as their UTF-8 does.
    prefix, parent = options.prefix, _parent(options.prefix)
    offset = _offset(prefix, options.start_after) if in_order else None
    for meta in _told_apart(client, _rows(client, parent, offset), parent):
        path = meta["path"]
        if path.startswith(prefix):
            yield _info(meta)
        elif in_order and path > prefix:
            return


def _rows(client: Client, parent: str | None, offset: str | None) -> Iterator[Mapping[str, Any]]:
    engine = client.variant(tries=PAGE_TRIES)
    for page in _obstore.pages(client, engine, parent, offset=offset, chunk_size=PAGE):
        yield from page


def _told_apart(client: Client, rows: Iterator[Mapping[str, Any]], parent: str | None) -> Iterator[Mapping[str, Any]]:
    """The rows that are objects: the engine shows "folder/" as "folder" too.

    A row that comes a second time is the one with the slash, and so is an empty one without an object of its name.
    Keys that begin alike come together, so the rows that may come again are those that begin the present one.
    """
    open_rows: list[str] = []
    for meta in rows:
        path = meta["path"]
        while open_rows and not path.startswith(open_rows[-1]):
            open_rows.pop()
        again = path == parent or (bool(open_rows) and open_rows[-1] == path)
        if again and meta["size"]:
            raise StoreError(
                f"{shown(path + '/')!r} is an object with {meta['size']} bytes, and the engine cannot tell it from "
                f"{shown(path)!r}: remove or rename it with another tool",
                store=client.store,
                key=path + "/",
            )
        if again or (not meta["size"] and not _exists(client, path)):
            continue
        open_rows.append(path)
        yield meta


def _exists(client: Client, key: str) -> bool:
    try:
        _obstore.open_body(client, key, key, HEAD)
    except NotFound:
        return False
    return True


def _info(meta: Mapping[str, Any]) -> ObjectInfo:
    return ObjectInfo(meta["path"], meta["size"], quoted(meta["e_tag"]), meta["last_modified"])


def quoted(etag: str | None) -> str | None:
    """The ETag as a head shows it: Azure's listings leave the quotes out."""
    return f'"{etag}"' if etag and not etag.endswith('"') else etag or None


def _parent(prefix: str) -> str | None:
    return prefix.rpartition("/")[0] or None


def _offset(prefix: str, start_after: str | None) -> str | None:
    """The latest key that the engine can carry and that comes before everything that is asked for, or None."""
    before = None
    if prefix and not prefix.endswith("/"):
        before = prefix[:-1] + chr(max(ord(prefix[-1]) - 1, 0)) + LAST_CHARACTER
    if start_after is not None and (before is None or start_after > before):
        before = start_after
    if before is None:
        return None
    try:
        _obstore.check_key(before, "")
    except InvalidKey:
        return None
    return before
