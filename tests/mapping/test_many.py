"""What conflicted among many keys is told, whatever else ends the work."""

from __future__ import annotations

import pytest

from holdfast import CloudMapping, HoldfastError, KeySyncError, StoreError
from tests.mapping.places import Place


def in_conflict(memory: Place) -> CloudMapping[bytes]:
    """A mapping that is out of sync at "a"."""
    mine, theirs = memory.mapping(), memory.mapping()
    theirs["a"] = b"theirs"
    return mine


def test_an_error_of_another_kind_tells_of_the_conflicts_before_it(memory):
    mine = in_conflict(memory)
    with pytest.raises(ValueError, match="must be bytes like") as caught:
        mine.set_many([("a", b"mine"), ("b", b"mine"), ("c", 5)])
    assert not isinstance(caught.value, KeySyncError)
    (note,) = caught.value.__notes__
    assert "failed for 1 keys" in note
    assert "out of sync at 'a'" in note
    assert mine["b"] == b"mine"


def test_an_error_of_ours_has_the_conflicts_before_it_as_its_others(memory):
    mine = in_conflict(memory)
    write = mine.store._write

    def full(key, *arguments):
        if key == "b":
            raise StoreError("full", key=key)
        return write(key, *arguments)

    mine.store._write = full
    with pytest.raises(StoreError) as caught:
        mine.update(a=b"mine", b=b"mine")
    (other,) = caught.value.others
    assert isinstance(other, KeySyncError)
    assert other.key == "a"


def test_what_the_source_raises_tells_of_the_conflicts_before_it(memory):
    mine = in_conflict(memory)

    def pairs():
        yield "a", b"mine"
        yield "b", b"mine"
        yield "b", b"again"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        mine.update(pairs())
    assert "out of sync at 'a'" in caught.value.__notes__[0]
    stale = in_conflict(memory)
    stale.etags.update(dict.fromkeys("a", "another"))
    mine = memory.mapping(sync_initially=False)
    with pytest.raises(HoldfastError):
        mine.update(stale)
    with pytest.raises(TypeError):
        mine.set_many([("z", b"1"), None])


def test_an_error_begins_no_further_call(memory):
    mine = memory.mapping()
    mine.set_many([("a", b"1")])
    with pytest.raises(ValueError, match="must be bytes like"):
        mine.set_many((f"{number:05}", 5 if number == 10 else b"x") for number in range(20_000))
    assert len(mine) < 10_000


def test_it_is_updated_by_an_operator(memory):
    mapping = same = memory.mapping()
    mapping |= {"a": b"1"}
    mapping |= [("b", b"2")]
    assert mapping is same
    assert dict(memory.mapping()) == {"a": b"1", "b": b"2"}
    assert list(reversed(mapping.values())) == [b"2", b"1"]
    assert list(reversed(mapping.items())) == [("b", b"2"), ("a", b"1")]
