"""Listings of S3Store: exact string prefixes in few requests, and what the engine cannot tell apart."""

from __future__ import annotations

import http.client
import urllib.parse

import pytest

from holdfast.errors import InvalidKey, StoreError
from holdfast.types import ListOptions
from tests.stores.s3_stores import open_store, quick
from tests.stores.scripted import Answer, Scripted

KEYS = sorted((
    *("run1", "run1.txt", "run1/a", "run1/b/c", "run10", "run10/a", "run2", "d/a", "d/ab/x", "d/ab0", "d/abc", "z"),
    *("empty", "a b", "a%20b", "ü/é", "\U0001f600", "\uffee", "run/x", "0", "d/0", "e0/x", "..x", "d/..y", "a!", "A"),
))  # fmt: skip
PREFIXES = ["", "r", "run", "run1", "run1/", "run10", "d", "d/", "d/a", "d/ab", "d/ab/", "d/0", "0", "e0", "e0/x", "ü"]
PREFIXES += ["\U0001f600", "\uffee", "a ", "a!", "..", "d/..", "nothing", "zz", "A", "run1.txt", "d/ab/x"]


@pytest.fixture(params=["moto", "ceph"], scope="module")
def server(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def store(server):
    store = open_store(server)
    for key in KEYS:
        store.put(key, b"" if key == "empty" else key.encode())
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
        assert row.size == (0 if row.key == "empty" else len(row.key.encode()))
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
            assert row.is_prefix == row.key.endswith("/")


@pytest.mark.parametrize("delimiter", [None, "/"])
@pytest.mark.parametrize("start_after", ["", "run1", "run1/", "run1/a", "d/./x", "d//x", "a\x01", "d/ab", "zzz", "~"])
def test_a_listing_starts_after_any_string(store, start_after, delimiter):
    for prefix in ("", "run1", "d/", "d/ab"):
        rows = store.list(prefix, delimiter=delimiter, start_after=start_after)
        assert [row.key for row in rows] == expected(prefix, delimiter, start_after), prefix


@pytest.mark.parametrize("delimiter", [None, "/"])
@pytest.mark.parametrize("prefix", ["/", "/a", "a//", "run1//", "d//a", "../", "d/./b", "d/\x01/"])
def test_prefixes_that_only_impossible_keys_have_match_nothing_or_raise(store, server, prefix, delimiter):
    assert list(store.list(prefix, delimiter=delimiter)) == []
    server.client().put_object(Bucket=store.bucket, Key=prefix + "x", Body=b"1")
    try:
        with pytest.raises(InvalidKey):
            list(store.list(prefix, delimiter=delimiter))
    finally:
        server.client().delete_object(Bucket=store.bucket, Key=prefix + "x")


def test_a_key_with_a_leading_slash_is_noticed_by_the_order(server):
    store = open_store(server)
    store.put("a", b"x")
    server.client().put_object(Bucket=store.bucket, Key="/b", Body=b"x")
    with pytest.raises(StoreError, match="begins with a slash"):
        list(store.list())
    assert [row.key for row in store.list(delimiter="/")] == ["/", "a"]


def test_the_marker_of_a_folder_is_no_file(server):
    store = open_store(server)
    client = server.client()
    for key in ("folder/", "folder/inner/", "other/", "empty", "other.txt"):
        client.put_object(Bucket=store.bucket, Key=key, Body=b"")
    for key in ("folder/file", "other"):
        store.put(key, b"x")
    everything = ["empty", "folder/file", "other", "other.txt"]
    assert list(store.keys()) == everything
    assert list(store.keys("folder/")) == ["folder/file"]
    assert list(store.keys("folder")) == ["folder/file"]
    assert [row.key for row in store.list(delimiter="/")] == ["empty", "folder/", "other", "other.txt", "other/"]
    assert [row.key for row in store.list("folder/", delimiter="/")] == ["folder/file", "folder/inner/"]


def test_an_object_that_cannot_be_told_from_another_is_an_error_not_a_second_row(server):
    store = open_store(server)
    store.put("trail", b"x")
    server.client().put_object(Bucket=store.bucket, Key="trail/", Body=b"surprise")
    for prefix in ("", "trail", "trail/"):
        with pytest.raises(StoreError, match=r"'trail/' is an object with 8 bytes"):
            list(store.list(prefix))


def test_a_key_that_the_engine_cannot_list_is_an_error_that_names_it(server):
    store = open_store(server)
    store.put("fine/a", b"x")
    server.client().put_object(Bucket=store.bucket, Key="odd//x", Body=b"x")
    for listing in (store.list(), store.list("o"), store.list("odd/", delimiter="/")):
        with pytest.raises(InvalidKey, match="odd//"):
            list(listing)
    assert list(store.keys("fine/")) == ["fine/a"]


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


def test_requests_are_proportional_to_the_matches(moto, big_bucket, monkeypatch):
    monkeypatch.setattr("holdfast.stores.s3.listing._exists", lambda client, key: True)  # empty rows: no HEADs here
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


def test_a_listing_that_breaks_goes_on_where_it_was(moto, big_bucket, monkeypatch):
    monkeypatch.setattr("holdfast.stores.s3.listing._exists", lambda client, key: True)
    counting = Counting(moto)
    fails = iter([False, True, False, True, True, False])

    def sometimes(request):
        return Answer(503, b"<Error><Code>SlowDown</Code></Error>") if next(fails, False) else counting.forward(request)

    with Scripted(sometimes) as proxy:
        store = open_store(moto, big_bucket, endpoint=proxy.endpoint)
        keys = [row.key for row in store.list()]
    assert len(keys) == len(set(keys)) == 2505
    assert keys == sorted(keys)


def page(keys, token=None):
    rows = "".join(
        f"<Contents><Key>{key}</Key><Size>1</Size><ETag>x</ETag>"
        "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
        for key in keys
    )
    more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    return f"<ListBucketResult>{rows}{more}</ListBucketResult>".encode()


THOUSAND = [f"{number:04}" for number in range(1000)]


@pytest.mark.parametrize(
    "pages", [[page(THOUSAND, "again")] * 50, [page(["a", "c"], "1"), page(["b"])], [page(["b", "a"])]]
)
def test_a_listing_that_repeats_or_shuffles_is_refused(moto, pages):
    left = list(pages)
    with Scripted(lambda request: Answer(200, left.pop(0), {"Content-Type": "application/xml"})) as server:
        store = open_store(moto, "bucket", endpoint=server.endpoint, retry=quick())
        with pytest.raises(StoreError, match="out of order or repeats itself"):
            list(store.list())
    assert len(server.requests) <= 3


def test_what_is_asked_for_is_what_is_needed(moto):
    with Scripted(lambda request: Answer(200, page([]), {"Content-Type": "application/xml"})) as server:
        store = open_store(moto, "bucket", endpoint=server.endpoint)
        list(store._scan(ListOptions("a/b/ru")))
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(server.requests[0].target).query)
    assert query["prefix"] == ["a/b/"]
    assert query["start-after"] == ["a/b/rt\U0010ffff"]
