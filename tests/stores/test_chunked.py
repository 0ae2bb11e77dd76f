"""Bodies of unknown length over http are read and checked; redirects keep secrets; weak ETags name no bytes."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from holdfast.cli.app import invoke
from holdfast.errors import AuthError, ConfigError, Conflict, IntegrityError, NotFound, StoreError, Timeout, Unsupported
from holdfast.files.cloudfiles import CloudFiles
from holdfast.stores.http import HttpStore
from holdfast.types import ReadOptions
from tests.servers import faults
from tests.servers.faulty_s3 import FaultyS3
from tests.stores.s3_stores import quick
from tests.stores.scripted import Answer, Scripted, chunked

DATA = bytes(range(256)) * 4000  # about a megabyte: several chunks, several pieces
RANGES = [
    (0, 4),
    (2, 5),
    (1000, None),
    (None, 7),
    (-3, None),
    (-(5 << 20), None),
    (5 << 20, None),
    (3, 3),
    (2, 5 << 20),
]


def open_store(server, userinfo=""):
    return HttpStore(server.endpoint.replace("://", f"://{userinfo}@") if userinfo else server.endpoint, retry=quick())


def serves(request):
    """A server without ranges, as one that makes its pages while it sends them."""
    return chunked(DATA, {"ETag": '"1"', "Content-Type": "text/plain"})


def cuts(request):
    """A server that cuts ranges and sends them in chunks."""
    wanted = request.headers.get("range", "")
    if not wanted:
        return chunked(DATA, {"ETag": '"1"'})
    first, _, last = wanted.removeprefix("bytes=").partition("-")
    start = int(first) if first else max(0, len(DATA) - int(last))
    stop = min(int(last) + 1, len(DATA)) if first and last else len(DATA)
    if start >= stop:
        return Answer(416, b"", {"Content-Range": f"bytes */{len(DATA)}"})
    return chunked(DATA[start:stop], {"ETag": '"1"', "Content-Range": f"bytes {start}-{stop - 1}/{len(DATA)}"}, 206)


# ---------------------------------------------------------------------- chunked bodies
def test_a_body_in_chunks_is_read():
    with Scripted(serves) as server:
        store = open_store(server)
        assert store.get("key") == DATA
        with store.read("key") as blob:
            assert b"".join(blob.chunks()) == DATA
            assert (blob.info.size, blob.info.etag, blob.info.content_type) == (None, '"1"', "text/plain")
        info = store.head("key")
        assert (info.size, info.etag) == (None, '"1"')
        assert store.exists("key")


@pytest.mark.parametrize("answer", [serves, cuts])
@pytest.mark.parametrize(("start", "end"), RANGES)
def test_ranges_of_it_mean_what_slices_mean(answer, start, end):
    with Scripted(answer) as server:
        store = open_store(server)
        assert store.get_range("key", start, end) == DATA[start:end]
        with store.read("key", ReadOptions(start, end)) as blob:
            assert b"".join(blob.chunks()) == DATA[start:end]


def test_it_is_copied_in_bulk(tmp_path):
    with Scripted(serves) as server:
        rows = CloudFiles(open_store(server)).get(["a", "b"])
        assert [row["content"] for row in rows] == [DATA, DATA]
        assert invoke(["cp", f"{server.endpoint}/b", str(tmp_path / "b")]) == 0
        assert (tmp_path / "b").read_bytes() == DATA


@pytest.mark.parametrize("cut", [10, 300_000, -5])
def test_one_that_breaks_is_no_object(cut):
    with Scripted(lambda request: chunked(DATA, cut=cut)) as server:
        with pytest.raises(StoreError, match="gave up after 7 tries"):
            open_store(server).get("key")
        with open_store(server).read("key") as blob, pytest.raises(StoreError) as caught:
            list(blob.chunks())
        assert caught.value.retryable


def test_one_that_breaks_once_is_read_again():
    faults = [0, 1]  # the engine's request, then the first of ours

    def answer(request):
        return chunked(DATA, cut=300_000) if faults and faults.pop() is not None else chunked(DATA)

    with Scripted(answer) as server:
        assert open_store(server).get("key") == DATA
        assert len(server.requests) == 3


def test_neither_length_nor_chunks_is_refused():
    endless = Answer(200, DATA, {"Content-Length": "", "Connection": "close"}, cut=len(DATA))
    with (
        Scripted(lambda request: endless) as server,
        pytest.raises(Unsupported, match="neither its length"),
    ):
        open_store(server).get("key")


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [(2, 6, "0-3/100"), (2, 6, "2-3/100"), (2, 6, "2-9/*"), (2, None, "2-50/100"), (-4, None, "0-3/100"), (2, 6, "")],
)
def test_another_range_than_asked_for_is_noticed(start, end, said):
    headers = {"ETag": '"1"', "Content-Range": f"bytes {said}" if said else ""}
    with Scripted(lambda request: chunked(bytes(4), headers, 206)) as server:
        store = open_store(server)
        with pytest.raises(IntegrityError, match="another range"):
            store.get_range("key", start, end)


@pytest.mark.parametrize(("start", "end", "said"), [(2, 9, "2-5/*"), (2, 9, "2-5/6"), (-9, None, "0-3/4")])
def test_a_range_that_the_object_cuts_short_is_the_one_that_was_asked_for(start, end, said):
    headers = {"ETag": '"1"', "Content-Range": f"bytes {said}"}
    with Scripted(lambda request: chunked(bytes(4), headers, 206)) as server:
        assert open_store(server).get_range("key", start, end) == bytes(4)


def test_a_body_in_chunks_that_trickles_is_given_up():
    headers = {"ETag": '"1"', "Transfer-Encoding": "chunked"}
    body = faults.Answer(200, b"1\r\nx\r\n" * 400, headers, length="")
    trickle = faults.Fault(change=lambda _: body, pace=(6, 0.25))
    with FaultyS3() as server:
        server.fault = lambda request: trickle
        store = HttpStore(server.endpoint, retry=quick(1), read_timeout=0.5, minimum_rate=1 << 20)
        began = time.monotonic()
        with pytest.raises(Timeout):
            store.get("bucket/key")
        assert time.monotonic() - began < 20  # it would have come in 100


def test_a_range_in_chunks_that_ends_too_early_is_noticed():
    def short(request):
        return chunked(DATA[2:4], {"ETag": '"1"', "Content-Range": f"bytes 2-5/{len(DATA)}"}, 206)

    with Scripted(short) as server, pytest.raises(IntegrityError):
        open_store(server).get_range("key", 2, 6)


@pytest.mark.parametrize(("status", "kind"), [(404, NotFound), (401, AuthError), (403, NotFound)])
def test_what_goes_wrong_has_its_name(status, kind):
    answers = [Answer(status), chunked(DATA)]
    with Scripted(lambda request: answers.pop()) as server, pytest.raises(kind):
        open_store(server).get("key")


# ---------------------------------------------------------------------- redirects
def test_a_redirected_chunked_body_takes_no_password_to_another_host():
    with Scripted(serves) as thief:
        other = thief.endpoint.replace("127.0.0.1", "localhost")
        with Scripted(lambda request: Answer(302, headers={"Location": f"{other}/x"})) as server:
            store = open_store(server, "reader:secret")
            assert store.get("key") == DATA
            assert all("authorization" in request.headers for request in server.requests)
        assert [request.headers.get("authorization") for request in thief.requests] == [None, None]


def test_a_redirect_on_the_same_host_keeps_the_password():
    def answer(request):
        return Answer(302, headers={"Location": "/other"}) if request.target == "/key" else serves(request)

    with Scripted(answer) as server:
        assert open_store(server, "reader:secret").get("key") == DATA
        assert all("authorization" in request.headers for request in server.requests)


def test_a_redirect_in_circles_ends():
    answers = [chunked(DATA)]

    def answer(request):
        return answers.pop() if answers else Answer(302, headers={"Location": "/key"})

    with Scripted(answer) as server:
        with pytest.raises(StoreError, match="redirects"):
            open_store(server).get("key")
        assert len(server.requests) < 15


def test_a_directory_is_no_object():
    def answer(request):
        return chunked(b"a listing") if request.target.endswith("/") else Answer(301, headers={"Location": "/dir/"})

    with Scripted(answer) as server, pytest.raises(NotFound, match="directory"):
        open_store(server).get("dir")


# ---------------------------------------------------------------------- weak ETags
def test_a_weak_etag_is_compared_not_sent():
    def answer(request):
        assert "if-match" not in request.headers
        return Answer(200, b"0123456789", {"ETag": 'W/"1"'})

    with Scripted(answer) as server:
        store = open_store(server)
        etag = store.head("key").etag
        assert etag == 'W/"1"'
        assert store.read("key", ReadOptions(2, 4, if_match=etag)).bytes() == b"23"
        assert store.read("key", ReadOptions(if_match=etag)).bytes() == b"0123456789"
        for options in (ReadOptions(if_match='W/"2"'), ReadOptions(2, 4, if_match='W/"2"')):
            with pytest.raises(Conflict):
                store.read("key", options)


def test_a_weak_etag_of_a_chunked_body_is_compared_not_sent():
    with Scripted(lambda request: chunked(DATA, {"ETag": 'W/"1"'})) as server:
        store = open_store(server)
        assert store.read("key", ReadOptions(if_match='W/"1"')).bytes() == DATA
        with pytest.raises(Conflict):
            store.read("key", ReadOptions(if_match='W/"2"'))
        assert not any("if-match" in request.headers for request in server.requests)


def test_a_body_with_a_weak_etag_is_not_resumed_but_read_again():
    body = os.urandom(3 << 20)

    def answer(request):
        assert "range" not in request.headers
        return Answer(200, body, {"ETag": 'W/"1"'}, cut=None if len(server.requests) % 2 == 0 else 2 << 20)

    with Scripted(answer) as server:
        assert open_store(server).get("key") == body
        server.requests.clear()
        with open_store(server).read("key") as blob, pytest.raises(StoreError, match="no ETag under which"):
            list(blob.chunks())


# ---------------------------------------------------------------------- TLS
@pytest.mark.parametrize("first", ["engine", "transport"])
def test_https_is_never_left_for_http(first, certificate, monkeypatch):
    """Neither by the engine nor by our own requests, which come after an answer that the engine cannot read."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    answers = [chunked(DATA)] if first == "transport" else []
    with Scripted(serves) as plain:
        redirect = Answer(302, headers={"Location": f"{plain.endpoint}/key"})
        with Scripted(lambda request: answers.pop() if answers else redirect, certificate=certificate) as server:
            with pytest.raises((ConfigError, StoreError)) as caught:
                open_store(server, "reader:secret").get("key")
            assert len(server.requests) == (2 if first == "transport" else len(server.requests)) > 0
        assert not plain.requests
    if first == "transport":
        assert isinstance(caught.value, ConfigError)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A file with the key and the certificate of "localhost", which is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    path.write_bytes(key.private_bytes(*pem) + certificate.public_bytes(serialization.Encoding.PEM))
    return path
