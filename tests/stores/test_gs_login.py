"""Credentials of GoogleStore: every form, against token and metadata services on loopback, renewed in mid-run."""

from __future__ import annotations

import base64
import json
import time
import urllib.parse
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from holdfast.engine import Engine
from holdfast.errors import AuthError, ConfigError, StoreError
from holdfast.stores import gs_tokens
from holdfast.stores.gs import GoogleStore
from tests.servers import Gcs
from tests.stores.s3_stores import quick
from tests.stores.scripted import Answer, Scripted

USER = {"type": "authorized_user", "client_id": "me", "client_secret": "c4nary-secret", "refresh_token": "c4nary-token"}
EMAIL = "robot@project.iam.gserviceaccount.com"


@pytest.fixture(autouse=True)
def nothing_remembered():
    gs_tokens.bearer.cache_clear()
    gs_tokens._absent.clear()


@pytest.fixture
def server():
    with Gcs() as server:
        yield server


@pytest.fixture
def bucket(server):
    bucket = server.make_bucket()
    server.put(bucket, "key", b"data")
    return bucket


@pytest.fixture
def open_bucket(server, bucket):
    return lambda **options: GoogleStore(bucket, endpoint=server.endpoint, retry=quick(), **options)


class Tokens:
    """A token service, and a metadata service, whose tokens last ``seconds`` and are good for as long."""

    def __init__(self, seconds=3600.0, status=200):
        self.seconds = seconds
        self.status = status
        self.given = {}

    def __call__(self, request):
        self.asked = request
        if self.status != 200:
            return Answer(self.status, json.dumps({"error": "invalid_grant"}).encode())
        token = f"token-{len(self.given) + 1}"
        self.given[token] = time.monotonic() + self.seconds
        return Answer(200, json.dumps({"access_token": token, "expires_in": self.seconds}).encode())

    def accepts(self, token):
        return time.monotonic() < self.given.get(token, 0)


@pytest.fixture
def tokens(server):
    """Make a token service, and the fake accept its tokens while they last."""
    services = []

    def start(**options):
        tokens = Tokens(**options)
        service = Scripted(tokens)
        services.append(service)
        server.accepts = tokens.accepts
        return tokens, service.__enter__()

    yield start
    for service in services:
        service.__exit__()


def user_file(path, service, **changes):
    path.write_text(json.dumps({**USER, "token_uri": f"{service.endpoint}/token", **changes}))
    return str(path)


def use(store):
    """Everything that takes another way: the engine's reads, writes and listings, and requests of our own."""
    store.put("other", b"x")
    assert store.get("key") == b"data"
    assert [row.key for row in store.list()] == ["key", "other"]
    store.delete_if("other", store.head("other").etag)


# ---------------------------------------------------------------------- gcloud's login
def test_gcloud_logs_in(open_bucket, tokens, tmp_path, monkeypatch):
    made, service = tokens()
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    user_file(tmp_path / "application_default_credentials.json", service)
    use(open_bucket())
    use(open_bucket())
    assert len(made.given) == 1, "one token is enough for a process"
    sent = dict(urllib.parse.parse_qsl(made.asked.body.decode()))
    assert sent == {"grant_type": "refresh_token", **{name: USER[name] for name in USER if name != "type"}}


def test_a_variable_names_the_file(open_bucket, tokens, tmp_path, monkeypatch):
    _, service = tokens()
    path = user_file(tmp_path / "me.json", service)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", path)
    use(open_bucket())
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT", path)
    with pytest.raises(ConfigError, match="no service account"):
        open_bucket().get("key")


def test_a_login_that_is_refused_says_what_to_do(open_bucket, tokens, tmp_path, monkeypatch):
    _, service = tokens(status=400)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", user_file(tmp_path / "me.json", service))
    store = open_bucket()
    for call in (lambda: store.get("key"), lambda: store.put("key", b"x"), lambda: store.create("new", b"x")):
        with pytest.raises(AuthError, match="gcloud auth application-default login") as caught:
            call()
        assert "c4nary" not in f"{caught.value} {caught.value!r} {caught.value.cause!r} {caught.value.__context__!r}"


def test_a_token_service_that_is_down_is_asked_again(open_bucket, server, tokens, tmp_path, monkeypatch):
    made, service = tokens(status=503)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", user_file(tmp_path / "me.json", service))
    with pytest.raises(StoreError, match="gave up after 7 tries"):
        open_bucket().get("key")
    made.status = 200
    assert open_bucket().get("key") == b"data"


