"""AzureStore: credentials, lost answers and what goes wrong, on Azurite and on a server whose answers are scripted."""

from __future__ import annotations

import base64
import pickle
import time
import traceback
from types import SimpleNamespace

import pytest

from holdfast import open_store
from holdfast.errors import (
    AlreadyExists,
    AuthError,
    BucketNotFound,
    ConfigError,
    Conflict,
    HoldfastError,
    Indeterminate,
    InvalidKey,
    NotFound,
    Throttled,
)
from holdfast.stores.az import AzureStore
from holdfast.types import WriteOptions
from tests.stores.cloud_checks import assert_ctrl_c_ends
from tests.stores.s3_stores import quick
from tests.stores.scripted import Answer, Scripted

KEY = base64.b64encode(b"an account key of nobody").decode()
HISTORY = "x-ms-meta-holdfasthistory"
THERE = Answer(200, headers={"ETag": '"1"'})
OPENING = """from holdfast.stores.az import AzureStore
store = AzureStore("container", endpoint=ENDPOINT + "/me", anonymous=True)"""


def scripted(server, **options):
    return AzureStore("container", endpoint=f"{server.endpoint}/me", account_key=KEY, retry=quick(), **options)


@pytest.fixture
def container(azurite):
    return azurite.make_container()


@pytest.fixture
def store(azurite, container):
    return AzureStore(container, endpoint=azurite.endpoint, account_key=azurite.account_key, retry=quick())


# ---------------------------------------------------------------------- opening, credentials
def test_locations_open(azurite, container, monkeypatch):
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", azurite.account_key)
    with open_store(azurite.url(container, "run1")) as store:
        store.put("a", b"1")
    assert azurite.objects(container) == {"run1/a": b"1"}
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "me")
    assert open_store("az://container").name == "az://https://me.blob.core.windows.net/container"
    own = open_store("az://https://you.blob.core.chinacloudapi.cn/container/x")
    assert own.name == "az://https://you.blob.core.chinacloudapi.cn/container/x/"


@pytest.mark.parametrize("name", ["", "ab", "UPPER", "a_b", "a--b", "-ab", "abc-", "a/b", "x" * 64])
def test_what_can_be_no_container_is_refused(name):
    with pytest.raises(ConfigError):
        AzureStore(name, account="me", anonymous=True)


@pytest.mark.parametrize(
    "options",
    [
        {"account_key": KEY, "sas_token": "sig=x"},
        {"account_key": KEY, "anonymous": True},
        {"account_key": "no base64!"},
        {"account_key": KEY + "\n"},
        {"secrets": {"PASSWORD": "x"}},
        {"secrets": {}},
        {"credential": "token"},
        {"endpoint": "https://user:pw@host/me"},
    ],
)
def test_credentials_that_cannot_be_are_refused(options):
    with pytest.raises(ConfigError) as caught:
        AzureStore("container", **{"account": "me", **options})
    assert KEY not in str(caught.value)
    assert "pw" not in str(caught.value)


def test_an_account_must_be_named():
    with pytest.raises(ConfigError, match="AZURE_STORAGE_ACCOUNT_NAME"):
        AzureStore("container", anonymous=True)


def test_without_credentials_the_error_names_the_sources():
    with pytest.raises(AuthError, match=r"AZURE_STORAGE_ACCOUNT_KEY.*anonymous=True"):
        AzureStore("container", account="me").get("key")


def test_a_connection_string_says_all(azurite, container, monkeypatch):
    text = f"AccountName={azurite.account};AccountKey={azurite.account_key};BlobEndpoint={azurite.endpoint};"
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
    AzureStore(container).put("a", b"1")
    assert azurite.objects(container) == {"a": b"1"}


def test_secrets_may_hold_the_key(azurite, container):
    for name in ("AZURE_STORAGE_ACCOUNT_KEY", "account_key"):
        secrets = {name: azurite.account_key}
        AzureStore(container, endpoint=azurite.endpoint, secrets=secrets).put("a", b"1")


