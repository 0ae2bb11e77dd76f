"""Exact listings of Azure: what List Blobs answers, verbatim, checked page by page."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime

from ..errors import StoreError
from ..keys import printable, sort_key
from ..store import select
from ..types import ListOptions, ObjectInfo
from ._documents import Document, Fields
from ._list_objects import UNSENT, Pages, encodable

#: Rows to a request; Azure gives no more.
PAGE = 5000


class Blobs(Document):
    """One page of List Blobs: its rows are ``Blob`` and ``BlobPrefix``, each with its properties among its fields.

    >>> name = "<Blob><Name>a</Name><Properties><Etag>1</Etag></Properties></Blob>"
    >>> page = Blobs(f"<R><Blobs>{name}</Blobs><NextMarker>m</NextMarker></R>".encode())
    >>> page.rows, page.fields
    ([('Blob', {'Name': 'a', 'Etag': '1'})], {'NextMarker': 'm'})
    """

    __slots__ = ("_encoded", "_path")

    def _parse(self, body: bytes) -> None:
        self._path: list[str] = []
        self._encoded = False
        super()._parse(body)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._path.append(name)
        self._text.clear()
        if len(self._path) == 1:
            self.root = name
        elif len(self._path) == 3:
            self._row = {}
        elif name == "Name":
            self._encoded = attributes.get("Encoded") == "true"

    def _end(self, name: str) -> None:
        self._path.pop()
        text = "".join(self._text)
        match self._path:
            case [_] if name != "Blobs":
                self.fields[name] = text
            case [_, "Blobs"]:
                self.rows.append((name, self._row))
            case [_, "Blobs", _] | [_, "Blobs", _, "Properties"] if name != "Properties":
                self._row[name] = urllib.parse.unquote(text) if name == "Name" and self._encoded else text
        self._text.clear()


def scan(pages: Pages[Document], options: ListOptions) -> Iterator[ObjectInfo]:
    """The rows of a listing in the service's own order, one request for 5,000 of them, from the first match on.

    Azure cannot start after a key: what comes before ``start_after`` is read and left out. Raises StoreError for a
    listing that cannot be believed: no XML or not of a listing, with keys outside the prefix or a row that comes
    twice in a row, or with a marker that was there before.
    """
    if not encodable(options.prefix):
        return iter(())  # no key on Azure begins like that
    unsent = UNSENT.search(options.prefix)
    if unsent or options.delimiter != "/":
        prefix = options.prefix[: unsent.start()] if unsent else options.prefix
        return select(_rows(pages, ListOptions(prefix)), options)  # longer delimiters are not for every server
    rows = _rows(pages, options)
    return (row for row in rows if options.start_after is None or sort_key(row.key) > sort_key(options.start_after))


def _rows(pages: Pages[Document], options: ListOptions) -> Iterator[ObjectInfo]:
    query = {"restype": "container", "comp": "list", "maxresults": str(PAGE)}
    if options.prefix:
        query["prefix"] = options.prefix
    if options.delimiter == "/":
        query["delimiter"] = options.delimiter
    seen: set[str] = set()
    previous = None
    while True:
        page = pages.page(query)
        if page.altered and any("\ufffd" in fields.get("Name", "") for _, fields in page.rows):
            raise _unbelievable(pages, "it holds characters that XML cannot hold, and so perhaps keys that are others")
        rows = [_row(pages, kind, fields) for kind, fields in page.rows]
        if any(row.is_prefix for row in rows):  # Azurite lists them apart
            rows.sort(key=lambda row: row.key)
        for row in rows:
            if not row.key.startswith(options.prefix):
                raise _unbelievable(pages, f"{printable(row.key)!r} is not below {printable(options.prefix)!r}")
            if row.key == previous and not row.is_prefix:
                raise _unbelievable(pages, f"{printable(row.key)!r} is in it twice")
            if row.key != previous:  # a folder may end one page and begin the next
                yield row
            previous = row.key
        marker = page.fields.get("NextMarker")
        if not marker:
            return
        if marker in seen:
            raise _unbelievable(pages, "it goes on, but with a marker that was there before")
        seen.add(marker)
        query["marker"] = marker


def _row(pages: Pages[Document], kind: str, fields: Mapping[str, str]) -> ObjectInfo:
    try:
        if kind == "BlobPrefix":
            return ObjectInfo(fields["Name"], is_prefix=True)
        if kind == "Blob":
            return _info(dict(fields))
    except (KeyError, ValueError) as error:
        raise _unbelievable(pages, f"a row of it is no sound row ({type(error).__name__}: {error})") from None
    raise _unbelievable(pages, f"a row of it is a {printable(kind)[:80]!r}")


def _info(fields: Fields) -> ObjectInfo:
    changed = parsedate_to_datetime(fields["Last-Modified"])
    return ObjectInfo(fields["Name"], int(fields["Content-Length"]), quoted(fields.get("Etag")), changed)


def quoted(etag: str | None) -> str | None:
    """The ETag as a head shows it: Azure's listings leave the quotes out."""
    return f'"{etag}"' if etag and not etag.endswith('"') else etag or None


def _unbelievable(pages: Pages[Document], what: str) -> StoreError:
    return StoreError(f"the listing cannot be believed: {what}", store=pages.store)
