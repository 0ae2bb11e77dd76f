"""The other modules of accsr: config, conversions, loading, files; and their import paths."""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import re
import socket
import tarfile
from pathlib import Path

import numpy as np
import pytest

import holdfast.remote_storage
from holdfast import errors as e
from holdfast.compat.accsr import config, conversions, files, loading
from tests.compat.rows import row
from tests.stores.scripted import Answer, Scripted


class Configuration(config.DefaultDataConfiguration):
    """What a project would write."""

    @property
    def env_var_entry(self):
        return self._get_non_empty_entry("env_var_entry")


class ConfigProvider(config.ConfigProviderBase[Configuration]):
    """What a project would write."""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "config.json").write_text(
        json.dumps(
            {
                "env_var_entry": "env:THIS_EXISTS",
                "vanity": "env:eve:nv",
                "some_dict": {"env_in_dict": "env:THIS_EXISTS", "kept": 1},
                "some_list": ["env:THIS_EXISTS", 2],
                "overwritten_entry": "first",
                "data_raw": "data/raw",
            }
        )
    )
    (tmp_path / "config_local.yml").write_text("overwritten_entry: overwritten\nnew_entry: new\nsome_dict: {more: 2}\n")
    return tmp_path


@pytest.fixture
def configuration(project):
    return ConfigProvider().get_config(config_directory=project, config_files=["config.json", "config_local.yml"])


@row("accsr", "modules: remote_storage, config, conversions, loading, files")
def test_the_modules_are_where_they_were():
    for name in ("remote_storage", "config", "conversions", "loading", "files"):
        importlib.import_module(f"holdfast.compat.accsr.{name}")
    module = importlib.import_module("holdfast.compat.accsr.remote_storage")
    for name in module.__all__:
        assert getattr(module, name) is getattr(holdfast.remote_storage, name)


# ---------------------------------------------------------------------- config
@row("accsr", "config: JSON and YAML files, merged; later ones win")
def test_files_are_merged(configuration):
    assert configuration._get_non_empty_entry("overwritten_entry") == "overwritten"
    assert configuration._get_non_empty_entry("new_entry") == "new"
    assert configuration.config["some_dict"] == {"env_in_dict": "env:THIS_EXISTS", "kept": 1, "more": 2}


@row(
    "accsr", "config: env:NAME is replaced when it is read, in dicts and lists; not in .config", "kept and fixed",
    "the original stripped the letters e, n, v and the colon from the front of the name, too",
)  # fmt: skip
def test_variables(configuration, monkeypatch):
    for value in ("one", "two"):
        monkeypatch.setenv("THIS_EXISTS", value)
        assert configuration.env_var_entry == value
        assert configuration._get_non_empty_entry(["some_dict", "env_in_dict"]) == value
        assert configuration._get_non_empty_entry("some_dict")["env_in_dict"] == value
        assert configuration._get_non_empty_entry("some_list") == [value, 2]
    assert configuration.config["env_var_entry"] == "env:THIS_EXISTS"
    monkeypatch.setenv("eve:nv", "whole name")
    assert configuration._get_non_empty_entry("vanity") == "whole name"
    monkeypatch.delenv("THIS_EXISTS")
    assert configuration.env_var_entry is None


@row("accsr", "config: an entry that is not set is a KeyError")
def test_missing_entries(configuration):
    for key in ("nothing", ["some_dict", "nothing"], ["overwritten_entry", "x"]):
        with pytest.raises(KeyError, match="not set in configuration"):
            configuration._get_non_empty_entry(key)


@row("accsr", "config: DefaultDataConfiguration's directories are made; datafile_path and artifact_path")
def test_directories(configuration, project):
    assert configuration.data_raw == str(project / "data/raw")
    assert (project / "data/raw").is_dir()
    assert configuration.datafile_path("x.csv") == str(project / "data/raw/x.csv")
    assert configuration.datafile_path("x.csv", relative=True) == "data/raw/x.csv"
    with pytest.raises(FileNotFoundError, match=r"x\.csv"):
        configuration.datafile_path("x.csv", check_existence=True)
    with pytest.raises(KeyError, match="Unknown stage"):
        configuration.datafile_path("x.csv", stage="boiled")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        configuration._get_existing_path("new_entry", create=False)
    configuration.config["artifacts"] = "models"
    assert configuration.artifact_path("m.bin", relative=True) == "models/m.bin"
    with pytest.raises(ValueError, match="not below"):
        configuration.artifact_path("../../x", relative=True)


@row("accsr", "config: ConfigProviderBase makes one configuration, and another with reload or other arguments")
def test_a_provider_keeps_one(project):
    provider = ConfigProvider()
    first = provider.get_config(config_directory=project)
    assert provider.get_config(config_directory=project) is first
    assert provider.get_config(config_directory=project, reload=True) is not first
    assert provider.get_config(config_directory=project, config_files=["config_local.yml"]).config["new_entry"] == "new"
    with pytest.raises(TypeError, match=r"ConfigProviderBase\[CLASS\]"):
        config.ConfigProviderBase()


def test_configurations_that_cannot_be_read(tmp_path):
    with pytest.raises(e.ConfigError, match="No configuration entries"):
        Configuration(tmp_path)
    (tmp_path / "config.json").write_text('{"secret": "hunter2",\n')
    with pytest.raises(e.ConfigError, match=r"config\.json is no JSON \(line 2\)") as raised:
        Configuration(tmp_path)
    assert "hunter2" not in str(raised.value)
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(e.ConfigError, match="no names"):
        Configuration(tmp_path)
    assert Path(Configuration._module_dir_path(object.__new__(Configuration))) == Path(__file__).parent


