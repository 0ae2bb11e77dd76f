"""The matrix, wrappers that no other module has, over memory and over files; and that none is missing anywhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from holdfast.wrap.guard import IdentityStore
from holdfast.wrap.observe import ExceptionLoggingStore
from holdfast.wrap.suffix import SuffixStore
from holdfast.wrap.transform import ValueStore
from holdfast.wrap.transformers import BufferTransformer
from tests.conformance.wrapped import WrapperConformance, urls
from tests.wrap.test_reflection import EVERY

#: What stands for itself in no row.
EXEMPT = {
    "KeyTransform": "a base: KeyTransformingStore is it",
    "ValueStore": "a base: JsonStore and its siblings are it, on S3 too",
    "UrlValidatingStore": "it is in ``urls``, in every row",
    "WriteonlyStore": "it reads nothing, so the suite cannot look: tests/wrap/test_guard.py does",
}


def logged(store):
    """The verbs of a facade raise."""
    return IdentityStore(ExceptionLoggingStore(store))


def valued(store):
    return IdentityStore(ValueStore(store, BufferTransformer()))


@pytest.mark.parametrize("build", [urls, logged, valued, SuffixStore])
class TestTheOthers(WrapperConformance):
    @pytest.fixture
    def store(self, inner, build):
        return build(inner)

    def truth(self, store):
        return None


@pytest.mark.parametrize("name", sorted(name.partition(".")[2] for name in EVERY))
def test_every_wrapper_has_a_row_over_memory_files_and_s3(name):
    if name in EXEMPT:
        return
    here = Path(__file__).parent
    sources = {path.name: path.read_text() for path in here.glob("test_*.py")}
    on_s3 = sources["test_wrapped_s3.py"]
    # PrefixStore has rows of its own where each backend has them.
    local = [text for text in sources.values() if "WrapperConformance" in text or name == "PrefixStore"]
    used = re.compile(rf"\b{name}\(|\({name}\):|\[[^\]]*\b{name}\b[^\]]*\]\)\nclass ")
    assert used.search(on_s3), f"{name} has no row in test_wrapped_s3.py"
    assert any(used.search(text) for text in local), f"{name} has no row over memory and files"
