from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import os
import pickle
import sys

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from holdfast.errors import ConfigError, Conflict, IntegrityError, NotFound, Unsupported
from holdfast.store import SimpleWrapper, Wrapper
from holdfast.stores.memory import MemoryStore
from holdfast.testing import CountingStore
from holdfast.types import ReadOptions, WriteOptions
from holdfast.wrap import encrypt
from holdfast.wrap._frames import FRAME, HEADER, STORED, TAG, Cipher
from holdfast.wrap.encrypt import EncryptingStore, KeyRing
from holdfast.wrap.observe import LoggingStore
from holdfast.wrap.rekey import PrefixStore

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
RING = {"old": OLD, "new": NEW}
BODY = os.urandom(3 * FRAME + 1000)


@pytest.fixture
def inner():
    return CountingStore(MemoryStore())


@pytest.fixture
def store(inner):
    return EncryptingStore(inner, RING, "old")


def frames_of(stored):
    return [stored[at : at + STORED] for at in range(HEADER, len(stored), STORED)]


def readings(store, key):
    """Every way to take a whole body."""
    yield lambda: store.get(key)
    yield lambda: b"".join(bytes(chunk) for chunk in store.read(key).chunks())
    yield lambda: store.read(key).readinto(bytearray(10 * FRAME))
    yield lambda: store.get_range(key, 0, None)
    yield lambda: store.get_range(key, -10 * FRAME)


def assert_refused(store, key, kind=IntegrityError):
    for reading in readings(store, key):
        with pytest.raises(kind) as raised:
            reading()
        assert raised.value.key == key
        assert not raised.value.retryable


def test_the_format_is_the_documented_one(inner):
    """Decrypted here with HKDF written out after RFC 5869."""
    EncryptingStore(inner, RING, "new", context="bucket 7").put("a/ü", BODY)
    stored = inner.get("a/ü")
    head = stored[:HEADER]
    assert head[:4] == b"HFE1"
    assert head[4:36] == b"new".ljust(32, b"\0")
    pseudo_random = hmac.new(head[36:], NEW, hashlib.sha256).digest()
    info = b"holdfast encryption 1" + head[4:36] + b"bucket 7"
    derived = hmac.new(pseudo_random, info + b"\x01", hashlib.sha256).digest()
    body = b""
    frames = frames_of(stored)
    for number, frame in enumerate(frames):
        bound = head + number.to_bytes(8, "big") + bytes([number == len(frames) - 1]) + "a/ü".encode()
        body += AESGCM(derived).decrypt(number.to_bytes(12, "big"), frame, bound)
    assert body == BODY


def test_every_write_has_a_salt_of_its_own(store, inner):
    seen = set()
    for _ in range(3):
        store.put("a", b"same")
        seen.add(inner.get("a"))
    store.copy("a", "b")
    seen.add(inner.get("b"))
    assert len(seen) == 4
    assert len({stored[36:HEADER] for stored in seen}) == 4


