"""The fault matrix: every kind of fault on every operation of S3Store, each cell on a small S3 of its own."""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from holdfast import errors
from holdfast.checksums import STAMP_NAME, Digest, format_stamp
from holdfast.errors import AlreadyExists, Conflict, HoldfastError, NotFound
from holdfast.retry import Budget, Policy
from holdfast.stores.s3 import S3Store
from holdfast.types import WriteOptions
from tests.servers import faults
from tests.servers.faults import Answer, Fault, Request, error, instead
from tests.servers.faulty_s3 import FaultyS3, Stored
from tests.stores.s3_stores import open_store

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
#: Seconds: no call of the matrix goes on trying for longer, and none may take longer than that and GRACE.
DEADLINE = 11.0
GRACE = 2.0
#: A part of an upload may take READ_TIMEOUT + 5 MiB / SLOWEST = 3.2 s, three times.
READ_TIMEOUT = 0.7
SLOWEST = 2 << 20
TRIES = 3
SMALL = bytes(range(256)) * 16
LARGE = bytes(range(251)) * 50_000  # takes longer at SLOW than any timeout is
SLOW = (512 << 10, 0.08)
PARTS = bytes(range(256)) * (36 << 10)  # 9 MiB: as an iterator it goes in parts
CUT = slice(1000, 9_000_000)
LISTED = [f"listed/{number}" for number in range(5)]
NEW = b"new" * 1000


class Wrong(AssertionError):
    """The operation ended in something that no fault excuses."""


class Undetected(Exception):
    """The result differs, in a way that nothing in the answer tells."""


@dataclass(frozen=True)
class Operation:
    """One column: ``run`` does it and says what is wrong with it; ``hit`` are the requests that a fault befalls.

    ``old`` and ``new`` are what ``key`` may hold afterwards, where it matters (None: nothing).
    """

    run: Callable[[S3Store], None]
    hit: Callable[[Request], bool]
    key: str = ""
    old: bytes | None = None
    new: bytes | None = None


def check(got: object, wanted: object, *, digest: bool = True) -> None:
    """Raise unless the result is the right one; ``digest`` says whether there is one that had to tell."""
    if got != wanted:
        raise Wrong("wrong bytes") if digest else Undetected


def _range(store: S3Store) -> None:
    got = store.get_range("large", CUT.start, CUT.stop)
    check(len(got), CUT.stop - CUT.start)
    check(got, LARGE[CUT], digest=False)


def _stream(store: S3Store) -> None:
    with store.read("large") as blob:
        check(b"".join(blob.chunks()), LARGE)


def _list(store: S3Store) -> None:
    check([row.key for row in store.list("listed/")], LISTED, digest=False)


def _remove(store: S3Store) -> None:
    failed = [problem for problem in store.remove(LISTED) if problem is not None]
    if failed:
        raise failed[0]


def _proven(store: S3Store) -> None:
    """An object that somebody else has stored, in a bucket whose ETags have been right before."""
    check(store.get("foreign"), SMALL)


def _upload(store: S3Store) -> None:
    check(store.write("small", iter([PARTS]), WriteOptions(part_size=5 << 20)).size, len(PARTS))


def _etag(store: S3Store) -> str:
    """The ETag of "small", for the conditions; not what is tried here."""
    return Stored(SMALL).etag


def on(*methods: str) -> Callable[[Request], bool]:
    """The requests with these methods, but those of the parts of an upload."""
    return lambda request: request.method in methods and "uploads" not in request.query


OPERATIONS: Mapping[str, Operation] = {
    "get": Operation(lambda s: check(s.get("small"), SMALL), on("GET")),
    "get foreign": Operation(_proven, on("GET")),
    "get large": Operation(lambda s: check(s.get("large"), LARGE), on("GET")),
    "range": Operation(_range, on("GET")),
    "stream": Operation(_stream, on("GET")),
    "head": Operation(lambda s: check(s.head("small").size, len(SMALL)), on("HEAD")),
    "exists": Operation(lambda s: check(s.exists("small"), True), on("HEAD")),
    "list": Operation(_list, lambda request: "list-type" in request.query),
    "put": Operation(lambda s: check(s.put("small", NEW).size, len(NEW)), on("PUT"), "small", SMALL, NEW),
    "create": Operation(lambda s: check(s.create("new", NEW).size, len(NEW)), on("PUT"), "new", None, NEW),
    "replace": Operation(
        lambda s: check(s.replace_if("small", NEW, _etag(s)).size, len(NEW)), on("PUT"), "small", SMALL, NEW
    ),
    "part": Operation(_upload, on("PUT"), "small", SMALL, PARTS),
    "complete": Operation(_upload, on("POST"), "small", SMALL, PARTS),
    "delete": Operation(lambda s: s.delete("small"), on("DELETE", "POST"), "small", SMALL),
    "remove": Operation(_remove, on("DELETE", "POST"), LISTED[0], LISTED[0].encode()),
    "delete if": Operation(lambda s: s.delete_if("small", _etag(s)), on("DELETE"), "small", SMALL),
    "copy": Operation(lambda s: check(s.copy("small", "new").size, len(SMALL)), on("PUT"), "new", None, SMALL),
}


