"""A KeySyncError can be cured, and says how, wherever a mapping can be."""

from __future__ import annotations

import pickle

import pytest

from holdfast import AuthError, CloudMapping, KeySyncError, Unsupported, open_store
from holdfast.store import LIST
from tests.mapping.places import Narrowed
from tests.servers import faults
from tests.servers.faulty_s3 import FaultyS3
from tests.stores.s3_stores import quick


class Unlisted(Narrowed):
    """A store that cannot list."""

    def _scan(self, options=LIST):
        raise self._unsupported("a listing")


def test_without_a_listing_a_sync_is_about_the_one_key(place):
    theirs = place.mapping()
    theirs["k"] = b"1"
    mine = CloudMapping(Unlisted(place.open(), listing=False), sync_initially=False)
    with pytest.raises(KeySyncError):
        mine["k"] = b"2"
    mine.sync_with_cloud("k")
    assert mine.etags == theirs.etags
    mine["k"] = b"2"
    theirs.sync_with_cloud("k")
    del theirs["k"]
    mine.sync_with_cloud("k")
    assert "k" not in mine
    with pytest.raises(Unsupported):
        mine.sync_with_cloud()


def test_who_may_not_list_learns_of_the_key_all_the_same():
    with FaultyS3() as server:
        keys = {"access_key_id": "A", "secret_access_key": "S"}
        location = f"s3://{server.endpoint}/bucket"
        theirs, mine = (
            CloudMapping(open_store(location, retry=quick(), **keys), sync_initially=False) for _ in range(2)
        )
        theirs["k"] = b"1"
        denied = faults.instead(faults.error(403, "AccessDenied"))
        server.fault = lambda request: denied if not request.key else None
        with pytest.raises(AuthError):
            mine.sync_with_cloud("k")
        assert mine["k"] == b"1"
        mine["k"] = b"2"
        assert server.objects["k"].body == b"2"


def test_a_key_that_looks_like_a_directory_can_be_synced_by_name(memory):
    mine, theirs = memory.mapping(), memory.mapping()
    theirs["d/"] = b""
    theirs["d/x"] = b"1"
    mine.sync_with_cloud()
    assert list(mine) == ["d/x"]
    mine.sync_with_cloud("d/")  # a prefix
    assert list(mine) == ["d/x"]
    with pytest.raises(KeySyncError, match=r"sync_with_cloud\(key='d/'\)"):
        mine["d/"] = b"2"
    mine.sync_with_cloud(key="d/")
    assert dict(mine) == {"d/": b"", "d/x": b"1"}
    mine["d/"] = b"2"
    mine.sync_with_cloud()
    assert dict(mine) == {"d/": b"2", "d/x": b"1"}


def test_an_error_tells_nothing_there_from_not_learned(memory):
    mine, theirs = memory.mapping(), memory.mapping()
    mine["a"] = b"1"
    theirs.sync_with_cloud()
    del theirs["a"]
    for operation in (lambda: mine["a"], lambda: mine.__setitem__("a", b"2"), lambda: mine.__delitem__("a")):
        with pytest.raises(KeySyncError, match="and nothing is there") as caught:
            operation()
        assert caught.value.absent
        assert pickle.loads(pickle.dumps(caught.value)).absent
    theirs["a"] = b"3"

    def unreadable(key, options):
        raise Unsupported("no reads today")

    mine.store._read = unreadable
    with pytest.raises(KeySyncError) as caught:
        mine["a"] = b"2"
    assert (caught.value.found, caught.value.absent) == (None, False)
    assert "is there." not in str(caught.value)
