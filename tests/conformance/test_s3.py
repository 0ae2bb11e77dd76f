"""The matrix, on S3: moto (conditional requests) and Ceph (signatures), bare and under a prefix, against boto3."""

from __future__ import annotations

import pytest

from holdfast.stores.s3 import S3Store
from holdfast.testing import StoreConformance
from holdfast.wrap.rekey import PrefixStore

NEIGHBOURS = {"run10/a": b"a", "run1.txt": b"b"}


def in_bucket(client, bucket, prefix=""):
    """The objects that boto3 finds below the prefix, by the rest of their keys."""
    found = {}
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    for page in pages:
        for row in page.get("Contents", ()):
            found[row["Key"][len(prefix) :]] = client.get_object(Bucket=bucket, Key=row["Key"])["Body"].read()
    return found


def empty(client, bucket):
    """Delete every object of the bucket; awkward keys, which are few, one by one."""
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        keys = [row["Key"] for row in page.get("Contents", ())]
        if len(keys) > 100:
            client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True})
        else:
            for key in keys:
                client.delete_object(Bucket=bucket, Key=key)


class S3Conformance(StoreConformance):
    """What the four rows share; ``server`` is a fixture of the row."""

    rounds = 16
    large = 9 << 20  # two parts of a multipart upload

    @pytest.fixture(scope="class")
    @classmethod
    def bucket(cls, server):
        return server.make_bucket()

    @pytest.fixture
    def inner(self, server, bucket, monkeypatch):
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)  # a pickled store comes back with these, not with secrets of its own
        self.client, self.bucket_name = server.client(), bucket
        with S3Store(
            bucket,
            endpoint=server.endpoint,
            region=server.region,
            access_key_id=server.access_key,
            secret_access_key=server.secret_key,
        ) as store:
            store.probe()  # or the capabilities would promise what the server has yet to be asked for
            yield store
        empty(self.client, bucket)
        assert not self.client.list_multipart_uploads(Bucket=bucket).get("Uploads"), "parts left behind"

    @pytest.fixture
    def store(self, inner):
        return inner

    def truth(self, store):
        return in_bucket(self.client, self.bucket_name)


class UnderPrefix:
    """The same below ``run1/``, beside objects that must be neither shown nor touched."""

    @pytest.fixture
    def store(self, inner):
        for key, data in NEIGHBOURS.items():
            self.client.put_object(Bucket=self.bucket_name, Key=key, Body=data)
        yield PrefixStore(inner, "run1/")
        outside = {k: v for k, v in in_bucket(self.client, self.bucket_name).items() if not k.startswith("run1/")}
        assert outside == NEIGHBOURS

    def truth(self, store):
        return in_bucket(self.client, self.bucket_name, "run1/")


class OnMoto:
    many = 30  # a request takes moto ten milliseconds

    @pytest.fixture(scope="class")
    @classmethod
    def server(cls, moto):
        return moto


class OnCeph:
    @pytest.fixture(scope="class")
    @classmethod
    def server(cls, ceph):
        return ceph


class TestMoto(OnMoto, S3Conformance):
    pass


class TestMotoUnderPrefix(OnMoto, UnderPrefix, S3Conformance):
    pass


class TestCeph(OnCeph, S3Conformance):
    pass


class TestCephUnderPrefix(OnCeph, UnderPrefix, S3Conformance):
    many = 30