# ---------------------------------------------------------------------- conversions
@row("accsr", "conversions.to_json_compatible_value: numpy's arrays and numbers as Python's, infinity and NaN as text")
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.array([1, 2, 3]), [1, 2, 3]),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array([1.0, np.inf]), [1.0, "inf"]),
        (np.int64(10), 10),
        (np.float32(10.5), 10.5),
        (np.uint32(3), 3),
        (np.inf, "inf"),
        (np.nan, "nan"),
        (3.3, 3.3),
        ("text", "text"),
        ([1, 2], "[1, 2]"),
        (None, "None"),
    ],
)
def test_values(value, expected):
    converted = conversions.to_json_compatible_value(value)
    assert (converted, type(converted)) == (expected, type(expected))
    json.dumps(converted, allow_nan=False)


@row("accsr", "conversions.to_json_compatible_dict converts each value")
def test_dictionaries():
    converted = conversions.to_json_compatible_dict({"a": np.int32(1), "b": np.array([1, 2])})
    assert converted == {"a": 1, "b": [1, 2]}


# ---------------------------------------------------------------------- files and loading
@row("accsr", "files.md5sum")
def test_md5sum(tmp_path):
    (tmp_path / "a").write_bytes(b"hello")
    assert files.md5sum(tmp_path / "a") == files.md5sum(str(tmp_path / "a")) == hashlib.md5(b"hello").hexdigest()
    for path in (tmp_path, tmp_path / "b"):
        with pytest.raises(OSError):
            files.md5sum(path)


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "sample.tgz"
    with tarfile.open(path, "w:gz") as made:
        for name, data in {"sample.txt": b"one\n", "sample_2.txt": b"two\n", "folder": None}.items():
            member = tarfile.TarInfo(name)
            member.size = len(data or b"")
            member.type = tarfile.REGTYPE if data is not None else tarfile.DIRTYPE
            made.addfile(member, io.BytesIO(data or b""))
    return path


@row("accsr", "loading.open_file_in_tar: the one file that matches, in a with statement; else ValueError")
def test_a_file_in_an_archive(archive):
    for expression in ("^[a-z]*.txt$", re.compile("SAMPLE.TXT", re.IGNORECASE)):
        with loading.open_file_in_tar(archive, expression) as file:
            assert not file.closed
            assert file.read() == b"one\n"
        assert file.closed
    with loading.open_file_in_tar(str(archive), file_regex="^[a-z]*_2.txt$") as file:
        assert file.read() == b"two\n"
    for expression in ("sample", "noresult", ".*", "folder"):
        with (
            pytest.raises(ValueError, match=r"should match one|is no file"),
            loading.open_file_in_tar(archive, expression),
        ):
            pass
    with pytest.raises(ValueError, match="matches 3"), loading.open_file_in_tar(archive):
        pass


@row(
    "accsr",
    "gap: download_file installs a global opener with the auth header",
    "kept and fixed",
    "headers go with one request",
)
@row(
    "accsr", "loading.download_file(url, output_file, show_progress, overwrite_existing, headers)", "kept and fixed",
    "written whole or not at all; the headers, with their credentials, stay with this one request",
)  # fmt: skip
def test_a_download(tmp_path):
    with Scripted(
        lambda request: Answer(body=b"hello " + request.headers.get("authorization", "nobody").encode())
    ) as web:
        address = f"{web.endpoint}/file?signed=yes"
        target = tmp_path / "new/folder/file"
        loading.download_file(address, target, headers={"Authorization": "Bearer me"})
        assert target.read_bytes() == b"hello Bearer me"
        assert web.requests[0].target == "/file?signed=yes"
        with pytest.raises(FileExistsError, match="overwrite_existing"):
            loading.download_file(address, target)
        loading.download_file(address, target, show_progress=True, overwrite_existing=True)
        assert target.read_bytes() == b"hello nobody"
        assert [path.name for path in target.parent.iterdir() if path.name != ".holdfast"] == ["file"]


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (Answer(404), FileNotFoundError, "answers 404"),
        (Answer(403), e.StoreError, "answers 403"),
        (Answer(body=b"x" * 1000, cut=10), e.StoreError, "cannot be read"),
    ],
)
def test_a_download_that_fails_leaves_nothing(tmp_path, answer, error, message):
    with Scripted(lambda request: answer) as web:
        with pytest.raises(error, match=message) as raised:
            loading.download_file(f"{web.endpoint}/file?X-Amz-Signature=hidden", tmp_path / "file")
        assert "hidden" not in str(raised.value)
    assert not (tmp_path / "file").exists()


def test_authorization_does_not_follow_to_another_host(tmp_path):
    with Scripted(lambda request: Answer(body=str(request.headers).encode())) as other:
        port = other.endpoint.rpartition(":")[2]
        place = {"Location": f"http://localhost:{port}/there"}
        if not any(address[0] is socket.AF_INET for address in socket.getaddrinfo("localhost", port)):
            pytest.skip("localhost is not 127.0.0.1 here")
        with Scripted(lambda request: Answer(302, headers=place)) as web:
            loading.download_file(f"{web.endpoint}/here", tmp_path / "f", headers={"Authorization": "Bearer me"})
    assert b"Bearer me" not in (tmp_path / "f").read_bytes()
    assert other.requests


def test_only_the_web_is_downloaded_from(tmp_path):
    with pytest.raises(e.ConfigError, match="no address of the web"):
        loading.download_file("file:///etc/passwd", tmp_path / "f")
