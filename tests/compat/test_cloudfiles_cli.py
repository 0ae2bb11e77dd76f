"""The command line of cloud-files, row by row: what its own tests rely on, and every command and flag of its table."""

from __future__ import annotations

import io
import os
import re
import sqlite3
import subprocess
import sys

import pytest

from holdfast.compat.cloudfiles import CloudFiles
from holdfast.compat.cloudfiles_cli import cloudfiles_cli, main
from holdfast.stores.file.store import FileStore
from holdfast.sync.journal import JournalQueue
from holdfast.types import WriteOptions
from tests.compat.rows import row

SYSTEM = "cloudfiles"
NAMES = [str(number) for number in range(24)]
TENS = {"1", *map(str, range(10, 20))}


@pytest.fixture(autouse=True)
def memory_of_its_own(tmp_path_factory, monkeypatch):
    """No test reads, or fills, the index and the aliases of whoever runs it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("CLOUD_FILES_DIR", str(tmp_path_factory.mktemp("cloudfiles")))


class Ran:
    """What a command printed, and its exit code."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def run(capfd, monkeypatch):
    """Run one command line in this process."""

    def one(*arguments, stdin=""):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments], prog_name="cloudfiles")
        sys.stdout.flush()
        return Ran(ended.value.code, *capfd.readouterr())

    return one


@pytest.fixture
def src(tmp_path):
    """A local directory of small files."""
    path = tmp_path / "src"
    path.mkdir()
    for name in NAMES:
        (path / name).write_text("hello world")
    return path


def inside(path):
    return {name for name in os.listdir(path) if os.path.isfile(path / name)}


# ---------------------------------------------------------------------- cp
@row(SYSTEM, "cli: cp -r SRC DEST creates DEST, or nests DEST/basename(SRC) if DEST exists")
@row(SYSTEM, "cli: cp SRC/*, SRC/**, SRC/1*, suffix globs *jpg; a list of names on standard input")
@pytest.mark.parametrize("parallel", [1, 2])
def test_cp_of_many(run, src, tmp_path, parallel):
    dest = tmp_path / "dest"

    def cp(*arguments, **kwargs):
        ran = run("-p", parallel, "cp", "-b", 7, *arguments, dest, **kwargs)
        assert (ran.code, ran.out) == (0, "")
        found = set(os.listdir(dest))
        subprocess.run(["rm", "-r", dest], check=True)
        return found

    everything = set(NAMES)
    assert cp("-r", src) == everything
    dest.mkdir()
    assert cp("-r", src) == {"src"}
    dest.mkdir()
    assert cp("-r", f"{src}/") == {"src"}
    assert cp("-r", f"{src}/1*") == TENS
    assert cp(f"{src}/**") == everything
    assert cp("-", stdin="".join(f"{src}/{name}\n" for name in NAMES)) == everything
    (src / "deep").mkdir()
    (src / "deep" / "a.jpg").write_bytes(b"jpg")
    (src / "b.jpg").write_bytes(b"jpg")
    assert cp(f"{src}/*") == {*everything, "b.jpg"}
    assert cp(f"{src}/*jpg") == {"b.jpg"}
    assert cp(f"{src}/**jpg") == {"b.jpg", "deep"}


@row(SYSTEM, "cli: cp of many needs a directory; one argument copies nothing")
def test_cp_of_one(run, src, tmp_path):
    dest = tmp_path / "dest"
    assert "must be a directory" in run("cp", f"{src}/8", f"{src}/9", dest).out
    assert "is a directory (not copied)" in run("cp", src, dest).out
    assert "source path not found" in run("cp", f"{src}/none", dest).out
    assert "No common prefix" in run("cp", "-", dest, stdin="gs://a/x\ngs://b/x\n").out
    assert run("cp", dest).code == 0
    assert not dest.exists()
    run("cp", f"{src}/10", dest)
    assert dest.read_text() == "hello world"
    assert "is not a directory" in run("cp", "-r", src, dest).out
    dest.unlink()
    dest.mkdir()
    run("cp", f"{src}/10", dest)
    run("cp", f"{src}/8", f"{src}/9", dest)
    assert sorted(os.listdir(dest)) == ["10", "8", "9"]


