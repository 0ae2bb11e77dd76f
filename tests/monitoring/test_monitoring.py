"""Recordings of transfers and of the machine's network: totals, rates, histograms, merging, pickling, pictures."""

from __future__ import annotations

import pickle
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from holdfast import ConfigError, Unsupported
from holdfast.monitoring import IOEnum, IOSampler, TransmissionMonitor, rates, sampler


def recorded(*spans, direction=IOEnum.RX):
    monitor = TransmissionMonitor(direction)
    for begin, end, nbytes in spans:
        monitor.add(begin, end, nbytes)
    return monitor


def test_totals_and_rates():
    monitor = recorded((10.0, 11.0, 1000), (11.0, 12.0, 3000))
    assert monitor.total_bytes() == 4000
    assert (monitor.start_unix_time(), monitor.end_unix_time()) == (10.0, 12.0)
    assert monitor.total_bps() == 16_000
    assert monitor.total_Mbps() == 0.016
    assert monitor.total_Gbps() == pytest.approx(16e-6)
    assert monitor.total_MBps() == 0.002
    assert monitor.total_GBps() == pytest.approx(2e-6)
    assert monitor.peak_bps() == 24_000


def test_an_empty_recording_says_nothing_and_does_not_fail():
    monitor = TransmissionMonitor(IOEnum.TX)
    assert (monitor.total_bytes(), monitor.total_bps(), monitor.peak_bps(), monitor.current_bps()) == (0, 0, 0, 0)
    assert list(monitor.histogram()) == []
    assert TransmissionMonitor.merge([]).direction is IOEnum.TX


def test_transfers_are_recorded_while_they_happen():
    monitor = TransmissionMonitor(IOEnum.RX)
    first, second = monitor.start_io(10), monitor.start_io(0, time.monotonic() - 1.0)
    monitor.end_error(second)
    monitor.end_io(second, 4)
    monitor.end_io(first, 10)
    one, two = monitor.transmissions()
    assert (one.flight, one.nbytes, two.flight, two.nbytes) == (second, 4, first, 10)
    assert one.end - one.begin >= 1.0
    assert monitor.failed(second)
    assert not monitor.failed(first)
    with pytest.raises(KeyError):
        monitor.end_io(first, 10)


def test_the_present_rate_counts_the_part_that_lies_in_it():
    now = time.monotonic()
    monitor = recorded((now - 100, now - 90, 10**9), (now - 20, now + 0.5, 20_500))
    assert monitor.current_bps(look_back_sec=10.0) == pytest.approx(8000, rel=0.1)
    assert monitor.current_Mbps(10.0) == pytest.approx(0.008, rel=0.1)
    assert monitor.current_Gbps(10.0) == pytest.approx(8e-6, rel=0.1)
    assert monitor.current_MBps(10.0) == pytest.approx(0.001, rel=0.1)
    assert monitor.current_GBps(10.0) == pytest.approx(1e-6, rel=0.1)


@pytest.mark.parametrize(
    ("spans", "resolution", "bins"),
    [
        ([(0.0, 1.0, 100)], 1.0, [100]),
        ([(0.0, 4.0, 100)], 1.0, [25, 25, 25, 25]),
        ([(0.0, 1.5, 90)], 1.0, [60, 30]),
        ([(5.0, 5.0, 7), (6.0, 6.0, 1)], 1.0, [8]),
        ([(5.0, 5.0, 7), (6.5, 6.5, 1)], 1.0, [7, 1]),
        ([(0.25, 2.25, 3), (1.25, 2.25, 10)], 0.5, [1, 1, 5, 6]),
    ],
)
def test_a_histogram_loses_no_byte(spans, resolution, bins):
    found = recorded(*spans).histogram(resolution)
    assert [int(value) for value in found] == bins
    assert sum(bins) == sum(span[2] for span in spans)


def test_many_spans_keep_their_sum():
    spans = [(number / 7, number / 7 + number / 3, number) for number in range(1, 200)]
    for resolution in (0.1, 0.37, 1.0, 60.0):
        assert sum(rates.histogram(spans, resolution)) == sum(range(200))
    with pytest.raises(ValueError, match="above 0"):
        rates.histogram(spans, 0)


def test_recordings_of_one_direction_are_merged():
    one, two = recorded((0.0, 1.0, 10)), recorded((5.0, 6.0, 20))
    two.end_error(two.transmissions()[0].flight)
    merged = TransmissionMonitor.merge([one, two])
    assert (merged.total_bytes(), merged.end_unix_time(), merged.direction) == (30, 6.0, IOEnum.RX)
    assert [merged.failed(row.flight) for row in merged.transmissions()] == [False, True]
    with pytest.raises(ValueError, match="do not make one"):
        TransmissionMonitor.merge([one, recorded(direction=IOEnum.TX)])


