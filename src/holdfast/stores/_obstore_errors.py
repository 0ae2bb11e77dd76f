"""What the engine's errors mean: from exception types, HTTP statuses and service codes to Holdfast's error tree.

The engine (obstore) raises builtins for some failures and one GenericError for most; no error has a status
attribute. But its text is regular: "status code: 503 Service Unavailable: <body>" or, where no answer came, a debug
section that says "kind: Timeout". So the text is read here, once, and what users see is one short redacted line.
"""

from __future__ import annotations

import re

from .. import redact
from ..errors import (
    AuthError,
    BucketNotFound,
    CauseText,
    ConfigError,
    Conflict,
    HoldfastError,
    IntegrityError,
    InvalidKey,
    NotFound,
    StoreError,
    Throttled,
    Timeout,
    Unsupported,
)
from ..keys import printable


class OutOfRange(StoreError):
    """The service says that the range lies outside the object; never leaves the stores."""


class RangeIgnored(StoreError):
    """The service answers a range with the whole object; never leaves the stores."""


class OneOfMany(StoreError):
    """The service answered a batch, and one of its keys failed; never leaves the stores."""


class UploadGone(StoreError):
    """The service does not know the multipart upload (any more); never leaves the stores."""


class Unclear(StoreError):
    """The engine could not make sense of an answer: what was asked for may have been done."""


class MissingHeader(Unsupported):
    """The answer lacks what the engine needs to read an object: its length, or (Google, Azure) its ETag."""


class BadRequest(StoreError):
    """The service answered 400 without a reason, as to a HEAD it must: perhaps it was the wrong region."""


class Forbidden(AuthError):
    """The service answered 403."""


LONGEST_DETAIL = 240

_STATUS = re.compile(r"non-2xx status code: (\d{3}) ?([^:\n<]*)")
_CODE = re.compile(r"<Code>\s*([\w.-]{1,80})\s*</Code>|\(code: ([\w.-]{1,80})\)")
_MESSAGE = re.compile(r"<Message>([^<]{1,400})</Message>")
_MARKUP = re.compile(r"<[^<>]{0,400}>|\s+")
_DOCUMENT = "Server returned error response: "
_DEBUG = "\n\nDebug source:"
_PREFIX = re.compile(r"^Generic \w+ error: ")
_URL = re.compile(r"(?:https?://|url: /)[^\s\"<>]*")
_ADDRESS = re.compile(r"Error performing ([A-Z]+) \S+ in \S+ - ")

#: Error codes of S3, Google and Azure that say more than their HTTP status.
_CODES: dict[str, type[HoldfastError]] = {
    "NoSuchBucket": BucketNotFound,
    "NoSuchKey": NotFound,
    "NoSuchUpload": UploadGone,
    "PreconditionFailed": Conflict,
    "SlowDown": Throttled,
    "TooManyRequests": Throttled,
    "RequestLimitExceeded": Throttled,
    "Throttling": Throttled,
    "ServiceUnavailable": Throttled,
    "RequestTimeout": Timeout,
    "AccessDenied": AuthError,
    "ExpiredToken": AuthError,
    "InvalidAccessKeyId": AuthError,
    "InvalidToken": AuthError,
    "SignatureDoesNotMatch": AuthError,
    "RequestTimeTooSkewed": AuthError,
    "AuthorizationHeaderMalformed": ConfigError,
    "IllegalLocationConstraintException": ConfigError,
    "PermanentRedirect": ConfigError,
    "InvalidBucketName": ConfigError,
    "InvalidStorageClass": ConfigError,
    "KeyTooLongError": InvalidKey,
    "BadDigest": IntegrityError,
    "XAmzContentSHA256Mismatch": IntegrityError,
    "NotImplemented": Unsupported,
    "ContainerNotFound": BucketNotFound,
    "ContainerBeingDeleted": BucketNotFound,
    "BlobNotFound": NotFound,
    "BlobAlreadyExists": Conflict,
    "ConditionNotMet": Conflict,
    "InvalidBlockList": UploadGone,
    "InvalidResourceName": ConfigError,
    "LeaseIdMissing": Unsupported,
    "ServerBusy": Throttled,
    "OperationTimedOut": Timeout,
}
_STATUSES: dict[int, type[HoldfastError]] = {
    401: AuthError,
    403: AuthError,
    404: NotFound,
    407: AuthError,
    408: Timeout,
    412: Conflict,
    429: Throttled,
    501: Unsupported,
    503: Throttled,
    504: Timeout,
}
_AZURE_LOGIN = (
    "the account key or SAS token is not one of this account, or has expired; without either (anonymous=True) a "
    "container must be public"
)
_CURES: dict[str, str] = {
    "SignatureDoesNotMatch": "the secret access key does not belong to the access key id (or the endpoint is not the "
    "one that was signed for)",
    "InvalidAccessKeyId": "the service does not know this access key id: is the endpoint the right one?",
    "ExpiredToken": "renew the session token",
    "RequestTimeTooSkewed": "set this machine's clock",
    "KeyTooLongError": "shorten the key",
    "AuthenticationFailed": _AZURE_LOGIN,
    "AuthorizationFailure": _AZURE_LOGIN,
    "NoAuthenticationInformation": _AZURE_LOGIN,
    "LeaseIdMissing": "somebody holds a lease on it",
}
_BUCKET_CURE = "create it (create=True does, where the store has that option), or correct its name or the endpoint"
#: What the engine's text says deep inside when there was no answer at all.
_UNREACHABLE = {
    "Connection refused": "the connection was refused",
    "dns error": "the name of the host is not known",
    "No route to host": "there is no route to the host",
    "Network is unreachable": "the network is unreachable",
    "Connection reset": "the connection was reset",
}
_LOGIN = "credential provider: "
_TLS = ("certificate", "UnknownIssuer", "InvalidCertificate")
_UNKNOWN_ISSUER = "its authority is unknown: name a file with it in AWS_CA_BUNDLE or SSL_CERT_FILE"
_OTHER_NAME = "it is for another host name: correct the address"
_EXPIRED = "it has expired: renew it on the server, or set this machine's clock"
#: What the engine and OpenSSL call the faults of a certificate, and what to do about each.
_TLS_CURES = {
    "UnknownIssuer": _UNKNOWN_ISSUER,
    "local issuer": _UNKNOWN_ISSUER,
    "self-signed": _UNKNOWN_ISSUER,
    "NotValidForName": _OTHER_NAME,
    "mismatch": _OTHER_NAME,
    "Expired": _EXPIRED,
    "has expired": _EXPIRED,
}