@row(SYSTEM, "cli: cp -c same|none|gzip|br|zstd, --progress, -b, --part-bytes, --no-sign-request, --resumable; to '-'")
def test_cp_options(run, src, tmp_path, moto, monkeypatch):
    for name, value in moto.environment.items():
        monkeypatch.setenv(name, value)
    where = moto.url(moto.make_bucket(), "d")
    options = ("--progress", "--part-bytes", 10**7, "--resumable", "--no-sign-request")
    assert run("cp", "-r", "-c", "gzip", *options, src, where).code == 0
    cf = CloudFiles(where)
    assert sorted(cf) == sorted(NAMES)
    assert cf.head("1")["Content-Encoding"] == "gzip"
    assert cf.get("1") == b"hello world"
    run("cp", f"{where}/1", tmp_path / "same")
    assert (tmp_path / "same.gz").exists()
    run("cp", "-c", "none", f"{where}/1", tmp_path / "none")
    assert (tmp_path / "none").read_text() == "hello world"
    assert run("cp", f"{where}/1", "-").out == "hello world"
    assert run("cp", "-b", 2, f"{where}/1*", "-").out == "hello world" * len(TENS)
    denied = run("cp", "-r", "-c", "nonsense", src, where)
    assert (denied.code, denied.out) == (1, "")
    assert "nonsense" in denied.err


@row(SYSTEM, "cli: cp from a web server, with --resumable; du and head of its files")
def test_cp_from_a_web_server(run, tmp_path, nginx):
    (nginx.root / "web").mkdir(exist_ok=True)
    (nginx.root / "web" / "file").write_bytes(b"0123456789")
    url = f"{nginx.endpoint}/web/file"
    assert run("cp", "--resumable", "--no-sign-request", url, tmp_path / "copy").code == 0
    assert (tmp_path / "copy").read_bytes() == b"0123456789"
    assert run("cp", url, "-").out == "0123456789"
    assert run("cat", "-r", "2-4", url).out == "23"
    assert run("du", url).out == f"10\t{url}\n"
    assert "'Content-Length': 10" in run("head", url).out
    assert "source path not found" in run("cp", f"{url}2", tmp_path / "copy2").out


@row(SYSTEM, "monitoring: plot_gantt and plot_histogram draw PNG files")
@row(SYSTEM, "cli: cp --flight-time, --io-rate, --machine-io-rate (-buffer-sec) save charts")
@pytest.mark.skipif(sys.platform != "linux", reason="the counters are Linux's")
def test_charts(run, src, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    flags = ("--flight-time", "--io-rate", "--machine-io-rate", "--machine-io-rate-buffer-sec", 10)
    ran = run("cp", "-r", *flags, src, tmp_path / "dest")
    saved = re.findall(
        r"^Saved chart: (\./cloudfiles-cp-(?:flight-time|est-io|measured-io)-[^ ]+Z\.png)$", ran.out, re.MULTILINE
    )
    assert len(saved) == 3
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in saved)


