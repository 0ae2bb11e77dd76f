"""Two mappings over one store, in any order of operations, against a model that knows every ETag."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from holdfast import CloudMapping, KeySyncError
from tests.mapping import places

KEYS = ("b", "b-", "c/x")
keys = st.sampled_from(KEYS)
names = st.sampled_from(("mine", "theirs"))
scopes = st.sampled_from(("", "b", "c", "c/", "c/x"))


class Model:
    """What is stored, with its ETags, and what each mapping knows of it."""

    def __init__(self) -> None:
        self.stored: dict[str, tuple[bytes, str]] = {}
        self.known: dict[str, dict[str, str]] = {"mine": {}, "theirs": {}}

    def etag(self, key: str) -> str | None:
        return self.stored[key][1] if key in self.stored else None

    def in_sync(self, name: str, key: str) -> bool:
        """Whether what the mapping knows of the key, or that it knows nothing, is how it is."""
        return self.known[name].get(key) == self.etag(key)

    def readable(self, name: str, key: str) -> bool:
        """Whether the key is unknown, or known as it is."""
        return key not in self.known[name] or self.in_sync(name, key)


class Mappings(RuleBasedStateMachine):
    """The rules; ``place`` is set by whoever runs them."""

    make_place: Any = None

    def __init__(self) -> None:
        super().__init__()
        self.place = type(self).make_place()
        self.store = self.place.open()
        self.model = Model()
        self.mappings: dict[str, CloudMapping[bytes]] = {name: self.place.mapping() for name in ("mine", "theirs")}
        self.numbers = itertools.count()

    def fresh(self) -> bytes:
        """A value that was never there before: on S3 the same bytes have the same ETag."""
        return b"%d" % next(self.numbers)

    def conflicts(self, operation: Any) -> None:
        with pytest.raises(KeySyncError):
            operation()

    def wrote(self, name: str, key: str, value: bytes) -> None:
        etag = self.store.head(key).etag
        assert etag is not None
        assert etag != self.model.etag(key)
        self.model.stored[key] = (value, etag)
        self.model.known[name][key] = etag

    def deleted(self, name: str, key: str) -> None:
        del self.model.stored[key], self.model.known[name][key]

    @rule(name=names, key=keys)
    def set(self, name, key):
        mapping, value = self.mappings[name], self.fresh()
        if not self.model.in_sync(name, key):
            self.conflicts(lambda: mapping.__setitem__(key, value))
            return
        mapping[key] = value
        self.wrote(name, key, value)

    @rule(name=names, key=keys)
    def read(self, name, key):
        mapping = self.mappings[name]
        assert (key in mapping) == (key in self.model.known[name])
        if not self.model.readable(name, key):
            self.conflicts(lambda: mapping[key])
            self.conflicts(lambda: mapping.get(key, b"default"))
            self.conflicts(lambda: mapping.get_many([key]))
        elif key in self.model.known[name]:
            value, _ = self.model.stored[key]
            assert mapping[key] == mapping.get(key) == mapping.get_many([key])[key] == value
        else:
            assert mapping.get(key, b"default") == b"default"
            assert mapping.get_many([key]) == {}
            with pytest.raises(KeyError) as caught:
                mapping[key]
            assert not isinstance(caught.value, KeySyncError)

    @rule(name=names, key=keys, default=st.booleans())
    def pop(self, name, key, default):
        mapping, arguments = self.mappings[name], (b"default",) if default else ()
        if not self.model.readable(name, key):
            self.conflicts(lambda: mapping.pop(key, *arguments))
        elif key in self.model.known[name]:
            assert mapping.pop(key, *arguments) == self.model.stored[key][0]
            self.deleted(name, key)
        elif default:
            assert mapping.pop(key, *arguments) == b"default"
        else:
            with pytest.raises(KeyError):
                mapping.pop(key)

    @rule(name=names, key=keys)
    def delete(self, name, key):
        mapping = self.mappings[name]
        if key not in self.model.known[name]:
            with pytest.raises(KeyError):
                del mapping[key]
        elif not self.model.in_sync(name, key):
            self.conflicts(lambda: mapping.__delitem__(key))
        else:
            del mapping[key]
            self.deleted(name, key)

    @rule(name=names, key=keys)
    def setdefault(self, name, key):
        mapping, value = self.mappings[name], self.fresh()
        if not self.model.in_sync(name, key):
            self.conflicts(lambda: mapping.setdefault(key, value))
        elif key in self.model.stored:
            assert mapping.setdefault(key, value) == self.model.stored[key][0]
        else:
            assert mapping.setdefault(key, value) == value
            self.wrote(name, key, value)

    @rule(name=names, key=keys)
    def modify(self, name, key):
        mapping = self.mappings[name]
        before = self.model.stored.get(key, (b"new", ""))[0]
        extra = self.fresh()
        assert mapping.modify(key, lambda value: value + b"+" + extra, default=b"new") == before + b"+" + extra
        self.wrote(name, key, before + b"+" + extra)

    @rule(name=names, wanted=st.lists(keys, min_size=1, max_size=4))
    def update(self, name, wanted):
        mapping = self.mappings[name]
        values = {key: self.fresh() for key in wanted}
        able = [key for key in values if self.model.in_sync(name, key)]
        if len(able) < len(values):
            self.conflicts(lambda: mapping.update(values))
        else:
            mapping.update(values)
        for key in able:
            self.wrote(name, key, values[key])

    @rule(name=names)
    def clear(self, name):
        mapping = self.mappings[name]
        known = self.model.known[name]
        able = [key for key in known if self.model.in_sync(name, key)]
        if len(able) < len(known):
            self.conflicts(mapping.clear)
        else:
            mapping.clear()
        for key in able:
            self.deleted(name, key)

    @rule(name=names)
    def popitem(self, name):
        mapping = self.mappings[name]
        if not mapping:
            with pytest.raises(KeyError):
                mapping.popitem()
            return
        key = next(reversed(mapping))
        if not self.model.in_sync(name, key):
            self.conflicts(mapping.popitem)
            return
        assert mapping.popitem() == (key, self.model.stored[key][0])
        self.deleted(name, key)

    @rule(name=names)
    def compare(self, name):
        mapping, known = self.mappings[name], self.model.known[name]
        expected = {key: value for key, (value, _) in self.model.stored.items()}
        if known.keys() != expected.keys():
            assert mapping != expected
        elif all(self.model.in_sync(name, key) for key in known):
            assert mapping == expected
            assert dict(mapping.items()) == expected
        else:
            self.conflicts(lambda: mapping == expected)
            self.conflicts(lambda: list(mapping.values()))

    @rule(name=names, scope=scopes)
    def sync(self, name, scope):
        self.mappings[name].sync_with_cloud(*([scope] if scope else []))
        below = scope if not scope or scope.endswith("/") else f"{scope}/"
        for key in KEYS:
            if key == scope or key.startswith(below):
                self.model.known[name].pop(key, None)
                if key in self.model.stored:
                    self.model.known[name][key] = self.model.stored[key][1]

    @invariant()
    def the_mappings_know_what_the_model_says(self):
        for name, mapping in self.mappings.items():
            assert mapping.etags == self.model.known[name]
            assert set(mapping) == set(self.model.known[name])

    @invariant()
    def the_store_holds_what_the_model_says(self):
        assert {info.key: info.etag for info in self.store.list()} == {
            key: etag for key, (_, etag) in self.model.stored.items()
        }

    def teardown(self) -> None:
        assert {key: self.store.get(key) for key in self.model.stored} == {
            key: value for key, (value, _) in self.model.stored.items()
        }


#: How many runs of how many steps: what is quick is tried often.
EFFORT = {"memory": (200, 50), "file": (30, 40), "sqlite": (30, 40)}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", places.KINDS)
def test_any_order_of_operations_is_what_the_model_says(kind, request, tmp_path, soak):
    directories = []

    def make_place() -> places.Place:
        directories.append(Path(tempfile.mkdtemp(dir=tmp_path)))
        if len(directories) > 1:
            shutil.rmtree(directories[-2])
        return places.make(kind, request, directories[-1])

    machine = type("Machine", (Mappings,), {"make_place": staticmethod(make_place)})
    examples, steps = EFFORT.get(kind, (5, 30))
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=examples * (10 if soak else 1), stateful_step_count=steps, deadline=None),
    )