def shown(key: str) -> str:
    """The key as a message may show it: printable, and without a signature that was taken for a part of it."""
    return redact.text(printable(key))


class Answer:
    """What the engine's text says: ``status``, ``code`` and a short ``detail`` fit for a message.

    ``text`` is where its words are looked for, so nothing in it may be a key's or a document's: addresses are cut out,
    and where the service has answered with a status or a document, that alone tells what happened.
    """

    __slots__ = ("code", "detail", "redirected", "status", "text")

    def __init__(self, error: BaseException) -> None:
        text = str(error)
        said = text.partition(_DEBUG)[0]
        status = _STATUS.search(said)
        self.redirected = said.startswith("Received redirect") if status else "Received redirect" in said
        self.text = "" if status else _URL.sub("", said if _DOCUMENT in said else text).partition(_DOCUMENT)[0]
        code = _CODE.search(said)
        self.status = int(status[1]) if status else 0
        self.code = (code[1] or code[2]) if code else ""
        if self.code.isdigit():  # of one key in a batch: its status
            self.status = int(self.code)
        self.detail = _detail(said, status, self.code)

    @property
    def timed_out(self) -> bool:
        """Whether nothing arrived within the time allowed."""
        return "kind: Timeout" in self.text or "TimedOut" in self.text

    @property
    def interrupted(self) -> bool:
        """Whether the connection failed before or within the answer."""
        return "HTTP error" in self.text

    @property
    def login_failed(self) -> bool:
        """Whether credentials could not be renewed for a reason that may pass."""
        return not self.status and f"{_LOGIN}StoreError: " in self.detail

    @property
    def no_length(self) -> bool:
        """Whether the server did not say how long the body is, which the engine needs to know."""
        return "MissingContentLength" in self.text or "Content-Length Header missing" in self.text

    @property
    def no_etag(self) -> bool:
        """Whether the ETag is missing without which the engine takes no answer from Google or Azure."""
        return "ETag Header missing" in self.text

    @property
    def whole(self) -> bool:
        """Whether a range was asked for and the server has answered with the whole object."""
        return "RangeNotSupported" in self.text or "Received non-partial response" in self.text

    @property
    def out_of_range(self) -> bool:
        """Whether the service says that the range lies outside the object."""
        # Azurite answers a range that begins at the end with 206 and no bytes, and the engine complains of that.
        empty = "Wanted range starting at" in self.text or '"bytes 0--1/0"' in self.text
        return self.status == 416 or self.code == "InvalidRange" or empty


def _detail(said: str, status: re.Match[str] | None, code: str) -> str:
    if status is None:
        words = _ADDRESS.sub("", _PREFIX.sub("", said))
    else:
        message = _MESSAGE.search(said)
        words = " ".join(word for word in (status[1], status[2].strip(), code, message[1] if message else "") if word)
    words = _MARKUP.sub(" ", redact.text(words)).strip()
    words = printable(words[:LONGEST_DETAIL])
    return words if len(words) < LONGEST_DETAIL else words[: LONGEST_DETAIL - 1] + "…"


