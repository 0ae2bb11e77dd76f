"""Conditional writes and deletes with three outcomes: done, refused, or (where an answer was lost) Indeterminate.

A lost answer must not turn our own write into somebody else's. So each conditional write gives the object a history
in its metadata: its own nonce first, then those of the versions before, each with a mark of the ETag that it
replaced. After a lost answer the object is looked at. Our nonce in its history: done. The version that we named
still there: sent again, with the same nonce. A history that reaches back to that version without our nonce:
refused. Anything else cannot be known.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ...errors import AlreadyExists, Conflict, HoldfastError, Indeterminate, NotFound
from ...keys import printable
from .._answers import OWN_METADATA
from .._obstore_errors import BadRequest
from .direct import METADATA
from .wire import Request, Wire

HISTORY = f"{METADATA}{OWN_METADATA}history"
#: So many versions are remembered: with more writes than this during one lost answer, it stays Indeterminate.
DEPTH = 16
#: The mark of a version that replaced none.
NONE = "new"

#: Sends the write once, under the condition in these headers, and returns the ETag.
Send = Callable[[Mapping[str, str]], str | None]


@dataclass(frozen=True, slots=True)
class Version:
    """What is there: its ETag, and its history, the youngest entry first."""

    etag: str
    history: tuple[str, ...]

    def holds(self, nonce: str) -> bool:
        """Whether the write with this nonce is this version or one before it."""
        return any(entry.startswith(f"{nonce}-") for entry in self.history)

    def follows(self, base: Version) -> bool:
        """Whether the history tells every conditional write since ``base``."""
        for index, entry in enumerate(self.history):
            if entry.endswith(f"-{_mark(base.etag)}"):
                # The ETag may be that of other versions with the same bytes: what came before must be the same too.
                older = self.history[index + 1 :]
                return older == base.history[: len(older)] and bool(older) == bool(base.history)
        return False


def bare(etag: str) -> str:
    """The ETag without quotes, as conditions name it: Ceph refuses quoted ones, the others take both."""
    return etag.strip('"')


def quoted(etag: str | None) -> str | None:
    """The ETag as a header has it: in documents some services leave its quotes out, or all of it (None)."""
    return f'"{bare(etag)}"' if etag else None


def _mark(etag: str | None) -> str:
    return NONE if etag is None else hashlib.blake2b(bare(etag).encode(), digest_size=5).hexdigest()


def look(wire: Wire, key: str) -> Version | None:
    """The version that is there now, or None."""
    try:
        answer = wire.call(Request("read", "HEAD", key))
    except NotFound:
        return None
    except BadRequest:
        wire.call(Request("read", "GET", key, headers={"range": "bytes=0-0"}))  # whose refusal says why
        raise
    history = answer.headers.get(HISTORY, "")
    return Version(answer.etag or "", tuple(entry for entry in history.split(",") if entry))


def named_version(wire: Wire, key: str, etag: str) -> Version:
    """The version with this ETag, if it is the one that is there; else Conflict, or NotFound."""
    base = look(wire, key)
    if base is None:
        raise NotFound(f"no object {printable(key)!r}", store=wire.store, key=key)
    if bare(base.etag) != bare(etag):
        raise _conflict(wire, key)
    return base


class ConditionalWrite:
    """One write over the version ``base``, or (None) where nothing is; ``history`` is the header to send along."""

    def __init__(self, wire: Wire, key: str, base: Version | None) -> None:
        self._wire = wire
        self._key = key
        self._base = base
        self._nonce = secrets.token_hex(6)
        entry = f"{self._nonce}-{_mark(base.etag if base else None)}"
        self.history = {HISTORY: ",".join((entry, *(base.history if base else ()))[:DEPTH])}

    def perform(self, send: Send) -> str:
        """The ETag of what was written; Conflict or AlreadyExists if it was refused, Indeterminate if unknown.

        If others have replaced what was written before its ETag could be learned, a text that is no ETag of theirs.
        """
        base, policy = self._base, self._wire.policy
        condition = {"if-none-match": "*"} if base is None else {"if-match": bare(base.etag)}
        doubt: HoldfastError | None = None
        for turn in range(1, policy.tries + 1):
            try:
                etag = send(condition)
            except HoldfastError as error:
                refused = isinstance(error, Conflict) or (base is not None and isinstance(error, NotFound))
                if doubt is None and refused:
                    raise self._refusal() from error
                if doubt is None and not error.retryable:
                    raise
                doubt = error if error.retryable else doubt
                landed = self._landed(error)
                if landed is not None:
                    return landed
                if turn == policy.tries or not (error.retryable or refused) or not policy.budget.take():
                    break
                policy.sleep(policy.wait(turn, error))
            else:
                return etag or self._etag_now()
        raise self._unknown(doubt)

    def _landed(self, error: HoldfastError) -> str | None:
        """Our ETag if the write landed, None if it may be sent again; raises if it was refused, or cannot be known."""
        try:
            now = look(self._wire, self._key)
        except HoldfastError as failed:
            raise self._unknown(failed) from failed
        if now is None:
            if self._base is None:
                return None
            raise self._unknown(error) from error
        if now.holds(self._nonce):
            return self._own_etag(now)
        if self._base is None:
            raise self._unknown(error) from error
        if now == self._base:
            return None
        if now.follows(self._base):
            raise self._refusal() from error
        raise self._unknown(error) from error

    def _etag_now(self) -> str:
        """The ETag of what was written, where the answer did not tell."""
        now = look(self._wire, self._key)
        return self._own_etag(now) if now is not None else f'"replaced-{self._nonce}"'

    def _own_etag(self, now: Version) -> str:
        ours = bool(now.history) and now.history[0].startswith(f"{self._nonce}-")
        return now.etag if ours else f'"replaced-{self._nonce}"'

    def _refusal(self) -> HoldfastError:
        if self._base is not None:
            return _conflict(self._wire, self._key)
        message = f"there is an object {printable(self._key)!r} already"
        return AlreadyExists(message, store=self._wire.store, key=self._key)

    def _unknown(self, cause: HoldfastError | None) -> Indeterminate:
        message = (
            f"the answer to the write of {printable(self._key)!r} was lost, and what is there does not tell: read it"
        )
        return Indeterminate(message, store=self._wire.store, key=self._key, cause=cause)


def delete(wire: Wire, key: str, etag: str) -> None:
    """Delete exactly this version; Conflict or NotFound if it is not there, Indeterminate if that cannot be known."""
    base = named_version(wire, key, etag)
    request = Request("delete", "DELETE", key, headers={"if-match": bare(etag)})
    policy = wire.policy
    doubt: HoldfastError | None = None
    for turn in range(1, policy.tries + 1):
        try:
            wire.attempt(request)
        except HoldfastError as error:
            if doubt is None and not error.retryable:
                raise
            doubt = error
            now: Version | None = None
            with contextlib.suppress(HoldfastError):
                now = look(wire, key)
            if now is not None and now != base and now.follows(base):
                raise _conflict(wire, key) from error
            if now != base or turn == policy.tries or not policy.budget.take():
                break
            policy.sleep(policy.wait(turn, error))
        else:
            return
    message = f"the answer to the delete of {printable(key)!r} was lost: look whether it is there"
    raise Indeterminate(message, store=wire.store, key=key, cause=doubt)


def _conflict(wire: Wire, key: str) -> Conflict:
    message = f"{printable(key)!r} is not, or no longer, the version that was named; read it again"
    return Conflict(message, store=wire.store, key=key)
