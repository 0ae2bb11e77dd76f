"""S3Store against real servers: what is written is read back, and everything that goes wrong has a name."""

from __future__ import annotations

import hashlib
import io
import pickle
import threading

import pytest

from holdfast.errors import (
    AlreadyExists,
    AuthError,
    BucketNotFound,
    ConfigError,
    Conflict,
    InvalidKey,
    NotFound,
    Unsupported,
)
from holdfast.stores.memory import MemoryStore
from holdfast.stores.s3 import S3Store
from holdfast.stores.s3.wire import Wire
from holdfast.types import ObjectInfo, ReadOptions, RemoveOptions, WriteOptions
from tests.stores.s3_stores import open_store

MIB = 1 << 20

#: Keys that look odd and are carried faithfully.
AWKWARD = (
    *("a b", " a", "a ", "a%20b", "a%b", "a#b", "a?b", "a*b", "a[b]", "a~b", "a\\b", "a|b", "a^b`{}", "a+b"),
    *("a&b=c;d", "a\"b<c>'", "ü/é", "e\u0301", "\U0001f600", "...", "a..b", "a\u0085b", "a/b/c", "x" * 1024),
)
#: Keys that the engine would refuse, or alter in silence: they go over the wire.
DIRECT = (
    *("/a", "a/", "/", "//", "a//b", "./a", "a/../b", "a/.", "..", ".", "../up", "a/..", "//a//", "dir/./"),
    *("a\x01b", "a\nb", "a\rb", "tab\t", "a\x7fb", "a\ufffe", "\uffff", "\x1b[2J/"),
)
#: Its routes match no newline.
NOT_ON_MOTO = ("a\nb",)
#: Keys that cannot be sent at all.
IMPOSSIBLE = ("a\udc80", "nul\0key", "x" * 1025, "ü" * 600, "/" * 1025)


