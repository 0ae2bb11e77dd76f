"""Operating system errors, as Holdfast's: the one table."""

from __future__ import annotations

import errno
import os
from types import TracebackType

from ...errors import (
    AlreadyExists,
    AuthError,
    Conflict,
    HoldfastError,
    InvalidKey,
    NotFound,
    PathConflict,
    StoreError,
    Unsupported,
)
from ...keys import printable

#: What it looks like when no object is there: nothing at all, a symlink, a socket, or a file where the key's
#: directory would be.
ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.ENODEV})
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR, errno.EBUSY})
UNNAMEABLE = frozenset({errno.ENAMETOOLONG, errno.EILSEQ})
#: What file systems answer that have no locks (or no hard links) at all.
MISSING_FEATURE = frozenset({errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EPERM, errno.EMLINK})


def not_found(key: str, store: str, cause: OSError | None = None) -> NotFound:
    """The error for a key without an object."""
    return NotFound(f"no object {printable(key)!r}", key=key, store=store, cause=cause)


def already_exists(key: str, store: str, cause: OSError | None = None) -> AlreadyExists:
    """The error for a create that came second."""
    return AlreadyExists(f"{printable(key)!r} exists already; nothing was written", key=key, store=store, cause=cause)


def conflict(key: str, store: str, wanted: str) -> Conflict:
    """The error for a condition that names another version than the one that is there."""
    message = f"{printable(key)!r} is not, or no longer, version {wanted!r}; nothing was changed, read it again"
    return Conflict(message, key=key, store=store)


def in_the_way(key: str, store: str, cause: OSError | None = None) -> PathConflict:
    """The error for a key whose path is taken by something of another kind."""
    message = "a directory stands there, or a file or link where its directory should be; choose another key"
    return PathConflict(f"cannot store {printable(key)!r}: {message}", key=key, store=store, cause=cause)


def translate(error: OSError, key: str | None, store: str, doing: str) -> HoldfastError:
    """The typed error for an OSError met while ``doing`` something to the key."""
    number = error.errno
    subject = f"{doing} {printable(key)!r}" if key is not None else doing
    reason = os.strerror(number) if number else str(error)
    if isinstance(error, HoldfastError):
        return error
    if key is not None and number in (errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY, errno.ELOOP):
        return in_the_way(key, store, error)
    if number in (errno.EACCES, errno.EPERM):
        message = f"{subject}: {reason}; check the owner and mode of the file and of the directories above it"
        return AuthError(message, key=key, store=store, cause=error)
    if number in UNNAMEABLE:
        return InvalidKey(f"{subject}: {reason}; choose a shorter or plainer key", key=key, store=store, cause=error)
    if number in FULL:
        message = f"{subject}: {reason}; the old value is untouched, free some space"
        return StoreError(message, key=key, store=store, cause=error)
    if number in EXHAUSTED:
        message = f"{subject}: {reason}; use fewer threads or raise the limit, then try again"
        return StoreError(message, key=key, store=store, cause=error, retryable=True)
    return StoreError(f"{subject}: {reason}", key=key, store=store, cause=error)


def no_locks(store: str, operation: str, cause: OSError, cure: str = "write without a condition") -> Unsupported:
    """The error for an operation that has to exclude others, on a file system that cannot lock."""
    message = f"cannot do {operation} exactly: this file system has no file locks; {cure}"
    return Unsupported(message, store=store, cause=cause)


class Translating:
    """A ``with`` block whose OSErrors come out typed."""

    __slots__ = ("doing", "key", "store")

    def __init__(self, key: str | None, store: str, doing: str) -> None:
        self.key = key
        self.store = store
        self.doing = doing

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, OSError) and not isinstance(error, HoldfastError):
            raise translate(error, self.key, self.store, self.doing) from error
