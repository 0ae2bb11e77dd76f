from __future__ import annotations

import errno
import inspect
import pickle

import pytest

from holdfast import errors
from holdfast.errors import HoldfastError, NotFound, StoreError, Throttled

EVERY = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, HoldfastError)]

BUILTINS = {
    "NotFound": (KeyError, FileNotFoundError),
    "AlreadyExists": (KeyError, FileExistsError),
    "Unsupported": (NotImplementedError,),
    "KeySyncError": (KeyError, ValueError),
    "InvalidKey": (ValueError,),
    "PathConflict": (ValueError,),
    "AuthError": (PermissionError,),
    "Timeout": (TimeoutError,),
    "ConfigError": (ValueError,),
    "EncodingError": (ValueError,),
    "StoreError": (OSError,),
}


@pytest.mark.parametrize("kind", EVERY)
def test_every_error_pickles_with_all_it_knows(kind):
    error = kind("it broke", key="a/b", store="mem://x", cause=RuntimeError("below"), retryable=True)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert (copy.key, copy.store, copy.message, str(copy)) == ("a/b", "mem://x", "it broke", "mem://x: it broke")
    assert copy.retryable
    assert str(copy.cause) == "RuntimeError: below"
    assert copy.errno == error.errno
    assert copy.args == error.args
    again = pickle.loads(pickle.dumps(copy))
    assert (str(again), again.key) == (str(error), "a/b")


def test_a_conflict_of_a_mapping_pickles_with_both_versions_and_with_the_others():
    error = errors.KeySyncError("mem://x", "a", "v1", found="v2")
    error.others = (errors.KeySyncError("mem://x", "b", None), errors.Indeterminate("lost", key="c"))
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.store, copy.key, copy.expected, copy.found, str(copy)) == ("mem://x", "a", "v1", "v2", str(error))
    assert [(type(other), other.key) for other in copy.others] == [(type(other), other.key) for other in error.others]
    assert copy.args == error.args


def test_what_cannot_be_pickled_stays_behind_as_text():
    error = NotFound("gone", cause=RuntimeError(lambda: None))
    assert "lambda" in str(pickle.loads(pickle.dumps(error)).cause)


def test_a_wait_that_a_service_asked_for_survives_pickling():
    error = Throttled("slow down")
    error.retry_after = 2.5
    assert pickle.loads(pickle.dumps(error)).retry_after == 2.5


@pytest.mark.parametrize("kind", EVERY)
def test_errors_are_caught_as_the_builtins_that_they_are(kind):
    for builtin in BUILTINS.get(kind.__name__, ()):
        with pytest.raises(builtin):
            raise kind("x")
    if kind is not NotFound:
        assert not issubclass(kind, FileNotFoundError)


def test_a_missing_bucket_is_not_a_missing_key():
    assert not issubclass(errors.BucketNotFound, NotFound)
    assert not issubclass(errors.BucketNotFound, KeyError)


def test_the_tree_in_the_docstring_is_the_tree():
    drawn = [line for line in errors.__doc__.splitlines() if "- " in line or line.strip() == "HoldfastError"]
    assert len(drawn) == len(EVERY)
    for kind in EVERY:
        lines = [line for line in drawn if f"- {kind.__name__} " in line + " " or line.strip() == kind.__name__]
        assert len(lines) == 1, kind
        for builtin in BUILTINS.get(kind.__name__, ()):
            inherited = any(builtin in BUILTINS.get(base.__name__, ()) for base in kind.__mro__[1:])
            assert inherited or builtin.__name__ in lines[0]


def test_the_number_of_an_os_error_is_kept():
    full = StoreError("cannot write", cause=OSError(errno.ENOSPC, "no space"))
    assert full.errno == errno.ENOSPC
    assert pickle.loads(pickle.dumps(full)).errno == errno.ENOSPC
    assert NotFound("x").errno == errno.ENOENT


def test_only_what_may_pass_is_retryable():
    retryable = {kind.__name__ for kind in EVERY if kind("x").retryable}
    assert retryable == {"IntegrityError", "Throttled", "Timeout"}
    assert not Throttled("x", retryable=False).retryable