def translate(error: BaseException, *, store: str, key: str | None, doing: str) -> BaseException:
    """The Holdfast error for what the engine raised while ``doing`` something ("read", "list" ...).

    Errors that are ours already, and what is no failure of the engine (Ctrl-C, SystemExit), come back as they are.
    The original text is never shown in full: it holds addresses with passwords and signatures.
    """
    if isinstance(error, HoldfastError):
        return error
    panicked = type(error).__name__ == "PanicException"  # the engine's own bug, raised as a BaseException
    if not isinstance(error, Exception) and not panicked:
        return error
    answer = Answer(error)
    kind, message = _classify(error, answer, key, doing)
    told = kind(message, store=store, key=key, cause=CauseText(f"{type(error).__name__}: {answer.detail}"))
    if kind is StoreError:
        told.retryable = not panicked and (
            answer.status >= 500 or answer.interrupted or answer.login_failed or _is_passing(answer)
        )
    return told


def _is_passing(answer: Answer) -> bool:
    return answer.status == 409 and answer.code in {"OperationAborted", "ConditionalRequestConflict"}


def _classify(error: BaseException, answer: Answer, key: str | None, doing: str) -> tuple[type[HoldfastError], str]:
    what = f"could not {doing} {shown(key)!r}" if key is not None else f"could not {doing}"
    unencodable = isinstance(error, UnicodeEncodeError) or (
        isinstance(error, ValueError) and "parse path" in answer.text
    )
    if unencodable or type(error).__name__ == "InvalidPathError":
        return InvalidKey, f"{what}: this store's engine cannot carry such a key ({answer.detail})"
    kind = _CODES.get(answer.code) or _STATUSES.get(answer.status)
    if not answer.status and _LOGIN in answer.detail:
        kind = StoreError if answer.login_failed else AuthError
        return kind, f"{what}: {answer.detail.partition(_LOGIN)[2]}"
    if "DeleteObjects request failed for key" in answer.text:
        return OneOfMany, f"{what}: {answer.detail}"
    missing = kind is NotFound or (kind is None and isinstance(error, FileNotFoundError))
    if missing and key is not None:
        return NotFound, f"no object {shown(key)!r}"
    if missing or kind is BucketNotFound:
        return BucketNotFound, f"no such bucket: {_BUCKET_CURE}"
    if kind is AuthError:
        return Forbidden if answer.status == 403 else AuthError, f"{what}: {answer.detail}; {_auth_cure(answer)}"
    if kind is ConfigError or answer.redirected:
        return ConfigError, f"{what}: {answer.detail}; {_config_cure(answer)}"
    if kind is Conflict:
        return Conflict, f"{what}: the object is not, or no longer, the version that was named; read it again"
    if answer.out_of_range:
        return OutOfRange, f"{what}: {answer.detail}"
    if answer.whole:
        return RangeIgnored, f"{what}: the server does not answer ranges"
    if kind is not None:
        cure = _CURES.get(answer.code)
        return kind, f"{what}: {answer.detail}" + (f"; {cure}" if cure else "")
    if answer.timed_out:
        return Timeout, f"{what}: no progress within the read or connect timeout"
    if answer.no_length:
        return MissingHeader, f"{what}: the server does not say how long the object is (no Content-Length)"
    if answer.no_etag and doing == "read":  # without one, a write may have been done
        return MissingHeader, f"{what}: the server names no ETag"
    if any(word in answer.text for word in _TLS):
        cure = next((cure for fault, cure in _TLS_CURES.items() if fault in answer.text), answer.detail)
        return ConfigError, f"{what}: the server's TLS certificate is not trusted; {cure}"
    if "contained non UTF-8" in answer.text:
        return StoreError, f"{what}: its metadata is not ASCII, which the engine cannot read; rewrite its metadata"
    reason = next((reason for words, reason in _UNREACHABLE.items() if words in answer.text), None)
    if reason is not None:
        return StoreError, f"{what}: {reason}; is the endpoint the right one, and can it be reached from here?"
    if answer.status == 400 and not answer.code:
        kind = BadRequest
    else:
        kind = StoreError if answer.status or answer.interrupted else Unclear
    return kind, f"{what}: {answer.detail or type(error).__name__}"


def _auth_cure(answer: Answer) -> str:
    if cure := _CURES.get(answer.code):
        return cure
    if answer.status == 401:
        return "this needs credentials, or others"
    return "the credentials do not allow this, or (S3 says 403 then too) the key does not exist and they may not list"


def _config_cure(answer: Answer) -> str:
    if answer.code in {"InvalidBucketName", "InvalidResourceName", "InvalidStorageClass"}:
        return "correct the name"
    return "the bucket is probably in another region: name it with region= or AWS_REGION"


def no_token(error: Exception) -> HoldfastError:
    """The error for a credential object of somebody else's that gave no token; retryable where it says so itself."""
    said = printable(redact.text(str(error))[:LONGEST_DETAIL])
    message = f"the credential gave no token: {type(error).__name__}: {said}"
    if getattr(error, "retryable", False):
        return StoreError(message, retryable=True)
    return AuthError(message)
