"""What ``holdfast doctor`` tries on a store: one small function a guarantee, on keys of its own."""

from __future__ import annotations

import hashlib
import itertools
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ..errors import (
    AlreadyExists,
    AuthError,
    BucketNotFound,
    Conflict,
    HoldfastError,
    InvalidKey,
    StoreError,
    Unsupported,
)
from ..keys import printable
from ..store import ObjectStore
from ..types import ReadOptions, WriteOptions

WORKS, LACKS, WRONG, UNKNOWN = "works", "lacks", "wrong", "unknown"
#: The check without which the others cannot be tried.
FIRST = "write and read"

#: Keys that many services, or the programs before them, alter, merge or refuse.
AWKWARD = (
    *("a//b", "a/b", "trail/", "trail", "/lead", "lead", "//", "./a", "a/../b", "..", "a b", "a%20b", "a+b", "x#1?y"),
    *("\u00fc/\U0001f600", "e\u0301", "tab\tkey", "\x01"),
)
#: So many pending uploads are counted.
MANY = 1000
ATTRIBUTES = WriteOptions(content_type="text/x-doctor", metadata={"doctor": "was here"})


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about one guarantee: the verdict (works, lacks, wrong, unknown), and a word on it."""

    check: str
    verdict: str
    detail: str


class Wrong(Exception):
    """The store does something else than it promises."""


def expect(condition: object, otherwise: str) -> None:
    """Raise Wrong with this text unless the condition holds."""
    if not condition:
        raise Wrong(otherwise)


class Unknown(Exception):
    """It cannot be tried here."""


def finding(name: str, check: Callable[[], str]) -> Finding:
    """What the check found, or what its error means; BucketNotFound is raised, for nothing can be found then."""
    try:
        return Finding(name, WORKS, check())
    except BucketNotFound:
        raise
    except Unsupported as error:
        return Finding(name, LACKS, error.message)
    except AuthError as error:
        return Finding(name, UNKNOWN, f"the credentials do not allow to try it: {error.message}")
    except Unknown as unknown:
        return Finding(name, UNKNOWN, str(unknown))
    except Wrong as wrong:
        return Finding(name, WRONG, str(wrong))
    except HoldfastError as error:
        if name == FIRST:
            raise
        return Finding(name, WRONG, error.message)


class Doctor:
    """Examines one store below a prefix that holds nothing else; ``examine``, then ``clean_up``."""

    def __init__(self, store: ObjectStore, prefix: str) -> None:
        self.store = store
        self.prefix = prefix
        self._written: set[str] = set()

    def examine(self) -> Iterator[Finding]:
        """One finding a guarantee; nothing but the first is tried where writing is not possible.

        Raises what says that nothing can be found out: BucketNotFound, ConfigError, a service that is not there.
        """
        first = finding(FIRST, self.writes_and_reads)
        yield first
        if first.verdict != WORKS:
            return
        for name, check in CHECKS.items():
            yield finding(name, lambda check=check: check(self))  # type: ignore[misc]

    def clean_up(self) -> None:
        """Delete everything that was written; what cannot be deleted is raised."""
        store = self.store
        if not store.capabilities.write or not self._written:
            return
        keys = self._listed() | self._written
        errors = [error for error in store.remove(sorted(keys)) if error is not None]
        if store.capabilities.listing and not self._listed():
            return  # keys that are refused when they are deleted were refused when they were written
        for error in errors:
            if not isinstance(error, InvalidKey):
                raise error

    def _listed(self) -> set[str]:
        return {row.key for row in self.store.list(self.prefix)} if self.store.capabilities.listing else set()

    # ------------------------------------------------------------------ tools of the checks
    def key(self, name: str) -> str:
        """The key of this name below the prefix, which will be cleaned up."""
        key = self.prefix + name
        self._written.add(key)
        return key

    def put(self, name: str, data: bytes, options: WriteOptions | None = None) -> Any:
        """The info of what was written, and the key in it."""
        key = self.key(name)
        try:
            return self.store.write(key, data, options or WriteOptions())
        except AuthError:
            self._written.discard(key)  # refused, so there is nothing to clean up
            raise

    def version(self, name: str, data: bytes) -> str:
        """The ETag of what was written; Unsupported where objects have none."""
        info = self.put(name, data)
        etag: str | None = info.etag or self.store.head(info.key).etag
        if etag is None:
            raise Unsupported("objects have no ETags by which a version could be named")
        return etag

    def holds(self, name: str, data: bytes, otherwise: str) -> None:
        """Raise Wrong unless the object has this content."""
        expect(self.store.get(self.key(name)) == data, otherwise)

    # ------------------------------------------------------------------ the checks
    def writes_and_reads(self) -> str:
        """Bytes come back; what is missing and what was deleted is NotFound."""
        # Asked before anything is written that could not be removed again.
        for error in self.store.remove([f"{self.prefix}absent"]):
            if isinstance(error, Unsupported):
                raise error
        data = secrets.token_bytes(1000)
        self.put("object", data)
        self.holds("object", data, "what was read is not what was written")
        self.store.delete(self.key("object"))
        try:
            self.store.get(self.key("object"))
        except KeyError:  # NotFound is one; stores of five methods raise it as it is
            return "bytes come back as they were written, and a deleted object is missing"
        raise Wrong("a deleted object can still be read")

    def attributes(self) -> str:
        """Content type and metadata are kept."""
        self.put("attributes", b"x", ATTRIBUTES)
        head = self.store.head(self.key("attributes"))
        kept = (head.content_type, dict(head.metadata)) == (ATTRIBUTES.content_type, dict(ATTRIBUTES.metadata))
        expect(kept, f"content type and metadata came back as {head.content_type!r} and {dict(head.metadata)}")
        return "content type and metadata are kept"

    def digests(self) -> str:
        """Whether there is a digest by which what was read can be checked: our own, in the metadata, or an MD5."""
        data = secrets.token_bytes(1000)
        self.put("digest", data, ATTRIBUTES if self.store.capabilities.metadata else None)
        head = self.store.head(self.key("digest"))
        # The digest is hidden from those who look at the metadata: it is there if what lies beside it is.
        stamped = getattr(self.store, "verify", "length") != "length" and getattr(self.store, "object_metadata", False)
        known = []
        if stamped and dict(head.metadata) == dict(ATTRIBUTES.metadata):
            known.append("what Holdfast writes carries its CRC32C in the metadata")
        if (head.etag or "").strip('"') == hashlib.md5(data, usedforsecurity=False).hexdigest():
            known.append("the ETag of a small object is its MD5")
        if known:
            return "; ".join(known)
        raise Unsupported("the ETag is no digest of the bytes: reads are checked by their length")

    def ranges(self) -> str:
        """Parts of objects are read."""
        self.put("range", b"0123456789")
        for start, end in ((2, 5), (8, 20), (-3, None), (4, None), (10, 12)):
            found = self.store.get_range(self.key("range"), start, end)
            expect(found == b"0123456789"[start:end], f"the range {start}:{end} came back as {found!r}")
        with self.store.read(self.key("range"), ReadOptions(2, 5)) as blob:
            cut_here = blob.emulated
        if cut_here or not self.store.capabilities.ranges:
            raise Unsupported("each range is answered with the whole object: it is cut here, exactly but slowly")
        return "parts of objects are read as asked for"

    def create(self) -> str:
        """Of two creations one is refused."""
        self.store.create(self.key("create"), b"first")
        try:
            self.store.create(self.key("create"), b"second")
        except AlreadyExists:
            self.holds("create", b"first", "a creation that was refused has written all the same")
            return "a second creation is refused (AlreadyExists)"
        raise Wrong("a second creation has overwritten the first")

    def replace(self) -> str:
        """Only the named version is replaced."""
        old = self.version("replace", b"first")
        new = self.store.replace_if(self.key("replace"), b"second", old).etag
        try:
            self.store.replace_if(self.key("replace"), b"third", old)
        except Conflict:
            self.holds("replace", b"second", "a replacement that was refused has written all the same")
            expect(new != old, "another version has the same ETag")
            return "only the version that was named is replaced"
        raise Wrong("a version that was not named was replaced")

    def delete(self) -> str:
        """Only the named version is deleted."""
        old = self.version("delete", b"first")
        new = self.version("delete", b"second")
        try:
            self.store.delete_if(self.key("delete"), old)
        except Conflict:
            self.store.delete_if(self.key("delete"), new)
            expect(not self.store.exists(self.key("delete")), "a delete that was allowed has deleted nothing")
            return "only the version that was named is deleted"
        raise Wrong("a version that was not named was deleted")

    def large(self) -> str:
        """Conditions hold where a large body is written in parts, too."""
        guarantees = getattr(self.store, "guarantees", None)
        if guarantees is None:
            if self.store.capabilities.create and self.store.capabilities.replace_if:
                if limit := getattr(self.store, "largest_conditional", None):
                    raise Unsupported(f"conditions hold for bodies up to {limit >> 20} MiB only: larger go in parts")
                return "conditions hold whatever the size"
            raise Unsupported("there are no conditions")
        if guarantees().complete:
            return "conditions hold where a multipart upload is completed"
        raise Unsupported("a multipart upload is completed whatever the condition: bodies up to 64 MiB only")

    def listing(self) -> str:
        """Listings are exact, sorted, by string prefixes."""
        names = ["list/a", "list/a.d/b", "list/a.d/c", "list/a0", "list/ab", "list/b"]
        for name in names:
            self.put(name, b"x")
        cut, store = len(self.prefix), self.store

        def shown(prefix: str, **options: Any) -> list[str]:
            return [row.key[cut:] for row in store.list(f"{self.prefix}{prefix}", **options)]

        found = shown("list/")
        expect(sorted(found) == names, f"of {names} there were listed {found}")
        expect(sorted(shown("list/a")) == names[:5], "a prefix is not taken as a string")
        expect(sorted(shown("list/", delimiter="/")) == sorted(["list/a", "list/a.d/", "list/a0", "list/ab", "list/b"]),
               "a delimiter does not roll up what lies deeper")  # fmt: skip
        if not store.capabilities.sorted:
            raise Unsupported("listings are whole, but in no order")
        expect(found == names, f"the listing is not in the order of its keys: {found}")
        expect(shown("list/", start_after=f"{self.prefix}list/a0") == names[4:], "a listing starts at another key")
        return "string prefixes, delimiters and start_after are exact, rows sorted"

    def awkward_keys(self) -> str:
        """Keys are kept as they are, or refused."""
        accepted, refused = {}, []
        for number, name in enumerate(AWKWARD):
            data = f"value {number}".encode()
            try:
                self.put(f"keys/{name}", data)
            except InvalidKey:
                refused.append(name)
            except StoreError as error:
                raise Wrong(f"the service fails on {printable(name)!r}: {error.message}") from error
            else:
                accepted[f"keys/{name}"] = data
        for name, data in accepted.items():
            self.holds(name, data, f"{printable(name)!r} was merged with another key")
        if self.store.capabilities.listing:
            found = sorted(row.key for row in self.store.list(self.prefix + "keys/"))
            expect(found == sorted(self.prefix + name for name in accepted), "some keys are listed as others")
        if refused:
            shown = ", ".join(printable(repr(name)) for name in itertools.islice(refused, 6))
            raise Unsupported(f"{len(refused)} of {len(AWKWARD)} are refused (InvalidKey): {shown}")
        return f"all of {len(AWKWARD)} are kept as they are"

    def copies(self) -> str:
        """Copies are made by the service."""
        self.put("source", b"to be copied", ATTRIBUTES if self.store.capabilities.metadata else None)
        self.store.copy(self.key("source"), self.key("copy"))
        self.holds("copy", b"to be copied", "the copy is not what was copied")
        if not self.store.capabilities.copy:
            raise Unsupported("copies pass through this machine")
        return "made without passing through this machine"

    def uploads(self) -> str:
        """Whether killed writers have left uploads behind."""
        list_uploads = getattr(self.store, "list_multipart_uploads", None)
        if list_uploads is None:
            return "writes leave nothing behind"
        pending = sum(1 for _ in itertools.islice(list_uploads(), MANY))
        if pending:
            more = " or more" if pending == MANY else ""
            return f"{pending}{more} were begun and not completed ('holdfast uploads' shows them)"
        return "none was begun and not completed"


CHECKS: dict[str, Callable[[Doctor], str]] = {
    "attributes": Doctor.attributes,
    "digests": Doctor.digests,
    "ranges": Doctor.ranges,
    "create": Doctor.create,
    "replace if match": Doctor.replace,
    "delete if match": Doctor.delete,
    "large if match": Doctor.large,
    "exact listing": Doctor.listing,
    "awkward keys": Doctor.awkward_keys,
    "server-side copy": Doctor.copies,
    "pending uploads": Doctor.uploads,
}
