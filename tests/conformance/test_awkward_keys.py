"""Eighteen keys that other programs merge, alter or lose: kept exactly on S3; elsewhere kept exactly or refused.

Each object's content names its key, so that two keys that became one are found out. What the servers hold is read
around Holdfast: with boto3, requests signed by hand, or from the disk.
"""

from __future__ import annotations

import pytest

from holdfast.errors import InvalidKey, NotFound
from holdfast.stores.az import AzureStore
from holdfast.stores.gs import GoogleStore
from holdfast.stores.http import HttpStore
from holdfast.stores.s3 import S3Store
from holdfast.wrap.rekey import PrefixStore
from tests.stores.s3_stores import quick

#: The traps that were measured: empty, "." and ".." segments, slashes at either end beside the same key without,
#: control characters, and what URLs, globs, Windows and Unicode each read in a way of their own.
AWKWARD = (
    *("a//b", "a/b", "d/./x", "d/../x", "..", "/lead", "lead", "trail/", "trail", "//", "bell\x07", "tab\tkey"),
    *("a*b[c]~", "a%20b", "a b#c?d", "a+b", "back\\slash", "\u00fc/e\u0301/\U0001f600"),
)
PREFIXES = ["", "run 1/"]

pytestmark = pytest.mark.server


def value(key: str) -> bytes:
    """What is stored under this key, and under no other."""
    return f"the value of {key!r}".encode()


def below(store, prefix):
    return PrefixStore(store, prefix) if prefix else store


def assert_readable(store, keys):
    """Check every way to read these objects."""
    for key in keys:
        data = value(key)
        found = store.get(key)
        assert type(found) is bytes
        assert found == data, key
        assert store.get_range(key, 4, 9) == data[4:9], key
        info = store.head(key)
        assert (info.key, info.size) == (key, len(data))
        assert store.exists(key), key


def test_there_are_eighteen():
    assert len(set(AWKWARD)) == 18


# ---------------------------------------------------------------------- S3 keeps them all
@pytest.fixture(params=["ceph", "moto"])
def s3(request):
    """A server, and a bucket of its own on it."""
    server = request.getfixturevalue(request.param)
    return server, server.make_bucket()


@pytest.fixture
def bucket(s3):
    """A store over that bucket, and what boto3 finds in it."""
    server, name = s3
    client = server.client()

    def truth():
        rows = client.list_objects_v2(Bucket=name).get("Contents", ())
        keys = [row["Key"] for row in rows]
        return {key: client.get_object(Bucket=name, Key=key)["Body"].read() for key in keys}

    login = {"access_key_id": server.access_key, "secret_access_key": server.secret_key}
    with S3Store(name, endpoint=server.endpoint, region=server.region, retry=quick(), **login) as store:
        yield store, truth


@pytest.mark.parametrize("prefix", PREFIXES)
def test_s3_keeps_all_of_them_through_every_operation(bucket, prefix):
    inner, truth = bucket
    store = below(inner, prefix)
    for key in AWKWARD:
        assert store.put(key, value(key)).key == key
    whole = {f"{prefix}{key}": value(key) for key in AWKWARD}
    assert truth() == whole
    assert_readable(store, AWKWARD)
    assert [(row.key, row.size) for row in store.list()] == [(key, len(value(key))) for key in sorted(AWKWARD)]
    for key in AWKWARD:
        assert [row.key for row in store.list(key)] == sorted(k for k in AWKWARD if k.startswith(key)), key
    copies = {f"copies/{key}": value(key) for key in AWKWARD}
    for key in AWKWARD:
        store.copy(key, f"copies/{key}")
    assert truth() == whole | {f"{prefix}{key}": data for key, data in copies.items()}
    for key in AWKWARD[::2]:
        store.delete(key)
    assert store.remove(AWKWARD[1::2]) == [None] * 9
    assert truth() == {f"{prefix}{key}": data for key, data in copies.items()}
    for key in AWKWARD:
        assert not store.exists(key), key
        with pytest.raises(NotFound):
            store.get(key)


def test_s3_deletes_one_and_no_other(bucket):
    store, truth = bucket
    left = {key: value(key) for key in AWKWARD}
    for key in AWKWARD:
        store.put(key, value(key))
    for key in AWKWARD:
        store.delete(key)
        del left[key]
        assert truth() == left, key


# ---------------------------------------------------------------------- the others keep or refuse
@pytest.fixture
def gs(gcs, monkeypatch):
    """An empty bucket of Google's (the fake), and what is in it."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs.endpoint)
    monkeypatch.setattr(gcs, "accepts", lambda token: token == "anonymous")
    name = gcs.make_bucket()
    with GoogleStore(name, retry=quick()) as store:
        yield store, lambda: gcs.objects(name)


@pytest.fixture
def az(azurite):
    """An empty container, and what is in it."""
    name = azurite.make_container()
    login = {"endpoint": azurite.endpoint, "account_key": azurite.account_key}
    with AzureStore(name, retry=quick(), **login) as store:
        yield store, lambda: azurite.objects(name)


#: What the engine would alter in silence, so it is refused.
REFUSED_BY_THE_ENGINE = {*("a//b", "d/./x", "d/../x", "..", "/lead", "trail/", "//", "bell\x07", "tab\tkey")}
#: What each of them refuses; everything else it keeps.
REFUSED = {"gs": REFUSED_BY_THE_ENGINE, "az": {*REFUSED_BY_THE_ENGINE, "back\\slash"}}


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("cloud", REFUSED)
def test_others_keep_a_key_exactly_or_refuse_it_and_merge_none(request, cloud, prefix):
    inner, truth = request.getfixturevalue(cloud)
    store = below(inner, prefix)
    kept = []
    for key in AWKWARD:
        try:
            store.put(key, value(key))
        except InvalidKey:
            before = truth()
            for call in (store.get, store.head, lambda key: store.get_range(key, 0, 1), store.delete):
                with pytest.raises((InvalidKey, NotFound)):
                    call(key)
            if kept:
                with pytest.raises(InvalidKey):
                    store.copy(kept[0], key)
            assert truth() == before, key
        else:
            kept.append(key)
    assert set(AWKWARD).difference(kept) == REFUSED[cloud]
    assert truth() == {f"{prefix}{key}": value(key) for key in kept}
    assert_readable(store, kept)
    assert sorted(row.key for row in store.list()) == sorted(kept)
    for key in kept:
        store.copy(key, f"copies/{key}")
    assert store.remove(kept) == [None] * len(kept)
    assert truth() == {f"{prefix}copies/{key}": value(key) for key in kept}


# ---------------------------------------------------------------------- the web is read
#: No file system has these as names of files of their own, and clients take them for others on the way.
NO_FILES = {*("a//b", "d/./x", "d/../x", "..", "/lead", "trail/", "//")}


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_web_server_is_asked_for_that_very_key_or_not_at_all(nginx, prefix):
    directory = nginx.root / "awkward" / prefix
    there = [key for key in AWKWARD if key not in NO_FILES]
    for key in there:
        path = directory / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(value(key))
    with HttpStore(f"{nginx.endpoint}/awkward", retry=quick()) as inner:
        store = below(inner, prefix)
        read = []
        for key in AWKWARD:
            try:
                data = store.get(key)
            except InvalidKey:
                continue
            assert data == value(key), key
            read.append(key)
        assert_readable(store, read)
    refused = set(AWKWARD).difference(read)
    assert refused == NO_FILES | {"bell\x07", "tab\tkey"}
