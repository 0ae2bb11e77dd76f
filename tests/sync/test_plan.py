"""Plans: what they say about each key, how they are shown and kept, and what they refuse."""

from __future__ import annotations

import io
import os
import pickle

import pytest

from holdfast import errors as e
from holdfast import open_store
from holdfast.stores.memory import MemoryStore
from holdfast.sync import Action, Identity, Plan, plan
from holdfast.testing.stores import CountingStore


def store_of(**objects: bytes) -> MemoryStore:
    store = MemoryStore()
    for key, data in objects.items():
        store.put(key, data)
    return store


def kinds(planned: Plan) -> dict[str, str]:
    return {action.key: action.kind for action in planned}


def test_each_key_gets_the_action_that_makes_the_target_the_source():
    source = store_of(new=b"1", same=b"2", other=b"3", longer=b"44")
    target = store_of(same=b"2", other=b"4", longer=b"4", extra=b"5")
    planned = plan(source, target)
    assert kinds(planned) == {"new": "add", "same": "skip", "other": "update", "longer": "update", "extra": "skip"}
    assert planned.counts == {"add": 1, "update": 2, "skip": 2}
    assert planned.nbytes["update"] == 3
    deleting = plan(source, target, delete=True, max_delete=1)
    assert (kinds(deleting)["extra"], deleting.nbytes["delete"]) == ("delete", 1)
    assert deleting.totals()[0] == "add: 1 (1 B), update: 2 (3 B), skip: 1, delete: 1 (1 B)"


def test_planning_changes_nothing_and_reads_each_listing_once():
    source, target = CountingStore(store_of(a=b"1")), CountingStore(store_of(b=b"2"))
    plan(source, target, delete=True, compare="size")
    for store in (source, target):
        assert {verb: count for verb, count in store.calls.items() if verb != "locate"} == {"scan": 1}


def test_a_plan_comes_back_from_disk_as_it_was(tmp_path):
    source, target = store_of(**{"a": b"1", "ü\x1b": b"2"}), store_of(a=b"2")
    planned = plan(source, target, include=["*"], exclude="re:b.*")
    planned.write(tmp_path / "plan")
    back = Plan.read(tmp_path / "plan", source, target)
    assert list(back) == list(planned)
    assert back.terms == planned.terms
    assert back.fingerprint == planned.fingerprint
    with pytest.raises(e.ConfigError, match="pass source="):
        Plan.read(tmp_path / "plan")
    lines = (tmp_path / "plan").read_text().splitlines(keepends=True)
    with pytest.raises(e.ConfigError, match="cut short"):
        Plan.read(io.StringIO("".join(lines[:-1])), source, target)
    with pytest.raises(e.ConfigError, match="no plan"):
        Plan.read(io.StringIO(lines[1]), source, target)


def test_a_plan_of_locations_opens_them_again(tmp_path):
    open_store(tmp_path / "one").put("a", b"1")
    planned = plan(tmp_path / "one", tmp_path / "two")
    planned.write(tmp_path / "plan")
    assert list(Plan.read(tmp_path / "plan")) == list(planned)
    with pytest.raises(e.ConfigError, match="was given"):
        Plan.read(tmp_path / "plan", source=tmp_path / "three")


def test_a_plan_shows_itself_without_letting_a_key_speak():
    planned = plan(store_of(**{"a\x1b[2J<b>": b"1"}), MemoryStore())
    drawn = io.StringIO()
    planned.print(drawn)
    for text in (str(planned), planned._repr_html_(), drawn.getvalue(), repr(planned)):
        assert "\x1b" not in text
    assert "<b>a" not in planned._repr_html_()
    assert "&lt;b&gt;" in planned._repr_html_()
    assert "add: 1 (1 B)" in str(planned)


def test_many_actions_are_kept_on_disk_and_come_back_in_order():
    from holdfast.sync.sequence import Actions

    actions = Actions(limit=10)
    for number in range(2500):
        actions.append(Action(f"{number:05}", "add", "only in the source", Identity(number)))
    actions.replace(Action("00007", "add", "only in the source", Identity(7)), Action("00007", "refuse", "no"))
    marked = [Action("00008", "add", "", late=True), Action("00009", "conflict", "", undecided=True)]
    for action in marked:
        actions.replace(Action(action.key, "add", "only in the source", Identity(int(action.key))), action)
    assert actions.counts == {"add": 2498, "refuse": 1, "conflict": 1}
    assert actions.nbytes["add"] == sum(range(2500)) - 7 - 8 - 9
    one, two = iter(actions), iter(actions)
    assert [next(one).key for _ in range(20)] == [next(two).key for _ in range(20)]
    assert [action.key for action in actions] == [f"{number:05}" for number in range(2500)]
    assert [action.kind for action in actions][7] == "refuse"
    assert list(pickle.loads(pickle.dumps(actions))) == list(actions)
    assert list(Actions(actions, limit=10))[8:10] == marked
    assert len(actions) == 2500


