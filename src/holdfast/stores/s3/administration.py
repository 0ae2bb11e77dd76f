"""What a bucket needs now and then: to be created, and to be rid of uploads that nobody will complete."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from xml.sax.saxutils import escape

from ...errors import AlreadyExists, HoldfastError, StoreError
from .._documents import Document, Malformed
from .._obstore_errors import UploadGone
from .wire import Request, Wire

PAGE = 1000
#: The region whose name CreateBucket must not be told.
FIRST_REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class PendingUpload:
    """A multipart upload that was begun and neither completed nor aborted: its parts are stored, and paid for.

    ``id`` names it among the uploads of its ``key``; ``started`` has a timezone.
    """

    key: str
    id: str
    started: datetime
    storage_class: str | None = None


def uploads(wire: Wire, prefix: str) -> Iterator[PendingUpload]:
    """The pending uploads to keys that start with the string ``prefix``, a thousand a request.

    Raises StoreError for an answer that cannot be believed: a row that is none, or markers that do not go on.
    """
    # Not with encoding-type=url: Ceph then encodes the keys, but not its markers, and does not say so.
    query = {"uploads": "", "max-uploads": str(PAGE), "prefix": prefix}
    seen: set[tuple[str, str]] = set()
    while True:
        page, _ = wire.document(Request("list uploads", "GET", query=query), "ListMultipartUploadsResult")
        if page.altered:
            raise _unbelievable(wire, "it holds characters that XML cannot hold, and so keys that are others")
        try:
            rows = [
                PendingUpload(
                    row["Key"],
                    row["UploadId"],
                    datetime.fromisoformat(row["Initiated"]),
                    row.get("StorageClass") or None,
                )
                for kind, row in page.rows
                if kind == "Upload"
            ]
        except (KeyError, ValueError) as error:
            raise _unbelievable(wire, f"a row of it is no sound row ({type(error).__name__}: {error})") from None
        yield from (row for row in rows if row.key.startswith(prefix))
        if page.fields.get("IsTruncated", "false") != "true":
            return
        marker = page.fields.get("NextKeyMarker", ""), page.fields.get("NextUploadIdMarker", "")
        if marker in seen or not marker[0]:
            raise _unbelievable(wire, "it goes on, but not from another place")
        seen.add(marker)
        query |= {"key-marker": marker[0], "upload-id-marker": marker[1]}


def _unbelievable(wire: Wire, what: str) -> StoreError:
    return StoreError(f"the listing of uploads cannot be believed: {what}", store=wire.store)


def abort(wire: Wire, key: str, upload_id: str) -> None:
    """Forget one upload and its parts; nothing happens if it is completed or aborted already."""
    try:
        wire.call(Request("abort the upload of", "DELETE", key, query={"uploadId": upload_id}))
    except UploadGone:
        return


def versioned(wire: Wire) -> bool | None:
    """Whether the bucket keeps old versions; None where that is not told."""
    try:
        document = Document(wire.call(Request("ask for versions of", "GET", query={"versioning": ""})).body)
    except Malformed:
        return None
    except HoldfastError as error:
        if error.retryable:
            raise
        return None
    if document.root not in {"VersioningConfiguration", "GetBucketVersioningResponse"}:  # the second is moto's
        return None
    return document.fields.get("Status") == "Enabled"


def first_part(wire: Wire, key: str) -> tuple[int, int] | None:
    """The size (bytes) of the first part that the object was uploaded in, and how many there were, if that is told."""
    try:
        said = wire.call(Request("read", "HEAD", key, query={"partNumber": "1"})).headers
        return int(said["content-length"]), int(said["x-amz-mp-parts-count"])
    except (KeyError, ValueError):
        return None  # the service does not know of parts, and has told of the whole object
    except HoldfastError as error:
        if error.retryable:
            raise
        return None


def create_bucket(wire: Wire) -> bool:
    """Whether the bucket was created now; False if it was there and is ours, AlreadyExists if it is somebody else's."""
    if _is_ours(wire):
        return False
    try:
        try:
            wire.call(Request("create the bucket", "PUT", body=_place(wire.region)))
        except StoreError:
            if wire.region == FIRST_REGION or wire.address.endpoint is None:
                raise
            # Services elsewhere may call their places otherwise than by the region that is signed for.
            wire.call(Request("create the bucket", "PUT"))
    except StoreError as error:
        if _is_ours(wire):
            return False
        if "AlreadyExists" not in error.message:
            raise
        message = "somebody else has a bucket of this name: choose another name"
        raise AlreadyExists(message, store=wire.store, cause=error) from error
    return True


def _place(region: str) -> bytes:
    if region == FIRST_REGION:
        return b""
    place = f"<LocationConstraint>{escape(region)}</LocationConstraint>"
    return f"<CreateBucketConfiguration>{place}</CreateBucketConfiguration>".encode()


def _is_ours(wire: Wire) -> bool:
    try:
        wire.call(Request("look for the bucket", "HEAD"))
    except HoldfastError as error:
        if error.retryable:
            raise
        return False
    return True
