"""Keys that a validator, or a mapping of keys, does not let through: one error for all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import RefusedKey
from ..keys import printable
from ..redact import text as redacted

Validator = Callable[[str], Any]


def refusal(validator: Validator, key: str, store: str | None = None) -> RefusedKey | None:
    """Why the key may not be used, or None if it may: the validator returns, and not False."""
    try:
        return None if validator(key) is not False else refused(key, store)
    except (KeyError, ValueError) as error:
        return refused(key, store, error)


def refused(key: str, store: str | None, cause: Exception | None = None) -> RefusedKey:
    """The error of a key that may not be used, with the reason that its cause tells."""
    why = str(cause.args[0]) if cause is not None and cause.args else "the validator does not accept it"
    message = f"key '{redacted(printable(key))}' is refused: {why}"
    return RefusedKey(message, key=key, store=store, cause=cause)
