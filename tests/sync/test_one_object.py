"""One object under two names: a move onto itself must never delete it, and no place is synced into itself."""

from __future__ import annotations

import pytest

from holdfast import Base64Store, PrefixStore
from holdfast import errors as e
from holdfast.stores.memory import MemoryStore
from holdfast.sync import apply, plan
from tests.user_stores import FiveMethods

from .test_apply import contents
from .test_resume import open_moto


@pytest.mark.parametrize(
    "ends",
    [
        lambda store: (store, store),
        lambda store: (PrefixStore(store, "a/"), PrefixStore(store, "a/b/")),
        lambda store: (Base64Store(store), store),
        lambda store: (Base64Store(PrefixStore(store, "a/")), store),
    ],
)
@pytest.mark.parametrize("make", [FiveMethods, MemoryStore])
def test_a_place_is_not_synced_into_itself_whatever_wraps_it(ends, make):
    store = make()
    store.put("a/b/c", b"only copy")
    source, target = ends(store)
    with pytest.raises(e.ConfigError, match="one inside the other"):
        plan(source, target, compare="digest", move=True)


def test_places_of_one_store_that_are_apart_are_synced():
    store = FiveMethods()
    Base64Store(store).put("a/x", b"1")
    assert apply(plan(Base64Store(PrefixStore(store, "a/")), PrefixStore(store, "b/"), compare="digest")).added == 1
    assert contents(store) == {"a/x": b"MQ==", "b/x": b"1"}


class Alias(FiveMethods):
    """Another door to the same objects, which nothing tells of."""

    def __init__(self, other):
        super().__init__()
        self.__dict__.update(other.__dict__)


@pytest.mark.parametrize("how", [{"compare": "digest"}, {"on_unknown": "transfer"}])
def test_a_move_through_another_door_to_the_same_objects_deletes_nothing(how):
    store = FiveMethods()
    store.put("a/b", b"only copy")
    summary = apply(plan(store, Alias(store), move=True, **how))
    assert contents(store) == {"a/b": b"only copy"}
    assert "one object" in summary.failed[0].detail


def test_a_move_between_stores_that_tell_nothing_deletes_the_source_and_leaves_no_probe():
    store, other = FiveMethods(), FiveMethods()
    store.put("a/b", b"1")
    assert apply(plan(store, other, move=True)).exit_code == 0
    assert (contents(store), contents(other)) == ({}, {"a/b": b"1"})


@pytest.mark.server
def test_a_move_to_another_name_of_the_same_server_deletes_nothing(moto):
    bucket = moto.make_bucket()
    one = open_moto(moto, bucket)
    two = open_moto(moto, bucket, moto.endpoint.replace("127.0.0.1", "localhost"))
    one.put("a", b"only copy")
    summary = apply(plan(one, two, move=True, index=None), index=None)
    assert contents(one) == {"a": b"only copy"}
    assert "one object" in summary.failed[0].detail
