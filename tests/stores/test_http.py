"""HttpStore against nginx: every key a web server can serve, ranges, errors with names, secrets nowhere."""

from __future__ import annotations

import os
import pickle
import socket

import pytest

from holdfast.errors import (
    AuthError,
    ConfigError,
    Conflict,
    HoldfastError,
    InvalidKey,
    NotFound,
    StoreError,
    Throttled,
    Unsupported,
)
from holdfast.stores.http import HttpStore
from holdfast.types import ReadOptions, WriteOptions
from tests.stores.s3_stores import quick
from tests.stores.scripted import Answer, Scripted

AWKWARD = (
    *("plain", "a b", " a", "a ", "a%20b", "a%b", "a#b", "a?b", "a*b", "a[b]", "a~b", "a\\b", "a|b", "a^b`{}", "a+b"),
    *("a&b=c;d", "a\"b<c>'", "ü/é", "e\u0301", "\U0001f600", "...", "a..b", "a\u0085b", "a:b", "a@b", "-x", "d/e/f"),
)
IMPOSSIBLE = ("/a", "a/", "a//b", "./a", "a/../b", "..", "a\nb", "a\udc80", "x" * 2049)
DATA = b"0123456789"

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def directory(nginx):
    directory = nginx.root / "test-http"
    for key in AWKWARD:
        path = directory / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(key.encode())
    (directory / "data").write_bytes(DATA)
    (directory / "empty").write_bytes(b"")
    (directory / "large").write_bytes(os.urandom(3 << 20))
    (directory / "with space %20").mkdir()
    (directory / "with space %20" / "data").write_bytes(DATA)
    return directory


@pytest.fixture
def store(nginx, directory):
    return open_store(nginx)


def open_store(nginx, path="/test-http", **options):
    return HttpStore(nginx.endpoint + path, **{"retry": quick(), **options})


# ---------------------------------------------------------------------- reading
@pytest.mark.parametrize("key", AWKWARD)
def test_awkward_keys_are_read_as_they_are(store, key):
    assert store.get(key) == key.encode()
    assert store.exists(key)
    assert store.head(key).key == key


@pytest.mark.parametrize("key", IMPOSSIBLE)
def test_keys_that_would_name_another_object_are_refused(store, key):
    for call in (store.get, store.head, store.exists, lambda key: store.get_range(key, 0, 1)):
        with pytest.raises(InvalidKey):
            call(key)


@pytest.mark.parametrize("path", ["", "/", "/test-http", "/test-http/", "/test-http/with space %20"])
def test_a_base_url_may_end_anywhere_and_its_path_is_literal(nginx, directory, path):
    store = open_store(nginx, path)
    key = "data" if "test-http" in path else "test-http/data"
    assert store.get(key) == DATA
    assert store.head(key).key == key
    with pytest.raises(NotFound) as caught:
        store.get(key + "-not")
    assert (caught.value.key, caught.value.store) == (key + "-not", store.name)


def test_large_bodies_and_empty_ones_are_read(store, directory):
    large = (directory / "large").read_bytes()
    assert store.get("large") == large
    with store.read("large") as blob:
        assert blob.size == len(large)
        assert b"".join(blob.chunks()) == large
    assert store.get("empty") == b""


def test_the_head_tells_what_the_server_tells(store, directory):
    info = store.head("data")
    assert info.size == 10
    assert info.etag
    assert info.content_type == "application/octet-stream"
    assert info.last_modified.timestamp() == int((directory / "data").stat().st_mtime)


def test_the_encoding_is_told_and_the_bytes_are_as_stored(nginx, directory):
    with open_store(nginx, "/encoded/test-http").read("data") as blob:
        assert blob.encoding == "gzip"
        assert blob.bytes() == DATA
    with open_store(nginx, "/gzip-on-request/test-http").read("data") as blob:
        assert blob.encoding is None
        assert blob.bytes() == DATA


@pytest.mark.parametrize("path", ["/test-http", "/no-range/test-http", "/no-etag/test-http"])
@pytest.mark.parametrize(
    ("start", "end"),
    [(0, 4), (2, 5), (2, 500), (3, 3), (10, 12), (50, None), (4, None), (None, 4), (-3, None), (-50, None)],
)
def test_ranges_mean_what_slices_mean(nginx, directory, path, start, end):
    store = open_store(nginx, path)
    assert store.get_range("data", start, end) == DATA[start:end]
    with store.read("data", ReadOptions(start, end)) as blob:
        assert b"".join(blob.chunks()) == DATA[start:end]
        assert blob.info.size == 10
    assert store.get_range("empty", start, end) == b""


def test_a_named_version_is_read_or_refused(store, directory):
    etag = store.head("data").etag
    assert store.read("data", ReadOptions(2, 4, if_match=etag)).bytes() == b"23"
    for options in (ReadOptions(if_match='"x"'), ReadOptions(2, 4, if_match='"x"'), ReadOptions(0, 0, if_match='"x"')):
        with pytest.raises(Conflict):
            store.read("data", options)


def test_a_slow_server_is_no_stalled_one(nginx, directory):
    store = open_store(nginx, "/slow/test-http", read_timeout=1.0)
    assert store.get("large") == (directory / "large").read_bytes()


