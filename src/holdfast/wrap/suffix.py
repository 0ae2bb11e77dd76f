"""``SuffixStore``: objects whose encoding is written on their names, as CloudFiles lays them out on local disks.

A plain file cannot say Content-Encoding, so ``a`` encoded with gzip lies there as ``a.gz``. Read through this
wrapper it is ``a`` again, with ``content_encoding`` "gzip"; the bytes are the stored ones, and ranges count them.
The other suffixes are ``.br .zstd .xz .bz2`` (``codecs.SUFFIXES``).

**What a stored name means.** Whatever a suffix cannot tell is written down as the stored object's own
``content_encoding``, the *mark*; "identity" marks a name that only looks like a suffix. Files made by other programs
carry no mark.

    stored as   mark         is the object   with the encoding
    a           none         a               none
    a.gz        none         a               gzip              as cloud-files writes and reads it
    a.gz        "identity"   a.gz            none              put("a.gz", raw)
    a.gz        "gzip"       a.gz            gzip              put("a.gz", gzip): no second suffix
    a           "gzip, br"   a               "gzip, br"        what no suffix says, and ``a`` beside an ``a.gz``

A key may be stored under several names at once (its *variants*; only other programs leave it so). The visible one is
its own name, else the first suffix in the order of ``codecs.SUFFIXES``. Head, read, exists and list agree on it.
Beyond that, the full name of an unmarked file can be read and deleted: get("a.gz") is the stored bytes of ``a``.

**Writing** makes the key's new variant appear, then removes the others, the visible one last. So a reader sees the old
object or the new one (one that overlaps the write may see either), and the new one once the write has returned. A
name that belongs to another key is never taken from it: before put("a.gz", raw) replaces the stored form of ``a``,
that is moved to the name ``a`` with a mark; and ``a`` is written there when ``a.gz`` is an object of its own.

**Races.** Writers of one key (and of those that differ from it by suffixes) take turns: by a lock in this process,
and between processes by the wrapped store's ``locked(key)`` where it has one: a context manager that excludes every
other process, and is not the lock that its own verbs take. So of any number of racing writes exactly one variant
stays, the last one's. An iterator of more than 8 MiB is written outside of the lock, because it may be slow, or write
to this store itself (inside, if the wrapped store has no conditional writes). If it must go to a name that another
key can claim, and that name changes meanwhile, it is refused with Conflict.

Readers take no lock and create nothing. A reader that finds no variant looks again, in the opposite order (one that
moved past it would have to move back to hide again), and, after a change in this process, a third time under its
lock. A *listing* can miss a key whose variant changes while it passes by.

A listing asks for the head of each stored name that ends in a suffix, to see its mark, unless the wrapped store has
a true ``lists_attributes``: its rows tell every ``content_encoding``. Where they do not, the encoding of an object
that is marked and has no suffix is not listed; its head tells it.

Conditional writes and deletes are Unsupported, since no store compares several names in one step. Listings are in
the order of stored names, not of keys: ``sorted`` is False.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from itertools import chain

from ..blob import Blob, Buffer, Staged, body_chunks
from ..codecs import SUFFIXES, parse_content_encoding
from ..errors import AlreadyExists, Conflict, HoldfastError, InvalidKey, NotFound, UnknownEncoding
from ..keys import sort_key
from ..store import HEAD, LIST, READ, REMOVE, WRITE, ObjectStore, Removed, Store, select
from ..types import (
    ATTRIBUTES,
    Body,
    Capabilities,
    ListOptions,
    ObjectInfo,
    ReadOptions,
    RemoveOptions,
    WriteOptions,
)
from ._families import ENDINGS, coding_of, families, family_of, split_suffix, takes_suffix, variants

#: The mark of a name that ends like a suffix and has no encoding.
NATURAL = "identity"

GATHERED = 8 << 20

_ENDING_CHARACTERS = frozenset("".join(ENDINGS))


class SuffixStore(Store):
    """The same objects, with encodings as name suffixes in the wrapped store (the module tells the rules).

    Copies into it are streams, and it locates nothing: a native copy would lose the encoding, which lies in the name.

    >>> from holdfast.stores.memory import MemoryStore
    >>> from holdfast.types import WriteOptions
    >>> plain = MemoryStore()
    >>> store = SuffixStore(plain)
    >>> info = store.write("a", b"(compressed)", WriteOptions(content_encoding="gzip"))
    >>> list(plain.keys()), [(row.key, row.content_encoding) for row in store.list()], store.get("a")
    (['a.gz'], [('a', 'gzip')], b'(compressed)')
    """

    def __init__(self, store: ObjectStore) -> None:
        self.store = store

    def __repr__(self) -> str:
        return f"SuffixStore({self.store!r})"

    @property
    def name(self) -> str:
        return self.store.name

    @property
    def capabilities(self) -> Capabilities:
        """The wrapped store's, without order, conditions and native copies."""
        inner = self.store.capabilities
        return replace(inner, sorted=False, create=False, replace_if=False, delete_if=False, copy=False)

    @property
    def remove_batch(self) -> int:
        return self.store.remove_batch

    def close(self) -> None:
        self.store.close()

    # ------------------------------------------------------------------ reading
    def _read(self, key: str, options: ReadOptions = READ) -> Blob:
        if options.if_match is not None:
            return self._read_version(key, options)
        found = self._find(key, options)
        if found is None:
            raise NotFound(f"no object {key!r}", key=key, store=self.name)
        return found[1]

    def _read_version(self, key: str, options: ReadOptions) -> Blob:
        # The condition is for the visible variant alone: of another name it would be a false Conflict.
        found = self._find(key, HEAD)
        if found is None:
            raise NotFound(f"no object {key!r}", key=key, store=self.name)
        path, head = found
        with head:
            try:
                return _Variant(self.store._read(path, options), key, head.encoding)
            except NotFound as error:
                message = f"object {key!r} is no longer the version {options.if_match!r}: read it again"
                raise Conflict(message, key=key, store=self.name, cause=error) from error

    def _find(self, key: str, options: ReadOptions) -> tuple[str, Blob] | None:
        """The visible variant's stored name and opened blob, or None if there is certainly no variant."""
        changes = families.changes
        found = self._first(key, variants(key), options)
        if found is None and hasattr(self.store, "locked"):
            found = self._first(key, reversed([*variants(key)]), options)
        if found is None and families.changes != changes:
            with families.locked(self._place(family_of(key))):
                found = self._first(key, variants(key), options)
        if found is None and split_suffix(key) is not None:
            found = self._encoded_object_at(key, options)
        return found

    def _first(self, key: str, paths: Iterable[str], options: ReadOptions) -> tuple[str, Blob] | None:
        """The first of these stored names that is a variant of the key, opened."""
        for path in paths:
            blob = self._open(path, key, options)
            if blob is None:
                continue
            mark = blob.encoding
            if path == key:
                if mark is not None and mark != NATURAL:
                    return path, blob
                if mark is not None or split_suffix(key) is None:
                    return path, blob if mark is None else _Variant(blob, key, None)
            elif mark is None:
                return path, _Variant(blob, key, coding_of(path))
            blob.close()  # another key's
        return None

    def _encoded_object_at(self, path: str, options: ReadOptions) -> tuple[str, Blob] | None:
        """The stored form of another key, asked for by its full name."""
        blob = self._open(path, path, options)
        if blob is None:
            return None
        return path, blob if blob.encoding != NATURAL else _Variant(blob, path, None)

    def _open(self, path: str, key: str, options: ReadOptions) -> Blob | None:
        """The stored object of this name, or None; ``key`` is the key that a caller named."""
        try:
            return self.store._read(path, options)
        except NotFound:
            return None
        except InvalidKey:
            if path == key:
                raise
            return None  # with the suffix the name is too long: nothing can be there
        except HoldfastError as error:
            if error.key == path and key:
                error.key = key
            raise

    def _head(self, path: str, key: str) -> ObjectInfo | None:
        blob = self._open(path, key, HEAD)
        if blob is None:
            return None
        with blob:
            return blob.info

    # ------------------------------------------------------------------ writing
    def _write(self, key: str, body: Body, options: WriteOptions = WRITE) -> ObjectInfo:
        options = self._settled(options)
        if not isinstance(body, bytes | bytearray | memoryview | os.PathLike):
            body, gathered = _gather(body)
            if not gathered and self._can_compare:
                return self._write_stream(key, body, options)
        with self._locked(key):
            path, marked = self._prepare(key, options)
            info = self._put(path, key, body, marked)
            self._drop_others(key, path)
        return _told_as(info, key, options.content_encoding)

    def _write_stream(self, key: str, body: Iterator[Buffer], options: WriteOptions) -> ObjectInfo:
        with self._locked(key):
            path, marked = self._prepare(key, options)
            if split_suffix(path) is not None:  # another key can claim it, so it must stay as it is
                marked = self._unchanged(path, marked)
        try:
            info = self._put(path, key, body, marked)
        except (AlreadyExists, Conflict) as error:
            message = f"object {key!r} was written by somebody else while this stream was; write it again"
            raise Conflict(message, key=key, store=self.name, cause=error, retryable=True) from error
        with self._locked(key):
            # Whoever wrote or deleted the key after this write became visible has removed it again, under the same
            # lock. So if it is still there it is the latest, and if not it was overtaken before it was acknowledged.
            if self._owns(key, path):
                self._drop_others(key, path)
        return _told_as(info, key, options.content_encoding)

    def _put(self, path: str, key: str, body: Body, options: WriteOptions) -> ObjectInfo:
        try:
            return self.store._write(path, body, options)
        except HoldfastError as error:
            if error.key == path:
                error.key = key
            raise

    @property
    def _can_compare(self) -> bool:
        return self.store.capabilities.create and self.store.capabilities.replace_if

    def _unchanged(self, path: str, options: WriteOptions) -> WriteOptions:
        """The options, on condition that this name stays as it is now."""
        there = self._head(path, "")
        return replace(options, if_absent=True) if there is None else replace(options, if_match=there.etag)

    def _stage(self, key: str, size: int, options: WriteOptions = WRITE) -> Staged | None:
        options = self._settled(options)
        if options.content_encoding is not None:
            return None  # where it will lie can be known only under the lock: write a stream
        staged = self.store._stage(key, size, self._marked(key, options, NATURAL))
        return None if staged is None else _SuffixStaged(self, key, staged)

    def _settled(self, options: WriteOptions) -> WriteOptions:
        """The options with a canonical encoding, None if there is none; Unsupported for conditions."""
        if options.conditional:
            option = "if_absent" if options.if_absent else "if_match"
            raise self._unsupported("a write", option, "an object here can lie under several names")
        if options.content_encoding is None:
            return options
        try:
            codings = parse_content_encoding(options.content_encoding)
        except UnknownEncoding:
            return options  # kept as it was given, for readers of the stored bytes
        return replace(options, content_encoding=", ".join(codings) or None)

    def _prepare(self, key: str, options: WriteOptions) -> tuple[str, WriteOptions]:
        """Under the lock: the name to write to, which is now the key's to take, and the options with the mark."""
        coding = options.content_encoding
        suffix = SUFFIXES.get(coding or "", "")
        if coding is not None and suffix and takes_suffix(key) and not key.endswith(suffix):
            there = self._head(key + suffix, "")
            if there is None or there.content_encoding is None:
                return key + suffix, replace(options, content_encoding=None)
        self._make_room(key)
        return key, self._marked(key, options, coding or NATURAL)

    def _marked(self, key: str, options: WriteOptions, mark: str) -> WriteOptions:
        if mark == NATURAL and split_suffix(key) is None:
            return options
        if not self.store.capabilities.metadata:
            raise self._unsupported(
                f"a write to {key!r}",
                f"the encoding {mark}",
                "this store keeps no attributes, so a name that ends in a suffix cannot be told from an encoding; "
                "choose another key",
            )
        return replace(options, content_encoding=mark)

    def _make_room(self, path: str) -> None:
        """Before an object of its own goes to this name: save the encoded object that may lie there."""
        told = split_suffix(path)
        if told is None:
            return
        key, coding = told
        there = self._head(path, path)
        if there is None or there.content_encoding is not None:
            return
        visible = self._first(key, variants(key), HEAD)
        if visible is None:
            return
        visible[1].close()
        if visible[0] != path:
            return  # left over by another program, and hidden by a better variant
        self._make_room(key)
        with self.store._read(path) as blob:
            options = _with_attributes(blob.info, coding)
            if not self._can_compare:
                self.store._write(key, blob.chunks(), options)
                return
            try:
                self.store._write(key, blob.chunks(), self._unchanged(key, options))
            except (AlreadyExists, Conflict):
                return  # a stream that was not under the lock has just replaced what was to be saved

    def _drop_others(self, key: str, kept: str) -> None:
        if others := self._owned(key, but=kept):
            self._remove_paths(others)

    def _owned(self, key: str, but: str = "") -> list[str]:
        """The variants of the key, the best first."""
        return [path for path in variants(key) if path != but and self._owns(key, path)]

    def _owns(self, key: str, path: str) -> bool:
        there = self._head(path, key)
        if there is None:
            return False
        if path == key:
            return there.content_encoding is not None or split_suffix(key) is None
        return there.content_encoding is None

    # ------------------------------------------------------------------ removing
    def _remove(self, keys: Sequence[str], options: RemoveOptions = REMOVE) -> Removed:
        if options.if_match is not None:
            raise self._unsupported("a delete", "if_match", "an object here can lie under several names")
        removed: Removed = []
        for key in keys:
            try:
                removed.append(self._remove_one(key, options.must_exist))
            except HoldfastError as error:
                removed.append(error)
        return removed

    def _remove_one(self, key: str, must_exist: bool) -> HoldfastError | None:
        with self._locked(key):
            paths = self._owned(key)
            if not paths and self._head(key, key) is not None:
                paths = [key]  # the full name of an encoded object
            if not paths:
                return NotFound(f"no object {key!r}", key=key, store=self.name) if must_exist else None
            self._remove_paths(paths)
        return None

    def _remove_paths(self, paths: Sequence[str]) -> None:
        """Remove these variants, the visible one last, so that no hidden one comes to light on the way."""
        families.changed()
        for path in reversed(paths):
            for error in self.store._remove([path]):
                if error is not None:
                    raise error

    # ------------------------------------------------------------------ listing
    def _scan(self, options: ListOptions = LIST) -> Iterator[ObjectInfo]:
        if options.delimiter and not _ENDING_CHARACTERS.isdisjoint(options.delimiter):
            # Rolled up by the stored names, a delimiter in a suffix would hide whole keys.
            return select(self._rows(ListOptions(options.prefix)), options)
        return self._rows(options)

    def _rows(self, options: ListOptions) -> Iterator[ObjectInfo]:
        """Each key once, by its visible variant.

        In sorted rows everything between ``a`` and its last variant starts with ``a``. So the keys that a later row
        can repeat are among the beginnings of the present one, and no more of them need to be remembered.
        """
        rows = self.store._scan(options)
        if not self.store.capabilities.sorted:
            rows = iter(sorted(rows, key=lambda row: sort_key(row.key)))
        after = None if options.start_after is None else sort_key(options.start_after)
        shown: list[str] = []
        for row in rows:
            if row.is_prefix:
                yield row
                continue
            while shown and not row.key.startswith(shown[-1]):
                shown.pop()
            key, encoding = self._told(row)
            if key != row.key and (key in shown or self._comes_later(key, row.key)):
                continue
            shown.append(key)
            if key.startswith(options.prefix) and (after is None or sort_key(key) > after):
                yield replace(row, key=key, content_encoding=encoding)

    def _told(self, row: ObjectInfo) -> tuple[str, str | None]:
        """The key and the encoding of a stored object."""
        mark = row.content_encoding
        told = split_suffix(row.key)
        if mark is None and told is not None and not getattr(self.store, "lists_attributes", False):
            head = self._head(row.key, row.key)
            mark = None if head is None else head.content_encoding
        if mark is not None or told is None:
            return row.key, None if mark == NATURAL else mark
        return told

    def _comes_later(self, key: str, path: str) -> bool:
        """Whether a better variant than this one is still to come in a sorted listing."""
        for better in variants(key):
            if better == path:
                return False
            if better > path and self._owns(key, better):
                return True
        return False

    # ------------------------------------------------------------------ exclusion
    @contextmanager
    def _locked(self, key: str) -> Iterator[None]:
        family = family_of(key)
        with families.locked(self._place(family)) as outermost:
            shared = getattr(self.store, "locked", None)
            between: AbstractContextManager[object] = (
                shared(family) if shared is not None and outermost else nullcontext()
            )
            with between:
                yield

    def _place(self, family: str) -> str:
        """What the family is called in this process, whatever prefix its stores were opened under."""
        location = self.store._locate(family)
        if location is None:
            return family
        return f"{location.vendor} {location.identity} {location.bucket}/{location.key}"


