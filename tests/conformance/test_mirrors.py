"""The matrix, mirrored, over memory and over files."""

from __future__ import annotations

import pytest

from holdfast.store import SimpleWrapper
from holdfast.stores.file import FileStore
from holdfast.stores.memory import MemoryStore
from holdfast.wrap.mirror import MirroringStore
from tests.conformance.wrapped import WrapperConformance, really_in


@pytest.mark.parametrize("policy", ["all", "quorum", "primary"])
class TestMirroring(WrapperConformance):
    pickles = True

    @pytest.fixture
    def store(self, inner, policy, tmp_path):
        self.inner = inner
        self.others = [MemoryStore(), MemoryStore()]
        if isinstance(inner, FileStore):
            (tmp_path / "second").mkdir()
            self.others[0] = FileStore(tmp_path / "second")
            if policy == "quorum":
                self.others.pop()  # or two of three would take what files refuse
        with MirroringStore([inner, *self.others], policy) as store:
            yield store
        for other in self.others:
            assert really_in(other) == really_in(inner)


class TestMirroringWithoutMetadata(WrapperConformance):
    @pytest.fixture
    def store(self):
        self.inner = MemoryStore()
        return MirroringStore([SimpleWrapper(self.inner), SimpleWrapper(MemoryStore())])
