"""Keys: what may be one, checked once at the public edge, and how to show one safely."""

from __future__ import annotations

import re

from .errors import InvalidKey

#: Objects whose keys are this and 16 hexadecimal digits exist for moments, in buckets whose service has to be tried.
PROBES = "holdfast-probe-"


def check(key: str, store: str | None = None) -> str:
    """The key itself, if it can be a key anywhere; a store's own rules come on top.

    A key is a non-empty string that encodes to UTF-8. (Names of local files that are no UTF-8 arrive with
    surrogate escapes, as everywhere in Python; local stores keep them, remote ones refuse them.)
    Raises TypeError for anything but a string, InvalidKey for an empty or unencodable one.

    >>> check("a/b")
    'a/b'
    """
    if type(key) is not str and not isinstance(key, str):
        raise TypeError(f"a key is a str, not {type(key).__name__}")
    if not key:
        raise InvalidKey("the empty string is not a key", key=key, store=store)
    if not key.isascii():
        try:
            key.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError as error:
            raise InvalidKey(f"key {printable(key)} does not encode to UTF-8", key=key, store=store) from error
    return key


def sort_key(key: str) -> bytes:
    """The bytes by which listings are ordered: UTF-8, with undecodable file-name bytes as they are.

    >>> sorted(["\U0001f600", "\uffee"], key=sort_key) == ["\uffee", "\U0001f600"]
    True
    """
    return key.encode("utf-8", "surrogateescape")


def printable(key: str) -> str:
    r"""The key as it can be shown on any terminal: control characters and bad bytes are escaped.

    Unambiguous (a literal backslash is doubled) and free of escape sequences, so that a hostile key cannot move
    a cursor.

    >>> printable("ok/ü"), printable("bad" + chr(27) + "[2J")
    ('ok/ü', 'bad\\x1b[2J')
    """
    if key.isprintable() and "\\" not in key:
        return key
    return "".join(c if c.isprintable() and c != "\\" else c.encode("unicode_escape").decode("ascii") for c in key)


def is_probe(key: str) -> bool:
    """Whether it is the key of an object that a store wrote to find out what a service does with conditions.

    >>> is_probe("holdfast-probe-0123456789abcdef"), is_probe("holdfast-probe-mine")
    (True, False)
    """
    return key.startswith(PROBES) and re.fullmatch("[0-9a-f]{16}", key[len(PROBES) :]) is not None


def join(prefix: str, key: str) -> str:
    """prefix and key with exactly one slash between them; an empty prefix adds nothing.

    >>> join("a/b", "c"), join("a/b/", "c"), join("", "c")
    ('a/b/c', 'a/b/c', 'c')
    """
    if not prefix or prefix.endswith("/"):
        return prefix + key
    return f"{prefix}/{key}"