class _Variant(Blob):
    """A stored object under its key, with the encoding that its name tells."""

    __slots__ = ("_blob", "_encoding", "_key")

    def __init__(self, blob: Blob, key: str, encoding: str | None) -> None:
        self._blob = blob
        self._key = key
        self._encoding = encoding

    @property
    def info(self) -> ObjectInfo:  # type: ignore[override]
        return _told_as(self._blob.info, self._key, self._encoding)

    @property
    def encoding(self) -> str | None:
        return self._encoding

    @property
    def size(self) -> int | None:
        return self._blob.size

    def rename(self, key: str) -> _Variant:
        self._key = key
        return self

    def chunks(self) -> Iterator[Buffer]:
        return self._blob.chunks()

    def bytes(self) -> bytes:
        return self._blob.bytes()

    def readinto(self, buffer: bytearray | memoryview) -> int:
        return self._blob.readinto(buffer)

    def close(self) -> None:
        self._blob.close()


class _SuffixStaged(Staged):
    """A staged object that replaces every variant of its key when it is committed."""

    def __init__(self, store: SuffixStore, key: str, staged: Staged) -> None:
        self._store = store
        self._key = key
        self._staged = staged

    def write_at(self, offset: int, data: Buffer) -> None:
        self._staged.write_at(offset, data)

    def commit(self) -> ObjectInfo:
        with self._store._locked(self._key):
            self._store._make_room(self._key)
            info = self._staged.commit()
            self._store._drop_others(self._key, self._key)
        return _told_as(info, self._key, None)

    def abort(self) -> None:
        self._staged.abort()


def _told_as(info: ObjectInfo, key: str, encoding: str | None) -> ObjectInfo:
    if info.key == key and info.content_encoding == encoding:
        return info
    return replace(info, key=key, content_encoding=encoding)


def _with_attributes(info: ObjectInfo, coding: str) -> WriteOptions:
    kept = {name: value for name in ATTRIBUTES if (value := getattr(info, name))}
    return WriteOptions(**{**kept, "content_encoding": coding})


def _gather(body: Body) -> tuple[Iterator[Buffer], bool]:
    """The body's chunks, and whether they are all in memory, because they are few."""
    gathered: list[Buffer] = []
    size = 0
    chunks = body_chunks(body)
    for chunk in chunks:
        gathered.append(bytes(chunk))
        size += len(gathered[-1])
        if size > GATHERED:
            return chain(gathered, chunks), False
    return iter(gathered), True