# ---------------------------------------------------------------------- mv, rm
@row(SYSTEM, "cli: the python hook _mv_single(source, dest, progress=, block_size=, part_bytes=, ...)")
@row(SYSTEM, "cli: mv --progress, -b, --part-bytes; many sources, '-'")
@row(
    SYSTEM,
    "cli: mv --no-sign-request",
    "different",
    "taken, and requests are signed all the same, as by cloud-files: nobody deletes without credentials",
)
@pytest.mark.parametrize("parallel", [1, 2])
def test_mv(run, cf, cloudpath, parallel, tmp_path):
    def mv(source, dest):
        cloudfiles_cli._mv_single(
            source, dest, progress=False, block_size=5, part_bytes=int(1e8), no_sign_request=True, parallel=parallel
        )

    def fill():
        cf.delete(cf.list())
        cf.puts((name, b"hello world") for name in NAMES)

    other = f"{cloudpath}2"
    fill()
    mv(cloudpath, other)
    assert (list(cf), sorted(CloudFiles(other))) == ([], sorted(NAMES))
    fill()
    mv(f"{cloudpath}/*", f"{cloudpath}/move/")
    assert sorted(cf) == sorted(f"move/{name}" for name in NAMES)
    fill()
    mv(f"{cloudpath}/1", f"{cloudpath}/move/1")
    assert cf.exists(["1", "move/1"]) == {"1": False, "move/1": True}
    fill()
    mv(cloudpath, other)  # which exists
    last = cloudpath.rpartition("/")[2]
    assert sorted(CloudFiles(f"{other}/{last}")) == sorted(NAMES)
    fill()
    (tmp_path / "dest").mkdir()
    names = "".join(f"{cloudpath}/{name}\n" for name in ("2", "3"))
    assert run("mv", "--progress", f"{cloudpath}/0", f"{cloudpath}/1", "-", tmp_path / "dest", stdin=names).code == 0
    assert sorted(os.listdir(tmp_path / "dest")) == ["0", "1", "2", "3"]
    assert "must be a directory" in run("mv", f"{cloudpath}/4", f"{cloudpath}/5", tmp_path / "no").out
    assert len(list(cf)) == len(NAMES) - 4


def test_a_directory_whose_attributes_are_kept_above_is_moved_with_them(run, tmp_path):
    options = WriteOptions(content_type="x/y", metadata={"owner": "ann"})
    FileStore(tmp_path / "all").write("run1/x", b"1", options)
    assert run("mv", tmp_path / "all/run1", tmp_path / "moved").code == 0
    info = FileStore(tmp_path / "moved").head("x")
    assert (info.content_type, dict(info.metadata)) == ("x/y", {"owner": "ann"})
    assert not (tmp_path / "all/run1").exists()


@row(SYSTEM, "cli: rm DIR prints 'is a directory', keeps files, exit 0; -r, globs, '-', the hook _rm_many")
def test_rm(run, cf, cloudpath):
    def fill():
        cf.puts((name, b"hello world") for name in (*NAMES, "deep/x"))

    def rm(path, recursive=False):
        cloudfiles_cli._rm_many(path, recursive=recursive, progress=False, parallel=1, block_size=128)
        return set(cf)

    everything = {*NAMES, "deep/x"}
    fill()
    assert rm(cloudpath) == everything
    ran = run("rm", f"{cloudpath}/")
    assert (ran.code, "is a directory" in ran.out, set(cf)) == (0, True, everything)
    assert rm(cloudpath, recursive=True) == set()
    fill()
    assert rm(f"{cloudpath}/*") == {"deep/x"}
    fill()
    assert rm(f"{cloudpath}/**") == set()
    fill()
    assert rm(f"{cloudpath}/1*") == everything - TENS
    assert run("-p", 2, "rm", "--progress", "-b", 3, f"{cloudpath}/0", f"{cloudpath}/2").code == 0
    run("rm", "-", stdin=f"{cloudpath}/3\n{cloudpath}/4\n")
    assert set(cf) == everything - TENS - {"0", "2", "3", "4"}
    cf["deep2/x"] = b""
    assert "deep2/x" in rm(f"{cloudpath}/deep", recursive=True)
    assert "deep/x" not in set(cf)
    run("rm", "-r", f"{cloudpath}/5", f"{cloudpath}/deep2/")
    assert cf.exists(["5", "deep2/x", "6"]) == {"5": False, "deep2/x": False, "6": True}


def test_rm_keeps_the_directory_itself(run, src):
    run("rm", "-r", src)
    assert os.listdir(src) == []


