"""The constructors by location and by cloud: credentials as the vendors' libraries hold them, buckets as they are."""

from __future__ import annotations

import copy
import pickle
import sys
from datetime import UTC, datetime
from types import ModuleType, SimpleNamespace

import boto3
import pytest

from holdfast import (
    AuthError,
    AWSS3Mapping,
    AWSS3Storage,
    AzureBlobMapping,
    AzureBlobStorage,
    BucketNotFound,
    CloudMapping,
    ConfigError,
    GoogleCloudStorage,
    open_store,
)
from holdfast.mapping.clouds import AzureBlobStorageProvider
from tests.mapping import places
from tests.servers import faults
from tests.servers.faulty_s3 import FaultyS3
from tests.stores.s3_stores import quick


@pytest.mark.parametrize("kind", places.KINDS)
def test_a_location_is_a_mapping(kind, request, tmp_path):
    place = places.make(kind, request, tmp_path)
    mapping = CloudMapping(place.location, serialisation="json", **place.options)
    mapping["run/a"] = {"x": 1}
    again = CloudMapping(place.location, serialisation="json", key_prefix="run", **place.options)
    assert dict(again) == {"a": {"x": 1}}
    assert place.open().get("run/a") == b'{"x": 1}'


@pytest.mark.parametrize("kind", [kind for kind in places.KINDS if kind.values[0] in {"s3", "gs", "az"}])
def test_without_a_bucket_the_mapping_is_empty_and_writes_say_why(kind, request, tmp_path):
    place = places.make(kind, request, tmp_path)
    missing = place.location.rpartition("/")[0] + "-missing"
    mapping = CloudMapping(missing, **place.options)
    assert dict(mapping) == {}
    with pytest.raises(BucketNotFound):
        mapping["a"] = b"1"
    with pytest.raises(BucketNotFound):
        mapping.sync_with_cloud()


# ---------------------------------------------------------------------- buckets
def test_a_container_is_created_once(azurite):
    location = f"az://{azurite.endpoint}/made-by-holdfast"
    store = open_store(location, account_key=azurite.account_key)
    assert store.create_container({"owner": "me"}) is True
    assert store.create_container({"owner": "you"}) is False
    assert azurite.metadata("made-by-holdfast") == {"owner": "me"}
    with pytest.raises(ConfigError):
        open_store(f"{location}-2", account_key=azurite.account_key).create_container({"not a name": "x"})
    assert azurite.metadata("made-by-holdfast-2") is None
    with pytest.raises(AuthError):
        open_store(f"{location}-3", account_key="b3RoZXI=").create_container()


def test_a_bucket_of_google_is_created_once(gcs):
    store = open_store(gcs.url("made-by-holdfast"), token=gcs.token)
    assert store.create_bucket("my-project") is True
    assert store.create_bucket("my-project") is False
    assert gcs.buckets["made-by-holdfast"].project == "my-project"
    other = open_store(gcs.url("made-by-holdfast-2"), token=gcs.token)
    with pytest.raises(ConfigError):
        other.create_bucket("No Project")
    assert other.create_bucket() is True
    assert gcs.buckets["made-by-holdfast-2"].project is None
    with pytest.raises(AuthError):
        open_store(gcs.url("made-by-holdfast-3"), token="wrong").create_bucket()
    assert "made-by-holdfast-3" not in gcs.buckets


def test_who_comes_second_finds_the_bucket(gcs):
    names = {"project": "my-project", "token": gcs.token, "endpoint": gcs.endpoint}
    mapping = GoogleCloudStorage("two-come-here", **names).create_mapping(serialisation="json")
    mapping["a"] = [1]
    assert GoogleCloudStorage("two-come-here", **names).create_mapping(serialisation="json")["a"] == [1]


def test_who_may_not_look_at_buckets_may_still_use_one(azurite):
    container = azurite.make_container()
    azurite.put(container, "a", b"1")
    mapping = AzureBlobMapping(azurite.endpoint, container, azurite.sas(container))
    assert dict(mapping) == {"a": b"1"}
    mapping["b"] = b"2"
    assert azurite.objects(container) == {"a": b"1", "b": b"2"}


def test_options_of_the_store_can_be_given(moto):
    keys = {"access_key_id": moto.access_key, "secret_access_key": moto.secret_key, "region": moto.region}
    bucket = moto.make_bucket()
    mapping = AWSS3Mapping.with_json(bucket, store_options={"endpoint": moto.endpoint, **keys})
    mapping["a"] = 1
    assert open_store(moto.url(bucket), **keys).get("a") == b"1"


