"""Digests against published vectors, and stamps that say what they should and nothing else."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.checksums import (
    ALGORITHMS,
    STAMP_NAME,
    Digest,
    Stamp,
    crc32c,
    digest_chunks,
    format_stamp,
    parse_stamp,
    verify,
)
from holdfast.errors import IntegrityError


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),  # this one and the next three: RFC 3720, B.4
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
)
def test_crc32c_gives_the_published_values(data, value):
    assert crc32c(data) == crc32c(memoryview(data)) == value
    assert crc32c(data[5:], crc32c(data[:5])) == value
    assert Digest("crc32c", data).digest() == value.to_bytes(4, "big")


def test_md5_and_sha256_spell_what_headers_and_etags_spell():
    assert Digest("md5", b"hello").hex() == "5d41402abc4b2a76b9719d911017c592"
    assert Digest("md5", b"hello").base64() == "XUFAKrxLKna5cZ2REBfFkg=="
    assert Digest("sha256", b"abc").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert Digest("crc32c", b"hello").base64() == "mnG7TA=="


@given(chunks=st.lists(st.binary(max_size=50)))
def test_chunks_digest_as_their_concatenation(chunks):
    data = b"".join(chunks)
    for algorithm in ALGORITHMS:
        digest = digest_chunks((memoryview(bytearray(chunk)) for chunk in chunks), algorithm)
        assert (digest.digest(), digest.size) == (Digest(algorithm, data).digest(), len(data))
    assert digest_chunks(chunks, "sha256").digest() == hashlib.sha256(data).digest()


def test_views_of_wide_items_count_bytes():
    view = memoryview(bytes(range(32))).cast("I")
    digest = Digest("crc32c", view)
    assert (digest.size, digest.hex()) == (32, "46dd794e")


def test_an_unknown_algorithm_is_refused():
    with pytest.raises(ValueError, match="crc32c, md5, sha256"):
        Digest("crc32")
    with pytest.raises(ValueError, match="not of md5"):
        format_stamp(Digest("md5"))


@given(data=st.binary(max_size=100))
def test_stamps_come_back_as_they_were_written(data):
    digest = Digest("crc32c", data)
    stamp = parse_stamp(format_stamp(digest))
    assert stamp == Stamp(crc32c(data), len(data))
    verify(digest, stamp)


@pytest.mark.parametrize(
    "text",
    ["", "9a71bb4c", "9a71bb4c-", "-5", "9A71BB4C-5", "9a71bb4c-05", "9a71bb4c-5 ", "9a71bb4c-5\n", "9a71bb4c--5",
     "09a71bb4c-5", "9a71bb4c-\u0665", "9a71bb4c-99999999999999999999"],
)  # fmt: skip
def test_what_is_no_stamp_is_nobodys_promise(text):
    assert parse_stamp(text) is None


def test_bytes_that_differ_in_content_or_length_are_an_integrity_error_that_may_be_retried():
    stamp = Stamp(crc32c(b"hello"), 5)
    for found in (b"hellp", b"hell", b""):
        with pytest.raises(IntegrityError, match="9a71bb4c-5") as caught:
            verify(Digest("crc32c", found), stamp, key="k", store="mem://x")
        assert (caught.value.key, caught.value.store, caught.value.retryable) == ("k", "mem://x", True)
    with pytest.raises(IntegrityError):
        verify(Digest("crc32c", b"hello"), Stamp(stamp.crc32c, 6))


def test_the_metadata_name_survives_every_service():
    assert STAMP_NAME.isascii()
    assert STAMP_NAME.isalnum()
    assert STAMP_NAME.islower()


def test_importing_checksums_loads_no_checksum_library():
    program = "import sys, holdfast.checksums; print('crc32c' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.strip() == "False"
