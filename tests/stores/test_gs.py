"""GoogleStore on the fake of tests/servers/gcs.py: gzip, conditions, lost answers, keys, and what goes wrong."""

from __future__ import annotations

import gzip
import pickle

import pytest

from holdfast import open_store
from holdfast.cli.app import invoke
from holdfast.errors import (
    AlreadyExists,
    AuthError,
    BucketNotFound,
    ConfigError,
    Conflict,
    Indeterminate,
    IntegrityError,
    InvalidKey,
    NotFound,
)
from holdfast.files.cloudfiles import CloudFiles
from holdfast.stores.gs import GoogleStore
from holdfast.types import ReadOptions, WriteOptions
from tests.servers import Gcs
from tests.stores.cloud_checks import assert_ctrl_c_ends
from tests.stores.s3_stores import quick
from tests.stores.scripted import Scripted, chunked

OPENING = """from holdfast.stores.gs import GoogleStore
store = GoogleStore("bucket", endpoint=ENDPOINT, anonymous=True)"""
PLAIN = b"".join(b"line %d of what is stored\n" % number for number in range(100_000))
STORED = gzip.compress(PLAIN, mtime=0)
RANGES = [(0, 4), (100, 300), (1000, None), (-300, None), (-(9 << 20), None), (7, 7), (9 << 20, None)]


@pytest.fixture
def server():
    with Gcs() as server:
        yield server


@pytest.fixture
def bucket(server):
    return server.make_bucket()


@pytest.fixture
def store(server, bucket):
    return open_bucket(server, bucket)


def open_bucket(server, bucket, **options):
    return GoogleStore(bucket, endpoint=server.endpoint, **{"token": server.token, "retry": quick(), **options})


# ---------------------------------------------------------------------- opening
def test_locations_open(server, bucket, monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.endpoint.removeprefix("http://"))
    server.accepts = lambda token: token == "anonymous"
    with open_store(f"gs://{bucket}/run1") as store:
        store.put("a", b"1")
    with open_store(server.url(bucket, "run1"), token="anonymous") as store:
        assert store.get("a") == b"1"
    assert server.objects(bucket) == {"run1/a": b"1"}


@pytest.mark.parametrize("name", ["", "ab", "UPPER", "-ab", "abc-", "a/b", "a b"])
def test_what_can_be_no_bucket_is_refused(name):
    with pytest.raises(ConfigError):
        GoogleStore(name, anonymous=True)


@pytest.mark.parametrize("endpoint", ["ftp://host", "https://user:pw@host", "https://host/path", "https://host?x=1"])
def test_what_can_be_no_endpoint_is_refused(endpoint):
    with pytest.raises(ConfigError) as caught:
        GoogleStore("bucket", endpoint=endpoint, anonymous=True)
    assert "pw" not in str(caught.value)


# ---------------------------------------------------------------------- gzip
@pytest.mark.parametrize("lengthless", [False, True])
def test_what_is_stored_with_gzip_is_read_as_it_is_stored(server, bucket, store, lengthless):
    kept = server.put(
        bucket, "key", STORED, content_encoding="gzip", x_goog_meta_owner="ann", content_type="text/plain"
    )
    server.chunked = lengthless
    assert store.get("key") == STORED
    with store.read("key") as blob:
        assert blob.encoding == "gzip"
        assert b"".join(blob.chunks()) == STORED
    info = store.head("key")
    assert (info.size, info.etag, info.content_encoding) == (len(STORED), kept.etag, "gzip")
    assert (info.content_type, dict(info.metadata)) == ("text/plain", {"owner": "ann"})
    assert info.last_modified
    assert all("gzip" in headers["accept-encoding"] for _, _, headers in server.requests)


@pytest.mark.parametrize("lengthless", [False, True])
@pytest.mark.parametrize(("start", "end"), RANGES)
def test_a_range_of_it_is_one_of_the_stored_bytes(server, bucket, store, lengthless, start, end):
    kept = server.put(bucket, "key", STORED, content_encoding="gzip")
    server.chunked = lengthless
    assert store.get_range("key", start, end) == STORED[start:end]
    with store.read("key", ReadOptions(start, end, if_match=kept.etag)) as blob:
        assert not blob.emulated
        assert b"".join(blob.chunks()) == STORED[start:end]
    with pytest.raises(Conflict):
        store.read("key", ReadOptions(start, end, if_match='"x"'))


