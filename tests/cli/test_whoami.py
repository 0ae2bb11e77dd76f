"""``holdfast whoami``: which source of credentials wins and why, and no secret in sight."""

from __future__ import annotations

import json

import pytest

from holdfast.credentials import providers
from tests.credentials.issuer import CANARY, Issuer

SECRET = "CANARYwhoami"
KEY = "AKIAIOSFODNN7EXAMPLE"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(providers, "_shared", {})
    return tmp_path


@pytest.fixture
def keys(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)


def test_the_winner_and_what_was_skipped_are_shown_without_secrets(holdfast, keys):
    result = holdfast("whoami", "s3://bucket/some/path")
    assert result.code == 0
    assert result.lines[:4] == [
        "s3://bucket",
        "  credentials: environment",
        "  because: AWS_ACCESS_KEY_ID is set",
        "  access key id: AKIA…LE",
    ]
    assert "  used environment: AWS_ACCESS_KEY_ID is set" in result.lines
    assert any(line.startswith("  skipped secrets file: no bucket-aws-secret.json") for line in result.lines)
    assert SECRET not in result.out + result.err
    assert KEY not in result.out + result.err


def test_json_tells_the_same_to_programs(holdfast, keys):
    [row] = holdfast("whoami", "--json", "s3://bucket").rows
    assert (row["location"], row["source"], row["who"], row["expires_at"]) == (
        *("s3://bucket", "environment", "AKIA…LE"),
        None,
    )
    assert [look["won"] for look in row["looks"]] == [False, False, True]


def test_credentials_that_end_say_when(holdfast, monkeypatch):
    with Issuer() as issuer:
        monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", issuer.endpoint)
        shown = holdfast("whoami", "s3://bucket")
        [row] = holdfast("whoami", "--json", "s3://bucket").rows
        assert issuer.issued == 1
    assert shown.code == 0
    assert "  credentials: instance metadata" in shown.lines
    assert any(line.startswith("  renewed before: 20") for line in shown.lines)
    assert row["expires_at"].endswith("+00:00")
    assert CANARY not in shown.out + str(row)


def test_without_credentials_it_fails_and_names_the_cure(holdfast):
    result = holdfast("whoami", "s3://bucket")
    assert result.code == 1
    assert "  credentials: none" in result.lines
    assert "  skipped instance metadata: AWS_EC2_METADATA_DISABLED is set" in result.lines
    assert "--anonymous" in result.err
    assert holdfast("whoami", "--json", "s3://bucket").rows[0]["source"] is None


def test_a_broken_source_is_a_configuration_error(holdfast, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    result = holdfast("whoami", "s3://bucket")
    assert (result.code, result.out) == (2, "")
    assert "AWS_SECRET_ACCESS_KEY is missing" in result.err


@pytest.mark.parametrize("location", ["mem://bucket", "https://data.example/file", "some/directory"])
def test_where_none_are_needed_it_says_so(holdfast, location):
    result = holdfast("whoami", location)
    assert result.code == 0
    assert "  credentials: none needed" in result.lines


def test_azure_says_which_variable_has_the_login(holdfast, monkeypatch):
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "me")
    result = holdfast("whoami", "az://container")
    assert result.code == 1
    assert "  credentials: none" in result.lines
    assert "AZURE_STORAGE_ACCOUNT_KEY" in result.out
    assert "--anonymous" in result.err
    for variable, kind in (("AZURE_STORAGE_SAS_TOKEN", "SAS token"), ("AZURE_STORAGE_ACCOUNT_KEY", "account key")):
        monkeypatch.setenv(variable, "U0VDUkVU")
        result = holdfast("whoami", "az://container")
        assert result.lines[1] == f"  credentials: {variable}"
        assert kind in result.lines[2]
        assert result.code == 0
        assert "U0VDUkVU" not in result.out + result.err
    assert "  credentials: anonymous" in holdfast("whoami", "--anonymous", "az://container").lines


def test_google_says_which_file_has_the_login(holdfast, monkeypatch, tmp_path):
    result = holdfast("whoami", "gs://bucket")
    assert result.code == 1
    assert "GOOGLE_APPLICATION_CREDENTIALS" in result.out
    assert "--anonymous" in result.err
    user = {"type": "authorized_user", "client_id": "me", "client_secret": SECRET, "refresh_token": SECRET}
    path = tmp_path / ".config" / "gcloud" / "application_default_credentials.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(user))
    [row] = holdfast("whoami", "--json", "gs://bucket").rows
    assert row["source"] == f"gcloud's file {path}"
    assert "of a person" in row["why"]
    assert SECRET not in str(row)


def test_anonymous_access_is_a_choice_that_wins(holdfast, keys):
    result = holdfast("whoami", "--anonymous", "s3://bucket")
    assert result.code == 0
    assert "  credentials: anonymous" in result.lines
    assert holdfast("whoami", "--anonymous", "mem://bucket").code == 2


# ---------------------------------------------------------------------- Google and Azure
def test_azure_names_the_variable_and_the_account(holdfast, monkeypatch):
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "me")
    result = holdfast("whoami", "az://container")
    assert result.code == 1
    assert "AZURE_STORAGE_ACCOUNT_KEY" in result.out
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", f"sig={SECRET}")
    result = holdfast("whoami", "az://container")
    assert result.code == 0
    assert "  credentials: AZURE_STORAGE_SAS_TOKEN" in result.lines
    assert "  because: it holds a SAS token for the account 'me'" in result.lines
    assert SECRET not in result.out + result.err
    assert "  credentials: anonymous" in holdfast("whoami", "--anonymous", "az://container").lines


def test_google_names_the_file_and_the_account(holdfast, monkeypatch, tmp_path):
    result = holdfast("whoami", "gs://bucket")
    assert result.code == 1
    assert "GOOGLE_APPLICATION_CREDENTIALS" in result.out
    path = tmp_path / "key.json"
    path.write_text(json.dumps({"type": "service_account", "client_email": "me@project", "private_key": SECRET}))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    result = holdfast("whoami", "gs://bucket")
    assert result.code == 0
    assert "  credentials: GOOGLE_APPLICATION_CREDENTIALS" in result.lines
    assert "  because: it gave a key of the service account me@project" in result.lines
    assert SECRET not in result.out + result.err
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://localhost:1")
    assert "  credentials: none needed" in holdfast("whoami", "gs://bucket").lines
