"""The whole command line on local paths, Ceph, Azurite, the fake of Google Cloud Storage and nginx; on terminals."""

from __future__ import annotations

import os
import re
import signal
import time

import pytest

from .conftest import TREE, Place
from .terminals import terminals

SERVICES = [
    "file",
    "gs",
    pytest.param("az", marks=pytest.mark.server),
    pytest.param("ceph", marks=pytest.mark.server),
]


@pytest.fixture(params=SERVICES)
def anywhere(request, monkeypatch, tmp_path):
    """An empty place that can be written: a directory, or a bucket (container)."""
    return _made(request.param, request, monkeypatch, tmp_path)


def _made(kind, request, monkeypatch, tmp_path):
    if kind == "file":
        return Place(str(tmp_path / "anywhere"))
    if kind == "gs":
        gcs = request.getfixturevalue("gcs")
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs.endpoint)
        monkeypatch.setattr(gcs, "accepts", lambda token: token == "anonymous")
        return Place(f"gs://{gcs.make_bucket()}")
    server = request.getfixturevalue("azurite" if kind == "az" else "ceph")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return Place(server.url(server.make_container() if kind == "az" else server.make_bucket()))


def test_the_whole_command_line(holdfast, anywhere, tmp_path):
    here, x = Place(str(tmp_path / "here")).put(TREE), anywhere / "x"

    def done(*arguments, code=0):
        result = holdfast(*arguments)
        assert result.code == code, (arguments, result)
        return result

    done("cp", "-r", here.base, x)
    done("verify", "--md5", here.base, x)
    assert done("ls", x).lines == ["run1-", "run1.txt", "run1/", "run10/"]
    assert done("ls", "-e", f"{x}/run1[.-]").lines == ["run1-", "run1.txt"]
    assert done("ls", "-r", "--sqlite", tmp_path / "i.db", x).lines[0].startswith(f"{tmp_path}/i.db: 5 names of ")
    assert done("du", "-c", f"{x}/run1", f"{x}/run1.txt").lines[-1].split() == ["15", "3", "total"]
    assert [row["size"] for row in done("head", "--json", f"{x}/run1/a", f"{x}/run1.txt").rows] == [3, 8]
    for bounds, expected in (("0-2", "on"), ("-2", "on"), ("1-", "ne"), ("1-2", "n"), ("3-9", "")):
        assert done("cat", "-r", bounds, f"{x}/run1/a").out == expected
    done("touch", f"{x}/run1/a", f"{x}/new")
    done("mkdir", f"{x}/folder")
    assert done("cat", f"{x}/run1/a", f"{x}/new").out == "one"
    done("mv", f"{x}/run1", f"{x}/moved")
    done("ls", f"{x}/run1/", code=4) if "://" in x else None
    done("cp", "-c", "gzip", f"{x}/moved/a", f"{x}/zipped")
    assert done("cat", f"{x}/zipped").out == "one"
    done("cp", f"{x}/moved/sub/b", f"{x}/moved/a", f"{tmp_path}/back/")
    assert Place(str(tmp_path / "back")).objects == {"b": b"two!", "a": b"one"}
    done("sync", "--yes", "--delete", f"{x}/moved", tmp_path / "back")
    done("diff", f"{x}/moved", tmp_path / "back")
    done("xfer", "init", "--db", tmp_path / "t.db", f"{x}/moved", tmp_path / "sent")
    done("xfer", "execute", tmp_path / "t.db")
    done("verify", f"{x}/moved", tmp_path / "sent")
    done("doctor", x)
    done("rm", "-r", x)
    assert anywhere.objects == {} if "://" in x else not os.path.exists(x)
    done("cat", f"{x}/run1/a", code=4)


@pytest.mark.server
def test_what_a_web_server_serves_is_read(holdfast, nginx, tmp_path):
    name = f"everywhere-{os.getpid()}"
    (nginx.root / name).mkdir()
    (nginx.root / name / "a").write_bytes(b"0123456789")
    page = f"{nginx.endpoint}/{name}/a"
    assert holdfast("cat", "-r", "2-5", page).out == "234"
    assert holdfast("head", "--json", page).rows[0]["size"] == 10
    assert holdfast("du", page).lines[0].split()[:2] == ["10", "1"]
    assert holdfast("cp", "--resumable", page, tmp_path / "a").code == 0
    assert holdfast("verify", page, tmp_path / "a").code == 0
    assert holdfast("cp", page, f"{nginx.endpoint}/{name}/b", f"{tmp_path}/more/").code == 1
    assert (tmp_path / "more/a").read_bytes() == b"0123456789"
    for command in (["rm"], ["touch"], ["mkdir"], ["cp", tmp_path / "a"], ["mv", tmp_path / "a"]):
        assert holdfast(*command, f"{nginx.endpoint}/{name}/new").code in {1, 2, 4}, command
    assert (tmp_path / "a").exists()
    assert [path.name for path in (nginx.root / name).iterdir()] == ["a"]


