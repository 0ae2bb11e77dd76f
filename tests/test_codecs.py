"""Encodings: sound streams decode whatever their pieces, all others are refused, and nothing grows without bound."""

from __future__ import annotations

import bz2
import gzip
import io
import itertools
import lzma
import random
import struct
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Iterator

import brotli
import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from holdfast import codecs
from holdfast.errors import ConfigError, DecompressionError, UnknownEncoding

ENCODINGS = list(codecs.SUFFIXES)
TEXT = b"".join(b"line %d of a text that repeats itself, as texts do\n" % number for number in range(4000))

# Each encoding as an implementation that is not ours writes and reads it.
OTHERS = {
    "gzip": (gzip.compress, gzip.decompress),
    "br": (brotli.compress, brotli.decompress),
    "zstd": (zstd.compress, zstd.decompress),
    "xz": (lzma.compress, lzma.decompress),
    "bz2": (bz2.compress, bz2.decompress),
}


def cut(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def decoded(data: bytes, encoding: str, size: int = 1 << 16, **options) -> bytes:
    return b"".join(codecs.decompress_chunks(cut(data, size), encoding, **options))


# ---------------------------------------------------------------------- names
@pytest.mark.parametrize(
    ("name", "canonical"),
    [("gzip", "gzip"), (True, "gzip"), ("GZIP", "gzip"), (" x-gzip ", "gzip"), ("br", "br"), ("zstd", "zstd"),
     ("bz2", "bz2"), ("bzip2", "bz2"), ("xz", "xz"), ("lzma", "xz"), ("", None), (None, None), (False, None),
     ("identity", None)],
)  # fmt: skip
def test_every_alias_has_its_canonical_name(name, canonical):
    assert codecs.canonical(name) == canonical


@pytest.mark.parametrize("name", ["lz4", "deflate", "gzip, br", 7, ["gzip"], b"gzip"])
def test_an_unknown_encoding_is_a_value_error_that_names_the_known_ones_and_the_way_out(name):
    with pytest.raises(UnknownEncoding) as caught:
        codecs.canonical(name)
    assert isinstance(caught.value, ValueError)
    assert all(known in str(caught.value) for known in ENCODINGS)
    assert "raw=True" in str(caught.value)


def test_content_encoding_headers_are_parsed_in_order_and_what_says_nothing_is_left_out():
    assert codecs.parse_content_encoding("gzip, br") == ("gzip", "br")
    assert codecs.parse_content_encoding("aws-chunked,GZip , identity,,Br") == ("gzip", "br")
    assert codecs.parse_content_encoding("aws-chunked") == ()
    assert codecs.parse_content_encoding(None) == codecs.parse_content_encoding("") == ()
    with pytest.raises(UnknownEncoding, match="deflate"):
        codecs.parse_content_encoding("gzip, deflate")


def test_unknown_encodings_are_refused_at_the_call_not_at_the_first_chunk():
    for call in (codecs.compress, codecs.decompress, codecs.compress_chunks, codecs.decompress_chunks):
        with pytest.raises(UnknownEncoding):
            call(b"", "lz4")
    with pytest.raises(UnknownEncoding):
        codecs.decode_range([b""], "lz4", 0, 1)


# ---------------------------------------------------------------------- round trips
@pytest.mark.parametrize("encoding", ENCODINGS)
@given(data=st.binary(max_size=3000), size=st.integers(1, 700))
def test_what_is_encoded_decodes_to_itself_whole_and_in_pieces(encoding, data, size):
    encoded = codecs.compress(data, encoding)
    assert codecs.decompress(encoded, encoding) == data
    assert decoded(b"".join(codecs.compress_chunks(cut(data, size), encoding)), encoding, size) == data


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_other_implementations_read_ours_and_we_read_theirs(encoding):
    write, read = OTHERS[encoding]
    for data in (b"", b"x", TEXT):
        assert read(codecs.compress(data, encoding)) == data
        assert codecs.decompress(write(data), encoding) == data


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_level_round_trips_and_others_are_refused(encoding):
    low, high = codecs.LEVELS[encoding]
    for level in sorted({low, 1, codecs.DEFAULT_LEVELS[encoding], 4, 6, min(high, 9)}):
        assert codecs.decompress(codecs.compress(TEXT[:20000], encoding, level), encoding) == TEXT[:20000]
    for level in (low - 1, high + 1):
        with pytest.raises(ConfigError, match=f"{encoding} has the levels {low} to {high}"):
            codecs.compress(TEXT, encoding, level)
        with pytest.raises(ValueError, match="level"):
            codecs.compress_chunks([TEXT], encoding, level)


def test_lists_of_codings_are_applied_in_order_and_undone_backwards():
    encoded = codecs.compress(TEXT, "gzip, br")
    assert codecs.decompress(codecs.decompress(encoded, "br"), "gzip") == TEXT
    assert codecs.decompress(encoded, "gzip, br") == TEXT
    assert codecs.decompress(encoded, "aws-chunked, gzip, br") == TEXT
    assert decoded(b"".join(codecs.compress_chunks([TEXT], "zstd,xz")), "zstd,xz", 7) == TEXT


def test_no_encoding_passes_bytes_through():
    for none in (None, "", False, "identity", "aws-chunked, identity"):
        assert codecs.compress(bytearray(b"abc"), none) == codecs.decompress(memoryview(b"abc"), none) == b"abc"
        assert list(codecs.decompress_chunks([b"a", b"b"], none)) == [b"a", b"b"]


def test_views_of_any_shape_are_their_bytes():
    numbers = memoryview(struct.pack("<4d", 1, 2, 3, 4)).cast("d")
    for encoding in ENCODINGS:
        encoded = codecs.compress(bytearray(TEXT), encoding)
        assert codecs.decompress(bytearray(encoded), encoding) == TEXT
        assert decoded(b"".join(codecs.compress_chunks([numbers], encoding)), encoding) == numbers.tobytes()


@pytest.mark.parametrize("level", [None, 0, 1, 4, 9])
def test_gzip_is_deterministic_with_no_time_no_name_and_a_fixed_system_byte(level):
    encoded = codecs.compress(TEXT, "gzip", level)
    assert encoded[:10] == b"\x1f\x8b\x08\x00" + bytes(4) + b"\x00\xff"
    assert encoded == codecs.compress(TEXT, "gzip", level)
    assert encoded == b"".join(codecs.compress_chunks([TEXT], "gzip", level))


def test_zstd_frames_of_data_at_hand_tell_their_decoded_size():
    # Readers that decode in one call, such as python-zstandard in cloud-files, cannot do without it.
    assert zstd.get_frame_info(codecs.compress(TEXT, "zstd")).decompressed_size == len(TEXT)


def test_zstd_frames_carry_a_checksum():
    encoded = bytearray(codecs.compress(random.Random(1).randbytes(1000), "zstd"))
    encoded[500] ^= 1  # in a block that is stored as it is, only a checksum can tell
    with pytest.raises(DecompressionError):
        codecs.decompress(bytes(encoded), "zstd")


# ---------------------------------------------------------------------- several streams in one
@pytest.mark.parametrize("encoding", ["gzip", "zstd", "xz", "bz2"])
@pytest.mark.parametrize("size", [1, 3, 1000, 1 << 20])
def test_streams_that_follow_each_other_decode_to_their_concatenation(encoding, size):
    parts = [b"one", b"", TEXT[:5000], b"two" * 1000]
    data = b"".join(codecs.compress(part, encoding) for part in parts)
    assert decoded(data, encoding, size) == b"".join(parts)
    assert codecs.decompress(data, encoding) == b"".join(parts)


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_many_small_members_do_not_cost_the_square_of_their_count():
    member = codecs.compress(b"x" * 10, "gzip")
    count = 300_000
    assert len(codecs.decompress(member * count, "gzip")) == 10 * count


def test_zstd_frames_that_say_skip_me_are_skipped():
    skipped = struct.pack("<II", 0x184D2A50, 4) + b"abcd"
    assert codecs.decompress(skipped + codecs.compress(b"data", "zstd") + skipped, "zstd") == b"data"


@pytest.mark.parametrize("encoding", ["gzip", "xz"])
@pytest.mark.parametrize("size", [1, 1 << 20])
def test_zeros_after_a_stream_are_padding_where_the_tools_say_so(encoding, size):
    encoded = codecs.compress(TEXT, encoding)
    assert decoded(encoded + bytes(512), encoding, size) == TEXT
    assert decoded(encoded + bytes(512) + encoded, encoding, size) == TEXT * 2
    assert codecs.decompress(encoded + bytes(4), encoding) == TEXT
    with pytest.raises(DecompressionError):
        decoded(bytes(512), encoding, size)
    with pytest.raises(DecompressionError):
        decoded(bytes(4) + encoded, encoding, size)


def gzip_with_header_fields(flags: int) -> bytes:
    header = b"\x1f\x8b\x08" + bytes([flags]) + bytes(4) + b"\x02\x03"
    if flags & 4:
        header += struct.pack("<H", 300) + bytes(range(150)) * 2
    if flags & 8:
        header += b"name.txt\x00"
    if flags & 16:
        header += b"a comment\x00"
    if flags & 2:
        header += struct.pack("<H", zlib.crc32(header) & 0xFFFF)
    deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
    body = deflate.compress(b"q" * 500) + deflate.flush()
    return header + body + struct.pack("<II", zlib.crc32(b"q" * 500), 500)


@pytest.mark.parametrize("flags", range(0, 32, 2))
def test_gzip_headers_may_have_any_fields_and_be_cut_anywhere(flags):
    data = gzip_with_header_fields(flags)
    assert gzip.decompress(data) == codecs.decompress(data, "gzip") == b"q" * 500
    assert decoded(data * 2, "gzip", 1) == b"q" * 1000
    for at in range(1, len(data)):
        assert b"".join(codecs.decompress_chunks([data[:at], data[at:]], "gzip")) == b"q" * 500, at


def test_a_gzip_header_without_end_is_refused():
    endless = b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * (1 << 20)
    for size in (1 << 12, 1 << 21):
        with pytest.raises(DecompressionError):
            decoded(endless, "gzip", size)


# ---------------------------------------------------------------------- broken data
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("data", [TEXT[:3000], b"", random.Random(2).randbytes(2000)], ids=["text", "empty", "noise"])
def test_a_stream_cut_anywhere_is_an_error_and_never_short_data(encoding, data):
    encoded = codecs.compress(data, encoding)
    for length in {*range(0, len(encoded), 7), *range(max(0, len(encoded) - 20), len(encoded))}:
        with pytest.raises(DecompressionError, match="raw=True"):
            codecs.decompress(encoded[:length], encoding)
        with pytest.raises(DecompressionError):
            decoded(encoded[:length], encoding, 64)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("tail", [b"x", b"trailing garbage that is no stream", b"\x00x"])
def test_anything_after_the_end_is_an_error(encoding, tail):
    encoded = codecs.compress(TEXT, encoding)
    with pytest.raises(DecompressionError):
        codecs.decompress(encoded + tail, encoding)
    for size in (1, 1 << 20):
        with pytest.raises(DecompressionError):
            decoded(encoded + tail, encoding, size)
    with pytest.raises(DecompressionError):
        b"".join(codecs.decompress_chunks([encoded, tail], encoding))


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "xz", "bz2"])
def test_a_later_stream_that_is_cut_is_an_error_too(encoding):
    encoded = codecs.compress(TEXT, encoding)
    for length in (1, 5, len(encoded) - 1):
        with pytest.raises(DecompressionError):
            codecs.decompress(encoded + encoded[:length], encoding)
        with pytest.raises(DecompressionError):
            decoded(encoded + encoded[:length], encoding, 100)


