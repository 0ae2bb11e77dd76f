"""The conformance suite: what every store promises, checked over one store after another."""

from __future__ import annotations

from .conditions import ConditionsConformance
from .listing import ListingConformance
from .naming import NamingConformance
from .reading import ReadingConformance
from .writing import WritingConformance


class StoreConformance(
    ReadingConformance, WritingConformance, ConditionsConformance, ListingConformance, NamingConformance
):
    """All promises of a store; subclass it, override the fixture ``store``, and let pytest collect it.

    Each capability is checked on its two sides: declared, it works; not declared, it raises Unsupported and leaves
    nothing behind. See ``Suite`` for the hooks.
    """
