"""What a service does with conditions, found out by trying: some ignore them, and would overwrite in silence."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import replace

from ...errors import AuthError, BucketNotFound, Conflict, HoldfastError
from ...keys import PROBES
from .._conditions import bare
from .uploads import Upload
from .wire import CONDITIONS, Guarantees, Request, Wire

WRONG = "00000000000000000000000000000000"


def probe(wire: Wire, asked: Collection[str] = CONDITIONS) -> Guarantees:
    """What is known of the service after it was ``asked`` about these conditions, for an object of its own.

    That takes three requests for creates alone and a dozen for all; the object is deleted again. What the credentials
    do not allow to be tried is unknown, and taken to be as on Amazon's; what was seen to be ignored until then stays
    ignored.
    """
    return wire.policy.call(_Probe(wire, asked).run)


class _Probe:
    def __init__(self, wire: Wire, asked: Collection[str]) -> None:
        self._wire = wire
        self._asked = asked

    def run(self) -> Guarantees:
        self._key = PROBES + secrets.token_hex(8)
        self._stored = False
        self._etag = WRONG
        self._found = replace(self._wire.guarantees, **dict.fromkeys(self._asked, True))
        try:
            self._look()
        except AuthError:
            pass  # what is left stays as it is: unknown
        finally:
            if self._stored:
                self._wire.call(Request("delete", "DELETE", self._key))
        return self._found

    def _look(self) -> None:
        absent, wrong = {"if-none-match": "*"}, {"if-match": WRONG}
        if self._tries("replace_if"):
            self._learn(replace_if=not self._put(wrong))
        if self._tries("delete_if"):
            self._learn(delete_if=not self._delete(wrong))
        if self._stored:  # that was wrong: a clean slate for the others
            self._wire.call(Request("delete", "DELETE", self._key))
            self._stored = False
        if self._tries("create"):
            self._learn(create=self._put(absent) and not self._put(absent))
        if self._tries("replace_if"):
            self._have_one()
            self._learn(replace_if=not self._put(wrong) and self._put({"if-match": self._etag}))
        if self._tries("delete_if"):
            self._have_one()
            self._learn(delete_if=not self._delete(wrong) and self._delete({"if-match": self._etag}))
        if self._tries("complete"):
            self._have_one()
            self._learn(complete=self._refuses_to_complete(absent) and self._refuses_to_complete(wrong))

    def _tries(self, name: str) -> bool:
        """Whether the service is asked about this, and has not failed at it already."""
        return name in self._asked and bool(getattr(self._found, name))

    def _have_one(self) -> None:
        """See to it that the object is there."""
        if not self._stored:
            self._put({})

    def _learn(self, **seen: bool) -> None:
        """Note at once what was seen: the next step may be one that the credentials do not allow."""
        self._found = replace(self._found, **seen)

    def _put(self, condition: dict[str, str]) -> bool:
        body = secrets.token_bytes(8)  # another ETag each time
        answer = self._done(Request("write", "PUT", self._key, headers=condition, body=body))
        self._stored = self._stored or answer
        return answer

    def _delete(self, condition: dict[str, str]) -> bool:
        done = self._done(Request("delete", "DELETE", self._key, headers=condition))
        self._stored = self._stored and not done
        return done

    def _done(self, request: Request) -> bool:
        """Whether the service did it; no, if it refused, or says that it does not know such a thing."""
        try:
            answer = self._wire.attempt(request)
        except HoldfastError as error:
            if error.retryable or isinstance(error, AuthError | BucketNotFound):
                raise
            return False
        if answer.etag:
            self._etag = bare(answer.etag)
        return True

    def _refuses_to_complete(self, condition: dict[str, str]) -> bool:
        upload = None
        try:
            upload = Upload(self._wire, self._key, {})
            upload.send(b"probe")
            upload.complete(condition)
        except Conflict:
            return True
        except HoldfastError as error:
            if error.retryable or isinstance(error, AuthError):
                raise
        finally:
            if upload is not None:
                upload.abort()
        return False
