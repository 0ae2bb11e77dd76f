"""Exact listings of S3 and Google: what ListObjectsV2 answers, verbatim, checked page by page."""

from __future__ import annotations

import itertools
import re
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

from ..errors import StoreError
from ..keys import printable, sort_key
from ..types import ListOptions, ObjectInfo
from ._documents import Document, Fields

Kind_co = TypeVar("Kind_co", bound=Document, covariant=True)

#: Rows to a request; S3 gives no more.
PAGE = 1000
#: Text that stands in XML as it is: printable ASCII without the characters that mean something there.
_TEXT = "[ -%'-;=?-~]*"
_QUOTE = '(?:&quot;|&#34;|")'
#: A row as Amazon, Ceph, MinIO and most others write it, and all that is kept of it.
_PLAIN_ROW = re.compile(
    f"<Contents><Key>({_TEXT})</Key><LastModified>({_TEXT})</LastModified><ETag>{_QUOTE}({_TEXT}){_QUOTE}</ETag>"
    f"(?:<ChecksumAlgorithm>{_TEXT}</ChecksumAlgorithm>)*(?:<ChecksumType>{_TEXT}</ChecksumType>)?"
    f"<Size>([0-9]+)</Size>(?:<StorageClass>{_TEXT}</StorageClass>)?"
    f"(?:<Owner><ID>{_TEXT}</ID>(?:<DisplayName>{_TEXT}</DisplayName>)?</Owner>)?"
    f"(?:<StorageClass>{_TEXT}</StorageClass>)?(?:<Type>{_TEXT}</Type>)?</Contents>[ \\t\\r\\n]*"
)
#: What the pattern keeps of a row: Key, LastModified, ETag without quotes, Size.
_KEPT = 4
#: What a service may not be able to repeat in its XML: a listing starts before it instead.
UNSENT = re.compile("[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


class Page(Document):
    """One answer of a listing: its plain rows apart, in ``plain``, and the rest as any document.

    Expat calls Python a dozen times a row, which is most of what a long listing costs. So rows without anything unusual
    are taken by a regular expression, all or none of a page, and expat reads what is left.
    """

    __slots__ = ("plain",)

    def __init__(self, body: bytes) -> None:
        self.plain: Sequence[tuple[str, str, str, str]] = ()
        rest = self._take_plain(body)
        super().__init__(rest)
        if rest is body:
            return
        displaced = self.fields.pop("Contents", None) is None
        if displaced or any(kind == "Contents" for kind, _ in self.rows):
            self.plain = ()  # they are no rows where they stand, or their places among the others are lost
            super().__init__(body)

    def _take_plain(self, body: bytes) -> bytes:
        """The body with an empty row for all plain ones, which are kept; the body itself if they are not one block."""
        if not body.isascii() or b"<!" in body:  # comments and CDATA sections may hold what only looks like rows
            return body
        before, *parts = _PLAIN_ROW.split(body.decode("ascii"))
        if not parts or any(parts[_KEPT : -1 : _KEPT + 1]):
            return body
        fields = (parts[number :: _KEPT + 1] for number in range(_KEPT))
        self.plain = list(zip(*fields, strict=True))
        return f"{before}<Contents/>{parts[-1]}".encode("ascii")


class Pages(Protocol[Kind_co]):
    """Who asks for the pages of a listing; ``store`` is what errors call the place."""

    @property
    def store(self) -> str: ...

    def page(self, query: Mapping[str, str]) -> Kind_co:
        """The page that answers this query, tried again if need be."""
        ...


def scan(pages: Pages[Page], options: ListOptions) -> Iterator[ObjectInfo]:
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


def _rows(pages: Pages[Page], options: ListOptions, start: str) -> Iterator[ObjectInfo]:
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


def _page(pages: Pages[Page], page: Page) -> list[ObjectInfo]:
    encoded = page.fields.get("EncodingType") == "url"
    if page.altered and not encoded:
        raise _unbelievable(pages, "it holds characters that XML cannot hold, and so perhaps keys that are others")
    text = urllib.parse.unquote_plus if encoded else str
    moment = datetime.fromisoformat
    try:
        rows = [ObjectInfo(text(key), int(size), f'"{etag}"', moment(when)) for key, when, etag, size in page.plain]
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


def _unbelievable(pages: Pages[Any], what: str) -> StoreError:
    return StoreError(f"the listing cannot be believed: {what}", store=pages.store)
