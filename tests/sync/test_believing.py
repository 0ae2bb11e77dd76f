"""What an ETag or a stamp proves, and where neither is believed: other bytes, other digests."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from holdfast import open_store
from holdfast.checksums import STAMP_NAME, stamp_of
from holdfast.store import HEAD, LIST, READ
from holdfast.stores._answers import HeadBlob
from holdfast.stores.memory import MemoryStore
from holdfast.sync import apply, plan
from holdfast.testing.stores import CountingStore
from holdfast.wrap.transform import Base64Store, GzipStore

from .test_plan import kinds
from .test_resume import open_moto


@pytest.mark.server
@pytest.mark.parametrize("wrapper", [Base64Store, GzipStore])
def test_the_etag_of_stored_bytes_says_nothing_about_what_a_transforming_store_reads(moto, tmp_path, wrapper):
    raw, copy = open_moto(moto, moto.make_bucket()), open_moto(moto, moto.make_bucket())
    wrapped = wrapper(raw)
    wrapped.put("a", b"hello" * 10)
    local = open_store(tmp_path)
    local.put("a", b"hello" * 10)
    assert kinds(plan(local, wrapped)) == {"a": "conflict"}
    assert kinds(plan(local, wrapped, compare="digest")) == {"a": "skip"}
    copy.put("a", raw.get("a"))
    assert kinds(plan(wrapped, copy)) == {"a": "conflict"}
    assert kinds(plan(wrapped, copy, compare="digest")) == {"a": "update"}
    moved = apply(plan(wrapped, copy, move=True, on_unknown="skip"))
    assert [result.key for result in moved.kept] == ["a"]
    assert wrapped.exists("a")


class Hexadecimal(MemoryStore):
    """A store of some user's, whose versions look like MD5s."""

    local = False

    def _scan(self, *options):
        return (replace(row, etag=hashlib.md5(row.key.encode()).hexdigest()) for row in super()._scan(*options))

    def _locate(self, key):
        return None


def test_an_etag_that_looks_like_an_md5_is_believed_of_services_alone():
    one, two = Hexadecimal(), Hexadecimal()
    one.put("a", b"1")
    two.put("a", b"2")
    assert kinds(plan(one, two)) == {"a": "conflict"}


class Encrypted(CountingStore):
    """A bucket whose ETags are random, as those that KMS encrypts have; the fake service makes MD5s of those, too."""

    def _scan(self, options=LIST):
        return map(_random, super()._scan(options))

    def _read(self, key, options=READ):
        with super()._read(key, HEAD) as blob:
            return HeadBlob(_random(blob.info), blob.stamp)


def _random(info):
    return replace(info, etag=f'"{hashlib.md5(info.key.encode()).hexdigest()}"')


@pytest.mark.server
def test_an_etag_of_an_object_encrypted_by_kms_is_no_md5(moto, tmp_path):
    bucket = moto.make_bucket()
    local, remote = open_store(tmp_path), open_moto(moto, bucket)
    for key, text in (("same", b"hello"), ("other", b"olleh"), ("unknown", b"hello")):
        local.put(key, b"hello")
        stamp = {} if key == "unknown" else {STAMP_NAME: stamp_of(text)}
        moto.client().put_object(
            Bucket=bucket, Key=f"deep/er/{key}", Body=text, Metadata=stamp, ServerSideEncryption="aws:kms"
        )
    expected = {"same": "skip", "other": "update", "unknown": "update"}
    assert kinds(plan(local, Encrypted(remote), index=None)) == expected
    assert kinds(plan(Encrypted(remote), local, index=None)) == expected


@pytest.mark.server
def test_a_stamp_that_was_carried_along_to_other_bytes_is_not_believed(moto, tmp_path):
    bucket = moto.make_bucket()
    local, remote = open_store(tmp_path), open_moto(moto, bucket)
    local.put("a", b"hello")
    moto.client().put_object(
        Bucket=bucket, Key="deep/er/a", Body=b"other",
        Metadata={STAMP_NAME: stamp_of(b"hello")},
    )  # fmt: skip
    assert kinds(plan(local, remote, index=None)) == {"a": "update"}
