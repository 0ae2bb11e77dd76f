"""A store whose bodies are encrypted before they leave this process, and checked when they come back.

``wrap/_frames.py`` tells the format. What it protects: nobody without the key can read a body, and no body that was
changed is returned: a flipped bit, a frame that is missing, added, moved or taken from another object or version,
an object under another name, a wrong key are each an IntegrityError (or a ConfigError for a key that is not in the
ring). Bodies stream: each frame of 64 KiB is given out after it was checked, and that the body has ended is checked
at its end. A range reads and decrypts the frames that it needs.

What it does not protect:

- Names, sizes, times, attributes and metadata are stored in clear and unchecked, ETags are the service's own.
- Who can write to the store can delete objects, and put back an earlier version of an object under its own name: that
  was a true object once. Keep versions, or digests, where that matters.
- A range checks the frames that it reads, and takes the object's size from the service. That an object was cut short
  is noticed when its end is read.
- An object is bound to its key as this store sees it and to ``context``: two stores with the same keys and the same
  context accept each other's objects. Give each bucket a context of its own where they must not. Objects renamed
  beneath this store cannot be read any more; put a PrefixStore inside rather than around it.
- Keys are in this process's memory. Whoever reads that reads everything.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from .. import engine
from ..blob import Blob, Buffer, BytesBlob, ChunksBlob, Staged, body_chunks, join
from ..errors import ConfigError, Conflict, HoldfastError, IntegrityError, NotFound
from ..recipes import Secret
from ..store import HEAD, LIST, READ, REMOVE, WRITE, ObjectStore, Removed, stream_copy
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
from ._bodies import Counted, gathered
from ._frames import FRAME, HEADER, KEY_ID, STORED, Cipher, body_size, cryptography, frame_count, header, key_id_of
from ._single import SingleStore

Data = bytes  # where a method called bytes() hides the type
#: How often an object is looked at that is written while it is rotated, or between the two reads of a range.
_TRIES = 3


class KeyRing(Secret):
    """Master keys of 256 bits by id, one of which is active: new objects are encrypted with it.

    Keys are 32 bytes, or their base64 as text. An id is 1 to 32 bytes of UTF-8; it is stored in clear with each
    object. The ring shows no key, and pickles only within ``holdfast.pickling(secrets=True)``.

    >>> KeyRing({"2025": bytes(32), "2026": bytes(32)}, active="2026")
    KeyRing(['2025', '2026'], active='2026')
    """

    def __init__(self, keys: Mapping[str, bytes | str], active: str | None = None) -> None:
        if active is None:
            if len(keys) != 1:
                raise ConfigError("a key ring names its active key, unless it has exactly one")
            [active] = keys
        if active not in keys:
            raise ConfigError(f"the active key {active!r} is not in the ring, which has {', '.join(sorted(keys))}")
        self.active = active
        self._keys = {key_id: _key_bytes(key_id, key) for key_id, key in keys.items()}

    def __repr__(self) -> str:
        return f"KeyRing({sorted(self._keys)}, active={self.active!r})"

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all keys."""
        return tuple(sorted(self._keys))

    def key(self, key_id: str) -> bytes | None:
        """The key of this id, or None."""
        return self._keys.get(key_id)


def _key_bytes(key_id: str, key: bytes | str) -> bytes:
    if not 1 <= len(key_id.encode()) <= KEY_ID or "\0" in key_id:
        raise ConfigError(f"key id {key_id!r}: an id has 1 to {KEY_ID} bytes and no NUL")
    if isinstance(key, str):
        try:
            key = base64.b64decode(key, validate=True)
        except binascii.Error:
            raise ConfigError(f"the key {key_id!r} is text that is no base64") from None
    if len(key) != 32:
        raise ConfigError(f"the key {key_id!r} has {len(key)} bytes: 32 random ones are needed (os.urandom(32))")
    return bytes(key)


class Rotated(NamedTuple):
    """What ``rotate`` did with one key: whether it was encrypted anew, and what went wrong."""

    key: str
    rewritten: bool
    error: BaseException | None = None


