from __future__ import annotations

import pytest

from holdfast import redact

SECRET = "hunter2SECRET"


@pytest.mark.parametrize(
    "message",
    [
        f"GET https://user:{SECRET}@host/path failed",
        f"GET https://{SECRET}@host/path failed",
        f"GET https://user:p@{SECRET}@host/path failed",
        f"https://bucket/key?X-Amz-Signature={SECRET}&x=1",
        f"https://bucket/key?a=1&X-Amz-Security-Token={SECRET}",
        f"https://account.blob/key?sv=2020&sig={SECRET}",
        f"Authorization: Bearer {SECRET}",
        f"Authorization: AWS4-HMAC-SHA256 Credential=AK/20200101, SignedHeaders=host;date, Signature={SECRET}",
        f'headers: {{"authorization": "AWS4-HMAC-SHA256 Credential=AK, Signature={SECRET}", "host": "x"}}',
        f"headers: {{'Authorization': 'Bearer {SECRET}', 'host': 'x'}}",
        f"Cookie: session=1; token={SECRET}",
        f"x-amz-security-token: {SECRET}",
        f"aws_secret_access_key = {SECRET}",
        f"{{'secret_access_key': '{SECRET}'}}",
        f'{{"aws_session_token":"{SECRET}"}}',
        f"AccountName=a;AccountKey={SECRET};EndpointSuffix=x",
        f"password={SECRET}",
        f"x-amz-server-side-encryption-customer-key: {SECRET}",
        f"x-aws-ec2-metadata-token: {SECRET}\nhost: x",
        f"x-amz-sso_bearer_token: {SECRET}",
        f"x-ms-copy-source-authorization: Bearer {SECRET}",
        f'{{"access_token": "{SECRET}", "expires_in": 3600}}',
        f"refused: client_secret={SECRET}",
        f"<SecretAccessKey>{SECRET}</SecretAccessKey>",
        f"<StringToSign>AWS4 {SECRET}</StringToSign>",
    ],
)
def test_no_secret_survives_in_a_message(message):
    assert SECRET not in redact.text(message)
    assert redact.HIDDEN in redact.text(message)
    assert redact.text(redact.text(message)) == redact.text(message)


@pytest.mark.parametrize(
    "message",
    [
        "s3://bucket/a/b: no object 'a/b'",
        "https://host/path?version=3&x=1 answered 404",
        "HTTP 403 from https://bucket.s3.amazonaws.com/key: AccessDenied",
        "user@example.com wrote to /home/user/tokens.txt",
    ],
)
def test_what_is_no_secret_is_left_alone(message):
    assert redact.text(message) == message


def test_what_helps_is_still_there():
    shown = redact.text(
        f"GET https://me:{SECRET}@host:9000/a/b?x=1&X-Amz-Signature={SECRET}&y=2 failed: 403\nnext line"
    )
    assert shown == "GET https://***@host:9000/a/b?x=1&X-Amz-Signature=***&y=2 failed: 403\nnext line"
    assert redact.text(f"Authorization: Bearer {SECRET}\nHost: x") == "Authorization: ***\nHost: x"
