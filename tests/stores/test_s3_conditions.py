"""Conditional writes and deletes of S3Store: three outcomes, whatever becomes of the answers."""

from __future__ import annotations

import itertools
import pickle
import random
import threading
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from holdfast.engine import Engine
from holdfast.errors import AlreadyExists, Conflict, Indeterminate, NotFound, Unsupported
from holdfast.retry import Budget, Policy
from holdfast.types import WriteOptions
from tests.servers.faults import HTML, LOST_AS_500, LOST_BY_CLOSE, LOST_BY_RESET, REFUSED, instead, lost
from tests.servers.faults import error as refusal
from tests.servers.faulty_s3 import FaultyS3, Stored
from tests.stores.s3_stores import no_sleep, open_store, quick
from tests.stores.scripted import Answer, Scripted

MIB = 1 << 20
LARGE = bytes(range(256)) * (36 << 10)  # 9 MiB: as an iterator it goes in parts


@pytest.fixture
def server():
    with FaultyS3() as server:
        yield server


@pytest.fixture
def store(server):
    store = open_store(server, "bucket")
    store.probe()
    server.requests.clear()
    return store


def on(method, *faults):
    """The faults for the first requests with this method."""
    left = list(faults)
    return lambda request: left.pop(0) if left and request.method == method else None


FORBIDDEN = instead(refusal(403, "AccessDenied"))
LOST = [LOST_AS_500, LOST_BY_RESET]


@pytest.mark.parametrize("fault", LOST)
def test_a_create_whose_answer_was_lost_is_done(server, store, fault):
    server.fault = on("PUT", fault)
    info = store.create("key", b"mine")
    assert server.objects["key"].body == b"mine"
    assert info.etag == server.objects["key"].etag
    assert server.count("PUT") == 1


@pytest.mark.parametrize("fault", LOST)
def test_a_replacement_whose_answer_was_lost_is_done(server, store, fault):
    first = store.create("key", b"first")
    server.fault = on("PUT", fault)
    second = store.replace_if("key", b"second", first.etag)
    assert server.objects["key"].body == b"second"
    assert second.etag == server.objects["key"].etag
    assert server.count("PUT") == 2


def test_what_did_not_land_is_sent_again(server, store):
    server.fault = on("PUT", REFUSED, REFUSED)
    first = store.create("key", b"first")
    server.fault = on("PUT", REFUSED, REFUSED)
    store.replace_if("key", b"second", first.etag)
    assert server.objects["key"].body == b"second"
    server.fault = on("DELETE", REFUSED)
    store.delete_if("key", store.head("key").etag)
    assert not server.objects


def test_a_refusal_is_believed_at_once(server, store):
    old = store.create("key", b"old")
    server.objects["key"] = Stored(b"other")
    server.requests.clear()
    with pytest.raises(AlreadyExists):
        store.create("key", b"mine")
    assert server.count("PUT") == 1
    for call in (lambda: store.replace_if("key", b"mine", old.etag), lambda: store.delete_if("key", old.etag)):
        with pytest.raises(Conflict):
            call()
    del server.objects["key"]
    with pytest.raises(Conflict):
        store.replace_if("key", b"mine", old.etag)
    with pytest.raises(NotFound):
        store.delete_if("key", old.etag)
    assert server.count("PUT") == 3  # a replacement of what was seen is asked for at once, and that once
    assert server.count("DELETE") == 0


def test_a_refusal_that_comes_after_the_look_is_one_too(server, store):
    old = store.create("key", b"old")

    def overtaken(request):
        if request.method in {"PUT", "DELETE"}:
            server.objects["key"] = Stored(b"other")

    server.fault = overtaken
    with pytest.raises(Conflict):
        store.replace_if("key", b"mine", old.etag)
    other = Stored(b"older")
    server.objects["key"] = other
    with pytest.raises(Conflict):
        store.delete_if("key", other.etag)
    assert server.objects["key"].body == b"other"


