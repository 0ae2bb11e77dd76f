from __future__ import annotations

import logging

import pytest

from holdfast.errors import Conflict, NotFound, StoreError, Throttled, Unsupported
from holdfast.stores.memory import MemoryStore
from holdfast.testing import FaultStore
from holdfast.types import ReadOptions, WriteOptions
from holdfast.wrap.guard import ReadonlyStore
from holdfast.wrap.observe import ExceptionLoggingStore, LoggingStore, NotifyingStore


@pytest.fixture
def inner():
    return FaultStore(MemoryStore())


@pytest.fixture
def told(inner):
    """A notifying store and what its handler was told."""
    store = NotifyingStore(inner)
    calls = []
    store.on_change(lambda store, action, key, error: calls.append((store is inner, action, key, type(error))))
    return store, calls


NONE = type(None)


def test_each_change_is_told_once(told):
    store, calls = told
    store.put("a", b"1")
    store.create("b", iter([b"2"]))
    store.copy("a", "c")
    staged = store._stage("d", 1)
    staged.write_at(0, b"x")
    assert len(calls) == 3
    staged.commit()
    staged.abort()
    store._stage("e", 1).abort()
    store.delete("a")
    store.remove(["b", "missing"])
    store.get("c")
    list(store.list())
    assert [(action, key) for _, action, key, _ in calls] == [
        *[("put", key) for key in "abcd"],
        *[("delete", key) for key in ("a", "b", "missing")],
    ]
    assert all(call[0] and call[3] is NONE for call in calls)


def test_a_failing_change_is_told_once_with_its_error_which_is_raised(told, inner):
    store, calls = told
    failure = StoreError("disk on fire")
    inner.fail(failure, "write")
    with pytest.raises(StoreError) as raised:
        store.put("a", b"1")
    assert raised.value is failure
    inner.fail(KeyboardInterrupt(), "write")
    with pytest.raises(KeyboardInterrupt):
        store.put("a", b"1")
    inner.fail(failure, "remove")
    with pytest.raises(StoreError):
        store.remove(["a", "b"])
    inner.fail(failure, "stage")
    with pytest.raises(StoreError):
        store._stage("p", 1)
    with pytest.raises(NotFound):
        store.delete("missing")
    with pytest.raises(NotFound):
        store.copy("missing", "target")
    store.put("x", b"1")
    with pytest.raises(Conflict):
        store.replace_if("x", b"2", "another")
    assert [call[1:] for call in calls] == [
        ("put", "a", StoreError),
        ("put", "a", KeyboardInterrupt),
        ("delete", "a", StoreError),
        ("delete", "b", StoreError),
        ("put", "p", StoreError),
        ("delete", "missing", NotFound),
        ("put", "target", NotFound),
        ("put", "x", NONE),
        ("put", "x", Conflict),
    ]


def test_a_commit_that_fails_is_told(told):
    store, calls = told
    store.put("a", b"1")
    staged = store._stage("a", 1, WriteOptions(if_absent=True))
    staged.write_at(0, b"x")
    with pytest.raises(KeyError):
        staged.commit()
    staged.abort()
    assert [call[1] for call in calls] == ["put", "put"]
    assert calls[1][3] is not NONE


def test_handlers_of_one_action_and_handlers_that_break(caplog):
    store = NotifyingStore(MemoryStore())
    calls = []

    def broken(*_):
        raise RuntimeError("in a handler")

    store.on_change(broken)
    store.on_put(lambda store, key, error: calls.append(("put", key, error)))
    store.on_delete(lambda store, key, error: calls.append(("delete", key, error)))
    assert store.put("a", b"1").size == 1
    store.delete("a")
    assert calls == [("put", "a", None), ("delete", "a", None)]
    assert caplog.text.count("RuntimeError: in a handler") == 2


@pytest.fixture
def logged(inner, caplog):
    caplog.set_level(logging.DEBUG, "test.log")
    return LoggingStore(inner, "photos", logging.getLogger("test.log")), caplog


def fields(record):
    return record.operation, record.key, record.bytes, record.outcome, record.levelname


def test_every_operation_is_logged_when_it_is_over(logged):
    store, log = logged
    store.put("a", b"12345")
    store.write("b", iter([b"12", b"3"]))
    blob = store.read("a")
    assert len(log.records) == 2
    blob.bytes()
    blob.close()
    blob.close()
    store.get_range("a", 0, 2)
    with store.read("a") as blob:
        blob.readinto(bytearray(9))
    store.head("a")
    store.exists("missing")
    rows = store.list("a")
    next(rows)
    rows.close()
    store.copy("a", "c")
    store.remove(["c"])
    staged = store._stage("d", 4)
    staged.write_at(0, b"1234")
    staged.commit()
    store._stage("e", 4).abort()
    assert [fields(record) for record in log.records] == [
        ("put", "a", 5, "ok", "INFO"),
        ("put", "b", 3, "ok", "INFO"),
        ("get", "a", 5, "ok", "INFO"),
        ("get", "a", 2, "ok", "INFO"),
        ("get", "a", 5, "ok", "INFO"),
        ("head", "a", 0, "ok", "INFO"),
        ("head", "missing", 0, "NotFound", "INFO"),
        ("keys", "a", 0, "ok", "INFO"),
        ("copy", "c", 0, "ok", "INFO"),
        ("delete", "c", 0, "ok", "INFO"),
        ("put", "d", 4, "ok", "INFO"),
        ("put", "e", 0, "_Aborted", "WARNING"),
    ]
    assert log.records[7].rows == 1
    assert all(record.store_name == "photos" and record.duration >= 0 for record in log.records)
    assert log.records[0].getMessage().startswith("photos put a: 5 bytes in ")


