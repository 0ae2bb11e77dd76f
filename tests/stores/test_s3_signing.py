"""Signatures of S3 requests: the examples that Amazon publishes, and botocore's signer as a second opinion."""

from __future__ import annotations

import hashlib
import urllib.parse
from datetime import UTC, datetime

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from holdfast.credentials import S3Credentials
from holdfast.stores.s3.signing import encode_path, encode_query, signed_headers

EXAMPLE = S3Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
WHEN = datetime(2013, 5, 24, tzinfo=UTC)
HOST = {"host": "examplebucket.s3.amazonaws.com"}

# From "Signature Calculations for the Authorization Header" in the documentation of Amazon S3.
PUBLISHED = {
    "get object": (
        ("GET", "/test.txt", {}, {"Range": "bytes=0-9"}, b""),
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    ),
    "put object": (
        (
            "PUT",
            "/test$file.text",
            {},
            {"Date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
            b"Welcome to Amazon S3.",
        ),
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    ),
    "get bucket lifecycle": (
        ("GET", "/", {"lifecycle": ""}, {}, b""),
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    ),
    "list objects": (
        ("GET", "/", {"max-keys": "2", "prefix": "J"}, {}, b""),
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_examples(name):
    (method, path, query, headers, body), signature = PUBLISHED[name]
    digest = hashlib.sha256(body).hexdigest()
    signed = signed_headers(method, path, query, HOST | headers, digest, EXAMPLE, "us-east-1", now=WHEN)
    assert signed["authorization"].endswith(f"Signature={signature}")
    assert f"Credential={EXAMPLE.access_key_id}/20130524/us-east-1/s3/aws4_request" in signed["authorization"]


class Clocked(S3SigV4Auth):
    """botocore's signer at the time of the other signature."""

    def __init__(self, stamp, *arguments):
        super().__init__(*arguments)
        self.stamp = stamp

    def add_auth(self, request):
        request.context["timestamp"] = self.stamp
        request.headers["X-Amz-Date"] = self.stamp
        request.headers["X-Amz-Content-SHA256"] = hashlib.sha256(request.body or b"").hexdigest()
        if self.credentials.token:
            request.headers["X-Amz-Security-Token"] = self.credentials.token
        scope_and_headers = self.string_to_sign(request, self.canonical_request(request))
        return self.signature(scope_and_headers, request)


@pytest.mark.parametrize("token", [None, "a/session+token=="])
@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/bucket/a b//./..é/", {}),
        ("//lead", {"uploadId": "a+b/c=", "partNumber": "1"}),
        ("/bucket/~*'()!@:,;$&=+?#[]%\x01\x7f\U0001f600", {"versionId": ""}),
        ("/bucket", {"list-type": "2", "prefix": "a b+c/~*", "delimiter": "/", "Z": "1", "a-b": "2", "ab": "3"}),
    ],
)
def test_botocore_signs_the_same(path, query, token):
    credentials = S3Credentials("AK", "secret/+key", token)
    headers = {"host": "127.0.0.1:9000", "x-amz-meta-name": "two  words", "content-type": "text/plain"}
    body = b"body"
    digest = hashlib.sha256(body).hexdigest()
    signed = signed_headers("PUT", path, query, headers, digest, credentials, "eu-west-3", now=WHEN)
    url = f"http://127.0.0.1:9000{encode_path(path)}" + (f"?{encode_query(query)}" if query else "")
    request = AWSRequest(method="PUT", url=url, headers=headers, data=body)
    theirs = Clocked(signed["x-amz-date"], Credentials("AK", "secret/+key", token), "s3", "eu-west-3").add_auth(request)
    assert signed["authorization"].endswith(f"Signature={theirs}")


def test_every_byte_that_could_be_misread_is_escaped():
    assert urllib.parse.unquote(encode_path("/a b+c%20/..//é\n")) == "/a b+c%20/..//é\n"
    assert encode_path("/a b+c%20/..//é\n") == "/a%20b%2Bc%2520/..//%C3%A9%0A"