def test_a_write_that_others_have_replaced_before_it_was_known_is_done(server, store):
    first = store.create("key", b"first")
    other = open_store(server, "bucket")
    done = []

    def replaced(request):
        if request.method == "PUT" and not done:
            done.append(request)
            server.fault = lambda request: None
            other.replace_if("key", b"third", server.objects["key"].etag)

    server.fault, server.after = on("PUT", LOST_AS_500), replaced
    info = store.replace_if("key", b"second", first.etag)
    assert server.objects["key"].body == b"third"
    assert info.etag.startswith('"replaced-')
    with pytest.raises(Conflict):
        store.replace_if("key", b"fourth", info.etag)


def test_after_a_lost_answer_a_history_without_us_is_a_refusal(server, store):
    first = store.create("key", b"first")
    other = open_store(server, "bucket")
    done = []

    def overtaken(request):
        if request.method == "PUT" and not done:
            done.append(request)
            other.replace_if("key", b"theirs", first.etag)
            return REFUSED
        return None

    server.fault = overtaken
    with pytest.raises(Conflict):
        store.replace_if("key", b"mine", first.etag)
    assert server.objects["key"].body == b"theirs"


LONG_AGO = datetime(2020, 5, 17, 8, 0, 1, 123000, tzinfo=UTC)  # of a listing, which may tell it to the millisecond
AGED = {"Last-Modified": "Sun, 17 May 2020 08:00:01 GMT", "x-amz-meta-holdfasthistory": "abc-unseen"}


def unseen(store, body, etag, modified=LONG_AGO):
    return store.write("key", body, WriteOptions(if_match=etag, if_match_time=modified))


def test_a_replacement_of_a_known_time_does_not_look_and_takes_only_the_version_named(server, store):
    old = Stored(b"old", AGED)
    server.objects["key"] = old
    info = unseen(store, b"new", old.etag)
    assert [request.method for request in server.requests] == ["PUT"]
    assert server.objects["key"].body == b"new"
    with pytest.raises(Conflict):
        unseen(store, b"newer", old.etag)
    assert (server.objects["key"].body, server.objects["key"].etag) == (b"new", info.etag)
    del server.objects["key"]
    with pytest.raises(Conflict):
        unseen(store, b"newer", info.etag)
    assert not server.objects


@pytest.mark.parametrize("fault", [*LOST, REFUSED])
def test_a_replacement_of_a_known_time_survives_lost_answers_and_refusals(server, store, fault):
    old = Stored(b"old", AGED)
    server.objects["key"] = old
    server.fault = on("PUT", fault)
    info = unseen(store, b"new", old.etag)
    assert (server.objects["key"].body, server.objects["key"].etag) == (b"new", info.etag)


@pytest.mark.parametrize("headers", [{**AGED, "Last-Modified": "Sun, 17 May 2020 08:00:02 GMT"}, {}])
def test_a_version_that_came_back_is_not_the_one_that_was_named(server, store, headers):
    """Our write landed, its answer was lost, and somebody else has put the bytes of before back."""
    server.objects["key"] = old = Stored(b"old", AGED)
    server.fault = on("PUT", LOST_AS_500)
    server.after = lambda request: (
        server.objects.update(key=Stored(b"old", headers)) if request.method == "PUT" else None
    )
    with pytest.raises(Indeterminate):
        unseen(store, b"new", old.etag)
    assert server.objects["key"].body == b"old"


@pytest.mark.parametrize(("mark", "known"), [("unseen", False), ("0123456789", True)])
def test_within_the_second_of_its_writing_the_history_tells_whether_a_version_came_back(server, store, mark, known):
    now = datetime.now(UTC)
    headers = {"Last-Modified": format_datetime(now, usegmt=True), "x-amz-meta-holdfasthistory": f"abc-{mark}"}
    server.objects["key"] = old = Stored(b"old", headers)
    server.fault = on("PUT", REFUSED)
    if known:
        unseen(store, b"new", old.etag, now)
    else:
        with pytest.raises(Indeterminate):
            unseen(store, b"new", old.etag, now)
    assert server.objects["key"].body == (b"new" if known else b"old")


