"""What a pickle carries: no secret, unless it is asked for, and then all that were passed."""

from __future__ import annotations

import base64
import copy
import json
import pickle
import re
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

import holdfast
from holdfast import (
    BucketStore,
    CachingStore,
    CloudFiles,
    EncryptingStore,
    KeyRing,
    LoggingStore,
    MirroringStore,
    PrefixStore,
    StoreFactory,
    open_store,
)
from holdfast.aio import AsyncStore
from holdfast.credentials import S3Credentials
from holdfast.errors import AuthError
from holdfast.stores.az import AzureStore
from holdfast.stores.file import FileStore
from holdfast.stores.gs import GoogleStore
from holdfast.stores.http import HttpStore
from holdfast.stores.memory import MemoryStore
from holdfast.stores.s3 import S3Store

CANARY = "CANARY7f3a9e55d1"
RAW = CANARY.encode().ljust(32, b"\0")
ENCODED = base64.b64encode(RAW).decode()
BASIC = base64.b64encode(f"me:{CANARY}".encode()).decode()
NOWHERE = "http://127.0.0.1:9"
SERVICE = {"type": "service_account", "client_email": "robot@x", "private_key": CANARY, "token_uri": NOWHERE}


def s3_pair():
    return S3Store("bucket", endpoint=NOWHERE, access_key_id="AK", secret_access_key=CANARY, session_token=CANARY)


def s3_mapping():
    return S3Store("bucket", secrets={"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": CANARY})


def s3_customer_key():
    return S3Store("bucket", anonymous=True, sse_customer_key=RAW)


def azure_key():
    return AzureStore("container", account="me", account_key=ENCODED)


def azure_signature():
    return AzureStore("container", account="me", sas_token=f"sv=2021&sig={CANARY}")


class Identity:
    """Credentials of somebody else's package."""

    secret = None

    def __init__(self):
        self.secret = CANARY

    def get_token(self, *scopes):
        raise NotImplementedError

    refresh = get_token


def azure_identity():
    return AzureStore("container", account="me", credential=Identity())


def google_token():
    return GoogleStore("bucket", token=CANARY)


def google_service():
    return GoogleStore("bucket", secrets=SERVICE)


def google_identity():
    return GoogleStore("bucket", credential=Identity())


def web():
    return HttpStore(f"http://me:{CANARY}@127.0.0.1:9/data")


def bucket():
    return BucketStore(NOWHERE, "AK", CANARY, "bucket")


def redis():
    pytest.importorskip("redis", reason="pip install 'holdfast[redis]'")
    return open_store(f"redis://me:{CANARY}@127.0.0.1:9/0/run1")


def encrypted():
    return EncryptingStore(MemoryStore(), {"old": bytes(32), "new": RAW}, "new")


STORES = [
    *(s3_pair, s3_mapping, s3_customer_key, azure_key, azure_signature, azure_identity, google_token, google_service),
    *(google_identity, web, bucket, redis, encrypted),
]


def stacked(store):
    inner = PrefixStore(LoggingStore(store), "below/")
    return CachingStore(MirroringStore([inner, MemoryStore()], "primary"), MemoryStore(), identity="origin")


AROUND = {"alone": lambda store: store, "stacked": stacked, "async": AsyncStore, "files": CloudFiles}


@pytest.mark.parametrize("make", STORES)
@pytest.mark.parametrize("around", AROUND.values(), ids=AROUND)
def test_a_secret_travels_where_it_is_asked_for_and_only_there(make, around):
    made = around(make())
    try:
        plain = pickle.dumps(made)
    except TypeError as error:
        assert "holdfast.pickling(secrets=True)" in str(error)  # noqa: PT017
        plain = b""
    assert not carries(plain)
    with holdfast.pickling(secrets=True):
        whole = pickle.dumps(made)
        assert carries(whole)
        # From one process to the next: what has come with its secrets passes them on.
        assert carries(pickle.dumps(pickle.loads(whole)))
        with holdfast.pickling(secrets=False):
            try:
                assert not carries(pickle.dumps(pickle.loads(whole)))
            except TypeError as error:
                assert "holdfast.pickling(secrets=True)" in str(error)  # noqa: PT017
    assert not carries(repr(pickle.loads(whole)).encode())


