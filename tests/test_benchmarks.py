"""The benchmarks measure what they say, refuse what did not happen, and still run."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from benchmarks import (
    cloudfiles,
    cloudfiles_subjects,
    data,
    mappings,
    measure,
    prepared,
    processes,
    results,
    run,
    store_subjects,
    stores,
)
from benchmarks.processes import BenchmarkFailed
from holdfast import CloudFiles, KeyValidatingStore
from holdfast.errors import Conflict
from tests.servers import Moto


def test_two_things_are_measured_alternately_after_a_warm_up_of_each():
    order = []
    values = iter([9.0, 9.0, 1.0, 2.0, 1.0, 4.0])

    def measured(name):
        order.append(name)
        return next(values)

    pairs = measure.alternate(lambda: measured("A"), lambda: measured("B"), rounds=2)
    assert order == ["A", "B"] * 3
    assert pairs == ([1.0, 1.0], [2.0, 4.0])


@pytest.mark.parametrize(("target", "verdict"), [(3.0, "yes"), (3.1, "**NO**"), (None, "for information")])
def test_the_ratio_is_the_median_of_the_pairs_and_decides_about_the_target(target, verdict):
    row = results.Comparison("read", "nginx", "boto3", [1.0, 2.0, 1.0], [3.0, 4.0, 7.0], "s", target)
    assert row.ratios == [3.0, 2.0, 7.0]
    assert row.cells()[4] == "3.00x (2.00 to 7.00)"
    assert row.cells()[-1] == verdict


@pytest.mark.parametrize(("limit", "verdict"), [(0.050, "yes"), (0.049, "**NO**"), (None, "for information")])
def test_a_bound_compares_the_median_with_its_limit(limit, verdict):
    row = results.Bound("import", "", [0.01, 0.05, 0.9], "ms", limit)
    assert row.cells()[2] == "50 ms (10 to 900)"
    assert row.cells()[-1] == verdict


@pytest.mark.parametrize(("limit", "verdict"), [(3, "yes"), (2, "**NO**")])
def test_a_count_compares_with_what_is_enough(limit, verdict):
    cells = results.Count("list", "nginx", "requests", 3, limit).cells()
    assert cells[2] == "3 requests"
    assert cells[-1] == verdict
    assert len(cells) == len(results.HEADER)
    assert results.Count("list", "nginx", "requests", 3, limit, "boto3: 7").cells()[3] == "boto3: 7"


def test_the_table_has_a_cell_for_each_column_and_no_stray_bars():
    rows = [
        results.Bound("a|b", "", [1.0], "s", 2.0),
        results.Comparison("read", "nginx", "boto3", [1.0], [3.0], "s", None),
    ]
    lines = results.table(rows).splitlines()
    assert "a\\|b" in lines[2]
    assert {line.replace("\\|", "").count("|") for line in lines} == {len(results.HEADER) + 1}


def test_a_copy_that_lacks_or_changes_anything_is_refused(tmp_path):
    tree = data.small_files(tmp_path / "source", 120, 1, 100)
    assert data.small_files(tmp_path / "copy", 120, 1, 100).nbytes == tree.nbytes
    tree.verify(tmp_path / "copy", contents=True)
    changed = tmp_path / "copy" / tree.keys[-1]
    changed.write_bytes(bytes(changed.stat().st_size))
    tree.verify(tmp_path / "copy")
    with pytest.raises(BenchmarkFailed, match="object-00119"):
        tree.verify(tmp_path / "copy", contents=True)
    changed.unlink()
    with pytest.raises(BenchmarkFailed, match="119 files"):
        tree.verify(tmp_path / "copy")


@pytest.mark.parametrize("terminal", [False, True])
def test_a_process_is_measured_with_what_it_used(terminal, tmp_path):
    program = "import sys; data = b'x' * 50_000_000; print(len(data), sys.stderr.isatty())"
    finished = processes.run([sys.executable, "-c", program], processes.environment(tmp_path), terminal=terminal)
    assert finished.output.split() == ["50000000", str(terminal)]
    assert finished.peak > 50_000_000
    assert 0 < finished.cpu < 60
    assert 0 < finished.seconds < 60


def test_a_program_that_fails_is_no_measurement(tmp_path):
    with pytest.raises(BenchmarkFailed, match=r"status 3:\nno luck"):
        processes.run([sys.executable, "-c", "print('no luck'); exit(3)"], processes.environment(tmp_path))


def test_a_worker_that_moves_something_else_is_no_measurement(tmp_path):
    tree = data.small_files(tmp_path / "tree", 10, 5, 5)
    arguments = {"root": str(tree.root), "keys": tree.keys, "items": 10, "nbytes": 51}
    log, env = tmp_path / "log", processes.environment(tmp_path)
    with (
        pytest.raises(BenchmarkFailed, match=r"'nbytes': 50.* instead of .*'nbytes': 51"),
        measure.worker("read-open", arguments, env, log) as measured,
    ):
        measured()
    with measure.worker("read-open", {**arguments, "nbytes": 50}, env, log) as measured:
        assert 0 < measured() < 60
    with (
        pytest.raises(BenchmarkFailed, match="KeyError: 'no such subject'"),
        measure.worker("no such subject", arguments, env, log),
    ):
        pass


def test_the_wrappers_that_are_measured_are_there_and_let_the_object_through(tmp_path):
    env = processes.environment(tmp_path)
    for layers in (stores.STACK, ["ReadonlyStore", "LoggingStore, a record for each GET"]):
        arguments = {"layers": layers, "count": 3, "items": 1, "nbytes": 5}
        with measure.worker("layer", arguments, env, tmp_path / "log") as measured:
            measured()
    assert set(stores.ALONE) == store_subjects._layers().keys()


def test_a_layer_that_takes_its_time_is_seen(monkeypatch):
    def slow(store):
        return KeyValidatingStore(store, lambda _: time.sleep(0.002))

    monkeypatch.setattr(store_subjects, "_layers", lambda: {"slow": slow})
    sample = store_subjects.layer({"layers": ["slow"], "count": 1, "items": 1, "nbytes": 5})()
    assert sample.seconds > 0.001
    assert (sample.items, sample.nbytes) == (1, 5)


@pytest.mark.server
def test_prepared_answers_are_what_a_service_would_say(tmp_path, monkeypatch):
    for name, value in processes.ANYBODY.items():
        monkeypatch.setenv(name, value)
    tree = data.small_files(tmp_path / "tree", 3, 4096, 4096)
    with prepared.Prepared(tmp_path / "nginx", tree, listed=2500) as server:
        places = {name: CloudFiles(f"s3://{server.endpoint}/{name}") for name in prepared.BUCKETS}
        rows = list(places["listed"].list(size=True))
        assert rows == [(prepared.listed_key(number), prepared.listed_size(number)) for number in range(2500)]
        assert server.listing_requests() == 3
        for name in ("stamped", "digests"):
            assert places[name].get(tree.keys[0]) == (tree.root / tree.keys[0]).read_bytes()
            assert places[name].exists(tree.keys) == dict.fromkeys(tree.keys, True)
        assert places["discard"].puts([(key, b"x") for key in tree.keys]) == 3
        assert places["deleted"].delete([f"{number}" for number in range(2001)]) == 2001
        (tree.root / tree.keys[0]).write_bytes(bytes(4096))
        # Not believed; and it is asked again under an ETag that nginx does not know to be its own.
        with pytest.raises(Conflict):
            places["stamped"].get(tree.keys[0])


@pytest.mark.server
def test_prepared_answers_say_how_objects_are_encoded(tmp_path, monkeypatch):
    for name, value in processes.ANYBODY.items():
        monkeypatch.setenv(name, value)
    keys = cloudfiles._spread(tmp_path / "tree", 3, suffixes=False)
    tree = data.Tree(tmp_path / "tree", [key for found in keys.values() for key in found], 0)
    with prepared.Prepared(tmp_path / "nginx", tree) as server:
        files = CloudFiles(f"s3://{server.endpoint}/digests")
        bodies = list(cloudfiles_subjects.documents(3))
        for codec, found in keys.items():
            rows = files.get(found)
            assert [row["content"] for row in rows] == bodies
            assert {row["compress"] or None for row in rows} == {codec}


def test_what_both_libraries_are_measured_at_is_done_by_both(tmp_path):
    keys = [f"0/{number}" for number in range(30)]
    (tmp_path / "files").mkdir()
    arguments = {"url": f"file://{tmp_path}/files", "keys": keys, "items": 30, "stored": True}
    size = cloudfiles_subjects.DOCUMENT_SIZE
    for library in (cloudfiles_subjects.HOLDFAST, cloudfiles_subjects.RIVAL):
        for call, nbytes, more in (("bulk-puts", 30 * size, {"codec": "br"}), ("bulk-delete", 0, {})):
            told = {**arguments, "library": library, "nbytes": nbytes, **more}
            with measure.worker(call, told, processes.environment(tmp_path), tmp_path / "log") as measured:
                assert 0 < measured() < 60
    assert [path.name for path in (tmp_path / "files").iterdir() if path.is_file()] == []


@pytest.mark.server
def test_what_mappings_are_measured_at_is_counted_by_the_server(tmp_path):
    setting = measure.Setting(tmp_path, quick=True, rounds=1)
    keys = [f"0/{number}" for number in range(30)]
    with Moto(tmp_path) as server:
        both = mappings.Both(setting, server)
        bucket = both.fill(keys)
        for subject, requests, more in (("sync", 1, {}), ("get", 30, {"within": "0"}), ("blind", 31, {"within": "0"})):
            wanted = [*keys, "missing"] if subject == "blind" else keys
            nbytes = 3000 if subject == "get" else 0
            with both.bench.worker(f"mapping-{subject}-holdfast", bucket, 30, nbytes, keys=wanted, **more) as measured:
                measured()
                assert both.counted(bucket, measured) == requests
        with both.bench.worker("mapping-modify-holdfast", bucket, 16, 0, threads=8) as measured:
            assert both.counted(bucket, measured) >= 32
        assert both._counter(bucket) == 16


@pytest.mark.slow
def test_the_benchmarks_that_need_no_server_run_and_leave_nothing_behind(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("signal.signal", lambda *_: None)  # of the test run itself
    benchmarks = ("startup", "local-read", "wrappers", "sqlite", "zip-reads")
    assert run.main(["--quick", *(word for name in benchmarks for word in ("--only", name))]) == 0
    printed = capsys.readouterr().out
    assert "import holdfast" in printed
    assert "file store" in printed
    assert "put_many" in printed
    assert "deflated members" in printed
    assert "HashPrefixStore, RegexValidatingStore" in printed
    assert "written to" not in printed
    assert list(Path(tmp_path).iterdir()) == []
