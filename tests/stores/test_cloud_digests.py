"""Google and Azure: bodies against their digests, answers of other servers, and the options of reads and retries."""

from __future__ import annotations

import base64
import pickle

import pytest

from holdfast.errors import ConfigError, Indeterminate, IntegrityError, StoreError, Timeout, Unsupported
from holdfast.stores.az import AzureStore
from holdfast.stores.gs import GoogleStore
from holdfast.stores.http import HttpStore
from tests.servers import Gcs
from tests.stores.s3_stores import quick
from tests.stores.scripted import Answer, Scripted

KEY = base64.b64encode(b"an account key of nobody").decode()
MAKE = {
    "gs": lambda at, **options: GoogleStore("bucket", endpoint=at, token="x", **{"retry": quick(2), **options}),
    "az": lambda at, **options: AzureStore(
        "container", endpoint=f"{at}/me", account_key=KEY, **{"retry": quick(2), **options}
    ),
}
STAMP = {"gs": "x-goog-meta-holdfastcrc32c", "az": "x-ms-meta-holdfastcrc32c"}
HTML = b"<html><body>Welcome to the hotel</body></html>"


@pytest.fixture(params=MAKE)
def vendor(request):
    return request.param


@pytest.fixture
def server():
    with Gcs() as server:
        server.bucket = server.make_bucket()
        yield server


def google(server, **options):
    return GoogleStore(server.bucket, endpoint=server.endpoint, token=server.token, **{"retry": quick(2), **options})


# ---------------------------------------------------------------------- digests
class Kept:
    """One object, whose body changes on the way back if ``damaged``."""

    def __init__(self):
        self.body, self.headers, self.damaged = b"", {}, False

    def __call__(self, request):
        if request.method == "PUT":
            self.body = request.body
            self.headers = {n: v for n, v in request.headers.items() if "-meta-" in n}
        body = b"X" + self.body[1:] if self.damaged else self.body
        return Answer(200, b"" if request.method == "PUT" else body, {"ETag": '"0x1"', **self.headers})


@pytest.mark.parametrize("size", [1000, 2 << 20])
@pytest.mark.parametrize("write", ["put", "create"])
def test_what_holdfast_wrote_is_checked_against_its_stamp(vendor, size, write):
    kept = Kept()
    with Scripted(kept) as server:
        store = MAKE[vendor](server.endpoint)
        getattr(store, write)("key", b"a" * size)
        assert STAMP[vendor] in kept.headers
        assert store.get("key") == b"a" * size
        kept.damaged = True
        with pytest.raises(IntegrityError, match="crc32c"):
            store.get("key")
        with store.read("key") as blob, pytest.raises(IntegrityError):
            b"".join(blob.chunks())
        assert MAKE[vendor](server.endpoint, verify="length").get("key") == b"X" + b"a" * (size - 1)
        MAKE[vendor](server.endpoint, object_metadata=False).put("key", b"a")
        assert STAMP[vendor] not in kept.headers


def test_what_others_wrote_to_google_is_checked_against_its_md5(server):
    store = google(server)
    server.put(server.bucket, "first", b"first")
    assert store.get("first") == b"first"
    stored = server.put(server.bucket, "second", b"second")
    stored.data = b"damage"
    with pytest.raises(IntegrityError, match="md5"):
        store.get("second")


def test_etags_that_were_never_md5s_are_no_reason_to_refuse(server):
    server.put(server.bucket, "key", b"data").etag = '"' + "0" * 32 + '"'
    with pytest.warns(UserWarning, match="ETags are not taken for MD5s"):
        assert google(server).get("key") == b"data"
    with pytest.raises(IntegrityError):
        google(server, verify="strict").get("key")


def test_the_etag_of_an_object_that_is_encrypted_with_a_key_of_the_users_is_no_md5(server):
    store = google(server)
    server.put(server.bucket, "first", b"first")
    assert store.get("first") == b"first"
    kept = server.put(server.bucket, "key", b"data", x_goog_encryption_kms_key_name="projects/p/key")
    kept.etag = '"' + "0" * 32 + '"'
    assert store.get("key") == b"data"