def carries(pickled):
    """Whether the canary is in there, in any of its forms."""
    return any(form in pickled for form in (CANARY.encode(), ENCODED.encode(), BASIC.encode()))


@pytest.mark.parametrize("make", [make for make in STORES if make is not encrypted])
def test_a_store_without_its_secrets_says_what_to_do(make, monkeypatch):
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    for store in (pickle.loads(pickle.dumps(make())), pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(make()))))):
        with pytest.raises(AuthError, match=r"stayed behind.*holdfast\.pickling\(secrets=True\)") as raised:
            store.get("a")
        assert CANARY not in str(raised.value)


def test_what_was_unpickled_with_its_secrets_uses_them():
    with holdfast.pickling(secrets=True):
        made = {make: pickle.loads(pickle.dumps(make())) for make in STORES if make is not redis}
    assert made[s3_pair].credentials().secret_access_key == CANARY
    assert made[s3_mapping].credentials() == s3_mapping().credentials()
    assert made[s3_customer_key].options.sse_customer_key == ENCODED
    assert made[azure_key].login() == azure_key().login()
    assert made[azure_signature].login().secret.endswith(CANARY)
    assert made[azure_identity].login().secret.secret == CANARY
    assert made[google_token].login().secret == CANARY
    assert json.loads(made[google_service].login().secret) == SERVICE
    assert made[google_identity].login().secret.secret == CANARY
    assert made[web]._authorization == web()._authorization
    assert re.search("(Credential|AWSAccessKeyId)=AK", made[bucket].presigned_get("a"))
    assert made[encrypted].ring.key("new") == RAW


def read_there(pickled):
    """In another process."""
    return pickle.loads(pickled).get("a")


def test_another_process_reads_with_what_travelled(moto, azurite, tmp_path):
    keys = {"access_key_id": moto.access_key, "secret_access_key": moto.secret_key}
    stores = [
        S3Store(moto.make_bucket(), endpoint=moto.endpoint, **keys),
        AzureStore(azurite.make_container(), endpoint=azurite.endpoint, account_key=azurite.account_key),
        LoggingStore(EncryptingStore(FileStore(tmp_path), RAW)),
    ]
    for store in stores:
        store.put("a", b"1")
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        with holdfast.pickling(secrets=True):
            recipes = [pickle.dumps(store) for store in stores]
        assert [pool.submit(read_there, recipe).result() for recipe in recipes] == [b"1"] * 3
        for store in stores[:2]:
            with pytest.raises(AuthError, match="stayed behind"):
                pool.submit(read_there, pickle.dumps(store)).result()


def test_a_block_counts_for_its_own_thread_and_ends_with_an_error():
    store = s3_pair()
    there = []
    thread = threading.Thread(target=lambda: there.append(pickle.dumps(store)))

    def interrupted():
        with holdfast.pickling(secrets=True):
            thread.start()
            thread.join()
            assert carries(pickle.dumps(store))
            raise KeyError

    with pytest.raises(KeyError):
        interrupted()
    assert not carries(there[0])
    assert not carries(pickle.dumps(store))
    with pytest.raises(TypeError):
        holdfast.pickling(True)  # nobody takes secrets along without saying so


@pytest.mark.parametrize("value", [S3Credentials("AK", CANARY), KeyRing({"k": RAW})], ids=["pair", "ring"])
def test_a_value_that_is_a_secret_is_not_copied_by_accident(value):
    for copying in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match=r"holdfast\.pickling\(secrets=True\)"):
            copying(value)
    with holdfast.pickling(secrets=True):
        assert repr(copy.deepcopy(value)) == repr(value)


def test_a_factory_pickles_as_its_file(tmp_path):
    path = tmp_path / "stores.yaml"
    path.write_text(f"stores: {{a: {{type: S3Store, config: {{bucket: b, secrets: {CANARY}}}}}}}\nmain: a\n")
    factory = StoreFactory(path)
    pickled = pickle.dumps(factory)
    assert not carries(pickled)
    again = pickle.loads(pickled)
    assert (again.path, again.main, again.definitions) == (factory.path, "a", factory.definitions)
    with pytest.raises(TypeError, match="holds secrets"):
        pickle.dumps(factory.definitions["a"])
