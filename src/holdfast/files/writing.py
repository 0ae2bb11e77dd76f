"""How CloudFiles writes one object: encoded, labelled, and whole."""

from __future__ import annotations

from .. import codecs, engine
from ..blob import body_chunks, body_size
from ..store import WRITE, ObjectStore
from ..types import Body, WriteOptions
from .requests import Write


class Writer:
    """The operation of writing one object, for an engine."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        # Most objects of one bulk call share their attributes: the options are built once.
        self._options: dict[tuple[str | None, ...], WriteOptions] = {}

    def __call__(self, write: Write) -> None:
        body = write.content
        if isinstance(body, str):
            raise TypeError(f"the content of {write.path!r} is text: encode it, for example with .encode('utf-8')")
        if write.encoding is not None and not write.raw:
            body = _encoded(body, write.encoding, write.level)
        self.store._write(write.path, body, self.options(write))

    def options(self, write: Write) -> WriteOptions:
        """What the request says about the object, as options of the store's write."""
        said = (write.content_type, write.encoding, write.cache_control, write.storage_class)
        if not any(said):
            return WRITE
        options = self._options.get(said)
        if options is None:
            options = self._options[said] = WriteOptions(
                content_type=write.content_type,
                content_encoding=write.encoding,
                cache_control=write.cache_control,
                storage_class=write.storage_class,
            )
        return options


def _encoded(body: Body, encoding: str, level: int | None) -> Body:
    if isinstance(body, bytes | bytearray | memoryview):
        engine.reserve(body_size(body) or 0)
        return codecs.compress(body, encoding, level)
    return codecs.compress_chunks(body_chunks(body), encoding, level)
