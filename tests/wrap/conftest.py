"""Suffixes over memory and over files."""

from __future__ import annotations

import sys

import pytest

from holdfast.stores.file import FileStore
from holdfast.stores.memory import MemoryStore
from holdfast.wrap.suffix import SuffixStore


@pytest.fixture(params=["memory", "file"])
def inner(request, tmp_path):
    return MemoryStore() if request.param == "memory" else FileStore(tmp_path)


@pytest.fixture
def store(inner):
    return SuffixStore(inner)


@pytest.fixture
def restless():
    """Threads that take turns as often as they can, so that races happen."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)
