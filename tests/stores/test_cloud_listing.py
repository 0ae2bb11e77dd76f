"""Listings of Google and Azure: every key as it is, exact string prefixes in few requests, answers that are none."""

from __future__ import annotations

import base64
import http.client

import pytest

from holdfast.errors import HoldfastError, StoreError
from holdfast.keys import sort_key
from holdfast.stores import az_listing
from holdfast.stores.az import AzureStore
from holdfast.stores.gs import GoogleStore
from tests.stores.s3_stores import quick
from tests.stores.scripted import Answer, Scripted

pytestmark = pytest.mark.server

KEYS = sorted((
    *("run1", "run1.txt", "run1/a", "run1/b/c", "run10/a", "d/a", "d/ab/x", "d/abc", "empty", "a b", "a%20b", "ü/é"),
    *("\U0001f600", "\uffee", "A", "a+b", "a!", "trail/", "trail", "photos/", "photos/1", "photos-2", "d//x", "d//"),
    *("<&>\"'", "%2F", "/lead", "run1//", "..x", "lone/"),
))  # fmt: skip
EMPTY = {"empty", "photos/", "lone/"}
PREFIXES = [
    "",
    "r",
    "run1",
    "run1/",
    "d",
    "d/",
    "d//",
    "photos",
    "photos/",
    "trail",
    "trail/",
    "/",
    "lone/",
    "a%",
    "a+",
]
PREFIXES += ["nothing", "zz", "ü", "\U0001f600", "\uffee", "\x01", "d\x1b", "\udc80", "\uffff", "<&"]


class Cloud:
    """A store of one vendor, with its server and a bucket of its own there."""

    def __init__(self, server, bucket, make):
        self.server, self.bucket, self.make = server, bucket, make

    def open(self, endpoint=None):
        """The store, at its server or at whatever stands before it."""
        return self.make(self.bucket, endpoint or self.server.endpoint)

    def behind(self, proxy):
        """The store at this proxy, and what it answers with: the server behind."""
        port = int(self.server.endpoint.split("/")[2].split(":")[1])

        def forward(request):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request(request.method, request.target, request.body or None, request.headers)
            answer = connection.getresponse()
            kind = answer.getheader("content-type")
            data = answer.read()
            connection.close()
            return Answer(answer.status, data, {"Content-Type": kind} if kind else {})

        proxy.answer = forward
        return self.open(self.server.endpoint.replace(f":{port}", proxy.endpoint[proxy.endpoint.rindex(":") :]))


@pytest.fixture(params=["gs", "az"])
def vendor(request):
    return request.param


@pytest.fixture
def cloud(vendor, request):
    if vendor == "gs":
        server = request.getfixturevalue("gcs")
        return Cloud(server, server.make_bucket(), lambda b, e: GoogleStore(b, endpoint=e, token="x", retry=quick()))
    server = request.getfixturevalue("azurite")
    make = lambda b, e: AzureStore(b, endpoint=e, account_key=server.account_key, retry=quick())  # noqa: E731
    return Cloud(server, server.make_container(), make)


@pytest.fixture
def store(cloud, monkeypatch, vendor):
    if vendor == "gs":
        monkeypatch.setattr(cloud.server, "accepts", lambda token: True)
    return cloud.open()


def expected(prefix, delimiter=None, start_after=None):
    rows = set()
    for key in KEYS:
        if key.startswith(prefix):
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            rows.add(key if cut < 0 else key[: cut + len(delimiter)])
    return sorted(row for row in rows if start_after is None or sort_key(row) > sort_key(start_after))


@pytest.fixture
def filled(cloud, store):
    for key in KEYS:
        cloud.server.put(cloud.bucket, key, b"" if key in EMPTY else key.encode())
    return store


def test_every_key_is_shown_as_it_is(filled, vendor):
    for prefix in PREFIXES:
        rows = list(filled.list(prefix))
        found = [row.key for row in rows]
        assert (found if vendor == "gs" else sorted(found)) == expected(prefix), prefix
        for row in rows:
            assert row.size == (0 if row.key in EMPTY else len(row.key.encode()))
            assert row.etag.startswith('"')
            assert row.last_modified.tzinfo is not None
            assert not row.is_prefix


