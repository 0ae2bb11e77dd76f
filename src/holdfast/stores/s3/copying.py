"""Copies by the service itself, within and between the buckets of one login: in one request, or in parts."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...errors import Conflict, HoldfastError, Indeterminate
from ...keys import printable
from ...store import HEAD
from ...types import Location, ObjectInfo, WriteOptions
from .. import _obstore
from .._answers import ATTRIBUTE_FIELDS, OWN_METADATA, object_info
from .._conditions import ConditionalWrite, bare, named_version
from . import direct, tagging
from .conditions import by_headers, place, quoted
from .direct import EXPIRES, REDIRECT, DirectClient, Opened
from .options import COPY_SOURCE
from .uploads import Upload
from .wire import Request, Wire

#: The metadata that is true of one object only: what was written to it under conditions.
_OF_ONE_OBJECT = f"{OWN_METADATA}history"
#: How often a source that changes under the copy is looked at anew.
LOOKS = 3


class Copy:
    """One object to be copied to ``key``, with the options' attributes (``named`` as the engine does) over its own.

    ``largest`` (bytes) is what the service copies in one request, ``part`` how much it gets to copy at a time above.
    Where the options name the version of the source, another one is a Conflict; a server that ignores the condition
    of a copy may still copy another one in the one request of a small object.
    """

    def __init__(
        self,
        wire: Wire,
        source: Location,
        key: str,
        options: WriteOptions,
        named: Mapping[str, str] | None,
        *,
        largest: int,
        part: int,
    ) -> None:
        self.wire = wire
        self.source = source
        self.key = key
        self.options = options
        self.named = named or {}
        self.largest = largest
        self.part = part
        self.found = self._look()

    def _look(self) -> Opened:
        there = self.wire.beside(self.source.bucket)
        opened, _ = _obstore.open_body(DirectClient(there), self.source.key, self.source.key, HEAD)
        found: Opened = opened
        planned = self.options.source_if_match
        if planned is not None and bare(found.etag or "") != bare(planned):
            message = f"{printable(self.source.key)!r} is not the version {planned!r} any more"
            raise Conflict(message, store=self.wire.store, key=self.key)
        return found

    @property
    def size(self) -> int:
        """The size of the source in bytes."""
        return self.found.size

    def perform(self) -> ObjectInfo:
        """The info of the copy; Conflict if the source was replaced again and again meanwhile."""
        for look in range(1, LOOKS + 1):
            try:
                return self._info(self._whole() if self.size <= self.largest else self._in_parts())
            except Conflict:
                if self.options.source_if_match is not None:
                    raise
                if look == LOOKS:
                    raise self._changing() from None
            self.found = self._look()
        raise AssertionError  # the last look has returned or raised

    def perform_if(self, if_match: str | None) -> ObjectInfo:
        """The same under a condition (over that ETag, or None: only where nothing is), which is put where parts end."""
        where = place(self.wire, self.key)
        conditional = ConditionalWrite(where, None if if_match is None else named_version(where, if_match))
        headers = {**self._attributes(), **self._tags(), **direct.headers(conditional.history)}
        upload = Upload(self.wire, self.key, headers)
        try:
            try:
                self._copy_parts(upload)
            except Conflict:
                raise self._changing() from None
            return self._info(conditional.perform(by_headers(upload.complete)))
        except Exception:
            upload.abort()
            raise

    def _whole(self) -> str | None:
        headers = self._source()
        if self.found.redirect:  # which no service carries along by itself
            headers[REDIRECT] = self.found.redirect
        replaced = self.named or _OF_ONE_OBJECT in self.found.attributes
        if replaced:
            headers |= {"x-amz-metadata-directive": "REPLACE", **self._attributes()}
        if self.wire.options.tags:
            headers["x-amz-tagging-directive"] = "REPLACE"
        document, _ = self.wire.document(Request("copy", "PUT", self.key, headers=headers), "CopyObjectResult")
        if replaced and self.options.source_if_match is None:  # else another version is not copied once more
            self._check_unchanged()
        return quoted(document.fields.get("ETag"))

    def _in_parts(self) -> str | None:
        upload = Upload(self.wire, self.key, {**self._attributes(), **self._tags()})
        try:
            self._copy_parts(upload)
        except Exception:  # but not Ctrl-C, which waits for nothing
            upload.abort()
            raise
        try:
            return upload.complete()
        except HoldfastError as error:
            if not error.retryable:
                upload.abort()
                raise
            message = f"the answer to the last request of the copy to {printable(self.key)!r} was lost: copy it again"
            raise Indeterminate(message, store=self.wire.store, key=self.key, cause=error) from error

    def _copy_parts(self, upload: Upload) -> None:
        headers = self._source()
        for start in range(0, self.size, self.part):
            end = min(start + self.part, self.size)
            upload.copy({**headers, "x-amz-copy-source-range": f"bytes={start}-{end - 1}"})

        self._check_unchanged()

    def _check_unchanged(self) -> None:
        """Raise Conflict if the source is another version now: some services ignore the condition of a copy."""
        now = self._look()
        if (now.etag, now.size) != (self.found.etag, self.found.size):
            raise self._changing()

    def _source(self) -> dict[str, str]:
        """The headers that name the very version that was looked at."""
        name = urllib.parse.quote(f"/{self.source.bucket}/{self.source.key}", safe="/")
        headers = {COPY_SOURCE: name}
        if self.found.etag:
            headers["x-amz-copy-source-if-match"] = bare(self.found.etag)
        return headers

    def _attributes(self) -> dict[str, str]:
        """The attributes of the copy as headers: the source's but for its storage class, and those asked for."""
        dropped = {_OF_ONE_OBJECT, "Storage-Class"}
        if self.options.metadata:
            dropped |= {
                n for n in self.found.attributes if n not in ATTRIBUTE_FIELDS and not n.startswith(OWN_METADATA)
            }
        kept = {name: value for name, value in self.found.attributes.items() if name not in dropped}
        more = {EXPIRES: self.found.expires, REDIRECT: self.found.redirect}
        return {**direct.headers({**kept, **self.named}), **{name: value for name, value in more.items() if value}}

    def _tags(self) -> dict[str, str]:
        """The source's tags as a header, unless the store gives new objects its own."""
        if self.wire.options.tags:
            return {}
        return tagging.header(self.wire.beside(self.source.bucket), self.source.key)

    def _info(self, etag: str | None) -> ObjectInfo:
        info = object_info(self.key, self.found)
        if etag is None:
            found, _ = _obstore.open_body(DirectClient(self.wire), self.key, self.key, HEAD)
            etag = found.etag
        changed: dict[str, Any] = {"storage_class": None, **self.options.attributes()}
        return replace(info, etag=etag, last_modified=None, **changed)

    def _changing(self) -> Conflict:
        message = f"{printable(self.source.key)!r} was replaced again and again while it was copied: copy it again"
        return Conflict(message, store=self.wire.store, key=self.key)
