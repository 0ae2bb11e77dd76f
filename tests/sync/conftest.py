"""What the tests of syncs share."""

from __future__ import annotations

import pytest

from holdfast.sync import index


@pytest.fixture
def aged(monkeypatch):
    """Files that were just written pass for old ones, of which an index may remember something."""
    monkeypatch.setattr(index, "FRESH", -3600.0)
