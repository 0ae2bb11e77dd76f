from __future__ import annotations

import io

import pytest

from holdfast.blob import (
    BytesBlob,
    ChunksBlob,
    body_bytes,
    body_chunks,
    body_size,
    join,
    rewindable,
)
from holdfast.errors import IntegrityError
from holdfast.types import ObjectInfo

DATA = bytes(range(256)) * 40


def bodies(tmp_path):
    path = tmp_path / "body"
    path.write_bytes(DATA)
    return [
        DATA,
        bytearray(DATA),
        memoryview(DATA),
        memoryview(DATA).cast("I"),
        path,
        path.open("rb"),
        io.BytesIO(DATA),
        [DATA[:5], bytearray(DATA[5:9]), memoryview(DATA)[9:]],
        iter([DATA]),
    ]


def test_every_kind_of_body_gives_the_same_bytes_and_chunks(tmp_path):
    for body, again in zip(bodies(tmp_path), bodies(tmp_path), strict=True):
        assert bytes(body_bytes(body)) == DATA
        chunks = [bytes(chunk) for chunk in body_chunks(again, 1000)]
        assert b"".join(chunks) == DATA
        if not isinstance(again, list) and hasattr(again, "__len__"):
            assert max(map(len, chunks)) == 1000
        for one in (body, again):
            if isinstance(one, io.IOBase):
                one.close()


def test_the_size_of_a_body_is_known_unless_it_is_an_iterator(tmp_path):
    for body in bodies(tmp_path):
        once = isinstance(body, list) or not (
            hasattr(body, "__len__") or hasattr(body, "read") or hasattr(body, "stem")
        )
        assert body_size(body) == (None if once else len(DATA))
        if isinstance(body, io.IOBase):
            body.seek(100)
            assert body_size(body) == len(DATA) - 100
            assert body.tell() == 100
            body.close()


def test_only_what_can_be_read_again_can_be_sent_again(tmp_path):
    every = bodies(tmp_path)
    assert [rewindable(body) for body in every] == [True] * 5 + [False] * 4
    every[5].close()


def test_views_with_gaps_and_empty_views_are_flattened():
    assert bytes(body_bytes(memoryview(DATA)[::3])) == DATA[::3]
    assert b"".join(map(bytes, body_chunks(memoryview(DATA)[::3], 100))) == DATA[::3]
    empty = memoryview(b"").cast("B")
    assert bytes(body_bytes(empty)) == b""
    assert list(body_chunks(bytearray())) == []


def test_chunks_from_one_buffer_that_is_filled_anew_are_joined_right():
    def chunks():
        buffer = bytearray(4)
        for text in (b"abcd", b"efgh", b"ijkl"):
            buffer[:] = text
            yield buffer

    assert join(chunks()) == b"abcdefghijkl"
    assert body_bytes(chunks()) == b"abcdefghijkl"
    assert ChunksBlob(ObjectInfo("k"), chunks()).bytes() == b"abcdefghijkl"


@pytest.mark.parametrize(
    "body", ["text", 7, None, object(), {}, {"a": 1}, {b"a": 1}, set(), {b"a"}, [], (), {}.values()]
)
def test_what_is_no_body_is_a_type_error(body):
    with pytest.raises(TypeError, match="a body is"):
        list(body_chunks(body))


def test_numbers_are_no_chunks_and_an_iterator_may_have_none():
    with pytest.raises(TypeError, match="not int"):
        body_bytes([1, 2])
    assert body_bytes(iter(())) == b""
    assert body_bytes([b""]) == b""


def test_text_among_the_chunks_is_a_type_error():
    with pytest.raises(TypeError, match="encode text first"):
        body_bytes([b"a", "b"])
    with pytest.raises(TypeError, match="encode text first"):
        body_bytes(io.StringIO("text"))


def test_a_blob_fills_a_buffer_and_says_how_far():
    buffer = bytearray(6)
    assert ChunksBlob(ObjectInfo("k"), iter([b"ab", b"", b"cd"])).readinto(buffer) == 4
    assert buffer == b"abcd\0\0"
    assert BytesBlob(ObjectInfo("k"), b"xyz").readinto(memoryview(buffer)[3:]) == 3
    assert buffer == b"abcxyz"
    assert BytesBlob(ObjectInfo("k")).readinto(bytearray()) == 0


def test_a_body_longer_than_the_buffer_is_an_error_that_a_retry_would_not_cure():
    with pytest.raises(IntegrityError) as raised:
        ChunksBlob(ObjectInfo("k"), iter([b"abc", b"d"])).readinto(bytearray(3))
    assert not raised.value.retryable


def test_a_blob_can_be_renamed_and_closed_more_than_once():
    closed = []
    blob = ChunksBlob(
        ObjectInfo("inner", size=3, content_encoding="gzip"), iter([b"abc"]), close=lambda: closed.append(1)
    )
    with blob.rename("outer") as renamed:
        assert renamed is blob
        assert blob.info == ObjectInfo("outer", size=3, content_encoding="gzip")
        assert blob.encoding == "gzip"
    assert closed == [1]
    with BytesBlob(ObjectInfo("k"), bytearray(b"abc")) as blob:
        assert blob.size == 3
        assert type(blob.bytes()) is bytes
    blob.close()
