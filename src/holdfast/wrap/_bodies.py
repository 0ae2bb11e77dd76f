"""Bodies on their way through a wrapper: small ones whole, so that the store below may send them again."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from ..blob import Buffer, join

#: Up to this many bytes of a streamed body are gathered: a write of bytes is one request and can be tried again.
GATHERED = 8 << 20


def gathered(chunks: Iterator[Buffer]) -> bytes | Iterator[Buffer]:
    """All of the chunks as bytes where they are few, else the chunks (which may be taken once).

    >>> gathered(iter([b"a", b"b"]))
    b'ab'
    """
    first: list[Buffer] = []
    size = 0
    for chunk in chunks:
        first.append(bytes(chunk))
        size += len(first[-1])
        if size > GATHERED:
            return chain(first, chunks)
    return join(first)


class Counted:
    """Chunks that are counted as they pass; ``size`` is the number of bytes so far."""

    def __init__(self, chunks: Iterator[Buffer]) -> None:
        self._chunks = chunks
        self.size = 0

    def __iter__(self) -> Iterator[Buffer]:
        for chunk in self._chunks:
            self.size += chunk.nbytes if isinstance(chunk, memoryview) else len(chunk)
            # A view of its maker's buffer would keep that from being filled anew for the next chunk.
            yield bytes(chunk) if isinstance(chunk, bytearray) else chunk
