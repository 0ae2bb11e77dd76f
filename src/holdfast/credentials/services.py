"""Services that hand out temporary S3 credentials: STS for a web identity, container and instance metadata.

Each ``*_offer`` says, without asking anybody, whether its source applies here; the offer's ``fetch`` asks. Metadata
services are asked directly, never through a proxy, and no redirect is followed: their answers are secrets.
"""

from __future__ import annotations

import hashlib
import html
import json
import os
import re
import time
import urllib.parse
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .. import network
from ..errors import AuthError, ConfigError, StoreError
from .pairs import S3Credentials, pair
from .providers import Absent
from .quiet import unlogged

CONTAINER_HOST = "http://169.254.170.2"
INSTANCE_HOSTS = {"ipv4": "http://169.254.169.254", "ipv6": "http://[fd00:ec2::254]"}
#: Plain http is for these hosts of the full container URI; elsewhere the token would be there for all to read.
CONTAINER_HOSTS = frozenset(("localhost", "127.0.0.1", "::1", "169.254.170.2", "169.254.170.23", "fd00:ec2::23"))
#: How long all requests to the instance metadata service may take, and each of them without an answer (seconds).
INSTANCE_PATIENCE = 2.5
INSTANCE_REQUEST = 1.0
INSTANCE_TOKEN_LIFE = "21600"  # noqa: S105 - seconds

_MEMBERS = {"AccessKeyId": "access_key_id", "SecretAccessKey": "secret_access_key"}
_TOKENS = ("SessionToken", "Token")  # STS and credential processes say the first, metadata services the second


@dataclass(frozen=True, slots=True)
class Offer:
    """A source that applies: ``why`` it does, ``identity`` without secrets, ``fetch`` to get the credentials."""

    why: str
    identity: Hashable
    fetch: Callable[[], S3Credentials]


def web_identity_offer(
    environment: Mapping[str, str], token_file: str | None = None, role: str | None = None, session: str | None = None
) -> Offer | str:
    """The offer to trade the token in AWS_WEB_IDENTITY_TOKEN_FILE for AWS_ROLE_ARN, or why there is none.

    The other arguments replace the variables: profiles say the same under other names.
    """
    token_file = token_file or environment.get("AWS_WEB_IDENTITY_TOKEN_FILE")
    if not token_file:
        return "AWS_WEB_IDENTITY_TOKEN_FILE is not set"
    role = role or environment.get("AWS_ROLE_ARN")
    if not role:
        raise ConfigError("AWS_WEB_IDENTITY_TOKEN_FILE is set and AWS_ROLE_ARN is not: set it to the role to assume")
    session = session or environment.get("AWS_ROLE_SESSION_NAME")
    url = _sts(environment)
    identity = ("web identity", url, role, session, token_file)

    def fetch() -> S3Credentials:
        return _assume_with_token(url, role, session or f"holdfast-{os.getpid()}", token_file)

    return Offer(f"the token in {token_file} is good for {role}", identity, fetch)


def container_offer(environment: Mapping[str, str]) -> Offer | str:
    """The offer of the container metadata service that AWS_CONTAINER_CREDENTIALS_*_URI names, or why there is none."""
    relative = environment.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
    full = environment.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    if not relative and not full:
        return "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and AWS_CONTAINER_CREDENTIALS_FULL_URI are not set"
    url = f"{CONTAINER_HOST}{relative}" if relative else str(full)
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in CONTAINER_HOSTS):
        raise ConfigError(
            "AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https:// nor on this machine: the credentials would travel "
            "in the open"
        )
    token_file = environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
    token = environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN")

    def fetch() -> S3Credentials:
        given = _read_token(token_file) if token_file else token
        _check_header(given, "AWS_CONTAINER_AUTHORIZATION_TOKEN")
        headers = {"Authorization": given} if given else {}
        service = _Metadata("the container metadata service", patience=20.0, each=5.0)
        try:
            answer = service.get(url, headers)
        except Absent as absent:  # it was named, so nobody else's credentials may be used instead
            if service.status in range(400, 500) and service.status != 429:
                raise AuthError(f"{absent}, though AWS_CONTAINER_CREDENTIALS_*_URI names it") from None
            raise StoreError(f"{absent}, though AWS_CONTAINER_CREDENTIALS_*_URI names it", retryable=True) from None
        return _from_document(answer, service.name)

    digest = hashlib.sha256(f"{url} {token}".encode()).hexdigest()  # without the token itself
    return Offer("the environment names a container metadata service", ("container", digest, token_file), fetch)


def instance_offer(environment: Mapping[str, str]) -> Offer | str:
    """The offer of the instance metadata service (version 2), or why it is not to be asked."""
    if environment.get("AWS_EC2_METADATA_DISABLED", "").strip().lower() == "true":
        return "AWS_EC2_METADATA_DISABLED is set"
    mode = environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ipv4").strip().lower()
    if mode not in INSTANCE_HOSTS:
        raise ConfigError(f"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE={mode!r} is neither IPv4 nor IPv6")
    base = (environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or INSTANCE_HOSTS[mode]).rstrip("/")

    def fetch() -> S3Credentials:
        return _from_instance(base)

    return Offer("the instance metadata service has a role for this machine", ("instance", base), fetch)


