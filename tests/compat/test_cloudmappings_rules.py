"""The rules that both generations of cloud-mappings share, on S3, where its own were broken or slow."""

from __future__ import annotations

import importlib
import threading
from collections.abc import KeysView

import pytest

from holdfast import CloudMapping
from holdfast.compat.cloudmappings.errors import KeySyncError
from tests.compat.clouds import CLOUDS, Cloud
from tests.compat.rows import row, rows
from tests.servers.faulty_s3 import FaultyS3, Stored

pytestmark = pytest.mark.server


@pytest.fixture
def cloud(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """Amazon S3, with a bucket that does not exist yet."""
    return CLOUDS["s3"](request, monkeypatch)


@pytest.fixture
def pair(cloud: Cloud):
    """Two raw mappings over one bucket, in which both know "a"."""
    mine, theirs = cloud.mapping(**cloud.names), cloud.mapping(**cloud.names)
    mine["a"] = b"1"
    theirs.sync_with_cloud()
    return mine, theirs


@row("cloudmappings", "an unknown key: get and del raise KeyError")
def test_an_unknown_key_is_a_key_error(pair):
    mine, _ = pair
    for operation in (lambda: mine["x"], lambda: mine.__delitem__("x"), lambda: mine.pop("x")):
        with pytest.raises(KeyError) as caught:
            operation()
        assert not isinstance(caught.value, KeySyncError)


@row("cloudmappings", "unknown to the mapping but present in the cloud: set raises KeySyncError")
def test_what_is_there_is_not_overwritten(pair):
    mine, theirs = pair
    theirs["b"] = b"theirs"
    with pytest.raises(KeySyncError):
        mine["b"] = b"mine"
    assert theirs["b"] == b"theirs"


@row("cloudmappings", "changed elsewhere: get, set and del raise KeySyncError until the mapping is synced")
@row("cloudmappings", "sync_with_cloud() lets the operation through")
@pytest.mark.parametrize("scope", [(), ("a",)])
def test_what_was_changed_is_a_conflict_until_the_sync(pair, scope):
    mine, theirs = pair
    theirs["a"] = b"2"
    for operation in (lambda: mine["a"], lambda: mine.__setitem__("a", b"3"), lambda: mine.__delitem__("a")):
        with pytest.raises(KeySyncError):
            operation()
    mine.sync_with_cloud(*scope)
    assert mine["a"] == b"2"
    mine["a"] = b"3"
    del mine["a"]


@row("cloudmappings", "a key that is no str is a TypeError")
def test_a_key_is_a_str(pair):
    mine, _ = pair
    for operation in (
        lambda: mine[1],
        lambda: mine.__setitem__(1, b""),
        lambda: mine.__delitem__(1),
        lambda: 1 in mine,
    ):
        with pytest.raises(TypeError):
            operation()


@row("cloudmappings", "the ETag of the mapping is the one in a listing; .etags is a dict")
@row(
    "cloudmappings",
    "S3 notes its version as metadata cloud-mappings-etag; Google's ETag is generation and metageneration",
    "different",
    "the ETags are the services' own, which every program sees; nothing has to be asked for each object",
)
def test_the_etags_are_those_of_the_service(cloud, pair):
    mine, _ = pair
    mine["b"] = b"2"
    rows = cloud.server.client().list_objects_v2(Bucket=cloud.bucket)["Contents"]
    assert type(mine.etags) is dict
    assert mine.etags == {row["Key"]: row["ETag"] for row in rows}


@row("cloudmappings", "in, len, iter and keys() use only what the mapping knows")
@row("cloudmappings", "gap: keys()", "kept and fixed", "it is a view, and was an iterator")
def test_what_is_known_is_answered_without_asking(pair):
    mine, theirs = pair
    del theirs["a"]
    theirs["b"] = b"1"
    assert "a" in mine
    assert "b" not in mine
    assert (len(mine), list(mine), list(mine.keys())) == (1, ["a"], ["a"])
    assert isinstance(mine.keys(), KeysView)
    assert len(mine.keys()) == 1


@row("cloudmappings", "gap: get(key, default)", "kept and fixed", "the default hid a conflict")
def test_a_default_hides_no_conflict(pair):
    mine, theirs = pair
    theirs["a"] = b"2"
    for operation in (lambda: mine.get("a", b"default"), lambda: mine.setdefault("a", b"default")):
        with pytest.raises(KeySyncError):
            operation()
    with pytest.raises(KeySyncError):
        mine.pop("a", None)
    assert mine.get("x", b"default") == b"default"


@row("cloudmappings", "gap: sync_with_cloud()", "kept and fixed", "it never forgot what was deleted elsewhere")
def test_a_sync_forgets(pair):
    mine, theirs = pair
    del theirs["a"]
    mine.sync_with_cloud()
    assert "a" not in mine
    mine["a"] = b"again"


@row(
    "cloudmappings",
    "gap: sync_with_cloud(key)",
    "kept and fixed",
    "it took the key for a prefix, so that 'ab' synced 'abc' as well; now it is that key and what is below it",
)
@row("cloudmappings", "gap: in, when reading blindly", "kept and fixed", "it listed a whole prefix")
def test_a_key_is_no_prefix(cloud, pair):
    mine, theirs = pair
    theirs.update(ab=b"1", abc=b"1", **{"ab/x": b"1"})
    mine.sync_with_cloud("ab")
    assert sorted(mine) == ["a", "ab", "ab/x"]
    mine.read_blindly = True
    assert "abc" in mine
    assert "abcd" not in mine
    del theirs["ab"]
    assert "ab" not in mine


@row("cloudmappings", "gap: listing S3", "kept and fixed", "it sent one HEAD for each object")
def test_a_listing_asks_for_no_object():
    with FaultyS3() as server:
        server.objects.update({f"key{number}": Stored(b"") for number in range(1500)})
        keys = {"access_key_id": "A", "secret_access_key": "S"}
        mapping = CloudMapping(f"s3://{server.endpoint}/bucket", **keys)
        server.requests.clear()
        mapping.sync_with_cloud()
        assert len(mapping) == 1500
        assert [request.method for request in server.requests] == ["GET", "GET"]


@row(
    "cloudmappings", "gap: check and put on S3", "kept and fixed", "it was a race: 206 acknowledged increments left 68"
)
def test_increments_that_race_are_all_there(cloud):
    rounds, done = 15, []

    def increment():
        mapping = cloud.mapping.with_json(**cloud.names)
        while len(done) < rounds:
            mapping.sync_with_cloud("n")
            try:
                mapping["n"] = mapping.get("n", 0) + 1
            except KeySyncError:
                continue
            done.append(1)

    threads = [threading.Thread(target=increment) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) >= rounds
    assert cloud.mapping.with_json(**cloud.names)["n"] == len(done)


@row("cloudmappings", "gap: a bucket that was never versioned", "kept and fixed", "it was a KeyError 'Status'")
@row("cloudmappings", "gap: foreign objects on S3", "kept and fixed", "listing and reading were a KeyError")
def test_any_bucket_will_do(cloud):
    client = cloud.server.client()
    client.create_bucket(Bucket=cloud.bucket)
    client.put_object(Bucket=cloud.bucket, Key="foreign", Body=b'{"a": 1}')
    client.put_object(Bucket=cloud.bucket, Key="junk", Body=b"\xff")
    mapping = cloud.mapping.with_json(**cloud.names)
    assert mapping["foreign"] == {"a": 1}
    with pytest.raises(ValueError, match="'junk'"):
        mapping["junk"]
    mapping["junk"] = [2]
    assert client.get_object(Bucket=cloud.bucket, Key="junk")["Body"].read() == b"[2]"


def test_every_gap_is_shown_to_be_closed():
    modules = [
        importlib.import_module(f"tests.compat.{name}") for name in ("test_cloudmappings", __name__.split(".")[-1])
    ]
    found = list(rows(*modules))
    assert len({one.promise for one in found}) == len(found) >= 45
    assert {one.system for one in found} == {"cloudmappings"}
    gaps = [one for one in found if one.promise.startswith("gap: ")]
    assert len(gaps) == 14
    assert {one.status for one in gaps} == {"kept and fixed"}