# ---------------------------------------------------------------------- cat, touch, mkdir, head, du
@row(SYSTEM, "cli: cat of a missing file prints '... does not exist'; -r 0-5, -5, 0-, 6-11, ends exclusive; '-'")
@row(
    SYSTEM,
    "cli: cat and cp to '-' decode all as UTF-8, and hold it in memory",
    "kept and fixed",
    "bytes are written as they are, and a single file as a stream",
)
def test_cat(run, src):
    assert run("cat", src / "1").out == "hello world"
    assert run("cat", src / "1", src / "2").out == "hello world" * 2
    assert run("cat", "-", stdin=f"{src}/1\n{src}/2\n").out == "hello world" * 2
    found = {bounds: run("cat", "-r", bounds, src / "1").out for bounds in ("0-5", "-5", "0-", "6-11")}
    assert found == {"0-5": "hello", "-5": "hello", "0-": "hello world", "6-11": "world"}
    for extra in ((), ("-r", "0-5"), ("--no-sign-request",)):
        ran = run("cat", *extra, "doesnotexist")
        assert (ran.code, ran.out.endswith("doesnotexist does not exist\n")) == (0, True)
    assert "single source" in run("cat", "-r", "0-5", src / "1", src / "2").out
    assert run("cat", "-r", "5-2", src / "1").code == 2
    CloudFiles(str(src)).put("bin", b"\xff\x00" * 10, compress="gzip")
    done = subprocess.run(
        [sys.executable, "-c", "from holdfast.compat.cloudfiles_cli import main; main()", "cat", src / "bin"],
        capture_output=True,
    )
    assert done.stdout == b"\xff\x00" * 10
    (src / "large").write_bytes(bytes(1 << 20))
    program = f"{sys.executable} -c 'from holdfast.compat.cloudfiles_cli import main; main()'"
    for command in (f"cat {src}/large", f"cp {src}/large -", f"cp '{src}/l*' -", f"ls {src}/"):
        done = subprocess.run(f"{program} {command} | head -c 1", shell=True, capture_output=True, timeout=60)
        assert (len(done.stdout), done.stderr) == (1, b"")


@row(SYSTEM, "cli: touch --progress --no-sign-request; mkdir")
def test_touch_and_mkdir(run, tmp_path, cloudpath, cf):
    (tmp_path / "there").write_text("x")
    assert run("touch", "--progress", "--no-sign-request", tmp_path / "there", tmp_path / "new").code == 0
    assert ((tmp_path / "there").read_text(), (tmp_path / "new").read_text()) == ("x", "")
    assert run("touch", f"{cloudpath}/a", f"{cloudpath}/b/c").code == 0
    assert sorted(cf) == ["a", "b/c"]
    run("mkdir", tmp_path / "a" / "b", "gs://bucket/x", f"file://{tmp_path}/c")
    assert (tmp_path / "a" / "b").is_dir()
    assert (tmp_path / "c").is_dir()


@row(SYSTEM, "cli: head prints dicts, of one or of many, with globs")
@row(SYSTEM, "cli: du -c -s -h -N -e")
def test_head_and_du(run, src):
    assert "'Content-Length': 11" in run("head", src / "1").out
    assert "File not found" in run("head", src / "none").out
    assert run("head", f"{src}/1*").out.count("'Content-Length': 11") == len(TENS)
    assert run("head", src / "1", src / "2").out.count("'Content-Length': 11") == 2
    (src / "big.BIN").write_bytes(bytes(2048))
    total = 11 * len(NAMES) + 2048
    lines = run("du", src).out.splitlines()
    assert len(lines) == len(NAMES) + 1
    assert "2048\tbig.BIN" in lines
    assert run("du", "-s", src).out == f"{total}\t{src}\n"
    assert run("du", src / "1").out == f"11\t{src}/1\n"
    lines = run("du", "-schN", src / "big.BIN", src).out.splitlines()
    assert lines == [
        f"2.00 KiB\t{src}/big.BIN", f"2.26 KiB\t{src}", "4.26 KiB\tbytes total", f"{len(NAMES) + 2}\tfiles total",
    ]  # fmt: skip
    assert run("du", "-se", src).out.splitlines()[1:] == [
        "", "Usage by file extension:", "2048\t.bin", f"{11 * len(NAMES)}\t(no extension)",
    ]  # fmt: skip
    assert "does not exist" in run("du", src / "none").out