# ---------------------------------------------------------------------- this machine
def test_this_machines_own_account(open_bucket, tokens, monkeypatch):
    made, service = tokens()
    monkeypatch.delenv("NO_GCE_CHECK")
    monkeypatch.setenv("GCE_METADATA_HOST", service.endpoint.removeprefix("http://"))
    use(open_bucket())
    assert made.asked.headers["metadata-flavor"] == "Google"
    assert made.asked.target == "/computeMetadata/v1/instance/service-accounts/default/token"
    assert len(made.given) == 1


def test_a_machine_without_an_account_answers_soon_and_names_the_cure(open_bucket, monkeypatch):
    monkeypatch.delenv("NO_GCE_CHECK")
    with Scripted(lambda request: time.sleep(20) or Answer()) as silent:
        monkeypatch.setenv("GCE_METADATA_HOST", silent.endpoint.removeprefix("http://"))
        started = time.monotonic()
        store = open_bucket()
        with pytest.raises(AuthError, match="anonymous=True"):
            store.get("key")
        outcomes = list(Engine().run(store.get, [f"key-{n}" for n in range(100)], on_error="collect"))
        assert time.monotonic() - started < 10
        assert {type(outcome.error) for outcome in outcomes} == {AuthError}
        assert len(silent.requests) == 1


def test_a_metadata_service_that_stumbles_is_asked_again(open_bucket, tokens, monkeypatch):
    made, service = tokens(seconds=0.0)
    monkeypatch.delenv("NO_GCE_CHECK")
    monkeypatch.setenv("GCE_METADATA_HOST", service.endpoint.removeprefix("http://"))
    store = open_bucket()
    store.login()
    made.status = 503
    with pytest.raises(StoreError, match="gave up after 7 tries"):
        store.get("key")
    made.status, made.seconds = 200, 3600.0
    assert store.get("key") == b"data"


def test_without_credentials_the_error_names_the_sources(open_bucket):
    with pytest.raises(AuthError, match=r"GOOGLE_APPLICATION_CREDENTIALS.*NO_GCE_CHECK.*anonymous=True"):
        open_bucket().get("key")


def test_a_public_bucket_is_read_by_anybody(server, monkeypatch):
    bucket = server.make_bucket(public=True)
    server.put(bucket, "key", b"data")
    store = GoogleStore(bucket, endpoint=server.endpoint, anonymous=True)
    assert store.get("key") == b"data"
    server.chunked = True
    assert store.get("key") == b"data"
    with pytest.raises(AuthError):
        store.put("key", b"x")


# ---------------------------------------------------------------------- renewal
@pytest.mark.parametrize("source", ["user", "metadata"])
def test_tokens_that_end_in_mid_run_are_renewed(open_bucket, server, tokens, tmp_path, monkeypatch, source):
    made, service = tokens(seconds=2.0)
    monkeypatch.setattr(gs_tokens, "MARGIN", timedelta(seconds=1))
    if source == "user":
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", user_file(tmp_path / "me.json", service))
    else:
        monkeypatch.delenv("NO_GCE_CHECK")
        monkeypatch.setenv("GCE_METADATA_HOST", service.endpoint.removeprefix("http://"))
    store = open_bucket()
    started, reads = time.monotonic(), 0
    while time.monotonic() - started < 5:
        assert store.get("key") == b"data"
        reads += 1
        server.chunked = not server.chunked  # by the engine, and by ourselves
        time.sleep(0.05)
    assert 2 < len(made.given) < 12 < reads


def test_a_token_is_asked_for_by_one_thread_at_a_time():
    asked = []

    def ask():
        asked.append(1)
        return {"token": "t", "expires_at": datetime.now(UTC) + timedelta(seconds=1)}

    bearer = gs_tokens.Bearer(ask)
    for _ in range(100):
        bearer()
    assert len(asked) == 1, "one that is about to end is still good for a second"


