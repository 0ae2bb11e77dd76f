"""SyncObject: one file and its remote object, and whether they are the same."""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Literal, get_args

from ..checksums import Digest
from ..errors import AlreadyExists
from .remote_objects import RemoteObjectProtocol

Direction = Literal["push", "pull"]
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
CHUNK = 1 << 20


class JsonRepr(ABC):
    """What shows itself as JSON."""

    @abstractmethod
    def fields(self, *, make_serializable: bool, read_files: bool) -> dict[str, Any]:
        """What ``to_dict`` gives; without ``read_files`` digests that are not known yet are None."""

    def to_dict(self, make_serializable: bool = True) -> dict[str, Any]:
        """Everything in it as a dictionary; ``make_serializable`` turns objects into dictionaries, too.

        Local files are read for their MD5.
        """
        return self.fields(make_serializable=make_serializable, read_files=True)

    def to_json(self) -> str:
        """The dictionary as JSON text."""
        return json.dumps(self.to_dict(), indent=2)

    def __repr__(self) -> str:
        return json.dumps(self.fields(make_serializable=True, read_files=False), indent=2)


def checked_direction(direction: str | None) -> Direction | None:
    """The direction itself; ValueError for anything but "push", "pull" and None."""
    if direction is not None and direction not in DIRECTIONS:
        raise ValueError(f"sync_direction={direction!r} is none of push, pull and None")
    return direction