# ---------------------------------------------------------------------- ls
@row(SYSTEM, "cli: ls --shortpath --flat -e/--expr --no-auth; a path is a string prefix, with globs")
def test_ls(run, cf, cloudpath):
    cf.puts((name, b"") for name in ("a0", "a1", "b0", "b1", "c/d/e", "c/f.jpg"))

    def ls(*arguments):
        return run("ls", "--shortpath", *arguments).out.split()

    assert run("ls", f"{cloudpath}/a").out.split() == [f"{cloudpath}/a0", f"{cloudpath}/a1"]
    assert ls(f"{cloudpath}/") == ls("--no-auth", f"{cloudpath}/") == ["a0", "a1", "b0", "b1", "c/d/e", "c/f.jpg"]
    assert ls("--flat", f"{cloudpath}/") == ls(f"{cloudpath}/*") == ["a0", "a1", "b0", "b1", "c/"]
    assert ls(f"{cloudpath}/a*") == ["a0", "a1"]
    assert ls(f"{cloudpath}/**jpg") == ["c/f.jpg"]
    assert ls("-e", f"{cloudpath}/[ab]1") == ["a1", "b1"]
    assert ls("-e", f"{cloudpath}/[a-c][/0]{{1}}") == ["a0", "b0", "c/d/e", "c/f.jpg"]


@row(SYSTEM, "cli: ls --sqlite FILE --progress writes tables files, checkpoint and metadata, and goes on where it was")
def test_ls_into_a_database(run, cf, cloudpath, tmp_path):
    def rows():
        with sqlite3.connect(tmp_path / "list.db") as connection:
            found = dict(connection.execute("select path, size from files"))
            assert connection.execute("select value from metadata").fetchone() == (cf.cloudpath,)
        connection.close()
        return found

    def ls(path):
        return run("ls", "--progress", "--sqlite", tmp_path / "list.db", path)

    cf.puts([("a", b"1"), ("b", b"22")])
    assert ls(f"{cloudpath}/").code == 0
    assert rows() == {"a": 1, "b": 2}
    cf["a2"], cf["c"] = b"behind", b"333"
    assert "Resuming from 2 rows" in ls(f"{cloudpath}/").out
    assert rows() == {"a": 1, "b": 2, "c": 3}
    assert "does not match" in ls("mem://compat-other/").out
    (tmp_path / "text").write_text("no database" * 100)
    assert "cannot be a database" in run("ls", "--sqlite", tmp_path / "text", f"{cloudpath}/").err


# ---------------------------------------------------------------------- verify, xfer, alias, watch, license
@row(SYSTEM, "cli: verify -m -v --md5 --multipart-threshold --part-size")
@row(
    SYSTEM,
    "cli: verify ends with exit code 0 when it failed, and refuses local files without --md5",
    "kept and fixed",
    "the exit code is 1; local files are read, because nothing else tells what is in them",
)
def test_verify(run, cf, cloudpath, src):
    cf.puts((name, b"hello world") for name in NAMES)
    good = run("verify", src, f"{cloudpath}/")
    assert good.out.startswith(f"success. {len(NAMES)} files matching. 0 ignored.")
    assert run("verify", "--md5", "--multipart-threshold", 100, "--part-size", 100, src, f"{cloudpath}/").code == 0
    assert run("verify", src / "1", f"{cloudpath}/2").code == 0
    cf["extra"] = b""
    bad = run("verify", "-v", src, f"{cloudpath}/")
    assert (bad.code, "extra" in bad.out, f"{len(NAMES)} source files" in bad.out) == (1, True, True)
    assert run("verify", "-m", src, f"{cloudpath}/").code == 0
    cf["1"] = b"hello_world"
    bad = run("verify", "-mv", src, f"{cloudpath}/")
    assert (bad.code, "1: " in bad.out) == (1, True)
    assert f"1 failed. {len(NAMES) - 1} succeeded. 1 ignored." in bad.out
    assert run("verify", src / "1", f"{cloudpath}/1").code == 1
    assert run("verify", src, f"{cloudpath}/1").code == 1


