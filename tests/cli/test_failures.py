"""What fails: one object among many, a wrong login, and everything; what is told of it, and to whom."""

from __future__ import annotations

import io
import sys
from typing import ClassVar

import pytest

from holdfast import AuthError, ObjectStore, StoreError, register
from holdfast.cli import output


class Guarded(ObjectStore):
    """Some objects may be read, some may not."""

    objects: ClassVar[dict[str, bytes]]

    def get(self, key):
        data = self.objects[key]
        if data == b"forbidden":
            raise AuthError(f"{key!r} is not for you", key=key, store="guarded://")
        return data

    def put(self, key, data):
        raise AuthError(f"{key!r} is not to be written", key=key, store="guarded://")

    def delete(self, key):
        self.get(key)
        del self.objects[key]

    def exists(self, key):
        return key in self.objects

    def keys(self):
        return iter(list(self.objects))


@pytest.fixture
def guarded():
    class Fresh(Guarded):
        objects: ClassVar = {}

    register("cliguarded", Fresh)
    return Fresh


@pytest.mark.parametrize("place", ["first", "last"])
def test_a_forbidden_object_is_one_failure_among_others(holdfast, guarded, bucket, place):
    forbidden = {f"run1/{place}": b"forbidden"}
    allowed = {f"run1/{n}": b"x" for n in range(5)}
    guarded.objects |= forbidden | allowed if place == "first" else allowed | forbidden
    result = holdfast("cp", "-r", "-j", "1", "--json", "cliguarded:///run1", bucket / "x")
    assert result.code == 1
    assert sorted(bucket.objects) == [f"x/{n}" for n in range(5)]
    assert (result.rows[-1]["count"], result.rows[-1]["failed"]) == (5, 1)
    assert len([row for row in result.rows if row["status"] == "failed"]) == 1
    assert result.err.count("\n") == 1
    assert f"'run1/{place}' is not for you" in result.err
    result = holdfast("rm", "-r", "-j", "1", "cliguarded:///run1")
    assert (result.code, list(guarded.objects), result.err.count("\n")) == (1, [f"run1/{place}"], 1)


def test_a_wrong_login_is_said_once_and_ends_the_command(holdfast, guarded, bucket):
    guarded.objects |= {f"run1/{n:04}": b"forbidden" for n in range(5000)} | {"run1/9999": b"x"}
    result = holdfast("cp", "-r", "-j", "1", "--json", "cliguarded:///run1", bucket / "x")
    assert (result.code, bucket.objects, result.err.count("\n")) == (1, {}, 1)
    assert "is not for you" in result.err
    summary = result.rows[-1]
    assert (summary["status"], summary["count"], summary["failed"]) == ("summary", 0, output.REFUSALS)
    assert "is not for you" in summary["error"]


def test_few_objects_that_are_all_refused_are_said_together(holdfast, guarded, bucket):
    guarded.objects |= dict.fromkeys(["run1/a", "run1/b", "run1/c"], b"forbidden")
    result = holdfast("cp", "-r", "cliguarded:///run1", bucket / "x")
    assert (result.code, result.err.count("\n")) == (1, 2)
    assert "2 more refused, and nothing was done" in result.err
    result = holdfast("verify", "cliguarded:///run1", "cliguarded:///run1")
    assert (result.code, "2 more refused" in result.err) == (1, True)
    result = holdfast("cat", "cliguarded:///run1/a")
    assert (result.code, result.err.count("\n")) == (1, 1)


def test_json_ends_with_the_summary_whatever_came_before(holdfast, guarded, folder, bucket, monkeypatch):
    bucket.put({"run1/a": b"one"})
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"piped")))
    for code, counts, arguments in [
        (0, (1, 5, 0, 0), ["cp", "-", bucket / "x"]),
        (1, (0, 0, 0, 0), ["cp", "-", "cliguarded:///x"]),
        (1, (0, 0, 1, 0), ["cp", bucket / "run1", bucket / "y"]),
        (1, (0, 0, 0, 0), ["cp", bucket / "run1/a", folder.base]),
        (4, (0, 0, 0, 1), ["cp", bucket / "nope", bucket / "y"]),
        (1, (0, 0, 1, 0), ["rm", bucket / "run1"]),
        (4, (0, 0, 0, 1), ["rm", bucket / "nope"]),
    ]:
        result = holdfast(arguments[0], "--json", *arguments[1:])
        summary = result.rows[-1]
        names = ("count", "bytes", "failed", "not_found")
        assert (result.code, summary["status"], tuple(summary[name] for name in names)) == (code, "summary", counts)
    assert holdfast("verify", "--json", bucket / "nope", bucket.base).rows[-1]["status"] == "summary"


@pytest.mark.parametrize(
    "arguments",
    [["-r", "-", "MEM/x"], ["-j", "3", "-", "MEM/x"], ["--progress", "-", "MEM/x"], ["--decode", "-", "MEM/x"],
     ["-r", "MEM/a", "-"], ["-j", "3", "MEM/a", "-"], ["--progress", "MEM/a", "-"], ["--json", "MEM/a", "-"]],
)  # fmt: skip
def test_options_that_a_stream_ignores_are_refused(holdfast, bucket, arguments):
    bucket.put({"a": b"1"})
    result = holdfast("cp", *(text.replace("MEM", bucket.base) for text in arguments))
    assert (result.code, result.out, bucket.objects) == (2, "", {"a": b"1"})
    assert f"{arguments[0]} has no meaning with '-'" in result.err


def test_a_stream_has_a_closing_line_on_request(holdfast, bucket, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"piped")))
    assert holdfast("cp", "-v", "-", bucket / "x").err.startswith("copied 1 object, 5 B in ")
    result = holdfast("cp", "-v", "--no-progress", bucket / "x", "-")
    assert (result.out, result.err.startswith("copied 1 object, 5 B in ")) == ("piped", True)


def test_secrets_in_errors_are_not_repeated(capsys, monkeypatch):
    monkeypatch.setenv("HOLDFAST_DEBUG", "1")
    secret = "GET https://me:hunter2@host/a?X-Amz-Signature=hunter2 failed"
    for problem in (StoreError(secret), RuntimeError(secret), secret):
        output.complain(problem, "https://me:hunter2@host/a")
    assert "hunter2" not in output.describe(RuntimeError(secret))
    shown = capsys.readouterr().err
    assert "https://***@host/a?X-Amz-Signature=***" in shown
    assert "hunter2" not in shown


def test_secrets_in_usage_errors_are_not_repeated(holdfast):
    result = holdfast("cp", "one", "two", "http://me:hunter2@127.0.0.1:1/x")
    assert (result.code, "hunter2" in result.err, "http://***@" in result.err) == (2, False, True)
