"""Whole syncs with each service: sent, known again, changed, deleted, pulled and moved."""

from __future__ import annotations

import pytest

from holdfast import open_store
from holdfast.stores.az import AzureStore
from holdfast.stores.gs import GoogleStore
from holdfast.stores.memory import MemoryStore
from holdfast.sync import apply, plan
from holdfast.wrap.rekey import PrefixStore

from .test_apply import contents
from .test_resume import open_moto


def open_service(request, name):
    if name == "gs":
        server = request.getfixturevalue("gcs")
        return PrefixStore(GoogleStore(server.make_bucket(), endpoint=server.endpoint, token=server.token), "deep/er/")
    server = request.getfixturevalue(name)
    if name == "azurite":
        account = {"endpoint": server.endpoint, "account_key": server.account_key}
        return PrefixStore(AzureStore(server.make_container(), **account), "deep/er/")
    return open_moto(server, server.make_bucket())


@pytest.mark.server
@pytest.mark.parametrize("name", ["moto", "ceph", "gs", "azurite"])
def test_a_tree_is_pushed_known_changed_pulled_and_moved(request, name, tmp_path):
    remote, local = open_service(request, name), open_store(tmp_path / "local")
    for number in range(40):
        local.put(f"{number % 7}/{number} ü", b"x" * number)
    first = apply(plan(local, remote))
    assert (first.added, first.exit_code) == (40, 0)
    assert plan(local, remote).is_empty
    assert plan(local, remote, index=None).is_empty
    local.put("1/1 ü", b"new")
    local.delete("2/2 ü")
    remote.put("extra", b"1")
    second = apply(plan(local, remote, delete=True))
    assert (second.added, second.updated, second.deleted, second.exit_code) == (0, 1, 2, 0)
    assert contents(remote) == contents(local)
    planned = plan(remote, tmp_path / "pulled")
    remote.put("3/3 ü", b"changed since")
    pulled = apply(planned)
    assert (pulled.added, [result.key for result in pulled.stale]) == (38, ["3/3 ü"])
    moved, held = MemoryStore(), contents(remote)
    assert apply(plan(remote, moved, move=True)).exit_code == 0
    assert (contents(moved), contents(remote)) == (held, {})
