"""Transfers and moves in several processes: each is given batches of paths, which it plans and applies by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

from ..errors import ConfigError
from ..monitoring import TransmissionMonitor
from ..store import ObjectStore
from ..sync.journal import Journal
from ..sync.summary import Result
from .requests import batches
from .transfers import TransferRequest, transfer
from .work import Job, Recipe, is_only_here

if TYPE_CHECKING:
    from .cloudfiles import CloudFiles


class Terms(NamedTuple):
    """How the objects of a batch are transferred (see ``transfers.transfer``)."""

    move: bool = False
    reencode: str | bool | None = None
    resumable: bool = False
    part_size: int | None = None


class Sent(NamedTuple):
    """A batch that was sent: how many paths it had, and for each object from when until when, and bytes.

    Times are those of ``time.monotonic``, which the processes of one machine share.
    """

    paths: int
    spans: tuple[tuple[float, float, int], ...]


def transfer_batches(
    source: CloudFiles,
    target: CloudFiles,
    paths: Iterable[TransferRequest],
    terms: Terms = Terms(),  # noqa: B008 - a NamedTuple never changes
    *,
    block_size: int,
    parallel: int,
    progress: bool | None = None,
    monitor: TransmissionMonitor | None = None,
) -> int:
    """How many paths were dealt with, in batches of ``block_size``, by so many processes at a time.

    Memory belongs to one process: from or to there all is done here. Raises the first error of all (see
    ``CloudFiles.transfer_to``), and the batches under way then may be done or not. ``monitor`` records what was sent.
    """
    if block_size < 1:
        raise ConfigError(f"block_size={block_size} is a number of objects")
    job = Job(batch_transferrer, (target._work.recipe, terms))
    parallel = 1 if is_only_here(source.store) or is_only_here(target.store) else parallel
    outcomes = source._work.many(
        job, batches(paths, block_size), "Moving" if terms.move else "Transferring", None, progress,
        parallel=parallel, count=lambda sent: sent.paths,
    )  # fmt: skip
    count = 0
    for outcome in outcomes:
        count += outcome.value.paths
        for begin, end, nbytes in outcome.value.spans if monitor is not None else ():
            monitor.add(begin, end, nbytes)  # type: ignore[union-attr]  # asked in the line above
    return count


def batch_transferrer(store: ObjectStore, target: Recipe, terms: Terms) -> Callable[[list[TransferRequest]], Sent]:
    """The operation that transfers one batch from the store to the target, which is opened and closed for each."""

    def transfer_batch(batch: list[TransferRequest]) -> Sent:
        spans: list[tuple[float, float, int]] = []

        def note(result: Result) -> None:
            if result.span is not None:
                spans.append((*result.span, result.nbytes))

        with ExitStack() as stack:
            opened = target.open()
            if target.store is None:  # closed, a directory is left with nothing but files in it
                stack.callback(opened.close)
            journal = stack.enter_context(Journal.default()) if terms.resumable else None
            transfer(
                store, opened, batch, move=terms.move, reencode=terms.reencode, journal=journal,
                part_size=terms.part_size, on_result=note,
            )  # fmt: skip
            if journal is not None:
                journal.forget_complete()
        return Sent(len(batch), tuple(spans))

    return transfer_batch