@pytest.fixture(params=["moto", "ceph"], scope="module")
def server(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def store(server):
    return open_store(server)


pytestmark = pytest.mark.server


# ---------------------------------------------------------------------- reading and writing
@pytest.mark.parametrize("size", [0, 1, 4096, MIB, MIB + 1, 5 * MIB])
def test_bytes_come_back_as_they_were_written(store, server, size):
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    info = store.put("round/trip", data)
    assert info.size == size
    assert store.get("round/trip") == data
    truth = server.client().get_object(Bucket=store.bucket, Key="round/trip")
    assert truth["Body"].read() == data
    assert info.etag == truth["ETag"]


@pytest.mark.parametrize("size", [0, 10, 3 * MIB])
def test_every_kind_of_body_is_written(store, tmp_path, size):
    data = hashlib.shake_128(b"body").digest(size)
    path = tmp_path / "body"
    path.write_bytes(data)
    with path.open("rb") as file:
        bodies = {
            "bytearray": bytearray(data),
            "memoryview": memoryview(data),
            "path": path,
            "file": file,
            "stream": io.BytesIO(data),
            "iterator": (data[at : at + 1000] for at in range(0, size, 1000)),
            "list": [data],
        }
        for name, body in bodies.items():
            assert store.put(name, body).size == size, name
            assert store.get(name) == data, name


def test_a_file_is_written_from_where_it_stands(store):
    file = io.BytesIO(b"0123456789")
    file.seek(4)
    assert store.put("rest", file).size == 6
    assert store.get("rest") == b"456789"


def test_a_strided_memoryview_is_written_as_it_reads(store):
    store.put("strided", memoryview(b"a-b-c-")[::2])
    assert store.get("strided") == b"abc"


def test_a_large_iterator_goes_in_parts_although_it_reuses_its_buffer(store, server):
    buffer = bytearray(MIB)

    def chunks():
        for number in range(20):
            buffer[:] = bytes([number]) * MIB
            yield memoryview(buffer)

    expected = b"".join(bytes([number]) * MIB for number in range(20))
    info = store.put("large", chunks())
    assert info.size == len(expected)
    assert info.etag == server.client().head_object(Bucket=store.bucket, Key="large")["ETag"]
    assert info.etag.strip('"').endswith("-2")
    with store.read("large") as blob:
        assert b"".join(blob.chunks()) == expected


def test_a_large_file_goes_in_parts_with_its_attributes(store, tmp_path):
    path = tmp_path / "large"
    data = hashlib.shake_128(b"large").digest(70 * MIB)
    path.write_bytes(data)
    options = WriteOptions(content_type="application/x-large", metadata={"who": "me"}, part_size=32 * MIB)
    info = store.write("large-file", path, options)
    assert info.size == len(data)
    assert info.etag.strip('"').endswith("-3")
    assert (info.content_type, info.metadata) == ("application/x-large", {"who": "me"})
    buffer = bytearray(len(data))
    with store.read("large-file") as blob:
        assert blob.readinto(buffer) == len(data)
    assert buffer == data


@pytest.mark.parametrize("chunks", [1, 12])
def test_a_body_that_fails_leaves_the_old_object_and_no_parts(store, server, chunks):
    store.put("kept", b"old")

    def body():
        for _ in range(chunks):
            yield bytes(MIB)
        raise ZeroDivisionError("the source broke")

    with pytest.raises(ZeroDivisionError, match="the source broke"):
        store.put("kept", body())
    assert store.get("kept") == b"old"
    assert not server.client().list_multipart_uploads(Bucket=store.bucket).get("Uploads")


def test_a_file_that_shrinks_while_it_is_sent_is_not_stored(store, tmp_path, monkeypatch):
    path = tmp_path / "shrinking"
    path.write_bytes(bytes(70 * MIB))
    monkeypatch.setattr("holdfast.stores._uploads.body_size", lambda body: 71 * MIB)
    with pytest.raises(Exception, match="changed while it was sent"):
        store.put("shrinking", path)
    assert not store.exists("shrinking")


def test_attributes_and_metadata_come_back(store, server):
    options = WriteOptions(
        content_type="text/x-test",
        content_encoding="gzip",
        cache_control="no-store",
        content_disposition="inline",
        content_language="de",
        metadata={"one": "1", "with-hyphen": "a, b", "empty": ""},
    )
    written = store.write("attributes", b"x", options)
    for info in (store.head("attributes"), written):
        assert info.size == 1
        assert (info.content_type, info.content_encoding) == ("text/x-test", "gzip")
        assert (info.cache_control, info.content_disposition, info.content_language) == ("no-store", "inline", "de")
        assert info.metadata == options.metadata
    truth = server.client().head_object(Bucket=store.bucket, Key="attributes")
    assert truth["Metadata"] == {**options.metadata, "holdfastcrc32c": "a93c5f93-1"}
    assert store.head("attributes").last_modified == truth["LastModified"]
    with store.read("attributes") as blob:
        assert blob.encoding == "gzip"
        assert blob.bytes() == b"x"


@pytest.mark.parametrize("key", ["plain", "odd//key", "under a condition"])
def test_spaces_within_values_come_back_as_they_were(store, key):
    options = WriteOptions(
        content_disposition='attachment; filename="a  b.txt"',
        metadata={"note": "two  spaces"},
        if_absent=key == "under a condition",
    )
    store.write(key, b"x", options)
    head = store.head(key)
    assert (head.metadata, head.content_disposition) == (options.metadata, options.content_disposition)


def test_a_storage_class_is_passed_on(moto):
    store = open_store(moto)
    store.write("cold", b"x", WriteOptions(storage_class="STANDARD_IA"))
    assert moto.client().head_object(Bucket=store.bucket, Key="cold")["StorageClass"] == "STANDARD_IA"
    with pytest.raises(ConfigError, match="InvalidStorageClass"):
        store.write("colder", b"x", WriteOptions(storage_class="FRIDGE"))


@pytest.mark.parametrize(
    "options",
    [
        {"metadata": {"Upper": "1"}},
        {"metadata": {"with space": "1"}},
        {"metadata": {"content-type": "text/x"}},
        {"metadata": {"holdfasthistory": "1"}},
        {"metadata": {"name": "ü"}},
        {"metadata": {"name": "two\nlines"}},
        {"metadata": {"name": " padded "}},
        {"content_type": "text/plain\r\nx-amz-acl: public-read"},
    ],
)
def test_attributes_that_would_not_come_back_are_refused(store, options):
    with pytest.raises(ConfigError):
        store.write("refused", b"x", WriteOptions(**options))
    assert not store.exists("refused")


def test_codings_of_the_way_are_not_encodings_of_the_object(store, server):
    for header, expected in (("aws-chunked", None), ("identity", None), ("gzip,aws-chunked", "gzip")):
        server.client().put_object(Bucket=store.bucket, Key="travelled", Body=b"x", ContentEncoding=header)
        with store.read("travelled") as blob:
            assert blob.encoding == expected
            assert blob.info.content_encoding == expected


# ---------------------------------------------------------------------- ranges and versions
@pytest.mark.parametrize(
    ("start", "end"),
    [
        *((0, 4), (2, 5), (2, 500), (0, 10), (3, 3), (0, 0), (5, 2), (10, 12), (50, 60), (50, None), (10, None)),
        *((4, None), (0, None), (None, 4), (None, 0), (-3, None), (-10, None), (-50, None)),
    ],
)
@pytest.mark.parametrize("data", [b"0123456789", b""])
def test_ranges_mean_what_slices_mean(store, data, start, end):
    store.put("ranges", data)
    with store.read("ranges", ReadOptions(start, end)) as blob:
        assert blob.info.size == len(data)
        assert blob.size == len(data[start:end])
        assert blob.bytes() == data[start:end]
    with store.read("ranges", ReadOptions(start, end)) as blob:
        assert b"".join(blob.chunks()) == data[start:end]


@pytest.mark.parametrize("options", [ReadOptions(0, 0), ReadOptions(5, 9), ReadOptions(-3), ReadOptions(head=True)])
def test_a_range_of_a_missing_object_is_missing(store, options):
    with pytest.raises(NotFound):
        store.read("no/such/key", options)


def test_a_named_version_is_read_or_refused(store):
    old = store.put("versions", b"old").etag
    assert store.read("versions", ReadOptions(if_match=old)).bytes() == b"old"
    store.put("versions", b"newer")
    for options in (ReadOptions(if_match=old), ReadOptions(1, 2, if_match=old), ReadOptions(head=True, if_match=old)):
        with pytest.raises(Conflict):
            store.read("versions", options)
    with pytest.raises(Conflict):
        store.read("versions", ReadOptions(0, 0, if_match=old))


def test_the_head_has_no_body_and_all_the_info(store):
    etag = store.put("head", b"12345").etag
    info = store.head("head")
    assert (info.key, info.size, info.etag) == ("head", 5, etag)
    assert info.last_modified.tzinfo is not None


# ---------------------------------------------------------------------- what is missing
def test_a_missing_key_is_not_found(store):
    for call in (store.get, store.head, store.delete):
        with pytest.raises(NotFound, match="no object 'missing'") as caught:
            call("missing")
        assert caught.value.key == "missing"
        assert caught.value.store == store.name
        assert isinstance(caught.value, KeyError | FileNotFoundError)
    assert not store.exists("missing")


def test_a_missing_bucket_is_never_a_missing_key(server):
    nowhere = open_store(server, "no-such-bucket-at-all")
    calls = (
        lambda: nowhere.get("key"),
        lambda: nowhere.head("key"),
        lambda: nowhere.exists("key"),
        lambda: nowhere.get_range("key", 0, 4),
        lambda: nowhere.put("key", b"x"),
        lambda: nowhere.put("key", (bytes(MIB) for _ in range(10))),
        lambda: nowhere.put("key/", b"x"),
        lambda: nowhere.get("key/"),
        lambda: nowhere.create("key", b"x"),
        lambda: nowhere.replace_if("key", b"x", '"x"'),
        lambda: nowhere.delete_if("key", '"x"'),
        lambda: nowhere.delete("key"),
        lambda: list(nowhere.list()),
        lambda: list(nowhere.list(delimiter="/")),
    )
    for call in calls:
        with pytest.raises(BucketNotFound) as caught:
            call()
        assert not isinstance(caught.value, KeyError)
    assert [type(error) for error in nowhere.remove(["a", "b"])] == [BucketNotFound, BucketNotFound]


def test_the_bucket_is_looked_for_once(moto, monkeypatch):
    store = open_store(moto)
    asked = []
    call = Wire.call
    monkeypatch.setattr(Wire, "call", lambda wire, request: asked.append(request) or call(wire, request))
    assert [store.exists(f"missing-{number}") for number in range(5)] == [False] * 5
    assert len(asked) == 1


# ---------------------------------------------------------------------- keys
@pytest.mark.parametrize("key", AWKWARD)
def test_awkward_keys_are_kept_as_they_are(store, server, key):
    store.put(key, key.encode())
    assert store.get(key) == key.encode()
    assert server.client().get_object(Bucket=store.bucket, Key=key)["Body"].read() == key.encode()
    store.delete(key)
    with pytest.raises(server.client().exceptions.NoSuchKey):
        server.client().get_object(Bucket=store.bucket, Key=key)


@pytest.mark.parametrize("key", IMPOSSIBLE, ids=lambda key: ascii(key)[:20])
def test_keys_that_cannot_be_sent_are_refused_everywhere(store, server, key):
    store.put("a", b"innocent")
    for call in (
        lambda: store.get(key),
        lambda: store.head(key),
        lambda: store.get_range(key, 0, 1),
        lambda: store.put(key, b"x"),
        lambda: store.delete(key),
        lambda: store.copy("a", key),
    ):
        with pytest.raises(InvalidKey):
            call()
    assert store.get("a") == b"innocent"
    refused, removed = store.remove([key, "a"])
    assert isinstance(refused, InvalidKey)
    assert removed is None


@pytest.mark.parametrize("key", DIRECT, ids=ascii)
def test_keys_that_the_engine_would_alter_are_kept_as_they_are(store, server, key):
    if key in NOT_ON_MOTO and server.name == "moto":
        with pytest.raises(InvalidKey, match="no place"):
            store.put(key, b"x")
        return
    data = key.encode() * 3
    client = server.client()
    options = WriteOptions(content_type="text/x-odd", content_encoding="odd", metadata={"name": "value"})
    info = store.write(key, data, options)
    assert store.get(key) == client.get_object(Bucket=store.bucket, Key=key)["Body"].read() == data
    head = store.head(key)
    assert (head.key, head.size, head.etag) == (key, len(data), info.etag)
    assert (head.content_type, head.content_encoding, head.metadata) == ("text/x-odd", "odd", {"name": "value"})
    assert store.get_range(key, 1, 3) == data[1:3]
    assert store.get_range(key, -2) == data[-2:]
    assert store.get_range(key, len(data) + 5) == b""
    assert store.read(key, ReadOptions(if_match=head.etag)).bytes() == data
    with pytest.raises(Conflict):
        store.read(key, ReadOptions(if_match='"other"'))
    assert [(row.key, row.size, row.etag) for row in store.list(key)] == [(key, len(data), head.etag)]
    store.copy(key, "copy//of")
    store.copy("copy//of", key + "/copy")
    assert store.get(key + "/copy") == data
    assert store.head(key + "/copy").metadata == {"name": "value"}
    store.delete(key)
    assert not store.exists(key)
    with pytest.raises(NotFound):
        store.delete(key)
    assert store.remove([key + "/copy", "copy//of", key]) == [None] * 3
    assert list(store.list(key)) == []


def test_all_these_keys_live_side_by_side(server):
    store = open_store(server)
    keys = sorted({*DIRECT, *AWKWARD, "a", "up", "lead", "b"}.difference(NOT_ON_MOTO if server.name == "moto" else ()))
    for key in keys:
        store.put(key, key.encode())
    assert list(store.keys()) == keys
    assert [store.get(key) for key in keys] == [key.encode() for key in keys]
    assert store.remove(keys[::2]) == [None] * len(keys[::2])
    assert list(store.keys()) == keys[1::2]


def test_a_large_body_goes_in_parts_under_any_key(store, server):
    body = bytes(range(256)) * (48 << 10)
    info = store.write("large//", iter([body[:MIB], body[MIB:]]), WriteOptions(part_size=5 * MIB, content_type="a/b"))
    assert (info.size, info.content_type) == (len(body), "a/b")
    assert store.get("large//") == body

    def broken():
        yield body
        raise RuntimeError("out of bytes")

    with pytest.raises(RuntimeError, match="out of bytes"):
        store.put("large//", broken())
    assert store.head("large//").etag == info.etag
    assert not server.client().list_multipart_uploads(Bucket=store.bucket).get("Uploads")


# ---------------------------------------------------------------------- removing
def test_many_keys_are_removed_in_few_requests(store, server):
    keys = [f"many/{number}" for number in range(25)]
    for key in keys:
        store.put(key, b"x")
    assert store.remove([*keys, "many/never-there"]) == [None] * 26
    assert list(store.keys("many/")) == []
    assert store.remove_batch == 1000


def test_removing_can_insist_on_existence(store):
    store.put("there", b"x")
    results = store._remove(["there", "not-there"], RemoveOptions(must_exist=True))
    assert results[0] is None
    assert isinstance(results[1], NotFound)
    assert not store.exists("there")


# ---------------------------------------------------------------------- conditions
@pytest.mark.parametrize("key", ["conditional", "conditional//"])
def test_conditions_are_honoured_or_unsupported(store, key):
    capabilities = store.probe()
    assert capabilities.create
    assert capabilities.replace_if
    first = store.write(key, b"first", WriteOptions(if_absent=True, content_type="a/b", metadata={"name": "value"}))
    head = store.head(key)
    assert (head.etag, head.content_type, head.metadata) == (first.etag, "a/b", {"name": "value"})
    with pytest.raises(AlreadyExists):
        store.create(key, b"second")
    second = store.replace_if(key, b"second", first.etag)
    with pytest.raises(Conflict):
        store.replace_if(key, b"third", first.etag)
    assert store.get(key) == b"second"
    if capabilities.delete_if:
        with pytest.raises(Conflict):
            store.delete_if(key, first.etag)
        store.delete_if(key, second.etag)
        assert not store.exists(key)
    else:
        with pytest.raises(Unsupported):
            store.delete_if(key, second.etag)
        assert store.get(key) == b"second"


# ---------------------------------------------------------------------- copies
def test_a_copy_within_the_bucket_is_made_by_the_service(store):
    store.write("copy/source", b"data", WriteOptions(content_type="text/x-copied", metadata={"a": "b"}))
    info = store.copy("copy/source", "copy/target")
    assert (info.size, info.content_type, info.metadata) == (4, "text/x-copied", {"a": "b"})
    assert store.get("copy/target") == b"data"
    assert store.copy("copy/source", "copy/source").size == 4
    with pytest.raises(NotFound, match="copy/missing"):
        store.copy("copy/missing", "copy/other")
    assert not store.exists("copy/other")


def test_a_copy_from_elsewhere_is_streamed_with_its_attributes(store, server):
    other = open_store(server)
    other.write("source", b"data", WriteOptions(content_type="text/x-copied", metadata={"a": "b"}))
    assert store.copy("source", "copied", other).size == 4
    assert store.head("copied").metadata == {"a": "b"}
    memory = MemoryStore("test-s3-copy")
    memory.put("source", b"from memory")
    store.copy("source", "from-memory", memory)
    assert store.get("from-memory") == b"from memory"


def test_a_copy_may_change_the_attributes(store):
    store.write("plain", b"data", WriteOptions(content_type="text/plain", metadata={"a": "b"}))
    info = store._copy(store, "plain", "changed", WriteOptions(content_type="text/x-changed"))
    assert store.head("changed").content_type == "text/x-changed"
    assert store.head("changed").metadata == {"a": "b"}
    assert isinstance(info, ObjectInfo)


def test_stores_of_one_service_share_a_location_and_others_do_not(store, server):
    here = store._locate("key")
    assert (here.vendor, here.bucket, here.key) == ("s3", store.bucket, "key")
    assert open_store(server, "other")._locate("key").identity == here.identity
    for other in (open_store(server, access_key_id="OTHER"), open_store(server, endpoint="http://127.0.0.1:1")):
        assert other._locate("key").identity != here.identity
    assert server.access_key not in here.identity
    assert server.secret_key not in here.identity


# ---------------------------------------------------------------------- credentials
def test_a_wrong_secret_is_an_auth_error_in_every_verb(ceph):
    good = open_store(ceph)
    good.put("key", b"x")
    bad = open_store(ceph, good.bucket, secret_access_key="not-the-secret-key")
    for call in (
        lambda: bad.get("key"),
        lambda: bad.head("key"),
        lambda: bad.put("key", b"y"),
        lambda: bad.put("key", (bytes(MIB) for _ in range(10))),
        lambda: list(bad.list()),
        lambda: bad.delete("key"),
    ):
        with pytest.raises(AuthError) as caught:
            call()
        assert isinstance(caught.value, PermissionError)
        assert not caught.value.retryable
        assert "not-the-secret-key" not in repr(caught.value) + str(caught.value)
    with pytest.raises(AuthError, match="secret access key does not belong"):
        bad.get("key")
    with pytest.raises(AuthError, match="access key id"):
        open_store(ceph, good.bucket, access_key_id="NOBODY").get("key")
    with pytest.raises(AuthError, match=r"403.*may not list"):
        open_store(ceph, good.bucket, access_key_id=None, secret_access_key=None, anonymous=True).head("key")
    assert [type(error).__mro__[1] for error in bad.remove(["key"])] == [AuthError]
    assert good.get("key") == b"x"


def test_anonymous_access_reads_what_is_public(ceph):
    store = open_store(ceph)
    ceph.client().put_object(Bucket=store.bucket, Key="public", Body=b"for all", ACL="public-read")
    store.put("private", b"for us")
    anonymous = S3Store(store.bucket, endpoint=ceph.endpoint, anonymous=True)
    assert anonymous.get("public") == b"for all"
    with pytest.raises(AuthError):
        anonymous.get("private")


def test_stores_with_different_credentials_never_share_a_client(ceph):
    good = open_store(ceph)
    good.put("key", b"x")
    bad = open_store(ceph, good.bucket, secret_access_key="wrong", retry=good.retry)
    same = open_store(ceph, good.bucket, retry=good.retry)
    assert good.client() is same.client()
    assert good.client() is not bad.client()
    with pytest.raises(AuthError):
        bad.get("key")
    assert good.get("key") == b"x"


def test_credentials_come_from_the_environment_and_from_a_mapping(ceph, monkeypatch):
    bucket = ceph.make_bucket()
    secrets = {"AWS_ACCESS_KEY_ID": ceph.access_key, "AWS_SECRET_ACCESS_KEY": ceph.secret_key}
    S3Store(bucket, endpoint=ceph.endpoint, secrets=secrets).put("key", b"x")
    for name, value in ceph.environment.items():
        monkeypatch.setenv(name, value)
    store = S3Store(bucket)
    assert store.name == f"s3://{ceph.endpoint}/{bucket}"
    assert store.get("key") == b"x"


def test_a_pickle_carries_no_secrets_and_finds_them_anew(ceph, monkeypatch):
    store = open_store(ceph)
    store.put("key", b"x")
    data = pickle.dumps(store)
    for secret in (ceph.access_key, ceph.secret_key):
        assert secret.encode() not in data
    there = pickle.loads(data)
    assert there.name == store.name
    with pytest.raises(AuthError, match=r"stayed behind.*AWS_ACCESS_KEY_ID"):
        there.get("key")
    for name, value in ceph.environment.items():
        monkeypatch.setenv(name, value)
    assert there.get("key") == b"x"
    assert pickle.loads(pickle.dumps(there)).get("key") == b"x"


def test_no_credentials_at_all_is_an_auth_error_without_asking_anybody(ceph):
    store = S3Store("bucket", endpoint=ceph.endpoint)
    with pytest.raises(AuthError, match=r"AWS_ACCESS_KEY_ID.*anonymous=True"):
        store.get("key")


# ---------------------------------------------------------------------- many threads
def test_many_threads_share_one_store(store):
    failures = []

    def work(number):
        try:
            for turn in range(10):
                key = f"threads/{number}/{turn}"
                store.put(key, key.encode() * 100)
                assert store.get(key) == key.encode() * 100
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
