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
stays, the last one's. Where that lock is Unsupported (files without ``flock``) only this process is excluded. The
chunks of an iterator of more than 8 MiB are taken before the lock, because they may be slow, or write to this store
themselves; the lock is taken with the last of them. If the object was to go to a name that another key has claimed
meanwhile, it is refused with Conflict.

**Creating** (``if_absent``) is exact: under that lock nothing may be there that ``exists`` would find, and the wrapped
store creates, so that not even a program that takes no lock is overwritten. It is a capability where the wrapped store
can create and has ``locked``, or is ``process_local``: no other process can reach its objects. Writes and deletes of a
named version (``if_match``) are Unsupported: no store compares several names in one step.

Readers take no lock and create nothing, and neither do deletes of what is not there. A reader that finds no variant
looks again, in the opposite order (one that moved past it would have to move back to hide again), and, after a change
in this process, a third time under its lock. A *listing* can miss a key whose variant changes while it passes by.

A listing asks for the head of each stored name that ends in a suffix, to see its mark, unless the wrapped store has
a true ``lists_attributes``: its rows tell every ``content_encoding``. Where they do not, the encoding of an object
that is marked and has no suffix is not listed; its head tells it. Listings are in the order of keys, and stream in
bounded memory where those of the wrapped store do (``_listing.py`` tells how).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from itertools import chain
from types import TracebackType

from ..blob import Blob, Buffer, ForwardingStaged, Staged, body_chunks
from ..codecs import SUFFIXES, parse_content_encoding
from ..errors import AlreadyExists, Conflict, HoldfastError, NotFound, UnknownEncoding, Unsupported
from ..store import HEAD, LIST, READ, REMOVE, WRITE, ObjectStore, Removed, Store, select, stream_copy
from ..types import (
    Body,
    Capabilities,
    ListOptions,
    Location,
    ObjectInfo,
    ReadOptions,
    RemoveOptions,
    WriteOptions,
)
from ._families import ENDINGS, families, family_of, split_suffix, takes_suffix, variants
from ._listing import Lister
from ._variant import NATURAL, StoredObjects, Variant, told_as

GATHERED = 8 << 20
_ALONE = nullcontext()

_ENDING_CHARACTERS = frozenset("".join(ENDINGS))


