"""The matrix, by BucketStore: with keys it is an S3Store, with a client whatever five methods can do."""

from __future__ import annotations

import pytest

from holdfast.stores.bucket import BucketStore
from holdfast.testing import StoreConformance


class TestBucketWithClient(StoreConformance):
    rounds = 8
    many = 60
    pickles = False

    @pytest.fixture
    def bucket(self, ceph):
        self.client, self.bucket = ceph.client(), ceph.make_bucket()
        return self.bucket

    @pytest.fixture
    def store(self, bucket):
        with BucketStore(bucket, self.client) as store:
            yield store

    def truth(self, store):
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        keys = [row["Key"] for page in pages for row in page.get("Contents", ())]
        return {key: self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read() for key in keys}


class TestBucketWithKeys(TestBucketWithClient):
    @pytest.fixture
    def store(self, moto):
        self.client, self.bucket = moto.client(), moto.make_bucket()
        with BucketStore(moto.endpoint, moto.access_key, moto.secret_key, self.bucket) as store:
            yield store
