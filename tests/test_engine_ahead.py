"""Rows that are fetched ahead: in order, errors where they belong, and no more than two portions."""

from __future__ import annotations

import threading

import pytest

from holdfast import engine

LONG = 30


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 35])
def test_rows_come_in_order_whatever_the_portions(count):
    assert list(engine.ahead(iter(range(count)), 10)) == list(range(count))


def test_the_next_rows_are_fetched_while_the_caller_is_busy():
    fetched = threading.Event()

    def rows():
        yield from "ab"
        fetched.set()
        yield from "cd"

    stream = engine.ahead(rows(), 2)
    assert not fetched.is_set()
    assert next(stream) == "a"
    assert fetched.wait(LONG), "though only one row was asked for"
    assert list(stream) == ["b", "c", "d"]


def test_no_more_than_two_portions_are_held():
    taken = []

    def rows():
        for number in range(100):
            taken.append(number)
            yield number

    stream = engine.ahead(rows(), 5)
    next(stream)
    for _ in range(4):
        next(stream)
    assert len(taken) <= 10
    assert list(stream) == list(range(5, 100))


def test_an_error_comes_after_the_rows_before_it():
    def rows():
        yield from "abc"
        raise OSError("the third page")

    stream = engine.ahead(rows(), 2)
    assert [next(stream) for _ in range(3)] == ["a", "b", "c"]
    with pytest.raises(OSError, match="the third page"):
        next(stream)


def test_inside_a_worker_nothing_is_fetched_ahead():
    def rows():
        for number in range(3):
            threads.append(threading.current_thread())
            yield number

    threads: list[threading.Thread] = []
    (outcome,) = engine.default().run(lambda _: [threading.current_thread(), *engine.ahead(rows())], [None])
    assert outcome.value[1:] == [0, 1, 2]
    assert set(threads) == {outcome.value[0]}


def test_one_thread_fetches_all_rows_and_lets_go_of_them_when_the_caller_stops():
    freed = threading.Event()

    def rows():
        try:
            for number in range(10):
                threads.append(threading.current_thread())
                yield number
        finally:
            freed.set()

    threads: list[threading.Thread] = []
    stream = engine.ahead(rows(), 2)
    assert [next(stream) for _ in range(7)] == list(range(7))
    assert len(set(threads)) == 1
    assert threading.current_thread() not in threads
    stream.close()
    assert freed.wait(LONG), "or its worker would wait for ever to be asked for more"


def test_who_stops_does_not_have_the_rest_of_a_portion_fetched():
    waits, closed, freed, taken = threading.Event(), threading.Event(), threading.Event(), []

    def rows():
        try:
            for number in range(200):
                taken.append(number)
                if number == 150:
                    waits.set()
                    closed.wait(LONG)
                yield number
        finally:
            freed.set()

    stream = engine.ahead(rows(), 100)
    next(stream)
    assert waits.wait(LONG)
    stream.close()
    closed.set()
    assert freed.wait(LONG)
    assert len(taken) <= 152
