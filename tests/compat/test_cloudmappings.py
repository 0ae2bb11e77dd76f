"""What cloud-mappings promised about mappings and providers, under its own names."""

from __future__ import annotations

import json
import pickle
import zlib

import pytest

import holdfast
from holdfast import ConfigError, KeySyncError, Unsupported, WriteOptions
from holdfast.compat import cloudmappings
from holdfast.compat.cloudmappings import errors, serialisers
from holdfast.compat.cloudmappings.cloudmapping import CloudMapping as NewCloudMapping
from holdfast.compat.cloudmappings.cloudstorage import CloudStorage
from holdfast.compat.cloudmappings.cloudstoragemapping import CloudMapping
from holdfast.compat.cloudmappings.serialisers import core
from holdfast.compat.cloudmappings.serialisers import pandas as table_serialisers
from holdfast.compat.cloudmappings.storageproviders.storageprovider import StorageProvider as OldStorageProvider
from tests.compat.clouds import CLOUDS, Cloud
from tests.compat.rows import row


@pytest.fixture(params=[pytest.param(name, marks=kind.marks) for name, kind in CLOUDS.items()])
def cloud(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """Amazon, Google and Azure in turn, with a bucket that does not exist yet."""
    return CLOUDS[request.param](request, monkeypatch)


# ---------------------------------------------------------------------- making them
@row("cloudmappings", "the three mappings are made by their original arguments, by position and by name")
@row("cloudmappings", "repr is cloudmapping<CloudStorageProvider=...,BucketName=...>")
def test_mappings_are_made_as_they_were(cloud):
    by_name = cloud.mapping(**cloud.names)
    by_name["a"] = b"1"
    assert dict(cloud.mapping(*cloud.names.values())) == {"a": b"1"}
    assert repr(by_name) == f"cloudmapping<{cloud.logical_name}>"
    assert isinstance(by_name, CloudMapping)
    assert isinstance(by_name, holdfast.CloudMapping)


@row(
    "cloudmappings",
    "sync_initially=True is taken by every constructor",
    "kept and fixed",
    "0.7.3 promised it and raised TypeError",
)
def test_the_initial_sync_can_be_left_out(cloud):
    cloud.mapping(**cloud.names)["a"] = b"1"
    for make in (cloud.mapping, cloud.mapping.with_pickle, cloud.mapping.with_json):
        assert list(make(**cloud.names, sync_initially=False)) == []
        assert list(make(**cloud.names, sync_initially=True)) == ["a"]


@row("cloudmappings", "the bucket or container is created if it does not exist, and only synced if it did")
def test_the_bucket_is_created(cloud):
    assert not cloud.exists()
    mapping = cloud.mapping(**cloud.names)
    assert cloud.exists()
    assert dict(mapping) == {}
    provider = cloud.provider(**cloud.names)
    assert provider.create_if_not_exists() is True


@row("cloudmappings", "Azure: create_container_metadata is given to the container that is created")
@row("cloudmappings", "Google: the bucket is created in the project")
def test_what_is_created_has_what_was_asked_for(cloud):
    cloud.mapping(**cloud.names, **cloud.creating)
    cloud.check_created()


@row("cloudmappings", "AWSS3Mapping takes silence_warning")
@row(
    "cloudmappings",
    "S3: a warning that it has no atomic requests",
    "different",
    "it has, and they are used: there is nothing to warn about",
)
def test_there_is_nothing_left_to_warn_about(request, monkeypatch, caplog):
    cloud = CLOUDS["s3"](request, monkeypatch)
    cloud.mapping(cloud.names["bucket_name"])
    cloud.mapping(cloud.names["bucket_name"], silence_warning=True)
    cloud.storage(cloud.names["bucket_name"], silence_warning=False)
    assert caplog.records == []


test_there_is_nothing_left_to_warn_about = pytest.mark.server(test_there_is_nothing_left_to_warn_about)


@row(
    "cloudmappings",
    "S3: the bucket must be versioned",
    "different",
    "it need not be: conditions are on ETags; a bucket that is keeps its versions",
)
def test_a_bucket_need_not_be_versioned(request, monkeypatch):
    cloud = CLOUDS["s3"](request, monkeypatch)
    mapping = cloud.mapping(**cloud.names)
    mapping["a"] = b"1"
    mapping["a"] = b"2"
    assert "Status" not in cloud.server.client().get_bucket_versioning(Bucket=cloud.bucket)
    assert dict(cloud.mapping(**cloud.names)) == {"a": b"2"}


test_a_bucket_need_not_be_versioned = pytest.mark.server(test_a_bucket_need_not_be_versioned)


@row(
    "cloudmappings",
    "gap: S3: del deletes what the user sees",
    "kept and fixed",
    "on a versioned bucket only the newest version went, and the value before it came back",
)
@pytest.mark.server
def test_a_versioned_bucket_deletes_what_the_user_sees(request, monkeypatch):
    cloud = CLOUDS["s3"](request, monkeypatch)
    client = cloud.server.client()
    client.create_bucket(Bucket=cloud.bucket)
    client.put_bucket_versioning(Bucket=cloud.bucket, VersioningConfiguration={"Status": "Enabled"})
    mapping, theirs = cloud.mapping(**cloud.names), cloud.mapping(**cloud.names)
    for leave in (lambda: mapping.__delitem__("a"), lambda: mapping.pop("a"), mapping.clear):
        mapping["a"] = b"v1"
        mapping["a"] = b"v2"
        theirs.sync_with_cloud()
        leave()
        assert dict(cloud.mapping(**cloud.names)) == {}
        with pytest.raises(KeyError):
            cloud.mapping(**cloud.names)["a"]
        with pytest.raises(KeySyncError):
            theirs["a"]
        with pytest.raises(KeySyncError):
            theirs["a"] = b"stale"
    mapping["a"] = b"v3"
    assert cloud.mapping(**cloud.names)["a"] == b"v3"
    assert len(client.list_object_versions(Bucket=cloud.bucket, Prefix="a")["Versions"]) == 7


# ---------------------------------------------------------------------- 0.7: buffers
@row("cloudmappings", "a raw mapping takes bytes, and ValueError 'must be bytes like' for what is none")
@row("cloudmappings", "gap: bytearray and memoryview", "kept and fixed", "they are bytes like, and were refused")
def test_a_raw_mapping_takes_what_is_bytes_like(cloud):
    mapping = cloud.mapping(**cloud.names)
    for wrong in ("text", 5, None, {}, [b"a"]):
        with pytest.raises(ValueError, match="must be bytes like"):
            mapping["a"] = wrong
    mapping.update(a=b"1", b=bytearray(b"2"), c=memoryview(b"3"))
    assert dict(cloud.mapping(**cloud.names)) == {"a": b"1", "b": b"2", "c": b"3"}


@row("cloudmappings", "with_pickle")
@row("cloudmappings", "with_json", "kept and fixed", "0.7.3 could not store anything with it")
@row("cloudmappings", "with_json_zlib", "kept and fixed", "0.7.3 could not store anything with it")
@pytest.mark.parametrize(
    ("name", "value", "loads"),
    [
        ("with_pickle", {1, (2, 3)}, pickle.loads),
        ("with_json", {"a": [1, None]}, json.loads),
        ("with_json_zlib", {"a": [1, None]}, lambda data: json.loads(zlib.decompress(data))),
    ],
)
def test_mappings_with_a_serialisation(cloud, name, value, loads):
    mapping = getattr(cloud.mapping, name)(**cloud.names)
    mapping["a"] = value
    assert getattr(cloud.mapping, name)(**cloud.names)["a"] == value
    assert loads(cloud.objects()["a"]) == value
    mapping.sync_with_cloud()


@row(
    "cloudmappings",
    "with_buffers: dumps in their order, loads in reverse",
    "kept and fixed",
    "0.7.3 ran the second dumps before the first",
)
@row("cloudmappings", "with_buffers: an odd number of functions is a ValueError")
def test_buffers_are_ordered(cloud):
    buffers = [json.dumps, json.loads, str.encode, bytes.decode, zlib.compress, zlib.decompress]
    mapping = cloud.mapping.with_buffers(buffers, **cloud.names)
    mapping["a"] = [1]
    assert json.loads(zlib.decompress(cloud.objects()["a"])) == [1]
    assert cloud.mapping.with_buffers(buffers, **cloud.names)["a"] == [1]
    with pytest.raises(ValueError, match="equal number"):
        cloud.mapping.with_buffers(buffers[:3], **cloud.names)


# ---------------------------------------------------------------------- 2.x: storages
@row("cloudmappings", "Storage(...).create_mapping() pickles by default; its arguments and .storage_provider")
@row(
    "cloudmappings",
    "pickle by default",
    "different",
    "only holdfast.compat does so; the same names in holdfast ask for a serialisation, because pickle runs code",
)
def test_storages_make_mappings(cloud):
    storage = cloud.storage(**cloud.storage_names)
    mapping = storage.create_mapping()
    assert mapping.serialisation == core.pickle()
    assert mapping.storage_provider is storage.storage_provider
    mapping["a"] = {1}
    assert pickle.loads(cloud.objects()["a"]) == {1}
    other = cloud.storage(**cloud.storage_names).create_mapping(True, False, False, None, core.json(), "pre")
    assert list(other) == []
    other["x"] = [1]
    assert sorted(cloud.objects()) == ["a", "pre/x"]
    assert list(storage.create_mapping(sync_initially=False)) == []
    assert isinstance(mapping, NewCloudMapping)
    assert isinstance(storage, CloudStorage)
    safe = getattr(holdfast, cloud.storage.__name__)(**cloud.storage_names)
    with pytest.raises(ConfigError, match=r"serialisation=pickle\(\)"):
        safe.create_mapping()
    assert safe.create_mapping(serialisation=None)["a"] == pickle.dumps({1})


@row(
    "cloudmappings", "gap: key_prefix", "kept and fixed", "without a slash it was put right before the key: 'pre' + 'x'"
)
def test_a_key_prefix_is_a_directory(cloud):
    mapping = cloud.storage(**cloud.storage_names).create_mapping(serialisation=None, key_prefix="pre")
    mapping["x"] = b"1"
    mapping.sync_with_cloud("x")
    assert (list(cloud.objects()), list(mapping), mapping.key_prefix) == (["pre/x"], ["x"], "pre")


@row("cloudmappings", "read_blindly, read_blindly_error and read_blindly_default")
def test_blind_reads(cloud):
    storage = cloud.storage(**cloud.storage_names)
    theirs = storage.create_mapping()
    blind = storage.create_mapping(read_blindly=True, read_blindly_default="none", sync_initially=False)
    assert blind["a"] == "none"
    assert "a" not in blind
    theirs["a"] = 1
    assert blind["a"] == 1
    assert "a" in blind
    theirs["a"] = 2
    assert blind["a"] == 2
    assert (len(blind), list(blind)) == (0, [])
    blind.read_blindly_error = True
    with pytest.raises(KeyError):
        blind["b"]


@row(
    "cloudmappings",
    "AzureTableStorage",
    "different",
    "a table holds rows, not objects: it is Unsupported, and says so",
)
def test_tables_are_refused():
    with pytest.raises(Unsupported, match="AzureBlobStorage"):
        cloudmappings.AzureTableStorage("table", endpoint="https://me.table.core.windows.net")
    from holdfast.compat.cloudmappings._storageproviders.azuretablestorage import AzureTableStorageProvider

    with pytest.raises(Unsupported, match="tables are no object store"):
        AzureTableStorageProvider("table", "https://me.table.core.windows.net")


@row("cloudmappings", "CloudMappingSerialisation: frozen, falsy when empty, == by repr, from_chain")
@row(
    "cloudmappings",
    "serialisers.core: none, pickle, raw_string, json (sorted keys), json_zlib; serialisers.pandas.csv",
)
def test_serialisers_are_where_they_were():
    serialisation = serialisers.CloudMappingSerialisation
    assert core.none() is None
    assert core.pickle() == core.pickle()
    assert not serialisation(dumps=None, loads=None)
    assert core.raw_string("latin-1").dumps("ü") == b"\xfc"
    assert core.json().dumps({"b": 1, "a": 2}) == b'{"a": 2, "b": 1}'
    assert core.json_zlib().loads(core.json_zlib().dumps([1])) == [1]
    chained = serialisation.from_chain(ordered_dumps_funcs=[str, str.encode], ordered_loads_funcs=[bytes.decode, int])
    assert chained.loads(chained.dumps(5)) == 5
    with pytest.raises(AttributeError):
        chained.dumps = None
    pandas = pytest.importorskip("pandas", reason="pip install pandas")
    table = pandas.DataFrame({"a": [1]})
    csv = table_serialisers.csv()
    assert csv.dumps(table) == b"a\n1\n"
    pandas.testing.assert_frame_equal(csv.loads(b"a\n1\n"), table)


# ---------------------------------------------------------------------- providers
@row("cloudmappings", "providers: create, upload, download, delete and list, each under an ETag, else KeySyncError")
@row("cloudmappings", "download_data(key, None) is the latest value or None; what is no bytes is a ValueError")
def test_a_provider_names_versions(cloud):
    provider = cloud.provider(**cloud.names)
    assert provider.create_if_not_exists() is False
    assert provider.create_if_not_exists() is True
    assert provider.download_data("a", None) is None
    first = provider.upload_data("a", None, b"1")
    assert provider.download_data("a", first) == b"1"
    second = provider.upload_data("a", first, b"2")
    for wrong in (None, first, '"unknown"'):
        with pytest.raises(KeySyncError):
            provider.upload_data("a", wrong, b"3")
        if wrong is not None:
            with pytest.raises(KeySyncError):
                provider.download_data("a", wrong)
            with pytest.raises(KeySyncError):
                provider.delete_data("a", wrong)
    assert provider.download_data("a", None) == b"2"
    provider.upload_data("ab", None, b"x")
    assert provider.list_keys_and_etags("a").keys() == {"a", "ab"}
    assert provider.list_keys_and_etags(None)["a"] == second
    with pytest.raises(ValueError, match="must be bytes like"):
        provider.upload_data("b", None, "text")
    provider.delete_data("a", second)
    for gone in (lambda: provider.delete_data("a", second), lambda: provider.upload_data("a", second, b"4")):
        with pytest.raises(KeySyncError):
            gone()
    with pytest.raises(KeySyncError):
        provider.delete_data("never", '"x"')
    assert provider.safe_name() == provider.logical_name() == cloud.logical_name


@row(
    "cloudmappings",
    "gap: Azure: deleting a blob that is gone is a KeySyncError",
    "kept and fixed",
    "it leaked ResourceNotFoundError",
)
def test_what_is_gone_is_a_conflict(cloud):
    mine, theirs = cloud.mapping(**cloud.names), cloud.mapping(**cloud.names)
    mine["a"] = b"1"
    theirs.sync_with_cloud()
    del theirs["a"]
    for operation in (lambda: mine.__delitem__("a"), lambda: mine["a"], lambda: mine.pop("a", None)):
        with pytest.raises(KeySyncError):
            operation()


@row(
    "cloudmappings",
    "the ETag changes also when the same bytes are written again",
    "different",
    "on plain S3 and Google an ETag is the MD5 of the bytes; on Azure, and on every local store, it changes",
)
def test_etags_of_the_same_bytes(cloud):
    mapping = cloud.mapping(**cloud.names)
    mapping["a"] = b"1"
    before = mapping.etags["a"]
    mapping["a"] = b"1"
    assert (mapping.etags["a"] != before) is cloud.etags_change


@row("cloudmappings", "encode_key and decode_key: keys are percent-encoded in the names of objects, and come back")
@row(
    "cloudmappings",
    "gap: a foreign object in the bucket",
    "kept and fixed",
    "it broke every listing on S3; now it is a value, or a clear error, or not seen where its name is not encoded so",
)
def test_keys_are_encoded_as_they_were(cloud):
    mapping = cloud.mapping(**cloud.names)
    provider = cloud.provider(**cloud.names)
    keys = ["plain", "with space", "ümlaut/x", "50%", "a?b#c", "dir/file"]
    mapping.update(dict.fromkeys(keys, b"1"))
    assert sorted(cloud.objects()) == sorted(map(provider.encode_key, keys))
    assert [provider.decode_key(provider.encode_key(key)) for key in keys] == keys
    cloud.store().write("foreign", b"theirs", WriteOptions(content_type="text/plain"))
    cloud.store().put("not encoded", b"theirs")
    again = cloud.mapping(**cloud.names)
    assert sorted(again) == sorted([*keys, "foreign"])
    assert again["foreign"] == b"theirs"
    again["foreign"] = b"mine"
    assert cloud.objects()["not encoded"] == b"theirs"


class Own(OldStorageProvider):
    """Somebody's own provider, as for 0.7."""

    def __init__(self):
        self.objects = {}
        self.versions = 0
        self.existed = False

    def safe_name(self):
        return "CloudStorageProvider=Own"

    def create_if_not_exists(self):
        existed, self.existed = self.existed, True
        return existed

    def _check(self, key, etag):
        if self.objects.get(key, (None, None))[1] != etag:
            self.raise_key_sync_error(key=key, etag=etag)

    def download_data(self, key, etag):
        if etag is not None:
            self._check(key, etag)
        return self.objects.get(key, (None, None))[0]

    def upload_data(self, key, etag, data):
        self._check(key, etag)
        if len(data) > 100:
            self.raise_value_size_error(key=key, size=len(data))
        self.versions += 1
        self.objects[key] = (data, str(self.versions))
        return str(self.versions)

    def delete_data(self, key, etag):
        self._check(key, etag)
        del self.objects[key]

    def list_keys_and_etags(self, key_prefix):
        return {key: etag for key, (_, etag) in self.objects.items() if key.startswith(key_prefix or "")}


@row("cloudmappings", "CloudMapping(storageprovider, sync_initially=True) over a provider of one's own")
@row("cloudmappings", "KeySyncError and ValueSizeError come from cloudmappings.errors")
def test_a_provider_of_ones_own():
    provider = Own()
    mine = CloudMapping(provider, True)
    theirs = CloudMapping(storageprovider=provider, sync_initially=False)
    mine["a b"] = b"1"
    mine.update(a=b"2", **{"a b": b"3"})
    assert sorted(provider.objects) == ["a", "a%20b"]
    assert repr(mine) == "cloudmapping<CloudStorageProvider=Own>"
    assert dict(theirs) == {}
    theirs.sync_with_cloud("a b")
    assert dict(theirs) == {"a b": b"3"}
    del theirs["a b"]
    for operation in (lambda: mine["a b"], lambda: mine.pop("a b", None), lambda: mine.__setitem__("a b", b"")):
        with pytest.raises(errors.KeySyncError):
            operation()
    with pytest.raises(errors.KeySyncError):
        theirs["a"] = b"4"
    with pytest.raises(errors.ValueSizeError) as caught:
        theirs["big"] = b"x" * 101
    assert (caught.value.key, caught.value.size, caught.value.storage_provider_name) == (
        "big",
        101,
        provider.safe_name(),
    )
    assert isinstance(caught.value, ValueError)
    assert mine.modify("n", lambda data: data + b"+", default=b"") == b"+"
    assert mine.get_many(["a", "n"]) == {"a": b"2", "n": b"+"}
    mine.sync_with_cloud()
    mine.clear()
    assert provider.objects == {}


@row("cloudmappings", "KeySyncError: made of (name, key, etag), with attributes; a ValueError and a KeyError")
def test_errors_are_made_as_they_were():
    old = errors.KeySyncError(storageprovider_safe_name="place", key="a", etag="1")
    new = errors.KeySyncError("place", "a", "1")
    for error in (old, new, pickle.loads(pickle.dumps(new))):
        assert (error.storage_provider_name, error.key, error.expected_etag, error.etag) == ("place", "a", "1", "1")
        assert isinstance(error, ValueError)
        assert isinstance(error, KeyError)
        assert "place" in str(error)
        assert "'a'" in str(error)
    size = errors.ValueSizeError("place", "a")
    assert (size.storage_provider_name, size.key) == ("place", "a")
    assert str(errors.ValueSizeError(storageprovider_safe_name="place", key="a", size=5)).endswith("(5 bytes)")
