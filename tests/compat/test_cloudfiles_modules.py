"""The constructor, the attributes and the modules of cloud-files, row by row."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys

import pytest

import holdfast
from holdfast import errors, retry
from holdfast.compat import cloudfiles
from holdfast.compat.cloudfiles import CloudFile, CloudFiles, compression, exceptions, lib, monitoring, paths, secrets
from holdfast.stores.gs import GoogleStore
from holdfast.wrap.rekey import PrefixStore
from tests.compat.rows import row
from tests.servers import faults
from tests.servers.faulty_s3 import FaultyS3
from tests.stores.s3_stores import open_store

SYSTEM = "cloudfiles"


# ---------------------------------------------------------------------- constructor
@row(SYSTEM, "CloudFiles(cloudpath, progress, green, secrets, num_threads=20): the order of the arguments")
@row(
    SYSTEM,
    "use_https, endpoint, parallel=1, request_payer, locking, lock_dir, composite_upload_threshold, no_sign_request",
)
@row(SYSTEM, "attributes cloudpath progress secrets num_threads green parallel protocol sep lock_dir, _path")
def test_constructor(tmp_path):
    cf = CloudFiles(
        "gs://bucket/dataset", True, False, {"type": "service_account", "client_email": "a", "private_key": "b"}, 7
    )
    assert (cf.cloudpath, cf.progress, cf.green, cf.num_threads) == ("gs://bucket/dataset", True, False, 7)
    assert (cf.parallel, cf.protocol, cf.sep) == (1, "gs", "/")
    assert cf.secrets["client_email"] == "a"
    assert CloudFiles("mem://bucket").num_threads == 20
    assert cf._path == paths.ExtractedPath("precomputed", "gs", "bucket", "dataset", None, None)
    cf = CloudFiles(
        "s3://bucket/x", False, None, None, 20, False, "http://127.0.0.1:9", 2, "requester", None, None, 10**7, False
    )
    assert (cf.parallel, cf.composite_upload_threshold) == (2, 10**7)
    assert CloudFiles("gs://b/x/", use_https=True).cloudpath == "https://storage.googleapis.com/b/x/"
    cf = CloudFiles(f"file://{tmp_path}", lock_dir=str(tmp_path / "locks"))
    assert cf.lock_dir == str(tmp_path / "locks")
    assert pickle.loads(pickle.dumps(cf)).cloudpath == cf.cloudpath


@row(SYSTEM, "secrets are in the object, and in its pickle", "kept and fixed", "a pickle carries no secrets")
def test_pickled_secrets():
    cf = CloudFiles("s3://bucket", secrets={"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s3cret"})
    pickled = pickle.dumps(cf)
    assert b"s3cret" not in pickled
    assert pickle.loads(pickled).secrets is None


@row(SYSTEM, "paths: gs s3 file http(s) mem, s3://https://host/bucket, aliases, formats, |zarr2:, bare local paths")
@pytest.mark.parametrize(
    ("written", "normal", "protocol"),
    [
        ("gs://bucket/x", "gs://bucket/x", "gs"),
        ("s3://https://host/bucket/x/", "s3://https://host/bucket/x/", "s3"),
        ("matrix://bucket/x", "matrix://bucket/x", "s3"),
        ("precomputed://gs://bucket/x", "precomputed://gs://bucket/x", "gs"),
        ("gs://bucket/x|zarr2:", "zarr2://gs://bucket/x", "gs"),
        ("https://host/x", "https://host/x", "https"),
        ("/tmp/x", "file:///tmp/x", "file"),
    ],
)
def test_paths_of_the_constructor(written, normal, protocol):
    cf = CloudFiles(written)
    assert (cf.cloudpath, cf.protocol) == (normal, protocol)


@row(SYSTEM, "names: CloudFiles CloudFile dl reset_connection_pools clear_memory ResumableTransfer, and the modules")
def test_names():
    for name in ("CloudFiles", "CloudFile", "dl", "reset_connection_pools", "clear_memory", "ResumableTransfer"):
        assert callable(getattr(cloudfiles, name))
    assert cloudfiles.resumable_tools.ResumableTransfer is cloudfiles.ResumableTransfer


@row(SYSTEM, "a suffix is not doubled where the name ends with it already")
def test_names_that_end_like_a_suffix(tmp_path):
    cf = CloudFiles(str(tmp_path))
    cf.put("a.gz", b"content", compress="gzip")
    assert (tmp_path / "a.gz").exists()
    assert (list(cf), cf.get("a.gz")) == (["a.gz"], b"content")


@row(SYSTEM, "green=None works for gevent where it has patched threads; nothing needs to be patched")
def test_green(tmp_path):
    gevent = pytest.importorskip("gevent")
    assert CloudFiles(str(tmp_path)).green is False
    cf = CloudFiles(str(tmp_path), green=True)
    cf.puts((f"k{number}", b"x") for number in range(50))
    jobs = [gevent.spawn(cf.get, f"k{number}") for number in range(50)]
    assert [job.get() for job in jobs] == [b"x"] * 50


@row(SYSTEM, "_get_connection().get_file gives (content, encoding, hash, hash_type); for mem ._data is the dict")
@row(SYSTEM, "local layout: suffixes .gz .br .zstd .xz .bz2; encodings are called gzip br zstd xz bzip2")
@pytest.mark.parametrize(
    ("compress", "suffix", "encoding"),
    [
        (None, "", None),
        ("gzip", ".gz", "gzip"),
        (True, ".gz", "gzip"),
        ("br", ".br", "br"),
        ("zstd", ".zstd", "zstd"),
        ("xz", ".xz", "xz"),
        ("lzma", ".xz", "xz"),
        ("bz2", ".bz2", "bzip2"),
        ("bzip2", ".bz2", "bzip2"),
        ("", "", None),
        (False, "", None),
    ],
)
def test_stored_layout(tmp_path, compress, suffix, encoding):
    cloudfiles.clear_memory()
    for cloudpath in (f"file://{tmp_path}", "mem://compat-tests/d"):
        cf = CloudFiles(cloudpath)
        cf.put("info", b"content", compress=compress)
        with cf._get_connection() as connection:
            content, found, digest, kind = connection.get_file("info")
            assert (compression.decompress(content, found), found) == (b"content", encoding)
            assert (digest, kind) == (None, None)
            assert connection.get_file("info", start=0, end=1)[0] == content[:1]
            assert connection.get_file("missing")[0] is None
        assert cf._get_connection().get_file("info") == (content, encoding, None, None)
        assert cf.get("info") == b"content"
        assert list(cf) == ["info"]
    assert [name for name in os.listdir(tmp_path) if name[0] != "."] == [f"info{suffix}"]
    with CloudFiles("mem://compat-tests/d")._get_connection() as connection:
        assert list(connection._data) == [f"info{suffix}"]


# ---------------------------------------------------------------------- compression
@row(SYSTEM, "COMPRESSION_TYPES; compress, decompress; True is gzip, '' and False and None are none; deterministic")
@row(SYSTEM, "DecompressionError on a bad or empty stream")
def test_compression(tmp_path):
    wanted = [None, False, True, "", "bz2", "bzip2", "gzip", "br", "zstd", "xz", "lzma"]
    assert wanted == compression.COMPRESSION_TYPES
    for method in wanted:
        encoded = compression.compress(b"abc" * 1000, method)
        assert compression.decompress(encoded, method) == b"abc" * 1000
        assert compression.compress(b"abc" * 1000, method) == encoded
        cf = CloudFiles(str(tmp_path))
        cf.put("info", b"abc" * 1000, compress=method)
        assert cf.size("info") == len(encoded)
        if method:
            for broken in (b"", encoded[:-1], b"nonsense"):
                with pytest.raises(exceptions.DecompressionError):
                    compression.decompress(broken, method, filename="info")
    assert compression.compress(b"abc", compress_level=9) != compression.compress(b"abc" * 2)
    with pytest.raises(exceptions.UnsupportedCompressionType):
        compression.compress(b"", "nonsense")


@row(
    SYSTEM,
    "compression levels by default: gzip 9, br 5, bz2 9",
    "different",
    "gzip is 2, by a faster codec: ten times as fast, and within some per cent of the size",
)
def test_default_levels():
    from holdfast.codecs import DEFAULT_LEVELS

    assert (DEFAULT_LEVELS["gzip"], DEFAULT_LEVELS["br"], DEFAULT_LEVELS["bz2"]) == (2, 5, 9)


@row(SYSTEM, "transcode(files, encoding, level, progress, in_place) is a generator")
def test_transcode(tmp_path):
    cf = CloudFiles(str(tmp_path))
    cf.puts([("a", b"1"), ("b", b"2")], compress="gzip")
    rows = compression.transcode(cf.get(["a", "b"], raw=True), "br", level=3)
    assert cf.puts(rows, raw=True) == 2
    assert {one["path"]: (one["content"], one["compress"]) for one in cf.get(["a", "b"])} == {
        "a": (b"1", "br"),
        "b": (b"2", "br"),
    }


@row(SYSTEM, "brotli is unsupported on Google Cloud Storage [seed]; today it is supported")
def test_brotli_on_google(gcs):
    cf = holdfast.CloudFiles(GoogleStore(gcs.make_bucket(), endpoint=gcs.endpoint, token=gcs.token))
    cf.put("info", b"content", compress="br")
    assert cf.get("info") == b"content"
    assert cf.head("info")["Content-Encoding"] == "br"


@row(
    SYSTEM,
    "flat prefixes on Google are relative to another base than on S3",
    "kept and fixed",
    "listings mean the same everywhere",
)
def test_flat_listings_on_google(gcs):
    bucket = gcs.make_bucket()
    cf = holdfast.CloudFiles(PrefixStore(GoogleStore(bucket, endpoint=gcs.endpoint, token=gcs.token), "prefix/"))
    cf.puts([("build/info3", b"1"), ("info1", b"2"), ("level1/level2/info4", b"3")])
    assert set(cf.list(flat=True)) == {"build/", "info1", "level1/"}
    assert list(cf.list(flat=True, prefix="build")) == ["build/info3"]
    assert list(cf.list(flat=True, prefix="level1/")) == ["level1/level2/"]


# ---------------------------------------------------------------------- paths, exceptions, secrets
@row(SYSTEM, "paths: extract with six fields, normalize, as*path, to_https_protocol, find_common_buckets, get_protocol")
def test_paths_module():
    parts = paths.extract("precomputed://gs://bucket/x")
    assert tuple(parts) == ("precomputed", "gs", "bucket", "x", None, None)
    assert paths.ascloudpath(parts) == "precomputed://gs://bucket/x"
    assert paths.asprotocolpath(parts) == "gs://bucket/x"
    assert paths.asbucketpath("gs://bucket/x") == "precomputed://gs://bucket"
    assert paths.asfilepath(paths.extract("file:///tmp/x")) == "/tmp/x"
    assert paths.normalize("gs://bucket/x|zarr2:") == "zarr2://gs://bucket/x"
    assert paths.to_https_protocol("s3://b/x") == "https://s3.amazonaws.com/b/x"
    assert paths.to_https_protocol(parts).host == "https://storage.googleapis.com"
    assert paths.find_common_buckets("gs://b/x") == {
        "precomputed://gs://b": [{"path": "x", "start": None, "end": None}]
    }
    assert (paths.get_protocol("matrix://b"), paths.basename("a/b"), paths.dirname("a/b")) == ("matrix", "b", "a")


@row(SYSTEM, "paths: a bad protocol is an UnsupportedProtocolError")
@row(SYSTEM, "an unknown protocol silently becomes a local folder", "kept and fixed", "it is refused everywhere")
@row(SYSTEM, "extract('') is a TypeError", "kept and fixed", "it gives six empty fields")
def test_unknown_protocols(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for refuse in (paths.extract, paths.normalize, CloudFiles):
        with pytest.raises(exceptions.UnsupportedProtocolError):
            refuse("ftp://x/")
    assert os.listdir(tmp_path) == []
    assert tuple(paths.extract("")) == ("",) * 6


@row(SYSTEM, "paths: add_alias, add_persistent_alias, remove_persistent_alias, ALIAS_FILE")
def test_aliases(tmp_path, monkeypatch):
    monkeypatch.setenv("CLOUD_FILES_DIR", str(tmp_path))
    assert str(tmp_path / "aliases.json") == paths.ALIAS_FILE
    paths.add_persistent_alias("lab", "s3://https://lab.example/")
    assert paths.extract("lab://b/x").alias == "lab"
    assert paths.ALIASES["lab"] == "s3://https://lab.example/"
    paths.remove_persistent_alias("lab")
    paths.add_alias("lab2", "s3://https://lab2.example/")
    assert CloudFiles("lab2://b/x").abspath("k") == "lab2://b/x/k"
    paths.remove_alias("lab2")
    for change in (paths.add_alias, paths.add_persistent_alias):
        with pytest.raises(ValueError, match="protocol"):
            change("gs", "s3://https://lab.example/")
    with pytest.raises(AttributeError):
        paths.NO_SUCH_NAME  # noqa: B018


@row(SYSTEM, "exceptions: UnsupportedProtocolError CompressionError DecompressionError AuthorizationError and others")
def test_exceptions():
    assert issubclass(exceptions.MD5IntegrityError, exceptions.IntegrityError)
    assert issubclass(exceptions.CRC32CIntegrityError, exceptions.IntegrityError)
    assert issubclass(exceptions.DecompressionError, exceptions.CompressionError)
    assert issubclass(exceptions.UnsupportedProtocolError, ValueError)
    assert issubclass(errors.AuthError, exceptions.AuthorizationError)
    assert issubclass(errors.UnknownEncoding, exceptions.UnsupportedCompressionType)


KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": "c"}


@row(SYSTEM, "secrets.aws_credentials(bucket, service, skip_files) gives the exact dict, with AWS_SESSION_TOKEN")
@row(SYSTEM, "aws_credentials is a KeyError where AWS_SESSION_TOKEN is unset", "kept and fixed", "it is left out")
@row(SYSTEM, "secrets files in ~/.cloudvolume/secrets and ~/.cloudfiles/secrets, by bucket and service")
def test_secrets(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    assert secrets.aws_credentials() == KEYS
    assert secrets.aws_credentials("bucket", "s3", skip_files=True) == KEYS
    monkeypatch.delenv("AWS_SESSION_TOKEN")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    assert secrets.aws_credentials() == {
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }
    (tmp_path / ".cloudfiles" / "secrets").mkdir(parents=True)
    (tmp_path / ".cloudfiles" / "secrets" / "bucket-aws-secret.json").write_text('{"AWS_ACCESS_KEY_ID": "file"}')
    (tmp_path / ".cloudfiles" / "secrets" / "cave-secret.json").write_text('{"token": "t"}')
    (tmp_path / ".cloudfiles" / "secrets" / "http-secret.json").write_text('{"user": "u", "password": "p"}')
    assert secrets.aws_credentials("bucket") == {"AWS_ACCESS_KEY_ID": "file"}
    assert secrets.aws_credentials("other")["AWS_ACCESS_KEY_ID"] == "a"
    assert secrets.cave_credentials("server") == {"token": "t"}
    assert secrets.http_credentials() == {"user": "u", "password": "p"}
    assert secrets.google_credentials("bucket") == (None, None)
    assert secrets.secretpath("x.json") == f"{tmp_path}/.cloudvolume/secrets/x.json"
    assert secrets.secretpath("cave-secret.json") == f"{tmp_path}/.cloudfiles/secrets/cave-secret.json"
    assert f"{tmp_path}/.cloudfiles" == secrets.CLOUD_FILES_DIR
    assert f"{tmp_path}/.cloudvolume" == secrets.CLOUD_VOLUME_DIR
    assert secrets.CLOUD_FILES_LOCK_DIR is None
    for name in (*KEYS, "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    assert secrets.aws_credentials("other") == {}


@row(
    SYSTEM,
    "http-secret.json is sent to every web server",
    "different",
    "a password goes to the servers it names alone: HOST-http-secret.json, or 'hosts' in the file",
)
def test_http_secrets(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".cloudfiles" / "secrets").mkdir(parents=True)
    (tmp_path / ".cloudfiles" / "secrets" / "http-secret.json").write_text('{"user": "u", "password": "p"}')
    with pytest.warns(UserWarning, match="which servers"):
        store = CloudFiles("https://elsewhere.example/x").store
    assert store.store._authorization is None


# ---------------------------------------------------------------------- locks, retries, checks
@row(SYSTEM, "locking=True puts NAME.CRC32 files into lock_dir; clear_locks removes them")
def test_locks(tmp_path):
    cf = CloudFiles(f"file://{tmp_path}/root", locking=True, lock_dir=str(tmp_path / "locks"))
    cf.put("hello.txt", b"1")
    (name,) = os.listdir(tmp_path / "locks")
    assert re.match(r"^hello\.txt\.\d+", name)
    cf.clear_locks()
    assert os.listdir(tmp_path / "locks") == []
    assert CloudFiles("mem://compat-tests", locking=True).lock_dir is None


@row(SYSTEM, "CloudFile(path, cache_meta, secrets, composite_upload_threshold, locking=True, lock_dir, ...)")
def test_cloudfile_constructor(tmp_path):
    one = CloudFile(f"file://{tmp_path}/a", False, None, 10**7, True, str(tmp_path / "locks"))
    one.put(b"1")
    assert len(os.listdir(tmp_path / "locks")) == 1
    assert one.lock_dir == str(tmp_path / "locks")
    assert isinstance(one.cf, CloudFiles)


@row(SYSTEM, "retries: random exponential, 7 tries, 0.5 to 60 s")
@row(
    SYSTEM,
    "everything is retried, an MD5 that differs is not",
    "kept and fixed",
    "what may succeed is retried, and a body that differs is read again",
)
def test_retries():
    policy = retry.Policy()
    assert policy.tries == 7
    assert errors.IntegrityError("x").retryable
    assert not errors.AuthError("x").retryable
    assert not errors.BucketNotFound("x").retryable


@row(SYSTEM, "whole downloads are checked by MD5 or CRC-32C")
def test_checked_downloads():
    with FaultyS3() as server:
        cf = holdfast.CloudFiles(open_store(server))
        cf.put("a", b"what was written" * 100)
        server.inject(faults.CORRUPT, lambda request: request.method == "GET", 1)
        assert cf.get("a") == b"what was written" * 100
        server.inject(faults.CORRUPT, lambda request: request.method == "GET", 99)
        with pytest.raises(exceptions.MD5IntegrityError):
            cf.get("a")


# ---------------------------------------------------------------------- monitoring and lib
@row(SYSTEM, "monitoring.TransmissionMonitor: start_io, end_io, end_error, totals, histogram, merge, pickles")
@row(
    SYSTEM,
    "TransmissionMonitor: _direction _total_bytes_landed _in_flight _errors _in_flight_bytes _intervaltree _lock",
)
def test_transmission_monitor():
    monitor = monitoring.TransmissionMonitor(monitoring.IOEnum.TX)
    first = monitor.start_io(100)
    second = monitor.start_io(50, start_time=1.0)
    assert monitor._in_flight.keys() == {first, second}
    assert monitor._in_flight[second] == 1.0
    assert monitor._in_flight_bytes == 150
    monitor.end_io(first, 100)
    monitor.end_error(second)
    assert monitor._errors == {second}
    assert monitor._total_bytes_landed == monitor.total_bytes() == 100
    assert monitor._direction == monitoring.IOEnum.TX
    (interval,) = monitor._intervaltree
    assert interval.data == [first, 100]
    assert monitor._intervaltree.begin() < monitor._intervaltree.end()
    with monitor._lock:
        pass
    merged = monitoring.TransmissionMonitor.merge([monitor, pickle.loads(pickle.dumps(monitor))])
    assert isinstance(merged, monitoring.TransmissionMonitor)
    assert (merged.total_bytes(), len(merged._intervaltree)) == (200, 2)
    assert merged.total_bps() > 0
    assert merged.peak_bps() == 8 * 200
    assert sum(merged.histogram(resolution=1.0)) == 200
    assert monitoring.TransmissionMonitor(monitoring.IOEnum.RX)._intervaltree.begin() == 0


@row(SYSTEM, "monitoring.IOSampler(buffer_sec=600, interval=0.25)")
@pytest.mark.skipif(sys.platform != "linux", reason="the counters are Linux's")
def test_io_sampler():
    with monitoring.IOSampler(buffer_sec=10, interval=0.01) as sampler:
        pass
    assert sampler.num_samples() >= 2
    assert monitoring.IOSampler().interval == 0.25


@row(SYSTEM, "lib: mkdir, touch, toabs, sip, md5, jsonify and other small helpers")
def test_lib(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert lib.mkdir(f"{tmp_path}/a/b") == f"{tmp_path}/a/b"
    lib.touch("~/a/c/file")
    lib.touch("~/a/c/file")
    assert (tmp_path / "a" / "c" / "file").read_bytes() == b""
    assert lib.toabs("~/x") == f"{tmp_path}/x"
    assert list(lib.sip(iter(range(5)), 2)) == [[0, 1], [2, 3], [4]]
    assert list(lib.scatter([1, 2, 3], 2)) == [[1, 3], [2]]
    assert lib.md5(b"abc") == "kAFQmDzST7DWlj99KOF/cg=="
    assert lib.md5(b"abc", base=16) == "900150983cd24fb0d6963f7d28e17f72"
    assert lib.crc32c(b"abc") == 910901175
    assert lib.jsonify({"b": 1, 2: [1.5]}) == b'{"b":1,"2":[1.5]}'
    with pytest.raises(TypeError, match="one way"):
        lib.jsonify({}, indent=2)
    assert (lib.toiter("a"), lib.toiter([1]), lib.toiter("a", is_iter=True)) == (["a"], [1], (["a"], False))
    assert (lib.nvl(None, 2), lib.first([3, 4]), lib.first([]), lib.duplicates([1, 1, 2])) == (2, 3, None, {1})
    assert (lib.totalfn([1, 2], None), lib.totalfn(iter([1]), None), lib.totalfn([1], 5)) == (2, None, 5)


# ---------------------------------------------------------------------- verified faults
@row(
    SYSTEM,
    "stale variants: gzip, then plain, leaves both, and the old one is read",
    "kept and fixed",
    "a write removes the others; list, get and delete agree",
)
def test_stale_variants(tmp_path):
    for cloudpath in (f"file://{tmp_path}", "mem://compat-tests/variants"):
        cf = CloudFiles(cloudpath)
        cf.put("a", b"old", compress="gzip")
        cf.put("a", b"new")
        assert (cf.get("a"), list(cf)) == (b"new", ["a"])
        cf.delete("a")
        assert (cf.get("a"), list(cf)) == (None, [])


@row(
    SYSTEM,
    "natural names: a raw x.gz lists as x; q.gz with gzip reads back compressed",
    "kept and fixed",
    "names that end like a suffix keep their meaning",
)
def test_natural_names(tmp_path):
    cf = CloudFiles(str(tmp_path))
    cf.put("x.gz", b"raw")
    cf.put("q.gz", b"content", compress="gzip")
    assert list(cf) == ["q.gz", "x.gz"]
    assert (cf.get("x.gz"), cf.get("q.gz"), cf.get("x")) == (b"raw", b"content", None)


@row(
    SYSTEM,
    "the connection pool reuses the first object's credentials and endpoint",
    "kept and fixed",
    "clients are pooled by credentials, too",
)
@row(SYSTEM, "no_sign_request never reaches the client", "kept and fixed", "requests are not signed")
def test_pooled_credentials(ceph):
    bucket = ceph.make_bucket()
    right = {"AWS_ACCESS_KEY_ID": ceph.access_key, "AWS_SECRET_ACCESS_KEY": ceph.secret_key}
    assert CloudFiles(ceph.url(bucket), secrets=right).put("a", b"1") == 1
    wrong = {**right, "AWS_SECRET_ACCESS_KEY": "wrong"}
    for denied in ({"secrets": wrong}, {"no_sign_request": True}):
        with pytest.raises(exceptions.AuthorizationError):
            CloudFiles(ceph.url(bucket), **denied).get("a")


@row(SYSTEM, "put('../x') writes outside of the root", "kept and fixed", "it is refused")
@row(SYSTEM, "local writes are not atomic", "kept and fixed", "old or new, whole")
def test_the_root_is_a_border(tmp_path):
    cf = CloudFiles(f"file://{tmp_path}/root")
    with pytest.raises(ValueError, match=r"'\.\.'"):
        cf.put("../x", b"1")
    assert not (tmp_path / "x").exists()

    def broken():
        yield b"half"
        raise RuntimeError("no more")

    cf.put("a", b"old")
    with pytest.raises(RuntimeError):
        cf.put("a", broken())
    assert cf.get("a") == b"old"


@row(
    SYSTEM,
    "s3: a range past the end is InvalidRange; http: 403 is a missing file",
    "kept and fixed",
    "a range past the end is empty everywhere; a 403 of S3 is an AuthError, of a web server missing unless asked",
)
def test_ranges_past_the_end(moto, monkeypatch):
    for name, value in moto.environment.items():
        monkeypatch.setenv(name, value)
    cf = CloudFiles(moto.url(moto.make_bucket()))
    cf.put("a", b"123")
    assert cf.get({"path": "a", "start": 10, "end": 20}) == b""


@row(
    SYSTEM,
    "parallel sets the global start method of multiprocessing; results come in completion order",
    "kept and fixed",
    "processes are fresh interpreters; nothing global changes, and rows keep the order",
)
def test_parallel(tmp_path):
    program = (
        "import multiprocessing, sys; from holdfast.compat.cloudfiles import CloudFiles; "
        "cf = CloudFiles(sys.argv[1], parallel=2); cf.puts([(f'k{n}', b'%d' % n) for n in range(50)]); "
        "print([row['content'] for row in cf.get(f'k{n}' for n in range(50))] == [b'%d' % n for n in range(50)], "
        "multiprocessing.get_start_method(allow_none=True))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("True None\n", "")
