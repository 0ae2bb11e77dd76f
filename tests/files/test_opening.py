"""What a CloudFiles makes of its options: public web servers, secrets files, who pays, and what is refused."""

from __future__ import annotations

import base64
import json
import os
import pickle
import time
from pathlib import Path

import pytest

from holdfast import AuthError, CloudFiles, ConfigError, Unsupported
from holdfast.credentials import files as secrets_files
from holdfast.files import locking


def write_secret(home, directory, name, **content):
    path = home / directory / "secrets" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_use_https_reads_where_the_public_objects_are():
    assert CloudFiles("gs://bucket/x", use_https=True).cloudpath == "https://storage.googleapis.com/bucket/x"
    assert CloudFiles("s3://bucket/x/", use_https=True).cloudpath == "https://s3.amazonaws.com/bucket/x/"
    assert CloudFiles("mem://bucket", use_https=True).protocol == "mem"
    with pytest.raises(ConfigError, match="without credentials"):
        CloudFiles("gs://bucket/x", use_https=True, secrets={})


def test_use_https_gets_an_object_from_an_endpoint_of_ones_own(moto):
    bucket = moto.make_bucket()
    moto.client().put_object(Bucket=bucket, Key="d/a", Body=b"public", ACL="public-read")
    cf = CloudFiles(f"s3://{moto.endpoint}/{bucket}/d", use_https=True)
    assert cf.protocol == "http"
    assert cf.get("a") == b"public"


def test_formats_and_aliases_open_the_location_itself():
    CloudFiles("mem://grammar/d").put("a", b"1")
    assert CloudFiles("precomputed://mem://grammar/d").get("a") == b"1"
    assert CloudFiles("mem://grammar/d|zarr2:").get("a") == b"1"
    assert CloudFiles("zarr3://matrix://bucket/x").protocol == "s3"


def test_no_sign_request_sends_no_credentials(ceph):
    bucket = ceph.make_bucket()
    with pytest.raises(AuthError):
        CloudFiles(ceph.url(bucket), no_sign_request=True).get("a")


def test_who_pays_is_said_in_the_vendors_words():
    store = CloudFiles("s3://bucket", request_payer="requester", no_sign_request=True).store
    assert store.options.request_payer is True
    assert CloudFiles("gs://bucket", request_payer="project-1", no_sign_request=True).store.user_project == "project-1"
    for wrong in ("s3://bucket", "mem://bucket", "gs://bucket"):
        with pytest.raises(ConfigError):
            CloudFiles(wrong, request_payer=True if wrong[0] == "g" else "somebody", no_sign_request=wrong[0] != "m")


def test_options_of_a_location_are_refused_for_an_open_store():
    store = CloudFiles("mem://grammar").store
    with pytest.raises(ConfigError, match="open already"):
        CloudFiles(store, use_https=True)


# ---------------------------------------------------------------------- secrets files
def test_the_buckets_own_file_comes_first_and_cloudvolume_before_cloudfiles(home):
    order = [
        (".cloudvolume", "bucket-aws-secret.json"),
        (".cloudfiles", "bucket-aws-secret.json"),
        (".cloudvolume", "aws-secret.json"),
        (".cloudfiles", "aws-secret.json"),
    ]
    paths = [write_secret(home, directory, name) for directory, name in order]
    for path in paths:
        assert secrets_files.find("aws", "bucket") == str(path)
        path.unlink()
    assert secrets_files.find("aws", "bucket") is None


def test_the_directories_can_be_moved(home, monkeypatch):
    monkeypatch.setenv("CLOUD_VOLUME_DIR", str(home / "volumes"))
    path = write_secret(home, "volumes", "google-secret.json")
    assert secrets_files.find("google") == str(path)


def test_an_alias_has_a_secrets_file_of_its_own(home, ceph):
    from holdfast import aliases

    bucket = ceph.make_bucket()
    aliases.add_persistent_alias("lab", f"s3://{ceph.endpoint}/")
    keys = {"AWS_ACCESS_KEY_ID": ceph.access_key, "AWS_SECRET_ACCESS_KEY": ceph.secret_key}
    write_secret(home, ".cloudvolume", "aws-secret.json", AWS_ACCESS_KEY_ID="wrong", AWS_SECRET_ACCESS_KEY="wrong")
    write_secret(home, ".cloudfiles", "lab-secret.json", **keys, comment="for the lab")
    cf = CloudFiles(f"lab://{bucket}/d")
    cf.put("a", b"1")
    assert cf.get("a") == b"1"
    assert ceph.client().get_object(Bucket=bucket, Key="d/a")["Body"].read() == b"1"