def from_members(document: Mapping[str, Any], where: str) -> S3Credentials:
    """The credentials in a document with AccessKeyId, SecretAccessKey, SessionToken or Token, and Expiration."""
    given: dict[str, Any] = {part: document.get(member) for member, part in _MEMBERS.items()}
    given["session_token"] = next((document[name] for name in _TOKENS if document.get(name)), None)
    return pair(given, where, expires_at=_moment(document.get("Expiration"), where))


def _from_instance(base: str) -> S3Credentials:
    service = _Metadata("the instance metadata service", patience=INSTANCE_PATIENCE, each=INSTANCE_REQUEST)
    lifetime = {"X-aws-ec2-metadata-token-ttl-seconds": INSTANCE_TOKEN_LIFE}
    token = service.ask("PUT", f"{base}/latest/api/token", lifetime).strip()
    _check_header(token, service.name)
    headers = {"X-aws-ec2-metadata-token": token}
    roles = f"{base}/latest/meta-data/iam/security-credentials/"
    role = service.get(roles, headers).strip().partition("\n")[0]
    if not role:
        raise Absent("the instance metadata service knows no role for this machine")
    return _from_document(service.get(roles + urllib.parse.quote(role), headers), service.name)


class _Metadata:
    """One conversation with a metadata service, within ``patience`` seconds in all and ``each`` per request."""

    def __init__(self, name: str, *, patience: float, each: float) -> None:
        import urllib3

        self.name = name
        self.status = 0  # of the last answer
        self._ends = time.monotonic() + patience
        self._each = each
        self._pool = urllib3.PoolManager(retries=False)  # not network.pool_manager: no proxy is to see this

    def get(self, url: str, headers: Mapping[str, str]) -> str:
        """The body of the answer to a GET."""
        return self.ask("GET", url, headers)

    def ask(self, method: str, url: str, headers: Mapping[str, str]) -> str:
        """The body of the answer; Absent if there is none in time or the service does not offer this."""
        import urllib3

        left = min(self._each, self._ends - time.monotonic())
        if left <= 0:
            raise Absent(f"{self.name} did not answer in time")
        timeout = urllib3.Timeout(total=left)
        try:
            with unlogged():  # the address may be a secret, too
                answer = self._pool.request(method, url, headers=headers, timeout=timeout, redirect=False)
        except urllib3.exceptions.HTTPError as error:
            problem = type(error).__name__
        except ValueError:  # an address that is none
            problem = "its address cannot be one"
        else:
            self.status = answer.status
            if answer.status == 200:
                return answer.data.decode("utf-8", "replace")
            problem = f"status {answer.status}"
        raise Absent(f"{self.name} gave no answer ({problem})")


def _assume_with_token(url: str, role: str, session: str, token_file: str) -> S3Credentials:
    import urllib3

    form = {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": "2011-06-15",
        "RoleArn": role,
        "RoleSessionName": session,
    }
    again = urllib3.Retry(
        2, backoff_factor=0.3, status_forcelist=(429, 500, 502, 503), allowed_methods=None, raise_on_status=False
    )
    timeout = urllib3.Timeout(connect=5.0, read=15.0)
    try:
        pool = network.pool_manager(url, retries=again, timeout=timeout)
        with unlogged():
            # The token is in no local variable: some tools show those of a traceback.
            answer = pool.request(
                "POST",
                url,
                fields={**form, "WebIdentityToken": _read_token(token_file)},
                encode_multipart=False,
                redirect=False,
            )
    except urllib3.exceptions.HTTPError as error:
        problem = type(error).__name__
    else:
        text = answer.data.decode("utf-8", "replace")
        if answer.status == 200:
            return from_members(_xml_members(text), "the answer of STS")
        code = re.search(r"<Code>([\w.]{1,80})</Code>", text)
        message = f"STS at {url} refuses {role}: {answer.status} {code[1] if code else ''}".rstrip()
        raise AuthError(f"{message}; does the role trust the issuer of {token_file}?", retryable=answer.status >= 500)
    raise StoreError(f"STS at {url} cannot be reached ({problem})", retryable=True)


def _xml_members(text: str) -> dict[str, str]:
    names = "|".join((*_MEMBERS, "SessionToken", "Expiration"))
    return {name: html.unescape(value).strip() for name, value in re.findall(rf"<({names})>([^<]*)</\1>", text)}


def _sts(environment: Mapping[str, str]) -> str:
    explicit = environment.get("AWS_ENDPOINT_URL_STS") or environment.get("AWS_ENDPOINT_URL")
    if explicit:
        return explicit
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    if not region:
        return "https://sts.amazonaws.com/"
    return f"https://sts.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}/"


def _read_token(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            token = file.read().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not ASCII text"
    else:
        if token:
            return token
        reason = "it is empty"
    raise ConfigError(f"the token in {path} cannot be used: {reason}")


def _check_header(value: str | None, where: str) -> None:
    if value and not (value.isascii() and value.isprintable()):
        raise ConfigError(f"the token of {where} cannot travel in a header: was it pasted with a line end?")


def _from_document(text: str, where: str) -> S3Credentials:
    try:
        document = json.loads(text)
    except ValueError:
        document = None  # the parser's own error would carry the text along
    if not isinstance(document, Mapping):
        raise AuthError(f"{where} answers with something else than credentials")
    if document.get("Code", "Success") != "Success":
        raise AuthError(f"{where} refuses: {str(document['Code'])[:80]}")
    return from_members(document, where)


def _moment(text: Any, where: str) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        raise ConfigError(f"{where} says that its credentials end at {str(text)[:40]!r}, which is no time") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
