"""Ceph RADOS Gateway: a real S3 server that checks signatures, on one machine and without systemd."""

from __future__ import annotations

import os
import signal
import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path

from tests.servers.process import free_port, http_answers
from tests.servers.s3 import S3Server

# One of everything: a monitor, an object daemon that keeps its objects in memory, a gateway; no manager.
CONFIGURATION = """\
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{monitor_port}/0]
mon initial members = a
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
auth allow insecure global id reclaim = false
public addr = 127.0.0.1
cluster addr = 127.0.0.1
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon warn on pool no redundancy = false
mon warn on insecure global id reclaim = false
mon max pg per osd = 1000
mon data avail warn = 1
mon data avail crit = 0
log file = {directory}/log/$name.log
mon cluster log file = {directory}/log/cluster.log
admin socket =
run dir = {directory}/run
crash dir = {directory}/run
keyring = {directory}/keyring
log to stderr = false
[mon]
mon data = {directory}/mon
mon osd min up ratio = 0
[osd]
osd data = {directory}/osd
osd objectstore = memstore
memstore device bytes = 8589934592
osd op num shards = 2
osd class load list = *
osd class default list = *
[client.rgw]
rgw data = {directory}/run
rgw frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
rgw dns name = localhost
rgw enable usage log = false
rgw enable ops log = false
rgw thread pool size = 64
rgw gc max objs = 4
rgw lc max objs = 1
rgw usage max shards = 1
rgw crypt require ssl = false
rgw crypt s3 kms backend = testing
rgw crypt s3 kms encryption keys = {kms_key}=MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=
rgw num control oids = 1
rgw reshard num logs = 1
rgw dynamic resharding = false
rgw override bucket index max shards = 1
"""


class Ceph(S3Server):
    """RADOS Gateway over an in-memory object daemon; ready in about 15 s."""

    name = "ceph"
    install = "apt-get install --no-install-recommends ceph-mon ceph-osd radosgw ceph-common"
    program = "radosgw"
    stop_signal = signal.SIGKILL  # everything is in memory; a gentle end takes seconds and saves nothing
    access_key = "AKCEPH0000000000TEST"
    secret_key = "SKceph0000000000000000000000000000000000"
    kms_key = "key-of-the-tests"

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        super().__init__(directory)
        self.configuration = self.directory / "ceph.conf"

    @classmethod
    def version(cls) -> str:
        """The version of the gateway; raises ServerMissing unless all its programs are here."""
        for program in ("ceph", "ceph-authtool", "ceph-mon", "ceph-osd", "monmaptool", "radosgw-admin"):
            cls.find(program)
        return super().version()

    def start(self) -> None:
        """Create a cluster of one and start its monitor, object daemon and gateway, in that order."""
        for name in ("mon", "osd", "log", "run"):
            (self.directory / name).mkdir(exist_ok=True)
        cluster = {"fsid": str(uuid.uuid4()), "monitor_port": str(free_port())}
        settings = {"directory": self.directory, "port": self.port, "kms_key": self.kms_key, **cluster}
        self.configuration.write_text(CONFIGURATION.format(**settings))
        self._make_keys()
        self._start_monitor(cluster)
        self._start_object_daemon()
        self._daemon("radosgw", "-n", "client.rgw")
        self.wait_until(lambda: http_answers(self.port), seconds=90)
        keys = ("--access-key", self.access_key, "--secret-key", self.secret_key)
        self._command("radosgw-admin", "user", "create", "--uid=test", "--display-name=test", *keys)

    def _make_keys(self) -> None:
        keyring = str(self.directory / "keyring")
        self._command("ceph-authtool", "-C", keyring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
        for name in ("client.admin", "osd.0", "client.rgw"):
            caps = [word for service in ("mon", "osd", "mgr") for word in ("--cap", service, "allow *")]
            self._command("ceph-authtool", keyring, "--gen-key", "-n", name, *caps)

    def _start_monitor(self, cluster: Mapping[str, str]) -> None:
        map_path = str(self.directory / "monmap")
        address = f"[v2:127.0.0.1:{cluster['monitor_port']}/0]"
        self._command("monmaptool", "--create", "--addv", "a", address, "--fsid", cluster["fsid"], map_path)
        keyring = str(self.directory / "keyring")
        self._command("ceph-mon", "--mkfs", "-i", "a", "--monmap", map_path, "--keyring", keyring)
        self._daemon("ceph-mon", "-i", "a")

    def _start_object_daemon(self) -> None:
        identity = str(uuid.uuid4())
        self._command("ceph", "--connect-timeout", "30", "osd", "new", identity)
        self._command("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", identity)
        self._daemon("ceph-osd", "-i", "0")
        self.wait_until(lambda: "1 up" in self._command("ceph", "--connect-timeout", "10", "osd", "stat"), seconds=60)

    def _daemon(self, program: str, *arguments: str) -> None:
        self.spawn(program, "-f", "-c", str(self.configuration), *arguments)

    def _command(self, program: str, *arguments: str) -> str:
        """Run one of Ceph's tools to its end and return what it printed."""
        command = [self.find(program), "-c", str(self.configuration), *arguments]
        done = subprocess.run(command, cwd=self.directory, capture_output=True, text=True, timeout=90, check=False)
        if done.returncode:
            log = self.directory / "commands.log"
            Path(log).write_text(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
            raise self.failure(f"could not be set up ({program} ended with status {done.returncode})", log)
        return done.stdout
