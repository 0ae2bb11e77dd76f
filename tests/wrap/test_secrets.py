"""What stores of others say goes into logs and errors without its secrets."""

from __future__ import annotations

import pytest

from holdfast.errors import PartialFailure, StoreError
from holdfast.retry import Policy
from holdfast.store import WRITE, Wrapper
from holdfast.stores.memory import MemoryStore
from holdfast.stores.plain import DictStore
from holdfast.wrap.cache import CachingStore
from holdfast.wrap.mirror import MirroringStore
from holdfast.wrap.retrying import RetryingStore

SECRET = "hunter2secret"
SAID = f"no answer from redis://user:{SECRET}@cache:6379/0"


class Theirs(DictStore):
    def put(self, key, data):
        raise ConnectionError(SAID)


class Known(Wrapper):
    """A store that says the same in an error of Holdfast's."""

    def __init__(self):
        super().__init__(MemoryStore())

    def _write(self, key, body, options=WRITE):
        raise StoreError(SAID)


@pytest.mark.parametrize("broken", [Theirs, Known])
def test_logs_and_summaries_hold_no_secret(broken, caplog):
    origin = MemoryStore()
    origin.put("a", b"1")
    assert CachingStore(origin, broken()).get("a") == b"1"
    assert "could not be kept in the cache" in caplog.text
    MirroringStore([MemoryStore(), broken()], "primary").put("a", b"1")
    assert caplog.text.count("no answer from redis://***@cache:6379/0") == 2
    with pytest.raises(PartialFailure, match="no answer from redis://") as raised:
        MirroringStore([MemoryStore(), broken()]).put("a", b"1")
    assert SECRET not in str(raised.value) + caplog.text


def test_an_error_that_was_retried_holds_no_secret():
    store = RetryingStore(Theirs(), Policy(tries=2, first=0.0))
    with pytest.raises(StoreError, match="no answer from redis://") as raised:
        store.put("a", b"1")
    assert SECRET not in str(raised.value)
