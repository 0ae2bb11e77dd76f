"""Locations within one local file or directory, and in Redis."""

from __future__ import annotations

import pytest

from holdfast import open_object, open_store
from holdfast.errors import ConfigError
from holdfast.stores.file.renamed import HashdirStore
from holdfast.stores.sqlite import SqliteStore
from holdfast.stores.zip import ZipStore
from holdfast.url import URL, parse
from holdfast.wrap.rekey import PrefixStore


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("zip:///a/x.zip", URL("zip", None, "/a/x.zip", "")),
        ("zip:///a/x.zip/", URL("zip", None, "/a/x.zip", "")),
        ("zip:///a/x.ZIP/b/c.zip", URL("zip", None, "/a/x.ZIP", "b/c.zip")),
        ("zip:///a/x.zip/b/", URL("zip", None, "/a/x.zip", "b/")),
        ("zip:///a/x.zip//b", URL("zip", None, "/a/x.zip", "b")),
        ("zip:///a/x.zip///b", URL("zip", None, "/a/x.zip", "/b")),
        ("zip:///a/book.epub", URL("zip", None, "/a/book.epub", "")),
        ("zip:///a/book.epub//b/c", URL("zip", None, "/a/book.epub", "b/c")),
        ("zip:///a%20b/x.zip/%20?#", URL("zip", None, "/a%20b/x.zip", "%20?#")),
        ("sqlite:///a/x.db", URL("sqlite", None, "/a/x.db", "")),
        ("sqlite:///a/x.sqlite3/run1/k", URL("sqlite", None, "/a/x.sqlite3", "run1/k")),
        ("sqlite:///a/cache//k", URL("sqlite", None, "/a/cache", "k")),
        ("hashdir:///a/b", URL("hashdir", None, "/a/b", "")),
        ("hashdir:///a/b/", URL("hashdir", None, "/a/b", "")),
        ("hashdir:///a/b//k/l", URL("hashdir", None, "/a/b", "k/l")),
        ("redis://host", URL("redis", "redis://host", "0", "")),
        ("redis://HOST:7000/3/run1/a", URL("redis", "redis://host:7000", "3", "run1/a")),
        ("rediss://me:secret@host/0/", URL("rediss", "rediss://host", "0", "", "me:secret")),
    ],
)
def test_locations_are_taken_apart_and_printed_so_that_they_parse_again(text, expected):
    found = parse(text)
    assert found == expected
    assert "secret" not in str(found)
    assert found.userinfo or parse(str(found)) == found
    child = found.child("x/y")
    assert found.userinfo or parse(str(child)) == child
    assert str(found.child("k")).endswith("/k")


def test_a_directory_with_the_ending_of_an_archive_is_a_directory(tmp_path):
    (tmp_path / "old.zip").mkdir()
    assert parse(f"zip://{tmp_path}/old.zip/x.zip/k").path == "k"


def test_paths_may_be_relative_where_that_is_plain(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert parse("zip://./x.zip/k") == URL("zip", None, f"{tmp_path}/x.zip", "k")
    for wrong in (
        "zip://x.zip",
        "sqlite://",
        "hashdir://dir/key",
        "redis://host/name/key",
        "redis:///0",
        "zip:/a/x.zip",
    ):
        with pytest.raises(ConfigError):
            parse(wrong)


@pytest.mark.parametrize(
    ("place", "kind"),
    [("zip://{}/x.zip", ZipStore), ("sqlite://{}/x.db", SqliteStore), ("hashdir://{}/tree", HashdirStore)],
)
def test_locations_open_stores(tmp_path, place, kind):
    location = place.format(tmp_path)
    with open_store(location) as store:
        assert type(store) is kind
        store.put("run1/a", b"1")
        assert store.name == location
    with open_store(str(parse(location).child("run1"))) as below:
        assert isinstance(below, PrefixStore)
        assert below.get("a") == b"1"
    store, key = open_object(f"{location}//run1/a")
    assert (store.get(key), key) == (b"1", "run1/a")
    with pytest.raises(ConfigError, match="names no object"):
        open_object(location)
    with pytest.raises(ConfigError, match="has no option"):
        open_store(location, endpoint="http://host")
    with open_store(location, durable=True) as store:
        assert store.get("run1/a") == b"1"
