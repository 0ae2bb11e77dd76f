"""holdfast uploads: shows and aborts what killed writers left behind."""

from __future__ import annotations

import pytest

from .conftest import Place

pytestmark = pytest.mark.server


@pytest.fixture
def s3(ceph, monkeypatch):
    """A bucket with uploads that nobody will complete."""
    for name, value in ceph.environment.items():
        monkeypatch.setenv(name, value)
    bucket = ceph.make_bucket()
    for key in ("run1", "run1/a", "run1/b", "run10/c", "run1.txt"):
        ceph.client().create_multipart_upload(Bucket=bucket, Key=key)
    return Place(f"s3://{bucket}")


def left(ceph, place):
    bucket = place.base.removeprefix("s3://")
    return sorted(row["Key"] for row in ceph.client().list_multipart_uploads(Bucket=bucket).get("Uploads", ()))


ALL = ["run1", "run1.txt", "run1/a", "run1/b", "run10/c"]


@pytest.mark.parametrize(
    ("location", "expected"),
    [("", ALL), ("/run1", ["run1", "run1/a", "run1/b"]), ("/run1/", ["run1/a", "run1/b"]), ("/nothing", [])],
)
def test_a_location_means_itself_and_what_is_under_it(holdfast, s3, location, expected):
    result = holdfast("uploads", f"{s3.base}{location}")
    assert (result.code, result.err) == (0, "")
    assert [line.split("  ")[1:] for line in result.lines] == [["pending", f"{s3.base}/{key}"] for key in expected]


def test_they_are_aborted_when_they_are_old_enough(holdfast, ceph, s3):
    assert holdfast("uploads", "--abort", "--older-than", "1h", s3.base).lines == []
    assert left(ceph, s3) == ALL
    result = holdfast("uploads", "--abort", "--older-than", "0s", f"{s3.base}/run1")
    assert result.code == 0
    assert [line.split("  ")[1] for line in result.lines] == ["aborted"] * 3
    assert left(ceph, s3) == ["run1.txt", "run10/c"]


def test_json_rows_and_a_summary(holdfast, s3):
    *rows, summary = holdfast("uploads", "--json", f"{s3.base}/run10").rows
    assert [(row["location"], row["status"]) for row in rows] == [(f"{s3.base}/run10/c", "pending")]
    assert rows[0]["id"]
    assert rows[0]["started"].endswith("+00:00")
    assert (summary["status"], summary["count"], summary["failed"]) == ("summary", 1, 0)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [(["--abort"], "--older-than"), (["--older-than", "soon"], "7d"), (["--older-than", "-1d"], "7d")],
)
def test_what_would_be_dangerous_is_refused(holdfast, ceph, s3, arguments, word):
    result = holdfast("uploads", *arguments, s3.base)
    assert (result.code, result.out) == (2, "")
    assert word in result.err
    assert left(ceph, s3) == ALL


def test_other_stores_have_no_uploads(holdfast, folder):
    result = holdfast("uploads", folder.base)
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert "file:// has no multipart uploads" in result.err


def test_a_missing_bucket_is_said(holdfast, ceph, s3):
    result = holdfast("uploads", "s3://there-is-no-such-bucket")
    assert result.code == 4
    assert "no such bucket" in result.err
