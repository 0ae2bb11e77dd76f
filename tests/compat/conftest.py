"""A location for the compatibility tests: local, in memory, and on a real S3 server."""

from __future__ import annotations

import pytest

from holdfast.compat import cloudfiles


@pytest.fixture(params=["file", "mem", pytest.param("moto", marks=pytest.mark.server)])
def cloudpath(request, tmp_path, monkeypatch):
    """Where one test's objects are; credentials are in the environment."""
    cloudfiles.clear_memory()
    if request.param == "file":
        return f"file://{tmp_path}/root"
    if request.param == "mem":
        return "mem://compat-tests/prefix"
    moto = request.getfixturevalue("moto")
    for name, value in moto.environment.items():
        monkeypatch.setenv(name, value)
    return moto.url(moto.make_bucket(), "prefix")


@pytest.fixture
def cf(cloudpath):
    """A CloudFiles as a program of cloud-files makes it."""
    return cloudfiles.CloudFiles(cloudpath)
