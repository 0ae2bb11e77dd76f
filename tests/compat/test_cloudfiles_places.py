"""Where cloud-files' CloudFiles reaches: web servers, endpoints, who pays, tokens, and the bar that it shows."""

from __future__ import annotations

import os
import re

import pytest

import holdfast
from holdfast import Unsupported
from holdfast.compat.cloudfiles import CloudFiles, paths
from holdfast.compat.cloudfiles import secrets as secrets_module
from holdfast.stores.gs import GoogleStore
from tests.compat.rows import row

SYSTEM = "cloudfiles"


@row(SYSTEM, "http(s):// paths read files of a web server; a missing one is None")
@row(SYSTEM, "HTTP 403 is 'missing', which hides that access is denied", "kept and fixed", "forbidden='raise' tells")
def test_web_servers(nginx):
    (nginx.root / "d").mkdir(exist_ok=True)
    (nginx.root / "d" / "file").write_bytes(b"0123456789")
    cf = CloudFiles(f"{nginx.endpoint}/d")
    assert cf.get("file") == b"0123456789"
    assert cf.get({"path": "file", "start": 2, "end": 4}) == b"23"
    assert cf.exists(["file", "no"]) == {"file": True, "no": False}
    assert cf.size("file") == 10
    assert cf.get("no") is None
    assert CloudFiles(f"{nginx.endpoint}/forbidden").get("file") is None
    with pytest.raises(Unsupported):
        cf.put("file", b"1")


@row(SYSTEM, "endpoint= is another server; secrets= are used instead of files and environment")
def test_endpoints(moto):
    bucket = moto.make_bucket()
    secrets = {"AWS_ACCESS_KEY_ID": moto.access_key, "AWS_SECRET_ACCESS_KEY": moto.secret_key}
    cf = CloudFiles(f"s3://{bucket}/d", endpoint=moto.endpoint, secrets=secrets)
    cf.put("a", b"1")
    assert moto.client().get_object(Bucket=bucket, Key="d/a")["Body"].read() == b"1"
    assert CloudFiles(f"s3://{moto.endpoint}/{bucket}", secrets=secrets).get("d/a") == b"1"


@row(SYSTEM, "request_payer agrees to pay for the requests")
def test_request_payer():
    assert CloudFiles("s3://bucket", request_payer="requester").store.options.request_payer is True
    assert CloudFiles("gs://bucket", request_payer="project-1").store.user_project == "project-1"


@row(SYSTEM, "use_https reads public buckets of gs and s3 from their web servers")
def test_use_https(moto):
    bucket = moto.make_bucket()
    moto.client().put_object(Bucket=bucket, Key="d/a", Body=b"public", ACL="public-read")
    cf = CloudFiles(f"s3://{moto.endpoint}/{bucket}/d", use_https=True)
    assert (cf.cloudpath, cf.get("a")) == (f"{moto.endpoint}/{bucket}/d", b"public")


@row(SYSTEM, "middleauth+https:// sends the token of the cave secrets file")
def test_middleauth(tmp_path, monkeypatch):
    monkeypatch.setenv("CLOUD_FILES_DIR", str(tmp_path))
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "host.example-cave-secret.json").write_text('{"token": "abc"}')
    cf = CloudFiles("middleauth+https://host.example/table")
    assert (cf.cloudpath, cf.protocol) == ("middleauth+https://host.example/table", "middleauth+https")
    assert cf.store.store._authorization == "Bearer abc"
    assert paths.extract(cf.cloudpath).host == "https://host.example"


@row(
    SYSTEM,
    "head on gs: also Content-Crc32c and Component-Count",
    "different",
    "they are there, and None: the digest of a download is checked when it is read, and not shown",
)
def test_heads_on_google(gcs):
    cf = holdfast.CloudFiles(GoogleStore(gcs.make_bucket(), endpoint=gcs.endpoint, token=gcs.token))
    cf.put("a", b"123")
    head = cf.head("a")
    assert (head["Content-Length"], head["Content-Crc32c"], head["Component-Count"]) == (3, None, None)


@row(SYSTEM, "secrets= of a web server: a token, or user and password")
@pytest.mark.parametrize(
    ("secrets", "sent"), [({"token": "abc"}, "Bearer abc"), ({"user": "u", "password": "p"}, "Basic dTpw")]
)
def test_secrets_of_web_servers(secrets, sent):
    assert CloudFiles("https://host.example/x", secrets=secrets).store.store._authorization == sent


@row(SYSTEM, "env CLOUD_VOLUME_DIR, CLOUD_FILES_DIR and CLOUD_FILES_LOCK_DIR say where secrets, aliases and locks are")
def test_directories_of_the_environment(tmp_path, monkeypatch):
    for name in ("CLOUD_VOLUME_DIR", "CLOUD_FILES_DIR", "CLOUD_FILES_LOCK_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
        assert getattr(secrets_module, name) == str(tmp_path / name)
    assert secrets_module.secretpath("aws-secret.json") == f"{tmp_path}/CLOUD_VOLUME_DIR/secrets/aws-secret.json"
    assert str(tmp_path / "CLOUD_FILES_DIR" / "aliases.json") == paths.ALIAS_FILE
    cf = CloudFiles(f"file://{tmp_path}/root", locking=True)
    cf.put("hello.txt", b"1")
    (name,) = os.listdir(tmp_path / "CLOUD_FILES_LOCK_DIR")
    assert re.match(r"^hello\.txt\.\d+", name)
    assert cf.lock_dir == str(tmp_path / "CLOUD_FILES_LOCK_DIR")


@row(SYSTEM, "num_threads=0 works, as 5 and 20 do")
@pytest.mark.parametrize("num_threads", [0, 5])
def test_numbers_of_threads(tmp_path, num_threads):
    cf = CloudFiles(f"file://{tmp_path}", num_threads=num_threads)
    assert cf.puts((str(number), b"1") for number in range(20)) == 20
    assert len(cf.get(map(str, range(20)), total=20)) == 20


@row(SYSTEM, "progress=True shows a bar in bulk calls; progress= of a call overrides it")
def test_progress(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("holdfast.progress.PATIENCE", 0.0)
    cf = CloudFiles(f"file://{tmp_path}", progress=True)
    cf.puts([("a", b"1"), ("b", b"2")], progress=False)
    assert capsys.readouterr().err == ""
    cf.get(["a", "b"], total=2)
    assert "Downloading" in capsys.readouterr().err