def test_redirects_are_followed(nginx, directory):
    assert open_store(nginx, "/redirect/test-http").get("data") == DATA


# ---------------------------------------------------------------------- what goes wrong
def test_what_is_missing_is_not_found(store):
    for call in (store.get, store.head, lambda key: store.get_range(key, 0, 0)):
        with pytest.raises(NotFound, match="no object 'missing'"):
            call("missing")
    assert not store.exists("missing")


def test_forbidden_is_missing_unless_it_is_to_be_raised(nginx):
    missing = open_store(nginx, "/forbidden")
    assert not missing.exists("key")
    with pytest.raises(NotFound, match="403") as caught:
        missing.get("key")
    assert caught.value.key == "key"
    raising = open_store(nginx, "/forbidden", forbidden="raise")
    for call in (raising.get, raising.exists):
        with pytest.raises(AuthError, match="403"):
            call("key")


def test_an_overloaded_server_is_tried_seven_times(nginx):
    with pytest.raises(Throttled, match="gave up after 7 tries"):
        open_store(nginx, "/unavailable").get("key")
    with Scripted(lambda request: Answer(503)) as server:
        with pytest.raises(Throttled):
            HttpStore(server.endpoint, retry=quick()).get("key")
        assert len(server.requests) == 7


def test_a_directory_is_no_object(store):
    with pytest.raises(HoldfastError):
        store.get("d")


def test_writing_and_listing_are_not_offered(store):
    assert store.capabilities.ranges
    assert not any(getattr(store.capabilities, name) for name in ("write", "listing", "metadata"))
    for call in (
        lambda: store.put("data", b"x"),
        lambda: store.write("data", b"x", WriteOptions(content_type="text/x")),
        lambda: store.delete("data"),
        lambda: store.remove(["data"]),
        store.list,
        store.keys,
    ):
        with pytest.raises(Unsupported, match="web servers"):
            call()
    assert store.get("data") == DATA


# ---------------------------------------------------------------------- passwords
def test_user_and_password_open_what_is_private(nginx, directory):
    private = nginx.endpoint.replace("://", "://reader:secret@") + "/private/test-http"
    assert HttpStore(private).get("data") == DATA
    assert HttpStore(private.replace("secret", "%73ecret")).get("data") == DATA
    for wrong in (private.replace("secret", "wrong"), private.replace("reader:secret@", "")):
        with pytest.raises(AuthError, match="401"):
            HttpStore(wrong).get("data")
        with pytest.raises(AuthError):
            HttpStore(wrong).exists("data")


def test_passwords_are_shown_nowhere(nginx):
    url = nginx.endpoint.replace("://", "://reader:pa55word@") + "/private/test-http"
    store = HttpStore(url)
    with pytest.raises(AuthError) as caught:
        store.get("data")
    error = caught.value
    shown = [str(store), repr(store), store.name, str(error), repr(error), repr(error.cause), repr(error.__reduce__())]
    assert "pa55word" not in " ".join(shown)
    assert error.__context__ is None
    assert b"pa55word" not in pickle.dumps(store)
    with pytest.raises(ConfigError) as caught:
        HttpStore(url + "?signature=pa55word")
    assert "pa55word" not in str(caught.value)


def test_a_pickle_leaves_the_password_behind_and_says_so(nginx, directory):
    open_one = pickle.loads(pickle.dumps(open_store(nginx, forbidden="raise")))
    assert (open_one.get("data"), open_one.forbidden) == (DATA, "raise")
    private = HttpStore(nginx.endpoint.replace("://", "://reader:secret@") + "/private/test-http")
    for again in (pickle.loads(pickle.dumps(private)), pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(private))))):
        with pytest.raises(AuthError, match="stayed behind"):
            again.get("data")


def test_a_redirect_to_another_host_does_not_take_the_password_along(nginx, directory):
    with Scripted(lambda request: Answer(200, b"stolen")) as thief:
        other = thief.endpoint.replace("127.0.0.1", "localhost")
        with Scripted(lambda request: Answer(302, headers={"Location": f"{other}/x"})) as server:
            store = HttpStore(server.endpoint.replace("://", "://reader:secret@"), retry=quick())
            assert store.get("key") == b"stolen"
        assert "authorization" in server.requests[0].headers
        assert "authorization" not in thief.requests[0].headers


@pytest.mark.parametrize(
    "url", ["ftp://host", "host/path", "http://", "https://host?x=1", "https://host/a#b", "http:/x"]
)
def test_urls_that_cannot_be_are_refused(url):
    with pytest.raises(ConfigError):
        HttpStore(url)


def test_a_server_that_is_not_there_is_told_from_one_that_refuses():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(StoreError, match="the connection was refused; is the endpoint the right one"):
        HttpStore(f"http://127.0.0.1:{port}", retry=quick()).get("a")


def test_a_signature_that_was_taken_for_a_part_of_the_key_is_not_shown(nginx):
    store = open_store(nginx)
    with pytest.raises(NotFound) as caught:
        store.get("a?X-Amz-Signature=canary0123456789&x=1")
    assert "canary" not in str(caught.value)


def test_forbidden_has_two_meanings_only():
    with pytest.raises(ConfigError, match="maybe"):
        HttpStore("https://host", forbidden="maybe")