@pytest.mark.parametrize(("one", "other"), [("a", "a"), ("a", "a/b"), ("a/b", "a"), ("", "a")])
def test_places_inside_each_other_are_refused(tmp_path, one, other):
    with pytest.raises(e.ConfigError, match="one inside the other"):
        plan(tmp_path / one, tmp_path / other)
    with pytest.raises(e.ConfigError, match="one inside the other"):
        plan(f"mem://overlap/{one}", f"mem://overlap/{other}")


def test_siblings_whose_names_begin_alike_are_never_confused(tmp_path):
    root = open_store(tmp_path)
    root.put("data/a", b"1")
    root.put("database/b", b"2")
    planned = plan(tmp_path / "data", "mem://siblings/data")
    assert kinds(planned) == {"a": "add"}
    assert kinds(plan(tmp_path, MemoryStore(), include="data")) == {"data/a": "add"}


def test_only_what_nobody_can_compare_is_to_be_decided():
    actions = [
        Action("dir", "conflict", "cannot tell whether it is equal: no, it is a directory", Identity(1)),
        Action("equal", "conflict", "in other words", Identity(1), Identity(1), undecided=True),
    ]
    planned = plan(MemoryStore(), MemoryStore())
    decided = Plan(planned.source, planned.target, planned.terms, actions).decide("transfer")
    assert kinds(decided) == {"dir": "conflict", "equal": "update"}
    assert not any(action.undecided for action in decided)


def test_what_cannot_be_compared_is_decided_as_asked():
    source, target = store_of(a=b"1", b=b"22"), store_of(a=b"2", b=b"2")
    asked = plan(source, target, on_unknown="ask", reencode="gzip")
    assert kinds(asked) == {"a": "update", "b": "update"}

    class Remote(MemoryStore):
        local = False

    far, away = Remote(), Remote()
    far.put("a", b"1")
    away.put("a", b"2")
    assert kinds(plan(far, away)) == {"a": "conflict"}
    assert kinds(plan(far, away).decide("transfer")) == {"a": "update"}
    assert kinds(plan(far, away).decide("skip")) == {"a": "skip"}
    (undecided,) = plan(far, away)
    assert undecided.undecided
    assert Action.from_json(undecided.to_json()) == undecided
    assert kinds(plan(far, away, on_unknown="transfer")) == {"a": "update"}
    assert kinds(plan(far, away, on_unknown="skip")) == {"a": "skip"}
    assert kinds(plan(far, away, compare="digest")) == {"a": "update"}


def test_names_that_a_file_system_cannot_hold_are_refused_before_anything_is_written(tmp_path):
    hostile = ["../out", "/abs", "a//b", "nul\0", "x/../../y", ".holdfast/z", "n" * 256]
    source = store_of(fine=b"1", **dict.fromkeys(hostile, b"evil"))
    planned = plan(source, tmp_path / "root")
    assert kinds(planned) == {"fine": "add", **dict.fromkeys(hostile, "refuse")}
    assert not os.path.exists(tmp_path / "root")


def test_files_and_directories_of_one_name_are_found_in_and_between_the_sides(tmp_path):
    source = store_of(**{"a": b"1", "a/b": b"2", "a!": b"3", "c/d": b"4", "e": b"5"})
    target = open_store(tmp_path)
    target.put("c", b"6")
    target.put("e/f", b"7")
    os.mkdir(tmp_path / "a!")
    planned = plan(source, tmp_path)
    assert {key: kind for key, kind in kinds(planned).items() if kind != "skip"} == {
        "a": "refuse", "a/b": "refuse", "a!": "conflict", "c/d": "conflict", "e": "conflict",
    }  # fmt: skip
    assert {action.kind for action in plan(source, MemoryStore())} == {"add"}


def test_lookalikes_are_told_and_refused_where_they_would_become_one():
    source = store_of(
        **{"Read": b"1", "read": b"2", "D/x": b"3", "d/y": b"4", "\xe5": b"5", "a\u030a": b"6", "z": b"7"}
    )
    planned = plan(source, MemoryStore())
    assert set(kinds(planned).values()) == {"add"}
    assert "3 names differ" in planned.terms.warnings[0]
    portable = kinds(plan(source, MemoryStore(), names="portable"))
    assert [key for key, kind in portable.items() if kind == "add"] == ["z"]


def test_nothing_is_deleted_when_the_source_lists_nothing():
    planned = plan(MemoryStore(), store_of(a=b"1"), delete=True)
    assert kinds(planned) == {"a": "refuse"}


def test_a_listing_that_goes_back_or_repeats_itself_is_no_listing():
    class Lying(MemoryStore):
        def _scan(self, options=None):
            rows = list(MemoryStore._scan(self))
            return iter([*rows, rows[0]])

    lying = Lying()
    lying.put("a", b"1")
    for source, target in ((lying, MemoryStore()), (MemoryStore(), lying)):
        with pytest.raises(e.StoreError, match="cannot be believed"):
            plan(source, target, delete=True)


def test_the_default_limit_of_deletions_is_a_tenth_of_the_keys_in_scope_and_a_thousand():
    target = store_of(**{f"{number:05}": b"" for number in range(25)})
    assert plan(store_of(a=b""), target, delete=True).terms.max_delete == 3
    assert plan(store_of(a=b""), target, delete=True, include="0000*").terms.max_delete == 1
    assert plan(store_of(a=b""), target, delete=True).deletes_too_many