def test_a_sas_token_goes_into_the_query_and_an_identity_into_the_header():
    with Scripted(lambda request: Answer(200, b"data", {"ETag": '"1"'})) as server:
        for token in ("sv=2021&sig=s%2Bs", "?sv=2021&sig=s%2Bs"):
            store = AzureStore("container", endpoint=f"{server.endpoint}/me", sas_token=token)
            assert store.get("key") == b"data"
            assert server.requests[-1].target == "/me/container/key?sv=2021&sig=s%2Bs"
            assert "authorization" not in server.requests[-1].headers
        asked = []
        answer = SimpleNamespace(token="t0ken", expires_on=4_000_000_000)
        identity = SimpleNamespace(get_token=lambda scope: asked.append(scope) or answer)
        AzureStore("container", endpoint=f"{server.endpoint}/me", credential=identity).get("key")
        assert server.requests[-1].headers["authorization"] == "Bearer t0ken"
        assert asked == ["https://storage.azure.com/.default"]


def test_an_identity_is_asked_again_before_its_token_ends():
    given = {}

    def get_token(scope):
        given[f"token-{len(given) + 1}"] = time.monotonic() + 2
        return SimpleNamespace(token=f"token-{len(given)}", expires_on=time.time() + 2)

    def answer(request):
        token = request.headers["authorization"].removeprefix("Bearer ")
        return Answer(200, b"data", {"ETag": '"1"'}) if time.monotonic() < given[token] else Answer(401)

    with Scripted(answer) as server:
        identity = SimpleNamespace(get_token=get_token)
        store = AzureStore("container", endpoint=f"{server.endpoint}/me", credential=identity)
        started = time.monotonic()
        while time.monotonic() - started < 3:
            assert store.get("key") == b"data"
            time.sleep(0.05)
    assert len(given) > 1


def test_an_identity_that_gives_no_token_is_an_auth_error():
    def get_token(scope):
        raise RuntimeError("no login, please type az login")

    with Scripted(lambda request: Answer()) as server:
        identity = SimpleNamespace(get_token=get_token)
        store = AzureStore("container", endpoint=f"{server.endpoint}/me", credential=identity)
        for call in (lambda: store.get("key"), lambda: store.delete_if("key", '"1"')):
            with pytest.raises(AuthError, match="az login"):
                call()
        assert not server.requests


def test_what_the_engine_would_read_from_the_environment_does_not_matter(monkeypatch):
    for name, value in {
        "AZURE_STORAGE_USE_EMULATOR": "true",
        "AZURE_SKIP_SIGNATURE": "true",
        "AZURE_STORAGE_TOKEN": "t0ken",
        "AZURE_STORAGE_ENDPOINT": "https://elsewhere.invalid",
        "AZURE_STORAGE_SAS_TOKEN": "sig=environment",
    }.items():
        monkeypatch.setenv(name, value)
    with Scripted(lambda request: Answer(200, b"data", {"ETag": '"1"'})) as server:
        scripted(server).get("key")
        assert server.requests[0].headers["authorization"].startswith("SharedKey me:")
        AzureStore("container", endpoint=f"{server.endpoint}/me", anonymous=True).get("key")
        assert "authorization" not in server.requests[1].headers
        assert server.requests[1].target == "/me/container/key"


def test_a_public_container_is_read_by_anybody(azurite):
    container = azurite.make_container(public=True)
    azurite.put(container, "key", b"data")
    store = AzureStore(container, endpoint=azurite.endpoint, anonymous=True)
    assert store.get("key") == b"data"
    assert [row.key for row in store.list()] == ["key"]
    with pytest.raises(AuthError, match="account key or SAS token"):
        store.put("key", b"x")


