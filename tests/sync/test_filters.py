"""Filters: what globs and regular expressions mean, and that no pattern makes anybody wait for ever."""

from __future__ import annotations

import os
import re
import resource
import time

import pytest

from holdfast import errors as e
from holdfast.sync import Filter, Glob, Regex

DEEP = ["a", "a/b", "a/b/c", "a/b/c/d.csv", "ab", "data/x", "database/x", "x/data", "x/data/y"]


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("a", ["a", "a/b", "a/b/c", "a/b/c/d.csv"]),
        ("a/", ["a/b", "a/b/c", "a/b/c/d.csv"]),
        ("a*", ["a", "a/b", "a/b/c", "a/b/c/d.csv", "ab"]),
        ("data", ["data/x", "x/data", "x/data/y"]),
        ("data/", ["data/x", "x/data/y"]),
        ("/data", ["data/x"]),
        ("data/*", ["data/x"]),
        ("*/data", ["x/data", "x/data/y"]),
        ("**/c", ["a/b/c", "a/b/c/d.csv"]),
        ("a/**/d.csv", ["a/b/c/d.csv"]),
        ("a/**", ["a/b", "a/b/c", "a/b/c/d.csv"]),
        ("?/b", ["a/b", "a/b/c", "a/b/c/d.csv"]),
        ("[ax]/[!b]*", ["x/data", "x/data/y"]),
        ("*.csv", ["a/b/c/d.csv"]),
        ("**/b/**/*.csv", ["a/b/c/d.csv"]),
        ("a/c", []),
    ],
)
def test_a_glob_matches_a_key_or_a_directory_above_it(pattern, matched):
    assert [key for key in DEEP if Glob(pattern).matches(key)] == matched


def test_excluding_wins_over_including():
    with Filter(include=["a", "*.csv"], exclude=re.compile("a/b/c$")) as chosen:
        assert [key for key in DEEP if chosen(key)] == ["a", "a/b", "a/b/c/d.csv"]
        assert chosen.describe() == (["a", "*.csv"], ["re:a/b/c$"])


@pytest.mark.parametrize("given", ["", "/", 3, b"a", re.compile(b"a"), "re:("])
def test_what_is_no_pattern_is_refused(given):
    with pytest.raises((e.ConfigError, TypeError)):
        Filter(include=[given])


def test_a_regular_expression_matches_at_the_start_as_re_match_does():
    with Regex("data/", re.IGNORECASE) as regex:
        assert regex.matches(["data/x", "DATA/y", "x/data/", "dat\ud800", "data/\udcff"]) == [
            True,
            True,
            False,
            False,
            True,
        ]
    with Regex(r"(?=a)(a|b)/\1") as regex:  # beyond RE2
        assert regex.matches(["a/a", "a/b"]) == [True, False]


@pytest.mark.filterwarnings("ignore:Possible nested set:FutureWarning")
@pytest.mark.parametrize(
    "pattern", [r"\w+$", r"a{,2}$", r"[[:alpha:]]x", r"(?=a)a", r"data/.*[.]csv$", r"(?i)A", r"\S+\Z"]
)
def test_with_and_without_re2_a_pattern_means_what_python_means(pattern):
    keys = ["é", "aa", "a{,2}", "bx", ":]x", "a\n", "data/q.csv", "aa\udcff", "\x0b", "A"]
    with Regex(pattern) as regex:
        assert regex.matches(keys) == [re.match(pattern, key) is not None for key in keys]


def test_a_child_that_was_killed_is_told_and_replaced():
    with Regex(r"(?=a)a") as regex:
        assert regex.matches(["a"]) == [True]
        regex._child.kill()
        regex._child.wait()
        with pytest.raises(e.ConfigError, match="ended by itself"):
            regex.matches(["a"])
        assert regex.matches(["a"]) == [True]


def test_a_pattern_that_would_never_end_is_given_up():
    with Regex(r"(a+)+$(?=)", deadline=1.0) as regex:
        began = time.monotonic()
        with pytest.raises(e.Timeout, match="takes more than 1 s"):
            regex.matches(["a" * 64 + "b"])
        assert time.monotonic() - began < 30  # or it would have hung
        assert regex.matches(["aaa", "b"]) == [True, False]


def test_a_glob_with_many_stars_ends():
    began = time.monotonic()
    assert not Glob("*a*a*a*a*a*a*a*a*a*b").matches("a" * 5000)
    assert not Glob("/".join(["**/a"] * 15 + ["b"])).matches("/".join(["a"] * 400))
    assert time.monotonic() - began < 30  # or it would have hung


@pytest.mark.parametrize("pattern", ["./cache/", "cache/../x", "..", "/./a"])
def test_a_glob_that_would_silently_match_nothing_is_refused(pattern):
    with pytest.raises(e.ConfigError, match="would match nothing"):
        Glob(pattern)
    with pytest.raises(e.ConfigError, match="would match nothing"):
        Filter(exclude=[pattern])
    assert Glob("a/.hidden/..b").matches("a/.hidden/..b")


def test_a_regular_expression_is_matched_in_a_process_with_very_many_open_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 2048)), hard))
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        with Regex("(?=a)a") as regex:
            assert regex.matches(["a", "b"]) == [True, False]
    finally:
        for descriptor in opened:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
