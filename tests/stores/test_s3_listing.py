"""Listings of S3Store: every key as it is, exact string prefixes in few requests, and answers not to be believed."""

from __future__ import annotations

import http.client
import urllib.parse

import pytest

from holdfast.errors import StoreError
from holdfast.types import ListOptions
from tests.stores.s3_stores import open_store
from tests.stores.scripted import Answer, Scripted

KEYS = sorted((
    *("run1", "run1.txt", "run1/a", "run1/b/c", "run10", "run10/a", "run2", "d/a", "d/ab/x", "d/ab0", "d/abc", "z"),
    *("empty", "a b", "a%20b", "ü/é", "\U0001f600", "\uffee", "run/x", "0", "d/0", "e0/x", "..x", "d/..y", "a!", "A"),
    *("/lead", "trail/", "trail", "photos/", "photos/1", "d//x", "d/", "..", "./x", "a+b", "run1//", "tab\tkey"),
    "\x01",
))  # fmt: skip
EMPTY = {"empty", "photos/"}
PREFIXES = ["", "r", "run", "run1", "run1/", "run10", "d", "d/", "d/a", "d/ab", "d/ab/", "d/0", "0", "e0", "e0/x", "ü"]
PREFIXES += [
    "/",
    "//",
    "trail",
    "trail/",
    "photos/",
    "d//",
    ".",
    "./",
    "run1//",
    "tab\t",
    "\x01",
    "a+",
    "\udc80",
    "d/\ud800",
]
PREFIXES += ["\U0001f600", "\uffee", "a ", "a!", "..", "d/..", "nothing", "zz", "A", "run1.txt", "d/ab/x"]