@pytest.mark.parametrize("fault", ["", "chunked", "transcodes"])
def test_everybody_else_gets_it_decoded(server, bucket, store, tmp_path, fault, monkeypatch):
    server.put(bucket, "run/key", STORED, content_encoding="gzip")
    if fault:
        setattr(server, fault, True)
    files = CloudFiles(store)
    assert files.get("run/key") == PLAIN
    assert files["run/key", 100:300] == PLAIN[100:300]
    assert files.exists("run/key")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.endpoint)
    server.accepts = lambda token: True
    assert invoke(["cp", f"gs://{bucket}/run/key", str(tmp_path / "as-stored")]) == 0
    assert (tmp_path / "as-stored").read_bytes() == (PLAIN if fault == "transcodes" else STORED)
    assert invoke(["cp", "--decode", f"gs://{bucket}/run/key", str(tmp_path / "decoded")]) == 0
    assert (tmp_path / "decoded").read_bytes() == PLAIN
    assert invoke(["cp", "-r", f"gs://{bucket}/run", f"gs://{bucket}/copy"]) == 0
    assert files.get("copy/key") == PLAIN


def test_what_google_decompressed_on_the_way_is_no_gzip(server, bucket, store):
    server.put(bucket, "key", STORED, content_encoding="gzip")
    server.transcodes = True
    with store.read("key") as blob:
        assert (blob.encoding, blob.info.size) == (None, None)
        assert blob.bytes() == PLAIN
    with store.read("key", ReadOptions(100, 300)) as blob:
        assert blob.emulated
        assert blob.bytes() == PLAIN[100:300]
    assert store.head("key").content_encoding is None


def test_a_chunked_body_shorter_than_what_is_stored_is_noticed():
    answer = chunked(b"half", {"ETag": '"1"', "x-goog-stored-content-length": "8"})
    with Scripted(lambda request: answer) as server, pytest.raises(IntegrityError, match="8 bytes"):
        GoogleStore("bucket", endpoint=server.endpoint, token="t", retry=quick(tries=1)).get("key")


# ---------------------------------------------------------------------- conditions and lost answers
def test_conditions_are_generations(server, bucket, store):
    first = store.create("key", b"1")
    assert server.requests[-1][2]["x-goog-if-generation-match"] == "0"
    with pytest.raises(AlreadyExists):
        store.create("key", b"2")
    generation = server.buckets[bucket].objects["key"].generation
    store.replace_if("key", b"2", first.etag)
    assert server.requests[-1][2]["x-goog-if-generation-match"] == str(generation)
    with pytest.raises(Conflict):
        store.replace_if("key", b"3", first.etag)
    with pytest.raises(Conflict):
        store.delete_if("key", first.etag)
    with pytest.raises(Conflict):
        store.replace_if("missing", b"3", first.etag)
    with pytest.raises(NotFound):
        store.delete_if("missing", first.etag)
    assert server.objects(bucket) == {"key": b"2"}
    store.delete_if("key", store.head("key").etag)
    assert server.objects(bucket) == {}


@pytest.mark.parametrize("verb", ["write", "delete"])
def test_a_generation_that_comes_in_between_stays(server, bucket, store, verb, monkeypatch):
    """The object is replaced, by the same bytes even, after its generation was looked up."""
    etag = store.put("key", b"old").etag
    look = GoogleStore._look

    def looked_up(*arguments):
        version = look(*arguments)
        server.put(bucket, "key", b"old", x_goog_meta_owner="somebody else")
        return version

    monkeypatch.setattr(GoogleStore, "_look", looked_up)
    with pytest.raises(Conflict):
        store.replace_if("key", b"new", etag) if verb == "write" else store.delete_if("key", etag)
    assert server.buckets[bucket].objects["key"].headers["x-goog-meta-owner"] == "somebody else"


LOST = [["status"], ["close"], ["status", "close"], ["not done"], ["not done", "status"], ["not done", "not done"]]


@pytest.mark.parametrize("lost", LOST)
def test_a_lost_answer_to_a_conditional_write_is_resolved(server, bucket, store, lost):
    server.lost = list(lost)
    first = store.create("key", b"first")
    assert (server.objects(bucket), store.head("key").etag) == ({"key": b"first"}, first.etag)
    server.lost = list(lost)
    second = store.replace_if("key", b"second", first.etag)
    assert (server.objects(bucket), store.head("key").etag) == ({"key": b"second"}, second.etag)
    assert dict(store.head("key").metadata) == {}


