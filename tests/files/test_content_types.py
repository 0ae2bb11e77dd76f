"""transfer_to(content_type=...): what is there with it already is not sent again, and large objects are resumed."""

from __future__ import annotations

import pytest

from holdfast import CloudFiles
from holdfast import errors as e
from holdfast.stores.memory import MemoryStore
from holdfast.sync import resuming
from holdfast.testing.stores import CountingStore
from holdfast.wrap.rekey import PrefixStore
from tests.stores.before import Before
from tests.sync.test_resume import DENIED, MIB, body, open_moto


def test_what_has_the_type_already_is_not_sent_again(tmp_path):
    source, target = MemoryStore(), CountingStore(MemoryStore())
    for name in "abc":
        source.put(name, name.encode())
    sent = []
    for kind in ("text/one", "text/one", "text/two"):
        target.reset()
        CloudFiles(source).transfer_to(CloudFiles(target), content_type=kind)
        sent.append(target.calls["write"])
        assert {target.head(name).content_type for name in "abc"} == {kind}
    assert sent == [3, 0, 3]


def test_only_what_has_another_type_is_sent_again():
    source, target = MemoryStore(), CountingStore(MemoryStore())
    for name in "ab":
        source.put(name, b"1")
    source, files = CloudFiles(source), CloudFiles(target)
    source.transfer_to(files, "a", content_type="text/one")
    source.transfer_to(files, "b")
    target.reset()
    assert source.transfer_to(files, content_type="text/one").updated == 1
    assert (target.calls["write"], target.head("b").content_type) == (1, "text/one")


def test_the_type_is_given_by_copies_that_the_store_makes_itself_too():
    store = CountingStore(MemoryStore())
    source, target = CloudFiles(PrefixStore(store, "one/")), CloudFiles(PrefixStore(store, "two/"))
    source["a"] = b"1"
    store.reset()
    source.transfer_to(target, content_type="text/one")
    assert (store.calls["copy"], target.head("a")["Content-Type"]) == (1, "text/one")


def test_a_target_without_attributes_is_refused(tmp_path):
    source = CloudFiles(MemoryStore())
    source["a"] = b"1"
    with pytest.raises(e.Unsupported):
        source.transfer_to(f"zip://{tmp_path}/objects.zip", content_type="text/one")


@pytest.mark.server
def test_a_large_object_is_resumed_under_the_type_that_its_upload_was_begun_with(moto, tmp_path, monkeypatch):
    monkeypatch.setattr(resuming, "LARGE", 8 * MIB)
    monkeypatch.setattr(resuming, "PART", 5 * MIB)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    source = CloudFiles(str(tmp_path / "source"))
    source["large"] = body(21 * MIB)
    failing, sent = ["partNumber=3"], []

    def watch(request):
        if request.method == "PUT":
            sent.append(request.target.partition("partNumber=")[2][:1])
            return DENIED if any(name in request.target for name in failing) else None
        return None

    with Before(moto, watch) as before:
        target = CloudFiles(open_moto(moto, moto.make_bucket(), before.endpoint))

        def attempt(kind):
            sent.clear()
            return source.transfer_to(target, resumable=True, content_type=kind)

        with pytest.raises(e.AuthError):
            attempt("text/one")
        begun = {number for number in sent if number not in ("", "3")}
        assert begun
        failing.clear()
        assert attempt("text/two").added == 1
        assert sorted(sent) == ["1", "2", "3", "4", "5"]  # that upload is of another type
        assert target.head("large")["Content-Type"] == "text/two"
        target.delete("large")
        assert attempt("text/one").added == 1
        assert set(sent) == {"1", "2", "3", "4", "5"} - begun
        assert target.head("large")["Content-Type"] == "text/one"
        assert target["large"] == body(21 * MIB)