# ---------------------------------------------------------------------- credentials of Azure
def token(*scopes, **options):
    raise RuntimeError("asked for a token")


KEY = "c2VjcmV0"
CREDENTIALS = {
    "an account key": (KEY, ("account_key", KEY)),
    "a SAS token": ("?sv=1&sig=x", ("sas_token", "sv=1&sig=x")),
    "a dict": ({"account_name": "me", "account_key": KEY}, ("account_key", KEY)),
    "AzureNamedKeyCredential": (SimpleNamespace(named_key=SimpleNamespace(name="me", key=KEY)), ("account_key", KEY)),
    "AzureSasCredential": (SimpleNamespace(signature="sig=x"), ("sas_token", "sig=x")),
}


@pytest.mark.parametrize("name", CREDENTIALS)
def test_the_credentials_of_azures_libraries(name):
    credential, expected = CREDENTIALS[name]
    provider = AzureBlobStorageProvider("container", credential, "https://me.blob.core.windows.net/")
    login = provider.store.login()
    assert (login.kind, login.secret) == expected
    assert provider.store.endpoint == "https://me.blob.core.windows.net"
    assert KEY not in repr(provider.store)


def test_an_identity_is_taken_as_it_is():
    identity = SimpleNamespace(get_token=token)
    provider = AzureBlobStorageProvider("container", identity, "me.blob.core.windows.net")
    assert provider.store.login().secret is identity
    assert provider.store.account == "me"


def test_the_url_of_an_account_may_carry_a_signature():
    provider = AzureBlobStorageProvider("container", None, "https://me.blob.core.windows.net?sv=1&sig=x")
    assert (provider.store.login().kind, provider.store.login().secret) == ("sas_token", "sv=1&sig=x")
    assert "sig" not in provider.logical_name()


def test_a_connection_string_says_it_all(azurite):
    text = (
        f"DefaultEndpointsProtocol=http;AccountName={azurite.account};AccountKey={azurite.account_key};"
        f"BlobEndpoint={azurite.endpoint};"
    )
    storage = AzureBlobStorage("by-connection-string", connection_string=text)
    storage.create_mapping(serialisation=None)["a"] = b"1"
    assert azurite.objects("by-connection-string") == {"a": b"1"}
    with pytest.raises(ConfigError):
        AzureBlobStorage("by-connection-string", connection_string="AccountName=me")


@pytest.mark.parametrize("text", ["garbage", "AccountName=me", "AccountName=me;AccountKey=!!!"])
def test_what_is_wrong_with_a_connection_string_is_said_of_the_argument(text):
    with pytest.raises(ConfigError, match="connection_string=") as caught:
        AzureBlobStorage("container", connection_string=text)
    assert "AZURE_STORAGE" not in str(caught.value)


@pytest.mark.parametrize("beside", [{"credential": "a2V5"}, {"account_url": "https://me.blob.core.windows.net"}])
def test_nothing_beside_a_connection_string_is_dropped(beside):
    with pytest.raises(ConfigError, match="no credential="):
        AzureBlobStorage("container", connection_string="AccountName=me;AccountKey=a2V5", **beside)


def test_a_bucket_of_somebody_else_may_be_used():
    with FaultyS3() as server:
        server.inject(faults.instead(faults.error(403, "Forbidden")), lambda r: r.method == "HEAD" and not r.key)
        server.inject(
            faults.instead(faults.error(409, "BucketAlreadyExists")), lambda r: r.method == "PUT" and not r.key
        )
        keys = {"access_key_id": "A", "secret_access_key": "S"}
        storage = AWSS3Storage("bucket", endpoint=server.endpoint, retry=quick(), **keys)
        mapping = storage.create_mapping(serialisation=None, sync_initially=False)
        mapping["a"] = b"1"
        assert server.objects["a"].body == b"1"


def test_without_a_credential_the_environment_is_asked_and_then_azure_identity(monkeypatch):
    url = "https://me.blob.core.windows.net"
    identity = ModuleType("azure.identity")
    identity.DefaultAzureCredential = lambda: SimpleNamespace(get_token=token)
    monkeypatch.setitem(sys.modules, "azure", ModuleType("azure"))
    sys.modules["azure"].identity = identity
    monkeypatch.setitem(sys.modules, "azure.identity", identity)
    assert AzureBlobStorageProvider("container", None, url).store.login().kind == "credential"
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", KEY)
    assert AzureBlobStorageProvider("container", None, url).store.login().kind == "account_key"
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_KEY")
    monkeypatch.setitem(sys.modules, "azure", None)
    with pytest.raises(AuthError, match="DefaultAzureCredential"):
        AzureBlobStorageProvider("container", None, url).store.login()