@pytest.mark.parametrize("delimiter", ["/", "1", "un"])
def test_a_delimiter_rolls_up_what_lies_deeper(filled, delimiter):
    for prefix in ("", "r", "run1/", "d/", "d/a", "photos/", "photos", "/", "nothing"):
        rows = list(filled.list(prefix, delimiter=delimiter))
        assert sorted(row.key for row in rows) == expected(prefix, delimiter), prefix
        assert {row.key for row in rows if row.is_prefix} == {
            row for row in expected(prefix, delimiter) if delimiter in row[len(prefix) :]
        }


@pytest.mark.parametrize("delimiter", [None, "/"])
@pytest.mark.parametrize("start_after", ["", "run1", "run1/", "d//x", "a\x01", "zzz", "\udc80"])
def test_a_listing_starts_after_any_string(filled, start_after, delimiter):
    for prefix in ("", "run1", "d/"):
        rows = filled.list(prefix, delimiter=delimiter, start_after=start_after)
        assert sorted(row.key for row in rows) == expected(prefix, delimiter, start_after), prefix


def test_requests_are_proportional_to_the_matches(cloud, store, vendor, monkeypatch):
    monkeypatch.setattr(az_listing, "PAGE", 10)
    monkeypatch.setattr("holdfast.stores._list_objects.PAGE", 10)
    for number in range(25):
        cloud.server.put(cloud.bucket, f"big/{number:05}", b"")
        if number < 5:
            cloud.server.put(cloud.bucket, f"bigger/{number}", b"x")
    with Scripted(lambda request: Answer()) as proxy:
        store = cloud.behind(proxy)

        def cost(prefix, **options):
            proxy.requests.clear()
            rows = sum(1 for _ in store.list(prefix, **options))
            return rows, len(proxy.requests)

        assert cost("") == (30, 3)
        assert cost("big/") == (25, 3)
        assert cost("big/0001") == (10, 1)
        assert cost("bigge") == (5, 1)
        assert cost("", delimiter="/") == (2, 1)
        assert cost("", start_after="big/00023") == (6, 1 if vendor == "gs" else 3)  # Azure cannot start there
        proxy.requests.clear()
        listing = store.list("")
        next(listing)
        listing.close()
        assert len(proxy.requests) == 1


def test_a_listing_that_breaks_goes_on_where_it_was(cloud, store, monkeypatch):
    monkeypatch.setattr(az_listing, "PAGE", 3)
    monkeypatch.setattr("holdfast.stores._list_objects.PAGE", 3)
    keys = [f"key-{number}" for number in range(10)]
    for key in keys:
        cloud.server.put(cloud.bucket, key, b"x")
    fails = iter([False, True, False, True, True, False])
    with Scripted(lambda request: Answer()) as proxy:
        store = cloud.behind(proxy)
        forward = proxy.answer
        proxy.answer = lambda request: Answer(503) if next(fails, False) else forward(request)
        assert [row.key for row in store.list()] == keys


# ---------------------------------------------------------------------- what cannot be believed
def google_page(keys, token=None):
    rows = "".join(
        f"<Contents><Key>{key}</Key><Size>1</Size><ETag>x</ETag>"
        "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
        for key in keys
    )
    more = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    return f"<ListBucketResult><IsTruncated>{bool(token)}</IsTruncated>{more}{rows}</ListBucketResult>".replace(
        "True", "true"
    )


def azure_page(keys, token=None):
    rows = "".join(
        f"<Blob><Name>{key}</Name><Properties><Last-Modified>Sat, 21 Nov 2026 00:00:00 GMT</Last-Modified>"
        "<Etag>0x1</Etag><Content-Length>1</Content-Length></Properties></Blob>"
        for key in keys
    )
    return f"<EnumerationResults><Blobs>{rows}</Blobs><NextMarker>{token or ''}</NextMarker></EnumerationResults>"


