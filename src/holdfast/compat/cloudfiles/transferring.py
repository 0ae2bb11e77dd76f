"""Transfers as cloud-files makes them: its forms of paths, its objects in memory, and a recording of what was sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

from ...errors import Unsupported
from ...files.requests import is_scalar
from ...files.transferring import transfer_between
from ...monitoring import IOEnum
from ...sync.summary import Result
from .monitoring import TransmissionMonitor

if TYPE_CHECKING:
    from ...files.cloudfiles import CloudFiles
    from .references import References

#: (path at the source, path at the target)
Pair = tuple[str, str]


def transferred(
    source: CloudFiles, target: CloudFiles, paths: Any, block_size: int, progress: bool, **options: Any
) -> TransmissionMonitor:
    """The recording of a transfer of these paths (None: all); the options are those of ``holdfast.CloudFiles``.

    All is planned before the first object is sent, so there are no blocks: ``block_size`` must be a number of objects,
    and changes nothing. What is there already is not sent again, and is not in the recording.
    """
    if block_size < 1:
        raise ValueError(f"block_size={block_size} is a number of objects")
    monitor = TransmissionMonitor(IOEnum.TX)

    def note(result: Result) -> None:
        if result.span is not None:
            monitor.add(*result.span, result.nbytes)

    pairs = None if paths is None else list(_pairs(paths))
    with Referred(source, target, pairs):
        for requests in [None] if pairs is None else _rounds(pairs):
            transfer_between(source, target, requests, progress, on_result=note, **options)
    return monitor


def _pairs(paths: Any) -> Iterator[Pair]:
    """The forms of paths: str, dicts, pairs, or an iterable of those, such as another CloudFiles."""
    for path in [paths] if is_scalar(paths) else paths:
        if isinstance(path, str):
            yield path, path
        elif isinstance(path, Mapping):
            yield path["path"], path.get("dest_path", path["path"])
        else:
            source, target = path
            yield source, target


def _rounds(pairs: list[Pair]) -> Iterator[list[dict[str, str]]]:
    """The requests, in as few transfers as there are names for the path that gets the most."""
    rounds: list[dict[str, str]] = [{}]
    for path, name in dict.fromkeys(pairs):
        for names in rounds:
            if path not in names:
                names[path] = name
                break
        else:
            rounds.append({path: name})
    for names in rounds:
        yield [{"path": path, "dest_path": name} for path, name in names.items()]


class Referred:
    """A block that sees to it that objects kept by reference in memory are transferred as such, or not at all."""

    def __init__(self, source: CloudFiles, target: CloudFiles, pairs: list[Pair] | None, *, move: bool = False) -> None:
        self.source, self.pairs, self.move = source, pairs, move
        self.here: References | None = getattr(source, "_references", None)
        self.there: References | None = getattr(target, "_references", None)
        self.kept = {} if self.here is None else self.here.find(pairs)
        if self.kept and self.there is None:
            raise Unsupported(
                f"{min(self.kept)!r} is a Python object, kept by reference in mem://, and no bytes: it cannot be "
                "transferred to anywhere else",
                store=source.store.name,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is not None:
            return
        if self.move and self.here is not None and self.pairs is not None:
            self.here.forget(path for path, _ in self.pairs)
        if self.there:  # what was kept there is replaced
            names: Iterable[str] = self.source if self.pairs is None else (name for _, name in self.pairs)
            self.there.forget(names)
        if self.there is not None:
            self.there.keep(self.kept)
