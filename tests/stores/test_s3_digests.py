"""What S3Store knows of digests: its own stamps, ETags that were right before, and what it must not believe."""

from __future__ import annotations

import hashlib
import os
import warnings

import pytest

from holdfast.checksums import Digest, format_stamp
from holdfast.errors import ConfigError, IntegrityError
from holdfast.stores._reading import SMALL
from tests.servers import faults
from tests.servers.faulty_s3 import FaultyS3, Stored
from tests.stores.s3_stores import open_store

STAMP = "x-amz-meta-holdfastcrc32c"
MIB = 1 << 20
BODY = b"what was stored" * 1000
SIZES = pytest.mark.parametrize("size", [1000, 100_000, 3 * MIB])


@pytest.fixture
def server():
    with FaultyS3() as server:
        yield server


def corrupt(server, times=1):
    return server.inject(faults.CORRUPT, lambda request: request.method == "GET", times)


def foreign(body, etag):
    """An object of somebody else's, with such an ETag."""
    stored = Stored(body)
    stored.etag = etag
    return stored


def stream(store, key="key"):
    with store.read(key) as blob:
        return b"".join(blob.chunks())


@SIZES
def test_what_is_written_is_stamped_and_the_stamp_is_hidden(server, size):
    body = os.urandom(size)
    store = open_store(server)
    store.put("key", body)
    store.create("created", body)
    for key in ("key", "created"):
        assert server.objects[key].headers[STAMP] == format_stamp(Digest("crc32c", body))
        assert store.head(key).metadata == {}
    open_store(server, object_metadata=False).put("plain", body)
    assert not [name for name in server.objects["plain"].headers if name.startswith("x-amz-meta-")]


@SIZES
def test_a_corrupt_body_is_read_again_and_one_that_stays_so_is_an_error(server, size):
    body = os.urandom(size)
    store = open_store(server)
    server.objects["key"] = foreign(body, '"no-md5"')
    server.objects["key"].headers[STAMP] = format_stamp(Digest("crc32c", body))
    corrupt(server)
    assert store.get("key") == body
    corrupt(server)
    if size <= SMALL:  # it is here before anything of it is handed out
        assert stream(store) == body
    else:
        with pytest.raises(IntegrityError, match="read it again") as caught:
            stream(store)
        assert caught.value.retryable
    corrupt(server, times=None)
    with pytest.raises(IntegrityError, match="damaged") as caught:
        store.get("key")
    assert not caught.value.retryable
    assert open_store(server, verify="length").get("key") != body


@SIZES
def test_an_etag_that_is_an_md5_is_a_digest_too(server, size):
    body = os.urandom(size)
    server.objects |= {"key": Stored(body), "other": Stored(BODY)}
    store = open_store(server)
    corrupt(server)
    assert store.get("key") == body
    corrupt(server, times=None)
    with pytest.raises(IntegrityError):
        stream(store)
    with pytest.raises(IntegrityError):  # the bucket's ETags have been right before
        store.get("key")


@SIZES
@pytest.mark.parametrize("read", [lambda store: store.get("key"), stream])
def test_etags_that_only_look_like_md5s_are_found_out_with_one_warning(server, size, read):
    body = os.urandom(size)
    other = f'"{hashlib.md5(b"another").hexdigest()}"'
    server.objects |= {"key": foreign(body, other), "second": foreign(BODY, other)}
    store = open_store(server)
    with pytest.warns(UserWarning, match="ETags are not taken for MD5s"):
        assert read(store) == body
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert store.get("second") == BODY
        assert read(store) == body
    with pytest.raises(IntegrityError):
        read(open_store(server, verify="strict"))


@pytest.mark.parametrize(
    "header",
    [
        {"x-amz-server-side-encryption": "aws:kms"},
        {"x-amz-server-side-encryption-customer-algorithm": "AES256"},
    ],
)
def test_an_encrypted_object_among_others_is_believed(server, header):
    server.objects |= {"proof": Stored(b"proof"), "key": foreign(BODY, f'"{"0" * 32}"')}
    store = open_store(server)
    store.get("proof")
    with pytest.raises(IntegrityError):
        store.get("key")
    server.objects["key"].headers |= header
    assert store.get("key") == BODY
    assert stream(store) == BODY


def test_a_stamp_that_a_rewrite_has_carried_along_is_not_believed(server):
    server.objects["key"] = Stored(BODY, {STAMP: "00000000-5"})
    assert open_store(server).get("key") == BODY
    server.objects["key"] = foreign(BODY, '"no-md5"')
    server.objects["key"].headers[STAMP] = "00000000-5"
    with pytest.raises(IntegrityError):
        open_store(server).get("key")


@SIZES
@pytest.mark.parametrize("read", [lambda store: store.get("key"), stream])
@pytest.mark.parametrize("verify", ["auto", "strict"])
def test_a_stamp_of_the_same_size_that_was_carried_along_yields_to_the_etag(server, size, read, verify):
    old, body = os.urandom(size), os.urandom(size)
    server.objects["key"] = Stored(body, {STAMP: format_stamp(Digest("crc32c", old))})
    store = open_store(server, verify=verify)
    assert read(store) == body
    corrupt(server)
    if read is stream and size > SMALL:  # what was handed out is not what is stored
        with pytest.raises(IntegrityError, match="read it again"):
            read(store)
    else:
        assert read(store) == body
    corrupt(server, times=None)
    with pytest.raises(IntegrityError):
        read(store)


def test_a_page_with_status_200_is_no_object_but_objects_may_be_pages(server):
    page = faults.instead(faults.HTML)
    server.objects["key"] = Stored(b"<html></html>", {"content-type": "text/html"})
    store = open_store(server)
    server.inject(page, lambda request: True, 2)
    assert store.get("key") == b"<html></html>"
    server.inject(page, lambda request: True, 1)
    assert store.get_range("key", 1, 5) == b"html"


def test_ways_to_verify_that_are_none_are_refused(server):
    with pytest.raises(ConfigError, match="verify"):
        open_store(server, verify="sometimes")
    with pytest.raises(ConfigError, match="slowest"):
        open_store(server, minimum_rate=0)
