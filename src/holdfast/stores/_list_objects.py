"""Exact listings of S3 and Google: what ListObjectsV2 answers, verbatim, checked page by page."""

from __future__ import annotations

import itertools
import re
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Protocol

from ..errors import StoreError
from ..keys import printable, sort_key
from ..types import ListOptions, ObjectInfo
from ._documents import Document, Fields

#: Rows to a request; S3 gives no more.
PAGE = 1000
#: What a service may not be able to repeat in its XML: a listing starts before it instead.
UNSENT = re.compile("[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


class Pages(Protocol):
    """Who asks for the pages of a listing; ``store`` is what errors call the place."""

    @property
    def store(self) -> str: ...

    def page(self, query: Mapping[str, str]) -> Document:
        """The page that answers this query, tried again if need be."""
        ...


def scan(pages: Pages, options: ListOptions) -> Iterator[ObjectInfo]:
    """The rows of a listing in the order of their keys, one request a thousand of them, from the first match on.

    Raises StoreError for a listing that cannot be believed: no XML or not of a listing, out of order, with keys
    outside the prefix, cut off without a token, or with a token that was there before.
    """
    prefix, after = options.prefix, options.start_after
    if not encodable(prefix):
        return  # no key on S3 begins like that
    if after is None:
        yield from _rows(pages, options, "")
        return
    if sort_key(after) > sort_key(prefix) and not after.startswith(prefix):
        return  # it comes after every key with this prefix
    unsent = UNSENT.search(after)
    start = after[: unsent.start()] if unsent else after
    after_bytes = sort_key(after)
    # Rolled-up rows may sort before what the service started after, and some services start where they like.
    yield from itertools.dropwhile(lambda row: sort_key(row.key) <= after_bytes, _rows(pages, options, start))


def encodable(text: str) -> bool:
    """Whether the text can be sent at all."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _rows(pages: Pages, options: ListOptions, start: str) -> Iterator[ObjectInfo]:
    query = {"list-type": "2", "encoding-type": "url", "max-keys": str(PAGE), "prefix": options.prefix}
    if options.delimiter:
        query["delimiter"] = options.delimiter
    if start:
        query["start-after"] = start
    seen: set[str] = set()
    previous = ""
    while True:
        page = pages.page(query)
        for row in _page(pages, page):
            # Code points sort as their UTF-8 does.
            if row.key <= previous or not row.key.startswith(options.prefix):
                raise _unbelievable(pages, f"{printable(row.key)!r} follows {printable(previous)!r}")
            previous = row.key
            yield row
        token = page.fields.get("NextContinuationToken")
        if page.fields.get("IsTruncated", "false") != "true":
            return
        if not token or token in seen:
            raise _unbelievable(
                pages, "it goes on, but " + ("with a token that was there before" if token else "has no token")
            )
        seen.add(token)
        query["continuation-token"] = token
        query.pop("start-after", None)


def _page(pages: Pages, page: Document) -> list[ObjectInfo]:
    encoded = page.fields.get("EncodingType") == "url"
    if page.altered and not encoded:
        raise _unbelievable(pages, "it holds characters that XML cannot hold, and so perhaps keys that are others")
    text = urllib.parse.unquote_plus if encoded else str
    rows = []
    try:
        for kind, fields in page.rows:
            if kind == "Contents":
                rows.append(_info(fields, text))
            elif kind == "CommonPrefixes":
                rows.append(ObjectInfo(text(fields["Prefix"]), is_prefix=True))
    except (KeyError, ValueError) as error:
        raise _unbelievable(pages, f"a row of it is no sound row ({type(error).__name__}: {error})") from None
    if any(row.is_prefix for row in rows):
        rows.sort(key=lambda row: row.key)
    return rows


def _info(fields: Fields, text: Callable[[str], str]) -> ObjectInfo:
    return ObjectInfo(
        text(fields["Key"]),
        int(fields["Size"]),
        fields.get("ETag") or None,
        datetime.fromisoformat(fields["LastModified"]),
    )


def _unbelievable(pages: Pages, what: str) -> StoreError:
    return StoreError(f"the listing cannot be believed: {what}", store=pages.store)
