"""The tags of an object, which copies in parts lose unless they are asked for and sent along."""

from __future__ import annotations

import html
import re
import urllib.parse

from ...errors import AuthError, NotFound, Unsupported
from ...keys import printable
from .._documents import Document, Malformed
from .wire import Request, Wire

HEADER = "x-amz-tagging"
#: More (bytes) than any document of tags has, of which there are ten: who sends an object instead sends no more either.
LONGEST = 64 << 10

_TAG = re.compile(r"<Tag>(.*?)</Tag>", re.DOTALL)
_FIELD = re.compile(r"<(Key|Value)>([^<]*)</\1>")


def header(wire: Wire, key: str) -> dict[str, str]:
    """The header that gives a copy the tags of this object, if it has any; none where the service knows no tags.

    Raises AuthError where the credentials do not allow the tags to be read.
    """
    request = Request(
        "read the tags of", "GET", key, query={"tagging": ""}, headers={"range": f"bytes=0-{LONGEST - 1}"}
    )
    try:
        answer = wire.call(request)
    except (Unsupported, NotFound):
        return {}
    except AuthError as error:
        message = (
            f"may not read the tags of {printable(key)!r}, which a copy of it in parts, or under a condition, would "
            "lose: allow s3:GetObjectTagging, or open the target with tags= of its own"
        )
        raise AuthError(message, store=wire.store, key=key, cause=error) from error
    if not _is_tagging(answer.body):
        return {}  # the object itself, by a service that has not looked at the query
    tags = [dict(_FIELD.findall(tag)) for tag in _TAG.findall(answer.body.decode())]
    pairs = [(html.unescape(tag.get("Key", "")), html.unescape(tag.get("Value", ""))) for tag in tags]
    return {HEADER: urllib.parse.urlencode(pairs, quote_via=urllib.parse.quote)} if pairs else {}


def _is_tagging(body: bytes) -> bool:
    try:
        return Document(body).root == "Tagging"
    except Malformed:
        return False
