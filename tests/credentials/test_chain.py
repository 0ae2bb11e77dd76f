"""The order of the sources, what an explanation says, and the forms of secrets=."""

from __future__ import annotations

import json

import pytest

from holdfast.credentials import S3Credentials, find, from_arguments
from holdfast.errors import AuthError, ConfigError
from holdfast.stores.s3 import S3Store

SECRET = "CANARYchain"


def secrets(name):
    return {"AWS_ACCESS_KEY_ID": f"AKIA{name:>012}", "AWS_SECRET_ACCESS_KEY": SECRET}


@pytest.fixture
def place(home):
    """A function that writes a file below the home directory."""

    def write(path, content):
        file = home / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content))
        return file

    return write


def winner(bucket="bucket", **given):
    found = find(bucket, **given)
    assert [look.won for look in found.looks] == [False] * (len(found.looks) - 1) + [True]
    return found.looks[-1].source, found.provider.current().access_key_id.lstrip("AKI0")


def test_the_sources_win_in_this_order(place, instance, monkeypatch, tmp_path):
    assert winner()[0] == "instance metadata"
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{instance.endpoint}/container")
    assert winner()[0] == "container metadata"
    keys = "\n".join(f"{name.lower()} = {value}" for name, value in secrets("profile").items())
    place(".aws/credentials", f"[default]\n{keys}\n")
    assert winner() == ("profile", "profile")
    (tmp_path / "token").write_text("jwt")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:r")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", instance.endpoint)
    assert winner()[0] == "web identity"
    for name, value in secrets("env").items():
        monkeypatch.setenv(name, value)
    assert winner() == ("environment", "env")
    place(".cloudfiles/secrets/aws-secret.json", secrets("files"))
    assert winner() == ("secrets file", "files")
    place(".cloudvolume/secrets/aws-secret.json", secrets("volume"))
    assert winner() == ("secrets file", "volume")
    place(".cloudfiles/secrets/bucket-aws-secret.json", secrets("bucket"))
    assert winner() == ("secrets file", "bucket")
    assert winner("other") == ("secrets file", "volume")
    assert winner(explicit=S3Credentials("arg", "s")) == ("arguments", "arg")


def test_secrets_directories_may_lie_elsewhere_and_hold_more_than_keys(tmp_path, monkeypatch):
    directory = tmp_path / "own" / "secrets"
    directory.mkdir(parents=True)
    (directory / "aws-secret.json").write_text(json.dumps({**secrets("own"), "region": "eu-1"}))
    monkeypatch.setenv("CLOUD_FILES_DIR", str(tmp_path / "own"))
    assert winner() == ("secrets file", "own")


@pytest.mark.parametrize("text", [SECRET, f'["{SECRET}"]', f'{{"AWS_ACCESS_KEY_ID": "{SECRET}"}}'])
def test_a_broken_secrets_file_is_an_error_and_not_passed_over(place, text):
    path = place(".cloudvolume/secrets/aws-secret.json", text)
    with pytest.raises(ConfigError, match=path.name) as caught:
        find("bucket")
    assert SECRET not in str(caught.value)


def test_every_form_of_secrets_is_understood(place, tmp_path):
    expected = S3Credentials(**{name[4:].lower(): value for name, value in secrets("x").items()})
    path = place("own.json", secrets("x"))
    missing = tmp_path / "missing.json"
    forms = [secrets("x"), json.dumps(secrets("x")), str(path), path, "~/own.json", [missing, path], (str(path),)]
    for form in forms:
        assert from_arguments(None, None, None, form) == expected, form
        assert S3Store("bucket", secrets=form).credentials() == expected


@pytest.mark.parametrize(("form", "message"), [([], "empty"), ("/missing", "/missing"), ('{"x', "JSON"), ({}, "half")])
def test_secrets_that_cannot_be_are_refused_when_the_store_is_made(form, message):
    with pytest.raises(ConfigError, match=message):
        S3Store("bucket", secrets=form)


def test_an_explanation_tells_all_that_was_looked_at_and_no_secret(monkeypatch):
    for name, value in secrets("env").items():
        monkeypatch.setenv(name, value)
    told = S3Store("bucket").explain_credentials()
    assert (told.source, told.why, told.who) == ("environment", "AWS_ACCESS_KEY_ID is set", "AKIA…nv")
    assert [look.source for look in told.looks] == ["arguments", "secrets file", "environment"]
    assert SECRET not in repr(told)
    assert S3Store("bucket", anonymous=True).explain_credentials().source == "anonymous"
    assert S3Store("bucket", secrets=secrets("arg")).explain_credentials().source == "arguments"


def test_nothing_found_names_what_was_looked_at():
    store = S3Store("bucket")
    told = store.explain_credentials()
    assert told.source is None
    with pytest.raises(AuthError) as caught:
        store.credentials()
    for look in told.looks:
        assert f"{look.source}: {look.why}" in str(caught.value)