def test_a_google_secrets_file_comes_before_the_environment(home, monkeypatch, gcs):
    bucket = gcs.make_bucket()
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/does/not/exist")
    path = write_secret(home, ".cloudvolume", f"{bucket}-google-secret.json", type="service_account")
    with pytest.raises(ConfigError, match="has no client_email") as raised:
        CloudFiles(f"gs://{gcs.endpoint}/{bucket}").get("a")
    assert str(path) in str(raised.value)


class Echo:
    """A web server that answers with the Authorization header that it was sent."""

    def __init__(self):
        import threading
        from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                body = (self.headers.get("Authorization") or "none").encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("ETag", '"1"')
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            do_HEAD = do_GET  # noqa: N815 - as the library wants it

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def echo():
    with Echo() as server:
        yield server


BASIC = "Basic " + base64.b64encode(b"me:secret").decode()


def test_a_web_servers_own_secrets_file_is_sent_to_it_alone(home, echo):
    assert CloudFiles(f"http://{echo.host}/").get("a") == b"none"
    write_secret(home, ".cloudvolume", f"{echo.host}-http-secret.json", user="me", password="secret")
    assert CloudFiles(f"http://{echo.host}/").get("a") == BASIC.encode()
    with Echo() as other:
        assert CloudFiles(f"http://{other.host}/").get("a") == b"none"


def test_a_general_http_secret_goes_only_to_the_hosts_that_it_names(home, echo):
    path = write_secret(home, ".cloudvolume", "http-secret.json", user="me", password="secret")
    with pytest.warns(UserWarning, match="does not say for which servers"):
        assert CloudFiles(f"http://{echo.host}/").get("a") == b"none"
    path.write_text(json.dumps({"user": "me", "password": "secret", "hosts": [echo.host]}))
    assert CloudFiles(f"http://{echo.host}/").get("a") == BASIC.encode()
    with Echo() as other:
        assert CloudFiles(f"http://{other.host}/").get("a") == b"none"


def test_secrets_of_a_web_server_can_be_given(echo):
    cf = CloudFiles(f"http://{echo.host}/", secrets={"user": "me", "password": "secret"})
    assert cf.get("a") == BASIC.encode()
    assert CloudFiles(f"http://{echo.host}/", secrets={"token": "abc"}).get("a") == b"Bearer abc"
    for wrong in ({"user": "me"}, {"token": "a\n"}, {"token": "a", "user": "b", "password": "c"}, {}):
        with pytest.raises(ConfigError) as raised:
            CloudFiles(f"http://{echo.host}/", secrets=wrong)
        assert "abc" not in str(raised.value)


def test_middleauth_sends_the_token_of_the_cave_secrets_file(home, echo):
    with pytest.raises(ConfigError, match=r"cave-secret\.json"):
        CloudFiles(f"middleauth+http://{echo.host}/t")
    write_secret(home, ".cloudvolume", "cave-secret.json", token="t0ken")
    cf = CloudFiles(f"middleauth+http://{echo.host}/t")
    assert cf.protocol == "middleauth+http"
    assert cf.get("a") == b"Bearer t0ken"
    assert "t0ken" not in repr(cf.__dict__)
    with pytest.raises(ConfigError, match="plain http"):
        CloudFiles("middleauth+http://elsewhere.example/t")
    with pytest.raises(Unsupported, match="browser"):
        CloudFiles("ngauth+https://elsewhere.example/t")


def test_secrets_show_nowhere():
    secrets = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLEEXAMPLE12", "AWS_SECRET_ACCESS_KEY": "do-not-show"}
    cf = CloudFiles("s3://bucket/x", secrets=secrets)
    web = CloudFiles("https://elsewhere.example/", secrets={"user": "me", "password": "do-not-show"})
    for one in (cf, web):
        shown = f"{one!r} {one.store!r} {one._work.recipe!r} {vars(one)!r} {vars(one._work)!r}"
        assert "do-not-show" not in shown
        assert b"do-not-show" not in pickle.dumps(one)