# Each copy takes that many seconds, whatever the machine: a bar is drawn after one second.
PROGRAM = """
import sys, time
from holdfast.cli import main
from holdfast.sync.copying import Copier

seconds, copy = float(sys.argv.pop(1)), Copier.__call__

def slowly(*arguments):
    time.sleep(seconds)
    return copy(*arguments)

Copier.__call__ = slowly
main()
"""


@pytest.fixture
def terminal():
    with terminals() as start:
        yield lambda *arguments, seconds=0.01, **more: start(PROGRAM, seconds, *arguments, **more)


@pytest.fixture(params=[*SERVICES, pytest.param("nginx", marks=pytest.mark.server)])
def many(request, monkeypatch, tmp_path):
    """What "cp -r" is to copy: 150 objects."""
    objects = {f"many/snow☃{number:03}": b"x" * 100 for number in range(150)}
    if request.param != "nginx":
        return [_made(request.param, request, monkeypatch, tmp_path).put(objects) / "many"]
    nginx = request.getfixturevalue("nginx")
    (nginx.root / "many").mkdir(exist_ok=True)
    for name, data in objects.items():
        (nginx.root / name).write_bytes(data)
    return [f"{nginx.endpoint}/{name}" for name in objects]


ASCII = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}


@pytest.mark.slow
def test_the_bar_moves_and_fits_40_columns_of_ascii(terminal, many, tmp_path):
    one = terminal("cp", "-r", "-j", "1", *many, f"{tmp_path}/x/", columns=40, **ASCII)
    assert one.end() == 0, one.shown
    counts = [int(count) for count in re.findall(r"copying[^\r\n]*?(\d+)/", one.shown)]
    assert len(set(counts)) >= 2, one.shown
    assert counts == sorted(counts)
    drawn = [line for line in re.split(r"[\r\n]+", one.shown) if line.startswith("copying")]
    assert max(map(len, drawn)) <= 40
    assert one.screen.isascii()
    assert len(list((tmp_path / "x").iterdir())) == 150


@pytest.mark.slow
def test_ctrl_c_ends_it_and_nothing_is_half_there(terminal, many, tmp_path):
    one = terminal("cp", "-r", "-j", "1", *many, f"{tmp_path}/x/", seconds=0.03, columns=40)
    one.read_until(r"copying[^\r\n]*? [1-9]\d*/")
    interrupted = time.monotonic()
    one.child.send_signal(signal.SIGINT)
    assert one.end() == 130
    assert time.monotonic() - interrupted < 2
    assert one.shown.rstrip().endswith("holdfast: interrupted")
    assert "Traceback" not in one.shown
    done = Place(str(tmp_path / "x")).objects
    assert 0 < len(done) < 150
    assert set(done.values()) == {b"x" * 100}


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", [["sync", "--dry-run"], ["diff"], ["mv", "--dry-run"], ["doctor", "many"], ["config", "show", "s.yaml"]],
    ids=" ".join,
)  # fmt: skip
def test_tables_on_a_terminal_that_speaks_ascii(terminal, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    Place(str(tmp_path / "many")).put({"snow☃/000": b"x"})
    (tmp_path / "s.yaml").write_text("main:\n  type: snow☃\n")
    ends = ["many", "new"] if command[0] in {"sync", "diff", "mv"} else []
    one = terminal(*command, *ends, columns=40, **ASCII)
    assert one.end() in {0, 1, 2}, one.shown
    assert one.screen.isascii()
    assert "Error" not in one.shown, one.shown
    assert not ends or "snow\\u26" in one.shown, one.shown  # the rest is on the next line


@pytest.mark.slow
def test_names_and_errors_on_a_terminal_that_speaks_ascii(terminal, tmp_path):
    many = Place(str(tmp_path / "many")).put({"many/snow☃000": b"x"})
    one = terminal("ls", many / "many", columns=40, **ASCII)
    assert one.end() == 0
    assert one.shown.splitlines()[0] == r"snow\u2603000"
    one = terminal("cat", many / "many/snow☃000", many / "☃", columns=40, **ASCII)
    assert one.end() == 1
    assert r"\u2603" in one.shown
    assert one.screen.isascii()
