"""Mirrors over stores that raise errors of their own making, with secrets in them."""

from __future__ import annotations

import pickle
import traceback

import pytest

from holdfast.errors import HoldfastError, PartialFailure, StoreError
from holdfast.retry import Policy
from holdfast.store import READ, Wrapper
from holdfast.stores.memory import MemoryStore
from holdfast.stores.plain import DictStore
from holdfast.wrap.mirror import MirroringStore
from holdfast.wrap.retrying import RetryingStore

SECRET = "hunter2secret"


class Theirs(DictStore):
    """A user's store that loses its connection, and says whose it was."""

    def __init__(self):
        super().__init__()
        self.broken = set()

    def used(self, method):
        if method in self.broken:
            raise ConnectionError(f"no answer from redis://user:{SECRET}@cache:6379/0")

    def get(self, key):
        self.used("get")
        return super().get(key)

    def put(self, key, data):
        self.used("put")
        super().put(key, data)

    def delete(self, key):
        self.used("delete")
        super().delete(key)


class BrokenBodies(Wrapper):
    def _read(self, key, options=READ):
        if not options.head:
            raise ConnectionError("reset by peer")
        return self.store._read(key, options)


@pytest.fixture
def children():
    return [Theirs(), Theirs()]


def test_a_read_goes_on_to_the_next_child():
    store = MirroringStore([BrokenBodies(MemoryStore()), MemoryStore()])
    store.put("a", b"1")
    assert store.get("a") == b"1"
    store = MirroringStore([BrokenBodies(MemoryStore())])
    store.put("a", b"1")
    with pytest.raises(StoreError, match="ConnectionError: reset by peer") as raised:
        store.get("a")
    assert isinstance(raised.value.cause, ConnectionError)
    assert (raised.value.key, raised.value.retryable) == ("a", True)


@pytest.mark.parametrize("policy", ["all", "quorum", "primary"])
def test_deletes_of_many_answer_for_each(children, policy):
    store = MirroringStore(children, policy)
    for key in "ab":
        store.put(key, b"1")
    for child in children:
        child.broken = {"delete"}
    answers = store.remove(["a", "b"])
    assert [error.key for error in answers] == ["a", "b"]
    assert all(isinstance(error, HoldfastError) and SECRET not in str(error) for error in answers)


def test_no_secret_of_theirs_is_told(children, caplog):
    store, primary = MirroringStore(children), MirroringStore(children, "primary")
    children[1].broken = {"put", "delete"}
    for change in (lambda: store.put("a", b"1"), lambda: store.delete("a")):
        with pytest.raises(PartialFailure, match="no answer from redis://") as raised:
            change()
        error = raised.value
        told = "".join(traceback.format_exception(error)) + repr(error) + repr(error.outcomes)
        told += repr(vars(pickle.loads(pickle.dumps(error)))) + str(pickle.dumps(error))
        assert SECRET not in told
        assert [outcome is None for _, outcome in error.outcomes] == [True, False]
    primary.put("a", b"1")
    primary.delete("a")
    assert caplog.text.count("no answer from redis://") == 2
    assert SECRET not in caplog.text


class Reconnecting(Theirs):
    """A store whose first read loses the connection."""

    def used(self, method):
        if method == "get" and not self.broken:
            self.broken.add("reconnected")
            raise ConnectionError("reset by peer")


def test_a_lost_connection_is_tried_again_over_a_mirror():
    store = RetryingStore(MirroringStore([Reconnecting(), Reconnecting()]), Policy(tries=2, first=0.0))
    store.put("a", b"1")
    assert store.get("a") == b"1"
