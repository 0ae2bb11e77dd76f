"""A sync that is killed: logs each write as it begins, and each result once it was noted for good.

Arguments: source, target, directory of journal, index and log, whether the plan is kept from run to run, and after how
many lines of the log it kills itself (-1: never).
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from holdfast import open_store
from holdfast.stores.file import FileStore
from holdfast.stores.s3 import S3Store, parts
from holdfast.sync import Index, Place, Plan, apply, plan, resuming

resuming.LARGE = resuming.PART = 5 << 20


def main(source: str, target: str, state: Path, keeps_plan: bool, last: int) -> None:
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
    with_index = Index(state / "index")
    places = Place(open_store(source), source), Place(open_store(target), target)
    kept = state / "plan"
    if keeps_plan and kept.exists():
        planned = Plan.read(kept, *places)
    else:
        planned = plan(*places, index=with_index, on_unknown="transfer")
        planned.write(state / "plan.new")
        os.replace(state / "plan.new", kept)
    note("begin")
    summary = apply(
        planned,
        journal=state / "journal",
        index=with_index,
        on_result=lambda result: note(f"ack {result.key}"),
    )
    note("end")
    with_index.close()
    sys.exit(summary.exit_code)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4] == "True", int(sys.argv[5]))
