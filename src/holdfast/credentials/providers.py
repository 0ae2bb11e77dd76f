"""Credentials that stay valid: fetched when needed, renewed before they end, one set for the whole process."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Hashable
from datetime import UTC, datetime, timedelta
from typing import Any

from .. import locks
from ..errors import AuthError, HoldfastError
from .pairs import S3Credentials

#: Credentials are renewed this long before they end, or after three quarters of a shorter life.
MARGIN = timedelta(minutes=5)
#: After a renewal that failed while the old credentials still hold, the next try waits this long (seconds).
PAUSE = 5.0
#: A source that turned out not to be there is not asked again for this long (seconds).
ABSENCE = 30.0


class Absent(Exception):
    """A source of credentials is not there (no metadata service answers); the next one is looked at."""


class Provider:
    """The credentials of one source, always valid ones: ``current()`` renews them when their end is near.

    ``identity`` is what the source is (its kind, address, role ...), never a secret. While one thread renews, others
    go on with the old credentials as long as those hold; when they have ended, the others wait for that one renewal.

    >>> Provider(("example",), lambda: S3Credentials("AK", "secret")).current()
    S3Credentials(***)
    """

    def __init__(self, identity: Hashable, fetch: Callable[[], S3Credentials]) -> None:
        self.identity = identity
        self._fetch = fetch
        self._held: S3Credentials | None = None
        self._renew_at: datetime | None = None
        self._renewing = locks.lock()
        self._absent: str | None = None
        self._not_before = 0.0  # on the monotonic clock: when a failed fetch may be tried again

    @classmethod
    def fixed(cls, credentials: S3Credentials) -> Provider:
        """A provider of credentials that never change."""
        provider = cls(("pair", credentials.fingerprint(), credentials.principal()), lambda: credentials)
        provider._held = credentials
        return provider

    def __repr__(self) -> str:
        return "Provider(***)"

    def __reduce__(self) -> Any:
        raise TypeError("credentials do not pickle: they are found anew in the other process")

    def current(self) -> S3Credentials:
        """Credentials that are valid now.

        Raises Absent when the source is not there, and what the source raises when it refuses and the
        credentials at hand have ended.
        """
        held = self._held
        if held is not None and (self._renew_at is None or datetime.now(UTC) < self._renew_at):
            return held
        if held is not None and _holds(held):
            return self._renew_early(held)
        with self._renewing:
            if (held := self._held) is not None and _holds(held):
                return held  # somebody else has renewed them while this thread waited
            if self._absent is not None and time.monotonic() < self._not_before:
                raise self._gone(self._absent)
            try:
                return self._renew()
            except Absent as absent:
                self._absent, self._not_before = str(absent), time.monotonic() + ABSENCE
            raise self._gone(self._absent)

    def _gone(self, why: str) -> Exception:
        """Absent for a source that never was there, an AuthError for one that was."""
        if self._held is None:
            return Absent(why)
        return AuthError(f"the credentials have ended and cannot be renewed: {why}")

    def _renew_early(self, held: S3Credentials) -> S3Credentials:
        if time.monotonic() < self._not_before or not self._renewing.acquire(blocking=False):
            return held
        try:
            if self._held is not held:
                return self._held or held
            return self._renew()
        except (HoldfastError, Absent):
            # The old ones still hold: whoever needs others will see the error when they have ended.
            self._not_before = time.monotonic() + PAUSE
            return held
        finally:
            self._renewing.release()

    def _renew(self) -> S3Credentials:
        fetched = self._fetch()
        if fetched.expires_at is None:
            self._renew_at = None
        else:
            life = fetched.expires_at - datetime.now(UTC)
            self._renew_at = fetched.expires_at - min(MARGIN, life / 4)
        self._held, self._absent = fetched, None
        return fetched

    def renew_at(self) -> datetime | None:
        """When ``current()`` will ask the source again, or None for never."""
        return self._renew_at

    def fingerprint(self) -> str:
        """What differs for every source and stays when its credentials are renewed: the key of client pools."""
        return hashlib.sha256(repr(self.identity).encode()).hexdigest()

    def principal(self) -> str:
        """Who acts, as twelve hexadecimal digits that stay when the credentials are renewed."""
        match self.identity:
            case ("pair", str(), str(principal)):
                return principal
        return self.fingerprint()[:12]

    def principal_elsewhere(self) -> str:
        """Who acts, in a form that another process can compare: an object's address in memory means nothing there."""
        match self.identity:
            case ("object", int()):
                with contextlib.suppress(HoldfastError):  # if it has none to give, nobody else is it
                    return self.current().principal()
        return self.principal()


def _holds(credentials: S3Credentials) -> bool:
    return credentials.expires_at is None or datetime.now(UTC) < credentials.expires_at


_shared: dict[Hashable, Provider] = {}
_shared_lock = locks.lock()


def shared(identity: Hashable, fetch: Callable[[], S3Credentials]) -> Provider:
    """The process's one provider for this source, made from ``fetch`` if it is the first."""
    with _shared_lock:
        provider = _shared.get(identity)
        if provider is None:
            provider = _shared[identity] = Provider(identity, fetch)
        return provider


def _after_fork_in_child() -> None:
    # A thread of the parent may have held these locks, and it does not exist here.
    global _shared_lock  # noqa: PLW0603 - one table per process
    _shared_lock = locks.lock()
    for provider in _shared.values():
        provider._renewing = locks.lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