@row(SYSTEM, "cli: xfer init [-c --db --txt] SRC DEST; xfer execute [--progress --lease-msec -b] DB, which deletes DB")
def test_xfer(run, src, tmp_path):
    db, dest = tmp_path / "xfer.db", tmp_path / "dest"
    assert run("xfer", "init", src, dest, "--db", db).code == 0
    assert not dest.exists()
    assert run("xfer", "execute", "--progress", "--lease-msec", 1000, "-b", 5, db).code == 0
    assert inside(dest) == set(NAMES)
    assert not db.exists()
    (tmp_path / "names").write_text("1\n2\n")
    run("xfer", "init", "-c", "gzip", "--txt", tmp_path / "names", src, tmp_path / "two", "--db", db)
    run("xfer", "execute", db)
    assert inside(tmp_path / "two") == {"1.gz", "2.gz"}
    assert run("xfer", "init", src, dest).code == 2


@row(SYSTEM, "cli: alias ls | add NAME HOST | rm NAME")
def test_alias(run, tmp_path):
    assert run("alias", "add", "lab", f"mem://compat-{tmp_path.name}/").code == 0
    assert f"lab://          -> mem://compat-{tmp_path.name}/\n" in run("alias", "ls").out
    assert "(official)" in run("alias", "ls").out
    assert "already exists" in run("alias", "add", "lab", "s3://https://lab.example/").out
    assert "cannot be aliased" in run("alias", "add", "gs", "s3://https://lab.example/").out
    assert "official" in run("alias", "rm", "matrix").out
    run("alias", "rm", "lab")
    assert "lab://" not in run("alias", "ls").out


@row(SYSTEM, "cli: watch net print [--duration --interval --one-line] | histogram [--duration --interval --filename]")
@pytest.mark.skipif(sys.platform != "linux", reason="the counters are Linux's")
def test_watch(run, tmp_path):
    printed = run("watch", "net", "print", "--duration", 0.02, "--interval", 0.01)
    assert printed.code == 0
    assert re.match(r"^t=\d+\.\ds \| RX: \d+\.\d\d MB/sec \(\d\.\d\d Gbps\) \| TX: ", printed.out)
    assert "\r" in run("watch", "net", "print", "--duration", 0.02, "--interval", 0.01, "--one-line").out
    pytest.importorskip("matplotlib")
    picture = tmp_path / "rates.png"
    run("watch", "net", "histogram", "--duration", 0.02, "--interval", 0.01, "--filename", picture)
    assert picture.read_bytes().startswith(b"\x89PNG")


