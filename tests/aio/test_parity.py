"""The asynchronous classes have the methods and arguments of the synchronous ones."""

from __future__ import annotations

import inspect

import pytest

import holdfast
from holdfast import CloudFiles, ObjectStore, aio, registry
from holdfast.aio import AsyncBlob, AsyncCloudFiles, AsyncStore
from holdfast.blob import Blob
from holdfast.files.transferring import Transfers
from holdfast.store import CONVENIENCES, FIVE, Store

#: Annotations that are wider, or more general, on the asynchronous side.
WIDER = {
    "Body": "AsyncBody",
    "ObjectStore": "AnyStore",
    "ObjectStore | None": "AnyStore | None",
    "str | ObjectStore": "str | AnyStore",
    "Iterable[ObjectStore]": "Iterable[AnyStore]",
    "Iterator[str]": "AsyncIterator[str]",
    "Iterator[Any]": "AsyncIterator[Any]",
    "Iterator[ObjectInfo]": "AsyncIterator[ObjectInfo]",
    "Iterator[Buffer]": "AsyncIterator[Buffer]",
    "Blob": "AsyncBlob",
    "Routes": "Mapping[Pattern, AnyStore] | Iterable[tuple[Pattern, AnyStore]]",
}
#: What a store returns from these depends on the store, so the facade of all stores says Any.
ANY = {"get", "put", "delete"}
NOT_STORES = {"ObjectStore", "Store", "Wrapper", "Facade", "SimpleWrapper"}
PUBLIC = {
    name: thing
    for name in holdfast.__all__
    if inspect.isclass(thing := getattr(holdfast, name)) and issubclass(thing, ObjectStore) and name not in NOT_STORES
}
#: Every store type and wrapper that has a name: in Python, and in configurations.
STORES = PUBLIC | {name: registry.store_class(name) for name in registry._BUILT_IN if name[0].isupper()}
#: What the classes have of their own, and who awaits it in another way.
NOT_AWAITED = {
    # questions about keys and classes, which need no thread
    "from_url", "path_of", "root_of", "route", "to_inner", "to_outer", "transform_key", "reverse_transform_key",
    "transform", "reverse_transform",
    # parts of the stores and wrappers themselves
    "client", "credentials", "explain_credentials", "locked", "login", "metadata_rule", "own_headers", "page",
    "refusal", "report", "service", "store", "telling", "wire",
    # administration of a bucket: by ``.store``, in a thread
    "abandoned", "abort_multipart_upload", "copy_part", "create_bucket", "create_container", "guarantees",
    "list_multipart_uploads", "part_upload", "passed_over", "probe", "sweep", "versioned",
}  # fmt: skip
#: Arguments that stay with the synchronous class, because only tests give them.
WITHOUT = {"ThrottledStore": {"clock", "sleep"}}


def arguments(function, *, without=()):
    """Name, kind, default and annotation of each argument, the annotation as the asynchronous side writes it."""
    found = []
    for name, one in inspect.signature(function).parameters.items():
        if name not in without:
            found.append((name, one.kind, one.default, WIDER.get(one.annotation, one.annotation)))
    return found


def check_returned(asynchronous, synchronous):
    ours, theirs = (inspect.signature(function).return_annotation for function in (asynchronous, synchronous))
    assert ours == WIDER.get(theirs, theirs)
    awaited = inspect.iscoroutinefunction(asynchronous) or inspect.isasyncgenfunction(asynchronous)
    assert awaited or ours.startswith("AsyncIterator")


@pytest.mark.parametrize("name", [*FIVE, *CONVENIENCES])
def test_a_store_has_every_method_with_the_same_arguments(name):
    ours, theirs = getattr(AsyncStore, name), getattr(Store, name)
    assert arguments(ours) == arguments(theirs)
    if name in ANY:
        assert inspect.signature(ours).return_annotation == "Any"
        assert inspect.iscoroutinefunction(ours)
    else:
        check_returned(ours, theirs)


@pytest.mark.parametrize("name", ["bytes", "chunks", "readinto", "close"])
def test_a_blob_has_the_same_methods(name):
    assert arguments(getattr(AsyncBlob, name)) == arguments(getattr(Blob, name))
    check_returned(getattr(AsyncBlob, name), getattr(Blob, name))


#: Of CloudFiles, what does no work, and what is called otherwise.
SYNCHRONOUS = {"abspath", "basename", "close", "dirname", "join", "sep"}
FILES = [name for name in [*vars(CloudFiles), *vars(Transfers)] if name[0] != "_" and name not in SYNCHRONOUS]


@pytest.mark.parametrize("name", FILES)
def test_cloud_files_have_the_same_methods(name):
    ours, theirs = getattr(AsyncCloudFiles, name), getattr(CloudFiles, name)
    assert [one[:3] for one in arguments(ours)] == [one[:3] for one in arguments(theirs)]
    check_returned(ours, theirs)


@pytest.mark.parametrize("name", ["copy_store", "sync_stores", "clear_store"])
def test_utilities_have_the_same_arguments(name):
    ours, theirs = getattr(aio, f"async_{name}"), getattr(holdfast, name)
    assert arguments(ours) == arguments(theirs)
    check_returned(ours, theirs)


@pytest.mark.parametrize("name", sorted(STORES))
def test_every_store_and_wrapper_has_an_asynchronous_name(name):
    ours, theirs = getattr(aio, f"Async{name}"), STORES[name]
    assert f"Async{name}" in aio.__all__
    assert registry.awaited_class(f"Async{name}") is ours
    if name == "BucketStore":  # two orders of arguments in one: see tests/aio/test_stores.py
        return
    wanted = arguments(theirs.__init__, without=WITHOUT.get(name, ()))
    assert [one[:3] for one in arguments(ours.__init__)] == [one[:3] for one in wanted]


@pytest.mark.parametrize("name", sorted(STORES))
@pytest.mark.parametrize("method", sorted(ANY))
def test_what_they_return_is_typed_as_exactly(name, method):
    ours, theirs = getattr(getattr(aio, f"Async{name}"), method), getattr(STORES[name], method)
    returned = [inspect.signature(function).return_annotation for function in (ours, theirs)]
    assert returned[0] == returned[1]
    assert inspect.iscoroutinefunction(ours)


@pytest.mark.parametrize("name", sorted(STORES))
def test_methods_that_a_store_has_of_its_own_are_there(name):
    ours, theirs = getattr(aio, f"Async{name}"), STORES[name]
    for method in sorted({one for one in dir(theirs) if not one.startswith("_")} - set(dir(ObjectStore)) - NOT_AWAITED):
        if not inspect.isfunction(inspect.getattr_static(theirs, method)):
            continue  # an attribute of the store
        awaited = getattr(ours, method)
        assert [one[:3] for one in arguments(awaited)] == [one[:3] for one in arguments(getattr(theirs, method))]
        waits = inspect.iscoroutinefunction(awaited) or "AsyncIterator" in inspect.signature(awaited).return_annotation
        assert waits or method.startswith(("on_", "set_"))
