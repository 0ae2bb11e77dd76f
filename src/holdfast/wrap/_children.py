"""The children of a mirror: what they are asked together, what each answered, and whether they agree."""

from __future__ import annotations

import os
import re
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from .. import engine, redact
from ..blob import body_chunks
from ..errors import HoldfastError, InvalidKey, NotFound, PartialFailure, StoreError
from ..store import HEAD, ObjectStore
from ..types import NO_METADATA, Body, ObjectInfo, WriteOptions
from ._bodies import gathered
from ._locks import ProcessLock

#: The metadata name that holds the version which a mirror gave an object, the same in every child.
VERSION = "mirrorversion"

_VERSION = re.compile(r"\d{20}-[0-9a-f]{12}")

log = redact.logger("holdfast.mirror")

_clock_lock = ProcessLock()
_last = 0


def new_version() -> str:
    """A version that sorts after every one this process has made, and by the clock after those of others."""
    global _last  # noqa: PLW0603 - one clock for the process
    with _clock_lock:
        _last = max(_last + 1, time.time_ns())
        return f"{_last:020d}-{secrets.token_hex(6)}"


def is_version(value: str | None) -> bool:
    """Whether the value of that metadata name is nothing, or some mirror's, and so may be replaced."""
    return value is None or _VERSION.fullmatch(value) is not None


def version_of(info: ObjectInfo) -> str | None:
    """The version that a mirror gave the object, or None for an object that did not come through one."""
    return info.metadata.get(VERSION)


def unmarked(info: ObjectInfo) -> ObjectInfo:
    """The info without the mirror's own metadata."""
    if VERSION not in info.metadata:
        return info
    rest = {name: value for name, value in info.metadata.items() if name != VERSION}
    return replace(info, metadata=rest or NO_METADATA)


def marked(child: ObjectStore, options: WriteOptions, version: str) -> WriteOptions:
    """The options with the version, for a child that keeps metadata."""
    if not child.capabilities.metadata:
        return options
    return replace(options, metadata={**options.metadata, VERSION: version})


@dataclass(frozen=True, slots=True)
class Answer:
    """What one child answered: a value, or an error; of a look at an object None is "not there"."""

    child: ObjectStore
    value: Any = None
    error: HoldfastError | None = None

    @property
    def info(self) -> ObjectInfo | None:
        """Of a look: the object's info."""
        found: ObjectInfo | None = self.value
        return found

    @property
    def identity(self) -> str | None:
        """Of a look: the version that a mirror gave the object, or its ETag; None of a child that keeps no metadata."""
        info = self.info
        if info is None or not self.child.capabilities.metadata:
            return None
        return version_of(info) or info.etag


def ask(children: Sequence[ObjectStore], key: str, question: Callable[[ObjectStore], Any]) -> list[Answer]:
    """The answer of each child about the key, in their order; asked at the same time where that saves any."""
    if len(children) == 1 or all(child.local for child in children):
        return [_answer(child, key, question) for child in children]
    outcomes = engine.default().run(
        lambda child: _answer(child, key, question), children, threads=len(children), ordered=True, on_error="collect"
    )
    answers: list[Answer] = []
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error
        answers.append(outcome.value)
    return answers


def _answer(child: ObjectStore, key: str, question: Callable[[ObjectStore], Any]) -> Answer:
    try:
        return Answer(child, question(child))
    except Exception as error:  # noqa: BLE001 - it is this child's answer
        return Answer(child, error=own_error(error, key, child.name))


def own_error(error: Exception, key: str | None, store: str) -> HoldfastError:
    """The error itself if it is one of Holdfast's, else one that tells what it says, without secrets."""
    if isinstance(error, HoldfastError):
        return error
    again = isinstance(error, ConnectionError | TimeoutError)
    return StoreError(redact.error(error), key=key, store=store, cause=error, retryable=again)


def look(children: Sequence[ObjectStore], key: str) -> list[Answer]:
    """What each child has under the key: an info, None (also if it cannot hold such a key), or the error of looking."""

    def head(child: ObjectStore) -> ObjectInfo | None:
        try:
            with child._read(key, HEAD) as blob:
                return blob.info
        except (NotFound, InvalidKey):
            return None

    return ask(children, key, head)


def failure(operation: str, key: str, store: str, answers: Sequence[Answer]) -> HoldfastError:
    """The error for an operation that too few children did, with what each of them did."""
    failed = [answer.error for answer in answers if answer.error is not None]
    if len(failed) == len(answers) and len({type(error) for error in failed}) == 1:
        return failed[0]  # they all say the same: nothing is half done
    told = "; ".join(
        f"{answer.child.name}: " + ("done" if answer.error is None else redact.error(answer.error))
        for answer in answers
    )
    error = PartialFailure(
        f"{operation} of {key!r} was not done by all that it needs ({told}); do it again, or repair()",
        key=key,
        store=store,
        cause=failed[0],
        retryable=all(error.retryable for error in failed),
    )
    error.outcomes = tuple((answer.child.name, answer.error) for answer in answers)
    return error


@contextmanager
def repeatable(body: Body) -> Iterator[Body]:
    """The body in a form that can be written any number of times; a long stream is kept in a temporary file."""
    if isinstance(body, bytes | bytearray | memoryview | os.PathLike):
        yield body
        return
    whole = gathered(body_chunks(body))
    if isinstance(whole, bytes):
        yield whole
        return
    with tempfile.TemporaryDirectory(prefix="holdfast-mirror-") as directory:
        path = os.path.join(directory, "body")
        with open(path, "xb") as file:
            file.writelines(whole)
        yield _Path(path)


class _Path(os.PathLike[str]):
    def __init__(self, path: str) -> None:
        self._path = path

    def __fspath__(self) -> str:
        return self._path