@pytest.mark.parametrize("size", [0, 1, FRAME - 1, FRAME, FRAME + 1, 3 * FRAME])
def test_sizes_are_those_of_bodies(store, inner, size):
    assert store.put("a", bytes(size)).size == size
    assert store.write("b", iter([bytes(size)])).size == size
    assert [row.size for row in store.list()] == [size, size]
    assert store.head("a").size == size
    assert inner.head("a").size == HEADER + size + TAG * max(1, -(-size // FRAME))


def tampered(how, stored, other):
    frames = frames_of(stored)
    head = stored[:HEADER]
    changed = bytearray(stored)
    if how == "a bit of a body":
        changed[HEADER + 5] ^= 1
        return bytes(changed)
    if how == "a bit of a tag":
        changed[-1] ^= 1
        return bytes(changed)
    if how == "a bit of the salt":
        changed[40] ^= 1
        return bytes(changed)
    return {
        "cut between frames": head + b"".join(frames[:-1]),
        "cut within a frame": stored[:-700],
        "cut to its header": head,
        "empty": b"",
        "frames in another order": head + frames[1] + frames[0] + b"".join(frames[2:]),
        "a frame left out": head + frames[0] + b"".join(frames[2:]),
        "a frame twice": head + frames[0] + frames[0] + b"".join(frames[1:]),
        "a frame added": stored + frames[-1],
        "a frame of another object": head + frames_of(other)[0] + b"".join(frames[1:]),
        "another object": other,
        "the end of another object": head + b"".join(frames[:-1]) + frames_of(other)[-1],
        "a header of another object": other[:HEADER] + b"".join(frames),
        "bytes added": stored + b"x",
        "not encrypted": BODY,
    }[how]


WAYS = [
    *("a bit of a body", "a bit of a tag", "a bit of the salt", "cut between frames", "cut within a frame"),
    *("cut to its header", "empty", "frames in another order", "a frame left out", "a frame twice", "a frame added"),
    *("a frame of another object", "another object", "the end of another object", "a header of another object"),
    *("bytes added", "not encrypted"),
]


@pytest.mark.parametrize("how", WAYS)
def test_what_was_tampered_with_is_refused(store, inner, how):
    store.put("a", BODY)
    store.put("other", os.urandom(len(BODY)))
    inner.put("a", tampered(how, inner.get("a"), inner.get("other")))
    assert_refused(store, "a")


@pytest.mark.parametrize("place", [*range(5), 35, 36, HEADER - 1])
def test_a_bit_of_a_header_is_refused(store, inner, place):
    """Of its mark, the id of its key (then a ConfigError, as for a key that is missing) and its salt."""
    store.put("a", BODY)
    changed = bytearray(inner.get("a"))
    changed[place] ^= 1
    inner.put("a", bytes(changed))
    assert_refused(store, "a", (IntegrityError, ConfigError))


@pytest.mark.parametrize(("number", "last"), [(0, True), (3, False)])
def test_an_end_flag_that_is_set_or_removed_is_refused(store, inner, number, last):
    """Also by somebody who has the key and seals one frame anew: an end that is none, or none where the body ends."""
    store.put("a", BODY)
    stored = inner.get("a")
    frames, cipher = frames_of(stored), Cipher(OLD, stored[:HEADER], "a", b"")
    frames[number] = cipher.seal(number, BODY[number * FRAME : (number + 1) * FRAME], last=last)
    inner.put("a", stored[:HEADER] + b"".join(frames))
    assert_refused(store, "a")


def test_an_earlier_version_is_not_told_from_the_latest_and_that_is_stated(store, inner):
    store.put("a", b"earlier")
    earlier = inner.get("a")
    store.put("a", b"latest")
    inner.put("a", earlier)
    assert store.get("a") == b"earlier"
    assert "put back an earlier version of an object" in encrypt.__doc__


def test_an_object_under_another_name_is_refused(store, inner):
    store.put("salary/ann", b"1")
    inner.copy("salary/ann", "salary/bob")
    assert_refused(store, "salary/bob")
    renamed = EncryptingStore(PrefixStore(inner, "salary/"), RING, "old")
    assert_refused(renamed, "ann")


def test_an_object_of_another_context_or_key_is_refused(store, inner):
    store.put("a", b"1")
    assert_refused(EncryptingStore(inner, RING, "old", context="elsewhere"), "a")
    assert_refused(EncryptingStore(inner, {"old": NEW}), "a")
    assert_refused(EncryptingStore(inner, {"new": NEW}), "a", ConfigError)
    with pytest.raises(ConfigError, match="needs the key 'old', and the ring has new"):
        EncryptingStore(inner, {"new": NEW}).get("a")
    stored = inner.get("a")
    inner.put("a", stored[:4] + b"new".ljust(32, b"\0") + stored[36:])
    assert_refused(store, "a")


def test_a_range_decrypts_only_the_frames_it_needs(store, inner):
    store.put("a", BODY)
    for start, end in ((FRAME + 10, FRAME + 20), (FRAME - 1, FRAME + 1), (-5, None), (0, 1), (3 * FRAME, None), (5, 5)):
        inner.reset()
        assert store.get_range("a", start, end) == BODY[start:end]
        assert inner.bytes_read <= HEADER + 2 * STORED
    changed = bytearray(inner.get("a"))
    changed[HEADER + 10] ^= 1
    inner.put("a", bytes(changed))
    assert store.get_range("a", FRAME, FRAME + 10) == BODY[FRAME : FRAME + 10]
    with pytest.raises(IntegrityError):
        store.get_range("a", 0, 1)


def test_a_range_is_of_one_version(store, inner):
    first = store.put("a", BODY).etag
    with store.read("a", ReadOptions(10, 20, if_match=first)) as blob:
        assert (blob.bytes(), blob.size, blob.info.size) == (BODY[10:20], 10, len(BODY))
    store.put("a", BODY)
    with pytest.raises(Conflict):
        store.read("a", ReadOptions(10, 20, if_match=first))
    with pytest.raises(Conflict):
        store.read("a", ReadOptions(head=True, if_match=first))


KEY = bytes(range(32))


class Rewritten(Wrapper):
    """A store in which somebody replaces the object between the two reads of a range, so many times."""

    def __init__(self, store, times):
        super().__init__(store)
        self.times = times

    def _read(self, key, options=ReadOptions()):  # noqa: B008
        blob = super()._read(key, options)
        if self.times and options.ranged and options.start == 0:
            self.times -= 1
            EncryptingStore(self.store, KEY).put(key, bytes([self.times]) * 100)
        return blob


def test_a_range_of_an_object_that_is_replaced_meanwhile_is_of_the_next_version():
    inner = MemoryStore()
    first = EncryptingStore(inner, KEY).put("a", b"x" * 100).etag
    store = EncryptingStore(Rewritten(inner, 2), KEY)
    with store.read("a", ReadOptions(10, 20)) as blob:
        assert (blob.bytes(), blob.info.etag) == (bytes(10), inner.head("a").etag)
    with pytest.raises(Conflict):
        EncryptingStore(Rewritten(inner, 1), KEY).read("a", ReadOptions(10, 20, if_match=inner.head("a").etag))
    with pytest.raises(Conflict):
        store.read("a", ReadOptions(10, 20, if_match=first))
    with pytest.raises(Conflict):
        EncryptingStore(Rewritten(inner, 10), KEY).get_range("a", 10, 20)


def test_bodies_stream(inner):
    taken = []

    class Watching(MemoryStore):
        def _write(self, key, body, options=WriteOptions()):  # noqa: B008
            count = 0
            for part in body:
                count += len(part)
                taken.append(produced[0] - count)
            return super()._write(key, b"", options)

    produced = [0]

    def produce():
        for _ in range(40):
            produced[0] += 1 << 20
            yield bytes(1 << 20)

    EncryptingStore(Watching(), OLD).write("a", produce())
    assert max(taken) < 16 << 20
    store = EncryptingStore(MemoryStore(), OLD)
    store.write("a", (bytes(1 << 20) for _ in range(9)))
    with store.read("a") as blob:
        assert len(next(iter(blob.chunks()))) == FRAME


def test_conditions_attributes_and_metadata_pass(store, inner):
    info = store.write("a", b"1", WriteOptions(if_absent=True, content_type="text/x", metadata={"unit": "3"}))
    with pytest.raises(KeyError):
        store.create("a", b"2")
    head = store.head("a")
    assert (head.etag, head.content_type, head.metadata) == (info.etag, "text/x", {"unit": "3"})
    store.replace_if("a", b"2", info.etag)
    with pytest.raises(Conflict):
        store.replace_if("a", b"3", info.etag)
    assert store.capabilities.ranges
    assert not store.capabilities.copy


def test_rotation_encrypts_the_rest_with_the_active_key(inner):
    old = EncryptingStore(inner, RING, "old")
    for number in range(5):
        old.write(
            f"k{number}", BODY[: number * FRAME], WriteOptions(content_type="text/x", metadata={"n": str(number)})
        )
    old.put("elsewhere", b"1")
    inner.put("kept plain", b"not encrypted")
    store = EncryptingStore(inner, RING, "new")
    store.put("k4", b"rewritten already")
    seen = []
    results = {result.key: result for result in store.rotate("k", progress=seen.append)}
    assert sum(seen) == 6
    assert [results[f"k{number}"].rewritten for number in range(5)] == [True] * 4 + [False]
    assert type(results["kept plain"].error) is IntegrityError
    only_new = EncryptingStore(inner, {"new": NEW})
    for number in range(4):
        assert only_new.get(f"k{number}") == BODY[: number * FRAME]
        assert only_new.head(f"k{number}").metadata == {"n": str(number)}
    with pytest.raises(ConfigError):
        only_new.get("elsewhere")
    assert not any(result.rewritten for result in store.rotate("k"))
    assert inner.get("kept plain") == b"not encrypted"


def test_rotation_loses_no_write_of_somebody_else():
    class Busy(MemoryStore):
        """Somebody writes between our read and our write, once."""

        def _write(self, key, body, options=WriteOptions()):  # noqa: B008
            if options.if_match is not None and writers:
                writers.pop()(key)
            return super()._write(key, body, options)

    inner = Busy()
    old, new = EncryptingStore(inner, RING, "old"), EncryptingStore(inner, RING, "new")
    old.put("a", b"1")
    writers = [lambda key: old.put(key, b"2")]
    assert [result.rewritten for result in new.rotate()] == [True]
    assert EncryptingStore(inner, {"new": NEW}).get("a") == b"2"
    writers = [lambda key: old.put(key, b"3"), inner.delete]
    old.put("a", b"0")
    assert [result.rewritten for result in new.rotate()] == [False]
    with pytest.raises(NotFound):
        new.get("a")


def test_rotation_without_conditions_needs_a_promise():
    inner = MemoryStore()
    EncryptingStore(SimpleWrapper(inner), RING, "old").put("a", b"1")
    store = EncryptingStore(SimpleWrapper(inner), RING, "new")
    with pytest.raises(Unsupported, match="sole_writer"):
        store.rotate()
    assert [result.rewritten for result in store.rotate(sole_writer=True)] == [True]
    assert store.get("a") == b"1"


CANARY = b"canary-canary-canary-canary-cana"


def test_no_key_is_shown_logged_or_pickled(inner, caplog):
    caplog.set_level(logging.DEBUG)
    store = LoggingStore(EncryptingStore(inner, {"k": CANARY}))
    store.put("a", b"1")
    inner.put("a", b"broken")
    with pytest.raises(IntegrityError) as raised:
        store.get("a")
    told = repr(raised.value) + str(raised.value) + repr(pickle.dumps(raised.value))
    shown = repr(store) + str(vars(store.store.ring).keys()) + store.name + caplog.text + told
    for secret in ("canary", base64.b64encode(CANARY).decode()):
        assert secret not in shown
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(EncryptingStore(MemoryStore(), CANARY))


@pytest.mark.parametrize(
    ("keys", "active", "why"),
    [
        (b"short", None, "32 random ones"),
        ("no base64 canary!", None, "no base64"),
        (base64.b64encode(b"canary").decode(), None, "has 6 bytes"),
        (RING, None, "names its active key"),
        (RING, "newest", "not in the ring"),
        ({"x" * 33: OLD}, None, "1 to 32 bytes"),
        ({"": OLD}, None, "1 to 32 bytes"),
        ({"a\0": OLD}, None, "no NUL"),
        ({}, None, "names its active"),
        (KeyRing({"a": OLD}), "a", "already"),
    ],
)
def test_wrong_keys_are_refused_and_not_shown(keys, active, why):
    with pytest.raises(ConfigError, match=why) as raised:
        EncryptingStore(MemoryStore(), keys, active)
    assert "canary" not in str(raised.value)


def test_keys_may_come_as_text():
    inner = MemoryStore()
    EncryptingStore(inner, OLD).put("a", b"1")
    assert EncryptingStore(inner, base64.b64encode(OLD).decode()).get("a") == b"1"


def test_a_missing_package_is_one_sentence_with_its_cure(monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    with pytest.raises(ConfigError, match=r"pip install 'holdfast\[crypto\]'"):
        EncryptingStore(MemoryStore(), OLD)
