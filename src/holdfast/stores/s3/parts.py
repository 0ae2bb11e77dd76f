"""An upload in parts that outlives its process: whoever knows its token sends what is missing, and completes it."""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self
from xml.sax.saxutils import escape

from ...errors import ConfigError, HoldfastError, NotFound, StoreError
from ...keys import printable
from ...types import ObjectInfo, WriteOptions
from .._conditions import bare
from .._obstore_errors import UploadGone
from .._uploads import UPLOAD_NAME, completed, landed, last_answer_lost
from . import direct
from .conditions import quoted
from .direct import DirectClient
from .uploads import begin
from .wire import Request, Wire


class Part(NamedTuple):
    """A part that the service has."""

    number: int
    etag: str
    size: int


class PartUpload:
    """An object on its way in parts; nothing is visible until ``complete``, and ``abort`` leaves no trace.

    ``token`` is plain text by which another process goes on. Parts are numbered from 1; each but the last has at least
    5 MiB. Any number of threads may send parts.
    """

    def __init__(self, wire: Wire, key: str, token: str) -> None:
        self.key = key
        self.token = token
        self._wire = wire
        try:
            fields = json.loads(token)
            self._id, self._mark = str(fields["upload"]), str(fields["mark"])
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError("this token names no upload", store=wire.store, key=key) from error

    @classmethod
    def begin(cls, wire: Wire, key: str, named: Mapping[str, str] | None) -> Self:
        """A new upload, of an object with these attributes."""
        mark = secrets.token_hex(8)
        upload = begin(wire, key, direct.headers({**(named or {}), UPLOAD_NAME: mark}))
        return cls(wire, key, json.dumps({"upload": upload, "mark": mark}))

    def parts(self) -> list[Part]:
        """What the service has of it, by number; NotFound if it was completed or aborted."""
        found: list[Part] = []
        query = {"uploadId": self._id, "max-parts": "1000"}
        while True:
            request = Request("list the parts of", "GET", self.key, query=query)
            try:
                page, _ = self._wire.document(request, "ListPartsResult")
            except UploadGone as error:
                raise self._gone(error) from error
            try:
                rows = [
                    Part(int(row["PartNumber"]), row["ETag"], int(row["Size"]))
                    for kind, row in page.rows
                    if kind == "Part"
                ]
            except (KeyError, ValueError) as error:
                raise StoreError(f"a row is no part: {error}", store=self._wire.store, key=self.key) from error
            found += rows
            if page.fields.get("IsTruncated", "false") != "true" or not rows:
                return sorted(found)
            query = {**query, "part-number-marker": str(rows[-1].number)}

    def send(self, number: int, data: bytes) -> str:
        """The ETag of one part, which is stored now; tried again by itself. NotFound if the upload is gone."""
        query = {"partNumber": str(number), "uploadId": self._id}
        try:
            answer = self._wire.call(Request("write", "PUT", self.key, query=query, body=data))
        except UploadGone as error:
            raise self._gone(error) from error
        if not answer.etag:
            raise StoreError("the service took a part without an ETag", store=self._wire.store, key=self.key)
        return answer.etag

    def complete(self, etags: Sequence[str], size: int, options: WriteOptions) -> ObjectInfo:
        """The info of the object of so many bytes, which is there now; under the options' condition.

        Conflict if that does not hold, Indeterminate if the answer was lost and something else is there.
        """
        rows = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(etag)}</ETag></Part>"
            for number, etag in enumerate(etags, 1)
        )
        request = Request(
            "write",
            "POST",
            self.key,
            query={"uploadId": self._id},
            headers=_condition(options),
            body=f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>".encode(),
        )
        client, marked = DirectClient(self._wire), {UPLOAD_NAME: self._mark}
        try:
            document, _ = self._wire.document(request, "CompleteMultipartUploadResult", repeat=False)
        except HoldfastError as error:
            # It is not idempotent: a second try finds no upload, because the first one has completed it.
            if not (error.retryable or isinstance(error, UploadGone)):
                raise
            info = landed(client, self.key, marked)
            if info is not None:
                return info
            if isinstance(error, UploadGone):
                raise self._gone(error) from error
            raise last_answer_lost(self._wire.store, self.key, size, error) from error
        etag = quoted(document.fields.get("ETag"))
        return completed(client, self.key, size, etag, marked)

    def abort(self) -> None:
        """Forget the parts; nothing happens if it is completed or aborted already."""
        with contextlib.suppress(UploadGone):
            self._wire.call(Request("abort the upload of", "DELETE", self.key, query={"uploadId": self._id}))

    def _gone(self, error: HoldfastError) -> NotFound:
        return NotFound(
            f"the upload of {printable(self.key)!r} is gone: somebody completed or aborted it; begin a new one",
            store=self._wire.store,
            key=self.key,
            cause=error,
        )


def _condition(options: WriteOptions) -> dict[str, str]:
    if options.if_absent:
        return {"if-none-match": "*"}
    return {} if options.if_match is None else {"if-match": bare(options.if_match)}
