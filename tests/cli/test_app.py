"""The command line itself: help, versions, typing errors, options, errors as one line."""

from __future__ import annotations

import shlex
from typing import ClassVar

import click
import pytest

import holdfast as library
from holdfast import NotFound, StoreError, register
from holdfast.cli.app import COMMANDS, commands
from tests.user_stores import FiveMethods

from .conftest import TREE


def test_version(holdfast):
    assert holdfast("--version").out == f"holdfast {library.__version__}\n"
    assert holdfast("--version", "ls").out == f"holdfast {library.__version__}\n"


def test_without_a_command_it_shows_help_and_fails(holdfast):
    result = holdfast()
    assert (result.code, result.out) == (2, "")
    assert all(f"  {name} " in result.err for name in COMMANDS)


def examples(command):
    return [line for line in (command.epilog or "").splitlines() if line]


@pytest.mark.parametrize("name", [None, *COMMANDS])
def test_help_teaches_by_examples_that_parse(holdfast, name):
    context = click.Context(commands)
    shown = examples(commands if name is None else commands.get_command(context, name))
    help_text = holdfast(*([] if name is None else [name]), "--help")
    assert help_text.code == 0
    assert shown
    assert all(f"  {example}\n" in help_text.out for example in shown)
    assert max(map(len, help_text.lines)) <= 80
    for example in shown:
        program, used, *arguments = shlex.split(example.partition(" > ")[0], comments=True)
        assert (program, name or used) == ("holdfast", used)
        commands.get_command(context, used).make_context(used, arguments, parent=context)


@pytest.mark.parametrize(
    ("typed", "meant"), [("lss", "ls"), ("verfy", "verify"), ("copy", "cp"), ("delete", "rm"), ("hed", "head")]
)
def test_an_unknown_command_suggests_the_nearest(holdfast, typed, meant):
    result = holdfast(typed, "x")
    assert (result.code, result.out) == (2, "")
    assert (
        result.err == f"holdfast: there is no command '{typed}': did you mean '{meant}'?; 'holdfast --help' shows how\n"
    )


def test_an_unknown_command_far_from_all_lists_them(holdfast):
    known = "cat, cleanup, config, cp, diff, doctor, du, head, ls, mv, rm, sync, uploads, verify, whoami"
    assert f"there are {known};" in holdfast("xyzzy!").err


@pytest.mark.parametrize(
    "arguments",
    [["ls", "--nope"], ["cp"], ["cp", "one"], ["rm"], ["head"], ["verify", "x"], ["cp", "-j", "0", "a", "b"],
     ["cp", "-j", "many", "a", "b"], ["ls", "ftp://host/x"], ["ls", "s3:///x"], ["ls", ""], ["ls", "--endpoint"],
     ["cat", "--json", "x"], ["--nope"], ["sync", "a"], ["sync", "-", "a"], ["sync", "--max-delete", "1", "a", "b"],
     ["sync", "--compare", "guess", "a", "b"], ["diff", "a"], ["mv", "a"], ["mv", "a", "b", "c"], ["mv", "-", "b"],
     ["cleanup", "--older-than", "long", "a"], ["cleanup", "--journal", "/nowhere/at/all"]],
)  # fmt: skip
def test_usage_and_configuration_errors_are_one_line_and_exit_2(holdfast, arguments):
    result = holdfast(*arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("holdfast: ")
    assert result.err.count("\n") == 1


def test_connection_options_that_would_do_nothing_are_refused(holdfast, bucket, tmp_path):
    for option in (["--endpoint", "http://127.0.0.1:1"], ["--anonymous"]):
        for location in (bucket.base, tmp_path, "http://127.0.0.1:1/x"):
            result = holdfast("ls", *option, location)
            assert (result.code, option[0] in result.err) == (2, True)
    result = holdfast("ls", "--endpoint", "http://127.0.0.1:1", "s3://http://127.0.0.1:2/bucket")
    assert (result.code, "--endpoint" in result.err) == (2, True)


class Tiny(FiveMethods):
    """Somebody's own five methods, over one dict for all that a command opens."""

    objects: ClassVar = {}

    def __init__(self):
        super().__init__(Tiny.objects)

    def get(self, key):
        if key == "broken":
            raise RuntimeError("the dog ate it")
        return super().get(key)


@pytest.fixture
def tiny():
    register("clitiny", Tiny)
    Tiny.objects = dict(reversed(TREE.items()))
    return "clitiny://"


def test_a_class_of_five_methods_works_in_every_command(holdfast, tiny, bucket, tmp_path):
    assert sorted(holdfast("ls", f"{tiny}/run1").lines) == ["a", "sub/"]
    assert holdfast("ls", "-l", f"{tiny}/run1/a").lines[0].split() == ["3", "-", "a"]
    assert holdfast("du", f"{tiny}/run1").lines[0].split()[:2] == ["7", "2"]
    assert holdfast("head", "--json", f"{tiny}/run1/a").rows[0]["size"] == 3
    assert holdfast("cat", "-r", "1-3", f"{tiny}/run1.txt").out == "or"
    assert holdfast("cp", "-r", f"{tiny}/run1", tmp_path / "x").code == 0
    assert holdfast("verify", tmp_path / "x", f"{tiny}/run1").code == 0
    assert holdfast("cp", "-r", tmp_path / "x", f"{tiny}/back").code == 0
    assert holdfast("verify", f"{tiny}/run1", f"{tiny}/back").code == 0
    assert holdfast("rm", "-r", f"{tiny}/run1").code == 0
    assert set(Tiny.objects) == {"run10/a", "run1.txt", "run1-", "back/a", "back/sub/b"}


def test_a_foreign_error_is_one_line_with_its_type(holdfast, tiny, bucket, monkeypatch):
    Tiny.objects["broken"] = b""
    result = holdfast("cp", "-r", tiny, bucket / "x")
    assert (result.code, len(bucket.objects)) == (1, len(TREE))
    assert "broken" in result.err
    assert "RuntimeError: the dog ate it (HOLDFAST_DEBUG=1 shows where)" in result.err
    assert result.err.count("\n") == 1
    monkeypatch.setenv("HOLDFAST_DEBUG", "1")
    assert "Traceback" in holdfast("cp", "-r", tiny, bucket / "x").err


def test_errors_name_the_object_once(capsys):
    from holdfast.cli import output

    output.complain(NotFound("no object 'k'", key="k", store="mem://b"), "mem://b/k")
    output.complain(StoreError("it broke", store="mem://b"), "mem://b/k")
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["holdfast: mem://b: no object 'k'", "holdfast: mem://b/k: mem://b: it broke"]


@pytest.mark.parametrize("location", ["ftp://me:hunter2@host/x", "s3://https://me:hunter2@host/bucket/x"])
def test_secrets_in_locations_are_not_repeated(holdfast, location):
    result = holdfast("ls", location)
    assert (result.code, "hunter2" in result.err + result.out) == (2, False)


def test_secrets_in_web_addresses_are_not_repeated(holdfast, nginx):
    secret = nginx.endpoint.replace("://", "://me:hunter2@")
    (nginx.root / "there").write_text("x")
    for arguments in (["cat", f"{secret}/nope"], ["head", f"{secret}/there"], ["rm", f"{secret}/there"],
                      ["cp", "--json", f"{secret}/there", f"{secret}/forbidden/x"]):  # fmt: skip
        result = holdfast(*arguments)
        assert "://***@" in result.err + result.out
        assert "hunter2" not in result.err + result.out
