"""Pieces of a large object beside a journal: damage is found, and two transfers never share a file."""

from __future__ import annotations

import pytest

from holdfast import errors as e
from holdfast import open_store
from holdfast.sync import Journal, apply, plan
from holdfast.sync.spooling import Spool

from .test_apply import contents
from .test_resume import DENIED, MIB, SIZE, Before, body, open_moto, small_parts  # noqa: F401 - a fixture

pytestmark = pytest.mark.server


def test_a_piece_that_was_lost_after_it_was_noted_is_not_delivered(moto, tmp_path, small_parts):  # noqa: F811
    bucket = moto.make_bucket()
    open_moto(moto, bucket).put("large", body(SIZE))
    broken = [True]

    def refuse(request):
        asked = {name.lower(): value for name, value in request.headers.items()}.get("range", "")
        return DENIED if broken[0] and asked.startswith(f"bytes={10 * MIB}-") else None

    with Before(moto, refuse) as before:
        source = open_moto(moto, bucket, before.endpoint)
        assert apply(plan(source, tmp_path / "target"), journal=tmp_path / "journal").exit_code == 1
        broken[0] = False
        (spool,) = (tmp_path / "journal.parts").iterdir()
        with Journal(tmp_path / "journal") as journal:
            noted = min(journal.pending(spool.name).pieces)
        with open(spool, "r+b") as file:  # as a power cut leaves it
            file.seek((noted - 1) * 5 * MIB)
            file.write(bytes(5 * MIB))
        summary = apply(plan(source, tmp_path / "target"), journal=tmp_path / "journal")
        assert [type(result.error) for result in summary.failed] == [e.IntegrityError]
        assert contents(open_store(tmp_path / "target")) == {}
        assert apply(plan(source, tmp_path / "target"), journal=tmp_path / "journal").exit_code == 0
    assert contents(open_store(tmp_path / "target")) == {"large": body(SIZE)}


def test_two_transfers_of_one_object_do_not_share_a_spool(moto, tmp_path, small_parts):  # noqa: F811
    bucket = moto.make_bucket()
    source = open_moto(moto, bucket)
    source.put("large", body(SIZE))
    others, spools, turns = [], [], [True]

    class Watched(Journal):
        def note_piece(self, transfer, number, crc):
            super().note_piece(transfer, number, crc)
            if turns and turns.pop():  # a second sync, in the middle of the first
                others.append(apply(plan(source, tmp_path / "target"), journal=tmp_path / "journal"))
                spools.append(Spool.opened(self.spool(transfer)))

    with Watched(tmp_path / "journal") as journal:
        first = apply(plan(source, tmp_path / "target"), journal=journal)
    assert spools == [None]
    assert (others[0].exit_code, others[0].added) == (0, 1)
    assert (first.exit_code, first.counts["add", "already"]) == (0, 1)
    assert contents(open_store(tmp_path / "target")) == {"large": body(SIZE)}
    assert list((tmp_path / "journal.parts").iterdir()) == []
