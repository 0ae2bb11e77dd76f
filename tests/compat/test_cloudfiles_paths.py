"""Paths as cloud-files takes them apart and puts them together, as its own tests look at them."""

from __future__ import annotations

import os

import pytest

from holdfast.compat.cloudfiles import exceptions, paths
from holdfast.compat.cloudfiles.paths import ExtractedPath
from tests.compat.rows import row

SYSTEM = "cloudfiles"
HERE, HOME = os.path.abspath("."), os.path.expanduser("~")

#: Format, protocol, bucket, path and host of each.
TABLE = {
    "gs://bucket/dataset/layer/": ("precomputed", "gs", "bucket", "dataset/layer/", None),
    "precomputed://gs://bucket": ("precomputed", "gs", "bucket", "", None),
    "graphene://http://localhost:8080/segmentation/1.0/volume": (
        *("graphene", "http", None, "segmentation/1.0/volume", "http://localhost:8080"),
    ),
    "s3://bucket/a/bucket/b": ("precomputed", "s3", "bucket", "a/bucket/b", None),
    "precomputed://s3://https://host.example/bucket/x": (
        *("precomputed", "s3", "bucket", "x", "https://host.example"),
    ),
    "matrix://bucket/x": ("precomputed", "s3", "bucket", "x", "https://s3-hpcrc.rc.princeton.edu"),
    "gs://bucket/x|neuroglancer-precomputed:": ("precomputed", "gs", "bucket", "x", None),
    "gs://bucket/x|zarr2:": ("zarr2", "gs", "bucket", "x", None),
    "middleauth+https://host.example/x/": ("precomputed", "middleauth+https", None, "x/", "https://host.example"),
    "https://host.example/a/b": ("precomputed", "https", None, "a/b", "https://host.example"),
    "file:///tmp/layer/": ("precomputed", "file", None, "/tmp/layer", None),
    "file://relative/layer": ("precomputed", "file", None, f"{HERE}/relative/layer", None),
    "file://~/layer": ("precomputed", "file", None, f"{HOME}/layer", None),
}


@row(SYSTEM, "paths.extract: the table of cloud-files' tests; formats, aliases, hosts, relative local paths")
@pytest.mark.parametrize("path", TABLE)
def test_the_table(path):
    assert tuple(paths.extract(path)[:5]) == TABLE[path]
    assert paths.extract(path).alias == ("matrix" if path.startswith("matrix") else None)


@pytest.mark.parametrize("path", ["s4://dataset/layer", "dataset/layer", "no path at all", "gs://///"])
def test_what_is_no_path(path):
    with pytest.raises(exceptions.UnsupportedProtocolError):
        paths.extract(path)


@row(SYSTEM, "paths.extract(windows=True) keeps file://C:\\... as it is")
@pytest.mark.parametrize("path", ["C:\\wow\\path", "C:\\wow\\path\\", "C:/wow"])
def test_drives(path):
    assert tuple(paths.extract(f"file://{path}", windows=True)) == ("precomputed", "file", None, path, None, None)
    assert paths.extract(f"zarr2://file://{path}", windows=True).format == "zarr2"
    web = "precomputed://https://host.example/a/b"
    assert paths.extract(web, windows=True) == paths.extract(web)


@row(SYSTEM, "paths.ascloudpath: without a format, too; a web server's host stands for its protocol")
@pytest.mark.parametrize(
    ("parts", "path"),
    [
        (("precomputed", "gs", "bucket", "a/b", None, None), "precomputed://gs://bucket/a/b"),
        ((None, "mem", "bucket", "a/b", None, None), "mem://bucket/a/b"),
        ((None, "file", "bucket", "a/b", None, None), "file://bucket/a/b"),
        ((None, "https", "bucket", "a/b", "https://host.example", None), "https://host.example/bucket/a/b"),
        (("graphene", "https", None, "a/b", "https://host.example", None), "graphene://https://host.example/a/b"),
        ((None, "s3", "bucket", "a/b", "https://host.example", None), "s3://https://host.example/bucket/a/b"),
    ],
)
def test_put_together(parts, path):
    assert paths.ascloudpath(ExtractedPath(*parts)) == path


@row(SYSTEM, "paths.to_https_protocol gives text for text, and an ExtractedPath for one")
def test_web_servers_of_buckets():
    assert paths.to_https_protocol("s3://bucket/a") == "https://s3.amazonaws.com/bucket/a"
    assert paths.to_https_protocol("matrix://bucket/a") == "https://s3-hpcrc.rc.princeton.edu/bucket/a"
    assert paths.to_https_protocol("zarr2://gs://bucket/a") == "zarr2://https://storage.googleapis.com/bucket/a"
    for same in ("file://bucket/a", "mem://bucket/a"):
        assert paths.to_https_protocol(same) == same
    parts = paths.to_https_protocol(paths.extract("gs://bucket/a"))
    assert parts == paths.extract("https://storage.googleapis.com/bucket/a")
