"""Credentials under time: renewed in the middle of long work on both planes, once for all threads, each for its own."""

from __future__ import annotations

import threading
import time

import pytest

from holdfast import CloudFiles
from holdfast.errors import AuthError
from holdfast.stores.s3 import S3Store
from tests.credentials.canary_servers import CanaryS3
from tests.servers.faults import error, instead
from tests.stores.s3_stores import quick

MIB = 1 << 20


@pytest.fixture
def s3():
    """An S3 that notes who signs."""
    with CanaryS3() as running:
        yield running


def signer(request):
    return request.headers.get("authorization", "").partition("Credential=")[2].partition("/")[0]


@pytest.fixture
def refusing(s3, issuer):
    """The same S3, which refuses credentials that have ended."""

    def expired(request):
        return None if issuer.holds(signer(request)) else instead(error(400, "ExpiredToken"))

    s3.fault = expired
    return s3


#: What goes through the engine, and what goes over the wire of our own.
PLANES = {
    "engine": lambda store: store.get("key"),
    "wire": lambda store: [row.key for row in store.list("a//")],
    "both": lambda store: (store.put("key", b"x"), store.put("a//b", b"y"), store.get("a//b")),
}


@pytest.mark.parametrize("plane", PLANES)
def test_each_plane_goes_on_when_credentials_end(refusing, instance, plane):
    instance.life = 1.0
    store = S3Store("bucket", endpoint=refusing.endpoint, retry=quick())
    store.put("key", b"x")
    ends = time.monotonic() + 20
    while len(refusing.signers) < 4 and time.monotonic() < ends:
        PLANES[plane](store)
    assert len(refusing.signers) >= 4
    assert refusing.signers == {f"ASIAISSUED{number:010}" for number in range(1, instance.issued + 1)}


def test_a_bulk_run_through_both_planes_outlives_its_credentials(refusing, instance):
    instance.life = 1.0
    files = CloudFiles(S3Store("bucket", endpoint=refusing.endpoint, retry=quick()))
    ends = time.monotonic() + 3

    def contents():
        number = 0
        while time.monotonic() < ends:
            yield f"{'a//' if number % 2 else 'a/'}{number}", b"data"
            number += 1

    count = files.puts(contents())
    assert count == len(refusing.objects)
    assert instance.issued >= 3


@pytest.mark.parametrize("key", ["large", "a//large"])
def test_a_long_upload_in_parts_outlives_its_credentials(refusing, instance, key):
    instance.life = 0.8
    store = S3Store("bucket", endpoint=refusing.endpoint, retry=quick())
    blocks = [bytes([number]) * (6 * MIB) for number in range(8)]

    def slowly():
        for block in blocks:
            time.sleep(0.4)
            yield block

    store.put(key, slowly())
    assert refusing.objects[key].body == b"".join(blocks)
    assert not refusing.uploads
    parts = [request for request in refusing.requests if "partNumber" in request.query]
    assert len({signer(request) for request in parts}) >= 3


def test_many_threads_renew_once(refusing, instance):
    instance.life, instance.delay = 1.0, 0.1
    store = S3Store("bucket", endpoint=refusing.endpoint, retry=quick())
    store.put("a//key", b"data")
    assert instance.issued == 1
    time.sleep(1.1)
    instance.life = 3600.0
    found, gate = [], threading.Barrier(16)

    def read():
        gate.wait()
        found.append(store.get("a//key"))  # over the wire: the engine has a lock of its own

    threads = [threading.Thread(target=read) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [b"data"] * 16
    assert instance.issued == 2


def test_a_renewal_that_fails_is_no_matter_while_the_old_ones_hold(refusing, instance):
    instance.life = 4.0
    store = S3Store("bucket", endpoint=refusing.endpoint, retry=quick())
    store.put("key", b"data")
    provider, held = store._provider(), store.credentials()
    instance.status = 500
    ends = time.monotonic() + 20
    while provider._not_before == 0.0 and time.monotonic() < ends:
        assert store.get("key") == b"data"
    assert provider._not_before > 0.0, "it was not asked for others before the end"
    assert store.credentials() is held
    assert store.get("key") == b"data"


def test_a_clock_that_is_wrong_is_said_to_be(s3, instance):
    s3.fault = lambda request: instead(error(403, "RequestTimeTooSkewed"))
    store = S3Store("bucket", endpoint=s3.endpoint, retry=quick())
    for call in (lambda: store.get("key"), lambda: store.put("a//b", b"x"), lambda: list(store.list())):
        with pytest.raises(AuthError, match="set this machine's clock"):
            call()


def test_two_profiles_are_used_side_by_side(s3, home, monkeypatch):
    (home / ".aws").mkdir()
    names = ("one", "two")
    sections = [f"[{name}]\naws_access_key_id = AK{name}\naws_secret_access_key = s\n" for name in names]
    (home / ".aws" / "credentials").write_text("".join(sections))
    stores, same = {}, quick()
    for name in names:
        monkeypatch.setenv("AWS_PROFILE", name)
        stores[name] = S3Store("bucket", endpoint=s3.endpoint, retry=same)
        assert stores[name].credentials().access_key_id == f"AK{name}"
    monkeypatch.delenv("AWS_PROFILE")

    def use(name):
        for number in range(20):
            stores[name].put(f"{name}/{number}", b"x")
            stores[name].put(f"{name}//{number}", b"x")

    threads = [threading.Thread(target=use, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(s3.objects) == 80
    used = {(request.key.partition("/")[0], signer(request)) for request in s3.requests}
    assert used == {("one", "AKone"), ("two", "AKtwo")}
