"""A home directory of one's own, no shared credentials from other tests, and the issuer."""

from __future__ import annotations

import pytest

from holdfast.credentials import providers
from tests.credentials.issuer import Issuer


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty home directory, and a process that has found no credentials yet."""
    directory = tmp_path / "home"
    directory.mkdir()
    monkeypatch.setenv("HOME", str(directory))
    monkeypatch.setattr(providers, "_shared", {})
    return directory


@pytest.fixture
def issuer():
    """A running issuer of credentials."""
    with Issuer() as running:
        yield running


@pytest.fixture
def instance(issuer, monkeypatch):
    """The environment of a machine whose instance metadata service is the issuer."""
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", issuer.endpoint)
    return issuer
