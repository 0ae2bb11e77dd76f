"""CloudFiles on the embedded stores and on a real S3 server."""

from __future__ import annotations

import pytest

from holdfast import CloudFiles
from holdfast.stores.memory import MemoryStore


@pytest.fixture(params=["file", "mem", pytest.param("moto", marks=pytest.mark.server)])
def cf(request, tmp_path):
    if request.param == "file":
        yield CloudFiles(f"file://{tmp_path}/root")
    elif request.param == "mem":
        MemoryStore("cloudfiles-tests").clear()
        yield CloudFiles("mem://cloudfiles-tests/prefix")
    else:
        moto = request.getfixturevalue("moto")
        bucket = moto.make_bucket()
        secrets = {"AWS_ACCESS_KEY_ID": moto.access_key, "AWS_SECRET_ACCESS_KEY": moto.secret_key}
        yield CloudFiles(f"s3://{moto.endpoint}/{bucket}/prefix", secrets=secrets)