def test_errors_are_logged_with_their_message_and_raised(logged, inner):
    store, log = logged
    for verb, call in {
        "write": lambda: store.put("a", b"1"),
        "read": lambda: store.get("a"),
        "remove": lambda: store.delete("a"),
        "scan": lambda: list(store.list()),
        "copy": lambda: store.copy("a", "b"),
        "stage": lambda: store._stage("a", 1),
    }.items():
        inner.fail(Throttled("slow down"), verb)
        with pytest.raises(Throttled):
            call()
    assert {record.outcome for record in log.records} == {"Throttled"}
    assert {record.levelname for record in log.records} == {"WARNING"}
    assert all("slow down" in record.getMessage() for record in log.records)
    assert len(log.records) == 6


def test_no_secret_and_no_control_character_reaches_the_log(logged, inner):
    store, log = logged
    key = "https://user:canary1@host/a?X-Amz-Signature=canary2&x=1"
    store.write(key, b"canary3", WriteOptions(metadata={"token": "canary4"}))
    store.get(key)
    inner.fail(StoreError("Authorization: canary5"), "read")
    with pytest.raises(StoreError):
        store.get("esc\x1b[2J")
    text = "".join(repr(vars(record)) + record.getMessage() for record in log.records)
    assert "canary" not in text
    assert "\x1b" not in "".join(record.getMessage() for record in log.records)


def test_a_body_that_breaks_while_it_is_read_is_logged_as_broken(caplog):
    from holdfast.blob import ChunksBlob
    from holdfast.store import Wrapper

    def broken():
        yield b"12"
        raise StoreError("cut")

    class Cut(Wrapper):
        def _read(self, key, options=ReadOptions()):  # noqa: B008
            return ChunksBlob(self.store._read(key).info, broken())

    caplog.set_level(logging.INFO, "test.log")
    inner = MemoryStore()
    inner.put("a", b"1234")
    store = LoggingStore(Cut(inner), logger=logging.getLogger("test.log"))
    with pytest.raises(StoreError), store.read("a") as blob:
        b"".join(blob.chunks())
    assert [fields(record) for record in caplog.records] == [("get", "a", 2, "StoreError", "WARNING")]


def test_what_went_well_has_no_message_at_any_level(caplog):
    store = LoggingStore(MemoryStore(), "s", logging.getLogger("loud"), level=logging.WARNING)
    store.put("a", b"1")
    with pytest.raises(NotFound):
        store.get("missing")
    well, missing = caplog.records
    assert (well.levelno, well.outcome) == (logging.WARNING, "ok")
    assert well.getMessage().endswith("s: ok")
    assert "missing" in missing.getMessage().partition(": NotFound: ")[2]


def test_nothing_is_logged_below_the_level(caplog):
    caplog.set_level(logging.WARNING, "test.log")
    store = LoggingStore(MemoryStore(), logger=logging.getLogger("test.log"))
    store.put("a", b"1")
    assert store.get("a") == b"1"
    assert not caplog.records


def test_exceptions_become_log_records_and_answers(inner, caplog):
    store = ExceptionLoggingStore(inner, "photos", logging.getLogger("test.log"))
    inner.fail(StoreError("broken"), "write")
    inner.fail(StoreError("broken"), "read", times=2)
    inner.fail(StoreError("broken"), "remove")
    inner.fail(StoreError("broken"), "scan")
    assert store.put("a", b"1") is None
    assert store.get("a") is None
    assert store.exists("a") is False
    assert store.delete("a") is False
    assert store.keys() == []
    assert [record.operation for record in caplog.records] == ["put", "get", "exists", "delete", "keys"]
    assert not inner.pending
    store.put("a", b"1")
    assert (store.get("a"), store.exists("a"), store.keys(), store.delete("a")) == (b"1", True, ["a"], True)
    assert len(caplog.records) == 5
    inner.fail(KeyboardInterrupt(), "read")
    with pytest.raises(KeyboardInterrupt):
        store.get("a")
    with pytest.raises(Unsupported):
        ExceptionLoggingStore(ReadonlyStore(inner)).write("a", b"1")
