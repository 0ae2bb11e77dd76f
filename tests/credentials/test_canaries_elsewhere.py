"""Canaries in every form of login to Google, Azure and web servers: shown nowhere, whatever is done and fails."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.credentials.canary_program import OPERATIONS
from tests.credentials.canary_servers import CanaryService
from tests.credentials.test_canaries import Setup, leaks, outcomes, run

#: Faults that the engine does not wait for, when it lists.
TRIED = ("echo", "refused", "expired", "html", "half")
ACCOUNT_KEY = base64.b64encode(b"CANARYaccountkey" * 4).decode()
SAS = "sv=2021-08-06&sp=rwdl&se=2036-01-01T00%3A00%3A00Z&sr=c&sig=CANARYsas%2Bsignature%3D"
USER = {"type": "authorized_user", "client_id": "me", "client_secret": "CANARYclient", "refresh_token": "CANARYrefresh"}


@pytest.fixture
def server():
    with CanaryService() as running:
        yield running


@pytest.fixture(scope="module")
def private_key():
    """The PEM of a key of one's own, and a part of it that must not be shown."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(*form).decode()


@pytest.fixture
def setup(home, issuer, server, private_key):
    made = Setup(home, issuer, server)
    made.account = {
        "type": "service_account",
        "client_email": "robot@x",
        "private_key": private_key,
        "private_key_id": "CANARYkeyid",
        "token_uri": f"{server.endpoint}/token",
    }
    made.objects = {}
    return made


# ---------------------------------------------------------------------- Google
def service_account_file(setup):
    setup.options = {"service_account": setup.file("robot.json", json.dumps(setup.account))}


def service_account_mapping(setup):
    setup.options = {"secrets": setup.account}


def service_account_text(setup):
    setup.variables["GOOGLE_SERVICE_ACCOUNT_KEY"] = json.dumps(setup.account)


def application_default(setup):
    setup.variables["GOOGLE_APPLICATION_CREDENTIALS"] = setup.file("robot.json", json.dumps(setup.account))


def bearer_token(setup):
    setup.options = {"token": "CANARYbearer"}


def google_object(setup):
    setup.objects = {"credential": "google_credential"}


def gcloud_login(setup):
    user = {**USER, "token_uri": f"{setup.endpoint}/token"}
    setup.file(".config/gcloud/application_default_credentials.json", json.dumps(user))


def google_machine(setup):
    setup.variables |= {"NO_GCE_CHECK": "false", "GCE_METADATA_HOST": setup.endpoint.removeprefix("http://")}


GOOGLE = [service_account_file, service_account_mapping, service_account_text, application_default, bearer_token]
GOOGLE += [google_object, gcloud_login, google_machine]


@pytest.mark.parametrize("form", GOOGLE)
def test_no_login_to_google_is_ever_shown(form, setup, server, private_key):
    form(setup)
    target = {"arguments": ["bucket"], "keywords": {"endpoint": server.endpoint}}
    elsewhere = {"unreachable": {"arguments": ["bucket"], "keywords": {"endpoint": "http://127.0.0.1:9"}}}
    elsewhere["userinfo"] = {"arguments": ["bucket"], "keywords": {"endpoint": "http://me:CANARYpassword@127.0.0.1:9"}}
    shown = run(setup, "holdfast.stores.gs:GoogleStore", target, f"gs://{server.endpoint}/bucket",
                options=setup.options, objects=setup.objects, elsewhere=elsewhere, faults=TRIED)  # fmt: skip
    assert_nothing_shown(shown)
    assert not [part for part in private_key.split("\n")[1:-2] if part.encode() in shown]
    assert b"eyJhbGciOi" not in shown, "a token that was signed with the key"
    assert any(text.startswith("Bearer ") for text in server.logins), server.logins


# ---------------------------------------------------------------------- Azure
def account_key(setup):
    setup.options = {"account_key": ACCOUNT_KEY}


def account_key_mapping(setup):
    setup.options = {"secrets": {"AZURE_STORAGE_ACCOUNT_KEY": ACCOUNT_KEY}}


def account_key_variable(setup):
    setup.variables["AZURE_STORAGE_ACCOUNT_KEY"] = ACCOUNT_KEY


def sas_token(setup):
    setup.options = {"sas_token": SAS}


def sas_variable(setup):
    setup.variables["AZURE_STORAGE_SAS_TOKEN"] = f"?{SAS}"


def connection_string(setup):
    setup.variables["AZURE_STORAGE_CONNECTION_STRING"] = f"AccountName=me;AccountKey={ACCOUNT_KEY};"


def connection_string_with_sas(setup):
    setup.variables["AZURE_STORAGE_CONNECTION_STRING"] = f"AccountName=me;SharedAccessSignature={SAS};"


def azure_object(setup):
    setup.objects = {"credential": "azure_identity"}


def azure_object_that_refuses(setup):
    setup.objects = {"credential": "azure_refusal"}


AZURE = [account_key, account_key_mapping, account_key_variable, sas_token, sas_variable, connection_string]
AZURE += [connection_string_with_sas, azure_object, azure_object_that_refuses]


@pytest.mark.parametrize("form", AZURE)
def test_no_login_to_azure_is_ever_shown(form, setup, server):
    form(setup)
    target = {"arguments": ["container"], "keywords": {"endpoint": f"{server.endpoint}/me"}}
    places = {"unreachable": "http://127.0.0.1:9/me", "userinfo": "http://me:CANARYpassword@127.0.0.1:9/me",
              "signed": f"{server.endpoint}/me?{SAS}"}  # fmt: skip
    elsewhere = {name: {"arguments": ["container"], "keywords": {"endpoint": url}} for name, url in places.items()}
    shown = run(setup, "holdfast.stores.az:AzureStore", target, f"az://{server.endpoint}/me/container",
                options=setup.options, objects=setup.objects, elsewhere=elsewhere, faults=TRIED)  # fmt: skip
    assert_nothing_shown(shown)
    assert bool(server.logins) == (form is not azure_object_that_refuses)


# ---------------------------------------------------------------------- web servers
def test_no_password_of_a_web_server_is_ever_shown(setup, server):
    secret = "://me:CANARYpassword%21@"
    target = {"arguments": [f"{server.endpoint.replace('://', secret)}/files"], "keywords": {}}
    places = {"unreachable": f"http{secret}127.0.0.1:9/files", "signed": f"{server.endpoint}/f?Signature=CANARYsigned",
              "fragment": f"http{secret}host/f#token=CANARYtoken"}  # fmt: skip
    elsewhere = {name: {"arguments": [url], "keywords": {}} for name, url in places.items()}
    location = target["arguments"][0]
    shown = run(setup, "holdfast.stores.http:HttpStore", target, location, elsewhere=elsewhere, faults=TRIED)
    assert_nothing_shown(shown)
    assert {text.partition(" ")[0] for text in server.logins} == {"Basic"}


def assert_nothing_shown(shown):
    """Check that no canary is there, and that all was tried that could have shown one."""
    assert leaks(shown) == []
    found = outcomes(shown)
    assert {f"{fault} {name}" for fault in TRIED for name in OPERATIONS} | set(OPERATIONS) <= set(found)
    for fault in ("echo", "refused", "half"):
        assert found[f"{fault} get"].startswith("FAILED"), fault
