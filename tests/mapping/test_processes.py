"""A stale mapping of this process, and another process that changes what it knows."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from holdfast import KeySyncError
from tests.mapping import places
from tests.mapping.test_conflicts import CREATIONS, OPERATIONS, stored

PROGRAM = """
import json, sys
from holdfast import CloudMapping

location, options, change = json.loads(sys.argv[1])
theirs = CloudMapping(location, **options)
if change == "deleted":
    del theirs["a"]
else:
    theirs["a"] = b"theirs"
"""


def elsewhere(place: places.Place, change: str) -> None:
    """Let another process change, delete or create the key "a"."""
    argument = json.dumps([place.location, place.options, change])
    done = subprocess.run([sys.executable, "-c", PROGRAM, argument], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("change", ["changed", "deleted", "created"])
@pytest.mark.parametrize("kind", [kind for kind in places.KINDS if kind.values != ("memory",)])
def test_what_another_process_did_is_a_conflict_for_every_operation(kind, change, request, tmp_path):
    place = places.make(kind, request, tmp_path)
    mine = place.mapping()
    if change != "created":
        mine["a"] = b"old"
    elsewhere(place, change)
    left = {} if change == "deleted" else {"a": b"theirs"}
    for operation in (CREATIONS if change == "created" else OPERATIONS).values():
        with pytest.raises(KeySyncError):
            operation(mine)
    assert stored(place) == left
    mine.sync_with_cloud()
    assert dict(mine) == left