def test_after_a_lost_answer_a_replacement_of_others_work_is_indeterminate(server, store):
    old = Stored(b"old")
    server.objects["key"] = old
    server.fault = on("PUT", LOST_AS_500)
    server.after = lambda request: server.objects.update(key=Stored(b"theirs")) if request.method == "PUT" else None
    with pytest.raises(Indeterminate):
        unseen(store, b"new", old.etag)
    assert server.objects["key"].body == b"theirs"


def test_who_lost_an_answer_is_not_misled_by_a_replacement_of_what_nobody_looked_at(server, store):
    first = Stored(b"first")
    server.objects["key"] = first
    other = open_store(server, "bucket")
    done = []

    def replaced(request):
        if request.method == "PUT" and not done:
            done.append(request)
            server.fault = lambda request: None
            # The bytes are those of before, so the ETag that the other one names is that of the first version, too.
            assert server.objects["key"].etag == first.etag
            unseen(other, b"second", first.etag)

    server.fault, server.after = on("PUT", LOST_AS_500), replaced
    with pytest.raises(Indeterminate):  # it has landed: "refused" would be a lie
        store.replace_if("key", b"first", first.etag)
    assert server.objects["key"].body == b"second"


@pytest.mark.parametrize(
    "now", [Stored(b"plain"), Stored(b"x", {"x-amz-meta-holdfasthistory": "abc-0123456789"}), None]
)
def test_what_cannot_be_known_is_indeterminate(server, store, now):
    first = store.create("key", b"first")

    def overwritten(request):
        if request.method == "PUT":
            server.objects.pop("key")
            if now is not None:
                server.objects["key"] = now

    server.fault, server.after = on("PUT", LOST_AS_500), overwritten
    with pytest.raises(Indeterminate) as caught:
        store.replace_if("key", b"second", first.etag)
    assert caught.value.key == "key"
    assert not caught.value.retryable
    if now is not None:
        server.objects.pop("key")
        server.fault = on("PUT", LOST_AS_500)
        with pytest.raises(Indeterminate):
            store.create("key", b"second")


def test_the_same_bytes_without_our_history_are_not_our_version(server, store):
    first = store.create("key", b"first")

    def rewritten(request):
        if request.method == "PUT":
            server.objects["key"] = Stored(b"first")  # an unconditional write of the old bytes, over ours

    server.fault, server.after = on("PUT", LOST_AS_500), rewritten
    with pytest.raises(Indeterminate):
        store.replace_if("key", b"second", first.etag)


@pytest.mark.parametrize("fault", LOST)
def test_a_delete_whose_answer_was_lost_is_indeterminate(server, store, fault):
    first = store.create("key", b"first")
    server.fault = on("DELETE", fault)
    with pytest.raises(Indeterminate, match="look whether"):
        store.delete_if("key", first.etag)
    assert not server.objects


def test_a_service_that_never_answers_ends_in_indeterminate(server, store):
    server.fault = lambda request: REFUSED if request.method == "PUT" else None
    with pytest.raises(Indeterminate):
        store.create("key", b"mine")
    assert server.count("PUT") == 7


