"""Conformance of conditional writes: exact where they are declared, refused where they are not."""

from __future__ import annotations

import pytest

from ..errors import AlreadyExists, Conflict, HoldfastError, Indeterminate, NotFound, Unsupported
from ..store import ObjectStore
from ..types import WriteOptions
from .suite import Suite, together, write
from .writing import Broken, broken_chunks


class ConditionsConformance(Suite):
    """Create, replace-if-match and delete-if-match, each with its capability."""

    def creates(self, store: ObjectStore) -> bool:
        """Whether the store creates; if it does not, nothing may be left of the attempt."""
        if self.declared(store.capabilities.create, lambda: store.create("key", b"x")):
            return True
        assert not store.exists("key")
        return False

    def replaces(self, store: ObjectStore) -> bool:
        """Whether the store replaces by ETag; if it does not, the old value must stay."""
        self.seed(store, "key", b"old")
        etag = store.head("key").etag or '"0"'
        if self.declared(store.capabilities.replace_if, lambda: store.replace_if("key", b"new", etag)):
            return True
        assert store.get("key") == b"old"
        return False

    def removes(self, store: ObjectStore) -> bool:
        """Whether the store deletes by ETag; if it does not, the object must stay."""
        self.seed(store, "key", b"old")
        etag = store.head("key").etag or '"0"'
        if self.declared(store.capabilities.delete_if, lambda: store.delete_if("key", etag)):
            return True
        assert store.get("key") == b"old"
        return False

    def test_create_makes_what_is_not_there(self, store: ObjectStore) -> None:
        """A create stores a new object; over an old one it is AlreadyExists, and the old one stays."""
        if not self.creates(store):
            return
        info = store.create("key", b"first")
        assert info.etag == store.head("key").etag
        with pytest.raises(AlreadyExists) as raised:
            store.create("key", b"second")
        assert raised.value.key == "key"
        assert isinstance(raised.value, FileExistsError)
        self.assert_holds(store, {"key": b"first"})
        store.delete("key")
        store.create("key", iter([b"thi", b"rd"]))
        self.assert_holds(store, {"key": b"third"})

    def test_one_of_many_creators_wins(self, store: ObjectStore) -> None:
        """Of creates at the same moment exactly one succeeds, and its value is the one that is there."""
        if not self.creates(store):
            return

        def create(number: int) -> HoldfastError | None:
            try:
                store.create(key, f"value {number}".encode())
            except (AlreadyExists, Indeterminate) as error:
                return error
            return None

        for attempt in range(max(1, self.rounds // 8)):
            key = f"race/{attempt}"
            errors = together(6, create)
            winners = [number for number, error in enumerate(errors) if error is None]
            unknown = [number for number, error in enumerate(errors) if isinstance(error, Indeterminate)]
            assert len(winners) <= 1
            assert winners or unknown
            assert store.get(key) in {f"value {number}".encode() for number in winners or unknown}

    def test_replace_if_replaces_that_version_only(self, store: ObjectStore) -> None:
        """The named version is replaced; another one, or none, is a Conflict and stays as it is."""
        if not self.replaces(store):
            return
        first = store.head("key").etag
        assert first is not None
        second = store.replace_if("key", b"new", first)
        assert second.etag == store.head("key").etag
        assert second.etag not in {None, first}
        for key in ("key", "missing"):
            with pytest.raises(Conflict) as raised:
                store.replace_if(key, b"newer", first)
            assert raised.value.key == key
        self.assert_holds(store, {"key": b"new"})

    def test_no_acknowledged_increment_is_lost(self, store: ObjectStore) -> None:
        """A counter that several threads raise by replace_if counts each acknowledged raise exactly once."""
        if not self.replaces(store):
            return
        write(store, "counter", b"0")
        each = max(2, self.rounds // 8)

        def work(number: int) -> tuple[int, int]:
            acknowledged = unknown = 0
            for turn in range(each * 50):
                if acknowledged + unknown == each:
                    break
                with store.read("counter") as blob:
                    etag, value = blob.info.etag, int(blob.bytes().split()[0])
                assert etag is not None
                try:
                    # The second word makes every body its own: on S3 equal bytes have equal ETags.
                    store.replace_if("counter", f"{value + 1} {number}.{turn}".encode(), etag)
                except Conflict:
                    continue
                except Indeterminate:
                    unknown += 1
                else:
                    acknowledged += 1
            return acknowledged, unknown

        results = together(4, work)
        certain, possible = sum(r[0] for r in results), sum(r[1] for r in results)
        assert certain + possible == 4 * each
        assert certain <= int(store.get("counter").split()[0]) <= certain + possible

    def test_delete_if_deletes_that_version_only(self, store: ObjectStore) -> None:
        """The named version is deleted; another one is a Conflict and stays, a missing one NotFound."""
        if not self.removes(store):
            return
        etag = store.head("key").etag
        assert etag is not None
        store.put("key", b"newer")
        with pytest.raises(Conflict) as raised:
            store.delete_if("key", etag)
        assert raised.value.key == "key"
        self.assert_holds(store, {"key": b"newer"})
        etag = store.head("key").etag
        assert etag is not None
        store.delete_if("key", etag)
        self.assert_holds(store, {})
        with pytest.raises(NotFound):
            store.delete_if("key", etag)

    def test_one_of_many_conditional_deleters_wins(self, store: ObjectStore) -> None:
        """Of deletes of one version at the same moment exactly one succeeds."""
        if not self.removes(store):
            return

        def delete(number: int) -> str:
            try:
                store.delete_if("key", str(etag))
            except HoldfastError as error:
                return f"{type(error).__name__} for {number}"
            return "deleted"

        for attempt in range(max(1, self.rounds // 8)):
            store.put("key", f"value {attempt}".encode())
            etag = store.head("key").etag
            outcomes = together(4, delete)
            unknown = sum(outcome.startswith("Indeterminate") for outcome in outcomes)
            assert outcomes.count("deleted") <= 1 <= outcomes.count("deleted") + unknown, outcomes
            assert not store.exists("key")

    def test_a_conditional_body_that_breaks_changes_nothing(self, store: ObjectStore) -> None:
        """An error from the body of a conditional write leaves everything as it was."""
        if self.creates(store):
            with pytest.raises(Broken):
                store.create("key", broken_chunks())
            self.assert_holds(store, {})
        if self.replaces(store):
            with pytest.raises(Broken):
                store.replace_if("key", broken_chunks(), str(store.head("key").etag))
            self.assert_holds(store, {"key": b"old"})

    def test_a_copy_may_be_a_create(self, store: ObjectStore) -> None:
        """Conditions hold for copies too: over an existing object AlreadyExists, or Unsupported at once."""
        if not self.creates(store):
            return
        self.fill(store, {"source": b"value", "old": b"old"})
        options = WriteOptions(if_absent=True)
        with pytest.raises((AlreadyExists, Unsupported)):
            store._copy(store, "source", "old", options)
        assert store.get("old") == b"old"
        try:
            store._copy(store, "source", "new", options)
        except Unsupported:
            assert not store.exists("new")
        else:
            assert store.get("new") == b"value"

    def test_a_stage_may_be_a_create(self, store: ObjectStore) -> None:
        """A staged create that lost is AlreadyExists at the latest when it is committed, and changes nothing."""
        if not self.creates(store):
            return
        store.put("key", b"old")
        with pytest.raises((AlreadyExists, Unsupported)):
            self.create_in_parts(store)
        self.assert_holds(store, {"key": b"old"})

    def create_in_parts(self, store: ObjectStore) -> None:
        """Create "key" through a stage; Unsupported where the store has none."""
        staged = store._stage("key", 3, WriteOptions(if_absent=True))
        if staged is None:
            raise Unsupported("no stage with a condition")
        staged.write_at(0, b"new")
        staged.commit()
