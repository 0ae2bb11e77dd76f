"""Certificates and proxies of the environment, on the engine's connections and on our own."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from datetime import datetime

import pytest
import trustme
import urllib3

from holdfast import network
from holdfast.errors import ConfigError, HoldfastError, Unsupported
from holdfast.retry import Policy
from holdfast.stores.s3 import S3Store
from tests.servers.tls import NotingServer

PASSWORD = "CANARYproxy"


def read(endpoint):
    """What the engine reads from this endpoint."""
    secrets = {"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "s"}
    return S3Store("bucket", endpoint=endpoint, secrets=secrets, retry=Policy(tries=1)).get("key")


def read_ourselves(endpoint):
    """What a request of our own reads from this endpoint."""
    return network.pool_manager(endpoint, retries=False).request("GET", f"{endpoint}/bucket/key").data


@pytest.fixture(params=[read, read_ourselves], ids=["engine", "own"])
def reader(request):
    return request.param


# ---------------------------------------------------------------------- certificates
@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def bundle(authority, tmp_path):
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


def certificate(authority, fault):
    if fault == "unknown":
        return trustme.CA().issue_cert("localhost")
    if fault == "expired":
        past = [datetime(year, 1, 1) for year in (2020, 2021)]  # noqa: DTZ001 - what trustme takes
        return authority.issue_cert("localhost", not_before=past[0], not_after=past[1])
    return authority.issue_cert("other.example" if fault == "wrong name" else "localhost")


def test_the_authorities_of_the_bundle_are_trusted(authority, bundle, reader, monkeypatch):
    with NotingServer(certificate(authority, None)) as server:
        with pytest.raises((ConfigError, urllib3.exceptions.SSLError)):
            reader(server.endpoint)
        monkeypatch.setenv("AWS_CA_BUNDLE", bundle)
        assert reader(server.endpoint) == b"object"


@pytest.mark.parametrize(
    ("fault", "cure"), [("unknown", "AWS_CA_BUNDLE"), ("wrong name", "another host name"), ("expired", "expired")]
)
def test_a_certificate_with_a_fault_is_refused_with_its_cure(authority, bundle, fault, cure, monkeypatch):
    monkeypatch.setenv("AWS_CA_BUNDLE", bundle)
    with NotingServer(certificate(authority, fault)) as server:
        with pytest.raises(ConfigError, match=cure) as caught:
            read(server.endpoint)
        assert not caught.value.retryable
        with pytest.raises(urllib3.exceptions.SSLError):
            read_ourselves(server.endpoint)
        assert not server.requests


@pytest.mark.parametrize("plane", ["read", "read_ourselves"])
def test_ssl_cert_file_replaces_the_authorities_of_the_system(authority, bundle, plane):
    with NotingServer(certificate(authority, None)) as server:
        # In a process of its own: libraries read the variable once.
        program = f"from tests.test_network import {plane} as read; print(read({server.endpoint!r}))"
        environment = {**os.environ, "SSL_CERT_FILE": bundle, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, timeout=60)
        assert done.stdout == b"b'object'\n", done.stderr


@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_a_bundle_that_cannot_be_used_is_a_configuration_error(content, reader, tmp_path, monkeypatch):
    path = tmp_path / "bundle.pem"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(path))
    with pytest.raises(ConfigError, match="AWS_CA_BUNDLE"):
        reader("https://localhost:1")


# ---------------------------------------------------------------------- proxies
@pytest.fixture
def proxy():
    with NotingServer() as server:
        yield server


def proxied(proxy, reader, target, monkeypatch, **environment):
    """Which kinds of request to the target the proxy has seen, under this environment."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    proxy.requests.clear()
    told = ""
    try:
        reader(target)
    except (HoldfastError, urllib3.exceptions.HTTPError) as error:  # nothing listens at the target itself
        told = f"{error!r}{error}"
    assert PASSWORD not in told
    return [method for method, _, _ in proxy.requests]


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_plain_requests_go_through_the_proxy_with_its_password(proxy, reader, name, monkeypatch):
    where = f"http://user:{PASSWORD}@127.0.0.1:{proxy.port}"
    assert proxied(proxy, reader, "http://localhost:9", monkeypatch, **{name: where}) == ["GET"]
    [(_, target, headers)] = proxy.requests
    assert target == "http://localhost:9/bucket/key"
    assert base64.b64decode(headers["proxy-authorization"].split()[1]).decode() == f"user:{PASSWORD}"


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_secure_requests_ask_the_proxy_for_a_tunnel(proxy, reader, name, monkeypatch):
    where = f"http://user:{PASSWORD}@127.0.0.1:{proxy.port}"
    assert proxied(proxy, reader, "https://localhost:9", monkeypatch, **{name: where}) == ["CONNECT"]


def test_a_proxy_is_for_its_own_scheme(proxy, reader, monkeypatch):
    where = f"127.0.0.1:{proxy.port}"
    assert proxied(proxy, reader, "https://localhost:9", monkeypatch, HTTP_PROXY=where) == []
    assert proxied(proxy, reader, "http://localhost:9", monkeypatch) == ["GET"]


@pytest.mark.parametrize(
    ("exceptions", "direct"),
    [
        ("127.0.0.1", True),
        ("other.example, 127.0.0.1", True),
        ("127.0.0.0/8", True),
        ("*", True),
        ("10.0.0.0/8", False),
        ("27.0.0.1", False),
        ("nonsense/8", False),
    ],
)
def test_no_proxy_names_addresses_networks_or_all(proxy, reader, exceptions, direct, monkeypatch):
    environment = {"HTTP_PROXY": f"http://127.0.0.1:{proxy.port}", "NO_PROXY": exceptions}
    assert bool(proxied(proxy, reader, "http://127.0.0.1:9", monkeypatch, **environment)) is not direct


@pytest.mark.parametrize(("exceptions", "direct"), [("localhost", True), (".localhost", True), ("host", False)])
def test_no_proxy_names_hosts(proxy, reader, exceptions, direct, monkeypatch):
    environment = {"HTTP_PROXY": f"http://127.0.0.1:{proxy.port}", "no_proxy": exceptions}
    assert bool(proxied(proxy, reader, "http://localhost:9", monkeypatch, **environment)) is not direct


def test_connections_made_under_other_variables_are_not_shared(proxy, monkeypatch):
    secrets = {"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "s"}
    before = S3Store("bucket", endpoint="http://localhost:9", secrets=secrets).client()
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
    assert S3Store("bucket", endpoint="http://localhost:9", secrets=secrets).client() is not before


@pytest.mark.parametrize("key", ["a/../b", "a/./b", "..", "a/.."])
def test_a_key_that_would_arrive_as_another_is_not_sent_through_a_proxy(proxy, key, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
    secrets = {"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "s"}
    store = S3Store("bucket", endpoint="http://localhost:9", secrets=secrets, retry=Policy(tries=1))
    with pytest.raises(Unsupported, match="NO_PROXY") as caught:
        store.put(key, b"x")
    assert caught.value.key == key
    assert not [target for _, target, _ in proxy.requests if target != "http://localhost:9/bucket"]