@pytest.mark.parametrize("fault", [None, *LOST])
def test_a_large_body_carries_its_condition_where_the_upload_ends(server, store, fault):
    def completing(fault):
        return lambda request: fault if request.method == "POST" and request.body and not done.append(1) else None

    done = []
    chunks = [LARGE[:MIB], LARGE[MIB:]]
    server.fault = completing(fault)
    info = store.write("key", iter(chunks), WriteOptions(if_absent=True, part_size=5 * MIB, metadata={"a": "b"}))
    assert server.objects["key"].body == LARGE
    assert (info.etag, info.size) == (server.objects["key"].etag, len(LARGE))
    assert store.head("key").metadata == {"a": "b"}
    server.fault = lambda request: None
    with pytest.raises(AlreadyExists):
        store.create("key", iter(chunks))
    server.fault = completing(fault)
    store.replace_if("key", iter([*chunks, b"more"]), info.etag)
    assert server.objects["key"].body == LARGE + b"more"
    with pytest.raises(Conflict):
        store.replace_if("key", iter(chunks), info.etag)
    assert not server.uploads


@pytest.mark.parametrize("content_type", ["text/html", "application/xml"])
def test_a_page_where_an_upload_ends_is_a_lost_answer(server, store, content_type):
    page = lost(replace(HTML, headers={"Content-Type": content_type}))
    server.inject(page, lambda request: request.method == "POST" and request.body != b"", 1)
    info = store.write("key", iter([LARGE]), WriteOptions(if_absent=True, part_size=5 * MIB))
    assert (info.etag, server.objects["key"].body) == (server.objects["key"].etag, LARGE)


def conditional_calls(store, etag):
    """One conditional call of each kind, on keys that are in the store (but "new")."""
    return {
        "create": lambda: store.create("new", b"x"),
        "replace": lambda: store.replace_if("key", b"x", etag),
        "delete": lambda: store.delete_if("key", etag),
    }


@pytest.mark.parametrize("name", ["create", "replace", "delete"])
def test_a_condition_that_is_honoured_at_last_gives_its_retries_back(server, name):
    budget = Budget(2, 0.0)
    store = open_store(server, "bucket", retry=Policy(budget=budget, sleep=no_sleep))
    store.probe()
    for _ in range(4):  # twice as many as the budget has
        server.objects = {"key": Stored(b"first")}
        etag = server.objects["key"].etag
        server.fault = on("DELETE" if name == "delete" else "PUT", REFUSED)
        conditional_calls(store, etag)[name]()
    assert budget.take()
    assert budget.take()


@pytest.mark.parametrize("name", ["create", "replace", "delete"])
def test_conditional_calls_end_with_the_deadline(server, name):
    waits = []
    store = open_store(server, "bucket", retry=Policy(sleep=waits.append, deadline=10.0))
    store.probe()
    server.objects["key"] = Stored(b"first")
    slow_down = instead(refusal(503, "SlowDown", Retry_After="20"))
    server.fault = lambda request: slow_down if request.method in {"PUT", "DELETE"} else None
    with pytest.raises(Indeterminate):
        conditional_calls(store, server.objects["key"].etag)[name]()
    # The engine, which tries a create first, does not tell how long the service wants to be left alone.
    assert len(waits) == (1 if name == "create" else 0)


#: Of a hundred answers to writes twenty are lost, in three ways, and five requests are refused.
FAULTS = [LOST_AS_500] * 10 + [LOST_BY_RESET] * 5 + [LOST_BY_CLOSE] * 5 + [REFUSED] * 5


def count(server, run, writers=6, turns=40):
    """How many increments of a counter were acknowledged, how many are indeterminate, and what it says then."""
    dice, lock, serial, key = random.Random(run), threading.Lock(), itertools.count(), f"counter-{run}"

    def sometimes(request):
        if request.method != "PUT":
            return None
        with lock:
            number = dice.randrange(100)
        return FAULTS[number] if number < len(FAULTS) else None

    store = open_store(server, "bucket", retry=quick(capacity=10**6))
    server.fault = lambda request: None
    store.create(key, b"0")
    server.fault = sometimes

    def work(_):
        acknowledged = unknown = 0
        while acknowledged + unknown < turns:
            with store.read(key) as blob:
                etag, value = blob.info.etag, int(blob.bytes().split()[0])
            try:
                store.replace_if(key, b"%d %d" % (value + 1, next(serial)), etag)
            except Conflict:
                continue
            except Indeterminate:
                unknown += 1
            else:
                acknowledged += 1
        return acknowledged, unknown

    with Engine() as engine:
        results = [outcome.value for outcome in engine.run(work, range(writers), threads=writers)]
    acknowledged, unknown = (sum(column) for column in zip(*results, strict=True))
    assert acknowledged + unknown == writers * turns
    return acknowledged, unknown, int(server.objects[key].body.split()[0])


