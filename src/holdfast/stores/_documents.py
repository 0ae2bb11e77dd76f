"""What services answer in XML, parsed by expat: the fields at the top, and the rows, each with its fields."""

from __future__ import annotations

import re
from typing import Any
from xml.parsers import expat

Fields = dict[str, str]
#: What XML cannot hold, not even escaped. Services that repeat what they were asked for write it all the same.
_IMPOSSIBLE = re.compile(
    rb"&#(?:0*(?:[0-8]|1[124-9]|2[0-9]|3[01])|x0*(?:[0-8bce-f]|1[0-9a-f]|fff[ef]));"
    rb"|[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]",
    re.IGNORECASE,
)


class Malformed(ValueError):
    """The document is no whole, plain XML: cut off, something else, or with entities of its own."""


class Document:
    """One parsed answer: the name of its ``root``, the ``fields`` right below it, and its ``rows``.

    A row is an element that has elements of its own, as its name and the fields right below that; what lies
    deeper is left out, because nothing here asks for it. ``altered`` tells that characters which XML cannot hold were
    read as U+FFFD. Raises Malformed.

    >>> document = Document(b"<R><Done>true</Done><Row><Key>a</Key><Size>3</Size></Row></R>")
    >>> document.root, document.fields["Done"], document.rows
    ('R', 'true', [('Row', {'Key': 'a', 'Size': '3'})])
    """

    __slots__ = ("_depth", "_row", "_text", "altered", "fields", "root", "rows")

    def __init__(self, body: bytes) -> None:
        self.altered = False
        try:
            self._parse(body)
        except Malformed:
            body, count = _IMPOSSIBLE.subn(b"&#xfffd;", body)
            if not count:
                raise
            self.altered = True
            self._parse(body)

    def _parse(self, body: bytes) -> None:
        self.root = ""
        self.fields: Fields = {}
        self.rows: list[tuple[str, Fields]] = []
        self._depth = 0
        self._row: Fields = {}
        self._text: list[str] = []
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text.append
        parser.EntityDeclHandler = _refuse_entity
        try:
            parser.Parse(body, True)
        except expat.ExpatError as error:
            raise Malformed(str(error)) from error

    def _start(self, name: str, _: dict[str, str]) -> None:
        self._depth += 1
        self._text.clear()
        if self._depth == 1:
            self.root = name
        elif self._depth == 2:
            self._row = {}

    def _end(self, name: str) -> None:
        if self._depth == 3:
            self._row[name] = "".join(self._text)
        elif self._depth == 2:
            if self._row:
                self.rows.append((name, self._row))
            else:
                self.fields[name] = "".join(self._text)
        self._text.clear()
        self._depth -= 1


def _refuse_entity(name: str, *_: Any) -> None:
    # No service declares entities, and nested ones grow without bounds.
    raise Malformed(f"it declares an entity {name!r}")
