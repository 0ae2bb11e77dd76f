"""Bulk calls in several processes: the same results, in order, bounded, and nobody left behind."""

from __future__ import annotations

import io
import itertools
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast import CloudFiles, ConfigError, HoldfastError, aliases
from holdfast import errors as e
from holdfast.engine import processes, spread
from holdfast.files.reading import reader
from holdfast.files.single import asker, exists
from holdfast.files.work import Job, _Remote, processes_of
from tests.files.parallel_jobs import SIZE, Unportable, Waiting


def children() -> set[int]:
    """The processes that this one has started and that are still there."""
    own = str(os.getpid())
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[1] == own and fields[0] != "Z":
            found.add(int(status.parent.name))
    return found


@pytest.fixture(autouse=True)
def no_children():
    before = children()
    yield
    assert children() <= before


@pytest.fixture
def files(tmp_path):
    return CloudFiles(str(tmp_path / "root"))


CONTENTS = {f"k{number:04}": os.urandom(50) * (number % 40) for number in range(700)}


def test_parallel_calls_give_what_threads_give(files):
    assert files.puts(CONTENTS.items(), compress="gzip", parallel=2) == 700
    wanted = [*CONTENTS, "missing", "k0001"]
    assert files.get(wanted, parallel=2) == files.get(wanted)
    assert files.get(iter(wanted), parallel=3, return_dict=True) == {**CONTENTS, "missing": None}
    assert files.delete(iter(CONTENTS), parallel=2) == 700
    assert list(files) == []


def test_parallel_calls_use_the_secrets_that_were_given(ceph):
    secrets = {"AWS_ACCESS_KEY_ID": ceph.access_key, "AWS_SECRET_ACCESS_KEY": ceph.secret_key}
    files = CloudFiles(ceph.url(ceph.make_bucket(), "d"), secrets=secrets, parallel=2)
    assert files.parallel == 2
    assert files.puts((f"k{number}", b"%d" % number) for number in range(40)) == 40
    assert [row["content"] for row in files.get(f"k{number}" for number in range(40))] == [
        b"%d" % number for number in range(40)
    ]
    assert secrets["AWS_SECRET_ACCESS_KEY"].encode() not in pickle.dumps(files)


def test_what_no_pickle_carries_is_written_by_this_process(files, tmp_path):
    (tmp_path / "source").write_bytes(b"from a path")
    wanted = [
        ("handle", open(tmp_path / "source", "rb")),  # noqa: SIM115 - closed by the call's end
        ("iterator", iter([b"it", b"erator"])),
        ("path", tmp_path / "source"),
        ("buffer", io.BytesIO(b"buffer")),
        ("bytes", b"bytes"),
    ]
    with wanted[0][1]:
        assert files.puts(wanted, parallel=2) == 5
    assert files.get(["handle", "iterator", "path", "buffer", "bytes"], return_dict=True) == {
        "handle": b"from a path",
        "iterator": b"iterator",
        "path": b"from a path",
        "buffer": b"buffer",
        "bytes": b"bytes",
    }


def test_what_is_in_this_processs_memory_stays_with_its_threads():
    files = CloudFiles("mem://parallel-tests", parallel=4)
    files.puts([("a", b"1"), ("b", b"2")])
    assert files.get(["a", "b"], return_dict=True) == {"a": b"1", "b": b"2"}


def test_processes_work_where_this_one_meant_to(tmp_path, monkeypatch):
    monkeypatch.setattr(aliases, "_of_this_process", {})
    (tmp_path / "start").mkdir()
    monkeypatch.chdir(tmp_path / "start")
    files = CloudFiles("relative/root", parallel=2)
    aliases.add_alias("lab", f"file://{tmp_path}/start/")
    monkeypatch.chdir(tmp_path)
    files.puts([("a", b"1"), ("b", b"2")])
    assert CloudFiles("lab://relative/root", parallel=2).get(["a", "b"], return_dict=True) == {"a": b"1", "b": b"2"}
    assert (tmp_path / "start" / "relative" / "root" / "a").read_bytes() == b"1"


def test_errors_come_back_whole(files, tmp_path):
    files.puts(CONTENTS.items())
    with pytest.raises(e.InvalidKey) as raised:
        files.get([*CONTENTS, "../escape"], parallel=2)
    assert raised.value.key == "../escape"
    rows = files.get(["k0001", "../escape"], parallel=2, raise_errors=False)
    assert [type(row["error"]) for row in rows] == [type(None), e.InvalidKey]


def test_an_error_of_the_items_is_raised_here(files):
    def broken():
        yield from CONTENTS
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        files.get(broken(), parallel=2)


def test_a_store_that_cannot_be_sent_says_so(files):
    class Store(type(files.store)):
        """A class that no other process can import."""

    here = CloudFiles(Store(files.store))
    with pytest.raises((pickle.PicklingError, AttributeError)):
        here.get(["a", "b"], parallel=2)


