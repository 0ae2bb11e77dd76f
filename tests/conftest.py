"""What every test gets: a clean environment, real servers on demand, and checks for leaks."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings

from tests.servers import Azurite, Ceph, Gcs, Moto, Nginx, Rclone, Redis, Server, ServerFailed, ServerMissing

SOAK = os.environ.get("HOLDFAST_SOAK") == "1"
REQUIRE_SERVERS = os.environ.get("CI") == "true" or os.environ.get("HOLDFAST_REQUIRE_SERVERS") == "1"
SERVER_FIXTURES = {"ceph", "moto", "rclone_s3", "nginx", "redis", "azurite"}
LEAK_GRACE = 3.0

AnyServer = TypeVar("AnyServer", bound=Server)

server_notes = pytest.StashKey[dict[str, str]]()
session_home = pytest.StashKey[Path]()

settings.register_profile("test", deadline=None, derandomize=True, database=None)
settings.register_profile(
    "soak", deadline=None, database=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("soak" if SOAK else "test")


def pytest_configure(config: pytest.Config) -> None:
    """Keep the machine's credentials, proxies and home directory out of the tests."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "GOOGLE_", "STORAGE_EMULATOR_", "AZURE_", "RCLONE_")) or name.lower().endswith(
            "_proxy"
        ):
            del os.environ[name]
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    os.environ["NO_GCE_CHECK"] = "true"
    # Whoever starts the tests in the background of a shell has them ignore Ctrl-C, and their children with them.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    home = Path(tempfile.mkdtemp(prefix="holdfast-home-"))
    os.environ["HOME"] = str(home)
    config.stash[session_home] = home
    config.stash[server_notes] = {}


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the home directory of the session."""
    shutil.rmtree(config.stash[session_home], ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what asks for a server by fixture, so that `-m "not server"` leaves it out."""
    for item in items:
        if SERVER_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("server")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the process that started this one, if one did, which servers were used."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["servers"] = session.config.stash[server_notes]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what a process of ``-n`` says of its servers; one that was missing anywhere is what counts."""
    notes = node.config.stash[server_notes]
    for name, note in getattr(node, "workeroutput", {}).get("servers", {}).items():
        if not notes.get(name, "").startswith("MISSING"):
            notes[name] = note


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """Let reports of names that are no text pass from a process of ``-n`` to the one that prints them."""
    return _as_text((yield))


def _as_text(data: Any) -> Any:
    if isinstance(data, str):
        return data.encode(errors="backslashreplace").decode()
    if isinstance(data, dict):
        return {key: _as_text(value) for key, value in data.items()}
    return type(data)(map(_as_text, data)) if type(data) in (list, tuple) else data


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name every server that was used, with its version, and every one that was missing."""
    if notes := config.stash[server_notes]:
        terminalreporter.section("servers")
        for name in sorted(notes):
            terminalreporter.write_line(f"{name}: {notes[name]}")


def _serve(
    request: pytest.FixtureRequest, directories: pytest.TempPathFactory, kind: type[AnyServer]
) -> Iterator[AnyServer]:
    """Run one server for the session; skip without its program, or fail where servers are required."""
    if "not server" in request.config.getoption("markexpr"):
        pytest.fail(f"this test asks for {kind.name} at run time: mark it with pytest.mark.server", pytrace=False)
    notes = request.config.stash[server_notes]
    try:
        version = kind.version()
    except ServerMissing as missing:
        notes[kind.name] = f"MISSING, its tests did not run ({kind.install})"
        if REQUIRE_SERVERS:
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))
    started = time.monotonic()
    try:
        with kind(directories.mktemp(kind.name)) as server:
            notes[kind.name] = f"{version}, ready after {time.monotonic() - started:.1f} s"
            yield server
    except ServerFailed as failed:
        notes[kind.name] = f"{version} FAILED to start"
        pytest.fail(str(failed), pytrace=False)


@pytest.fixture(scope="session")
def moto(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moto]:
    """A running moto_server."""
    yield from _serve(request, tmp_path_factory, Moto)


@pytest.fixture(scope="session")
def ceph(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ceph]:
    """A running Ceph RADOS Gateway."""
    yield from _serve(request, tmp_path_factory, Ceph)


@pytest.fixture(scope="session")
def rclone_s3(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rclone]:
    """A running `rclone serve s3`; `.root` is the directory whose children are its buckets."""
    yield from _serve(request, tmp_path_factory, Rclone)


@pytest.fixture(scope="session")
def nginx(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """A running nginx; `.root` is the directory it serves."""
    yield from _serve(request, tmp_path_factory, Nginx)


@pytest.fixture(scope="session")
def redis(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """A running redis-server, shared by the session."""
    yield from _serve(request, tmp_path_factory, Redis)


@pytest.fixture(scope="session")
def azurite(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """A running Azurite, where somebody installed it."""
    yield from _serve(request, tmp_path_factory, Azurite)


@pytest.fixture(scope="session")
def gcs() -> Iterator[Gcs]:
    """A running fake of Google Cloud Storage, in this process: no program is needed."""
    with Gcs() as server:
        yield server


@pytest.fixture(scope="session")
def soak() -> bool:
    """Whether this is the long run (`make soak`): the same tests with bigger numbers."""
    return SOAK


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Let go of what a test kept in its instance: pytest keeps all instances, and forty thousand stores are 2 GB."""
    if isinstance(item, pytest.Function) and item.instance is not None:
        vars(item.instance).clear()


def _threads() -> set[threading.Thread]:
    return set(threading.enumerate())


def _descriptors() -> dict[int, str]:
    """What every open descriptor of this process leads to."""
    table = Path("/proc/self/fd") if Path("/proc/self/fd").exists() else Path("/dev/fd")
    found = {}
    for name in os.listdir(table):
        try:
            found[int(name)] = os.readlink(table / name)
        except OSError:
            continue  # the descriptor of listdir itself, closed again
    return found


class LeakCheck:
    """Compares threads and descriptors with those at the baseline."""

    def __init__(self) -> None:
        self.baseline()

    def baseline(self) -> None:
        """Take the present state as the one to come back to; call it after warming up what may stay."""
        gc.unfreeze()
        gc.collect()
        gc.freeze()  # looking for what is new need not look at all the objects that ten thousand tests have left
        self.threads, self.descriptors = _threads(), _descriptors()

    def leaks(self) -> list[str]:
        """What is there now and was not at the baseline."""
        gc.collect()
        threads = [f"thread {thread.name}" for thread in _threads() - self.threads if thread.is_alive()]
        new = dict(_descriptors().items() - self.descriptors.items())
        return threads + [f"descriptor {number} -> {target}" for number, target in sorted(new.items())]

    def verify(self) -> None:
        """Fail unless everything new is gone again within a few seconds."""
        deadline = time.monotonic() + LEAK_GRACE
        while (left := self.leaks()) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not left, "left behind: " + ", ".join(left)


@pytest.fixture
def no_leaks() -> Iterator[LeakCheck]:
    """Fail the test if it leaves threads or descriptors behind that were not there at its (last) baseline."""
    check = LeakCheck()
    try:
        yield check
        check.verify()
    finally:
        gc.unfreeze()
