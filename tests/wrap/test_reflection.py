"""Each wrapper states what it does with every verb; a new verb, or a new wrapper, fails here until that is decided."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import pytest

import holdfast.wrap
from holdfast.store import Facade, ObjectStore, SimpleWrapper, Store, Wrapper
from holdfast.testing.stores import VERBS as COUNTED

#: In this order in the table below.
VERBS = ("_read", "_write", "_remove", "_scan", "_copy", "_stage", "_locate", "capabilities")

#: What each letter means: F forwards it as it is, C changes it on its way, U is Unsupported, N is None on purpose.
TABLE = {
    # observers: they forward, and look
    "guard.IdentityStore": "FFFFFFFF",
    "observe.NotifyingStore": "FCCFCCFF",
    "observe.LoggingStore": "CCCCCCFF",
    # facades: verbs are forwarded, the five adapt
    "observe.ExceptionLoggingStore": "FFFFFFFF",
    "transform.ValueStore": "FFFFFFFF",
    # policies and transformations: they write each verb themselves
    "guard.ReadonlyStore": "CUUCUUCC",
    "guard.WriteonlyStore": "UCCUCCNC",
    "guard.KeyValidatingStore": "CCCCCCCC",
    "transform.TransformingStore": "CCCCCNNC",
    "rekey.KeyTransform": "CCCCCCCC",
    "rekey.PrefixStore": "CCCCCCCC",
    "rekey.UrlEncodingStore": "CCCCCCCC",
    "route.RegexRoutingStore": "CCCCCCCC",
    "mirror.MirroringStore": "CCCCCNNC",
    "cache.CachingStore": "CCCCCCCC",
    "encrypt.EncryptingStore": "CCCCCNNC",
    "retrying.RetryingStore": "CCCCCCCC",
    "throttle.ThrottledStore": "CCCCCCCC",
    "suffix.SuffixStore": "CCCCCCNC",
}
#: Classes that add no verb to the one they derive from.
PLAIN = {
    "guard.RegexValidatingStore": "guard.KeyValidatingStore",
    "guard.UrlValidatingStore": "guard.KeyValidatingStore",
    "transform.CompressingStore": "transform.TransformingStore",
    "transform.GzipStore": "transform.TransformingStore",
    "transform.Base64Store": "transform.TransformingStore",
    "transform.TextEncodingStore": "transform.ValueStore",
    "transform.BufferStore": "transform.ValueStore",
    "transform.JsonStore": "transform.ValueStore",
    "rekey.KeyTransformingStore": "rekey.KeyTransform",
    "rekey.HashPrefixStore": "rekey.KeyTransform",
}
OBSERVERS = {name for name in TABLE if name.startswith("observe.") or name == "guard.IdentityStore"}


def wrappers():
    """Every public class of stores in holdfast.wrap."""
    for module in pkgutil.iter_modules(holdfast.wrap.__path__):
        if module.name.startswith("_"):
            continue
        for name, kind in vars(importlib.import_module(f"holdfast.wrap.{module.name}")).items():
            own = inspect.isclass(kind) and kind.__module__ == f"holdfast.wrap.{module.name}"
            if own and issubclass(kind, ObjectStore) and not name.startswith("_"):
                yield f"{module.name}.{name}", kind


EVERY = dict(wrappers())
BASES = (ObjectStore, Store, Wrapper, Facade, SimpleWrapper)


def home(kind, verb):
    """The class whose definition of the verb counts."""
    return next(base for base in kind.__mro__ if verb in vars(base))


def test_every_wrapper_is_in_the_table():
    assert EVERY.keys() == TABLE.keys() | PLAIN.keys()


def test_every_verb_is_in_the_table():
    defined = {
        name
        for name, value in vars(ObjectStore).items()
        if inspect.isfunction(value) and name.startswith("_") and not name.startswith("__")
    }
    assert defined - {"_unsupported", "_remove_one"} == set(VERBS) - {"capabilities"}
    assert {f"_{name}" for name in COUNTED} == set(VERBS) - {"capabilities"}


@pytest.mark.parametrize("name", TABLE)
def test_a_wrapper_does_what_the_table_says(name):
    kind = EVERY[name]
    forwarding = issubclass(kind, Wrapper | Facade)
    for verb, letter in zip(VERBS, TABLE[name], strict=True):
        where = home(kind, verb)
        inherited = where.__module__ == "holdfast.store"
        if letter == "F":
            assert forwarding, f"{name} says that it forwards {verb}, and is no Wrapper"
            assert inherited, f"{name} changes {verb}"
        else:
            assert not inherited, f"{name} leaves {verb} to a base class that may grow"
        if letter in "UN":
            source = inspect.getsource(getattr(where, verb))
            assert ("raise self._unsupported" if letter == "U" else "return None") in source


@pytest.mark.parametrize("name", [name for name in EVERY if name not in OBSERVERS])
def test_only_observers_inherit_the_forwarding(name):
    assert not issubclass(EVERY[name], Wrapper)


@pytest.mark.parametrize(("name", "base"), PLAIN.items())
def test_a_plain_subclass_adds_no_verb(name, base):
    assert [verb for verb in VERBS if home(EVERY[name], verb) is not home(EVERY[base], verb)] == []


@pytest.mark.parametrize("name", EVERY)
def test_nothing_is_forwarded_by_magic(name):
    assert not hasattr(EVERY[name], "__getattr__")
