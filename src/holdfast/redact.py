"""The one redactor: what may be shown of a URL or a foreign error message."""

from __future__ import annotations

import logging
import re

HIDDEN = "***"

_USERINFO = re.compile(r"(?i)(?<=://)[^/?#\s]*@")
_QUERY = re.compile(
    r"(?i)([?&;#](?:x-amz-(?:signature|credential|security-token)|x-goog-(?:signature|credential)|awsaccesskeyid"
    r"|googleaccessid|signature|sig|token|access_token|key|password|secret|code|se|sp|sv|skoid)=)[^&#\s\"'<>]*"
)
_HEADER = re.compile(
    # Unquoted, the value goes to the end of the line: signatures and cookies contain commas and semicolons.
    r"(?i)([\"']?(?:[\w-]*authorization|[\w-]*cookie|x-[\w-]*(?:token|api-key|customer-key|encryption-key))[\"']?\s*[:=]\s*)"
    r"(?!\*\*\*)(\"[^\"]*\"|'[^']*'|[^\s\"'][^\r\n]*)"
)
_ASSIGNMENT = re.compile(
    r"(?i)([\"']?\b(?:aws_)?(?:secret_?access_?key|(?:session|access|refresh|id|sas)_?token|access_?key_?id|secret_?key"
    r"|account_?key|private_?key|client_?secret|password|SharedAccessSignature)[\"']?\s*[:=]\s*)"
    r"(\"[^\"]*\"|'[^']*'|[^\s,;&}]+)"
)
_ELEMENT = re.compile(
    r"(?i)(<(?:secret_?access_?key|session_?token|token|aws_?access_?key_?id|signature_?provided|string_?to_?sign"
    r"|canonical_?request|authentication_?error_?detail)>)[^<]+"
)


def text(message: str) -> str:
    """The message without passwords, signatures, tokens and authorization headers.

    Meant for foreign messages (an engine's debug text, a server's answer) before they reach an error or a log.

    >>> text("GET https://user:pw@host/a?X-Amz-Signature=abc&x=1 failed")
    'GET https://***@host/a?X-Amz-Signature=***&x=1 failed'
    """
    message = _USERINFO.sub(HIDDEN + "@", message)
    message = _QUERY.sub(rf"\g<1>{HIDDEN}", message)
    message = _HEADER.sub(rf"\g<1>{HIDDEN}", message)
    message = _ASSIGNMENT.sub(rf"\g<1>{HIDDEN}", message)
    return _ELEMENT.sub(rf"\g<1>{HIDDEN}", message)


url = text


def error(problem: BaseException) -> str:
    """An error's type and what it says, without secrets: for logs, and for errors that tell of others.

    >>> error(ConnectionError("no answer from redis://user:pw@cache"))
    'ConnectionError: no answer from redis://***@cache'
    """
    return f"{type(problem).__name__}: {text(str(problem))}"


class _Filter(logging.Filter):
    """Errors among a record's arguments become their text without secrets."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(text(str(arg)) if isinstance(arg, BaseException) else arg for arg in record.args)
        return True


_FILTER = _Filter()


def logger(name: str) -> logging.Logger:
    """The logger of this name, which tells what errors say without their secrets."""
    found = logging.getLogger(name)
    found.addFilter(_FILTER)  # once, however often it is said
    return found
