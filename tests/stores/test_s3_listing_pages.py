"""One page of a listing: the short way for plain rows says exactly what the parser says, or is not taken."""

from __future__ import annotations

import pytest

from holdfast.stores._documents import Document, Malformed
from holdfast.stores._list_objects import Page

WHEN = "<LastModified>2026-01-02T03:04:05.000Z</LastModified>"
OWNER = "<Owner><ID>me</ID><DisplayName>Me</DisplayName></Owner>"
KINDS = "<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>"
LEVEL = "<CommonPrefixes><Prefix>b%2F</Prefix></CommonPrefixes>"


def row(key="a", *, etag="&quot;0-1&quot;", before="", after="<StorageClass>STANDARD</StorageClass>", size="7"):
    tag = f"<ETag>{etag}</ETag>"
    return f"<Contents><Key>{key}</Key>{WHEN}{tag}{before}<Size>{size}</Size>{after}</Contents>"


def body(*rows, root="ListBucketResult"):
    start = f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    rest = "<EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>"
    return f"{start}<Name>n</Name>{''.join(rows)}{rest}</{root}>".encode()


PLAIN = {
    "amazon": (row(before=KINDS), row("b+c", before=KINDS)),
    "ceph": (row(after=f"<StorageClass>STANDARD</StorageClass>{OWNER}<Type>Normal</Type>"),),
    "minio": (row("x", after=f"{OWNER}<StorageClass>STANDARD</StorageClass>"),),
    "moto": (row(etag='"0"'), row("%C3%A9", etag='"1"')),
    "go": (row(etag="&#34;0&#34;"),),
    "bare": (row(after=""), row("b", after="")),
    "on lines": (row() + "\n  ", row("b") + "\n  "),
    "with levels": (row(), LEVEL),
    "levels first": (LEVEL, row()),
}
ODD = {
    "no rows": (),
    "levels alone": (LEVEL,),
    "an entity": (row("a&amp;b"), row("c")),
    "a number": (row("a&#x2f;b"),),
    "a unicode key": (row("é"), row("f")),
    "no quotes": (row(etag="0"),),
    "an unknown field": (row(after="<New>1</New>"),),
    "a comment": ("<!-- " + row("hidden") + " -->", row()),
    "a comment alone": ("<!-- " + row("hidden") + " -->",),
    "a section alone": ("<Note><![CDATA[" + row("hidden") + "]]></Note>",),
    "rows within something else": (f"<Wrap>{row()}</Wrap>",),
    "a section": (row("<![CDATA[x]]>"), row("z")),
    "one odd row among plain ones": (row("a"), row("b&lt;"), row("c")),
    "an odd row at the end": (row("a"), row("b&lt;")),
    "levels between": (row("a"), LEVEL, row("c")),
    "no size": (row(size=""), row("b")),
    "a character that XML cannot hold": (row("a&#1;b"), row("c")),
}


def contents(document):
    """All that a listing reads of the rows, in their order."""
    plain = [(key, when, f'"{etag}"', size) for key, when, etag, size in getattr(document, "plain", ())]
    names = ("Key", "LastModified", "ETag", "Size")
    return plain + [tuple(fields.get(n) for n in names) for kind, fields in document.rows if kind == "Contents"]


@pytest.mark.parametrize("rows", [*PLAIN.values(), *ODD.values()], ids=[*PLAIN, *ODD])
def test_a_page_says_what_the_parser_says(rows):
    page, document = Page(body(*rows)), Document(body(*rows))
    assert contents(page) == contents(document)
    assert (page.root, page.fields, page.altered) == (document.root, document.fields, document.altered)
    assert [fields for kind, fields in page.rows if kind != "Contents"] == [
        fields for kind, fields in document.rows if kind != "Contents"
    ]


@pytest.mark.parametrize("rows", PLAIN.values(), ids=PLAIN)
def test_what_services_write_takes_the_short_way(rows):
    page = Page(body(*rows))
    assert len(page.plain) == sum("<Contents>" in part for part in rows)
    assert not any(kind == "Contents" for kind, _ in page.rows)


@pytest.mark.parametrize("rows", ODD.values(), ids=ODD)
def test_a_page_with_anything_else_is_left_to_the_parser(rows):
    assert not Page(body(*rows)).plain


@pytest.mark.parametrize(
    "text",
    [body(row())[:-5], row("a").encode() * 2, body(row())[60:], body(row()) + b"<more/>", body() + row().encode()],
    ids=["cut off", "two roots", "no beginning", "something behind", "a row behind"],
)
def test_what_is_no_document_is_malformed_with_plain_rows_too(text):
    with pytest.raises(Malformed):
        Page(text)