def test_a_counter_never_loses_an_acknowledged_increment(server, soak):
    for run in range(20 if soak else 3):
        acknowledged, unknown, final = count(server, run)
        assert acknowledged <= final <= acknowledged + unknown
        assert unknown < acknowledged // 4


def test_the_history_is_bounded_and_hidden(server, store):
    etag = store.create("key", b"0").etag
    for number in range(1, 20):
        etag = store.replace_if("key", b"%d" % number, etag).etag
    history = server.objects["key"].headers["x-amz-meta-holdfasthistory"]
    assert len(history.split(",")) == 16
    assert len(history) < 500
    assert store.head("key").metadata == {}


# ---------------------------------------------------------------------- services that ignore conditions
def test_the_probe_leaves_nothing_and_asks_once(server):
    store = open_store(server, "bucket", retry=None)
    capabilities = store.probe()
    assert capabilities.create
    assert capabilities.replace_if
    assert capabilities.delete_if
    assert not server.objects
    assert not server.uploads
    server.requests.clear()
    open_store(server, "bucket", retry=None).create("key", b"x")
    pickle.loads(pickle.dumps(store)).probe()
    assert len(server.requests) == 1


def test_only_what_is_needed_is_asked(server):
    def asked(function, *arguments):
        server.requests.clear()
        function(*arguments)
        return sum("holdfast-probe" in request.target for request in server.requests)

    store = open_store(server, "bucket", retry=None)
    assert asked(store.create, "key", b"1") == 3
    assert asked(store.create, "other", b"1") == 0
    assert asked(store.replace_if, "key", b"2", store.head("key").etag) == 5
    assert asked(open_store(server, "bucket", retry=None).replace_if, "key", b"3", store.head("key").etag) == 0
    assert asked(store.delete_if, "key", store.head("key").etag) == 4
    assert asked(store.probe) > 4, "uploads in parts"
    assert asked(store.probe) == 0
    assert set(server.objects) == {"other"}


def test_many_threads_ask_once_between_them(server):
    store = open_store(server, "bucket", retry=None)
    for _ in Engine().run(lambda key: store.create(key, b"x"), map(str, range(40)), threads=16):
        pass
    probed = {request.target.partition("?")[0] for request in server.requests if "holdfast-probe" in request.target}
    assert len(probed) == 1


def without(*ignored):
    """A request as a service sees it that does not know these conditions."""

    def strip(request):
        for method, header in ignored:
            if request.method == method:
                request.headers.pop(header, None)

    return strip


@pytest.mark.parametrize(
    ("ignored", "lacking"),
    [
        ([("PUT", "if-none-match")], {"create"}),
        ([("PUT", "if-match")], {"replace_if"}),
        ([("DELETE", "if-match")], {"delete_if"}),
        (
            [("PUT", "if-match"), ("PUT", "if-none-match"), ("DELETE", "if-match")],
            {"create", "replace_if", "delete_if"},
        ),
    ],
)
def test_what_a_service_ignores_is_unsupported_and_changes_nothing(server, ignored, lacking):
    server.fault = without(*ignored)
    store = open_store(server, "bucket")
    server.objects["key"] = Stored(b"old")
    calls = {
        "create": (AlreadyExists, lambda: store.create("key", b"new")),
        "replace_if": (Conflict, lambda: store.replace_if("key", b"new", '"other"')),
        "delete_if": (Conflict, lambda: store.delete_if("key", '"other"')),
    }
    for name, (error, call) in calls.items():
        with pytest.raises(Unsupported if name in lacking else error):
            call()
        assert getattr(store.capabilities, name) == (name not in lacking)
    assert {key: stored.body for key, stored in server.objects.items()} == {"key": b"old"}