class SuffixStore(Store):
    """The same objects, with encodings as name suffixes in the wrapped store (the module tells the rules).

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
        self._stored = StoredObjects(store)
        self._lister = Lister(store, self._stored)

    def __repr__(self) -> str:
        return f"SuffixStore({self.store!r})"

    @property
    def name(self) -> str:
        return self.store.name

    @property
    def capabilities(self) -> Capabilities:
        """The wrapped store's, without native copies and conditions, but that it may still create."""
        inner = self.store.capabilities
        exclusive = self._shared_lock is not None or getattr(self.store, "process_local", False)
        create = inner.create and exclusive
        return replace(inner, sorted=inner.listing, create=create, replace_if=False, delete_if=False, copy=False)

    @property
    def local(self) -> bool:
        return self.store.local

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
            raise self._missing(key)
        return found[1]

    def _read_version(self, key: str, options: ReadOptions) -> Blob:
        # The condition is for the visible variant alone: of another name it would be a false Conflict.
        found = self._find(key, HEAD)
        if found is None:
            raise self._missing(key)
        path, head = found
        with head:
            try:
                return Variant(self.store._read(path, options), key, head.encoding)
            except NotFound as error:
                message = f"object {key!r} is no longer the version {options.if_match!r}: read it again"
                raise Conflict(message, key=key, store=self.name, cause=error) from error

    def _find(self, key: str, options: ReadOptions) -> tuple[str, Blob] | None:
        """The visible variant's stored name and opened blob, or None if there is certainly no variant."""
        changes = families.changes
        found = self._stored.first(key, variants(key), options)
        if found is None and self._shared_lock is not None:
            found = self._stored.first(key, reversed([*variants(key)]), options)
        if found is None and families.changes != changes:
            with families.locked(self._place(family_of(key))):
                found = self._stored.first(key, variants(key), options)
        if found is None and split_suffix(key) is not None:
            found = self._stored.encoded_object_at(key, options)
        return found

    def _exists(self, key: str) -> bool:
        found = self._find(key, HEAD)
        if found is None:
            return False
        found[1].close()
        return True

    def _locate(self, key: str) -> Location | None:
        """None: where the object lies, its encoding is part of the name, and a native copy would lose it."""
        return None

    # ------------------------------------------------------------------ writing
    def _write(self, key: str, body: Body, options: WriteOptions = WRITE) -> ObjectInfo:
        options = self._settled(options)
        at_hand = isinstance(body, bytes | bytearray | memoryview | os.PathLike)
        if not at_hand:
            body, at_hand = _gather(body)
        with ExitStack() as held:
            if at_hand:
                path, marked = self._prepare(key, options, held)
            else:
                path, marked = self._target(key, options)
                if options.if_absent and self._exists(key):
                    raise self._there_already(key)  # only to spare the body the trip: what counts comes after it
                body = self._prepared_at_the_end(body, key, options, path, held)  # type: ignore[arg-type]
            info = self._put(path, key, body, marked)
            self._drop_others(key, path, options)
        return told_as(info, key, options.content_encoding)

    def _prepared_at_the_end(
        self, body: Iterator[Buffer], key: str, options: WriteOptions, path: str, held: ExitStack
    ) -> Iterator[Buffer]:
        """The body; when the wrapped store has all of it and is about to make it visible, the key is prepared."""
        yield from body
        if self._prepare(key, options, held)[0] != path:
            message = f"the name {path!r}, where object {key!r} was to be stored, was taken meanwhile; write it again"
            raise Conflict(message, key=key, store=self.name, retryable=True)

    def _copy(self, source: ObjectStore, src: str, dst: str, options: WriteOptions = WRITE) -> ObjectInfo:
        """A stream: the wrapped store's own copy would know nothing of variants."""
        return stream_copy(source, src, self, dst, options)

    def _put(self, path: str, key: str, body: Body, options: WriteOptions) -> ObjectInfo:
        try:
            return self.store._write(path, body, options)
        except HoldfastError as error:
            if error.key == path:
                error.key = key
            raise

    def _stage(self, key: str, size: int, options: WriteOptions = WRITE) -> Staged | None:
        options = self._settled(options)
        if options.content_encoding is not None:
            return None  # where it will lie can be known only under the lock: write a stream
        staged = self.store._stage(key, size, self._marked(key, options, NATURAL))
        return None if staged is None else _SuffixStaged(self, key, staged, options)

    def _settled(self, options: WriteOptions) -> WriteOptions:
        """The options with a canonical encoding, None if there is none; Unsupported for conditions it cannot keep."""
        if options.if_match is not None:
            raise self._unsupported("a write", "if_match", "an object here can lie under several names")
        if options.if_absent and not self.capabilities.create:
            cure = "an object here can lie under several names, and the wrapped store cannot lock them; write without"
            raise self._unsupported("a write", "if_absent", cure)
        if options.content_encoding is None:
            return options
        try:
            codings = parse_content_encoding(options.content_encoding)
        except UnknownEncoding:
            return options  # kept as it was given, for readers of the stored bytes
        return replace(options, content_encoding=", ".join(codings) or None)

    def _prepare(self, key: str, options: WriteOptions, held: ExitStack) -> tuple[str, WriteOptions]:
        """Take the lock until ``held`` ends; the name to write to, now the key's to take, and the marked options."""
        held.enter_context(self._locked(key, exactly=options.if_absent))
        if options.if_absent and self._exists(key):
            raise self._there_already(key)
        path, marked = self._target(key, options)
        if path == key and not options.if_absent:
            self._make_room(key)
        return path, marked

    def _target(self, key: str, options: WriteOptions) -> tuple[str, WriteOptions]:
        """The name to write to as things are, and the options with the mark."""
        coding = options.content_encoding
        suffix = SUFFIXES.get(coding or "", "")
        if coding is not None and suffix and takes_suffix(key) and not key.endswith(suffix):
            there = self._stored.head(key + suffix, "") if any(self._stored.present([key + suffix])) else None
            if there is None or there.content_encoding is None:
                return key + suffix, replace(options, content_encoding=None)
        return key, self._marked(key, options, coding or NATURAL)

    def _there_already(self, key: str) -> AlreadyExists:
        return AlreadyExists(f"{key!r} exists already; nothing was written", key=key, store=self.name)

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
        there = self._stored.head(path, path)
        if there is None or there.content_encoding is not None:
            return
        visible = self._stored.first(key, variants(key), HEAD)
        if visible is None:
            return
        visible[1].close()
        if visible[0] != path:
            return  # left over by another program, and hidden by a better variant
        self._make_room(key)
        with self.store._read(path) as blob:
            self.store._write(key, blob.chunks(), _with_attributes(blob.info, coding))

    def _drop_others(self, key: str, kept: str, options: WriteOptions) -> None:
        # After a create there is none but what a program that takes no lock has just put there.
        if not options.if_absent and (others := self._stored.owned(key, but=kept)):
            self._remove_paths(others)

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
        if not self._exists(key):
            return self._missing(key) if must_exist else None
        with self._locked(key):
            paths = self._stored.owned(key)
            if not paths and self._stored.head(key, key) is not None:
                paths = [key]  # the full name of an encoded object
            if not paths:
                return self._missing(key) if must_exist else None
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
            return select(self._lister.rows(ListOptions(options.prefix)), options)
        return self._lister.rows(options)

    def _missing(self, key: str) -> NotFound:
        return NotFound(f"no object {key!r}", key=key, store=self.name)

    # ------------------------------------------------------------------ exclusion
    @property
    def _shared_lock(self) -> Callable[[str], AbstractContextManager[object]] | None:
        """What excludes other processes, if the wrapped store has it."""
        return getattr(self.store, "locked", None)

    @contextmanager
    def _locked(self, key: str, *, exactly: bool = False) -> Iterator[None]:
        family = family_of(key)
        with families.locked(self._place(family)) as outermost:
            shared = self._shared_lock if outermost else None
            with _ALONE if shared is None else _WhereSupported(shared, family, exactly):
                yield

    def _place(self, family: str) -> str:
        """What the family is called in this process, whatever prefix its stores were opened under."""
        location = self.store._locate(family)
        if location is None:
            return family
        return f"{location.vendor} {location.identity} {location.bucket}/{location.key}"