def test_a_wrong_key_is_an_auth_error_everywhere(azurite, container):
    store = AzureStore(container, endpoint=azurite.endpoint, account_key=KEY, retry=quick())
    for call in (
        lambda: store.get("key"),
        lambda: store.head("key"),
        lambda: store.put("key", b"x"),
        lambda: store.create("key", b"x"),
        lambda: list(store.list()),
        lambda: store.delete("key"),
    ):
        with pytest.raises(AuthError) as caught:
            call()
        assert KEY not in f"{caught.value!r} {caught.value.cause!r}"
    assert {type(error) for error in store.remove(["a", "b"])} <= {AuthError, type(caught.value)}


def test_secrets_are_shown_and_pickled_nowhere(azurite, container):
    store = AzureStore(container, endpoint=azurite.endpoint, account_key=azurite.account_key)
    store.put("key", b"data")
    assert azurite.account_key not in f"{store!r} {store.name} {store.login()!r} {store._locate('key')}"
    pickled = pickle.dumps(store)
    assert azurite.account_key.encode() not in pickled
    again = pickle.loads(pickle.dumps(pickle.loads(pickled)))
    with pytest.raises(AuthError, match="stayed behind"):
        again.get("key")


@pytest.mark.parametrize("login", [{"sas_token": "sv=2021&sig=c4nary"}, {"account_key": "c4naryAA"}, "identity"])
@pytest.mark.parametrize("answer", [Answer(202), Answer(403), Answer(302, headers={"Location": "/x"}), "none"])
def test_requests_of_our_own_show_no_secrets(login, answer, caplog):
    caplog.set_level("DEBUG")
    if login == "identity":
        identity = SimpleNamespace(token="c4nary", expires_on=4_000_000_000)
        login = {"credential": SimpleNamespace(get_token=lambda scope: identity)}
    if answer == "none":
        answer = Nothing(cut=0)
    with Scripted(lambda request: THERE if request.method == "HEAD" else answer) as server:
        store = AzureStore("container", endpoint=f"{server.endpoint}/me", retry=quick(), **login)
        try:
            store.delete_if("key", '"1"')
        except HoldfastError:
            shown = traceback.format_exc()
        else:
            shown = ""
        assert "c4nary" in f"{server.requests[-1].target}{server.requests[-1].headers}" or "account_key" in login
    assert bool(shown) == (answer.status != 202)
    assert "urllib3.connectionpool" in caplog.text
    assert "c4nary" not in shown + caplog.text


# ---------------------------------------------------------------------- what is missing, what looks odd
def test_a_missing_container_is_no_missing_key(azurite):
    store = AzureStore("not-there", endpoint=azurite.endpoint, account_key=azurite.account_key, retry=quick())
    for call in (
        lambda: store.get("key"),
        lambda: store.exists("key"),
        lambda: store.get_range("key", -3),
        lambda: store.put("key", b"x"),
        lambda: store.create("key", b"x"),
        lambda: list(store.list()),
        lambda: list(store.list(delimiter="/")),
        lambda: store.delete("key"),
    ):
        with pytest.raises(BucketNotFound):
            call()
    assert [type(error) for error in store.remove(["a", "b"])] == [BucketNotFound] * 2


def test_awkward_keys_are_kept_exactly(azurite, container, store):
    keys = ("a b", " a", "a%20b", "a%b", "a#b", "a?b", "a*b", "a[b]", "a~b", "a|b", "a^b`{}", "a+b", "a&b=c;d", "...x",
            "a\"b<c>'", "ü/é", "e\u0301", "\U0001f600", "a:b", "a@b", "-x")  # fmt: skip
    for key in keys:
        store.put(key, key.encode())
    assert azurite.objects(container) == {key: key.encode() for key in keys}
    assert sorted(row.key for row in store.list()) == sorted(keys)
    for key in keys:
        assert store.get(key) == key.encode()
        store.delete_if(key, store.head(key).etag)
    assert azurite.objects(container) == {}


@pytest.mark.parametrize("key", ["a\\b", "/a", "a/", "a//b", "../a", "a\nb", "x" * 1025, "a\uffff"])
def test_keys_that_would_be_altered_are_refused(store, key):
    for call in (store.get, store.head, lambda key: store.put(key, b""), lambda key: store.create(key, b"")):
        with pytest.raises((InvalidKey, NotFound)):
            call(key)
    assert isinstance(store.remove([key])[0], InvalidKey)