def test_large_uploads_go_in_parts_of_the_size_that_was_asked_for(moto, monkeypatch):
    for name, value in moto.environment.items():
        monkeypatch.setenv(name, value)
    bucket = moto.make_bucket()
    content = os.urandom(21 << 20)
    CloudFiles(moto.url(bucket), composite_upload_threshold=5 << 20).put("a", iter([content]))
    assert moto.client().head_object(Bucket=bucket, Key="a")["ETag"].endswith('-5"')
    assert CloudFiles(moto.url(bucket)).get("a") == content
    with pytest.raises(ConfigError, match="number of bytes"):
        CloudFiles(moto.url(bucket), composite_upload_threshold=0)


# ---------------------------------------------------------------------- locks
def locks(directory):
    return sorted(os.listdir(directory))


def test_locking_takes_the_lock_files_of_cloud_files(tmp_path):
    import zlib

    cf = CloudFiles(f"file://{tmp_path}/root", locking=True, lock_dir=str(tmp_path / "locks"))
    assert cf.lock_dir == str(tmp_path / "locks")
    cf.put("d/hello.txt", b"1")
    assert cf.get("d/hello.txt") == b"1"
    expected = f"hello.txt.{zlib.crc32(f'{tmp_path}/root/d/hello.txt'.encode())}"
    assert locks(tmp_path / "locks") == [expected]
    cf.clear_locks()
    assert locks(tmp_path / "locks") == []


def test_the_lock_directory_has_a_default_that_the_environment_moves(home, monkeypatch, tmp_path):
    assert CloudFiles(str(tmp_path)).lock_dir == f"{home}/.cloudfiles/locks"
    monkeypatch.setenv("CLOUD_FILES_LOCK_DIR", f"{home}/elsewhere")
    CloudFiles(f"file://{tmp_path}/root", locking=True).put("a", b"1")
    assert len(locks(home / "elsewhere")) == 1
    CloudFiles(str(tmp_path)).clear_locks()
    CloudFiles("mem://grammar").clear_locks()


def test_locking_is_refused_where_it_would_do_nothing():
    with pytest.raises(ConfigError, match="local files"):
        CloudFiles("mem://grammar", locking=True)


PROGRAM = """
import fcntl, sys
with open(sys.argv[1], "a") as file:
    fcntl.lockf(file, fcntl.LOCK_EX)
    print("locked", flush=True)
    sys.stdin.read()
"""


def wait_until(true):
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="who waits for a lock is told by Linux alone")
def test_a_lock_of_another_process_is_waited_for_and_not_cleared(tmp_path):
    import subprocess
    import sys
    import threading

    cf = CloudFiles(f"file://{tmp_path}/root", locking=True, lock_dir=str(tmp_path / "locks"))
    cf.put("a", b"1")
    (name,) = locks(tmp_path / "locks")
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "locks" / name)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"locked\n"
        cf.clear_locks()
        assert locks(tmp_path / "locks") == [name]
        done = threading.Event()
        writer = threading.Thread(target=lambda: (cf.put("a", b"2"), done.set()))
        writer.start()
        wait_until(lambda: f"-> POSIX  ADVISORY  WRITE {os.getpid()} " in Path("/proc/locks").read_text())
        assert not done.is_set()
        assert CloudFiles(str(tmp_path / "root")).get("a") == b"1"
        other.stdin.close()
        assert done.wait(30)
        writer.join()
    assert cf.get("a") == b"2"


def test_readers_share_a_lock_and_writers_do_not(tmp_path):
    import threading

    from holdfast.store import READ

    cf = CloudFiles(f"file://{tmp_path}/root", locking=True, lock_dir=str(tmp_path / "locks"))
    cf.put("a", b"1")
    first, second = cf.store._read("a", READ), cf.store._read("a", READ)
    done = threading.Event()
    writer = threading.Thread(target=lambda: (cf.put("a", b"2"), done.set()))
    writer.start()
    (held,) = locking._paths.values()
    wait_until(lambda: held.changed._waiting)
    first.close()
    assert held.readers == 1
    assert not done.is_set()
    second.close()
    assert done.wait(30)
    writer.join()


def test_a_bulk_call_over_one_path_with_locks_ends(tmp_path):
    cf = CloudFiles(f"file://{tmp_path}/root", locking=True, lock_dir=str(tmp_path / "locks"), num_threads=8)
    cf.puts((f"k{number}", b"x") for number in range(40))
    assert [row["content"] for row in cf.get(["k1"] * 50)] == [b"x"] * 50
    assert cf.delete(f"k{number}" for number in range(40)) == 40
