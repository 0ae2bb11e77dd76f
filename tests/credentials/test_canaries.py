"""A canary in every form of secret is shown nowhere: output, logs, tracebacks, reprs, pickles, command lines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.credentials.issuer import CANARY as ISSUED

PROGRAM = Path(__file__).with_name("canary_program.py")
KEY = "AKIACANARYKEYIDCANARY"
SECRET = "CANARYsecretaccesskey/with+signs%41"
TOKEN = "CANARYsessiontoken=="
PAIR = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": TOKEN}
ARGUMENTS = {name.removeprefix("AWS_").lower(): value for name, value in PAIR.items()}
INI = "[default]\n" + "".join(f"{name.lower()} = {value}\n" for name, value in PAIR.items())
PROCESS = {"Version": 1, "AccessKeyId": KEY, "SecretAccessKey": SECRET, "SessionToken": TOKEN}


class Setup:
    """What a form of login needs: options of the store, variables, files."""

    def __init__(self, home, issuer):
        self.home = home
        self.issuer = issuer
        self.options = {}
        self.variables = {"HOME": str(home), "HOLDFAST_DEBUG": "1", "RUST_LOG": "trace"}

    def file(self, path, text):
        place = self.home / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        return str(place)


def arguments(setup):
    setup.options = ARGUMENTS


def mapping(setup):
    setup.options = {"secrets": PAIR}


def json_text(setup):
    setup.options = {"secrets": json.dumps(PAIR)}


def file_of_secrets(setup):
    setup.options = {"secrets": [setup.file("missing/../own.json", json.dumps(PAIR))]}


def secrets_file(setup):
    setup.file(".cloudvolume/secrets/aws-secret.json", json.dumps(PAIR))


def environment(setup):
    setup.variables.update(PAIR)


def profile(setup):
    setup.file(".aws/credentials", INI)


def credential_process(setup):
    script = setup.file("process.py", f"print({json.dumps(PROCESS)!r})")
    setup.file(".aws/config", f"[default]\ncredential_process = {sys.executable} {script}\n")


def web_identity(setup):
    setup.variables["AWS_WEB_IDENTITY_TOKEN_FILE"] = setup.file("token", "CANARYjwt")
    setup.variables["AWS_ROLE_ARN"] = "arn:r"
    setup.variables["AWS_ENDPOINT_URL_STS"] = setup.issuer.endpoint


def container(setup):
    setup.variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = f"{setup.issuer.endpoint}/container"
    setup.variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "CANARYauthorization"


def instance(setup):
    setup.variables["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = setup.issuer.endpoint
    setup.variables["AWS_EC2_METADATA_DISABLED"] = "false"


def proxy(setup):
    environment(setup)
    setup.variables["ALL_PROXY"] = setup.issuer.endpoint.replace("://", "://user:CANARYproxypassword@")
    setup.variables["NO_PROXY"] = "localhost"


FORMS = [arguments, mapping, json_text, file_of_secrets, secrets_file, environment, profile, credential_process]
FORMS += [web_identity, container, instance, proxy]


def run(setup):
    """What the program showed, all of it."""
    given = {"endpoint": setup.issuer.endpoint.replace("127.0.0.1", "localhost"), "options": setup.options}
    done = subprocess.run(
        [sys.executable, str(PROGRAM)],
        input=json.dumps(given).encode(),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **setup.variables},
        capture_output=True,
        timeout=60,
    )
    shown = done.stdout + done.stderr
    assert done.returncode == 0, shown.decode(errors="replace")
    return shown


def leaks(shown):
    """The lines of what was shown that hold a canary."""
    return [line for line in shown.split(b"\n") if any(word.encode() in line for word in ("CANARY", ISSUED, KEY))]


@pytest.mark.parametrize("form", FORMS)
def test_no_form_of_login_is_ever_shown(form, home, issuer):
    setup = Setup(home, issuer)
    form(setup)
    issuer.trusted.add(KEY)
    shown = run(setup)
    for outcome in (b"WORKED get", b"WORKED bulk", b"FAILED echo", b"FAILED list", b"FAILED unreachable", b"ENDED 1"):
        assert outcome in shown, shown.decode(errors="replace")
    assert b"NOT OURS" not in shown.replace(b"NOT OURS <class 'TypeError'>", b"")
    assert leaks(shown) == []
    used = set(issuer.signers)
    assert used == {KEY} or all(key.startswith("ASIAISSUED") for key in used)


@pytest.mark.parametrize("form", FORMS)
def test_no_refused_login_is_ever_shown(form, home, issuer):
    setup = Setup(home, issuer)
    form(setup)
    issuer.life = -60  # what it issues has ended, and what others issue it does not trust
    shown = run(setup)
    assert b"FAILED get" in shown
    assert b"AuthError" in shown
    assert leaks(shown) == []


def test_a_leak_would_be_seen():
    assert leaks(f"fine\n... {SECRET} ...\n".encode()) == [f"... {SECRET} ...".encode()]