@pytest.mark.parametrize("lost", LOST)
def test_a_lost_answer_to_a_conditional_delete_is_done_or_indeterminate(server, bucket, store, lost):
    etag = store.put("key", b"old").etag
    server.lost = list(lost)
    if set(lost) == {"not done"}:
        store.delete_if("key", etag)
    else:
        with pytest.raises(Indeterminate) as caught:
            store.delete_if("key", etag)
        assert caught.value.key == "key"
    assert server.objects(bucket) == {}


def test_a_service_that_never_answers_leaves_everything_indeterminate(server, bucket, store):
    etag = store.put("key", b"old").etag
    for call in (
        lambda: store.create("other", b"x"),
        lambda: store.replace_if("key", b"new", etag),
        lambda: store.delete_if("key", etag),
    ):
        server.lost = ["not done"] * 7
        with pytest.raises(Indeterminate):
            call()
    assert server.objects(bucket) == {"key": b"old"}


# ---------------------------------------------------------------------- keys, names, what is missing
AWKWARD = ("a b", " a", "a ", "a%20b", "a%b", "a#b", "a?b", "a*b", "a[b]", "a~b", "a\\b", "a|b", "a^b`{}", "a+b", "...",
           "a&b=c;d", "a\"b<c>'", "ü/é", "e\u0301", "\U0001f600", "a:b", "a@b", "-x", "x" * 1024)  # fmt: skip
IMPOSSIBLE = ("/a", "a/", "a//b", "../a", "./a", "a/.", "a\nb", "a\x7f", "x" * 1025, "a\uffff")


def test_awkward_keys_are_kept_exactly(server, bucket, store):
    for key in AWKWARD:
        store.put(key, key.encode())
    assert server.objects(bucket) == {key: key.encode() for key in AWKWARD}
    assert [row.key for row in store.list()] == sorted(AWKWARD)
    server.chunked = True
    for key in AWKWARD:
        assert store.get(key) == key.encode()
        store.delete_if(key, store.head(key).etag)
    assert server.objects(bucket) == {}


@pytest.mark.parametrize("key", IMPOSSIBLE)
def test_keys_that_would_be_altered_are_refused(server, bucket, store, key):
    for call in (
        store.get,
        store.head,
        lambda key: store.put(key, b""),
        lambda key: store.create(key, b""),
        lambda key: store.delete_if(key, '"1"'),
    ):
        with pytest.raises((InvalidKey, NotFound)):
            call(key)
    assert isinstance(store.remove([key])[0], InvalidKey)
    assert server.objects(bucket) == {}


def test_a_missing_bucket_is_no_missing_key(server):
    store = open_bucket(server, "not-there")
    for call in (
        lambda: store.get("key"),
        lambda: store.exists("key"),
        lambda: store.put("key", b"x"),
        lambda: store.create("key", b"x"),
        lambda: store.replace_if("key", b"x", '"1"'),
        lambda: store.delete_if("key", '"1"'),
        lambda: list(store.list()),
        lambda: store.delete("key"),
    ):
        with pytest.raises(BucketNotFound):
            call()


@pytest.mark.parametrize("metadata", [{"A": "x"}, {"a b": "x"}, {"holdfastx": "y"}, {"a": "ü"}, {"a": " x"}])
def test_metadata_that_would_not_come_back_is_refused(store, metadata):
    with pytest.raises(ConfigError):
        store.write("key", b"x", WriteOptions(metadata=metadata))
    assert not store.exists("key")


def test_secrets_are_shown_and_pickled_nowhere(server, bucket, store):
    store.put("key", b"data")
    assert server.token not in f"{store!r} {store.name} {store.login()!r} {store._locate('key')}"
    pickled = pickle.dumps(store)
    assert server.token.encode() not in pickled
    again = pickle.loads(pickle.dumps(pickle.loads(pickled)))
    with pytest.raises(AuthError, match="stayed behind"):
        again.get("key")


# ---------------------------------------------------------------------- processes
@pytest.mark.parametrize("call", ["store.get('key')", "list(store.list())"])
def test_ctrl_c_ends_a_stalled_call(call):
    assert_ctrl_c_ends(OPENING, call)
