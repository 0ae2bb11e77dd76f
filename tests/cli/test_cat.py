"""cat: decoded bytes, stored bytes, ranges of both."""

from __future__ import annotations

import gzip

import pytest

from holdfast.types import WriteOptions

BODY = b"0123456789" * 1000
STORED = gzip.compress(BODY, mtime=0)


@pytest.fixture
def filled(bucket):
    bucket.put({"plain": BODY})
    bucket.store.write("encoded", STORED, WriteOptions(content_encoding="gzip"))
    return bucket


@pytest.mark.parametrize("key", ["plain", "encoded"])
@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("0-5", BODY[:5]),
        ("-5", BODY[:5]),
        ("6-11", BODY[6:11]),
        ("9995-", BODY[9995:]),
        ("0-", BODY),
        ("9998-20000", BODY[9998:]),
        ("20000-", b""),
        ("7-7", b""),
        ("0-0", b""),
    ],
)
def test_ranges_are_of_decoded_bytes_and_end_before_the_second_number(holdfast, filled, key, text, wanted):
    result = holdfast("cat", "-r", text, filled / key)
    assert (result.code, result.out) == (0, wanted.decode())


@pytest.mark.parametrize("text", ["-", "", "5", "a-b", "5-2", "1-2-3", "-5-", "²-³"])
def test_a_range_that_is_none_is_a_usage_error(holdfast, filled, text):
    result = holdfast("cat", "--range", text, filled / "plain")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("holdfast: ")
    assert result.err.count("\n") == 1


def test_whole_objects_decoded_and_raw(holdfast, filled):
    assert holdfast("cat", filled / "encoded").out == BODY.decode()
    assert holdfast("cat", "--raw", filled / "encoded").out.encode("utf-8", "surrogateescape") == STORED
    raw = holdfast("cat", "--raw", "-r", "2-9", filled / "encoded").out
    assert raw.encode("utf-8", "surrogateescape") == STORED[2:9]


def test_several_objects_follow_each_other_and_the_missing_one_is_named(holdfast, place):
    result = holdfast("cat", place / "run1/a", place / "nope", place / "run1/sub/b")
    assert (result.code, result.out) == (1, "onetwo!")
    assert result.err == f"holdfast: {place / 'nope'}: nothing there\n"


def test_a_directory_is_refused(holdfast, place):
    result = holdfast("cat", place / "run1")
    assert (result.code, result.out) == (1, "")
    assert "is a directory" in result.err


@pytest.mark.parametrize("stored", [STORED[:-9], b"no gzip at all", b""])
def test_broken_encodings_are_an_error_and_raw_still_shows_them(holdfast, bucket, stored):
    bucket.store.write("a", stored, WriteOptions(content_encoding="gzip"))
    result = holdfast("cat", bucket / "a")
    assert result.code == 1
    assert "gzip" in result.err
    assert holdfast("cat", "--raw", bucket / "a").code == 0


def test_an_unknown_encoding_names_the_way_out(holdfast, bucket):
    bucket.store.write("a", b"x", WriteOptions(content_encoding="rot13"))
    result = holdfast("cat", bucket / "a")
    assert (result.code, "raw" in result.err) == (1, True)
