from __future__ import annotations

import os

import pytest

from holdfast.blob import ChunksBlob
from holdfast.errors import AlreadyExists, Conflict, IntegrityError, NotFound, StoreError, Throttled
from holdfast.retry import Policy
from holdfast.store import SimpleWrapper, Wrapper
from holdfast.stores.memory import MemoryStore
from holdfast.testing import CountingStore, FaultStore
from holdfast.types import ReadOptions, WriteOptions
from holdfast.wrap.retrying import RetryingStore

AT_ONCE = Policy(tries=4, sleep=lambda seconds: None)


@pytest.fixture
def inner():
    return FaultStore(MemoryStore())


@pytest.fixture
def store(inner):
    return RetryingStore(inner, AT_ONCE)


@pytest.mark.parametrize("error", [ConnectionError("reset"), TimeoutError("late"), Throttled("slow down")])
def test_what_may_be_repeated_is(inner, store, error, tmp_path):
    (tmp_path / "body").write_bytes(b"12345")
    for body in (b"12345", iter([b"12", b"345"]), tmp_path / "body"):
        inner.fail(error, "write", times=3)
        assert store.write("a", body).size == 5
    for verb, call in {
        "read": lambda: store.get("a"),
        "copy": lambda: store.copy("a", "b"),
        "scan": lambda: list(store.keys()),
        "remove": lambda: store.delete("a"),
    }.items():
        inner.fail(error, verb, times=3)
        call()
        assert not inner.pending
    assert list(store.keys()) == ["b"]


def test_tries_run_out_and_the_error_says_so(inner, store):
    inner.fail(ConnectionError("reset"), "read", times=100)
    with pytest.raises(StoreError, match="gave up after 4 tries") as raised:
        store.get("a")
    assert isinstance(raised.value.cause, ConnectionError)
    assert not raised.value.retryable
    assert raised.value.key == "a"
    assert inner.pending == 96


def test_other_errors_are_raised_at_once(inner, store):
    for error in (StoreError("broken"), ZeroDivisionError(), NotFound("gone")):
        inner.fail(error, "read", times=2)
        with pytest.raises(type(error)):
            store.get("a")
        assert inner.pending == 1
        inner._faults.clear()


def test_conditional_changes_are_never_repeated(inner, store):
    etag = store.put("a", b"1").etag
    for call in (
        lambda: store.create("new", b"1"),
        lambda: store.replace_if("a", b"2", etag),
        lambda: store._copy(store, "a", "new", WriteOptions(if_absent=True)),
        lambda: store.delete_if("a", etag),
    ):
        for verb in ("write", "copy", "remove"):
            inner.fail(ConnectionError("answer lost"), verb, times=5)
        with pytest.raises(StoreError, match="answer lost"):
            call()
        assert inner.pending == 14
        inner._faults.clear()
    with pytest.raises(Conflict):
        store.replace_if("a", b"2", "other")
    with pytest.raises(AlreadyExists):
        store.create("a", b"2")


def test_a_long_stream_is_sent_once(inner, store):
    inner.fail(ConnectionError("reset"), "write", times=5)
    with pytest.raises(StoreError):
        store.write("a", (os.urandom(1 << 20) for _ in range(9)))
    assert inner.pending == 4


def test_a_delete_whose_answer_was_lost_is_done(inner, store):
    store.put("a", b"1")
    inner.fail(ConnectionError("answer lost"), "remove", landed=True)
    store.delete("a")
    with pytest.raises(NotFound):
        store.delete("a")


class Partly(Wrapper):
    """A bulk delete that one of the keys survives at first."""

    refused = "b"

    def _remove(self, keys, options=None):
        answers = self.store._remove(keys, options)
        if self.refused in keys:
            answers[keys.index(self.refused)] = Throttled("slow down", key=self.refused)
            self.refused = ""
        return answers


def test_only_what_failed_is_deleted_again():
    counted = CountingStore(MemoryStore())
    store = RetryingStore(Partly(counted), AT_ONCE)
    for key in "abc":
        store.put(key, b"")
    assert store.remove(["a", "b", "c"]) == [None] * 3
    assert counted.calls["remove"] == 2
    store.put("b", b"")

    class Never(Wrapper):
        def _remove(self, keys, options=None):
            return [Throttled("slow down", key=key) if key == "b" else None for key in keys]

    answers = RetryingStore(Never(MemoryStore()), AT_ONCE).remove(["a", "b"])
    assert answers[0] is None
    assert isinstance(answers[1], Throttled)
    assert not answers[1].retryable


class Cutting(Wrapper):
    """Bodies that break off after so many bytes, the first few times."""

    def __init__(self, store, times, error, at=1000):
        super().__init__(store)
        self.times, self.error, self.at, self.ranges = times, error, at, []

    def _read(self, key, options=ReadOptions()):  # noqa: B008
        blob = self.store._read(key, options)
        self.ranges.append((options.start, options.end, options.if_match))
        if options.head or not self.times:
            return blob
        self.times -= 1

        def cut():
            yield blob.bytes()[: self.at]
            raise self.error

        return ChunksBlob(blob.info, cut())


BODY = os.urandom(5000)


