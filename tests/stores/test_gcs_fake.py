"""The fake of Google Cloud Storage, asked directly: preconditions, transcoding and pages are what Google documents."""

from __future__ import annotations

import gzip
import re

import pytest
import urllib3

from tests.servers import Gcs

MATCH = "x-goog-if-generation-match"
STORED = gzip.compress(b"plain", mtime=0)


@pytest.fixture
def server():
    with Gcs() as server:
        yield server


@pytest.fixture
def ask(server):
    """Send one request to a bucket of its own."""
    bucket = server.make_bucket()
    with urllib3.PoolManager(retries=False) as pool:

        def ask(method, path, body=None, **headers):
            sent = {"authorization": f"Bearer {server.token}"} | {n.replace("_", "-"): v for n, v in headers.items()}
            url = f"{server.endpoint}/{bucket}/{path}"
            return pool.request(method, url, body=body, headers=sent, decode_content=False)

        yield ask


def test_generation_preconditions(ask):
    assert ask("PUT", "key", b"1", **{MATCH: "7"}).status == 412
    created = ask("PUT", "key", b"1", **{MATCH: "0"})
    generation = created.headers["x-goog-generation"]
    assert (created.status, ask("PUT", "key", b"2", **{MATCH: "0"}).status) == (200, 412)
    assert ask("GET", "key").data == b"1"
    assert ask("PUT", "key", b"1", **{MATCH: generation}).headers["x-goog-generation"] != generation
    assert ask("DELETE", "key", **{MATCH: generation}).status == 412
    generation = ask("HEAD", "key").headers["x-goog-generation"]
    assert [ask("DELETE", "key", **{MATCH: generation}).status for _ in range(2)] == [204, 404]


def test_decompressive_transcoding(ask):
    ask("PUT", "key", STORED, content_encoding="gzip")
    ask("PUT", "fixed", STORED, content_encoding="gzip", cache_control="no-transform")
    plain = ask("GET", "key", range="bytes=0-1")
    assert (plain.status, plain.data) == (200, b"plain")  # and the range is ignored
    assert not {"etag", "content-length", "content-encoding"} & {name.lower() for name in plain.headers}
    assert plain.headers["x-goog-stored-content-length"] == str(len(STORED))
    for stored in (ask("GET", "key", accept_encoding="gzip"), ask("GET", "fixed")):
        assert (stored.data, stored.headers["content-encoding"]) == (STORED, "gzip")
        assert stored.headers["etag"]


def test_listing_pages(ask, server):
    for key in ("a", "b/1", "b/2", "c"):
        ask("PUT", key, b"")
    keys, token = [], ""
    for _ in range(3):
        page = ask("GET", f"?list-type=2&max-keys=1&delimiter=/&continuation-token={token}").data.decode()
        keys += re.findall(r"<(?:Key|Prefix)>([^<]+)<", page)
        token = "".join(re.findall(r"<NextContinuationToken>([^<]+)<", page))
    assert (keys, token) == (["a", "b/", "c"], "")


def test_tokens_are_checked(ask, server):
    ask("PUT", "key", b"1")
    assert ask("GET", "key", authorization="Bearer other").status == 401
    assert ask("GET", "key", authorization="").status == 403
