"""put_json and get_json: what becomes of every kind of value, and what is refused."""

from __future__ import annotations

import json

import pytest

from holdfast import EncodingError


def test_json_round_trips_and_keeps_the_order(cf):
    assert cf.put_json("digits", [1, 2, {"ü": None}]) == 1
    assert cf.get_json("digits") == [1, 2, {"ü": None}]
    assert cf.get_json("missing") is None
    assert cf.put_jsons((f"j{i}", {"i": i}) for i in range(40)) == 40
    assert cf.get_json(f"j{i}" for i in range(40)) == [{"i": i} for i in range(40)]
    assert cf.get_json(["j1", "missing"]) == [{"i": 1}, None]
    assert cf.get_json({"path": "digits"}) == [1, 2, {"ü": None}]


def test_json_takes_numpy_and_leaves_the_callers_dicts_alone(cf):
    numpy = pytest.importorskip("numpy")
    request = {"path": "n", "content": {"a": numpy.arange(3), "b": numpy.float32(0.5)}}
    before = dict(request)
    cf.put_jsons([request], compress="gzip")
    assert request == before
    assert cf.get_json("n") == {"a": [0, 1, 2], "b": 0.5}


@pytest.mark.parametrize("body", [b"no json", b"", b"[1, 2", b"\xff\xfe\x00", b"[" * 100_000], ids=len)
def test_what_is_no_json_is_an_error_that_names_the_object(cf, body):
    cf.puts([("bad", body), ("good", b"1")])
    for paths in ("bad", ["good", "bad"]):
        with pytest.raises(EncodingError, match="'bad' is no JSON") as caught:
            cf.get_json(paths)
        assert caught.value.key == "bad"
        assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    "wrong", [("a",), ("a", 1, 2), {"path": "a"}, {"content": 1}, {"path": "a", "body": 1}, 7, "a"]
)
def test_a_request_of_the_wrong_form_is_a_type_error_before_anything_is_written(cf, wrong):
    with pytest.raises(TypeError, match=r"a tuple to put|a request|unknown"):
        cf.put_jsons([("first", 1), wrong])
    assert list(cf) == []


def test_what_json_cannot_say_is_null(cf):
    cf.put_json("a", {"values": [float("nan"), float("inf"), -float("inf"), 1.5, (float("nan"),)], "ok": True})
    assert json.loads(cf.get("a"), parse_constant=pytest.fail) == {
        "values": [None, None, None, 1.5, [None]],
        "ok": True,
    }


def test_numpys_missing_values_are_null_and_its_keys_are_text(cf):
    numpy = pytest.importorskip("numpy")
    content = {
        numpy.int64(7): numpy.array([1.0, numpy.nan]), numpy.uint8(8): numpy.float32("nan"), numpy.bool_(True): 1,
        9: numpy.array([], dtype=int), numpy.float64(0.5): {numpy.int32(-1): None},
    }  # fmt: skip
    cf.put_json("a", content)
    assert cf.get_json("a") == {"7": [1.0, None], "8": None, "true": 1, "9": [], "0.5": {"-1": None}}


def test_what_is_no_json_value_is_refused_and_leaves_the_old_one(cf):
    circle = []
    circle.append(circle)
    cf.put_json("a", 1)
    for wrong in (object(), {"a": {1, 2}}, [b"bytes"], {(1, 2): 3}):
        with pytest.raises(TypeError, match="not JSON serialisable"):
            cf.put_json("a", wrong)
    with pytest.raises(ValueError, match="Circular"):
        cf.put_json("a", circle)
    assert cf.get_json("a") == 1