class EncryptingStore(SingleStore):
    """A store of which the bodies are encrypted with AES-256-GCM (the module tells what that protects).

    ``keys`` is a KeyRing, or what makes one: 32 bytes (then its id is "default"), or keys by id with the ``active``
    one's id. Conditional writes, attributes, listings and ranges pass to the wrapped store; sizes are those of the
    bodies. Needs ``pip install 'holdfast[crypto]'``.

    >>> from holdfast.stores.memory import MemoryStore
    >>> inner = MemoryStore()
    >>> store = EncryptingStore(inner, bytes(range(32)))
    >>> _ = store.put("a", b"secret")
    >>> b"secret" in inner.get("a"), store.get("a"), store.head("a").size
    (False, b'secret', 6)
    """

    def __init__(
        self,
        store: ObjectStore,
        keys: KeyRing | Mapping[str, bytes | str] | bytes | str,
        active: str | None = None,
        *,
        context: str = "",
    ) -> None:
        super().__init__(store)
        cryptography()  # that it is missing is told now
        if isinstance(keys, bytes | str):
            keys = {"default": keys}
        if isinstance(keys, KeyRing):
            if active is not None:
                raise ConfigError("a KeyRing has its active key already")
            self.ring = keys
        else:
            self.ring = KeyRing(keys, active)
        self.context = context

    def __repr__(self) -> str:
        return f"EncryptingStore({self.store!r}, {self.ring!r})"

    @property
    def capabilities(self) -> Capabilities:
        """Those of the store inside, without native copies."""
        return replace(self.store.capabilities, copy=False)

    # ------------------------------------------------------------------ reading
    def _read(self, key: str, options: ReadOptions = READ) -> Blob:
        if options.head:
            with self.store._read(key, replace(HEAD, if_match=options.if_match)) as blob:
                return BytesBlob(_told(blob.info))
        if options.ranged:
            return self._read_range(key, options)
        blob = self.store._read(key, options)
        return _DecryptedBlob(self, key, blob)

    def _read_range(self, key: str, options: ReadOptions) -> Blob:
        if options.if_match is not None:
            return self._range(key, options)
        for _ in range(_TRIES - 1):
            try:
                return self._range(key, options)
            except Conflict:  # it was replaced between the two reads, and nobody asked for just that version
                continue
        return self._range(key, options)

    def _range(self, key: str, options: ReadOptions) -> Blob:
        """The header first, for the salt and the size; then the frames, of the same version where that can be named."""
        with self.store._read(key, ReadOptions(0, HEADER, if_match=options.if_match)) as blob:
            head, info = blob.bytes(), blob.info
        cipher = self._cipher(key, head)
        if info.size is None or not self.store.capabilities.ranges:
            return self._sliced(key, options)
        frames, size = frame_count(info.size), body_size(info.size)
        if frames is None or size is None:
            raise self._damaged(key, "no object of this length is written here")
        start, end, _ = slice(options.start, options.end).indices(size)
        if start >= end:
            return BytesBlob(_told(info))
        first, last = start // FRAME, (end - 1) // FRAME
        exact = options.if_match if options.if_match is not None else info.etag
        lies = ReadOptions(HEADER + first * STORED, HEADER + (last + 1) * STORED, if_match=exact)
        stored = self.store._read(key, lies)
        chunks = self._named(cipher.decrypt(stored.chunks(), first, frames - 1))
        return ChunksBlob(
            _told(info), _cut(chunks, start - first * FRAME, end - start, key), size=end - start, close=stored.close
        )

    def _sliced(self, key: str, options: ReadOptions) -> Blob:
        """A range of a store that has none: cut out of the whole, which is decrypted up to its end."""
        with self._read(key) as blob:
            return BytesBlob(blob.info, blob.bytes()[options.start : options.end])

    def _cipher(self, key: str, head: bytes) -> Cipher:
        key_id = key_id_of(head)
        if key_id is None:
            raise self._damaged(key, "it is not encrypted, or its header is damaged")
        master = self.ring.key(key_id)
        if master is None:
            known = ", ".join(self.ring.ids)
            message = f"object {key!r} needs the key {key_id!r}, and the ring has {known}: add that key to the ring"
            raise ConfigError(message, key=key, store=self.name)
        return Cipher(master, head, key, self.context.encode())

    def _damaged(self, key: str, why: str) -> IntegrityError:
        return IntegrityError(f"object {key!r} was not written so: {why}", key=key, store=self.name, retryable=False)

    def _named(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        try:
            yield from chunks
        except IntegrityError as error:
            error.store = error.store or self.name
            raise

    def _decrypted(self, key: str, chunks: Iterator[Buffer]) -> Iterator[Buffer]:
        """The body of an object from its stored chunks, the header first."""
        head = bytearray()
        for chunk in chunks:
            head += chunk
            if len(head) >= HEADER:
                break
        cipher = self._cipher(key, bytes(head[:HEADER]))
        yield from self._named(cipher.decrypt(_after(bytes(head[HEADER:]), chunks)))

    def _scan(self, options: ListOptions = LIST) -> Iterator[ObjectInfo]:
        return map(_told, self.store._scan(options))

    def _locate(self, key: str) -> Location | None:
        """None: what lies there is encrypted."""
        return None

    # ------------------------------------------------------------------ writing
    def _write(self, key: str, body: Body, options: WriteOptions = WRITE) -> ObjectInfo:
        head = header(self.ring.active)
        cipher = self._cipher(key, head)
        passed = Counted(body_chunks(body))
        chunks = _after(head, cipher.encrypt(passed))
        whole = isinstance(body, bytes | bytearray | memoryview)
        info = self.store._write(key, join(chunks) if whole else gathered(chunks), options)
        return replace(info, size=passed.size)

    def _remove(self, keys: Sequence[str], options: RemoveOptions = REMOVE) -> Removed:
        return self.store._remove(keys, options)

    def _copy(self, source: ObjectStore, src: str, dst: str, options: WriteOptions = WRITE) -> ObjectInfo:
        """Through this process: an object is bound to its name, so a copy is encrypted anew."""
        return stream_copy(source, src, self, dst, options)

    def _stage(self, key: str, size: int, options: WriteOptions = WRITE) -> Staged | None:
        """None: parts do not begin where frames do."""
        return None

    # ------------------------------------------------------------------ rotating
    def rotate(
        self,
        prefix: str = "",
        *,
        threads: int | None = None,
        progress: Callable[[int], None] | None = None,
        sole_writer: bool = False,
    ) -> list[Rotated]:
        """What was done for each key below ``prefix`` so that all objects are encrypted with the active key.

        Objects that already are stay as they are. The others are decrypted, checked and written anew with their
        attributes, each only over the version that was read: where the wrapped store cannot do that, a write of
        somebody else could be lost, and rotation is Unsupported unless you promise to be the ``sole_writer``.
        Errors are in the results; the old key is needed until none is left. ``progress`` is called with the number of
        objects newly done.
        """
        if not self.store.capabilities.replace_if and not sole_writer:
            cure = "this store cannot replace just the version that was read; stop all writers and say sole_writer=True"
            raise self._unsupported("a rotation", cure=cure)
        keys = (row.key for row in self.store._scan(ListOptions(prefix)))
        outcomes = engine.default().run(
            self._rotate_key, keys, threads=threads, on_error="collect", progress=progress, local=self.local
        )
        return sorted(
            outcome.value if outcome.error is None else Rotated(outcome.item, rewritten=False, error=outcome.error)
            for outcome in outcomes
        )

    def _rotate_key(self, key: str) -> Rotated:
        changed: HoldfastError | None = None
        for _ in range(_TRIES):
            try:
                with self.store._read(key, ReadOptions(0, HEADER)) as blob:
                    head, info = blob.bytes(), blob.info
                if key_id_of(head) == self.ring.active:
                    return Rotated(key, rewritten=False)
                self._rewrite(key, info)
            except NotFound:
                return Rotated(key, rewritten=False)  # gone meanwhile
            except Conflict as error:
                changed = error
            else:
                return Rotated(key, rewritten=True)
        assert changed is not None
        raise changed

    def _rewrite(self, key: str, info: ObjectInfo) -> None:
        exact = self.store.capabilities.replace_if
        options = WriteOptions(**info.attributes())
        named = ReadOptions(if_match=info.etag if self.store.capabilities.ranges else None)
        with self._read(key, named) as blob:
            self._write(key, blob.chunks(), replace(options, if_match=info.etag if exact else None))


class _DecryptedBlob(Blob):
    """An opened object whose body is decrypted and checked as it is taken."""

    __slots__ = ("_blob", "_key", "_store", "info")

    def __init__(self, store: EncryptingStore, key: str, blob: Blob) -> None:
        self.info = _told(blob.info)
        self._store = store
        self._key = key
        self._blob = blob

    @property
    def size(self) -> int | None:
        return self.info.size

    def chunks(self) -> Iterator[Buffer]:
        return self._store._decrypted(self._key, self._blob.chunks())

    def bytes(self) -> Data:
        # Of the blob inside, bytes() reads again what arrived damaged; chunks() could not.
        return join(self._store._decrypted(self._key, iter((self._blob.bytes(),))))

    def close(self) -> None:
        self._blob.close()


def _told(info: ObjectInfo) -> ObjectInfo:
    """The info with the size of the body."""
    return info if info.size is None or info.is_prefix else replace(info, size=body_size(info.size))


def _after(first: bytes, chunks: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from chunks


def _cut(chunks: Iterator[bytes], skip: int, length: int, key: str) -> Iterator[Buffer]:
    """So many bytes after the first ones; every frame that was asked for is checked before the last is given out."""
    for chunk in chunks:
        piece = memoryview(chunk)[skip : skip + length]
        skip = max(0, skip - len(chunk))
        length -= len(piece)
        if len(piece):
            yield piece
    if length:
        raise IntegrityError(f"object {key!r}: {length} bytes of the range are missing", key=key, retryable=False)
