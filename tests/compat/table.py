"""docs/compat.md: what became of each promise of the systems that Holdfast replaces, from the marks of the tests.

`make docs` writes it, and a test fails when it is not what the marks say.
"""

from __future__ import annotations

import importlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tests.compat.rows import Row, rows

DIRECTORY = Path(__file__).resolve().parent
DOCUMENT = DIRECTORY.parent.parent / "docs" / "compat.md"

#: The systems by the names that the marks have, with their titles and the pages about moving.
SYSTEMS = {
    "cloudfiles": ("cloud-files", "from_cloudfiles.md"),
    "cloudvolume": ("CloudVolume's Storage", "from_cloudvolume.md"),
    "cloudmappings": ("cloud-mappings", "from_cloudmappings.md"),
    "accsr": ("accsr", "from_accsr.md"),
    "storage": ("amplify-storage-utils", "from_storage_utils.md"),
}
STATUSES = ("kept", "kept and fixed", "different")

HEAD = """# What became of every promise

Written by `make docs` from the marks of the tests (`tests/compat/rows.py`); a test fails when it is not current.

Each row is a promise of a system that Holdfast replaces, and names the test that shows what became of it:

- **kept**: the same calls give the same answers.
- **kept and fixed**: the original breaks or bends the promise; Holdfast keeps it. A row that begins with "gap:" is a
  fault of the original that is not copied.
- **different**: on purpose, for the reason given.

The tests use `holdfast.compat` where a promise is about the original's own names, and Holdfast's own names elsewhere.
"""


def found() -> Iterator[tuple[str, Row]]:
    """Every mark, with the file of its test."""
    for path in sorted(DIRECTORY.glob("test_*.py")):
        for one in rows(importlib.import_module(f"tests.compat.{path.stem}")):
            yield path.name, one


def document(marks: Iterable[tuple[str, Row]]) -> str:
    """The text of docs/compat.md for these marks."""
    by_system: dict[str, list[tuple[str, Row]]] = {system: [] for system in SYSTEMS}
    for file, one in marks:
        by_system[one.system].append((file, one))
    lines = [HEAD, _line("system", *STATUSES), _line(*["---"] * 4)]
    for system, (title, page) in SYSTEMS.items():
        counts = Counter(one.status for _, one in by_system[system])
        lines.append(_line(f"{title} ([moving]({page}))", *(str(counts[status]) for status in STATUSES)))
    for system, (title, _) in SYSTEMS.items():
        lines += ["", f"## {title}", "", _line("promise", "what became of it", "shown by"), _line(*["---"] * 3)]
        lines += _body(by_system[system])
    return "\n".join(lines) + "\n"


def _body(marks: Sequence[tuple[str, Row]]) -> Iterator[str]:
    """A row for each promise, those that several tests show once."""
    shown: dict[tuple[str, str], list[str]] = {}
    for file, one in marks:
        outcome = f"**{one.status}**: {_text(one.reason)}" if one.reason else one.status
        shown.setdefault((_text(one.promise), outcome), []).append(f"`{file}` `{one.test}`")
    for (promise, outcome), tests in shown.items():
        yield _line(promise, outcome, ", ".join(tests))


def _text(plain: str) -> str:
    """The words as Markdown shows them, where they look like markup."""
    return re.sub(r"([\\|<>*`])", r"\\\1", plain)


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    DOCUMENT.write_text(document(found()))
