"""Signatures for requests of our own to Azure Blob: Shared Key, after Microsoft's reference, SAS tokens and bearers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import urllib.parse
from collections.abc import Mapping
from email.utils import formatdate

from .az_login import Login

VERSION = "2021-08-06"
#: The headers whose values are signed by their position.
_BY_POSITION = (
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
)


def signed(
    method: str,
    url: str,
    headers: Mapping[str, str],
    account: str,
    login: Login | None,
    query: Mapping[str, str] | None = None,
) -> tuple[str, dict[str, str]]:
    """The URL, with the ``query`` in it, and the headers with which Azure takes a request without a body.

    ``login`` is None for anonymous access. Raises what the credential raises when it is asked for a token.
    """
    named = {name.lower(): value for name, value in headers.items()}
    named |= {"x-ms-date": formatdate(usegmt=True), "x-ms-version": VERSION}
    given = login.provide() if login is not None else {}
    asked = [urllib.parse.urlencode(query, quote_via=urllib.parse.quote)] if query else []
    if "sas_token" in given:
        asked.append(given["sas_token"])
    if "token" in given:
        named["authorization"] = f"Bearer {given['token']}"
    elif "access_key" in given:
        digest = hmac.new(
            base64.b64decode(given["access_key"]), _text(method, url, query or {}, named, account), hashlib.sha256
        )
        named["authorization"] = f"SharedKey {account}:{base64.b64encode(digest.digest()).decode('ascii')}"
    return f"{url}?{'&'.join(asked)}" if asked else url, named


def _text(method: str, url: str, query: Mapping[str, str], headers: Mapping[str, str], account: str) -> bytes:
    """What is signed: the method, the headers, and the resource with the account before its path."""
    values = [headers.get(name, "") for name in _BY_POSITION]
    own = [f"{name}:{headers[name]}" for name in sorted(headers) if name.startswith("x-ms-")]
    resource = f"/{account}{urllib.parse.urlsplit(url).path}"
    asked = [f"{name}:{query[name]}" for name in sorted(query)]
    return "\n".join((method, *values, *own, resource, *asked)).encode()