@dataclass(frozen=True)
class Kind:
    """One row: a fault for the first ``times`` requests of an operation that it hits (None: all of them).

    ``everywhere``: it befalls every request, not only those that the operation is about. ``only``: the one operation
    that it makes sense for.
    """

    fault: Fault
    times: int | None = 1
    everywhere: bool = False
    only: str | None = None


def _listing(change: Callable[[bytes], bytes]) -> Fault:
    return Fault(change=lambda answer: replace(answer, body=change(answer.body)))


def _again(answer: Answer) -> Answer:
    """The listing says for ever that it goes on, with one and the same token."""
    body = answer.body.replace(b"<IsTruncated>false", b"<IsTruncated>true").partition(b"<NextContinuationToken>")[0]
    token = b"<NextContinuationToken>listed/1</NextContinuationToken>"
    return replace(answer, body=body.replace(b"</ListBucketResult>", b"") + token + b"</ListBucketResult>")


def _endless(answer: Answer) -> Answer:
    """The listing is cut off at its first page, and says so without a token."""
    head, _, tail = answer.body.partition(b"<NextContinuationToken>")
    return replace(answer, body=head + tail.partition(b"</NextContinuationToken>")[2])


KINDS: Mapping[str, Kind] = {
    "connection reset": Kind(faults.RESET),
    "connection reset, for ever": Kind(faults.RESET, None, everywhere=True),
    "connection closed early": Kind(faults.CLOSE),
    "no answer": Kind(faults.STALL),
    "no answer, for ever": Kind(faults.STALL, None, everywhere=True),
    "body reset": Kind(faults.BODY_RESET),
    "body closed early": Kind(faults.BODY_CLOSE),
    "body closed early, for ever": Kind(faults.BODY_CLOSE, None),
    "body stalls": Kind(faults.BODY_STALL),
    "body trickles": Kind(faults.TRICKLE),
    "body trickles, for ever": Kind(faults.TRICKLE, None),
    "slow but healthy": Kind(Fault(pace=SLOW), None),
    "body too short": Kind(faults.SHORT),
    "body too short, for ever": Kind(faults.SHORT, None),
    "body too long": Kind(faults.LONG),
    "body too long, for ever": Kind(faults.LONG, None),
    "bytes after the body": Kind(faults.OVERLONG, None),
    "corrupt byte": Kind(faults.CORRUPT),
    "corrupt byte, for ever": Kind(faults.CORRUPT, None),
    "corrupt byte on the way there": Kind(faults.CORRUPT_ARRIVAL),
    "no length": Kind(faults.NO_LENGTH),
    "200 with HTML": Kind(instead(faults.HTML)),
    "200 with HTML, for ever": Kind(instead(faults.HTML), None, everywhere=True),
    "200 with an error": Kind(instead(faults.ERROR_200)),
    "200 with an error, for ever": Kind(instead(faults.ERROR_200), None),
    "500": Kind(instead(error(500, "InternalError"))),
    "503 for ever": Kind(instead(error(503, "SlowDown")), None, everywhere=True),
    "429 with Retry-After": Kind(instead(error(429, "TooManyRequests", Retry_After="1")), 2),
    "credentials expired": Kind(instead(error(400, "ExpiredToken")), None, everywhere=True),
    "answer lost by reset": Kind(faults.LOST_BY_RESET),
    "answer lost by close": Kind(faults.LOST_BY_CLOSE),
    "answer lost by stall": Kind(faults.LOST_BY_STALL),
    "answer lost as 500": Kind(faults.LOST_AS_500),
    "answer lost as HTML": Kind(faults.lost(faults.HTML)),
    "all answers lost as 500": Kind(faults.LOST_AS_500, None),
    "listing without a token": Kind(Fault(change=_endless), None, only="list"),
    "listing loops": Kind(Fault(change=_again), None, only="list"),
}


def supply(server: FaultyS3) -> None:
    """Put there what the operations work on, with the stamps of Holdfast on it but for "foreign"."""
    bodies = {"small": SMALL, "large": LARGE, **{key: key.encode() for key in LISTED}}
    server.objects = {key: Stored(body, {f"x-amz-meta-{STAMP_NAME}": _stamp(body)}) for key, body in bodies.items()}
    server.objects |= {"foreign": Stored(SMALL), "proof": Stored(b"proof")}


@functools.cache
def _stamp(body: bytes) -> str:
    return format_stamp(Digest("crc32c", body))


def open_cell(server: FaultyS3) -> S3Store:
    """A store with small timeouts that gives up soon, with a client of its own."""
    policy = Policy(tries=TRIES, first=0.02, longest=1.0, deadline=DEADLINE, budget=Budget())
    return open_store(server, read_timeout=READ_TIMEOUT, connect_timeout=2.0, minimum_rate=SLOWEST, retry=policy)