@row(
    SYSTEM,
    "cli: group option -p/--parallel, 0 or less for all cores; license; the module cloudfiles_cli.cloudfiles_cli",
)
def test_the_group(run, src, tmp_path):
    assert "Apache License" in run("license").out
    assert run("-p", 0, "cp", "-r", src, tmp_path / "dest").code == 0
    assert inside(tmp_path / "dest") == set(NAMES)
    wanted = [
        "ls",
        "cp",
        "mv",
        "rm",
        "touch",
        "cat",
        "mkdir",
        "du",
        "head",
        "verify",
        "xfer",
        "alias",
        "watch",
        "license",
    ]
    assert sorted(main.commands) == sorted(wanted)
    program = (
        "import holdfast.compat as c; c.install('cloudfiles')\n"
        "from cloudfiles_cli.cloudfiles_cli import _mv_single, _rm_many, main\n"
        "import cloudfiles_cli; assert cloudfiles_cli.main is main; main(['cat', '--help'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert "--range" in done.stdout


@row(
    SYSTEM,
    "cli: errors are tracebacks",
    "kept and fixed",
    "one line on standard error without secrets, and the exit code 1",
)
def test_errors_are_one_line(run, tmp_path):
    ran = run("ls", "s3://http://user:secret@127.0.0.1:9/bucket/x")
    assert (ran.code, ran.out, ran.err.count("\n"), "secret" in ran.err) == (1, "", 1, False)
    assert run("cp", tmp_path, "ftp://x/").err.startswith("cloudfiles: ")


@row(SYSTEM, "cli: Ctrl-C", "kept and fixed", "one line, no traceback, the exit code 130, and the bar is gone")
@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_ctrl_c(src, tmp_path):
    import pty
    import signal

    program = (
        "import threading\n"
        "from holdfast.compat.cloudfiles_cli import main\n"
        "from holdfast import progress\n"
        "from holdfast.sync.performing import Performer\n"
        "progress.PATIENCE = 0\n"
        "perform = Performer.__call__\n"
        "Performer.__call__ = lambda self, task: threading.Event().wait() if task.number else perform(self, task)\n"
        "main()\n"
    )
    controller, terminal = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-c", program, "cp", "-r", "--progress", src, tmp_path / "dest"],
        stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True, env={**os.environ, "TERM": "xterm"},
    )  # fmt: skip
    os.close(terminal)
    screen = b""
    try:
        while b"syncing" not in screen:
            screen += os.read(controller, 65536)
        child.send_signal(signal.SIGINT)
        while True:
            try:
                data = os.read(controller, 65536)
            except OSError:  # how Linux says that nobody holds the other end any more
                break
            screen += data
        assert child.wait(timeout=30) == 130
    finally:
        child.kill()
        child.wait()
        os.close(controller)
    shown = screen.decode(errors="replace")
    assert "cloudfiles: interrupted" in shown
    assert "Traceback" not in shown
    assert "Aborted" not in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h")  # the cursor is hidden as often as it is shown again


@row(SYSTEM, "cli: cp and mv --part-bytes, xfer execute -b: the parts of large files, and the files of a claim")
@pytest.mark.server
@pytest.mark.parametrize("parallel", [1, 2])
def test_parts(run, tmp_path, moto, monkeypatch, parallel):
    for name, value in moto.environment.items():
        monkeypatch.setenv(name, value)
    where = moto.url(moto.make_bucket(), "d")
    source = tmp_path / "large"
    source.mkdir()
    body = os.urandom(11 << 20)
    (source / "big").write_bytes(body)
    assert run("-p", parallel, "cp", "-r", "--part-bytes", 5 << 20, source, where).code == 0
    assert CloudFiles(where).head("big")["ETag"].strip('"').endswith("-3")
    assert run("-p", parallel, "mv", "--part-bytes", 6 << 20, source, f"{where}/moved").code == 0
    assert CloudFiles(where).head("moved/big")["ETag"].strip('"').endswith("-2")
    assert CloudFiles(where).get("moved/big") == body


def test_xfer_claims_blocks(run, src, tmp_path, monkeypatch):
    claimed, claim = [], JournalQueue.claim

    def watched(self, phase, most):
        tasks = claim(self, phase, most)
        claimed.append(len(tasks))
        return tasks

    monkeypatch.setattr(JournalQueue, "claim", watched)
    run("xfer", "init", src, tmp_path / "dest", "--db", tmp_path / "xfer.db")
    assert run("xfer", "execute", "-b", 5, tmp_path / "xfer.db").code == 0
    assert [count for count in claimed if count] == [5, 5, 5, 5, 4]