def test_large_bodies_are_unsupported_where_the_end_of_an_upload_ignores_conditions(server):
    server.fault = without(("POST", "if-match"), ("POST", "if-none-match"))
    store = open_store(server, "bucket")
    with pytest.raises(Unsupported, match="multipart"):
        store.create("key", iter([LARGE]))
    assert store.create("key", b"small").size == 5
    assert store.create("other", LARGE).size == len(LARGE)
    assert sorted(server.objects) == ["key", "other"]
    assert not server.uploads


@pytest.mark.server
def test_rclone_is_found_out(rclone_s3):
    store = open_store(rclone_s3)
    store.put("key", b"old")
    etag = store.head("key").etag
    for call in (
        lambda: store.create("key", b"new"),
        lambda: store.replace_if("key", b"new", '"other"'),
        lambda: store.delete_if("key", '"other"'),
        lambda: store.delete_if("key", etag),
    ):
        with pytest.raises(Unsupported, match="does not honour"):
            call()
    assert store.get("key") == b"old"
    assert [row.key for row in store.list()] == ["key"]


def test_who_may_not_probe_is_not_told_that_it_is_unsafe():
    def answer(request):
        return Answer(403) if "holdfast-probe" in request.target else Answer(200, headers={"ETag": '"x"'})

    with Scripted(answer) as server:
        server.region, server.access_key, server.secret_key = "us-east-1", "AK", "SK"
        assert open_store(server, "bucket").create("key", b"x").etag == '"x"'


@pytest.mark.parametrize(
    ("forbidden", "safe"),
    [
        (lambda request: request.method == "POST", set()),
        (lambda request: "if-none-match" in request.headers, {"create"}),
        (lambda request: request.method == "PUT", {"create", "replace_if", "delete_if"}),
    ],
)
def test_what_was_seen_to_be_ignored_stays_so_when_the_rest_may_not_be_tried(server, forbidden, safe):
    ignore = without(("PUT", "if-match"), ("PUT", "if-none-match"), ("DELETE", "if-match"))

    def fault(request):
        if forbidden(request):
            return FORBIDDEN
        return ignore(request)

    server.fault = fault
    store = open_store(server, "bucket")
    capabilities = store.probe()
    assert {name for name in ("create", "replace_if", "delete_if") if getattr(capabilities, name)} == safe


def honoured(client, bucket):
    """Which conditions a service honours, by asking it with another client."""
    wrong, found = '"00000000000000000000000000000000"', set()

    def refused(call, **options):
        try:
            call(Bucket=bucket, Key="asked", **options)
        except client.exceptions.ClientError:
            return True
        return False

    client.put_object(Bucket=bucket, Key="asked", Body=b"old")
    if refused(client.put_object, IfNoneMatch="*", Body=b"new"):
        found.add("create")
    if refused(client.put_object, IfMatch=wrong, Body=b"new"):
        found.add("replace_if")
    if refused(client.delete_object, IfMatch=wrong):
        found.add("delete_if")
    client.delete_object(Bucket=bucket, Key="asked")
    return found


@pytest.mark.server
@pytest.mark.parametrize("name", ["moto", "ceph", "rclone_s3"])
def test_the_probe_finds_exactly_what_a_service_lacks(request, name):
    server = request.getfixturevalue(name)
    store = open_store(server)
    capabilities = store.probe()
    found = {name for name in ("create", "replace_if", "delete_if") if getattr(capabilities, name)}
    assert found == honoured(server.client(), store.bucket)
    assert (found == set()) == (name == "rclone_s3")
    assert list(store.list()) == []
