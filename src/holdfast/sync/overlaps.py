"""Places that lie one inside the other, which no sync can end well: it would feed on what it writes."""

from __future__ import annotations

import itertools
from datetime import datetime

from ..errors import ConfigError, HoldfastError
from ..types import ObjectInfo
from .places import Place

#: So many objects of the source are looked for through the target, where two addresses may be one service.
LOOKED_FOR = 3
#: Whose addresses are exact: two that differ are two places.
_EXACT = frozenset(("store", "file", "mem"))


def refuse_overlap(here: Place, there: Place) -> None:
    """Raise ConfigError where one place is inside the other, also by another name of the same service."""
    (one, mine), (other, theirs) = here.root(), there.root()
    if not (mine.startswith(theirs) or theirs.startswith(mine)):
        return
    if one == other or (one[0] == other[0] and one[0] not in _EXACT and mine != theirs and _shows(here, there)):
        raise ConfigError(f"{here.name} and {there.name} lie one inside the other: sync places that are apart")


def _shows(here: Place, there: Place) -> bool:
    """Whether what the service behind ``there`` has under the names of a few of our objects are these very objects."""
    bucket, _ = there.base()
    _, ours = here.base()
    rows = list(itertools.islice(here.rows(), LOOKED_FOR))
    service = Place(bucket, there.name)
    try:
        return bool(rows) and all(_are_one(row, service.head(ours + row.key)) for row in rows)
    except HoldfastError:
        return False  # what may not be asked, nobody can tell


def _are_one(row: ObjectInfo, found: ObjectInfo | None) -> bool:
    """Whether they have one ETag and were written in the same second: a copy elsewhere was written later."""
    return (
        found is not None
        and row.etag is not None
        and row.etag == found.etag
        and _second(row.last_modified) == _second(found.last_modified)
    )


def _second(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(microsecond=0)
