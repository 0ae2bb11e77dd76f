"""A canary in every form of secret is shown nowhere: output, logs, tracebacks, reprs, pickles, command lines.

``canary_program`` runs every operation and every command, well and under every fault, with one form of login.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from tests.credentials.canary_program import COMMANDS, OPERATIONS
from tests.credentials.canary_servers import FAULTS, CanaryS3
from tests.credentials.issuer import CANARY as ISSUED
from tests.servers.tls import NotingServer

PROGRAM = Path(__file__).with_name("canary_program.py")
ROOT = Path(__file__).parents[2]
KEY = "AKIACANARYKEYIDCANARY"
SECRET = "CANARYsecretaccesskey/with+signs%41"
TOKEN = "CANARYsessiontoken=="
CUSTOMER_KEY = base64.b64encode(b"CANARYcustomerkeyof32bytesCANARY").decode()
PAIR = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": TOKEN}
ARGUMENTS = {name.removeprefix("AWS_").lower(): value for name, value in PAIR.items()}
INI = "".join(f"{name.lower()} = {value}\n" for name, value in PAIR.items())
PROCESS = {"Version": 1, "AccessKeyId": KEY, "SecretAccessKey": SECRET, "SessionToken": TOKEN}
#: What must appear nowhere: parts of every secret here, as they are and as they may be encoded.
CANARIES = ("CANARY", ISSUED, KEY, CUSTOMER_KEY, b"CANARY".hex(), "Q0FOQVJZ", "NBTkFSW", "DQU5BUl")


class Setup:
    """What a form of login needs: options of the store, variables, files; and the servers to use."""

    def __init__(self, home, issuer, server):
        self.home = home
        self.issuer = issuer
        self.endpoint = server.endpoint
        self.options = {}
        self.variables = {
            "HOME": str(home),
            "HOLDFAST_DEBUG": "1",
            "HOLDFAST_RETRY_WAIT": "0",
            "RUST_LOG": "trace",
            "AWS_REGION": "us-east-1",
        }

    def file(self, path, text):
        place = self.home / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        return str(place)


# ---------------------------------------------------------------------- the forms of login
def arguments(setup):
    setup.options = ARGUMENTS


def mapping(setup):
    setup.options = {"secrets": PAIR}


def json_text(setup):
    setup.options = {"secrets": json.dumps(PAIR)}


def secrets_path(setup):
    setup.options = {"secrets": setup.file("own.json", json.dumps(PAIR))}


def list_of_paths(setup):
    setup.options = {"secrets": [str(setup.home / "missing.json"), setup.file("own.json", json.dumps(PAIR))]}


def volume_secrets(setup):
    setup.file(".cloudvolume/secrets/aws-secret.json", json.dumps(PAIR))


def files_secrets_of_bucket(setup):
    setup.file(".cloudfiles/secrets/bucket-aws-secret.json", json.dumps(PAIR))


def environment(setup):
    setup.variables.update(PAIR)


def profile(setup):
    setup.file(".aws/credentials", f"[default]\n{INI}")


def named_profile_of_config(setup):
    setup.file(".aws/config", f"[profile work]\n{INI}")
    setup.variables["AWS_PROFILE"] = "work"


def assumed_role(setup):
    setup.file(".aws/credentials", f"[base]\n{INI}")
    setup.file(".aws/config", "[profile role]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = base\n")
    setup.variables |= {"AWS_PROFILE": "role", "AWS_ENDPOINT_URL_STS": setup.issuer.endpoint}


def sso(setup):
    start = "https://corp.example/start"
    ends = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    login = {"startUrl": start, "region": "us-east-1", "accessToken": "CANARYssotoken", "expiresAt": ends}
    setup.file(f".aws/sso/cache/{hashlib.sha1(start.encode()).hexdigest()}.json", json.dumps(login))
    setup.file(
        ".aws/config",
        f"[default]\nsso_start_url = {start}\nsso_region = us-east-1\nsso_account_id = 123456789012\n"
        "sso_role_name = reader\n",
    )
    setup.variables["AWS_ENDPOINT_URL_SSO"] = setup.issuer.endpoint


def credential_process(setup):
    script = setup.file("process.py", f"print({json.dumps(PROCESS)!r})")
    setup.file(".aws/config", f"[default]\ncredential_process = {sys.executable} {script}\n")


def web_identity(setup):
    setup.variables["AWS_WEB_IDENTITY_TOKEN_FILE"] = setup.file("token", "CANARYjwt")
    setup.variables["AWS_ROLE_ARN"] = "arn:r"
    setup.variables["AWS_ENDPOINT_URL_STS"] = setup.issuer.endpoint


def container(setup):
    setup.variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = f"{setup.issuer.endpoint}/container/CANARYpath?id=CANARY"
    setup.variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "CANARYauthorization"


def container_token_file(setup):
    setup.variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = f"{setup.issuer.endpoint}/container"
    setup.variables["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = setup.file("token", "CANARYauthorization")


def instance(setup):
    setup.variables["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = setup.issuer.endpoint
    setup.variables["AWS_EC2_METADATA_DISABLED"] = "false"


def sse_customer_key(setup):
    environment(setup)
    setup.options = {"sse_customer_key": CUSTOMER_KEY}


def customer_key_of_environment(setup):
    environment(setup)
    setup.variables["AWS_SSE_CUSTOMER_KEY_BASE64"] = CUSTOMER_KEY


def proxy_not_used(setup):
    environment(setup)
    setup.variables["ALL_PROXY"] = setup.issuer.endpoint.replace("://", "://user:CANARYproxypassword@")
    setup.variables["NO_PROXY"] = "localhost,127.0.0.1"


def proxy(setup):
    environment(setup)
    # Servers take requests that name the whole URL, as proxies do: this one is both.
    setup.variables["http_proxy"] = setup.endpoint.replace("://", "://user:CANARYproxypassword@")


def proxy_that_refuses(setup):
    environment(setup)
    setup.variables["ALL_PROXY"] = "http://user:CANARYproxypassword@127.0.0.1:9"


FORMS = [
    *(arguments, mapping, json_text, secrets_path, list_of_paths, volume_secrets, files_secrets_of_bucket),
    *(environment, profile, named_profile_of_config, assumed_role, sso, credential_process, web_identity, container),
    *(container_token_file, instance, sse_customer_key, customer_key_of_environment, proxy_not_used, proxy),
    proxy_that_refuses,
]


# ---------------------------------------------------------------------- running the program
@pytest.fixture
def server():
    with CanaryS3() as running:
        yield running


def run(setup, kind, arguments, location, *, options=None, objects=None, elsewhere=None, faults=tuple(FAULTS)):
    """What the program showed, all of it."""
    given = {
        "class": kind,
        "target": arguments,
        "options": options or {},
        "objects": objects or {},
        "location": location,
        "elsewhere": elsewhere or {},
        "faults": faults,
    }
    done = subprocess.run(
        [sys.executable, str(PROGRAM)],
        input=json.dumps(given).encode(),
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), *sys.path)), **setup.variables},
        capture_output=True,
        timeout=120,
    )
    shown = done.stdout + done.stderr
    assert done.returncode == 0, shown[-4000:].decode(errors="replace")
    return shown


def run_s3(setup, faults=tuple(FAULTS)):
    given = {"arguments": ["bucket"], "keywords": {"endpoint": setup.endpoint}}
    with NotingServer(trustme.CA().issue_cert("localhost")) as untrusted:
        places = {
            "unreachable": "http://127.0.0.1:9",
            "untrusted": untrusted.endpoint,
            "userinfo": "http://user:CANARYendpointpassword@127.0.0.1:9",
            "no endpoint": "127.0.0.1/path?Signature=CANARYsignature",
        }
        elsewhere = {name: {"arguments": ["bucket"], "keywords": {"endpoint": url}} for name, url in places.items()}
        location = f"s3://{setup.endpoint}/bucket"
        return run(
            setup,
            "holdfast.stores.s3:S3Store",
            given,
            location,
            options=setup.options,
            elsewhere=elsewhere,
            faults=faults,
        )


def leaks(shown):
    """The lines of what was shown that hold a canary."""
    return [line[:400] for line in shown.split(b"\n") if any(word.encode() in line for word in CANARIES)]


def outcomes(shown):
    """What each operation came to."""
    lines = [line.split(b" ", 1) for line in shown.split(b"\n") if line.startswith((b"WORKED ", b"FAILED "))]
    found = [(word.decode(), *name.decode().rpartition(" ")) for word, name in lines]
    return {name if word == "FAILED" else f"{name} {last}".strip(): f"{word} {last}" for word, name, _, last in found}


def assert_tried(shown, *, works=True):
    """Check that the program did what it is for: else nothing would be shown, and nothing found."""
    found = outcomes(shown)
    for name in OPERATIONS:
        assert found[name].startswith("WORKED" if works else "FAILED"), (name, found[name])
        for fault in ("echo", "refused", "expired", "broken", "reset", "close"):
            assert found[f"{fault} {name}"].startswith("FAILED"), (fault, name)
    assert shown.count(b"\nENDED ") == len(COMMANDS)
    assert shown.count(b"NOT OURS ") == shown.count(b"NOT OURS <class 'TypeError'>") == 1  # an unknown option


@pytest.mark.parametrize("form", FORMS)
def test_no_form_of_login_is_ever_shown(form, home, issuer, server):
    setup = Setup(home, issuer, server)
    form(setup)
    shown = run_s3(setup)
    assert leaks(shown) == []
    assert_tried(shown, works=form is not proxy_that_refuses)
    used = server.signers - {""}
    assert used == {KEY} or all(key.startswith("ASIAISSUED") for key in used)
    assert bool(used) == (form is not proxy_that_refuses)


@pytest.mark.parametrize(
    ("form", "status"), [(web_identity, 403), (container, 500), (instance, 403), (assumed_role, 403), (sso, 403)]
)
def test_a_service_that_gives_no_credentials_shows_none(form, status, home, issuer, server):
    setup = Setup(home, issuer, server)
    form(setup)
    issuer.status = status
    setup.variables["AWS_MAX_ATTEMPTS"] = "1"
    shown = run_s3(setup, faults=())
    assert leaks(shown) == []
    assert outcomes(shown)["get"] in {"FAILED AuthError", "FAILED ConfigError", "FAILED StoreError"}
    assert server.signers <= {""}


def test_a_credential_process_is_told_nothing(home, issuer, server):
    setup = Setup(home, issuer, server)
    seen = setup.home / "seen"
    program = (
        "import json, pathlib\n"
        "seen = b''.join(pathlib.Path('/proc/self', name).read_bytes() for name in ('cmdline', 'environ'))\n"
        f"pathlib.Path({str(seen)!r}).write_bytes(seen)\n"
        f"print({json.dumps(PROCESS)!r})"
    )
    script = setup.file("process.py", program)
    setup.file(".aws/config", f"[default]\ncredential_process = {sys.executable} {script} argument\n")
    setup.options = {"sse_customer_key": CUSTOMER_KEY}
    assert_tried(run_s3(setup))
    assert b"\0argument\0" in seen.read_bytes()
    assert leaks(seen.read_bytes()) == []


def test_a_leak_would_be_seen():
    for secret in (SECRET, CUSTOMER_KEY, base64.b64encode(b"x:" + SECRET.encode()).decode()):
        assert leaks(f"fine\n... {secret} ...\n".encode()) == [f"... {secret} ...".encode()]
