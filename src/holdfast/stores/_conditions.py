"""Conditional writes and deletes with three outcomes: done, refused, or (where an answer was lost) Indeterminate.

A lost answer must not turn our own write into somebody else's. So each conditional write gives the object a history
in its metadata: its own nonce first, then those of the versions before, each with a mark of the version that it
replaced. After a lost answer the object is looked at. Our nonce in its history: done. The version that we named
still there: sent again, with the same nonce. A history that reaches back to that version without our nonce:
refused. Anything else cannot be known.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from ..errors import AlreadyExists, Conflict, HoldfastError, Indeterminate, NotFound
from ..keys import printable
from ..retry import Policy
from ._answers import HISTORY, SeenETag

#: So many versions are remembered: with more writes than this during one lost answer, it stays Indeterminate.
DEPTH = 16
#: The mark of a version that replaced none.
NONE = "new"
#: The mark of a version that was replaced unseen; no version's own mark looks like it.
UNSEEN = "unseen"
#: A version that was this young (seconds) when the write over it began may have been written again within the second
#: that services tell, and look the same.
YOUNG = 2.0
#: So many seconds what was seen of a version stands for a look at it, where an ETag may come back.
FRESH = 1.0


@dataclass(frozen=True, slots=True)
class Version:
    """What is there: its ETag, its history, the youngest entry first, and its generation where conditions name that.

    One that was not ``seen`` is known by its ETag and the time at which it was ``modified``.
    """

    etag: str
    history: tuple[str, ...]
    generation: str | None = None
    seen: bool = True
    modified: datetime | None = field(default=None, compare=False)

    @classmethod
    def of(
        cls, etag: str | None, history: str | None, generation: str | None = None, modified: datetime | None = None
    ) -> Version:
        """The version with this history, as it stands in the metadata."""
        entries = tuple(entry for entry in (history or "").split(",") if entry)
        return cls(etag or "", entries, generation, modified=modified)

    @classmethod
    def unseen(cls, etag: str, modified: datetime) -> Version:
        """The version with this ETag and time, which nobody has looked at."""
        return cls(etag, (), seen=False, modified=modified)

    @property
    def mark(self) -> str:
        """What stands for this version in the histories of those that replace it.

        Whoever replaces one unseen cannot tell what came before, and so says nothing that others could conclude from:
        where they lost an answer, they do not know.
        """
        if not self.seen:
            return UNSEEN
        name = self.generation or bare(self.etag)
        return hashlib.blake2b(name.encode(), digest_size=5).hexdigest()

    def holds(self, nonce: str) -> bool:
        """Whether the write with this nonce is this version or one before it."""
        return any(entry.startswith(f"{nonce}-") for entry in self.history)

    def is_still(self, base: Version, began: float) -> bool:
        """Whether this is that version, which was there when the write over it began (seconds since 1970).

        An ETag may be back with its bytes, so of a version that nobody looked at the time counts, too. Of one that was
        young, that proves nothing if what is there replaced something unseen: it may have replaced what we wrote.
        """
        if base.seen:
            return self == base
        if bare(self.etag) != bare(base.etag) or self.modified is None or base.modified is None:
            return False
        if self.modified.replace(microsecond=0) != base.modified.replace(microsecond=0):
            return False
        is_young = began - base.modified.timestamp() < YOUNG
        return not (is_young and self.history and self.history[0].endswith(f"-{UNSEEN}"))

    def follows(self, base: Version) -> bool:
        """Whether the history tells every conditional write since ``base``."""
        if not base.seen:
            return False
        for index, entry in enumerate(self.history):
            if entry.endswith(f"-{base.mark}"):
                # An ETag may be that of other versions with the same bytes: what came before must be the same too.
                older = self.history[index + 1 :]
                return older == base.history[: len(older)] and bool(older) == bool(base.history)
        return False


#: Sends the write (or delete) once, under the condition that this version (None: nothing) is there, and returns the
#: ETag of what was written.
Send = Callable[[Version | None], str | None]


@dataclass(frozen=True, slots=True)
class Place:
    """A key of a store, as conditions see it: ``look`` returns the version that is there now, or None.

    ``by_generation``: conditions name the generation of an object instead of its ETag. ``etags_return``: conditions
    name an ETag that is there again whenever the same bytes are.
    """

    store: str
    key: str
    policy: Policy
    look: Callable[[], Version | None]
    by_generation: bool = False
    etags_return: bool = False


def bare(etag: str) -> str:
    """The ETag without quotes, as conditions name it: Ceph refuses quoted ones, the others take both."""
    return etag.strip('"')


def named_version(place: Place, etag: str) -> Version:
    """The version with this ETag, if it is the one that is there; else Conflict, or NotFound."""
    base = place.look()
    if base is None:
        raise NotFound(f"no object {printable(place.key)!r}", store=place.store, key=place.key)
    if bare(base.etag) != bare(etag):
        raise _conflict(place)
    return base


def seen_version(place: Place, etag: str) -> Version | None:
    """The version to write over as an earlier answer told of it, or None if it has to be looked at.

    The write names it in its condition anyhow. But where ETags return, the condition is met by an older version of the
    same bytes, too, and a write with that one's history hides all writes since: whoever lost the answer to one of them
    would be told that it was refused. So there it must have been seen just now, as by a look.
    """
    if not isinstance(etag, SeenETag) or (place.by_generation and etag.version is None):
        return None
    if place.etags_return and time.monotonic() - etag.seen > FRESH:
        return None
    return Version.of(str(etag), etag.history, etag.version if place.by_generation else None)


def write_over(place: Place, etag: str, write: Callable[[Version], str]) -> str:
    """What ``write`` returns for the version with this ETag: as it was seen, or else by a look.

    ``write`` raises Conflict if that version is not there.
    """
    seen = seen_version(place, etag)
    if seen is not None:
        try:
            return write(seen)
        except Conflict:
            if not place.by_generation:
                raise
            # Nothing was written. The same bytes may have been written again since, which is the same ETag.
    return write(named_version(place, etag))


class ConditionalWrite:
    """One write over the version ``base``, or (None) where nothing is; ``history`` is the metadata to send along."""

    def __init__(self, place: Place, base: Version | None) -> None:
        self._place = place
        self._base = base
        self._began = time.time()
        self._nonce = secrets.token_hex(6)
        entry = f"{self._nonce}-{base.mark if base else NONE}"
        self.history = {HISTORY: ",".join((entry, *(base.history if base else ()))[:DEPTH])}

    def perform(self, send: Send) -> str:
        """The ETag of what was written; Conflict or AlreadyExists if it was refused, Indeterminate if unknown.

        If others have replaced what was written before its ETag could be learned, a text that is no ETag of theirs.
        """
        base, policy = self._base, self._place.policy
        doubt: HoldfastError | None = None
        ends: float | None = None
        for turn in range(1, policy.tries + 1):
            try:
                etag = send(base)
            except HoldfastError as error:
                refused = isinstance(error, Conflict) or (base is not None and isinstance(error, NotFound))
                if doubt is None and refused:
                    raise self._refusal() from error
                if doubt is None and not error.retryable:
                    raise
                doubt = error if error.retryable else doubt
                ends = ends or time.monotonic() + policy.deadline
                landed = self._landed(error)
                if landed is not None:
                    return landed
                if not (error.retryable or refused) or not _again(policy, turn, error, ends):
                    break
            else:
                _succeeded(policy, turn)
                if not etag:
                    return self._etag_now()
                return SeenETag(etag, self.history[HISTORY], getattr(etag, "version", None))
        raise self._unknown(doubt)

    def _landed(self, error: HoldfastError) -> str | None:
        """Our ETag if the write landed, None if it may be sent again; raises if it was refused, or cannot be known."""
        try:
            now = self._place.look()
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
        if now.is_still(self._base, self._began):
            return None
        if now.follows(self._base):
            raise self._refusal() from error
        raise self._unknown(error) from error

    def _etag_now(self) -> str:
        """The ETag of what was written, where the answer did not tell."""
        now = self._place.look()
        return self._own_etag(now) if now is not None else f'"replaced-{self._nonce}"'

    def _own_etag(self, now: Version) -> str:
        ours = bool(now.history) and now.history[0].startswith(f"{self._nonce}-")
        return now.etag if ours else f'"replaced-{self._nonce}"'

    def _refusal(self) -> HoldfastError:
        if self._base is not None:
            return _conflict(self._place)
        message = f"there is an object {printable(self._place.key)!r} already"
        return AlreadyExists(message, store=self._place.store, key=self._place.key)

    def _unknown(self, cause: HoldfastError | None) -> Indeterminate:
        store, key = self._place.store, self._place.key
        message = f"the answer to the write of {printable(key)!r} was lost, and what is there does not tell: read it"
        return Indeterminate(message, store=store, key=key, cause=cause)


def delete(place: Place, etag: str, send: Callable[[Version], object]) -> None:
    """Delete exactly this version; Conflict or NotFound if it is not there, Indeterminate if that cannot be known.

    ``send`` asks for it once, under the condition that the version is there.
    """
    base = named_version(place, etag)
    policy = place.policy
    doubt: HoldfastError | None = None
    ends: float | None = None
    for turn in range(1, policy.tries + 1):
        try:
            send(base)
        except HoldfastError as error:
            if doubt is None and not error.retryable:
                raise
            doubt = error
            ends = ends or time.monotonic() + policy.deadline
            now: Version | None = None
            with contextlib.suppress(HoldfastError):
                now = place.look()
            if now is not None and now != base and now.follows(base):
                raise _conflict(place) from error
            if now != base or not _again(policy, turn, error, ends):
                break
        else:
            _succeeded(policy, turn)
            return
    message = f"the answer to the delete of {printable(place.key)!r} was lost: look whether it is there"
    raise Indeterminate(message, store=place.store, key=place.key, cause=doubt)


def _again(policy: Policy, turn: int, failed: HoldfastError, ends: float) -> bool:
    """Whether there may be another turn, which then may begin at once: the wait before it is over."""
    wait = policy.wait(turn, failed)
    if turn == policy.tries or time.monotonic() + wait > ends or not policy.budget.take():
        return False
    policy.sleep(wait)
    return True


def _succeeded(policy: Policy, turn: int) -> None:
    if turn > 1:
        policy.budget.give_back()


def _conflict(place: Place) -> Conflict:
    message = f"{printable(place.key)!r} is not, or no longer, the version that was named; read it again"
    return Conflict(message, store=place.store, key=place.key)
