"""Eight writers that read, too, on one store; processes of theirs are killed and started anew.

No acknowledged write is lost, no value is torn (each says whose it is, and the readers look), and no read finds less
than had been acknowledged before it began.
"""

from __future__ import annotations

import pytest

from holdfast.stores.file import FileStore
from holdfast.stores.sqlite import SqliteStore
from tests.stores.killing import PROCESSES, THREADS, acknowledged, killed_and_restarted, number_of, stale, value
from tests.wrap import shared_caches

#: Few keys for each thread, so that what is cached grows old; and many, so that much is given up.
FEW, MANY = 6, 24


def held(store):
    """The number of every object, each of them whole."""
    return {key: number_of(key, store.get(key)) for key in list(store.keys())}


def assert_nothing_is_lost(told, store):
    last, found = acknowledged(act for said in told for act in said), held(store)
    assert not {key: number for key, number in last.items() if found.get(key, 0) < number}
    assert len({key.partition("/")[0] for key in last}) == THREADS * PROCESSES


def assert_nothing_is_stale(told, allowed=0.0):
    everything = [act for said in told for act in said]
    assert len([act for act in everything if act.kind == "read" and act.number]) > 200
    assert stale(everything, allowed)[:3] == []


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", [FileStore, SqliteStore], ids=["file", "sqlite"])
def test_killed_writers_lose_nothing_and_readers_see_all(kind, tmp_path, soak):
    path = tmp_path / "objects"
    if kind is FileStore:
        path.mkdir()
    told = killed_and_restarted(f"{kind.__module__}:{kind.__name__}", path, 100 if soak else 4, keys=MANY)
    with kind(path) as store:
        assert_nothing_is_lost(told, store)
    assert_nothing_is_stale(told)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("revalidate", ["etag", "ttl", "never"])
@pytest.mark.parametrize("cache", ["directory", "sqlite"])
def test_writers_that_share_a_cache(cache, revalidate, tmp_path, soak):
    """Half of the writes go around the cache, and a read is stale by the ttl at most.

    With "never" none goes around, and no read is older than what its own process had written.
    """
    sizes = []
    store = shared_caches.made(str(tmp_path), cache, revalidate)
    told = killed_and_restarted(
        f"tests.wrap.shared_caches:{cache}_{revalidate}",
        tmp_path,
        100 if soak else 3,
        keys=MANY if revalidate == "never" else FEW,
        watch=lambda: sizes.append(sum(row.size for row in store.cache_store.list("entries/"))),
    )
    assert_nothing_is_lost(told, store.main_store)
    if revalidate == "never":
        for said in told:
            assert stale(said)[:3] == []
    else:
        assert_nothing_is_stale(told, shared_caches.TTL if revalidate == "ttl" else 0.0)
    if revalidate == "etag":
        assert held(store) == held(store.main_store)
    # The bound, what each process adds before it counts again, and what is being added.
    largest = max(len(value("p0t0/0", number)) for number in range(100)) + 1000
    slack = shared_caches.MAX_BYTES // 8 * PROCESSES + largest * THREADS * PROCESSES
    assert max(sizes) <= shared_caches.MAX_BYTES + slack
    store.put("one more", b"1")
    store.get("one more")
    assert sum(row.size for row in store.cache_store.list("entries/")) <= shared_caches.MAX_BYTES
    store.close()
