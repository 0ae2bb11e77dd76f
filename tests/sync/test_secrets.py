"""What a sync writes down tells no secret, and nobody else may read it."""

from __future__ import annotations

import json
import os
import pickle
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from holdfast.stores.memory import MemoryStore
from holdfast.sync import Journal, apply, plan

from .test_plan import store_of


class Telling(MemoryStore):
    """A store whose errors tell of the request, as those of engines do."""

    def _write(self, *arguments):
        raise ValueError("PUT https://host/a?X-Amz-Signature=SECRETSIG failed")


@pytest.mark.parametrize("elsewhere", [False, True])
def test_errors_of_others_are_written_down_without_their_secrets(tmp_path, elsewhere):
    planned = plan(store_of(a=b"1"), Telling())
    with ThreadPoolExecutor(1) as executor:
        summary = apply(planned, journal=tmp_path / "journal", executor=executor if elsewhere else None)
    assert "X-Amz-Signature=***" in summary.failed[0].detail
    assert "SECRETSIG" not in json.dumps(summary.to_dict()) + summary.failed[0].to_json() + str(summary) + repr(summary)
    assert b"SECRETSIG" not in pickle.dumps(summary)
    assert "ValueError: PUT https://host/a?X-Amz-Signature=***" in str(summary.failed[0].error)
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"X-Amz-Signature=***" in written
    assert b"SECRETSIG" not in written


class Losing:
    """An executor that takes nothing, and says what it was asked for."""

    def submit(self, *arguments):
        raise OSError("POST https://host/pool?X-Amz-Signature=SECRETSIG failed")


def test_executors_that_fail_tell_no_secret():
    summary = apply(plan(store_of(a=b"1"), MemoryStore()), executor=Losing())
    assert "X-Amz-Signature=***" in repr(summary)
    assert "SECRETSIG" not in repr(summary)


def test_a_journal_is_for_the_eyes_of_its_user_alone(tmp_path):
    umask = os.umask(0o022)
    try:
        with Journal(tmp_path / "journal") as journal:
            journal.begin(plan(store_of(a=b"1"), MemoryStore()))
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    finally:
        os.umask(umask)
    assert modes
    assert set(modes.values()) == {0o600}
