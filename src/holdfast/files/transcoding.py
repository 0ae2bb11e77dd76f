"""Changing the encoding of objects in memory: what ``CloudFiles.get(raw=True)`` gives, for ``puts(raw=True)``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sized
from typing import Any

from .. import codecs
from ..progress import bar


def transcode(
    files: Mapping[str, Any] | Iterable[Mapping[str, Any]],
    encoding: str | bool | None,
    level: int | None = None,
    progress: bool = False,
    in_place: bool = False,
) -> Iterator[dict[str, Any]]:
    """An iterator over the rows with their content in another encoding, which their ``compress`` then names.

    Rows are those of ``CloudFiles.get``: with a true ``raw`` the content is encoded as ``compress`` says, else it is
    plain. In what comes out ``raw`` is True: the content is ready to be stored as it is. A row that has the encoding
    already passes as it is, unless a ``level`` is asked for, and so does one without content. ``in_place`` changes the
    given dicts themselves.
    Raises UnknownEncoding at the call, and DecompressionError, with the path, when a row is broken.

    >>> row = {"path": "a", "content": codecs.compress(b"abc", "br"), "compress": "br", "raw": True}
    >>> [new] = transcode([row], "gzip")
    >>> new["compress"], new["raw"], codecs.decompress(new["content"], "gzip")
    ('gzip', True, b'abc')
    """
    wanted = codecs.canonical(encoding)
    many = [files] if isinstance(files, Mapping) else files
    return _transcoded(many, wanted, level, progress, in_place)


def _transcoded(
    files: Iterable[Mapping[str, Any]], wanted: str | None, level: int | None, progress: bool, in_place: bool
) -> Iterator[dict[str, Any]]:
    total = len(files) if isinstance(files, Sized) else None
    with bar(progress, "Transcoding", total) as shown:
        for file in files:
            row: dict[str, Any] = file if in_place and isinstance(file, dict) else dict(file)
            content = row["content"]
            if content is not None:
                now = (row.get("compress") or None) if row.get("raw") else None
                same = now is not None and codecs.parse_content_encoding(now) == (wanted,)
                if not same or level is not None:
                    plain = codecs.decompress(content, now, key=row.get("path")) if now else content
                    row["content"] = codecs.compress(plain, wanted, level) if wanted else plain
                row["compress"], row["raw"] = wanted, True
            shown.advance()
            yield row