def test_large_results_in_order_arrive_with_a_budget_of_one(tmp_path):
    files = CloudFiles(str(tmp_path))
    files.puts((f"k{number:02}", bytes([number]) * 300_000) for number in range(60))
    remote = _Remote(files._work.recipe, Job(reader, (False, None, None, False)), None)
    run = spread(remote, sorted(files), workers=2, ordered=True, budget=400_000)
    assert [outcome.value["content"][:1] for outcome in run] == [bytes([number]) for number in range(60)]


def peak_memory(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    found = status.partition("VmHWM:")[2].split()
    return int(found[0]) << 10 if found else 0  # it has just ended


@pytest.mark.timeout(60)
def test_what_is_undelivered_is_bounded_in_bytes_on_both_sides(tmp_path, monkeypatch):
    budget, gate = 8 << 20, tmp_path / "gate"
    early, peaks, quiet = [], {}, []
    receive = processes._Crew.receive

    def watched(crew, owner):
        arrived = receive(crew, owner)
        early.append(crew.early)
        peaks.update({child.pid: peak_memory(child.pid) for child in crew.children if not child.done})
        return arrived

    def progress(count):
        quiet.append(not count and early[-1] > 0)
        if sum(quiet) == 10:  # the others have gone as far as they may
            gate.touch()

    monkeypatch.setattr(processes._Crew, "receive", watched)
    run = spread(Waiting(str(gate)), range(200), workers=2, ordered=True, progress=progress, budget=budget)
    assert [outcome.value[0] for outcome in run] == [number % 256 for number in range(200)]
    assert max(early) <= budget + 2 * processes.MESSAGE_BYTES + 4 * SIZE
    assert len(peaks) == 2
    assert max(peaks.values()) < budget + (100 << 20)  # the interpreter itself has some 40 MiB


def test_what_no_pickle_carries_back_is_told():
    run = spread(Unportable(), iter(range(2)), workers=1)
    with pytest.raises(HoldfastError, match=r"cannot pickle 'generator'|Strange"):
        list(run)


def test_a_process_that_is_killed_is_an_error_and_not_a_hang(files, monkeypatch):
    files.puts(CONTENTS.items())
    started = []
    make = processes._Process

    def remembering(*args):
        started.append(make(*args))
        return started[-1]

    monkeypatch.setattr(processes, "_Process", remembering)

    def paths():
        for number, path in enumerate(CONTENTS):
            if number == 300:
                os.kill(started[0].pid, signal.SIGKILL)
            yield path

    with pytest.raises(HoldfastError, match="ended with code -9"):
        files.get(paths(), parallel=2)


def test_an_interpreter_that_cannot_run_is_an_error_and_not_a_hang(files, monkeypatch):
    monkeypatch.setattr(processes, "_CHILD", "raise SystemExit(3)")
    with pytest.raises(HoldfastError, match="ended with code 3"):
        files.get(["a", "b"], parallel=2)


def test_a_break_ends_the_processes(files):
    files.puts(CONTENTS.items())
    before = children()
    outcomes = files._work.many(Job(asker, (exists,)), itertools.cycle(CONTENTS), "Asking", parallel=2)
    assert next(outcomes).value is True
    workers = children() - before
    assert len(workers) == 2
    # Ctrl-C in a terminal goes to a whole process group: theirs are their own, so that they print nothing about it.
    assert {os.getpgid(pid) for pid in workers} == workers
    outcomes.close()


UNGUARDED = """
import sys
from holdfast import CloudFiles
files = CloudFiles(sys.argv[1], parallel=2)
print(sum(len(row["content"]) for row in files.get(files.list())), flush=True)
if len(sys.argv) > 2:
    def endless():
        for count in range(1 << 60):
            if count == 3000:  # the processes are there, and busy
                print("endless", flush=True)
            yield f"k{count % 100}"
    files.delete(endless(), parallel=2)
"""


def test_a_program_needs_no_guard(files):
    files.puts([("a", b"12"), ("b", b"345")])
    command = [sys.executable, "-", files.cloudpath]
    done = subprocess.run(command, input=UNGUARDED, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("5\n", "")


def test_ctrl_c_ends_the_call_and_its_processes_at_once(files):
    files.puts([("a", b"12"), ("b", b"345")])
    command = [sys.executable, "-c", UNGUARDED, files.cloudpath, "endless"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as program:
        assert program.stdout.readline() == "5\n"
        assert program.stdout.readline() == "endless\n"
        os.killpg(program.pid, signal.SIGINT)
        _, errors = program.communicate(timeout=30)
    assert errors.count("Traceback") == 1
    assert "KeyboardInterrupt" in errors


def test_numbers_of_processes():
    assert [processes_of(wanted) for wanted in (1, False, 5)] == [1, 1, 5]
    assert processes_of(True) == processes_of(0) == processes_of(-1) >= 1
    with pytest.raises(ConfigError, match="number of processes"):
        CloudFiles("mem://parallel-tests", parallel="many")
