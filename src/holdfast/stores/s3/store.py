"""S3Store: objects in one bucket of Amazon S3, or of another service that speaks its protocol."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ... import credentials as sources
from ... import recipes, redact
from ...blob import Blob
from ...credentials import Found, Secrets
from ...credentials.objects import provider_of
from ...errors import (
    AuthError,
    BucketNotFound,
    ConfigError,
    Conflict,
    HoldfastError,
    InvalidKey,
    NotFound,
    StoreError,
    Unsupported,
)
from ...keys import printable
from ...retry import Policy
from ...store import HEAD, LIST, READ, REMOVE, WRITE, ObjectStore, Removed, stream_copy
from ...types import Body, Capabilities, ListOptions, Location, ObjectInfo, ReadOptions, RemoveOptions, WriteOptions
from .. import _list_objects, _obstore
from .._digests import Mode, checked
from .._obstore import Client
from .._obstore_errors import BadRequest
from .._timeouts import Timeouts
from .._uploads import repeatable
from . import administration, conditions, removal, writing
from .access import S3Access
from .administration import PendingUpload
from .copying import Copy
from .direct import DirectClient
from .options import S3Options
from .parts import PartUpload
from .probe import probe
from .wire import CONDITIONS, UNASKED, Guarantees, Request, Wire

LONGEST_KEY = 1024
#: A key of up to this many characters cannot have more than LONGEST_KEY bytes.
SURELY_SHORT = LONGEST_KEY // 4
#: Why a condition is refused.
IGNORED = "this service does not honour the condition (it was tried on an object of its own)"

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_ENDPOINT = re.compile(r"(https?)://([^/?#@\s]+)/?")


class S3Store(S3Access):
    """The objects of one bucket: on Amazon S3, or where ``endpoint`` (``http(s)://host:port``) says.

    Credentials are ``access_key_id`` with ``secret_access_key`` (and ``session_token``), or the same in ``secrets`` (a
    mapping, JSON text, a file or a list of files), or a ``credential`` of boto3 (a session, or what it holds), or none
    with ``anonymous=True``; else the chain of ``holdfast.credentials`` is walked at the first use. What an object or
    the chain gives is renewed before it ends.
    ``endpoint`` and ``region`` default to AWS_ENDPOINT_URL(_S3), and to AWS_REGION or the profile's region; a bucket in
    another region is found there. ``create=True`` creates the bucket at the first use, if need be.
    ``connect_timeout`` and ``read_timeout`` are seconds without progress, and what moves more slowly than
    ``minimum_rate`` (bytes a second) is stuck too; ``retry`` replaces the default policy of 7 tries.

    ``request_payer=True`` agrees to pay for the requests. New objects, copies included, get the ``storage_class``, the
    canned ``acl``, the ``tags``, and the ``encryption`` ("AES256", "aws:kms", "aws:kms:dsse", the latter two with
    ``kms_key_id`` and ``bucket_key``), or are encrypted with the ``sse_customer_key`` (32 bytes, or their base64),
    which reading needs too. Without any of these three, AWS_SERVER_SIDE_ENCRYPTION and the AWS_SSE_* variables decide.
    A service that is found to ignore the encryption is Unsupported.

    Reads are checked for length and resumed when they break. Whole objects are checked against the CRC-32C that
    Holdfast notes in their metadata (``object_metadata=False`` notes none), else against their MD5 where their ETag
    is one: ``verify="strict"`` raises where it cannot be known to be one, ``"length"`` looks at lengths alone. Each
    write appears whole or not at all; over http the server checks its SHA-256, over https TLS protects it. Writes and
    deletes under a condition are done, refused or Indeterminate, never done twice; a service that ignores conditions
    is found out (``probe``) and they are Unsupported there. Any key of up to 1,024 bytes of UTF-8 is kept as it is,
    also "/lead", "trail/", "a//b" and ".."; listings are those of the service, verbatim. A pickle carries
    no secrets, except within ``holdfast.pickling(secrets=True)``.

    >>> S3Store("bucket", endpoint="https://minio.example:9000", anonymous=True).name
    's3://https://minio.example:9000/bucket'
    """

    #: The service copies objects up to this size (bytes) in one request, and larger ones in parts of the other.
    largest_copy = 5 << 30
    copy_part = 1 << 30

    def __init__(
        self,
        bucket: str,
        *,
        endpoint: str | None = None,
        region: str | None = None,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
        session_token: str | None = None,
        credential: Any = None,
        anonymous: bool = False,
        create: bool = False,
        secrets: Secrets | None = None,
        request_payer: bool = False,
        storage_class: str | None = None,
        encryption: str | None = None,
        kms_key_id: str | None = None,
        bucket_key: bool = False,
        sse_customer_key: bytes | str | None = None,
        acl: str | None = None,
        tags: Mapping[str, str] | None = None,
        connect_timeout: float = 10.0,
        read_timeout: float = 60.0,
        minimum_rate: int = Timeouts.SLOWEST,
        verify: Mode = "auto",
        object_metadata: bool = True,
        retry: Policy | None = None,
    ) -> None:
        if not _BUCKET.fullmatch(bucket):
            raise ConfigError(f"{bucket!r} cannot be the name of a bucket: letters, digits, dots and hyphens, no slash")
        self.bucket = bucket
        self.endpoint = _endpoint(endpoint or sources.s3_endpoint())
        self.region = region or sources.s3_region() or "us-east-1"
        self.anonymous = anonymous
        self._create = create
        self.options = S3Options.of(
            request_payer=request_payer,
            storage_class=storage_class,
            encryption=encryption,
            kms_key_id=kms_key_id,
            bucket_key=bucket_key,
            sse_customer_key=sse_customer_key,
            acl=acl,
            tags=tags,
        )
        self.timeouts = Timeouts(connect_timeout, read_timeout, minimum_rate)
        self.verify = checked(verify)
        self.object_metadata = object_metadata
        self.retry = retry
        self._explicit = sources.from_arguments(
            access_key_id, secret_access_key, session_token, secrets, anonymous=anonymous
        )
        self._given = None if credential is None else provider_of(credential)
        if credential is not None and (anonymous or self._explicit is not None):
            raise ConfigError("give credential= or other credentials or anonymous=True, not several")
        self._dropped: str | None = None  # whose explicit credentials a pickle left behind
        self._found: Found | None = None
        self._keyless = False  # ... and the customer's key
        self._client: Client | None = None
        self._wire: Wire | None = None
        #: What the service honours, once that is known: Amazon's is not asked.
        self._known = Guarantees() if self.endpoint is None else UNASKED
        self._name = f"s3://{self.endpoint + '/' if self.endpoint else ''}{bucket}"

    # ------------------------------------------------------------------ what the store is
    @property
    def name(self) -> str:
        return self._name

    def __repr__(self) -> str:
        return f"S3Store({self._name!r})"

    @property
    def capabilities(self) -> Capabilities:
        """What S3 does.

        ``create``, ``replace_if`` and ``delete_if`` turn False where a service other than Amazon's was asked for them
        (see ``probe``) and does not honour them.
        """
        known = self._known
        return Capabilities(
            create=known.create is not False,
            replace_if=known.replace_if is not False,
            delete_if=known.delete_if is not False,
            listing=True,
            sorted=True,
            ranges=True,
            metadata=True,
            copy=True,
            atomic_write=True,
            write=True,
        )

    @property
    def remove_batch(self) -> int:
        return 1000

    def close(self) -> None:
        self._client = self._wire = self._found = None

    def __reduce__(self) -> tuple[Any, ...]:
        recipe = {
            "bucket": self.bucket,
            "endpoint": self.endpoint,
            "region": self.region,
            "anonymous": self.anonymous,
            "create": self._create,
            **self.options.recipe(),
            "connect_timeout": self.timeouts.connect,
            "read_timeout": self.timeouts.read,
            "minimum_rate": self.timeouts.slowest,
            "verify": self.verify,
            "object_metadata": self.object_metadata,
            "retry": self.retry,
        }
        keyed = self._keyless or self.options.sse_customer_key is not None
        # Who it was, not how they prove it: in the other process it must not turn into somebody else.
        given = self._given if self._explicit is None else sources.Provider.fixed(self._explicit)
        who = self._dropped if given is None else given.principal_elsewhere()
        recipe["sse_customer_key"] = recipes.carried(self.options.sse_customer_key)
        return (_from_recipe, (type(self), recipe, who, keyed, self._known, recipes.carried(self._explicit)))

    # ------------------------------------------------------------------ administration
    def probe(self) -> Capabilities:
        """The capabilities, after asking the service (if it is not Amazon's) what it does with conditions.

        That takes a dozen requests for an object of its own, named `holdfast-probe-` and a random number, which is
        deleted again. By itself it happens once for equal stores, at the first conditional write or delete, and only
        for the condition that is needed: three requests before the first create, five before the first replacement.
        """
        self.guarantees()
        return self.capabilities

    def list_multipart_uploads(self, prefix: str = "") -> Iterator[PendingUpload]:
        """An iterator over the multipart uploads that were neither completed nor aborted, below the string prefix.

        A process that is killed in the middle of a large write leaves one behind; others may be going on right now.
        """
        return administration.uploads(self.wire(), prefix)

    def abort_multipart_upload(self, upload: PendingUpload) -> None:
        """Forget this upload and its parts. Whoever is still writing it fails; one that is gone already is no error."""
        administration.abort(self.wire(), upload.key, upload.id)

    def part_upload(self, key: str, options: WriteOptions = WRITE, token: str | None = None) -> PartUpload:
        """An upload of one object in parts, begun now or, with its ``token``, earlier and anywhere.

        The options' attributes count when it is begun, their condition when it is completed: Unsupported here if the
        service does not honour it there.
        """
        self._check(key)
        if options.conditional:
            known = self.guarantees("complete", "create" if options.if_absent else "replace_if")
            if not (known.complete and (known.create if options.if_absent else known.replace_if)):
                raise self._unsupported("an upload in parts", "if_absent" if options.if_absent else "if_match", IGNORED)
        if token is not None:
            return PartUpload(self.wire(), key, token)
        return PartUpload.begin(self.wire(), key, self._attributes(options))

    def versioned(self) -> bool | None:
        """Whether the bucket keeps what is deleted or replaced; None if the service, or its rules, do not tell."""
        return administration.versioned(self.wire())

    def create_bucket(self) -> bool:
        """Whether the bucket was created now, in the store's region; False if it was there and is ours.

        Raises AlreadyExists for a bucket of somebody else, AuthError where the credentials do not allow it.
        """
        return administration.create_bucket(self.wire())

    def guarantees(self, *conditions: str) -> Guarantees:
        """Which conditions the service honours, also where large objects are written; asked for as by ``probe``.

        With names of ``conditions`` only these are asked for, as far as they are not known; others may be None.
        """
        conditions = conditions or CONDITIONS
        if self._known.unknown(conditions):
            wire = self.wire()
            with wire.asking():
                if unknown := wire.guarantees.unknown(conditions):
                    wire.guarantees = probe(wire, unknown)
            self._known = wire.guarantees
        return self._known

    def _check(self, key: str) -> None:
        problem = "a NUL is refused by some services and ends a key on others" if "\0" in key else None
        if problem := problem or _obstore.unencodable(key, LONGEST_KEY):
            raise InvalidKey(f"cannot hold the key {printable(key[:200])!r}: {problem}", key=key, store=self._name)

    def _missing(self, client: Client, error: NotFound) -> HoldfastError:
        """The error for a miss, once it is known whether there is a bucket at all."""
        if not client.bucket_exists:
            try:
                self.wire().call(Request("list", "GET", query={"list-type": "2", "max-keys": "1"}))
            except BucketNotFound as missing:
                return missing
            except AuthError:
                pass  # who may not list is told of the key alone
            client.bucket_exists = True
        return error

    # ------------------------------------------------------------------ reading
    def _read(self, key: str, options: ReadOptions = READ) -> Blob:
        client = self._client or self.client()
        region = self.region
        try:
            if key[0] == "/" or key[-1] == "/" or len(key) > SURELY_SHORT:
                return self._read_directly(key, options)  # the engine would alter it in silence
            try:
                if options is READ or options == READ:
                    return client.open(key, key)
                return _obstore.read_part(client, key, key, options)
            except InvalidKey:
                pass  # what else the engine would alter it refuses by itself
            return self._read_directly(key, options)
        except NotFound as error:
            missing = error
        except (ConfigError, BadRequest):
            if not self._moved(region):
                raise
            return self._read(key, options)
        raise self._missing(client, missing)

    def _read_directly(self, key: str, options: ReadOptions) -> Blob:
        self._check(key)
        if _obstore.carries(key):  # it is only long
            return _obstore.read_part(self.client(), key, key, options)
        return _obstore.read_part(DirectClient(self.wire(), self.client().verifier), key, key, options)

    def _scan(self, options: ListOptions = LIST) -> Iterator[ObjectInfo]:
        """The objects whose keys start with the string ``prefix``, in order, in requests of up to 1,000 rows.

        Every key is shown as it is, markers of folders (`photos/`) included: they are objects of their own. Raises
        StoreError for an answer that is not a listing (a proxy's page of HTML) or contradicts itself.
        """
        return _list_objects.scan(self.wire(), options)

    # ------------------------------------------------------------------ writing
    def _write(self, key: str, body: Body, options: WriteOptions = WRITE) -> ObjectInfo:
        again = repeatable(body)
        if not again:
            self._follow()  # what can be read only once must not be sent to the wrong region
        client = self._client or self.client()
        region = self.region
        self._check(key)
        attributes = self._attributes(options)
        try:
            if options.conditional:
                return self._write_if(client, key, body, options, attributes)
            stamped = self.object_metadata
            return writing.write(client, self.wire(), key, body, options, attributes, stamped=stamped)
        except NotFound as error:
            missing = self._missing(client, error)
        except (ConfigError, BadRequest) as error:
            if not self._moved(region):
                raise
            if not again:  # what is left of the body would be stored as if it were all of it
                raise self._read_already(key) from error
            return self._write(key, body, options)
        if isinstance(missing, NotFound) and options.if_match is not None:
            raise Conflict(f"there is no object {printable(key)!r} (any more)", store=self._name, key=key)
        if isinstance(missing, NotFound):
            kind = StoreError if _obstore.carries(key) else InvalidKey
            raise kind(f"the service has no place for {printable(key)!r}", store=self._name, key=key)
        raise missing

    def _read_already(self, key: str) -> ConfigError:
        message = (
            f"could not write {printable(key)!r}: the bucket is in the region {self.region!r}, which shows only now "
            "that the body was read; write it again with a new body, or name the region with region= or AWS_REGION"
        )
        return ConfigError(message, store=self._name, key=key)

    def _attributes(self, options: WriteOptions) -> dict[str, str] | None:
        """The attributes of a new object as the engine wants them, or None."""
        named = None if options is WRITE else writing.attributes(options, self._name)
        default = self.options.storage_class
        return {"Storage-Class": default, **(named or {})} if default else named

    def _write_if(
        self, client: Client, key: str, body: Body, options: WriteOptions, attributes: dict[str, str] | None
    ) -> ObjectInfo:
        known = self.guarantees("create" if options.if_absent else "replace_if")
        if not (known.create if options.if_absent else known.replace_if):
            raise self._unsupported("a write", "if_absent" if options.if_absent else "if_match", IGNORED)

        def in_parts_too() -> bool:
            return bool(self.guarantees("complete").complete)

        how: dict[str, Any] = {"in_parts_too": in_parts_too, "stamped": self.object_metadata}
        return writing.write_if(client, self.wire(), key, body, options, attributes, **how)

    def _copy(self, source: ObjectStore, src: str, dst: str, options: WriteOptions = WRITE) -> ObjectInfo:
        there, here = source._locate(src), self._locate(dst)
        if there is None or here is None or (there.vendor, there.identity) != (here.vendor, here.identity):
            return stream_copy(source, src, self, dst, options)
        self._check(dst)
        named = self._attributes(options)
        if there == here and named is None and not options.conditional:
            return source._read(src, ReadOptions(head=True, if_match=options.source_if_match)).info.renamed(dst)
        wire = self.wire()
        try:
            copy = Copy(wire, there, dst, options, named, largest=self.largest_copy, part=self.copy_part)
        except NotFound:
            source._read(src, HEAD).close()  # says what is missing, the object or its bucket
            raise
        if options.conditional and not (copy.size and self.guarantees("complete").complete):
            return stream_copy(source, src, self, dst, options)
        try:
            info = copy.perform_if(options.if_match) if options.conditional else copy.perform()
        except Unsupported:
            return stream_copy(source, src, self, dst, options)
        writing.see_encryption(wire, dst)
        return info

    def _remove(self, keys: Sequence[str], options: RemoveOptions = REMOVE) -> Removed:
        if options.if_match is not None:
            return [self._remove_if(key, options.if_match) for key in keys]
        removed: Removed = [self._refusal(key, options) for key in keys]
        wanted = [key for key, error in zip(keys, removed, strict=True) if error is None]
        client, region = self.client(), self.region
        answers = removal.remove(client, self.wire, wanted)
        if any(isinstance(answer, ConfigError) and self._moved(region) for answer in answers):
            answers = removal.remove(self.client(), self.wire, wanted)
        left = iter(answers)
        return [next(left) if error is None else error for error in removed]

    def _remove_if(self, key: str, etag: str) -> HoldfastError | None:
        self._check(key)
        if not self.guarantees("delete_if").delete_if:
            raise self._unsupported("a delete", "if_match", IGNORED)
        try:
            conditions.delete(self.wire(), key, etag)
        except NotFound as error:
            return self._missing(self.client(), error)
        except HoldfastError as error:
            return error
        return None

    def _refusal(self, key: str, options: RemoveOptions) -> HoldfastError | None:
        """Why this key is not even asked for: it cannot be a key here, or must exist and does not."""
        try:
            self._check(key)
            if options.must_exist:
                self._read(key, HEAD)
        except HoldfastError as error:
            return error
        return None

    def _etag_is_md5(self, key: str) -> bool:
        """Whether this object's ETag can be an MD5: not if KMS or the customer's key encrypts it."""
        verifier = self.client().verifier
        return verifier is None or verifier.can_be_md5(key)

    def _first_part(self, key: str) -> tuple[int, int] | None:
        """The size (bytes) of the first part that the object was uploaded in, and their number; None if untold."""
        return administration.first_part(self.wire(), key)

    def _locate(self, key: str) -> Location | None:
        found = self._provider()
        who = found.principal() if found else "anonymous"
        if key_of_customer := self.options.fingerprint():
            who = f"{who} with key {key_of_customer}"
        return Location("s3", f"{self.endpoint or 'amazon'} as {who}", self.bucket, key)


def _from_recipe(
    kind: type[S3Store],
    recipe: dict[str, Any],
    dropped: str | None,
    keyed: bool,
    known: Guarantees,
    explicit: sources.S3Credentials | None,
) -> S3Store:
    store = kind(**recipe)
    store._explicit = explicit
    store._dropped = dropped if explicit is None else None
    store._keyless = keyed and store.options.sse_customer_key is None
    store._known = known
    return store


def _endpoint(text: str | None) -> str | None:
    if text is None:
        return None
    match = _ENDPOINT.fullmatch(text)
    if match is None:
        shown = redact.text(text)
        raise ConfigError(f"{shown!r} is not an S3 endpoint: write http(s)://host:port, without user, path or query")
    return f"{match[1]}://{match[2]}"