def outcome(kind: Kind, operation: Operation) -> str:
    """How the operation ends under the fault: "ok", the name of an error, "undetected", or what is wrong."""
    with FaultyS3() as server:
        server.page = 2
        supply(server)
        store = open_cell(server)
        store.probe()
        store.get("proof")
        server.requests.clear()
        hit = (lambda request: True) if kind.everywhere else operation.hit
        server.inject(kind.fault, hit, kind.times)
        started = time.monotonic()
        said = _said(operation, store)
        took = time.monotonic() - started
        server.rules.clear()
        if took > DEADLINE + GRACE:
            return f"WRONG: took {took:.1f} s"
        return _judged(said, operation, server) or _usable(store) or said


def _said(operation: Operation, store: S3Store) -> str:
    try:
        operation.run(store)
    except Wrong as problem:
        return f"WRONG: {problem}"
    except Undetected:
        return "undetected"
    except HoldfastError as problem:
        return next(kind.__name__ for kind in type(problem).__mro__ if kind.__name__ in vars(errors))
    except Exception as problem:
        return f"WRONG: {type(problem).__name__}: {problem}"
    return "ok"


def _judged(said: str, operation: Operation, server: FaultyS3) -> str | None:
    """What is wrong with the outcome, given what the service holds now."""
    stored = server.objects.get(operation.key)
    held = stored.body if stored is not None else None
    if operation.key and held not in {operation.old, operation.new}:
        return "WRONG: neither old nor new is there"
    if operation.key and said == "ok" and held != operation.new:
        return "WRONG: acknowledged, and not done"
    if said in {Conflict.__name__, AlreadyExists.__name__, NotFound.__name__}:
        return f"WRONG: {said}, though nobody else was there"
    return None


def _usable(store: S3Store) -> str | None:
    """What is wrong with the store once the faults are over: its connections must not carry them on."""
    try:
        return None if store.get("foreign") == SMALL else "WRONG: reads on in the rest of another answer"
    except HoldfastError as problem:
        return f"WRONG: of no use afterwards ({problem})"


def run(kinds: Iterable[str] = KINDS, operations: Iterable[str] = OPERATIONS) -> dict[tuple[str, str], str]:
    """The outcome of each cell, many at a time; most of the time all of them wait."""
    cells = [cell for cell in itertools.product(kinds, operations) if KINDS[cell[0]].only in {None, cell[1]}]
    with ThreadPoolExecutor(12) as threads:
        found = threads.map(lambda cell: outcome(KINDS[cell[0]], OPERATIONS[cell[1]]), cells)
        return dict(zip(cells, found, strict=True))


# ---------------------------------------------------------------------- the document
HEAD = f"""# What faults do to S3

Written by `make faults` from what happened; a test fails when this table and the outcomes differ.

Every operation (a column) of `S3Store` met every kind of fault (a row): {{cells}} cells, each on a small S3 of its own
(`tests/servers/faulty_s3.py`). A fault befalls the first request that the operation is about, "for ever" all of them,
and "everywhere" also those that it makes besides. The store had a read timeout of {READ_TIMEOUT} s, a slowest rate of
{SLOWEST >> 20} MiB/s and {TRIES} tries. Every call ended within {DEADLINE:g} s, and {GRACE:g} s of grace.

- **ok**: the right result, and the service holds what it should.
- **The name of an error**: that was raised. The service holds the old object or the new one, whole, and the store works
  on once the fault is over. `Indeterminate` says that the answer to a conditional request was lost for good.
- **undetected**: other bytes, or other names, than those that are stored, and nothing in the answer that would tell.
  There is no digest of a part of an object, and none of a listing.

`get` and `stream` read what Holdfast has written, with the stamp of a digest; `get foreign` reads what others have, in
a bucket whose ETags have been right before. A `stream` has handed bytes out before it knows their digest: it raises at
the end, where `get` reads again. `part` and `complete` are an upload in parts, hit at a part and at its end; `remove`
deletes a batch.
"""
WITHOUT = "-"


def document(outcomes: Mapping[tuple[str, str], str]) -> str:
    """The text of docs/faults.md for these outcomes."""
    lines = [HEAD.format(cells=len(outcomes)), _row("fault", "befalls", *OPERATIONS)]
    lines.append(_row(*["---"] * (len(OPERATIONS) + 2)))
    for name, kind in KINDS.items():
        times = "all" if kind.times is None else {1: "the first", 2: "the first two"}[kind.times]
        cells = (outcomes.get((name, operation), WITHOUT) for operation in OPERATIONS)
        lines.append(_row(name, f"{times}{', everywhere' if kind.everywhere else ''}", *cells))
    return "\n".join(lines) + "\n"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    DOCUMENT.write_text(document(run()))