@pytest.mark.parametrize(
    "metadata", [{"a-b": "x"}, {"A": "x"}, {"1a": "x"}, {"holdfastx": "y"}, {"a": "ü"}, {"a": " x"}]
)
def test_metadata_that_would_not_come_back_is_refused(store, metadata):
    with pytest.raises(ConfigError):
        store.write("key", b"x", WriteOptions(metadata=metadata))
    assert not store.exists("key")


def test_what_a_conditional_write_keeps_for_itself_is_not_shown(store):
    store.write("key", b"x", WriteOptions(if_absent=True, metadata={"owner": "ann"}))
    assert dict(store.head("key").metadata) == {"owner": "ann"}


@pytest.mark.parametrize("key", ["key", "a b/%20+?#&=ü~'(x)", "\U0001f600", "x" * 1024])
def test_a_conditional_delete_takes_any_key_and_any_login(azurite, container, store, key):
    sas = azurite.sas(container)
    for other in (store, AzureStore(container, endpoint=azurite.endpoint, sas_token=sas, retry=quick())):
        old = store.put(key, b"x").etag
        new = store.put(key, b"y").etag
        with pytest.raises(Conflict):
            other.delete_if(key, old)
        assert azurite.objects(container) == {key: b"y"}
        other.delete_if(key, new)
        assert azurite.objects(container) == {}
        with pytest.raises(NotFound):
            other.delete_if(key, new)


def test_a_conditional_delete_carries_an_identity():
    answer = SimpleNamespace(token="t0ken", expires_on=4_000_000_000)
    identity = SimpleNamespace(get_token=lambda scope: answer)
    with Scripted(lambda request: THERE if request.method == "HEAD" else Answer(202)) as server:
        AzureStore("container", endpoint=f"{server.endpoint}/me", credential=identity).delete_if("key", '"1"')
    assert server.requests[1].headers["authorization"] == "Bearer t0ken"
    assert server.requests[1].headers["if-match"] == '"1"'


# ---------------------------------------------------------------------- lost answers
class Nothing(Answer):
    """The connection is closed instead of an answer."""

    def head(self, method):
        return b""


class Lossy:
    """One blob behind Azure's conditions, whose first answers to PUT are replaced: ``lost`` after doing it or not."""

    def __init__(self, *lost, value=None, after=None):
        self.lost = list(lost)
        self.value, self.headers = value, {}
        self.version = 1
        self.after = after  # called after the first lost write

    def __call__(self, request):
        if request.method == "DELETE":
            return self.delete(request)
        if request.method == "PUT":
            allowed = request.headers.get("if-none-match") != "*" or self.value is None
            if "if-match" in request.headers:
                allowed = self.value is not None and request.headers["if-match"] == self.etag
            fault = self.lost.pop(0) if self.lost else None
            if fault == "not done":
                return Answer(500)
            if allowed:
                self.store(request.body, {HISTORY: request.headers[HISTORY]})
                answer = Answer(201, headers={"ETag": self.etag})
            elif "if-match" in request.headers:
                answer = Answer(412)
            else:
                answer = Answer(409, b"<Error><Code>BlobAlreadyExists</Code></Error>")
            if fault:
                if self.after:
                    self.after(self)
                return {"status": Answer(500), "no etag": Answer(201), "close": Nothing(cut=0)}[fault]
            return answer
        if self.value is None:
            return Answer(404)
        return Answer(200, self.value, {"ETag": self.etag, **self.headers})

    def delete(self, request):
        fault = self.lost.pop(0) if self.lost else None
        if fault == "not done":
            return Answer(500)
        answer = Answer(404) if self.value is None else Answer(412)
        if self.value is not None and request.headers["if-match"] == self.etag:
            self.value = None
            answer = Answer(202)
        if fault and self.after:
            self.after(self)
        return {None: answer, "status": Answer(500), "close": Nothing(cut=0)}[fault]

    @property
    def etag(self):
        return f'"{self.version}"'

    def store(self, value, headers):
        self.value, self.headers, self.version = value, headers, self.version + 1


