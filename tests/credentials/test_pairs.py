"""Where credentials and settings come from, and that they are never shown."""

from __future__ import annotations

import pickle
import traceback

import pytest

from holdfast import credentials
from holdfast.credentials import S3Credentials, from_arguments, from_environment
from holdfast.errors import AuthError, ConfigError
from holdfast.stores.s3 import S3Store

SECRET = "wJalrXUtnFEMI-very-secret"
FULL = {"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": "TOKEN-secret"}


def test_explicit_arguments_become_credentials():
    assert from_arguments("AK", SECRET, "T", None) == S3Credentials("AK", SECRET, "T")
    assert from_arguments("AK", SECRET, None, None) == S3Credentials("AK", SECRET)
    assert from_arguments(None, None, None, None) is None


@pytest.mark.parametrize(
    "secrets",
    [
        FULL,
        {name.lower(): value for name, value in FULL.items()},
        {name.removeprefix("AWS_").lower(): value for name, value in FULL.items()},
    ],
)
def test_a_secrets_mapping_is_understood_in_either_case(secrets):
    assert from_arguments(None, None, None, secrets) == S3Credentials("AK", SECRET, "TOKEN-secret")


def test_a_secrets_mapping_without_a_session_token_is_enough():
    secrets = {"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": SECRET}
    assert from_arguments(None, None, None, secrets) == S3Credentials("AK", SECRET)


def test_an_unknown_entry_of_secrets_is_named_but_not_its_value():
    with pytest.raises(ConfigError, match="client_email") as caught:
        from_arguments(None, None, None, {**FULL, "client_email": SECRET})
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("missing", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_half_a_pair_is_refused_naming_the_missing_half(missing):
    half = {name: value for name, value in FULL.items() if name != missing}
    for call in (lambda: from_arguments(None, None, None, half), lambda: from_environment(half)):
        with pytest.raises(ConfigError, match=missing) as caught:
            call()
        assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [
        {"access_key_id": "AK", "secret_access_key": SECRET, "anonymous": True},
        {"secrets": FULL, "anonymous": True},
        {"access_key_id": "AK", "secret_access_key": SECRET, "secrets": FULL},
    ],
)
def test_two_ways_at_once_are_refused(arguments):
    given = {"access_key_id": None, "secret_access_key": None, "session_token": None, "secrets": None, **arguments}
    with pytest.raises(ConfigError, match="not several"):
        from_arguments(**given)


def test_a_pasted_line_end_is_refused_without_showing_the_secret():
    with pytest.raises(ConfigError, match="line end") as caught:
        from_arguments("AK", SECRET + "\n", None, None)
    assert SECRET not in str(caught.value)


def test_the_environment_is_read_and_empty_variables_count_as_unset():
    assert from_environment(FULL) == S3Credentials("AK", SECRET, "TOKEN-secret")
    assert from_environment({**FULL, "AWS_SESSION_TOKEN": ""}) == S3Credentials("AK", SECRET)
    assert from_environment({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}) is None


def test_nothing_found_names_what_to_do():
    error = credentials.nothing_found("s3://bucket")
    assert isinstance(error, AuthError)
    for word in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "anonymous=True", "AWS_PROFILE"):
        assert word in str(error)
    assert "pickle" in str(credentials.nothing_found("s3://bucket", dropped=True))


def test_no_representation_shows_a_secret():
    found = from_environment(FULL)
    shown = [repr(found), str(found), f"{found}", "".join(traceback.format_exception_only(ValueError(found)))]
    for text in shown:
        assert SECRET not in text
        assert "TOKEN-secret" not in text
        assert "AK" not in text


def test_fingerprints_differ_with_every_part_and_reveal_none():
    base = S3Credentials("AK", SECRET)
    others = [S3Credentials("AK", SECRET, "T"), S3Credentials("AK", "other"), S3Credentials("BK", SECRET)]
    assert len({found.fingerprint() for found in (base, *others)}) == 4
    assert SECRET not in base.fingerprint()
    assert base.principal() == S3Credentials("AK", SECRET, "renewed").principal()
    assert base.principal() != S3Credentials("BK", SECRET).principal()


def test_endpoint_and_region_prefer_the_more_specific_variable():
    assert credentials.s3_endpoint({"AWS_ENDPOINT_URL": "http://a", "AWS_ENDPOINT_URL_S3": "http://b"}) == "http://b"
    assert credentials.s3_endpoint({"AWS_ENDPOINT_URL": "http://a"}) == "http://a"
    assert credentials.s3_endpoint({}) is None
    assert credentials.s3_region({"AWS_REGION": "eu-1", "AWS_DEFAULT_REGION": "us-1"}) == "eu-1"
    assert credentials.s3_region({"AWS_DEFAULT_REGION": "us-1"}) == "us-1"
    assert credentials.s3_region({}) is None


def test_plain_http_may_be_forbidden_but_not_with_nonsense():
    assert credentials.plain_http_allowed({"AWS_ALLOW_HTTP": "TRUE"})
    assert not credentials.plain_http_allowed({"AWS_ALLOW_HTTP": "0"})
    with pytest.raises(ConfigError, match="maybe"):
        credentials.plain_http_allowed({"AWS_ALLOW_HTTP": "maybe"})


def test_a_pickled_store_never_turns_into_somebody_else(monkeypatch):
    store = S3Store("bucket", endpoint="http://127.0.0.1:1", access_key_id="AKIAOURS", secret_access_key="ours")
    there = pickle.loads(pickle.dumps(store))
    for name, pair in {"theirs": ("AKIATHEIRS", "theirs"), "ours": ("AKIAOURS", "ours")}.items():
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", pair[0])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", pair[1])
        for pickled in (there, pickle.loads(pickle.dumps(there))):
            if name == "ours":
                assert pickled.credentials() == store.credentials()
                continue
            with pytest.raises(AuthError, match=r"stayed behind.*somebody else"):
                pickled.credentials()
