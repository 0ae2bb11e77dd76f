"""Instance metadata, container metadata and STS, played by a local service, and objects read with what they give."""

from __future__ import annotations

import threading
import time

import pytest

from holdfast import CloudFiles
from holdfast.credentials import find
from holdfast.errors import AuthError, ConfigError, StoreError
from holdfast.stores.s3 import S3Store
from tests.credentials.issuer import CANARY, TOKEN


@pytest.fixture
def container(issuer, monkeypatch):
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{issuer.endpoint}/container/task")
    return issuer


@pytest.fixture
def web_identity(issuer, monkeypatch, tmp_path):
    token = tmp_path / "token"
    token.write_text("web-identity-token\n")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/reader")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", issuer.endpoint)
    return issuer


def won(bucket="bucket"):
    found = find(bucket)
    return found.looks[-1].source, found.provider.current()


def test_instance_metadata_is_asked_in_version_2(instance):
    source, found = won()
    assert source == "instance metadata"
    assert found.access_key_id.startswith("ASIAISSUED")
    assert found.session_token.startswith(CANARY)
    methods = [(method, path) for method, path, _, _ in instance.asked]
    roles = "/latest/meta-data/iam/security-credentials/"
    assert methods == [("PUT", "/latest/api/token"), ("GET", roles), ("GET", roles + "the-role")]
    assert [headers.get("X-aws-ec2-metadata-token") for _, _, headers, _ in instance.asked] == [None, TOKEN, TOKEN]


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_machine_without_a_role_finds_nothing_and_is_told_about_anonymous_access(instance, status):
    instance.status = status
    store = S3Store("bucket", endpoint=instance.endpoint)
    with pytest.raises(AuthError, match=rf"instance metadata: .*{status}.*anonymous=True"):
        store.get("key")
    asked = len(instance.asked)
    with pytest.raises(AuthError):
        S3Store("bucket", endpoint=instance.endpoint).get("key")
    assert len(instance.asked) == asked, "a service that is not there is asked once, not for every object"


def test_a_metadata_service_that_hangs_is_given_up_within_three_seconds(instance):
    instance.delay = 8
    began = time.monotonic()
    with pytest.raises(AuthError, match=r"instance metadata.*gave no answer.*anonymous=True"):
        S3Store("bucket", endpoint=instance.endpoint).get("key")
    assert time.monotonic() - began < 3.0


def test_metadata_services_are_never_asked_through_a_proxy(instance, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert won()[0] == "instance metadata"


def test_instance_metadata_that_is_disabled_is_left_alone(instance, monkeypatch):
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert find("bucket").provider is None
    assert not instance.asked


def test_container_metadata_gets_the_token_of_the_environment_or_of_a_file(container, monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Bearer one")
    assert won()[0] == "container metadata"
    file = tmp_path / "container-token"
    file.write_text("Bearer two\n")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(file))
    assert won()[0] == "container metadata"
    assert [headers["Authorization"] for _, _, headers, _ in container.asked] == ["Bearer one", "Bearer two"]


@pytest.mark.parametrize("uri", ["http://example.com/credentials", "http://10.0.0.1/", "ftp://localhost/", "nonsense"])
def test_container_credentials_do_not_travel_in_the_open(uri, monkeypatch):
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri)
    with pytest.raises(ConfigError, match="in the open"):
        find("bucket")


def test_a_web_identity_is_traded_for_a_role(web_identity):
    source, found = won()
    assert source == "web identity"
    assert found.secret_access_key.startswith(CANARY)
    [(method, _, _, body)] = web_identity.asked
    assert method == "POST"
    assert "WebIdentityToken=web-identity-token" in body
    assert "RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Freader" in body


def test_a_refused_web_identity_is_an_error_and_not_passed_over(web_identity):
    web_identity.status = 403
    with pytest.raises(AuthError, match=r"STS.*refuses.*403 AccessDenied.*trust") as caught:
        find("bucket")
    assert "web-identity-token" not in str(caught.value)


def test_a_web_identity_without_role_or_token_is_a_configuration_error(web_identity, monkeypatch, tmp_path):
    monkeypatch.delenv("AWS_ROLE_ARN")
    with pytest.raises(ConfigError, match="AWS_ROLE_ARN"):
        find("bucket")
    monkeypatch.setenv("AWS_ROLE_ARN", "r")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "missing"))
    with pytest.raises(ConfigError, match="No such file"):
        find("bucket")


@pytest.mark.parametrize(("status", "kind", "retryable"), [(403, AuthError, False), (500, StoreError, True)])
def test_a_container_service_that_is_named_is_never_skipped(instance, monkeypatch, status, kind, retryable):
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{instance.endpoint}/container/task")
    monkeypatch.setattr(instance, "status", status)
    with pytest.raises(kind, match=f"container metadata.*{status}.*AWS_CONTAINER") as caught:
        find("bucket")
    assert caught.value.retryable is retryable
    assert not [path for _, path, _, _ in instance.asked if "/latest/" in path]


@pytest.mark.parametrize("service", ["instance", "container", "web_identity"])
def test_credentials_that_end_in_mid_run_are_renewed_and_no_request_is_refused(service, request):
    issuer = request.getfixturevalue(service)
    issuer.life = 1.0
    store = S3Store("bucket", endpoint=issuer.endpoint)
    deadline = time.monotonic() + 20
    while len(set(issuer.signers)) < 4 and time.monotonic() < deadline:
        assert store.get("key") == b"object"
    assert len(set(issuer.signers)) >= 4
    assert issuer.refused == 0
    assert len(store.credentials().secret_access_key) > 0


def test_many_threads_and_stores_share_one_set_of_credentials(instance):
    stores = [S3Store("bucket", endpoint=instance.endpoint) for _ in range(4)]
    threads = [
        threading.Thread(target=lambda store=store: [store.get("key") for _ in range(5)])
        for store in stores
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(instance.signers) == 80
    assert instance.issued == 1


def test_a_bulk_run_outlives_its_credentials(instance):
    # They are renewed a quarter of their life before its end: what is signed then may be on its way for half a second.
    instance.life = 2.0
    files = CloudFiles(f"s3://{instance.endpoint}/bucket")
    ends = time.monotonic() + 5

    def paths():
        while time.monotonic() < ends:
            yield "key"

    assert {row["content"] for row in files.get(paths())} == {b"object"}
    assert instance.issued >= 3
    assert instance.refused == 0


def test_when_renewal_fails_for_good_the_error_says_so(instance):
    instance.life = 0.3
    store = S3Store("bucket", endpoint=instance.endpoint)
    assert store.get("key") == b"object"
    instance.status = 500
    time.sleep(0.4)
    with pytest.raises(AuthError, match=r"have ended and cannot be renewed.*500") as caught:
        store.get("key")
    assert CANARY not in str(caught.value) + repr(caught.value.cause)
