"""ls beyond plain listings: whole locations, expressions, inventories that go on."""

from __future__ import annotations

import os
import sqlite3

import pytest

from holdfast import Timeout, register
from holdfast.cli.expressions import expand
from holdfast.store import LIST, Wrapper
from holdfast.stores.memory import MemoryStore

TREE = {"a/1": b"1", "a/2": b"22", "ab/3": b"", "b/4": b"4", "c0": b"", "c1": b"", "cx": b""}


def rows_of(path):
    with sqlite3.connect(path) as database:
        found = database.execute("SELECT key, type, size FROM objects ORDER BY key").fetchall()
    database.close()
    return found


@pytest.mark.parametrize(
    ("text", "location", "tails"),
    [("x/[ab][0-2]", "x/", ["a0", "a1", "a2", "b0", "b1", "b2"]), ("x/[ab]{2}z", "x/", ["aaz", "abz", "baz", "bbz"]),
     ("s3://b/x/y[a-]", "s3://b/x/", ["y-", "ya"]), ("[aa]", "./", ["a"]),
     ("s3://b/[xy]/z", "s3://b/", ["x/z", "y/z"])],
)  # fmt: skip
def test_expressions(text, location, tails):
    found = expand(text)
    assert (found.location.text, list(found.tails)) == (location, tails)


@pytest.mark.parametrize("text", ["x/[9-0]", "x/[0-9]{6}", "x/[]", "x"])
def test_expressions_that_are_none(holdfast, text):
    assert holdfast("ls", "-e", text).code == 2


def test_an_expression_lists_beginnings_of_names(holdfast, place):
    place.put(TREE)
    assert holdfast("ls", "-e", place / "c[0-9]").lines == ["c0", "c1"]
    assert holdfast("ls", "--flat", "-e", place / "[ac]").lines == ["a/", "ab/", "c0", "c1", "cx"]
    assert holdfast("ls", "-r", "-e", "-j", "3", place / "[ab]").lines == ["a/1", "a/2", "ab/3", "b/4"]
    assert holdfast("ls", "-e", place / "[xyz]").code == 4


def test_whole_locations_are_what_other_commands_take(holdfast, place):
    place.put(TREE)
    whole = holdfast("ls", "-r", "--fullpath", place / "a", place / "c1").lines
    assert whole == [place / "a/1", place / "a/2", place / "c1"]
    assert holdfast("cat", *whole).out == "122"


def test_an_inventory_holds_the_listing(holdfast, place, tmp_path):
    place.put(TREE)
    file = tmp_path / "inventory.db"
    assert holdfast("ls", "-r", "--sqlite", file, place / "a").code == 0
    assert rows_of(file) == [("1", "object", 1), ("2", "object", 2)]
    assert holdfast("ls", "-r", "--sqlite", file, place / "a/").lines[0].endswith(("Z", "+00:00"))  # complete since ...
    assert holdfast("ls", "--sqlite", file, place / "a").code == 2
    assert holdfast("ls", "--sqlite", tmp_path / "other.db", "-e", place / "[ac]").code == 0
    assert [key for key, *_ in rows_of(tmp_path / "other.db")] == ["a/", "ab/", "c0", "c1", "cx"]
    assert holdfast("ls", "-r", "--sqlite", file, place / "nothing").code == 4


def test_names_of_any_bytes_are_kept(holdfast, tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / os.fsdecode(b"d/\xff")).touch()
    assert holdfast("ls", "--sqlite", tmp_path / "i.db", tmp_path / "d").code == 0
    assert [key for key, *_ in rows_of(tmp_path / "i.db")] == [b"\xff"]


def test_a_file_of_something_else_is_refused(holdfast, tmp_path):
    (tmp_path / "text").write_text("no database" * 100)
    with sqlite3.connect(tmp_path / "theirs.db") as theirs:
        theirs.execute("CREATE TABLE t (x)")
    theirs.close()
    for name in ("text", "theirs.db"):
        result = holdfast("ls", "--sqlite", tmp_path / name, tmp_path)
        assert (result.code, name in result.err) == (2, True)


class Ending(Wrapper):
    """A store whose listings end with an error, or Ctrl-C, after so many rows."""

    objects = MemoryStore()
    after = 0
    error: BaseException = Timeout("it stalled")
    asked: list[str | None]

    def __init__(self):
        super().__init__(Ending.objects)

    def _scan(self, options=LIST):
        Ending.asked.append(options.start_after)
        for number, row in enumerate(super()._scan(options)):
            if number == Ending.after:
                raise Ending.error
            yield row


@pytest.fixture
def ending(monkeypatch):
    monkeypatch.setattr(Ending, "objects", MemoryStore())
    monkeypatch.setattr(Ending, "asked", [], raising=False)
    for number in range(2500):
        Ending.objects.put(f"{number:04}", b"x")
    register("cliending", Ending)
    return "cliending://"


@pytest.mark.parametrize(("error", "code"), [(Timeout("it stalled"), 1), (KeyboardInterrupt(), 130)])
def test_an_interrupted_inventory_goes_on_where_it_was(holdfast, ending, tmp_path, monkeypatch, error, code):
    monkeypatch.setattr(Ending, "error", error)
    monkeypatch.setattr(Ending, "after", 1700)
    file = tmp_path / "inventory.db"
    assert holdfast("ls", "-r", "--sqlite", file, ending).code == code
    assert len(rows_of(file)) == 1700
    assert holdfast("ls", "-r", "--json", "--sqlite", file, ending).rows[0]["count"] == 2500
    assert Ending.asked == [None, "1699"]
    assert holdfast("ls", "-r", "--json", "--sqlite", file, ending).rows[0]["listed"] is False
    assert len(Ending.asked) == 2
    assert [key for key, *_ in rows_of(file)] == [f"{number:04}" for number in range(2500)]
