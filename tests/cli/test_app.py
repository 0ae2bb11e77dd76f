"""The command line itself: help, versions, typing errors, options, errors as one line."""

from __future__ import annotations

import re
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


def walk(command, *path):
    """A command and all inside it, each with the words that lead there."""
    yield path, command
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            yield from walk(command.get_command(click.Context(command), name), *path, name)


EVERY = {" ".join(path): command for path, command in walk(commands)}


def test_the_short_helps_are_those_of_the_commands():
    assert {name: EVERY[name].short_help for name in COMMANDS} == COMMANDS


def test_every_option_has_a_long_name_and_so_a_default_in_the_environment():
    for path, command in EVERY.items():
        for option in command.params:
            if isinstance(option, click.Option):
                assert any(name.startswith("--") for name in option.opts), (path, option.opts)


def invocations(example):
    """The words of each holdfast in a line for a shell."""
    line = re.sub(r'^eval "\$\((.*)\)"$', r"\1", example).partition(" > ")[0]
    for stage in line.split(" | "):
        program, *words = shlex.split(stage, comments=True)
        if program == "holdfast":
            yield words[2:] if words[0] == "-p" else words


def parsed(words):
    """The words that lead to the command; the others have been parsed."""
    path, command, context = [], commands, click.Context(commands)
    while isinstance(command, click.Group):
        path.append(words[0])
        command, words = command.get_command(context, words[0]), words[1:]
    command.make_context(path[-1], list(words), parent=context)
    return " ".join(path)


@pytest.mark.parametrize("name", EVERY)
def test_help_teaches_by_examples_that_parse(holdfast, name):
    shown = [line for line in (EVERY[name].epilog or "").splitlines() if line]
    help_text = holdfast(*name.split(), "--help")
    assert help_text.code == 0
    assert shown
    assert all(f"  {example}\n" in help_text.out for example in shown)
    assert max(map(len, help_text.lines)) <= 80
    for example in shown:
        used = [parsed(words) for words in invocations(example)]
        assert any(f"{path} ".startswith(f"{name} ".lstrip()) for path in used), example


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
    assert f"there are {', '.join(sorted(COMMANDS))};" in holdfast("xyzzy!").err


@pytest.mark.parametrize(
    "arguments",
    [["ls", "--nope"], ["cp"], ["cp", "one"], ["rm"], ["head"], ["verify", "x"], ["cp", "-j", "0", "a", "b"],
     ["cp", "-j", "many", "a", "b"], ["ls", "ftp://host/x"], ["ls", "s3:///x"], ["ls", ""], ["ls", "--endpoint"],
     ["cat", "--json", "x"], ["--nope"], ["sync", "a"], ["sync", "-", "a"], ["sync", "--max-delete", "1", "a", "b"],
     ["sync", "--compare", "guess", "a", "b"], ["diff", "a"], ["mv", "a"], ["mv", "a", "b", "c"], ["mv", "-", "b"],
     ["rm", "-", "a"], ["ls", "-e", "a"], ["ls", "-e", "s3://[ab]/x"], ["ls", "-j", "2"], ["ls", "-l", "--sqlite", "f"],
     ["ls", "--json", "--fullpath"], ["-p", "2", "ls"],
     ["-p", "2", "cp", "-b", "1", "a", "b"], ["cp", "--resumable", "--decode", "a", "b"],
     ["cp", "--part-bytes", "9", "a", "-"], ["cp", "-c", "lzw", "a", "b"], ["xfer", "init", "a", "b"],
     ["xfer", "execute", "/nowhere/at/all"], ["alias", "add", "s", "x"], ["alias", "add", "s3", "s3://https://x/"],
     ["alias", "rm", "matrix"], ["completion", "tcsh"], ["watch", "net", "print", "--interval", "0"],
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