class SyncObject(JsonRepr):
    """How a local path and a remote object stand to each other; made by RemoteStorage, for people to look at.

    Takes ``local_path``, ``remote_obj`` and ``remote_path``, by position in this order or by name, and
    ``sync_direction`` ("push" or "pull"), by name or as a first positional argument before the others; a "push" that
    can be the local path is that. ValueError if neither remote_obj nor remote_path is given, or if they disagree;
    FileExistsError if the local path is a directory.

    >>> synced = SyncObject("no/such/file", remote_path="data/file")
    >>> synced.name, synced.exists_locally, synced.exists_on_target
    ('data/file', False, False)
    """

    def __init__(
        self,
        *positional: Any,
        local_path: str | os.PathLike[str] | None = None,
        remote_obj: RemoteObjectProtocol | None = None,
        remote_path: str | None = None,
        sync_direction: str | None = None,
    ) -> None:
        named = {"local_path": local_path, "remote_obj": remote_obj, "remote_path": remote_path}
        given = list(positional)
        if _begins_with_direction(given, named):
            sync_direction = given.pop(0)
        if len(given) > len(named):
            raise TypeError(f"SyncObject takes {', '.join(named)}, and sync_direction before them; there are more")
        for name, value in zip(named, given, strict=False):
            if named[name] is not None:
                raise TypeError(f"SyncObject got {name} by position and by name")
            named[name] = value
        remote: Any = named["remote_obj"]
        path: Any = named["remote_path"]
        if remote is None and path is None:
            raise ValueError("a SyncObject needs a remote_obj or a remote_path")
        if remote is not None and path is not None and path.lstrip("/") != remote.name.lstrip("/"):
            raise ValueError(
                f"remote_path={path!r} and remote_obj, which is {remote.name!r}, disagree: give one of them"
            )
        self.sync_direction = checked_direction(sync_direction)
        self.remote_obj: RemoteObjectProtocol | None = remote
        self.remote_path: str = (remote.name if path is None else path).lstrip("/")
        self._local_path: str | None = None
        self._local_hash: str | None = None
        #: What the planner found out; None if nobody has compared the two yet.
        self._equal: bool | None = None
        self.set_local_path(named["local_path"])  # type: ignore[arg-type]

    @property
    def name(self) -> str:
        """The whole name of the remote object, be it there or not; without a leading slash."""
        return self.remote_path

    @property
    def local_path(self) -> str | None:
        """The absolute path of the local file, be it there or not."""
        return self._local_path

    def set_local_path(self, path: str | os.PathLike[str] | None) -> None:
        """Change the local path; FileExistsError if it is a directory."""
        text = None if path is None else os.path.abspath(path)
        if text is not None and os.path.isdir(text):
            raise AlreadyExists(f"a local path must be that of a file, and this is a directory: {text}")
        self._local_path, self._local_hash, self._equal = text, None, None

    @property
    def exists_locally(self) -> bool:
        """Whether there is a local file."""
        return self._local_path is not None and os.path.isfile(self._local_path)

    @property
    def exists_on_remote(self) -> bool:
        """Whether there is a remote object."""
        return self.remote_obj is not None

    @property
    def exists_on_target(self) -> bool:
        """Whether there are both."""
        return self.exists_on_remote and self.exists_locally

    @property
    def local_size(self) -> int:
        """The size of the local file in bytes, 0 without one."""
        return os.path.getsize(self._local_path) if self._local_path is not None and self.exists_locally else 0

    @property
    def local_hash(self) -> str | None:
        """The MD5 of the local file in hexadecimal, read in pieces at the first use; None without a file."""
        if self._local_hash is None and self._local_path is not None and self.exists_locally:
            self._local_hash = md5_of(self._local_path)
        return self._local_hash

    @property
    def remote_hash(self) -> str | None:
        """The ``hash`` of the remote object, which is its MD5 where its service says so; None without an object."""
        return None if self.remote_obj is None else self.remote_obj.hash

    @property
    def equal_md5_hash_sum(self) -> bool:
        """Whether both are there with the same bytes: as a push or pull found it out, else by comparing the hashes."""
        if self._equal is not None:
            return self._equal
        return self.exists_on_target and self.local_hash == self.remote_hash

    def get_bytes_transferred(self) -> int:
        """How many bytes a transfer in ``sync_direction`` sends; RuntimeError without a direction."""
        if self.sync_direction is None:
            raise RuntimeError("the sync_direction is not set to 'push' or 'pull'")
        if self.sync_direction == "push":
            return self.local_size
        return 0 if self.remote_obj is None else self.remote_obj.size

    def judged(self, equal: bool) -> SyncObject:
        """The same object, told what a comparison of the two came to."""
        self._equal = equal
        return self

    def fields(self, *, make_serializable: bool, read_files: bool) -> dict[str, Any]:
        """What ``to_dict`` gives; without ``read_files`` digests that are not known yet are None."""
        return {
            "name": self.name,
            "sync_direction": self.sync_direction,
            "exists_locally": self.exists_locally,
            "exists_on_remote": self.exists_on_remote,
            "local_path": self.local_path,
            "local_size": self.local_size,
            "local_hash": self.local_hash if read_files else self._local_hash,
            "remote_path": self.remote_path,
            "remote_hash": self.remote_hash,
            "remote_obj": described(self.remote_obj) if make_serializable else self.remote_obj,
        }


def _begins_with_direction(given: list[Any], named: Mapping[str, Any]) -> bool:
    """Whether the first argument is a direction, and no file of that name, as what comes with it tells."""
    if not given or not isinstance(given[0], str) or given[0] not in DIRECTIONS:
        return False
    taken = list(named.values())[: len(given)]  # by name what the order without a direction has by position
    if len(given) > len(named) or any(value is not None for value in taken):
        return True
    rest = [*given[1:], None, None]
    is_path = isinstance(rest[0], str | os.PathLike)  # where the other order has the remote object
    is_object = rest[1] is not None and not isinstance(rest[1], str)  # where the other order has its path
    return is_path or is_object


def described(remote: RemoteObjectProtocol | None) -> dict[str, Any] | None:
    """What JSON shows of a remote object."""
    if remote is None:
        return None
    return {name: getattr(remote, name, None) for name in ("name", "size", "hash", "provider")}


def md5_of(path: str | os.PathLike[str]) -> str:
    """The MD5 of a file in hexadecimal, read in pieces."""
    digest = Digest("md5")
    with open(path, "rb") as file:
        while piece := file.read(CHUNK):
            digest.update(piece)
    return digest.hex()
