"""The names of ``accsr.conversions``: numbers as JSON takes them. numpy is not needed, and not imported."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def to_json_compatible_value(value: Any) -> Any:
    """The value as JSON takes it: numbers as they are, arrays as lists, everything else as text.

    Arrays and scalars of numpy (whatever has a ``tolist``) become Python's. Infinity and NaN, which JSON does not
    know, become text, in arrays as well.

    >>> to_json_compatible_value(3.5), to_json_compatible_value(float("inf")), to_json_compatible_value(None)
    (3.5, 'inf', 'None')
    """
    plain = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(plain, list) and plain is not value:
        return [_element(one) for one in plain]
    return _scalar(plain)


def to_json_compatible_dict(values: Mapping[str | int, Any]) -> dict[str | int, Any]:
    """A dictionary with each value converted; values that are dictionaries become text.

    >>> to_json_compatible_dict({"a": 1, "b": float("nan")})
    {'a': 1, 'b': 'nan'}
    """
    return {name: to_json_compatible_value(value) for name, value in values.items()}


def _element(value: Any) -> Any:
    return [_element(one) for one in value] if isinstance(value, list) else _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return str(value)
