"""AWS Signature Version 4 for S3: the headers that prove who sends a request, and the encoding they are made over."""

from __future__ import annotations

import functools
import hashlib
import hmac
import urllib.parse
from collections.abc import Mapping
from datetime import UTC, datetime

from ...credentials import S3Credentials

ALGORITHM = "AWS4-HMAC-SHA256"
SERVICE = "s3"


def encode_path(path: str) -> str:
    """The path as S3 expects it on the wire: every byte but letters, digits, ``-_.~`` and the slash is escaped.

    >>> encode_path("/bucket/a b//..é")
    '/bucket/a%20b//..%C3%A9'
    """
    return urllib.parse.quote(path, safe="/")


def encode_query(query: Mapping[str, str]) -> str:
    """The query string in the order and the encoding in which it is signed.

    >>> encode_query({"prefix": "a/b", "list-type": "2"})
    'list-type=2&prefix=a%2Fb'
    """
    quote = functools.partial(urllib.parse.quote, safe="")
    return "&".join(f"{name}={value}" for name, value in sorted((quote(n), quote(v)) for n, v in query.items()))


def signed_headers(
    method: str,
    path: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    payload_hash: str,
    credentials: S3Credentials,
    region: str,
    *,
    now: datetime | None = None,
) -> dict[str, str]:
    """The headers in lower case, with those added that sign them all, the path, the query and the body.

    ``path`` is not encoded yet; ``headers`` must hold ``host``; ``payload_hash`` is the body's SHA-256 in hexadecimal.
    """
    stamp = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    signed = {name.lower(): value for name, value in headers.items()}
    signed["x-amz-date"] = stamp
    signed["x-amz-content-sha256"] = payload_hash
    if credentials.session_token:
        signed["x-amz-security-token"] = credentials.session_token
    names = ";".join(sorted(signed))
    request = "\n".join(
        (
            method,
            encode_path(path),
            encode_query(query),
            # Runs of spaces count as one in what is signed; what is sent, and stored, keeps them.
            *(f"{name}:{' '.join(signed[name].split())}" for name in sorted(signed)),
            "",
            names,
            payload_hash,
        )
    )
    scope = f"{stamp[:8]}/{region}/{SERVICE}/aws4_request"
    to_sign = f"{ALGORITHM}\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = _signing_key(credentials.secret_access_key, stamp[:8], region)
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    credential = f"{credentials.access_key_id}/{scope}"
    signed["authorization"] = f"{ALGORITHM} Credential={credential},SignedHeaders={names},Signature={signature}"
    return signed


@functools.lru_cache(maxsize=16)
def _signing_key(secret: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, SERVICE, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