# ---------------------------------------------------------------------- service accounts and other forms
@pytest.fixture(scope="module")
def robot():
    """A service account: its file's content, and whether a token is signed by it and for us."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    content = {
        "type": "service_account",
        "client_email": EMAIL,
        "private_key": key.private_bytes(*pem).decode(),
        "private_key_id": "1",
        "token_uri": "http://127.0.0.1:9/never-asked",
    }

    def accepts(token):
        signed, _, signature = token.rpartition(".")
        key.public_key().verify(decoded(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        claims = json.loads(decoded(signed.partition(".")[2]))
        return claims["iss"] == EMAIL and "googleapis.com/auth/" in claims["scope"] and claims["exp"] > time.time()

    return content, accepts


FORMS = (
    *("argument", "secrets"),
    *("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_KEY"),
)


def decoded(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


@pytest.mark.parametrize("form", FORMS)
def test_service_accounts_sign_for_themselves(open_bucket, server, robot, tmp_path, monkeypatch, form):
    pytest.importorskip("google.auth")
    content, server.accepts = robot
    path = tmp_path / "robot.json"
    path.write_text(json.dumps(content))
    if form == "argument":
        use(open_bucket(service_account=path))
    elif form == "secrets":
        use(open_bucket(secrets=content))
    else:
        monkeypatch.setenv(form, path.read_text() if form.endswith("_KEY") else str(path))
        use(open_bucket())


def test_without_google_auth_a_service_account_reads_and_writes(open_bucket, server, robot, monkeypatch):
    content, server.accepts = robot
    monkeypatch.setitem(__import__("sys").modules, "google.oauth2.service_account", None)
    store = open_bucket(secrets=content)
    store.replace_if("key", b"new", store.head("key").etag)
    assert store.get("key") == b"new"
    with pytest.raises(ConfigError, match=r"pip install 'holdfast\[gcs\]'"):
        store.delete_if("key", store.head("key").etag)


def test_an_explicit_service_account_wins_over_the_variables(open_bucket, server, robot, tmp_path, monkeypatch):
    content, server.accepts = robot
    (tmp_path / "other.json").write_text(json.dumps({**content, "client_email": "other@project"}))
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT", str(tmp_path / "other.json"))
    use(open_bucket(secrets=content))


def test_an_account_of_another_provider(open_bucket, tokens, tmp_path, monkeypatch):
    pytest.importorskip("google.auth")
    made, service = tokens()
    (tmp_path / "subject").write_text("subject-token")
    account = {
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{service.endpoint}/v1/token",
        "credential_source": {"file": str(tmp_path / "subject")},
    }
    path = tmp_path / "account.json"
    path.write_text(json.dumps(account))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    use(open_bucket())
    assert b"subject-token" in made.asked.body
    assert len(made.given) == 1


def test_an_object_of_google_auth_is_renewed(open_bucket, server):
    credentials = pytest.importorskip("google.auth.credentials")

    class Credential(credentials.Credentials):
        count = 0

        def refresh(self, request):
            type(self).count += 1
            self.token = "mine"
            self.expiry = datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=1)

    server.accepts = lambda token: token == "mine"
    use(open_bucket(credential=Credential()))
    assert Credential.count == 1


@pytest.mark.parametrize(("retryable", "kind"), [(False, AuthError), (True, StoreError)])
def test_an_object_that_gives_no_token_says_why(open_bucket, server, retryable, kind):
    exceptions = pytest.importorskip("google.auth.exceptions")

    class Credential:
        valid = False

        def refresh(self, request):
            raise exceptions.RefreshError("type gcloud auth login", retryable=retryable)

    store = open_bucket(credential=Credential())
    server.chunked = True
    for call in (lambda: store.get("key"), lambda: store.delete_if("key", '"1"')):
        with pytest.raises(kind, match="gcloud auth login"):
            call()
    assert not server.requests


@pytest.mark.parametrize(
    "options",
    [
        {"token": "x", "anonymous": True},
        {"token": "x", "secrets": {}},
        {"token": "x\n"},
        {"token": ""},
        {"credential": "x"},
        {"secrets": {"type": "service_account", "client_email": EMAIL}},
        {"secrets": {"type": "authorized_user"}},
        {"service_account": "/no/such/file"},
    ],
)
def test_credentials_that_cannot_be_are_refused(options):
    with pytest.raises(ConfigError):
        GoogleStore("bucket", **options)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"type": "authorized_user"}', '{"type": "service_account"}', "no json"]
)
def test_files_that_cannot_be_are_refused(open_bucket, tmp_path, monkeypatch, text):
    path = tmp_path / "x.json"
    path.write_text(text)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    with pytest.raises(ConfigError, match="GOOGLE_APPLICATION_CREDENTIALS"):
        open_bucket().get("key")
