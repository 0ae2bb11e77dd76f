"""S3Store when the service, the network or the process misbehaves: bounded, named, never wrong bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from holdfast.errors import (
    AuthError,
    BucketNotFound,
    ConfigError,
    Conflict,
    Indeterminate,
    IntegrityError,
    StoreError,
    Throttled,
    Timeout,
    Unsupported,
)
from holdfast.retry import Budget, Policy
from holdfast.stores.s3 import S3Store
from holdfast.types import ReadOptions, WriteOptions
from tests.servers.faulty_s3 import FaultyS3, Stored
from tests.stores.s3_stores import quick
from tests.stores.scripted import Answer, Scripted

MIB = 1 << 20
SECRET = "a-very-secret-access-key"


def open_store(server, **options):
    settings = {"access_key_id": "AK", "secret_access_key": SECRET, "retry": quick(), "region": "us-east-1"}
    return S3Store("bucket", endpoint=server.endpoint, **{**settings, **options})


def error_body(code, message="text"):
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()


class Object:
    """One object on a scripted server, with faults for the first requests."""

    def __init__(self, data, *, etag='"v1"', faults=()):
        self.data = data
        self.etag = etag
        self.faults = list(faults)
        self.ranges = []

    def __call__(self, request):
        if request.headers.get("if-match") not in {None, self.etag}:
            return Answer(412)
        wanted = request.headers.get("range")
        self.ranges.append(wanted)
        start, stop = 0, len(self.data)
        headers = {"ETag": self.etag}
        if wanted:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start, stop = int(first), min(stop, int(last or stop - 1) + 1)
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(self.data)}"
        answer = Answer(206 if wanted else 200, self.data[start:stop], headers)
        return self.faults.pop(0)(answer) if self.faults else answer


def cut(count):
    def fault(answer):
        answer.cut = count
        return answer

    return fault


# ---------------------------------------------------------------------- retries
@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_seven_requests_and_then_a_final_error(status):
    with Scripted(lambda request: Answer(status, error_body("Unhappy"))) as server:
        store = open_store(server)
        for call in (
            lambda: store.get("key"),
            lambda: store.head("key"),
            lambda: store.get_range("key", 1, 5),
            lambda: store.put("key", b"x"),
            lambda: list(store.list()),
            lambda: list(store.list(delimiter="/")),
        ):
            server.requests.clear()
            with pytest.raises(
                Throttled if status in {503, 429} else StoreError, match="gave up after 7 tries"
            ) as error:
                call()
            assert len(server.requests) == 7
            assert not error.value.retryable
        server.requests.clear()
        removed = store.remove([f"key-{number}" for number in range(50)])
        assert len(server.requests) == 7
        assert [error.key for error in removed] == [f"key-{number}" for number in range(50)]


def test_many_keys_share_one_budget_of_retries():
    policy = Policy(budget=Budget(capacity=100, refill=0.0), sleep=lambda seconds: None)
    with Scripted(lambda request: Answer(503, error_body("SlowDown"))) as server:
        store = open_store(server, retry=policy)
        for number in range(200):
            with pytest.raises(Throttled):
                store.get(f"key-{number}")
        assert len(server.requests) == 300


def test_a_passing_failure_is_not_seen():
    fails = iter([True, True, False])
    with Scripted(lambda r: Answer(503) if next(fails, False) else Answer(200, b"data", {"ETag": '"x"'})) as server:
        assert open_store(server).get("key") == b"data"
        assert len(server.requests) == 3


@pytest.mark.slow
def test_bodies_that_can_be_read_once_are_sent_once():
    with Scripted(lambda request: Answer(503)) as server:
        started = []

        def body():
            started.append(1)
            for _ in range(10):
                yield bytes(MIB)

        with pytest.raises(Throttled):
            open_store(server).put("key", body())
        assert started == [1]


@pytest.mark.parametrize(
    ("status", "code", "kind", "word"),
    [
        (400, "AuthorizationHeaderMalformed", ConfigError, "region="),
        (301, "PermanentRedirect", ConfigError, "region="),
        (400, "ExpiredToken", AuthError, "session token"),
        (403, "RequestTimeTooSkewed", AuthError, "clock"),
        (403, "AccessDenied", AuthError, "may not list"),
        (404, "NoSuchBucket", BucketNotFound, "no such bucket"),
        (412, "PreconditionFailed", Conflict, "read it again"),
        (501, "NotImplemented", Unsupported, "NotImplemented"),
        (400, "XAmzContentSHA256Mismatch", IntegrityError, "Mismatch"),
        (400, "RequestTimeout", Timeout, "RequestTimeout"),
        (400, "SomethingNew", StoreError, "SomethingNew"),
    ],
)
def test_what_the_service_says_has_a_name(status, code, kind, word):
    long_story = "x" * 5000
    with Scripted(lambda request: Answer(status, error_body(code, long_story))) as server:
        with pytest.raises(kind, match=word) as caught:
            open_store(server).put("some/key", b"x")
        assert len(str(caught.value)) < 700
        assert "Debug source" not in str(caught.value) + str(caught.value.cause)
        assert SECRET not in str(caught.value) + repr(caught.value.cause)
        assert caught.value.__context__ is None


def test_a_port_where_nobody_listens_is_a_passing_error_with_an_end():
    with Scripted(lambda request: Answer()) as gone:
        endpoint = gone.endpoint
    store = S3Store("bucket", endpoint=endpoint, anonymous=True, retry=quick(tries=3))
    with pytest.raises(StoreError, match="gave up after 3 tries"):
        store.get("key")


# ---------------------------------------------------------------------- broken bodies
@pytest.mark.parametrize("size", [1000, 3 * MIB])
def test_a_body_that_breaks_is_resumed_where_it_broke(size):
    data = os.urandom(size)
    item = Object(data, faults=[cut(size // 2), cut(0), cut(size // 4)])
    with Scripted(item) as server:
        store = open_store(server)
        assert store.get("key") == data
        assert len(item.ranges) == 4
    item = Object(data, faults=[cut(size // 2), cut(size // 4)])
    with Scripted(item) as server, open_store(server).read("key") as blob:
        assert b"".join(blob.chunks()) == data


def test_a_resumed_range_stays_within_its_range():
    data = os.urandom(3 * MIB)
    item = Object(data, faults=[cut(MIB)])
    with Scripted(item) as server:
        assert open_store(server).get_range("key", 1000, 2 * MIB) == data[1000 : 2 * MIB]
        assert item.ranges[0] == f"bytes=1000-{2 * MIB - 1}"
        assert item.ranges[1].endswith(f"-{2 * MIB - 1}")


def test_a_body_that_always_breaks_ends_in_an_error():
    item = Object(bytes(2 * MIB), faults=[cut(0)] * 100)
    with Scripted(item) as server:
        for call in (open_store(server).get, lambda key: list(open_store(server).read(key).chunks())):
            item.ranges.clear()
            with pytest.raises(StoreError, match="gave up"):
                call("key")
            assert len(item.ranges) <= 7


def test_an_object_replaced_in_the_middle_is_a_conflict_not_a_mixture():
    old, new = os.urandom(3 * MIB), os.urandom(3 * MIB)
    item = Object(old, faults=[cut(MIB)])

    def replaced(request):
        answer = item(request)
        item.data, item.etag = new, '"v2"'
        return answer

    with Scripted(replaced) as server, pytest.raises(Conflict, match="replaced while it was being read"):
        open_store(server).get("key")


def test_without_an_etag_a_broken_body_is_read_anew_or_given_up():
    data = os.urandom(3 * MIB)
    # The first of them is left for one that may take longer, because it cannot go on in another.
    item = Object(data, etag="", faults=[cut(MIB), cut(MIB)])
    with Scripted(item) as server:
        assert open_store(server).get("key") == data
        assert item.ranges == [None, None, None]
        item.faults = [cut(MIB), cut(MIB)]
        with open_store(server).read("key") as blob, pytest.raises(StoreError, match="no ETag") as caught:
            list(blob.chunks())
        assert caught.value.retryable


@pytest.mark.parametrize(("said", "kind"), [("0-4999/6000", IntegrityError), ("0-4899/6000", StoreError)])
def test_a_range_that_is_shorter_than_asked_for_is_noticed(said, kind):
    def short(request):
        return Answer(206, b"x" * 4900, {"ETag": '"x"', "Content-Range": f"bytes {said}"})

    with Scripted(short) as server:
        with pytest.raises(kind):
            open_store(server).get_range("key", 0, 5000)
        with pytest.raises((IntegrityError, StoreError)):
            list(open_store(server).read("key", ReadOptions(0, 5000)).chunks())


@pytest.mark.parametrize("key", ["key", "odd//key"])
@pytest.mark.parametrize(
    ("start", "end", "said"),
    [(10, 15, "0-4/20"), (10, 15, "10-12/20"), (10, None, "10-14/20"), (-5, None, "10-14/20"), (10, 15, None)],
)
def test_another_range_than_asked_for_is_no_answer(key, start, end, said):
    headers = {"ETag": '"x"', "Content-Range": f"bytes {said}" if said else ""}
    with Scripted(lambda request: Answer(206, b"01234", headers)) as server:
        store = open_store(server)
        for read in (store.get_range, lambda *a: b"".join(store.read(a[0], ReadOptions(*a[1:])).chunks())):
            with pytest.raises((IntegrityError, StoreError)):
                read(key, start, end)


def test_a_service_that_refuses_a_good_range_is_not_believed():
    def refusing(request):
        if "range" in request.headers:
            return Answer(416, error_body("InvalidRange"))
        return Answer(200, b"0123456789", {"ETag": '"x"'})

    with Scripted(refusing) as server:
        with pytest.raises(StoreError, match="refuses the range"):
            open_store(server).get_range("key", 2, 5)
        assert open_store(server).get_range("key", 10, 15) == b""


@pytest.mark.parametrize(("start", "end"), [(2, 5), (2, None), (-3, None), (8, 50), (50, 60), (0, 4)])
def test_a_service_without_ranges_is_read_whole_and_cut(start, end):
    data = b"0123456789"
    with Scripted(lambda request: Answer(200, data, {"ETag": '"x"'})) as server:
        store = open_store(server)
        assert store.get_range("key", start, end) == data[start:end]
        with store.read("key", ReadOptions(start, end)) as blob:
            assert blob.size == len(data[start:end])
            assert b"".join(blob.chunks()) == data[start:end]
            assert blob.info.size == 10


@pytest.mark.server
def test_ranges_work_on_a_service_that_hardly_knows_them(rclone_s3):
    store = S3Store(
        rclone_s3.make_bucket(),
        endpoint=rclone_s3.endpoint,
        access_key_id=rclone_s3.access_key,
        secret_access_key=rclone_s3.secret_key,
        retry=quick(),
    )
    data = os.urandom(100_000)
    store.put("key", data)
    assert store.get("key") == data
    for start, end in ((10, 20), (99_990, 200_000), (None, 5), (-5, None), (0, 0)):
        assert store.get_range("key", start, end) == data[start:end]
    assert list(store.keys("k")) == ["key"]
    assert store.remove(["key", "missing"]) == [None, None]
    assert not store.exists("key")


def test_a_body_without_a_length_is_refused_with_a_reason():
    endless = Answer(200, b"x", {"Content-Length": "", "ETag": '"x"'}, cut=1)
    with Scripted(lambda request: endless) as server, pytest.raises(Unsupported, match="Content-Length"):
        open_store(server).get("key")


# ---------------------------------------------------------------------- deletes
def test_a_key_that_cannot_be_deleted_does_not_hide_the_others():
    denied = error_body("AccessDenied")

    def answer(request):
        if request.method == "POST":
            return Answer(200, b"<DeleteResult><Error><Key>b</Key><Code>AccessDenied</Code></Error></DeleteResult>")
        return Answer(403, denied) if request.target.endswith("/b") else Answer(204)

    with Scripted(answer) as server:
        removed = open_store(server).remove(["a", "b", "c"])
    assert [type(error) for error in removed][::2] == [type(None), type(None)]
    assert isinstance(removed[1], AuthError)
    assert removed[1].key == "b"


@pytest.mark.parametrize("broken", [Answer(501, error_body("NotImplemented")), Answer(200, b"<DeleteResult/>")])
def test_a_service_without_batches_is_asked_key_by_key(broken):
    with Scripted(lambda request: broken if request.method == "POST" else Answer(204)) as server:
        assert open_store(server).remove(["a", "b", "c"]) == [None] * 3
        deleted = [request.target for request in server.requests if request.method == "DELETE"]
    assert deleted == ["/bucket/a", "/bucket/b", "/bucket/c"]


# ---------------------------------------------------------------------- uploads
def test_an_upload_whose_last_answer_was_lost_is_indeterminate():
    answers = {"complete": 0}

    def answer(request):
        if request.method == "POST" and "?uploads" in request.target:
            return Answer(
                200, b"<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>"
            )
        if request.method == "POST":
            answers["complete"] += 1
            return Answer(503 if answers["complete"] == 1 else 404, error_body("NoSuchUpload"))
        return Answer(200, headers={"ETag": '"part"'})

    with Scripted(answer) as server, pytest.raises(Indeterminate, match="holds 10485760 bytes") as caught:
        open_store(server).put("key", (bytes(MIB) for _ in range(10)))
    assert answers["complete"] == 2
    assert not caught.value.retryable


def test_an_upload_that_loses_bytes_is_an_integrity_error():
    def answer(request):
        if request.method == "POST" and "?uploads" in request.target:
            return Answer(
                200, b"<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>"
            )
        if request.method == "POST":
            return Answer(200, b'<CompleteMultipartUploadResult><ETag>"m-1"</ETag></CompleteMultipartUploadResult>')
        return Answer(200, b"x" * 5, {"ETag": '"m-1"'})

    with Scripted(answer) as server, pytest.raises(IntegrityError, match=r"10485760 bytes .* has 5"):
        open_store(server).put("key", (bytes(MIB) for _ in range(10)))


@pytest.mark.parametrize("key", ["key", "odd//key"])
@pytest.mark.parametrize("object_metadata", [True, False])
@pytest.mark.parametrize("theirs", [None, b"theirs" * MIB, b"bytes." * (2 * MIB) + b"theirs"])
def test_an_upload_that_was_replaced_at_once_is_not_taken_for_what_replaced_it(key, object_metadata, theirs):
    mine, seen = b"bytes." * (2 * MIB) + b"in all", []

    def replaced(request):
        if request.method == "POST" and "uploadId" in request.query:
            seen.append(server.objects.pop(key).etag)
            if theirs is not None:
                server.objects[key] = Stored(theirs)

    with FaultyS3() as server:
        server.after = replaced
        store = open_store(server, object_metadata=object_metadata)
        chunks = (mine[start : start + MIB] for start in range(0, len(mine), MIB))
        options = WriteOptions(content_type="text/mine", metadata={"whose": "mine"}, part_size=5 * MIB)
        if not object_metadata and theirs is not None and len(theirs) != len(mine):
            with pytest.raises(IntegrityError, match="somebody else wrote it"):  # or bytes were lost: who knows
                store.write(key, chunks, options)
            return
        info = store.write(key, chunks, options)
    assert [info.etag] == seen
    if object_metadata:
        assert (info.size, info.content_type, info.metadata) == (len(mine), "text/mine", {"whose": "mine"})


def test_the_body_is_signed_over_plain_http():
    with Scripted(lambda request: Answer(200, headers={"ETag": '"x"'})) as server:
        open_store(server).put("key", b"hello")
    assert server.requests[0].headers["x-amz-content-sha256"] == (
        "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    )


def test_the_environment_does_not_leak_into_what_was_given(monkeypatch):
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-token-of-somebody-else")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    monkeypatch.setenv("AWS_UNSIGNED_PAYLOAD", "true")
    monkeypatch.setenv("AWS_REQUEST_PAYER", "true")
    monkeypatch.setenv("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "true")
    monkeypatch.setenv("AWS_REGION", "eu-somewhere-1")
    with Scripted(lambda request: Answer(200, headers={"ETag": '"x"'})) as server:
        open_store(server).put("key", b"hello")
    [request] = server.requests
    assert request.target == "/bucket/key"
    assert "/us-east-1/s3/aws4_request" in request.headers["authorization"]
    assert request.headers["x-amz-content-sha256"] != "UNSIGNED-PAYLOAD"
    assert not {"x-amz-security-token", "x-amz-request-payer"}.intersection(request.headers)


def test_a_listing_whose_connection_is_refused_says_so():
    with Scripted(lambda request: Answer()) as server:
        store = open_store(server, retry=quick(tries=1))
    with pytest.raises(StoreError, match="the connection was refused"):
        list(store.list())


# ---------------------------------------------------------------------- stalls
@pytest.mark.slow
def test_a_stalled_answer_is_a_timeout():
    with Scripted(lambda request: time.sleep(20) or Answer()) as server:
        store = open_store(server, read_timeout=0.5, retry=quick(tries=2))
        started = time.monotonic()
        with pytest.raises(Timeout, match=r"no progress.*gave up after 2 tries"):
            store.get("key")
        assert time.monotonic() - started < 10


@pytest.mark.slow
def test_a_stalled_body_is_a_timeout():
    item = Object(bytes(2 * MIB), faults=[lambda answer: Answer(200, answer.body, answer.headers, 1000, stall=20)] * 5)
    with Scripted(item) as server:
        store = open_store(server, read_timeout=0.5, retry=quick(tries=2))
        with pytest.raises(Timeout):
            store.get("key")


@pytest.mark.slow
def test_a_slow_upload_is_no_stall():
    def slow(request):
        time.sleep(1.5)
        return Answer(200, headers={"ETag": '"x"'})

    with Scripted(slow) as server:
        store = open_store(server, read_timeout=0.5, retry=quick(tries=1))
        assert store.put("large", bytes(MIB)).size == MIB
        with pytest.raises(Timeout):
            store.put("small", b"x")


# ---------------------------------------------------------------------- settings
def test_settings_that_cannot_be_are_refused(monkeypatch):
    for endpoint in ("ftp://host", "host:9000", "http://user:pw@host", "http://host/path", "http://host?x=1"):
        with pytest.raises(ConfigError, match="endpoint") as caught:
            S3Store("bucket", endpoint=endpoint)
        assert "pw" not in str(caught.value)
    for bucket in ("", "a/b", "../x", "a b", "-x"):
        with pytest.raises(ConfigError, match="bucket"):
            S3Store(bucket)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "false")
    with pytest.raises(ConfigError, match="AWS_ALLOW_HTTP"):
        S3Store("bucket", endpoint="http://127.0.0.1:1", anonymous=True).get("key")


def test_amazon_is_the_default_and_shown_without_an_endpoint(monkeypatch):
    assert S3Store("bucket").name == "s3://bucket"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://elsewhere:9000/")
    assert S3Store("bucket").name == "s3://https://elsewhere:9000/bucket"
    assert repr(S3Store("bucket", access_key_id="AK", secret_access_key=SECRET)) == (
        "S3Store('s3://https://elsewhere:9000/bucket')"
    )


# ---------------------------------------------------------------------- processes
def run(program, **variables):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**os.environ, "HOLDFAST_RETRY_WAIT": "0", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


CALLS = {
    "get": "store.get('key')",
    "put": "store.put('key', b'x')",
    "list": "list(store.list())",
    "delete": "store.remove(['a', 'b'])",
    "upload": "store.put('key', (bytes(1 << 20) for _ in range(10)))",
}


@pytest.mark.parametrize("call", CALLS)
def test_ctrl_c_ends_a_stalled_call(call):
    program = f"""
        from holdfast.stores.s3 import S3Store
        store = S3Store("bucket", endpoint=ENDPOINT, anonymous=True)
        print("calling", flush=True)
        {CALLS[call]}
    """
    with Scripted(lambda request: time.sleep(60) or Answer()) as server:
        process = run(program.replace("ENDPOINT", repr(server.endpoint)))
        try:
            assert process.stdout.readline() == "calling\n"
            deadline = time.monotonic() + 10
            while not server.requests and time.monotonic() < deadline:
                time.sleep(0.02)
            started = time.monotonic()
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=10)
            assert time.monotonic() - started < 2
            assert "KeyboardInterrupt" in errors
        finally:
            process.kill()
            process.wait()


def test_ctrl_c_ends_a_stalled_body():
    program = """
        from holdfast.stores.s3 import S3Store
        store = S3Store("bucket", endpoint=ENDPOINT, anonymous=True)
        for chunk in store.read("key").chunks():
            print("chunk", flush=True)
    """
    item = Object(bytes(2 * MIB), faults=[lambda answer: Answer(200, answer.body, answer.headers, MIB, stall=60)])
    with Scripted(item) as server:
        process = run(program.replace("ENDPOINT", repr(server.endpoint)))
        try:
            assert process.stdout.readline() == "chunk\n"
            time.sleep(0.3)
            started = time.monotonic()
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=10)
            assert time.monotonic() - started < 2
        finally:
            process.kill()
            process.wait()


def test_no_call_asks_the_metadata_service():
    with Scripted(lambda request: Answer(404)) as metadata:
        program = """
            from holdfast.stores.s3 import S3Store
            try:
                S3Store("bucket", endpoint="http://127.0.0.1:1").get("key")
            except Exception as error:
                print(type(error).__name__)
        """
        process = run(program, AWS_METADATA_ENDPOINT=metadata.endpoint, AWS_EC2_METADATA_DISABLED="false")
        output, errors = process.communicate(timeout=30)
        assert output == "AuthError\n", output + errors
        assert metadata.requests == []
