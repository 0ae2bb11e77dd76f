"""Retries: what is tried again, how long between, and when it stops."""

from __future__ import annotations

import pickle
import time

import pytest

from holdfast.errors import ConfigError, Conflict, StoreError, Throttled, Timeout
from holdfast.retry import Budget, Policy
from holdfast.stores.az import AzureStore
from holdfast.stores.gs import GoogleStore
from holdfast.stores.http import HttpStore
from holdfast.stores.s3 import S3Store


class Flaky:
    """An operation that fails with the given errors first, and counts its calls."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.calls = 0

    def __call__(self):
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "value"


class Waits(list):
    """A sleep that only remembers how long."""

    def __call__(self, seconds):
        self.append(seconds)


def passing():
    return StoreError("later", retryable=True)


def test_an_operation_that_succeeds_is_called_once():
    operation = Flaky()
    assert Policy(sleep=Waits()).call(operation) == "value"
    assert operation.calls == 1


def test_a_passing_failure_is_tried_again_until_it_passes():
    waits = Waits()
    operation = Flaky(passing(), Timeout("stalled"), Throttled("slow down"))
    assert Policy(sleep=waits).call(operation) == "value"
    assert operation.calls == 4
    assert len(waits) == 3


def test_a_lasting_failure_is_raised_at_once():
    operation = Flaky(Conflict("changed"))
    with pytest.raises(Conflict):
        Policy(sleep=Waits()).call(operation)
    assert operation.calls == 1


def test_errors_of_others_pass_through():
    operation = Flaky(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        Policy(sleep=Waits()).call(operation)
    assert operation.calls == 1


def test_seven_tries_and_then_the_error_is_no_longer_retryable():
    operation = Flaky(*(passing() for _ in range(20)))
    with pytest.raises(StoreError, match=r"gave up after 7 tries") as caught:
        Policy(sleep=Waits()).call(operation)
    assert operation.calls == 7
    assert not caught.value.retryable


def test_a_failure_that_becomes_a_lasting_one_ends_the_tries():
    operation = Flaky(passing(), Conflict("changed"), passing())
    with pytest.raises(Conflict) as caught:
        Policy(sleep=Waits()).call(operation)
    assert operation.calls == 2
    assert "gave up" not in str(caught.value)


def test_nested_policies_do_not_multiply_the_tries():
    operation = Flaky(*(passing() for _ in range(100)))
    inner, outer = Policy(sleep=Waits()), Policy(sleep=Waits())
    with pytest.raises(StoreError):
        outer.call(lambda: inner.call(operation))
    assert operation.calls == 7


def test_waits_are_random_and_grow_from_half_a_second_to_a_minute():
    policy = Policy(tries=12)
    for retry in range(1, 12):
        waits = {policy.wait(retry, passing()) for _ in range(200)}
        assert len(waits) > 100
        assert min(waits) >= 0.5
        assert max(waits) <= min(60.0, 0.5 * 2**retry)
    assert max(policy.wait(11, passing()) for _ in range(200)) > 30


def test_retry_after_is_honoured_up_to_the_longest_wait():
    wish = Throttled("slow down")
    wish.retry_after = 42.0
    waits = Waits()
    Policy(sleep=waits).call(Flaky(wish))
    assert waits == [42.0]
    wish.retry_after = 3600.0
    assert Policy().wait(1, wish) == 60.0


def test_a_shared_budget_bounds_the_retries_of_many_operations():
    policy = Policy(budget=Budget(capacity=30, refill=0.0), sleep=Waits())
    operations = [Flaky(*(passing() for _ in range(20))) for _ in range(200)]
    for operation in operations:
        with pytest.raises(StoreError) as caught:
            policy.call(operation)
        assert not caught.value.retryable
    assert sum(operation.calls for operation in operations) == 200 + 30
    assert "too many other retries" in str(caught.value)


def test_retries_that_succeed_use_nothing_up():
    policy = Policy(budget=Budget(capacity=1, refill=0.0), sleep=Waits())
    for _ in range(50):
        assert policy.call(Flaky(passing())) == "value"


def test_lost_tokens_come_back_with_time():
    now = [100.0]
    budget = Budget(capacity=3, refill=0.5, clock=lambda: now[0])
    assert [budget.take() for _ in range(4)] == [True, True, True, False]
    now[0] += 4.0
    assert [budget.take() for _ in range(3)] == [True, True, False]
    now[0] += 1000.0
    assert [budget.take() for _ in range(4)] == [True, True, True, False]


def test_the_environment_takes_the_sleeping_out(monkeypatch):
    monkeypatch.setenv("HOLDFAST_RETRY_WAIT", "0")
    started = time.monotonic()
    with pytest.raises(StoreError):
        Policy(first=30.0).call(Flaky(*(passing() for _ in range(20))))
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("text", ["soon", "-1", "inf", "nan"])
def test_a_factor_that_is_none_is_refused(monkeypatch, text):
    monkeypatch.setenv("HOLDFAST_RETRY_WAIT", text)
    with pytest.raises(ConfigError, match="HOLDFAST_RETRY_WAIT"):
        Policy().call(Flaky(passing()))


@pytest.mark.parametrize("wrong", [{"tries": 0}, {"first": -1.0}, {"first": 5.0, "longest": 1.0}])
def test_policies_that_cannot_be_are_refused(wrong):
    with pytest.raises(ConfigError):
        Policy(**wrong)


@pytest.mark.parametrize(
    "store",
    [
        S3Store("bucket", endpoint="http://127.0.0.1:1", anonymous=True, retry=Policy(tries=3, longest=1.0)),
        GoogleStore("bucket", anonymous=True, retry=Policy(tries=3, longest=1.0)),
        AzureStore("container", account="account", anonymous=True, retry=Policy(tries=3, longest=1.0)),
        HttpStore("http://127.0.0.1:1", retry=Policy(tries=3, longest=1.0)),
    ],
    ids=lambda store: type(store).__name__,
)
def test_the_policy_of_a_store_is_in_its_pickle(store):
    first, second = (pickle.loads(pickle.dumps(store)).retry for _ in range(2))
    assert first == store.retry != Policy()
    assert first is second
    assert pickle.loads(pickle.dumps(Policy(budget=Budget(5, 0.5)))).budget.capacity == 5
