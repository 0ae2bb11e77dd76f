"""Writes and deletes of a mirror: what each child did, and whether that is enough."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import InvalidKey
from ..store import REMOVE, ObjectStore
from ..types import RemoveOptions
from ._children import Answer, failure, log
from ._deciding import Policy, majority


def conclude(operation: str, key: str, store: str, policy: Policy, answers: Sequence[Answer]) -> None:
    """Return if enough children have done it, with a warning about the others; else raise."""
    failed = [answer for answer in answers if answer.error is not None]
    if not failed:
        return
    enough = {
        "all": False,
        "quorum": len(answers) - len(failed) >= majority([answer.child for answer in answers]),
        "primary": answers[0].error is None,
    }[policy]
    if not enough:
        raise failure(operation, key, store, answers)
    for answer in failed:
        log.warning("%s of %r: %s has not followed: %s", operation, key, answer.child.name, answer.error)


def taken_back(key: str, answers: Sequence[Answer]) -> bool:
    """Whether a key that some children cannot hold is out of the others again: just the version written now.

    Nothing older is lost by that: a key that one child refuses was never written to all.
    """
    gone = True
    for answer in answers:
        if answer.error is not None:
            gone &= isinstance(answer.error, InvalidKey)
            continue
        etag = None if answer.info is None else answer.info.etag
        if etag is None or not answer.child.capabilities.delete_if:
            gone = False
            continue
        try:
            remove_from(answer.child, key, RemoveOptions(if_match=etag))
        except Exception as error:  # noqa: BLE001 - a child's own; the write has failed already, and tells why
            log.warning("%r could not be taken back from %s: %s", key, answer.child.name, error)
            gone = False
    return gone


def remove_from(child: ObjectStore, key: str, options: RemoveOptions = REMOVE) -> None:
    """Delete the key in a child, or raise what it says."""
    error = child._remove([key], options)[0]
    if error is not None:
        raise error


def joined(answers: Sequence[Answer], more: Sequence[Answer]) -> list[Answer]:
    """The answers, with the errors of a second question to some of the children."""
    failed = {id(answer.child): answer for answer in more if answer.error is not None}
    return [answer if answer.error is not None else failed.get(id(answer.child), answer) for answer in answers]
