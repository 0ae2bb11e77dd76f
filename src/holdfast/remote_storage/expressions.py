"""The regular expressions by which a push, pull or delete chooses paths."""

from __future__ import annotations

import re
import warnings

from ..sync import Filter, Regex

Expression = str | re.Pattern[str]


def filter_of(include: Expression | None, exclude: Expression | None, path_regex: Expression | None) -> Filter:
    """The filter of two regular expressions; ``path_regex`` is what ``include`` was called once.

    To be called by what users call, whose caller the warning about ``path_regex`` is for.
    """
    if path_regex is not None:
        if include is not None:
            raise ValueError("path_regex is the old name of include_regex: give include_regex alone")
        warnings.warn("path_regex is deprecated: use include_regex", DeprecationWarning, stacklevel=3)
        include = path_regex
    return Filter(_regex(include), _regex(exclude))


def _regex(expression: Expression | None) -> Regex | re.Pattern[str] | None:
    return Regex(expression) if isinstance(expression, str) else expression