def test_strict_is_unsupported_where_nothing_tells():
    with pytest.raises(Unsupported, match="no digests"):
        AzureStore("container", account="me", account_key=KEY, verify="strict")
    for make in MAKE.values():
        with pytest.raises(ConfigError):
            make("http://localhost:1", verify="sometimes")


# ---------------------------------------------------------------------- answers of other servers
@pytest.mark.parametrize("call", ["get", "head", "exists", "range", "put", "create", "delete_if"])
def test_a_page_of_html_is_no_object_and_no_success(vendor, call):
    with Scripted(lambda request: Answer(200, HTML, {"Content-Type": "text/html"})) as server:
        store = MAKE[vendor](server.endpoint)
        calls = {
            "get": lambda: store.get("key"),
            "head": lambda: store.head("key"),
            "exists": lambda: store.exists("key"),
            "range": lambda: store.get_range("key", 1, 5),
            "put": lambda: store.put("key", b"x"),
            "create": lambda: store.create("key", b"x"),
            "delete_if": lambda: store.delete_if("key", '"1"'),
        }
        with pytest.raises(Indeterminate if call == "create" else StoreError):
            calls[call]()


# ---------------------------------------------------------------------- options
@pytest.mark.parametrize("kind", ["gs", "az", "http"])
def test_a_trickle_is_a_timeout(kind):
    def answer(request):
        return Answer(200, b"x" * (4 << 20), {"ETag": '"1"'}, pause=1.0)

    with Scripted(answer) as server:
        make = MAKE.get(kind, lambda at, **options: HttpStore(at, retry=quick(2), **options))
        with pytest.raises(Timeout):
            make(server.endpoint, read_timeout=0.5, minimum_rate=64 << 20).get("key")


def test_the_budget_of_retries_belongs_to_the_endpoint(vendor):
    with Scripted(lambda request: Answer(500)) as server:
        one, other = (MAKE[vendor](server.endpoint, retry=None) for _ in range(2))
        assert one.client().policy is other.client().policy
        assert one._transport.policy is one.client().policy
        elsewhere = MAKE[vendor](server.endpoint.replace("127.0.0.1", "localhost"), retry=None)
        assert elsewhere.client().policy is not one.client().policy


def test_a_pickle_carries_the_options(vendor, monkeypatch):
    options = {"minimum_rate": 1000, "verify": "length", "object_metadata": False, "read_timeout": 7.0}
    again = pickle.loads(pickle.dumps(MAKE[vendor]("http://localhost:1", **options)))
    assert (again.timeouts.slowest, again.timeouts.read) == (1000, 7.0)
    assert (again.verify, again.object_metadata) == ("length", False)


STORAGE_CLASS = {"gs": "x-goog-storage-class", "az": "x-ms-access-tier"}


def test_the_storage_class_goes_along_with_every_write(vendor):
    with Scripted(lambda request: Answer(201, headers={"ETag": '"1"'})) as server:
        store = pickle.loads(pickle.dumps(MAKE[vendor](server.endpoint, storage_class="COLD")))
        store = MAKE[vendor](server.endpoint, storage_class=store.storage_class)
        store.put("key", b"x")
        store.create("key", b"x")
        assert [request.headers[STORAGE_CLASS[vendor]] for request in server.requests] == ["COLD"] * 2
    with pytest.raises(ConfigError):
        MAKE[vendor]("http://localhost:1", storage_class="two words")


def test_a_copy_gets_the_storage_class(server):
    server.put(server.bucket, "key", b"data")
    google(server).copy("key", "as it was")
    google(server, storage_class="NEARLINE").copy("key", "copy")
    headers = {key: stored.headers for key, stored in server.buckets[server.bucket].objects.items()}
    assert headers["copy"]["x-goog-storage-class"] == "NEARLINE"
    assert "x-goog-storage-class" not in headers["as it was"]


def test_the_project_that_pays_is_named_in_every_request(server):
    store = google(server, user_project="my-project")
    etag = store.create("key", b"x").etag
    store.get("key")
    list(store.list())
    store.delete_if("key", etag)
    assert {headers.get("x-goog-user-project") for _, _, headers in server.requests} == {"my-project"}
    with pytest.raises(ConfigError):
        google(server, user_project="a\nb")
