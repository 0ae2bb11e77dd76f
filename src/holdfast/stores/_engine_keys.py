"""Which keys the engine carries as they are: it takes them for paths, and alters or refuses the others."""

from __future__ import annotations

import re

from ..errors import InvalidKey
from ._obstore_errors import shown

_DOTS = re.compile(r"(?:\A|/)\.\.?(?:/|\Z)")
_CONTROL = re.compile("[\x00-\x1f\x7f]")


def check_key(key: str, store: str, *, longest: int | None = None) -> None:
    """Raise InvalidKey for a key that the engine would refuse or, worse, store under another name."""
    problem = unencodable(key, longest)
    if problem is None and not carries(key):
        problem = "a slash at either end, '//', '.', '..' or a control character would be lost"
    if problem is not None:
        raise InvalidKey(f"cannot hold the key {shown(key[:200])!r}: {problem}", key=key, store=store)


def carries(key: str) -> bool:
    """Whether the engine carries this key as it is, if it can be encoded at all."""
    if key.startswith("/") or key.endswith("/") or "//" in key:
        return False
    if (key.startswith(".") or "/." in key) and _DOTS.search(key):
        return False
    return key.isprintable() or not _CONTROL.search(key)


def unencodable(key: str, longest: int | None) -> str | None:
    """Why the key cannot be sent at all: no UTF-8, or more bytes of it than ``longest``; None if it can."""
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        return "it does not encode to UTF-8"
    if longest is not None and size > longest:
        return f"it has {size} bytes in UTF-8, and at most {longest} are possible"
    return None