def test_a_recording_pickles_with_what_is_in_flight():
    monitor = recorded((0.0, 1.0, 10))
    flight = monitor.start_io(5)
    copy = pickle.loads(pickle.dumps(monitor))
    copy.end_io(flight, 5)
    assert copy.total_bytes() == 15
    assert monitor.total_bytes() == 10


def test_many_threads_record_at_once():
    monitor = TransmissionMonitor(IOEnum.TX)
    threads = [
        threading.Thread(target=lambda: [monitor.end_io(monitor.start_io(1), 1) for _ in range(500)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert monitor.total_bytes() == 4000


# ---------------------------------------------------------------------- the machine's network
def send_over_loopback(count):
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        connection, _ = server.accept()
        with connection:
            sender = threading.Thread(target=client.sendall, args=(bytes(count),))
            sender.start()
            left = count
            while left:
                left -= len(connection.recv(1 << 16))
            sender.join()


@pytest.mark.skipif(sys.platform != "linux", reason="the counters are Linux's")
def test_what_passes_over_the_network_is_sampled(no_leaks):
    with IOSampler(buffer_sec=60, interval=0.01) as warm:
        assert warm.is_sampling()
    no_leaks.baseline()
    with IOSampler(buffer_sec=60, interval=0.01) as sampled:
        sampled.start_sampling()  # harmless
        send_over_loopback(1 << 20)
    assert not sampled.is_sampling()
    assert sampled.num_samples() >= 2
    assert sum(sampled.histogram_rx(0.5)) >= 1 << 20
    assert sum(sampled.histogram_tx(0.5)) >= 1 << 20
    moved, times = sampled.samples()
    assert len(moved) == len(times) == sampled.num_samples()
    assert list(moved[0]) == [0, 0]
    assert min(moved[-1]) >= 1 << 20
    assert sampled.end_time() - sampled.start_time() == pytest.approx(times[-1])
    assert min(sampled.current_bps(60.0)) > 0
    assert min(sampled.peak_bps(60.0)) >= 8 * (1 << 20) / 60
    copy = pickle.loads(pickle.dumps(sampled))
    assert copy.num_samples() == sampled.num_samples()
    sampled.start_sampling()
    sampled.start_sampling(force=True)
    sampled.stop_sampling()
    sampled.stop_sampling()


def test_old_samples_make_room_for_new_ones():
    sampled = IOSampler(buffer_sec=1.0, interval=0.25)
    for _ in range(30):
        sampled._sample()
    assert sampled.num_samples() == 5
    assert IOSampler().current_bps() == (0.0, 0.0)
    with pytest.raises(ConfigError, match="interval"):
        IOSampler(buffer_sec=1.0, interval=0)


def test_a_machine_without_counters_is_unsupported_and_a_failure_in_between_is_raised(monkeypatch, tmp_path):
    monkeypatch.setattr(sampler, "COUNTERS", str(tmp_path / "none"))
    with pytest.raises(Unsupported, match="Linux"), IOSampler():
        pass
    (tmp_path / "some").write_text("header\n lo: 1 0 0 0 0 0 0 0 2 0\n")
    monkeypatch.setattr(sampler, "COUNTERS", str(tmp_path / "some"))
    sampled = IOSampler(interval=0.001)
    sampled.start_sampling()
    assert list(sampled.samples()[0][0]) == [0, 0]
    (tmp_path / "some").unlink()
    with pytest.raises(Unsupported, match="Linux"):
        sampled.stop_sampling()


# ---------------------------------------------------------------------- pictures
PNG = b"\x89PNG\r\n\x1a\n"


def test_recordings_are_drawn_into_files(tmp_path):
    pytest.importorskip("matplotlib")
    monitor = recorded((10.0, 11.0, 1000), (10.5, 12.0, 3_000_000))
    monitor.add(10.2, 10.4, 0, failed=True)
    machine = IOSampler(interval=0.25)
    machine._samples.extend([(1.0, 0, 0), (2.0, 10**9, 5), (3.0, 10**9, 50)])
    drawn = {
        "gantt": lambda path: monitor.plot_gantt(path, title="Transfers", show_size_labels=True),
        "histogram": lambda path: monitor.plot_histogram(0.5, path),
        "empty": lambda path: recorded().plot_histogram(1.0, path),
        "nothing": lambda path: recorded().plot_gantt(path),
        "machine": lambda path: machine.plot_histogram(0.5, path),
    }
    for name, draw in drawn.items():
        draw(str(tmp_path / f"{name}.png"))
        assert Path(tmp_path / f"{name}.png").read_bytes().startswith(PNG)


def test_without_matplotlib_the_line_to_type_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ConfigError, match=r"pip install 'holdfast\[plots\]'"):
        recorded().plot_gantt(str(tmp_path / "x.png"))
    monkeypatch.setitem(sys.modules, "numpy", None)
    assert recorded((0.0, 1.0, 5)).histogram() == [5]
