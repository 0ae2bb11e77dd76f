"""Credentials are renewed before they end, by one thread at a time, and outlive a source that fails."""

from __future__ import annotations

import os
import pickle
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from holdfast.credentials import Absent, Provider, S3Credentials, providers, shared
from holdfast.errors import AuthError, StoreError


class Source:
    """Hands out numbered credentials of the given life (seconds), or raises what it is told to."""

    def __init__(self, life=None):
        self.life = life
        self.calls = 0
        self.error = None
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self):
        self.calls += 1
        assert self.gate.wait(10)
        if self.error is not None:
            raise self.error
        ends = None if self.life is None else datetime.now(UTC) + timedelta(seconds=self.life)
        return S3Credentials(f"AK{self.calls}", "secret", "token", ends)


def test_what_never_ends_is_fetched_once():
    source = Source()
    provider = Provider("x", source)
    assert {provider.current().access_key_id for _ in range(5)} == {"AK1"}
    assert provider.renew_at() is None


def test_renewal_comes_five_minutes_before_the_end_or_after_three_quarters_of_a_short_life():
    for life, held in ((3600, 3300), (100, 75)):
        provider = Provider("x", Source(life))
        provider.current()
        left = (provider.renew_at() - datetime.now(UTC)).total_seconds()
        assert held - 5 < left <= held


def test_ended_credentials_are_never_handed_out():
    source = Source(life=0.05)
    provider = Provider("x", source)
    deadline = time.monotonic() + 5
    while source.calls < 4 and time.monotonic() < deadline:
        found = provider.current()
        assert found.expires_at > datetime.now(UTC) - timedelta(seconds=0.04)
        time.sleep(0.01)
    assert source.calls >= 4


def test_while_one_thread_renews_early_the_others_go_on_with_what_holds():
    source = Source(life=30)
    provider = Provider("x", source)
    provider.current()
    provider._renew_at = datetime.now(UTC)
    source.gate.clear()
    renewing = threading.Thread(target=provider.current)
    renewing.start()
    while source.calls < 2:
        time.sleep(0.001)
    assert {provider.current().access_key_id for _ in range(10)} == {"AK1"}
    source.gate.set()
    renewing.join()
    assert (provider.current().access_key_id, source.calls) == ("AK2", 2)


def test_threads_that_need_new_ones_wait_for_one_renewal():
    source = Source(life=3600)
    provider = Provider("x", source)
    source.gate.clear()
    found = []
    threads = [threading.Thread(target=lambda: found.append(provider.current())) for _ in range(8)]
    for thread in threads:
        thread.start()
    source.gate.set()
    for thread in threads:
        thread.join()
    assert ([one.access_key_id for one in found], source.calls) == (["AK1"] * 8, 1)


def test_a_failed_early_renewal_keeps_the_old_ones_and_pauses():
    source = Source(life=30)
    provider = Provider("x", source)
    provider.current()
    provider._renew_at = datetime.now(UTC)
    source.error = StoreError("down")
    assert {provider.current().access_key_id for _ in range(10)} == {"AK1"}
    assert source.calls == 2


def test_once_they_have_ended_the_failure_shows():
    source = Source(life=0.02)
    provider = Provider("x", source)
    provider.current()
    time.sleep(0.03)
    source.error = AuthError("refused")
    with pytest.raises(AuthError, match="refused"):
        provider.current()
    source.error = Absent("gone")
    with pytest.raises(AuthError, match=r"have ended.*gone"):
        provider.current()


def test_a_source_that_is_not_there_is_not_asked_again_at_once():
    source = Source()
    source.error = Absent("nobody")
    provider = Provider("x", source)
    for _ in range(3):
        with pytest.raises(Absent, match="nobody"):
            provider.current()
    assert source.calls == 1
    provider._not_before = 0
    source.error = None
    assert provider.current().access_key_id == "AK2"


def test_one_source_has_one_provider_in_the_process():
    assert shared("a", Source()) is shared("a", Source())
    assert shared("a", Source()) is not shared("b", Source())


def test_credentials_and_providers_do_not_pickle_nor_show():
    provider = Provider.fixed(S3Credentials("AKIA", "SECRET"))
    for thing in (provider, provider.current()):
        with pytest.raises(TypeError, match="not pickle"):
            pickle.dumps(thing)
        assert "SECRET" not in repr(thing)
        assert "AKIA" not in repr(thing)


def test_identities_stay_when_credentials_are_renewed():
    source = Source(life=0.02)
    provider = Provider(("role", "r"), source)
    before = (provider.current().access_key_id, provider.fingerprint(), provider.principal())
    time.sleep(0.03)
    after = (provider.current().access_key_id, provider.fingerprint(), provider.principal())
    assert before[0] != after[0]
    assert before[1:] == after[1:]
    pair = S3Credentials("AK", "SECRET")
    assert Provider.fixed(pair).principal() == pair.principal()
    assert Provider.fixed(pair).fingerprint() != Provider.fixed(S3Credentials("AK", "other")).fingerprint()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_that_was_forked_during_a_renewal_renews_by_itself():
    source = Source()
    source.gate.clear()
    provider = shared("fork", source)
    thread = threading.Thread(target=provider.current)
    thread.start()
    while not provider._renewing.locked():
        time.sleep(0.001)
    child = os.fork()
    if child == 0:
        source.gate.set()
        os._exit(0 if provider.current().access_key_id else 1)
    deadline = time.monotonic() + 10
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.01)
    if ended == (0, 0):
        os.kill(child, 9)
        os.waitpid(child, 0)
    source.gate.set()
    thread.join()
    assert ended == (child, 0)
    assert providers._shared["fork"] is provider
