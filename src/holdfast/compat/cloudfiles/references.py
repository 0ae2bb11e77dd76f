"""Python objects in ``mem://``, kept by reference: programs use cloud-files' memory as a dict of anything."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ...files.requests import is_scalar
from ...keys import join

#: What is stored in the place of an object that is kept by reference.
PLACEHOLDER = b""

_kept: dict[str, Any] = {}


def forget_references() -> None:
    """Let go of every object."""
    _kept.clear()


class References:
    """The objects that are kept for the paths of one location."""

    def __init__(self, location: str) -> None:
        self.location = location

    def replaced(self, path: str, content: Any, compressed: bool) -> Any:
        """What to store for this content: itself, or a placeholder for an object that is kept now."""
        name = join(self.location, path)
        if compressed or _is_body(content):
            _kept.pop(name, None)
            return content
        _kept[name] = content
        return PLACEHOLDER

    def all_replaced(self, files: Any, compressed: bool) -> Any:
        """The same for requests of ``puts``, in any of their forms."""
        if isinstance(files, Mapping) or (isinstance(files, tuple) and len(files) == 2 and isinstance(files[0], str)):
            return self._request(files, compressed)
        requests = (self._request(file, compressed) for file in files)
        return requests if isinstance(files, Iterator) else list(requests)

    def _request(self, file: Any, compressed: bool) -> Any:
        if isinstance(file, Mapping):
            content = self.replaced(file["path"], file["content"], bool(file.get("compress", compressed)))
            return {**file, "content": content}
        path, content = file
        return path, self.replaced(path, content, compressed)

    def __bool__(self) -> bool:
        """Whether any object of this location is kept."""
        return any(True for _ in self._names())

    def find(self, pairs: Iterable[tuple[str, str]] | None) -> dict[str, Any]:
        """The kept objects of these (path, name), or of all paths, by their names."""
        if pairs is None:
            pairs = [(path, path) for path in self._names()]
        return {name: _kept[full] for path, name in pairs if (full := join(self.location, path)) in _kept}

    def keep(self, objects: Mapping[str, Any]) -> None:
        """Keep these objects, whose placeholders are stored, by their paths."""
        for path, content in objects.items():
            _kept[join(self.location, path)] = content

    def forget(self, paths: Iterable[str]) -> None:
        """Let go of the objects of these paths."""
        for path in paths:
            _kept.pop(join(self.location, path), None)

    def _names(self) -> Iterator[str]:
        """The paths of what is kept here."""
        front = join(self.location, "")
        return (name.removeprefix(front) for name in list(_kept) if name.startswith(front))

    def resolved(self, paths: Any, result: Any) -> Any:
        """What ``get`` returned, with the objects in the places of their placeholders."""
        if not _kept:
            return result
        if isinstance(result, list):
            for row in result:
                row["content"] = self._one(row["path"], row["content"])
            return result
        if isinstance(result, dict):
            return {path: self._one(path, content) for path, content in result.items()}
        if is_scalar(paths):
            return self._one(paths if isinstance(paths, str) else paths["path"], result)
        return result

    def _one(self, path: str, content: Any) -> Any:
        return _kept.get(join(self.location, path), content) if content == PLACEHOLDER else content


def _is_body(content: Any) -> bool:
    return isinstance(content, bytes | bytearray | memoryview | os.PathLike | Iterator) or hasattr(content, "read")
