"""A sync that is killed: logs each write as it begins, and each result once it was noted for good.

Arguments: source, target, directory of journal, index and log, and whether the plan is kept from run to run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from holdfast import open_store
from holdfast.stores.file import FileStore
from holdfast.stores.s3 import S3Store, parts
from holdfast.sync import Index, Place, Plan, apply, plan, resuming

resuming.LARGE = resuming.PART = 5 << 20


def main(source: str, target: str, state: Path, keeps_plan: bool) -> None:
    log = os.open(state / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def logged(verb: Callable[..., Any], at: int) -> Callable[..., Any]:
        def call(store: Any, *arguments: Any, **more: Any) -> Any:
            os.write(log, f"write {arguments[at].removeprefix('r/')}\n".encode())
            return verb(store, *arguments, **more)

        return call

    for kind in (S3Store, FileStore):
        for name, at in (("_write", 0), ("_stage", 0), ("_copy", 2)):
            setattr(kind, name, logged(getattr(kind, name), at))

    real_send = parts.PartUpload.send

    def send(upload: parts.PartUpload, number: int, data: bytes) -> str:
        os.write(log, f"write part-{number}\n".encode())
        etag = real_send(upload, number, data)
        os.write(log, f"ack part-{number}\n".encode())
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
    os.write(log, b"begin\n")
    summary = apply(
        planned,
        journal=state / "journal",
        index=with_index,
        on_result=lambda result: os.write(log, f"ack {result.key}\n".encode()) and None,
    )
    os.write(log, b"end\n")
    with_index.close()
    sys.exit(summary.exit_code)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4] == "True")
