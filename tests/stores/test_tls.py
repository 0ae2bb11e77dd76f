"""Certificates and proxies on both planes of every store: what the engine sends, and requests of our own."""

from __future__ import annotations

import base64
import contextlib
from datetime import datetime

import pytest
import trustme

from holdfast.errors import ConfigError, HoldfastError
from holdfast.retry import Policy
from holdfast.stores.az import AzureStore
from holdfast.stores.gs import GoogleStore
from holdfast.stores.http import HttpStore
from holdfast.stores.s3 import S3Store
from tests.servers.tls import NotingServer

ONCE = Policy(tries=1)
ACCOUNT_KEY = base64.b64encode(b"an account key of nobody").decode()
STORES = {
    "s3": lambda at: S3Store("bucket", endpoint=at, access_key_id="AK", secret_access_key="s", retry=ONCE),
    "gs": lambda at: GoogleStore("bucket", endpoint=at, token="t", retry=ONCE),
    "az": lambda at: AzureStore("container", endpoint=f"{at}/me", account_key=ACCOUNT_KEY, retry=ONCE),
    "http": lambda at: HttpStore(at, retry=ONCE),
}
FAULTS = {"unknown": "authority is unknown", "wrong name": "another host name", "expired": "has expired"}


def by_the_engine(store):
    assert store.get("key") == b"object"


def by_ourselves(store):
    """A request of our own; that the answer is no listing does not matter here."""
    if isinstance(store, HttpStore):
        store._transport.open(store._request("key", "GET", {})).drain_conn()
        return
    with pytest.raises(HoldfastError) as caught:
        list(store.list())
    if isinstance(caught.value, ConfigError) or "certificate" in str(caught.value):
        raise caught.value


@pytest.fixture(params=STORES)
def make(request):
    return STORES[request.param]


@pytest.fixture(params=[by_the_engine, by_ourselves])
def ask(request):
    return request.param


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def bundle(authority, tmp_path, monkeypatch):
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "authority.pem"))


def certificate(authority, fault):
    if fault == "unknown":
        return trustme.CA().issue_cert("localhost")
    if fault == "expired":
        begin, end = (datetime(year, 1, 1) for year in (2020, 2021))  # noqa: DTZ001 - what trustme takes
        return authority.issue_cert("localhost", not_before=begin, not_after=end)
    return authority.issue_cert("other.example" if fault == "wrong name" else "localhost")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_certificate_with_a_fault_is_refused_with_its_cure(authority, bundle, make, ask, fault):
    with NotingServer(certificate(authority, fault)) as server:
        with pytest.raises(ConfigError, match=FAULTS[fault]) as caught:
            ask(make(server.endpoint))
        assert not caught.value.retryable
        assert not server.requests


def test_the_authorities_of_the_bundle_are_trusted(authority, bundle, make, ask):
    with NotingServer(certificate(authority, None)) as server:
        ask(make(server.endpoint))
        assert server.requests


@pytest.mark.parametrize(("scheme", "method"), [("http", "GET"), ("https", "CONNECT")])
def test_requests_go_through_the_proxy_of_the_environment(make, ask, scheme, method, monkeypatch):
    with NotingServer() as proxy:
        monkeypatch.setenv(f"{scheme}_proxy", f"http://127.0.0.1:{proxy.port}")
        with contextlib.suppress(HoldfastError):  # nothing listens at the target itself
            ask(make(f"{scheme}://localhost:9"))
        assert {request[0] for request in proxy.requests} == {method}
        proxy.requests.clear()
        monkeypatch.setenv("no_proxy", "localhost")
        with contextlib.suppress(HoldfastError):
            ask(make(f"{scheme}://localhost:9"))
        assert not proxy.requests
