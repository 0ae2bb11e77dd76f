"""Profiles of ~/.aws, with the files that Amazon's own tools write."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta

import pytest

from holdfast.credentials import Provider, find, s3_region
from holdfast.credentials.profiles import profile_offer
from holdfast.errors import AuthError, ConfigError
from holdfast.stores.s3 import S3Store

SECRET = "CANARY%profile/secret"
KEYS = f"aws_access_key_id = {{name}}\naws_secret_access_key = {SECRET}\n"


@pytest.fixture
def aws(home):
    """A function that writes one of the files of ~/.aws."""
    (home / ".aws").mkdir()

    def write(name, text):
        path = home / ".aws" / name
        path.write_text(text)
        return path

    return write


def current():
    found = find("bucket")
    return found.looks[-1], found.provider.current()


def test_the_default_profile_needs_no_configuration(aws):
    aws("credentials", "[default]\n" + KEYS.format(name="AKDEFAULT"))
    look, found = current()
    assert (look.source, look.why) == ("profile", "the profile 'default' has keys")
    assert (found.access_key_id, found.secret_access_key, found.session_token) == ("AKDEFAULT", SECRET, None)


def test_the_named_profile_is_taken_from_both_files(aws, monkeypatch):
    aws("credentials", "[work]\n" + KEYS.format(name="AKWORK") + "aws_session_token = T\n[default]\nx=1\n")
    aws(
        "config",
        "[profile work]\nregion = eu-central-1\naws_access_key_id = OVERRIDDEN\ns3 =\n  addressing_style = path\n",
    )
    monkeypatch.setenv("AWS_PROFILE", "work")
    found = current()[1]
    assert (found.access_key_id, found.session_token) == ("AKWORK", "T")
    assert s3_region() == "eu-central-1"
    assert S3Store("bucket", anonymous=True).region == "eu-central-1"
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    assert s3_region() == "us-west-2"


def test_both_files_may_lie_elsewhere(tmp_path, monkeypatch):
    for name, variable in (("c", "AWS_SHARED_CREDENTIALS_FILE"), ("d", "AWS_CONFIG_FILE")):
        (tmp_path / name).write_text("[default]\n" + (KEYS.format(name="AKOWN") if name == "c" else "region=eu-1\n"))
        monkeypatch.setenv(variable, str(tmp_path / name))
    assert current()[1].access_key_id == "AKOWN"
    assert s3_region() == "eu-1"


def test_a_profile_that_is_named_and_missing_is_an_error_that_names_the_others(aws, monkeypatch):
    aws("credentials", "[one]\n" + KEYS.format(name="A") + "[two]\n" + KEYS.format(name="B"))
    monkeypatch.setenv("AWS_PROFILE", "three")
    with pytest.raises(ConfigError, match=r"'three'.*one, two"):
        find("bucket")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"no section\naws_secret_access_key = {SECRET}", "broken"),
        (f"[default\naws_secret_access_key = {SECRET}", "broken"),
        (f"[default]\naws_secret_access_key = {SECRET}", "AWS_ACCESS_KEY_ID is missing"),
    ],
)
def test_a_broken_file_is_an_error_that_shows_nothing_of_it(aws, text, message):
    aws("credentials", text)
    with pytest.raises(ConfigError, match=message) as caught:
        find("bucket")
    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None
    assert s3_region() is None


def test_a_profile_without_credentials_is_passed_over(aws):
    aws("config", "[default]\nregion = eu-1\n")
    assert "has neither keys" in next(look.why for look in find("bucket").looks if look.source == "profile")


def process(aws, monkeypatch, tmp_path, program):
    script = tmp_path / "program.py"
    script.write_text(program)
    aws("config", f"[profile tool]\ncredential_process = {sys.executable} {script} 'an argument'\n")
    monkeypatch.setenv("AWS_PROFILE", "tool")


def test_a_credential_process_is_run_again_when_its_credentials_end(aws, monkeypatch, tmp_path):
    ends = (datetime.now(UTC) + timedelta(seconds=0.2)).isoformat()
    document = {
        "Version": 1,
        "AccessKeyId": "AKTOOL",
        "SecretAccessKey": SECRET,
        "SessionToken": "T",
        "Expiration": ends,
    }
    log = tmp_path / "log"
    program = f"import sys; open({str(log)!r}, 'a').write(sys.argv[1] + '.'); print({json.dumps(document)!r})"
    process(aws, monkeypatch, tmp_path, program)
    provider = find("bucket").provider
    held = provider._held
    assert (held.access_key_id, held.secret_access_key, held.session_token) == ("AKTOOL", SECRET, "T")
    provider.current()  # the first program took longer than its credentials hold, or they are about to end
    while datetime.now(UTC) < held.expires_at:
        pass
    provider.current()
    assert log.read_text().count("an argument.") >= 2


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (f"import sys; print({SECRET!r}, file=sys.stderr); sys.exit(3)", "status 3"),
        (f"print({SECRET!r})", "fails"),
        ("print('{}')", "no document of version 1"),
    ],
)
def test_a_credential_process_that_fails_shows_nothing_of_what_it_printed(aws, monkeypatch, tmp_path, program, message):
    process(aws, monkeypatch, tmp_path, program)
    with pytest.raises(AuthError, match=message) as caught:
        find("bucket")
    assert SECRET not in str(caught.value)


def test_a_role_is_assumed_with_the_keys_of_its_source(aws, monkeypatch, moto):
    aws("credentials", "[base]\n" + KEYS.format(name="AKBASE"))
    role = "arn:aws:iam::123456789012:role/reader"
    aws("config", f"[profile role]\nrole_arn = {role}\nsource_profile = base\nregion = us-east-1\n")
    monkeypatch.setenv("AWS_PROFILE", "role")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", moto.endpoint)
    look, found = current()
    assert look.why == "the profile 'role' names a role to assume"
    assert found.access_key_id.startswith("ASIA")
    assert found.session_token
    assert found.expires_at > datetime.now(UTC)
    assert found.expires_at.tzinfo is UTC, "the engine takes no other"


def test_an_sso_login_that_is_missing_names_the_command(aws, monkeypatch):
    aws(
        "config",
        "[profile sso]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = reader\n"
        "[sso-session corp]\nsso_region = us-east-1\nsso_start_url = https://127.0.0.1/start\n",
    )
    monkeypatch.setenv("AWS_PROFILE", "sso")
    with pytest.raises(AuthError, match="aws sso login --profile sso"):
        find("bucket")


def test_roles_and_sso_without_boto3_name_the_extra(aws, monkeypatch):
    aws("config", "[default]\nsso_account_id = 1\n")
    monkeypatch.setitem(sys.modules, "botocore", None)
    monkeypatch.setitem(sys.modules, "botocore.session", None)
    monkeypatch.setitem(sys.modules, "botocore.exceptions", None)
    with pytest.raises(ConfigError, match=r"pip install 'holdfast\[s3\]'"):
        find("bucket")


def test_a_profile_may_name_a_web_identity(aws, issuer, tmp_path, monkeypatch):
    (tmp_path / "token").write_text("jwt")
    aws("config", f"[default]\nrole_arn = arn:r\nweb_identity_token_file = {tmp_path / 'token'}\n")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", issuer.endpoint)
    assert current()[1].access_key_id.startswith("ASIAISSUED")
    offer = profile_offer({"HOME": "x", "AWS_ENDPOINT_URL_STS": issuer.endpoint})
    assert Provider(offer.identity, offer.fetch).current().session_token
