"""Silence of other libraries while they carry secrets: their debug logs show headers, addresses and answers."""

from __future__ import annotations

import contextvars
import logging
from collections.abc import Iterator
from contextlib import contextmanager

#: Libraries that log what they send and get.
TALKATIVE = ("botocore", "google", "urllib3")

_secret = contextvars.ContextVar("_secret", default=False)


class Silence(logging.Filter):
    """Drops what is logged while this thread (or task) is ``unlogged``."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record may be shown."""
        return not _secret.get()


_silence = Silence()


@contextmanager
def unlogged() -> Iterator[None]:
    """A block in which nothing that the talkative libraries log in this thread is shown; what fails is raised.

    Loggers that are made within the block (by a first import) are not covered: import before.
    """
    # A filter of a logger is not asked about the records of its children, so each needs it.
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in TALKATIVE:
            logging.getLogger(name).addFilter(_silence)  # once, however often it is said
    token = _secret.set(True)
    try:
        yield
    finally:
        _secret.reset(token)
