"""How CloudFiles writes one object: encoded, labelled, and whole."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from .. import codecs, engine
from ..blob import body_chunks, body_size
from ..store import WRITE, ObjectStore
from ..types import Body, WriteOptions
from .requests import Write, WriteRequest, write_fields


class Writer:
    """The operation of writing one object, for an engine."""

    def __init__(self, store: ObjectStore, part_size: int | None = None) -> None:
        self.store = store
        self.part_size = part_size
        # Most objects of one bulk call share their attributes: the options are built once.
        self._options: dict[tuple[str | None, ...], WriteOptions] = {}

    def __call__(self, write: Write) -> int:
        """The stored size (bytes) of the object, which is now written; 0 where the store does not tell it."""
        body = write.content
        if isinstance(body, str):
            raise TypeError(f"the content of {write.path!r} is text: encode it, for example with .encode('utf-8')")
        if write.encoding is not None and not write.raw:
            body = _encoded(body, write.encoding, write.level)
        return self.store._write(write.path, body, self.options(write)).size or 0

    def options(self, write: Write) -> WriteOptions:
        """What the request says about the object, as options of the store's write."""
        said = (write.content_type, write.encoding, write.cache_control, write.storage_class)
        if self.part_size is None and not any(said):
            return WRITE
        options = self._options.get(said)
        if options is None:
            options = self._options[said] = WriteOptions(
                content_type=write.content_type,
                content_encoding=write.encoding,
                cache_control=write.cache_control,
                storage_class=write.storage_class,
                part_size=self.part_size,
            )
        return options


def _encoded(body: Body, encoding: str, level: int | None) -> Body:
    if isinstance(body, bytes | bytearray | memoryview):
        engine.reserve(body_size(body) or 0)
        return codecs.compress(body, encoding, level)
    return codecs.compress_chunks(body_chunks(body), encoding, level)


def json_request(request: WriteRequest) -> WriteRequest:
    """The request with its content as JSON; the caller's own is not changed."""
    fields = write_fields(request)
    return {**fields, "content": dump_json(fields["content"])}


def dump_json(content: Any) -> bytes:
    """The content as JSON in UTF-8: numpy's arrays and scalars as lists and numbers, NaN and infinities as null.

    Keys become text where they are numbers, booleans or None. Raises TypeError for what JSON cannot say.
    """
    try:
        return _encode_json(content)
    except (TypeError, ValueError) as error:
        # NaN or keys that the encoder does not take: rare enough to look at every value only then.
        try:
            return _encode_json(_normal(content))
        except RecursionError:
            raise error from None


def _encode_json(content: Any) -> bytes:
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)
    return text.encode("utf-8")


def _normal(value: Any) -> Any:
    """The value made of nothing but what the encoder takes."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {_normal_key(key): _normal(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_normal(item) for item in value]
    return _normal(_plain(value)) if hasattr(value, "tolist") else value


def _normal_key(key: Any) -> Any:
    return _normal(key if key is None or isinstance(key, str | int | float) else _plain(key))


def _plain(value: Any) -> Any:
    """Arrays and scalars of numpy as what Python has, without importing numpy."""
    if hasattr(value, "tolist"):
        plain = value.tolist()
        if type(plain) is not type(value):
            return plain
    raise TypeError(f"{type(value).__name__} is not JSON serialisable")
