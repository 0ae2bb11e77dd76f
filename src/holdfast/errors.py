"""Every error that Holdfast raises, in one small tree.

    HoldfastError
     |- NotFound             (also KeyError, FileNotFoundError)  no such object
     |- BucketNotFound                                           no such bucket: never "a missing key"
     |- AlreadyExists        (also KeyError, FileExistsError)    create found an object there
     |- Conflict                                                 the object is not the version you named
     |   `- KeySyncError     (also KeyError, ValueError)         a mapping knows another version than is there
     |- Indeterminate                                            the answer was lost: done or not done, unknown
     |- PartialFailure                                           of several stores some did it and some did not
     |- Unsupported          (also NotImplementedError)          this store cannot do that, exactly
     |- IntegrityError                                           bytes differ from what was promised
     |- InvalidKey           (also ValueError)                   this store cannot hold this key
     |   |- PathConflict                                         a directory where a file should be, or a file
     |   |                                                       where a directory should be
     |   `- RefusedKey       (also KeyError)                     a rule put upon the store does not let this key in
     |- AuthError            (also PermissionError)              credentials missing, wrong or not sufficient
     |- Throttled                                                the service asks us to slow down
     |- Timeout              (also TimeoutError)                 no progress within the deadline
     |- ConfigError          (also ValueError)                   a URL, option or setting that cannot be
     |- EncodingError        (also ValueError)                   content encoding unknown, or its data broken
     |   |- UnknownEncoding
     |   `- DecompressionError                                   truncated, corrupt or larger than allowed
     `- StoreError           (also OSError)                      anything else the backend said

Each error carries ``key``, ``store`` (already redacted), ``cause`` and ``retryable``; it pickles, and its
message ends with what to do about it wherever there is something to do.
"""

from __future__ import annotations

import errno
from typing import Any

from . import redact


class HoldfastError(Exception):
    """What every Holdfast error is; catch this to catch them all.

    ``key`` is the object's key or None, ``store`` the redacted name of the store, ``cause`` the error
    beneath (also ``__cause__`` when raised ``from`` it), ``retryable`` whether the same call may succeed later,
    ``others`` the errors of the same call that are about other keys.

    >>> error = NotFound("no object 'a'", key="a", store="mem://demo")
    >>> error.key, isinstance(error, KeyError), str(error)
    ('a', True, "mem://demo: no object 'a'")
    """

    retryable = False
    errno: int | None = None
    others: tuple[HoldfastError, ...] = ()

    def __init__(
        self,
        message: str = "",
        *,
        key: str | None = None,
        store: str | None = None,
        cause: BaseException | None = None,
        retryable: bool | None = None,
    ) -> None:
        Exception.__init__(self, message)
        self.message = message
        self.key = key
        self.store = store
        self.cause = cause
        if retryable is not None:
            self.retryable = retryable

    def __str__(self) -> str:
        return f"{self.store}: {self.message}" if self.store else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        # Causes may hold sockets, locks or engine objects that cannot cross a process: their text can.
        cause = None if self.cause is None else CauseText(redact.error(self.cause))
        state = {**self.__dict__, "cause": cause}
        del state["message"]
        return (_rebuild, (type(self), self.message, state))


def _rebuild(kind: type[HoldfastError], message: str, state: dict[str, Any]) -> HoldfastError:
    error = kind(message)
    for name, value in state.items():
        setattr(error, name, value)
    return error


class CauseText(Exception):
    """The text of a cause whose own object stayed in another process."""


class NotFound(HoldfastError, KeyError, FileNotFoundError):
    """No object under this key."""

    errno = errno.ENOENT


class BucketNotFound(HoldfastError):
    """The bucket, container or root itself is missing: never reported as a missing key."""


class AlreadyExists(HoldfastError, KeyError, FileExistsError):
    """An atomic create found an object under the key."""

    errno = errno.EEXIST


class Conflict(HoldfastError):
    """The object is not, or no longer, the version that the call named."""