@pytest.mark.parametrize(
    "lost", [["status"], ["no etag"], ["close"], ["status", "close"], ["not done"], ["not done", "status"]]
)
def test_a_lost_answer_to_a_conditional_write_is_resolved(lost):
    item = Lossy(*lost)
    with Scripted(item) as server:
        info = scripted(server).create("key", b"new")
    assert (item.value, info.etag, item.version) == (b"new", '"2"', 2)
    item = Lossy(*lost, value=b"old")
    with Scripted(item) as server:
        info = scripted(server).replace_if("key", b"new", '"1"')
    assert (item.value, info.etag, item.version) == (b"new", '"2"', 2)


@pytest.mark.parametrize("value", [None, b"old"])
def test_what_cannot_be_resolved_is_indeterminate(value):
    item = Lossy("status", value=value, after=lambda item: item.store(b"somebody else's", {}))
    with Scripted(item) as server:
        store = scripted(server)
        with pytest.raises(Indeterminate) as caught:
            store.create("key", b"new") if value is None else store.replace_if("key", b"new", '"1"')
    assert caught.value.key == "key"
    assert item.value == b"somebody else's"


def test_a_first_refusal_is_definite():
    with Scripted(Lossy(value=b"old")) as server:
        with pytest.raises(AlreadyExists):
            scripted(server).create("key", b"new")
        with pytest.raises(Conflict):
            scripted(server).replace_if("key", b"new", '"7"')
        assert len(server.requests) == 2


def test_a_service_that_never_answers_leaves_a_conditional_write_indeterminate():
    with Scripted(lambda request: Answer(503)) as server:
        with pytest.raises(Indeterminate) as caught:
            scripted(server).create("key", b"new")
        assert isinstance(caught.value.cause, Throttled)


@pytest.mark.parametrize("lost", [["not done"], ["not done", "not done"]])
def test_a_conditional_delete_that_was_not_done_is_done(lost):
    item = Lossy(*lost, value=b"old")
    with Scripted(item) as server:
        scripted(server).delete_if("key", '"1"')
    assert item.value is None


@pytest.mark.parametrize("lost", [["status"], ["close"], ["not done", "close"], ["not done"] * 7])
@pytest.mark.parametrize("after", [None, lambda item: item.store(b"somebody else's", {})])
def test_a_lost_answer_to_a_conditional_delete_is_indeterminate(lost, after):
    item = Lossy(*lost, value=b"old", after=after)
    with Scripted(item) as server, pytest.raises(Indeterminate) as caught:
        scripted(server).delete_if("key", '"1"')
    assert caught.value.key == "key"
    assert item.value != b"old" or len(lost) == 7


def test_a_first_refusal_of_a_conditional_delete_is_definite():
    with Scripted(Lossy(value=b"old")) as server, pytest.raises(Conflict):
        scripted(server).delete_if("key", '"7"')


def test_a_delete_whose_answer_was_lost_counts_as_done():
    answers = [Answer(500)]
    batch = (
        b"--b\r\nContent-Type: application/http\r\nContent-ID: 0\r\n\r\nHTTP/1.1 404 The specified blob does not exist."
        b"\r\nx-ms-error-code: BlobNotFound\r\n\r\n--b--\r\n"
    )
    with Scripted(lambda request: answers.pop() if answers else multipart(batch)) as server:
        assert scripted(server).remove(["key"]) == [None]
        assert len(server.requests) == 2


def multipart(body):
    return Answer(202, body, {"Content-Type": "multipart/mixed; boundary=b"})


# ---------------------------------------------------------------------- processes
@pytest.mark.parametrize("call", ["store.get('key')", "list(store.list())", "store.delete_if('key', 'x')"])
def test_ctrl_c_ends_a_stalled_call(call):
    assert_ctrl_c_ends(OPENING, call)
