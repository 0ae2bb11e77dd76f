"""CloudFile: one object by its location. ``dl``: many objects by their locations, from many buckets at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, overload

from ..store import ObjectStore
from ..types import Body
from . import paths
from .cloudfiles import CloudFiles

if TYPE_CHECKING:
    from ..sync.summary import Summary


class CloudFile:
    """One object: ``CloudFile("s3://bucket/a/b")`` is the object ``b`` in the location ``s3://bucket/a``.

    The other arguments are those of CloudFiles. ``cache_meta=True`` asks for size and head once; what this object
    writes or deletes itself makes it ask again. A missing object is None, never an exception.

    >>> one = CloudFile("mem://cloudfile-example/a")
    >>> one.put(b"0123456789")
    1
    >>> one.get(), one[2:5], len(one), one.get(ranges=[(0, 2), (8, None)])
    (b'0123456789', b'234', 10, [b'01', b'89'])
    """

    _files: ClassVar[type[CloudFiles]] = CloudFiles

    def __init__(
        self,
        path: str,
        cache_meta: bool = False,
        secrets: Any = None,
        composite_upload_threshold: int | None = None,
        *,
        locking: bool | None = None,
        lock_dir: str | None = None,
        endpoint: str | None = None,
        no_sign_request: bool = False,
        request_payer: str | bool | None = None,
        use_https: bool = False,
    ) -> None:
        directory, self.filename = paths.split_object(path)
        self.cache_meta = cache_meta
        self.cf = self._files(
            directory,
            secrets=secrets,
            use_https=use_https,
            endpoint=endpoint,
            request_payer=request_payer,
            locking=locking,
            lock_dir=lock_dir,
            composite_upload_threshold=composite_upload_threshold,
            no_sign_request=no_sign_request,
        )
        self._known: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"CloudFile({self.cf.abspath(self.filename)!r})"

    @property
    def store(self) -> ObjectStore:
        """The store of the location that holds the object."""
        return self.cf.store

    @property
    def protocol(self) -> str:
        """The scheme of the location."""
        return self.cf.protocol

    @property
    def sep(self) -> str:
        """What separates the names in paths."""
        return self.cf.sep

    @property
    def lock_dir(self) -> str | None:
        """Where lock files lie (see CloudFiles)."""
        return self.cf.lock_dir

    # ------------------------------------------------------------------ reading
    def get(self, ranges: Any = None, raw: bool = False) -> Any:
        """The bytes of the object (None if it is missing), or of a range of it, or a list for several ranges.

        A range is a slice, a (start, end) with an exclusive end, or a dict with ``start`` and ``end``.
        """
        if ranges is None:
            return self.cf.get(self.filename, raw=raw)
        if isinstance(ranges, slice | Mapping | tuple):
            return self.cf.get(self._request(ranges), raw=raw)
        return [row["content"] for row in self.cf.get([self._request(one) for one in ranges], raw=raw)]

    def _request(self, span: slice | Mapping[str, Any] | tuple[int | None, int | None]) -> dict[str, Any]:
        if isinstance(span, slice):
            if span.step not in (None, 1):
                raise ValueError("a byte range has no step")
            start, end = span.start, span.stop
        elif isinstance(span, Mapping):
            start, end = span.get("start"), span.get("end")
        else:
            start, end = span
        return {"path": self.filename, "start": start, "end": end}

    def get_json(self) -> Any:
        """The parsed JSON document, or None if it is missing."""
        return self.cf.get_json(self.filename)

    def head(self) -> Any:
        """The headers of the object as a dict (see ``CloudFiles.head``), or None if it is missing."""
        return self._ask("head", self.cf.head)

    def size(self) -> int | None:
        """The stored size in bytes, or None if it is missing."""
        size: int | None = self._ask("size", self.cf.size)
        return size

    def exists(self) -> bool:
        """Whether there is such an object."""
        return bool(self.cf.exists(self.filename))

    def _ask(self, name: str, ask: Any) -> Any:
        if not self.cache_meta:
            return ask(self.filename)
        if name not in self._known:
            self._known[name] = ask(self.filename)
        return self._known[name]

    def __len__(self) -> int:
        return self.size() or 0

    def __bool__(self) -> bool:
        return True  # also of length 0: what is there is asked by exists()

    @overload
    def __getitem__(self, span: slice) -> bytes | None: ...
    @overload
    def __getitem__(self, span: int) -> int: ...
    def __getitem__(self, span: slice | int) -> bytes | int | None:
        """``one[a:b]`` are those bytes (None if the object is missing), ``one[n]`` is one of them, as a number."""
        if isinstance(span, slice):
            content: bytes | None = self.get(span)
            return content
        found = self.get(slice(span, span + 1 if span != -1 else None))
        if not found:
            raise IndexError(f"there is no byte {span} in {self!r}")
        return int(found[0])

    # ------------------------------------------------------------------ writing
    def put(self, content: Body, *args: Any, **kwargs: Any) -> int:
        """1, when the object is stored, whole; the other arguments are those of ``CloudFiles.put``."""
        self._known.clear()
        return self.cf.put(self.filename, content, *args, **kwargs)

    def put_json(self, content: Any, *args: Any, **kwargs: Any) -> int:
        """1, when the content is stored as JSON; the other arguments are those of ``CloudFiles.put_json``."""
        self._known.clear()
        return self.cf.put_json(self.filename, content, *args, **kwargs)

    def delete(self) -> None:
        """Delete the object, if there is one."""
        self._known.clear()
        self.cf.delete(self.filename)

    def touch(self) -> None:
        """Create an empty object, if there is none."""
        self._known.clear()
        self.cf.touch(self.filename)

    def move(self, dest: str) -> Summary:
        """What was done to move the object to another location; this CloudFile still stands for the old one.

        A location with a trailing slash is a directory, in which the object keeps its name.
        """
        self._known.clear()
        directory, name = paths.split_object(dest, self.filename)
        return self.cf.moves(directory, [(self.filename, name)])

    def transfer_to(self, dest: str, reencode: str | bool | None = None) -> None:
        """Have the object at another location as well; one with a trailing slash is a directory (see CloudFiles)."""
        directory, name = paths.split_object(dest, self.filename)
        self.cf.transfer_to(directory, [{"path": self.filename, "dest_path": name}], reencode=reencode)

    def transfer_from(self, source: str, reencode: str | bool | None = None) -> None:
        """Have the object of another location here as well, in the place of this one (see CloudFiles)."""
        self._known.clear()
        directory, name = paths.split_object(source)
        self.cf.transfer_from(directory, [{"path": name, "dest_path": self.filename}], reencode=reencode)

    # ------------------------------------------------------------------ paths
    def join(self, *args: str) -> str:
        """The parts joined by slashes (see ``CloudFiles.join``)."""
        return self.cf.join(*args)

    def dirname(self) -> str:
        """The location that holds the object."""
        return self.cf.cloudpath

    def basename(self) -> str:
        """The name of the object in its location."""
        return self.filename

    def clear_locks(self) -> None:
        """Remove the lock files of ``lock_dir`` that nobody holds."""
        self.cf.clear_locks()


def dl(cloudpaths: str | Mapping[str, Any] | Iterable[Any], raw: bool = False, **kwargs: Any) -> Any:
    """A row for the object at a location, or a list of rows for many, in order, from as many buckets as there are.

    Locations are paths or dicts with a ``path`` and maybe ``start``, ``end`` or ``tags``. Rows are those of
    ``CloudFiles.get`` and have the ``fullpath`` as well; keyword arguments are CloudFiles's.

    >>> _ = CloudFiles("mem://dl-one").put("a", b"1"), CloudFiles("mem://dl-two").put("d/b", b"2")
    >>> [(row["fullpath"], row["content"]) for row in dl(["mem://dl-one/a", "mem://dl-two/d/b"])]
    [('mem://dl-one/a', b'1'), ('mem://dl-two/d/b', b'2')]
    """
    scalar = isinstance(cloudpaths, str | Mapping)
    requests: list[Any] = [cloudpaths] if scalar else list(cloudpaths)
    numbered = [
        {**({"path": one} if isinstance(one, str) else one), "tags": (place, one)} for place, one in enumerate(requests)
    ]
    rows: list[Any] = [None] * len(requests)
    for bucket, wanted in paths.find_common_buckets(numbered).items():
        for row in CloudFiles(bucket, **kwargs).get(wanted, raw=raw):
            place, given = row["tags"]
            row["tags"] = None if isinstance(given, str) else given.get("tags")
            row["fullpath"] = given if isinstance(given, str) else given["path"]
            rows[place] = row
    return rows[0] if scalar else rows
