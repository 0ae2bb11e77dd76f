"""touch, mkdir, du, head of many, alias, watch, license, completion, and defaults in the environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast import aliases
from holdfast.cli import touch
from holdfast.cli.locations import look

from .conftest import TREE


def test_touch_creates_and_never_changes(holdfast, place):
    result = holdfast("touch", "--json", place / "run1/a", place / "new/one", place / "run1")
    assert result.code == 1
    *rows, summary = result.rows
    assert [row["status"] for row in rows] == ["exists", "created", "directory"]
    assert (summary["count"], summary["failed"]) == (2, 1)
    assert place.objects == {**TREE, "new/one": b""}


def test_touch_leaves_what_somebody_writes_at_the_same_moment(holdfast, place, monkeypatch):
    def look_and_be_overtaken(*arguments, **options):
        found = look(*arguments, **options)
        place.put({"new": b"theirs"})
        return found

    monkeypatch.setattr(touch, "look", look_and_be_overtaken)
    result = holdfast("touch", "--json", place / "new")
    assert (result.code, result.rows[0]["status"]) == (0, "exists")
    assert place.objects["new"] == b"theirs"


def test_what_cannot_be_written_is_refused(holdfast, nginx):
    (nginx.root / "page").write_text("x")
    for command in ("touch", "mkdir"):
        assert holdfast(command, f"{nginx.endpoint}/nothing-here").code == 1
    assert not (nginx.root / "nothing-here").exists()


def test_mkdir_makes_directories(holdfast, place):
    for _ in range(2):
        assert holdfast("mkdir", place / "new/deep", place / "run1").code == 0
    if "://" in place.base:
        assert "new/" in holdfast("ls", place.base).lines
        assert holdfast("du", "--json", place / "new").rows[0]["count"] == 0
    else:
        assert os.path.isdir(place / "new/deep")
    assert holdfast("cat", place / "run1/a").out == "one"


def test_du_with_its_flags(holdfast, place):
    place.put({"run1/x.JPG": b"12345", "run1/y.jpg": b"1"})
    run1 = place / "run1"
    assert [line.split() for line in holdfast("du", "-s", run1).lines] == [["13", "4", run1]]
    every = [line.split() for line in holdfast("du", "-a", "--no-count-files", "-c", run1, place / "run1.txt").lines]
    sizes = {"a": "3", "sub/b": "4", "x.JPG": "5", "y.jpg": "1"}
    assert sorted(every[:4]) == sorted([size, f"{run1}/{name}"] for name, size in sizes.items())
    assert every[4:] == [["13", run1], ["8", place / "run1.txt"], ["21", "total"]]
    rows = holdfast("du", "-e", "-c", "--json", run1).rows
    assert rows[1:] == [
        {"total": "total", "bytes": 13, "count": 4},
        {"extension": "(no extension)", "bytes": 7, "count": 2},
        {"extension": ".jpg", "bytes": 6, "count": 2},
    ]


def test_head_tells_of_many(holdfast, place):
    result = holdfast("head", "--json", place / "run1/a", place / "run1/no", place / "run1.txt")
    assert (result.code, [row["size"] for row in result.rows]) == (1, [3, 8])


def test_verify_leaves_out_and_tells_more(holdfast, place, bucket):
    bucket.put({"a": b"one", "theirs": b"x", "sub/b": b"2wo!"})
    place.put({"run1/mine": b"y"})
    result = holdfast("verify", "-m", "-v", "--md5", place / "run1", bucket.base)
    assert result.code == 1
    assert result.lines[-1].startswith("1 same, 1 different, 0 missing, 0 extra;")
    assert result.lines[0] == "different  sub/b"
    assert [line.split()[:2] for line in result.lines[1:3]] == [["source:", "4"], ["target:", "4"]]
    told = holdfast("verify", "-m", "-v", "--json", place / "run1", bucket.base).rows[0]
    assert told["source_etag"] != told["target_etag"]
    assert holdfast("verify", "--multipart-threshold", "1", place / "run1", bucket.base).code == 2


@pytest.fixture
def aliases_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("CLOUD_FILES_DIR", str(tmp_path / "aliases"))


def test_aliases(holdfast, aliases_of_its_own, moto, monkeypatch):
    for name, value in moto.environment.items():
        monkeypatch.setenv(name, value)
    bucket = moto.make_bucket()
    assert holdfast("alias", "add", "lab", f"s3://{moto.endpoint}/").code == 0
    assert holdfast("touch", f"lab://{bucket}/x").code == 0
    assert holdfast("ls", f"lab://{bucket}").lines == ["x"]
    rows = {row["alias"]: row for row in holdfast("alias", "ls", "--json").rows}
    assert rows["lab"] == {"alias": "lab", "host": f"s3://{moto.endpoint}/", "built_in": False}
    assert rows["matrix"]["built_in"]
    assert f"lab           s3://{moto.endpoint}/" in holdfast("alias", "ls").lines
    assert holdfast("alias", "rm", "lab").code == 0
    assert holdfast("alias", "rm", "lab").code == 4
    assert aliases.find("lab") is None
    assert holdfast("ls", f"lab://{bucket}").code == 2
    for refused in (["add", "gs", "s3://https://x/"], ["add", "lab", "nothing"], ["rm", "matrix"]):
        assert holdfast("alias", *refused).code == 2


@pytest.mark.skipif(sys.platform != "linux", reason="the network is sampled on Linux alone")
def test_watch(holdfast, tmp_path):
    rows = holdfast("watch", "net", "print", "--duration", "0.2", "--interval", "0.1", "--json").rows
    assert len(rows) >= 2
    assert all(row.keys() == {"seconds", "received_bps", "sent_bps"} for row in rows)
    line = holdfast("watch", "net", "print", "--duration", "0.2", "--interval", "0.1", "--one-line").out
    assert (line[0], line[-1], "received" in line) == ("\r", "\n", True)
    picture = tmp_path / "rates.png"
    bars = holdfast("watch", "net", "histogram", "--duration", "0.2", "--interval", "0.1", "--filename", picture)
    assert bars.lines[0].split()[1:3] == ["s", "received"]
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_license(holdfast):
    assert "Apache-2.0" in holdfast("license").lines[0]


def test_a_group_alone_shows_its_help(holdfast):
    for group in (["alias"], ["xfer"], ["watch"], ["watch", "net"]):
        result = holdfast(*group)
        assert (result.code, result.out, "Usage: " in result.err) == (2, "", True)


# -------------------------------------------------------------------------------------------------- the environment
def test_each_option_has_a_default_in_the_environment(holdfast, place, monkeypatch):
    monkeypatch.setenv("HOLDFAST_LS_RECURSIVE", "1")
    assert "run1/sub/b" in holdfast("ls", place.base).lines
    assert "run1/" in holdfast("ls", "--flat", place.base).lines
    monkeypatch.setenv("HOLDFAST_JSON", "1")
    assert holdfast("du", place / "run1").rows[0]["count"] == 2
    monkeypatch.setenv("HOLDFAST_DU_JSON", "0")
    assert holdfast("du", place / "run1").lines[0].split()[:2] == ["7", "2"]
    monkeypatch.setenv("HOLDFAST_LS_JSON", "0")
    monkeypatch.setenv("HOLDFAST_LS_FULLPATH", "1")
    assert place / "run1/sub/b" in holdfast("ls", place.base).lines


def test_defaults_that_mean_nothing_here_are_no_error(holdfast, folder, monkeypatch):
    folder.put({"a": b"1"})
    for name, value in {"THREADS": "3", "ENDPOINT": "http://127.0.0.1:1", "ANONYMOUS": "1", "PARALLEL": "2",
                        "CP_RECURSIVE": "1", "PROGRESS": "1", "VERSION": "1"}.items():  # fmt: skip
        monkeypatch.setenv(f"HOLDFAST_{name}", value)
    assert holdfast("ls", folder.base).lines == ["a"]
    assert holdfast("cp", folder / "a", "-").out == "1"
    assert holdfast("ls", "--anonymous", folder.base).code == 2
    monkeypatch.setenv("HOLDFAST_THREADS", "many")
    result = holdfast("du", folder.base)
    assert (result.code, "HOLDFAST" in result.err or "--threads" in result.err) == (2, True)


# ------------------------------------------------------------------------------------------------------- completion
def complete(shell, line, holdfast, monkeypatch):
    """The values that the shell would be told for a line, whose last word is incomplete."""
    monkeypatch.setenv("_HOLDFAST_COMPLETE", f"{shell}_complete")
    monkeypatch.setenv("HOLDFAST_RETRY_WAIT", "1")
    monkeypatch.setenv("HOLDFAST_LINE", line)
    monkeypatch.setenv("COMP_WORDS", line)
    *words, last = line.split(" ")
    monkeypatch.setenv("COMP_CWORD", last if shell == "fish" else str(len(words)))
    result = holdfast()
    monkeypatch.delenv("_HOLDFAST_COMPLETE")
    assert (result.code, result.err) == (0, "")
    assert os.environ["HOLDFAST_RETRY_WAIT"] == "0"  # nobody waits for a service that is down
    return result.lines


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_commands_options_and_names_are_completed(holdfast, place, monkeypatch, shell):
    assert any("sync" in line for line in complete(shell, "holdfast sy", holdfast, monkeypatch))
    assert any("--recursive" in line for line in complete(shell, "holdfast ls --rec", holdfast, monkeypatch))
    assert any("add" in line for line in complete(shell, "holdfast alias a", holdfast, monkeypatch))
    if "://" in place.base:
        found = "\n".join(complete(shell, f"holdfast cat {place.base}/run1", holdfast, monkeypatch))
        assert all(name in found for name in ("run1/", "run10/", "run1.txt"))
    assert complete(shell, "holdfast ls s3://http://127.0.0.1:1/b/x", holdfast, monkeypatch) == []


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes(holdfast, tmp_path):
    (tmp_path / "completion.sh").write_text(holdfast("completion", "bash").out)
    (tmp_path / "a b").touch()
    script = """
source ./completion.sh
complete -p holdfast
compopt() { :; }
for COMP_LINE in "holdfast verif" "holdfast cat file://$PWD/a"; do
    COMP_POINT=${#COMP_LINE}
    _holdfast_completion holdfast
    printf '%s\\n' "${COMPREPLY[@]}"
done
"""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "--norc", "-c", script], cwd=tmp_path, env={**os.environ, "PATH": path}, text=True,
        capture_output=True, timeout=60,
    )  # fmt: skip
    registered, *offered = done.stdout.splitlines()
    assert "-F _holdfast_completion holdfast" in registered
    assert offered == ["verify", f"//{tmp_path}/a\\ b"], done.stderr


def test_scripts_for_other_shells(holdfast):
    for shell in ("zsh", "fish"):
        assert "_HOLDFAST_COMPLETE" in holdfast("completion", shell).out