PAGES = {"gs": google_page, "az": azure_page}
SIZES = {"gs": "<Size>1</Size>", "az": "<Content-Length>1</Content-Length>"}
UNBELIEVABLE = {
    "a token again": lambda page, size: [page(["a"], "t"), page(["b"], "t")],
    "tokens in a circle of empty pages": lambda page, size: [page([], token) for token in "aba"],
    "a row again": lambda page, size: [page(["a", "b"], "t"), page(["b"])],
    "a key outside the prefix": lambda page, size: [page(["a", "x"])],
    "a row that is no row": lambda page, size: [page(["a"]).replace(size, "")],
    "a size that is no size": lambda page, size: [page(["a"]).replace(size, size.replace("1", "x"))],
    "a key that XML cannot hold": lambda page, size: [page(["a&#1;"])],
    "another document": lambda page, size: ["<InitiateMultipartUploadResult/>"],
    "a page of HTML": lambda page, size: ["<html><body><p>Welcome to the hotel</p></body></html>"],
    "nothing": lambda page, size: [""] * 7,
    "half a document": lambda page, size: [page(["a"])[:-30]] * 7,
    "an error with status 200": lambda page, size: ["<Error><Code>InternalError</Code></Error>"] * 7,
}
MAKE = {
    "gs": lambda server: GoogleStore("bucket", endpoint=server.endpoint, token="x", retry=quick()),
    "az": lambda server: AzureStore(
        "container", endpoint=f"{server.endpoint}/me", account_key=base64.b64encode(b"x").decode(), retry=quick()
    ),
}


@pytest.mark.parametrize("name", UNBELIEVABLE)
def test_a_listing_that_cannot_be_believed_is_an_error_with_an_end(vendor, name):
    prefix = "a" if name == "a key outside the prefix" else ""
    left = [text.encode() for text in UNBELIEVABLE[name](PAGES[vendor], SIZES[vendor])]
    told = pytest.raises(StoreError, match=r"cannot be believed|is this an? \w+ endpoint|InternalError")
    with Scripted(lambda request: Answer(200, left.pop(0), {"Content-Type": "application/xml"})) as server, told:
        list(MAKE[vendor](server).list(prefix))
    assert not left


@pytest.mark.parametrize("content", ["page", "html"])
def test_a_page_of_html_is_known_by_its_type(vendor, content):
    body = PAGES[vendor]([]) if content == "page" else "<html><body>please log in</body></html>"
    answer = Answer(200, body.encode(), {"Content-Type": "text/html; charset=utf-8"})
    with Scripted(lambda request: answer) as server, pytest.raises(StoreError, match=r"'text/html'.*proxy"):
        list(MAKE[vendor](server).list())
    assert len(server.requests) == 1


def test_no_answer_is_no_empty_listing(vendor):
    with Scripted(lambda request: Answer(200, b"", cut=0)) as server, pytest.raises(HoldfastError):
        list(MAKE[vendor](server).list())


def test_names_that_xml_cannot_hold_come_encoded():
    page = azure_page(["x"]).replace("<Name>x", '<Name Encoded="true">a%EF%BF%BFb').encode()
    with Scripted(lambda request: Answer(200, page, {"Content-Type": "application/xml"})) as server:
        assert [row.key for row in MAKE["az"](server).list()] == ["a\uffffb"]


def test_a_folder_that_ends_one_page_and_begins_the_next_is_one_row():
    prefix = "<BlobPrefix><Name>d/</Name></BlobPrefix>"
    pages = [azure_page([], token).replace("<Blobs>", f"<Blobs>{prefix}").encode() for token in ("m", None)]
    with Scripted(lambda request: Answer(200, pages.pop(0), {"Content-Type": "application/xml"})) as server:
        rows = list(MAKE["az"](server).list(delimiter="/"))
    assert [(row.key, row.is_prefix) for row in rows] == [("d/", True)]