def test_brotli_streams_do_not_follow_each_other():
    encoded = codecs.compress(TEXT, "br")
    with pytest.raises(DecompressionError, match="bytes follow its end"):
        b"".join(codecs.decompress_chunks([encoded, encoded], "br"))
    with pytest.raises(DecompressionError):
        codecs.decompress(encoded * 2, "br")


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "xz", "bz2"])
def test_a_flipped_bit_anywhere_is_an_error_or_changes_nothing(encoding):
    data = TEXT[:2000]
    encoded = codecs.compress(data, encoding)
    refused = 0
    for at in range(len(encoded)):
        broken = bytearray(encoded)
        broken[at] ^= 0x10
        try:
            assert codecs.decompress(bytes(broken), encoding) == data
        except DecompressionError:
            refused += 1
    assert refused > len(encoded) * 0.9  # the rest are bytes without meaning, such as gzip's time


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_empty_input_and_foreign_bytes_are_errors_that_name_the_key(encoding):
    for data in (b"", b"this was never compressed", b"<html>", b"\x1f", bytes(100)):
        with pytest.raises(DecompressionError) as caught:
            codecs.decompress(data, encoding, key="some/key")
        assert caught.value.key == "some/key"
        assert "some/key" in str(caught.value)
        assert isinstance(caught.value, ValueError)
        with pytest.raises(DecompressionError):
            decoded(data, encoding, 1)