class _WhereSupported:
    """A block that is entered where its store can; where it cannot, nothing is, unless it must be ``exactly`` so."""

    __slots__ = ("_block", "_exactly", "_family", "_shared")

    def __init__(self, shared: Callable[[str], AbstractContextManager[object]], family: str, exactly: bool) -> None:
        self._shared = shared
        self._family = family
        self._exactly = exactly
        self._block: AbstractContextManager[object] | None = None

    def __enter__(self) -> None:
        try:
            block = self._shared(self._family)
            block.__enter__()
            self._block = block
        except Unsupported:
            if self._exactly:
                raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._block is not None:
            self._block.__exit__(kind, error, trace)


class _SuffixStaged(ForwardingStaged):
    """A staged object that replaces every variant of its key when it is committed."""

    def __init__(self, store: SuffixStore, key: str, staged: Staged, options: WriteOptions) -> None:
        self._store = store
        self._key = key
        super().__init__(staged)
        self._options = options

    def commit(self) -> ObjectInfo:
        with ExitStack() as held:
            self._store._prepare(self._key, self._options, held)
            info = self._staged.commit()
            self._store._drop_others(self._key, self._key, self._options)
        return told_as(info, self._key, None)


def _with_attributes(info: ObjectInfo, coding: str) -> WriteOptions:
    return WriteOptions(**{**info.attributes(), "content_encoding": coding})


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
