"""A sync that is killed: logs each write as it begins, and each result once it was noted for good.

Arguments: source, target, directory of journal, index and log, how it is done, and after how many lines of the log it
kills itself (-1: never). How: "kept" is one plan from run to run, "anew" a new one each time, "resumable" a
ResumableTransfer.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from holdfast import ResumableTransfer, open_store
from holdfast.stores.file import FileStore
from holdfast.stores.s3 import S3Store, parts
from holdfast.sync import Index, Place, Plan, Result, apply, plan, resuming
from holdfast.sync.journal import JournalQueue
from holdfast.sync.performing import Task

resuming.LARGE = resuming.PART = 5 << 20


def main(source: str, target: str, state: Path, how: str, last: int) -> None:
    log = os.open(state / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    lines = itertools.count()

    def note(line: str) -> None:
        os.write(log, f"{line}\n".encode())
        if next(lines) == last:
            os.kill(os.getpid(), signal.SIGKILL)

    def logged(verb: Callable[..., Any], at: int) -> Callable[..., Any]:
        def call(store: Any, *arguments: Any, **more: Any) -> Any:
            note(f"write {arguments[at].removeprefix('r/')}")
            return verb(store, *arguments, **more)

        return call

    for kind in (S3Store, FileStore):
        for name, at in (("_write", 0), ("_stage", 0), ("_copy", 2)):
            setattr(kind, name, logged(getattr(kind, name), at))

    real_send = parts.PartUpload.send

    def send(upload: parts.PartUpload, number: int, data: bytes) -> str:
        note(f"write part-{number}")
        etag = real_send(upload, number, data)
        note(f"ack part-{number}")
        return etag

    parts.PartUpload.send = send  # type: ignore[method-assign]
    real_finish = JournalQueue.finish

    def finish(queue: JournalQueue, results: Sequence[tuple[Task, Result]]) -> list[Result]:
        noted = real_finish(queue, results)
        for result in noted:
            note(f"ack {result.key}")
        return noted

    JournalQueue.finish = finish  # type: ignore[method-assign]
    if how == "resumable":
        transfer = ResumableTransfer(state / "transfer")
        if not (state / "transfer.plan").exists():
            transfer.init(source, target)
        note("begin")
        transfer.execute()
        note("end")
        sys.exit(0)
    with_index = Index(state / "index")
    places = Place(open_store(source), source), Place(open_store(target), target)
    kept = state / "plan"
    if how == "kept" and kept.exists():
        planned = Plan.read(kept, *places)
    else:
        planned = plan(*places, index=with_index, on_unknown="transfer")
        planned.write(state / "plan.new")
        os.replace(state / "plan.new", kept)
    note("begin")
    summary = apply(planned, journal=state / "journal", index=with_index)
    note("end")
    with_index.close()
    sys.exit(summary.exit_code)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4], int(sys.argv[5]))