class KeySyncError(Conflict, KeyError, ValueError):
    """What is stored under a key is not what this mapping knows of it: changed, created or deleted elsewhere.

    ``key`` and ``store`` say where, ``expected`` is the ETag that the mapping knows (None: no such object), ``found``
    the one that is there (None: there is no object if ``absent``, else it could not be learned). The three arguments by
    position are those of both generations of cloud-mappings: the store's name, the key and the ETag, of which the
    message is made; with ``store=`` the first is the message. ``etag``, ``expected_etag`` and ``storage_provider_name``
    are its names.

    >>> error = KeySyncError("mem://demo", "a", "v1", found="v2")
    >>> error.key, error.expected, error.found, isinstance(error, KeyError), isinstance(error, ValueError)
    ('a', 'v1', 'v2', True, True)
    """

    def __init__(
        self,
        storage_provider_name: str = "",
        key: str | None = None,
        etag: str | None = None,
        *,
        found: str | None = None,
        absent: bool = False,
        storageprovider_safe_name: str = "",
        store: str | None = None,
        **context: Any,
    ) -> None:
        message = storage_provider_name
        if store is None:
            store = storage_provider_name or storageprovider_safe_name or None
            known = "that there is none" if etag is None else f"the version {etag}"
            there = ", and nothing is there" if absent else "" if found is None else f", and {found} is there"
            named = f"key={key!r}" if key is not None and key.endswith("/") else repr(key)
            message = (
                f"the mapping is out of sync at {key!r}: it knows {known}{there}. Call sync_with_cloud({named}) to "
                "take over what is there, or change it by modify, which works on what is there"
            )
        super().__init__(message, key=key, store=store, **context)
        self.expected = etag
        self.found = found
        self.absent = absent

    def __reduce__(self) -> tuple[Any, ...]:
        _, (kind, message, state) = super().__reduce__()
        return (kind, (), {**state, "message": message, "args": (message,)})

    @property
    def etag(self) -> str | None:
        """The ETag that the mapping knows, by its name in cloud-mappings."""
        return self.expected

    @property
    def expected_etag(self) -> str | None:
        """The same, by its name in newer cloud-mappings."""
        return self.expected

    @property
    def storage_provider_name(self) -> str | None:
        """What ``store`` is called in cloud-mappings."""
        return self.store


class Indeterminate(HoldfastError):
    """The answer to a conditional write was lost; read the object to learn its state."""


class PartialFailure(HoldfastError):
    """Of the stores that were to do the same, some did it and some did not; ``outcomes`` tells of each.

    ``outcomes`` holds a (store name, error or None) for each store, in their order.
    """

    outcomes: tuple[tuple[str, BaseException | None], ...] = ()


class Unsupported(HoldfastError, NotImplementedError):
    """The store cannot do this, and an emulation would not be safe."""


class IntegrityError(HoldfastError):
    """Bytes received differ in length or digest from what the store promised."""

    retryable = True


class InvalidKey(HoldfastError, ValueError):
    """The key cannot be stored faithfully here; nothing was touched."""


class PathConflict(InvalidKey):
    """On a file system a directory stands where this key's file should be, or the other way round."""


class RefusedKey(InvalidKey, KeyError):
    """A validator that was put upon the store does not let this key through; nothing was asked of the store."""


class AuthError(HoldfastError, PermissionError):
    """Credentials are missing, wrong, expired, or do not allow this."""

    errno = errno.EACCES


class Throttled(HoldfastError):
    """The service asked for fewer requests; ``retry_after`` is its wish in seconds, or None."""

    retryable = True
    retry_after: float | None = None


class Timeout(HoldfastError, TimeoutError):
    """No progress within the deadline."""

    retryable = True
    errno = errno.ETIMEDOUT


class ConfigError(HoldfastError, ValueError):
    """A URL, option, credential source or configuration that cannot be used as written."""


class EncodingError(HoldfastError, ValueError):
    """A content encoding is unknown or its data is broken."""


class UnknownEncoding(EncodingError):
    """No codec goes by this name; ``raw=True`` reads the stored bytes as they are."""


class DecompressionError(EncodingError):
    """The stored bytes are no whole, sound stream of their encoding, or decode to more than allowed."""


class StoreError(HoldfastError, OSError):
    """The backend failed in a way that no other class names; ``errno`` is kept where there was one."""

    def __init__(self, message: str = "", **context: Any) -> None:
        super().__init__(message, **context)
        if isinstance(self.cause, OSError):
            self.errno = self.cause.errno