@pytest.fixture(params=["moto", "ceph"], scope="module")
def server(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def store(server):
    store = open_store(server)
    for key in KEYS:
        server.client().put_object(Bucket=store.bucket, Key=key, Body=b"" if key in EMPTY else key.encode())
    return store


pytestmark = pytest.mark.server


def expected(prefix, delimiter=None, start_after=None):
    rows = []
    for key in KEYS:
        if not key.startswith(prefix):
            continue
        cut = key.find(delimiter, len(prefix)) if delimiter else -1
        row = key if cut < 0 else key[: cut + len(delimiter)]
        if row not in rows and (start_after is None or row > start_after):
            rows.append(row)
    return rows


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_prefix_is_a_string_prefix_and_rows_are_sorted(store, prefix):
    rows = list(store.list(prefix))
    assert [row.key for row in rows] == expected(prefix)
    for row in rows:
        assert row.size == (0 if row.key in EMPTY else len(row.key.encode()))
        assert row.etag
        assert row.last_modified.tzinfo is not None
        assert not row.is_prefix


@pytest.mark.parametrize("delimiter", ["/", "1", "un"])
@pytest.mark.parametrize("prefix", ["", "r", "run1", "run1/", "d", "d/", "d/a", "nothing"])
def test_a_delimiter_rolls_up_what_lies_deeper(store, prefix, delimiter):
    rows = list(store.list(prefix, delimiter=delimiter))
    assert [row.key for row in rows] == expected(prefix, delimiter)
    for row in rows:
        if delimiter == "/":
            assert row.is_prefix == (row.key.endswith("/") and row.key != prefix)


@pytest.mark.parametrize("delimiter", [None, "/"])
@pytest.mark.parametrize(
    "start_after", ["", "run1", "run1/", "run1/a", "d/./x", "d//x", "a\x01", "d/ab", "zzz", "~", "d/\udc80"]
)
def test_a_listing_starts_after_any_string(store, start_after, delimiter):
    for prefix in ("", "run1", "d/", "d/ab"):
        rows = store.list(prefix, delimiter=delimiter, start_after=start_after)
        assert [row.key for row in rows] == expected(prefix, delimiter, start_after), prefix


def test_the_marker_of_a_folder_is_an_object_of_its_own(store):
    assert [row.key for row in store.list("photos", delimiter="/")] == ["photos/"]
    assert [(row.key, row.is_prefix) for row in store.list("photos/", delimiter="/")] == [
        ("photos/", False),
        ("photos/1", False),
    ]
    assert store.head("photos/").size == 0


def test_an_empty_bucket_lists_as_empty(server):
    store = open_store(server)
    assert list(store.list()) == []
    assert list(store.list(delimiter="/")) == []


# ---------------------------------------------------------------------- how many requests
class Counting:
    """A server in front of moto that counts."""

    def __init__(self, moto):
        self.port, self.region = moto.port, moto.region
        self.access_key, self.secret_key = moto.access_key, moto.secret_key

    def forward(self, request):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(request.method, request.target, request.body or None, request.headers)
        answer = connection.getresponse()
        headers = {name: value for name, value in answer.getheaders() if name.lower() in {"content-type", "etag"}}
        return Answer(answer.status, answer.read(), headers)


@pytest.fixture(scope="module")
def big_bucket(moto):
    bucket = moto.make_bucket()
    client = moto.client()
    for number in range(2500):
        client.put_object(Bucket=bucket, Key=f"big/{number:05}", Body=b"")
        if number < 5:
            client.put_object(Bucket=bucket, Key=f"bigger/{number}", Body=b"x")
    return bucket


def test_requests_are_proportional_to_the_matches(moto, big_bucket):
    counting = Counting(moto)
    with Scripted(counting.forward) as proxy:
        store = open_store(moto, big_bucket, endpoint=proxy.endpoint)

        def cost(prefix, **options):
            proxy.requests.clear()
            rows = sum(1 for _ in store.list(prefix, **options))
            return rows, len(proxy.requests)

        assert cost("") == (2505, 3)
        assert cost("big/") == (2500, 3)
        assert cost("big/024") == (100, 1)
        assert cost("bigge") == (5, 1)
        assert cost("", start_after="big/02400") == (104, 1)
        assert cost("", delimiter="/") == (2, 1)
        assert cost("big/", start_after="bigger") == (0, 0)
        listing = store.list("")
        proxy.requests.clear()
        next(listing)
        listing.close()
        assert len(proxy.requests) == 1


def test_a_listing_that_breaks_goes_on_where_it_was(moto, big_bucket):
    counting = Counting(moto)
    fails = iter([False, True, False, True, True, False])

    def sometimes(request):
        return Answer(503, b"<Error><Code>SlowDown</Code></Error>") if next(fails, False) else counting.forward(request)

    with Scripted(sometimes) as proxy:
        store = open_store(moto, big_bucket, endpoint=proxy.endpoint)
        keys = [row.key for row in store.list()]
    assert len(keys) == len(set(keys)) == 2505
    assert keys == sorted(keys)


def page(keys, token=None, *, truncated=True):
    rows = "".join(
        f"<Contents><Key>{key}</Key><Size>1</Size><ETag>x</ETag>"
        "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
        for key in keys
    )
    more = f"<IsTruncated>{str(truncated).lower()}</IsTruncated>"
    more += f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    return f"<ListBucketResult>{more}{rows}</ListBucketResult>".encode()


XML = {"Content-Type": "application/xml"}
LAST = {"truncated": False}
HTML = b"<html><body><p>Welcome to the hotel</p></body></html>"
BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + page(["&b;"], **LAST)
UNBELIEVABLE = {
    "a token again": [page(["a"], "t"), page(["b"], "t")],
    "tokens in a circle of empty pages": [page([], token) for token in "aba"],
    "no token": [page(["a"])],
    "rows again": [page(["a", "b"], "t"), page(["b"], **LAST)],
    "rows shuffled": [page(["b", "a"], **LAST)],
    "a row that is no row": [page(["a"], **LAST).replace(b"<Size>1</Size>", b"")],
    "a size that is no size": [page(["a"], **LAST).replace(b"<Size>1", b"<Size>x")],
    "another document": [b"<InitiateMultipartUploadResult/>"],
    "a key that XML cannot hold": [page(["a&#1;"], **LAST)],
    "a page of HTML": [HTML],
    "nothing": [b""] * 7,
    "half a document": [page(["a"], **LAST)[:-30]] * 7,
    "a bomb of entities": [BOMB] * 7,
    "an error with status 200": [b"<Error><Code>InternalError</Code></Error>"] * 7,
}


@pytest.mark.parametrize("name", UNBELIEVABLE)
def test_a_listing_that_cannot_be_believed_is_an_error_with_an_end(moto, name):
    left = list(UNBELIEVABLE[name])
    with Scripted(lambda request: Answer(200, left.pop(0), XML)) as server:
        store = open_store(moto, "bucket", endpoint=server.endpoint)
        with pytest.raises(StoreError, match=r"cannot be believed|is this an S3 endpoint|InternalError"):
            list(store.list())
    assert not left


def test_a_page_of_html_is_known_by_its_type(moto):
    with Scripted(
        lambda request: Answer(200, page([], **LAST), {"Content-Type": "text/html; charset=utf-8"})
    ) as server:
        store = open_store(moto, "bucket", endpoint=server.endpoint)
        with pytest.raises(StoreError, match=r"'text/html'.*proxy"):
            list(store.list())
    assert len(server.requests) == 1


def test_keys_outside_the_prefix_are_not_believed(moto):
    with Scripted(lambda request: Answer(200, page(["a", "b"], **LAST), XML)) as server:
        store = open_store(moto, "bucket", endpoint=server.endpoint)
        with pytest.raises(StoreError, match="cannot be believed: 'b' follows 'a'"):
            list(store.list("a"))


def test_a_service_that_starts_too_early_is_cut(moto):
    with Scripted(lambda request: Answer(200, page(["a", "b", "c"], **LAST), XML)) as server:
        store = open_store(moto, "bucket", endpoint=server.endpoint)
        assert [row.key for row in store.list(start_after="b")] == ["c"]


def test_what_is_asked_for_is_what_is_needed(moto):
    with Scripted(lambda request: Answer(200, page([], **LAST), XML)) as server:
        store = open_store(moto, "bucket", endpoint=server.endpoint)
        list(store._scan(ListOptions("a/b/ru", "/", "a/b/run1")))
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(server.requests[0].target).query)
    assert query == {
        "list-type": ["2"],
        "encoding-type": ["url"],
        "max-keys": ["1000"],
        "prefix": ["a/b/ru"],
        "delimiter": ["/"],
        "start-after": ["a/b/run1"],
    }
