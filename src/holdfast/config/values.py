"""Values of a configuration: what they hold, what a parameter takes, and what may be shown of them."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from .. import redact
from ..retry import Policy
from ..store import ObjectStore

#: Values shorter than this are hidden where they stand alone: no part of a word is a secret.
_SHORT = 4
#: Parts of values from this length on are not shown.
_FRAGMENT = 8
#: The user and password of a URL: hidden by themselves as well.
_LOGIN = re.compile(r"://([^/@\s]+)@")
_PLAIN = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def fitting(make: Any, parameter: str, value: Any, *, filled_in: bool) -> tuple[Any, str | None]:
    """The value as the parameter takes it, and what the parameter takes if the value is nothing of that kind.

    Text into which a variable was ``filled_in`` becomes a number, or true or false, where the parameter takes no text.
    Only parameters that are annotated with plain types are judged.
    """
    kinds = _kinds(_annotation(make, parameter))
    if kinds is None:
        return value, None
    if filled_in and isinstance(value, str) and str not in kinds:
        value = _converted(value, kinds)
    taken = type(value) in kinds or (isinstance(value, int) and not isinstance(value, bool) and float in kinds)
    words = [word for kind, word in _PLAIN.items() if kind in kinds]
    taken = taken or any(value == kind for kind in kinds if not isinstance(kind, type))
    return value, None if taken else " or ".join([*words, *_choices(kinds)])


def _annotation(make: Any, parameter: str) -> Any:
    """What the parameter is declared to be; ``inspect.Parameter.empty`` where that is unknown."""
    try:
        declared = inspect.signature(declares(make, parameter) or make, eval_str=True).parameters.get(parameter)
    except (NameError, TypeError):
        declared = None  # annotations of a foreign class that cannot be evaluated
    return inspect.Parameter.empty if declared is None else declared.annotation


def declares(make: Any, parameter: str) -> type | None:
    """The class, ``make`` or one above it to which it passes what it does not know, that has such a parameter."""
    for kind in inspect.getmro(make) if isinstance(make, type) else ():
        if "__init__" not in vars(kind):
            continue
        declared = inspect.signature(vars(kind)["__init__"]).parameters
        if parameter in declared:
            return kind
        if all(p.kind is not p.VAR_KEYWORD for p in declared.values()):
            return None
    return None


def takes_policy(make: Any, parameter: str) -> bool:
    """Whether the parameter is declared to be a retry policy, or may be one."""
    annotation = _annotation(make, parameter)
    return annotation is Policy or Policy in get_args(annotation)


def unfit_base(make: Any, parameter: str, stores: Any) -> str | None:
    """What the parameter takes, if it takes stores in another form than this; else (or if that is unknown) None."""
    annotation = _annotation(make, parameter)
    if _holds(annotation, stores):
        return None
    return " or ".join(dict.fromkeys(_forms(annotation)))


def _holds(annotation: Any, stores: Any) -> bool:
    """Whether stores, in lists or mappings or alone, are what is declared."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin in {Union, UnionType}:
        return any(_holds(part, stores) for part in inside)
    if annotation is type(None):
        return stores is None
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return isinstance(stores, dict) and all(_holds(inside[-1], store) for store in stores.values())
    if isinstance(origin, type) and issubclass(origin, Iterable):
        return isinstance(stores, list) and all(_holds(inside[0], store) for store in stores)
    plain = isinstance(annotation, type) and annotation not in {object, list, dict, inspect.Parameter.empty}
    return not (plain and isinstance(stores, list | dict))


def _forms(annotation: Any) -> Iterator[str]:
    origin = get_origin(annotation)
    if origin in {Union, UnionType}:
        for part in get_args(annotation):
            yield from _forms(part)
    elif origin is None:
        if annotation is not type(None):
            yield "one store"
    else:
        yield "a mapping of stores" if issubclass(origin, Mapping) else "a list of stores"


def _choices(kinds: frozenset[Any]) -> list[str]:
    return sorted(repr(kind) for kind in kinds if not isinstance(kind, type))


def _kinds(annotation: Any) -> frozenset[Any] | None:
    """The plain types and literal values that an annotation allows; None if it allows anything else."""
    if annotation is None or annotation in {*_PLAIN, type(None)}:
        return frozenset([type(None) if annotation is None else annotation])
    if get_origin(annotation) is Literal:
        return frozenset(get_args(annotation))
    if get_origin(annotation) is os.PathLike:
        return frozenset([str])
    if get_origin(annotation) in {Union, UnionType}:
        kinds = [_kinds(part) for part in get_args(annotation)]
        known = [part for part in kinds if part is not None]
        return frozenset().union(*known) if len(known) == len(kinds) else None
    return None


def _converted(text: str, kinds: frozenset[Any]) -> Any:
    if bool in kinds and text.lower() in {"true", "false"}:
        return text.lower() == "true"
    for kind in (int, float):
        if kind in kinds or (kind is int and float in kinds):
            try:
                return kind(text)
            except ValueError:
                continue
    return text


def leaves(value: Any) -> Iterator[Any]:
    """What lists and mappings hold in the end."""
    if isinstance(value, list):
        for item in value:
            yield from leaves(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    else:
        yield value


def texts(value: Any) -> Iterator[Any]:
    """What lists and mappings hold in the end, and the mappings' names as well."""
    if isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, dict):
        yield from value
        for item in value.values():
            yield from texts(item)
    else:
        yield value


def parameters(make: Any) -> tuple[str, ...] | None:
    """The names of the parameters that a class takes; None where it takes any."""
    declared = inspect.signature(make).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in declared):
        return None
    return tuple(p.name for p in declared if p.kind in {p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY})


def as_written(text: str) -> str:
    """Text of the file as it stands there, except for what variables default to."""
    return re.sub(r":-[^}]*\}", f":-{redact.HIDDEN}}}", text)


def scrubbed(error: Exception, values: list[Any]) -> str:
    """What the error says, without the values; only its kind, where something of them may be left."""
    said = str(error)
    plain = [str(value) for value in values if not isinstance(value, ObjectStore | Policy | bool | None)]
    plain += [part for value in plain for login in _LOGIN.findall(value) for part in login.split(":")]
    texts = sorted({text for value in plain for text in (value, repr(value)[1:-1])}, key=len)
    for text in filter(None, reversed(texts)):
        pattern = re.escape(text) if len(text) >= _SHORT else rf"(?<!\w){re.escape(text)}(?!\w)"
        said = re.sub(pattern, redact.HIDDEN, said, flags=re.IGNORECASE)
    said = redact.text(said)
    heard = said.lower()
    for text in texts:
        if any(text[at : at + _FRAGMENT].lower() in heard for at in range(len(text) - _FRAGMENT + 1)):
            return f"{type(error).__name__} about one of its parameters"
    return said or type(error).__name__