def test_an_error_of_the_source_passes_as_it_is():
    def source():
        yield codecs.compress(TEXT, "gzip")[:100]
        raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError):
        list(codecs.decompress_chunks(source(), "gzip"))


# ---------------------------------------------------------------------- bombs
MEBIBYTE = 1 << 20
WINDOW = {"xz": 32}  # MiB that the format itself needs, at most three decoders being alive at once


def bomb(encoding: str, mebibytes: int = 64) -> bytes:
    zeros = bytes(MEBIBYTE)
    return b"".join(bytes(c) for c in codecs.compress_chunks(itertools.repeat(zeros, mebibytes), encoding))


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_bomb_is_refused_before_it_takes_memory(encoding):
    data = bomb(encoding)
    assert len(data) < MEBIBYTE // 4
    codecs.decompress(codecs.compress(b"warm", encoding), encoding)
    tracemalloc.start()
    try:
        with pytest.raises(DecompressionError, match=r"raw=True") as caught:
            codecs.decompress(data, encoding, limit=MEBIBYTE, key="k")
        with pytest.raises(DecompressionError, match=r"HOLDFAST_DECODED_LIMIT"):
            for _ in codecs.decompress_chunks([data], encoding, limit=MEBIBYTE):
                pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < (8 + WINDOW.get(encoding, 0)) * MEBIBYTE
    assert caught.value.key == "k"


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_process_stays_small_under_a_bomb_of_a_gibibyte(encoding):
    # Codec libraries allocate outside of what Python traces, so a process of its own is measured.
    program = f"""
import resource, sys
from holdfast import codecs
from holdfast.errors import DecompressionError
zeros = bytes(1 << 20)
part = b"".join(codecs.compress_chunks([zeros] * 64, {encoding!r}))
small = codecs.compress(part * 16, {encoding!r}) if {encoding!r} == "br" else part * 16
coding = "br, br" if {encoding!r} == "br" else {encoding!r}
codecs.decompress(codecs.compress(zeros, {encoding!r}), {encoding!r})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
decoded = 0
try:
    for chunk in codecs.decompress_chunks([small], coding):
        decoded += len(chunk)
        assert len(chunk) <= 4 << 20
except DecompressionError as error:
    print("refused", decoded <= 300 << 20, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    word, bounded, grown = run.stdout.split()
    assert (word, bounded) == ("refused", "True")
    assert int(grown) < 64 * 1024  # KiB


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_limit_is_exact(encoding):
    data = codecs.compress(TEXT, encoding)
    assert codecs.decompress(data, encoding, limit=len(TEXT)) == decoded(data, encoding, limit=len(TEXT)) == TEXT
    for limit in (len(TEXT) - 1, 0):
        with pytest.raises(DecompressionError, match=f"more than {limit} bytes"):
            codecs.decompress(data, encoding, limit=limit)
        with pytest.raises(DecompressionError, match=f"more than {limit} bytes"):
            decoded(data, encoding, limit=limit)


def test_the_default_limit_is_a_floor_and_a_ratio(monkeypatch):
    monkeypatch.setattr(codecs, "DEFAULT_LIMIT", MEBIBYTE)
    data = bomb("gzip", 8)
    with pytest.raises(DecompressionError, match="HOLDFAST_DECODED_LIMIT"):
        codecs.decompress(data, "gzip")
    assert len(codecs.decompress(data, "gzip", limit=sys.maxsize)) == 8 * MEBIBYTE
    noise = random.Random(3).randbytes(100_000)
    repeated = codecs.compress(noise, "gzip") * 30  # 3 MB out of 3 MB: no bomb
    assert len(codecs.decompress(repeated, "gzip")) == 3_000_000


def test_the_limit_counts_stored_bytes_also_behind_several_codings(monkeypatch):
    monkeypatch.setattr(codecs, "DEFAULT_LIMIT", MEBIBYTE)
    inner = bomb("gzip", 64)
    assert len(inner) * codecs.DEFAULT_RATIO > 4 * MEBIBYTE  # against the middle of the chain it would pass
    with pytest.raises(DecompressionError, match="decodes to more"):
        codecs.decompress(codecs.compress(inner, "xz"), "gzip, xz")


def test_the_environment_sets_the_limit(monkeypatch):
    data = codecs.compress(TEXT, "zstd")
    monkeypatch.setenv("HOLDFAST_DECODED_LIMIT", str(len(TEXT) - 1))
    for call in (codecs.decompress, decoded):
        with pytest.raises(DecompressionError, match=f"more than {len(TEXT) - 1} bytes"):
            call(data, "zstd")
        assert call(data, "zstd", limit=len(TEXT)) == TEXT
    monkeypatch.setenv("HOLDFAST_DECODED_LIMIT", "lots")
    with pytest.raises(ConfigError, match="HOLDFAST_DECODED_LIMIT='lots'"):
        codecs.decompress(data, "zstd")


def test_an_xz_header_cannot_ask_for_gigabytes():
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 1 << 29}]
    data = lzma.compress(b"small", filters=filters)
    with pytest.raises(DecompressionError, match=r"(?i)memory"):
        codecs.decompress(data, "xz")
    assert codecs.decompress(lzma.compress(TEXT, preset=9), "xz") == TEXT


# ---------------------------------------------------------------------- streams and ranges
@pytest.mark.slow
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_streams_are_bounded_in_memory_both_ways(encoding):
    noise = random.Random(4).randbytes(MEBIBYTE)
    count = 4 if encoding == "bz2" else 12 if encoding == "xz" else 40
    tracemalloc.start()
    try:
        encoded = codecs.compress_chunks(itertools.repeat(noise, count), encoding, 1)
        length = sum(len(chunk) for chunk in codecs.decompress_chunks(encoded, encoding))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert length == count * MEBIBYTE
    assert peak < (10 + WINDOW.get(encoding, 0)) * MEBIBYTE


@pytest.mark.parametrize("encoding", [*ENCODINGS, None, "gzip, br"])
@given(start=st.integers(-60, 60) | st.none(), end=st.integers(0, 60) | st.none(), size=st.integers(1, 40))
def test_a_decoded_range_is_the_slice(encoding, start, end, size):
    if start is not None and start < 0:
        end = None
    data = bytes(range(50))
    chunks = cut(codecs.compress(data, encoding), size)
    assert b"".join(codecs.decode_range(chunks, encoding, start, end)) == data[start:end]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_decoded_range_stops_reading_when_it_has_its_bytes(encoding):
    data = random.Random(5).randbytes(2 * MEBIBYTE)
    encoded = codecs.compress(data, encoding, 1)
    taken = []

    def source():
        for chunk in cut(encoded, 1 << 16):
            taken.append(len(chunk))
            yield chunk

    assert b"".join(codecs.decode_range(source(), encoding, 1000, 2000)) == data[1000:2000]
    assert sum(taken) < len(encoded) / 2


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_decoded_range_to_the_end_is_checked_like_a_whole_read(encoding):
    short = codecs.compress(TEXT, encoding)[:-3]
    for start, end in ((len(TEXT) - 10, None), (-10, None), (0, len(TEXT) + 1)):
        with pytest.raises(DecompressionError):
            list(codecs.decode_range([short], encoding, start, end))


def test_the_tail_of_a_stream_is_taken_in_the_memory_of_the_tail():
    data = bomb("gzip", 64)
    tracemalloc.start()
    try:
        assert b"".join(codecs.decode_range([data], "gzip", -100)) == bytes(100)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * MEBIBYTE


def test_a_gzip_file_of_a_tool_is_read():
    stored = io.BytesIO()
    with gzip.GzipFile("name.txt", "wb", fileobj=stored) as file:
        file.write(TEXT)
    assert codecs.decompress(stored.getvalue(), "gzip") == TEXT


def test_importing_holdfast_codecs_loads_no_compression_library():
    program = (
        "import sys, holdfast.codecs\n"
        "print([m for m in ('isal', 'brotli', 'backports.zstd', 'compression', '_lzma', '_bz2') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "xz", "bz2"])
@pytest.mark.parametrize("megabytes", [1, 2, 3, 5])
def test_output_that_waits_after_the_last_input_is_not_lost(encoding, megabytes):
    # A step of the decoder that fills its output exactly when the input ends: brotli then asks for more input.
    data = b"".join(number.to_bytes(4, "big") for number in range(1 << 18)) * megabytes
    encoded = codecs.compress(data, encoding)
    assert codecs.decompress(encoded, encoding) == data
    assert b"".join(codecs.decompress_chunks([encoded], encoding)) == data
