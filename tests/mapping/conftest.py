"""The places at which mappings are tried."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mapping import places


@pytest.fixture(params=places.KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> places.Place:
    """A fresh place, of every kind in turn."""
    return places.make(request.param, request, tmp_path)


@pytest.fixture
def memory(request: pytest.FixtureRequest, tmp_path: Path) -> places.Place:
    """A fresh place in memory, for what does not depend on the store."""
    return places.make("memory", request, tmp_path)