@pytest.mark.parametrize(("start", "end"), [(None, None), (100, 4100), (-4000, None), (None, 4000)])
def test_a_read_that_breaks_off_goes_on_in_the_same_version(start, end):
    inner = MemoryStore()
    etag = inner.put("a", BODY).etag
    cutting = Cutting(inner, 3, ConnectionError("reset"))
    store = RetryingStore(cutting, AT_ONCE)
    assert store.get_range("a", start, end) == BODY[start:end]
    first = (start or 0) if (start or 0) >= 0 else 5000 + start
    assert cutting.ranges[1:] == [(first + 1000 * turn, end, etag) for turn in (1, 2, 3)]


def test_a_read_that_breaks_off_while_the_object_changes_is_a_conflict():
    inner = MemoryStore()
    inner.put("a", BODY)
    store = RetryingStore(Cutting(inner, 1, ConnectionError("reset")), AT_ONCE)
    with store.read("a") as blob:
        chunks = blob.chunks()
        next(chunks)
        inner.put("a", BODY)
        with pytest.raises(Conflict):
            next(chunks)


def test_bytes_that_were_wrong_are_not_gone_on_with():
    inner = MemoryStore()
    inner.put("a", BODY)
    for at, times in ((0, 2), (1000, 3)):
        whole = RetryingStore(Cutting(inner, times, IntegrityError("other bytes"), at=at), AT_ONCE)
        assert whole.get("a") == BODY, "nothing was given out yet, so it is begun anew"
    with RetryingStore(Cutting(inner, 1, IntegrityError("other bytes")), AT_ONCE).read("a") as blob:
        chunks = blob.chunks()
        assert next(chunks) == BODY[:1000]
        with pytest.raises(IntegrityError):
            next(chunks)
    for_good = Cutting(inner, 100, IntegrityError("other bytes"))
    with pytest.raises(IntegrityError, match="gave up after 4 tries"):
        RetryingStore(for_good, AT_ONCE).get("a")
    assert len(for_good.ranges) == 4


def test_what_cannot_name_versions_does_not_go_on():
    inner = MemoryStore()
    inner.put("a", BODY)
    with (
        RetryingStore(Cutting(SimpleWrapper(inner), 1, ConnectionError("reset")), AT_ONCE).read("a") as blob,
        pytest.raises(ConnectionError),
    ):
        list(blob.chunks())
    cutting = Cutting(SimpleWrapper(inner), 3, ConnectionError("reset"))
    assert RetryingStore(cutting, AT_ONCE).get("a") == BODY, "nothing was given out yet, so it is begun anew"
    assert cutting.ranges == [(None, None, None)] * 4


@pytest.mark.parametrize("take", [lambda blob: blob.bytes(), lambda blob: list(blob.chunks())])
def test_a_body_that_always_breaks_off_at_once_ends_the_tries(take):
    inner = MemoryStore()
    inner.put("a", BODY)
    for opened in (0, 2):  # whether opening it fails as well now and then makes no more tries
        cutting = Cutting(FaultStore(inner), 100, ConnectionError("reset"), at=0)
        store = RetryingStore(cutting, AT_ONCE)
        with store.read("a") as blob:
            cutting.store.fail(ConnectionError("refused"), "read", times=opened)
            with pytest.raises(StoreError, match="gave up after 4 tries"):
                take(blob)
        assert len(cutting.ranges) == 4 - opened


def test_a_body_that_is_always_damaged_in_the_end_ends_the_tries_whatever_else_breaks():
    class Alternating(Cutting):
        def _read(self, key, options=ReadOptions()):  # noqa: B008
            self.error = IntegrityError("other bytes") if options.start else ConnectionError("reset")
            return super()._read(key, options)

    inner = MemoryStore()
    inner.put("a", BODY)
    cutting = Alternating(inner, 1000, None)
    with pytest.raises(IntegrityError, match="gave up after 4 tries"):
        RetryingStore(cutting, AT_ONCE).get("a")
    assert len(cutting.ranges) <= 2 * AT_ONCE.tries


def test_a_body_that_goes_on_has_all_its_tries_again():
    inner = MemoryStore()
    inner.put("a", BODY)
    cutting = Cutting(inner, 49, ConnectionError("reset"), at=100)
    with RetryingStore(cutting, AT_ONCE).read("a") as blob:
        assert b"".join(blob.chunks()) == BODY


class Pages(Wrapper):
    """Listings that break off after two rows, the first few times."""

    times = 2

    def _scan(self, options=None):
        for number, row in enumerate(self.store._scan(options)):
            if number == 2 and self.times:
                self.times -= 1
                raise ConnectionError("reset")
            yield row


def test_a_listing_that_breaks_off_goes_on_where_it_is_sorted():
    inner = MemoryStore()
    for key in ("a", "b/1", "b/2", "c", "d"):
        inner.put(key, b"")
    assert list(RetryingStore(Pages(inner), AT_ONCE).keys()) == ["a", "b/1", "b/2", "c", "d"]
    rolled = RetryingStore(Pages(inner), AT_ONCE).list(delimiter="/")
    assert [row.key for row in rolled] == ["a", "b/", "c", "d"]

    class Unsorted(Pages):
        @property
        def capabilities(self):
            return SimpleWrapper(self.store).capabilities

    rows = RetryingStore(Unsorted(inner), AT_ONCE).keys()
    assert [next(rows), next(rows)] == ["a", "b/1"]
    with pytest.raises(ConnectionError):
        next(rows)