def test_the_anonymous_credentials_of_google(gcs):
    from google.auth.credentials import AnonymousCredentials

    bucket = gcs.make_bucket(public=True)
    gcs.put(bucket, "a", b"1")
    storage = GoogleCloudStorage(bucket, "my-project", AnonymousCredentials(), endpoint=gcs.endpoint)
    mapping = storage.create_mapping(serialisation=None)
    assert dict(mapping) == {"a": b"1"}
    with pytest.raises(AuthError):
        mapping["b"] = b"2"


# ---------------------------------------------------------------------- credentials of Amazon
@pytest.mark.parametrize("held", ["session", "credentials"])
def test_the_credentials_of_boto3(ceph, held):
    session = boto3.Session(ceph.access_key, ceph.secret_key, region_name=ceph.region)
    given = session if held == "session" else session.get_credentials()
    bucket = ceph.make_bucket()
    mapping = AWSS3Mapping(bucket, credentials=given, store_options={"endpoint": ceph.endpoint}, unsafe=True)
    mapping["a"] = b"1"
    other = AWSS3Storage(bucket, credentials=given, endpoint=ceph.endpoint)
    assert dict(other.create_mapping(serialisation=None, unsafe=True)) == {"a": b"1"}
    assert "arguments" in mapping.store.store.explain_credentials().source


def test_credentials_that_end_are_asked_for_again(monkeypatch):
    class Turning:
        """Credentials that end at once, as those of a role in its last seconds."""

        turns = 0
        _expiry_time = datetime.now(UTC)

        def get_frozen_credentials(self):
            self.turns += 1
            return SimpleNamespace(access_key=f"AK{self.turns}", secret_key="secret", token="token")

    store = AWSS3Storage("bucket", credentials=(held := Turning())).storage_provider.store
    assert [store.credentials().access_key_id for _ in range(2)] == ["AK1", "AK2"]
    assert held.turns == 2
    assert "secret" not in repr(store)


def test_a_pickle_leaves_the_objects_of_boto3_behind(monkeypatch):
    store = AWSS3Storage("bucket", credentials=boto3.Session("AK", "secret")).storage_provider.store
    data = pickle.dumps(store)
    assert b"secret" not in data
    with pytest.raises(AuthError, match="stayed behind"):
        pickle.loads(data).credentials()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AK-OF-SOMEBODY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "else")
    with pytest.raises(AuthError, match="somebody else"):
        pickle.loads(data).credentials()


@pytest.mark.parametrize("held", ["session", "credentials"])
@pytest.mark.parametrize("twin", [lambda store: pickle.loads(pickle.dumps(store)), copy.deepcopy])
def test_where_the_same_credentials_are_found_a_pickle_is_whole(monkeypatch, held, twin):
    session = boto3.Session("AK-OF-OURS", "secret")
    given = session if held == "session" else session.get_credentials()
    store = AWSS3Storage("bucket", credentials=given).storage_provider.store
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AK-OF-OURS")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert twin(store).credentials().access_key_id == "AK-OF-OURS"
    assert twin(twin(store)).credentials().access_key_id == "AK-OF-OURS"


def test_what_has_no_credentials_to_give_pickles_all_the_same():
    class Nothing:
        def get_credentials(self):
            return None

    store = AWSS3Storage("bucket", credentials=Nothing()).storage_provider.store
    with pytest.raises(AuthError, match="stayed behind"):
        pickle.loads(pickle.dumps(store)).credentials()


def test_objects_without_credentials_say_so():
    class Empty:
        def get_credentials(self):
            return None

    class Broken:
        def get_frozen_credentials(self):
            raise RuntimeError("a secret")

    for given in (Empty(), Broken()):
        with pytest.raises(AuthError) as caught:
            AWSS3Storage("bucket", credentials=given).storage_provider.store.credentials()
        assert "a secret" not in str(caught.value)
    with pytest.raises(ConfigError):
        AWSS3Storage("bucket", credentials="AK")
    with pytest.raises(ConfigError, match="several"):
        AWSS3Storage("bucket", credentials=Empty(), anonymous=True)
