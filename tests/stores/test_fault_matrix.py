"""Every fault on every operation of S3Store: the right result or a named error, in time, and never wrong bytes."""

from __future__ import annotations

import pytest

from tests.stores import fault_matrix
from tests.stores.fault_matrix import DOCUMENT, KINDS, OPERATIONS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CELLS = [(kind, operation) for kind in KINDS for operation in OPERATIONS if KINDS[kind].only in {None, operation}]
#: Nothing in these answers tells: a range has no digest.
UNDETECTED = {("corrupt byte", "range"), ("corrupt byte, for ever", "range")}


@pytest.fixture(scope="module")
def outcomes():
    return fault_matrix.run()


@pytest.mark.parametrize(("kind", "operation"), CELLS)
def test_every_cell_ends_well(outcomes, kind, operation):
    said = outcomes[kind, operation]
    assert not said.startswith("WRONG")
    assert (said == "undetected") == ((kind, operation) in UNDETECTED)


def test_the_matrix_is_as_large_as_it_says():
    assert len(KINDS) >= 20
    assert len(OPERATIONS) >= 12


def test_the_document_tells_what_happens(outcomes):
    committed = DOCUMENT.read_text().splitlines()
    assert fault_matrix.document(outcomes).splitlines() == committed, "run `make faults` and look at what has changed"
