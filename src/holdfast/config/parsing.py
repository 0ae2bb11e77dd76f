"""The one place where YAML and TOML are read: plain data of bounded size, names once, and errors that quote nothing."""

from __future__ import annotations

import os
import re
import tomllib
from typing import Any, NoReturn

import yaml

from ..errors import ConfigError

#: Bounds for what one file may hold, written out: aliases make small files large.
MAX_BYTES = 1 << 20
MAX_VALUES = 50_000

_TOML_PLACE = re.compile(r"at (?:line \d+, column \d+|end of document)")


def parse(path: str) -> Any:
    """What the file holds; ConfigError with the place, and never with text of the file, if it is not to be used."""
    ending = os.path.splitext(path)[1].lower()
    if ending not in {".yaml", ".yml", ".toml"}:
        raise ConfigError(f"{path}: a configuration's name ends in .yaml, .yml or .toml")
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_BYTES} bytes")
    # What parsers say quotes the file, and so would the traceback of an error that came from theirs: hence no cause.
    problem = "nested too deeply"
    try:
        return tomllib.loads(data.decode()) if ending == ".toml" else _parse_yaml(data.decode(), path)
    except ConfigError:
        raise
    except UnicodeDecodeError as error:
        problem = f"byte {error.start} is no UTF-8"
    except tomllib.TOMLDecodeError as error:
        place = _TOML_PLACE.search(str(error))
        problem = f"no TOML {place[0] if place else 'in places'}: a mistake there, or a name that stands twice"
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = f"no plain YAML{_place(mark)}"
    except yaml.YAMLError:
        problem = "no plain YAML: it holds characters that YAML does not allow"
    except ValueError:
        problem = "one of its numbers or dates cannot be"
    except RecursionError:
        pass
    raise ConfigError(f"{path}: {problem}")


def _parse_yaml(text: str, path: str) -> Any:
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        # Before anything is constructed: merges (<<) copy what aliases lead to.
        _Tree(path).size(node, ())
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _place(mark: Any) -> str:
    return f" at line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""


class _Tree:
    """A YAML document's nodes, counted as if every alias were written out; names that stand twice are found too."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._sizes: dict[int, int | None] = {}

    def size(self, node: yaml.Node, names: tuple[str, ...]) -> int:
        """How many values the node holds; ConfigError for too many, for circles and for double names."""
        known = self._sizes.get(id(node), 0)
        if known is None:
            self._fail(node, names, "an alias leads back to where it stands")
        if known:
            return known
        self._sizes[id(node)] = None
        total = 1
        if isinstance(node, yaml.MappingNode):
            total += self._mapping_size(node, names)
        elif isinstance(node, yaml.SequenceNode):
            total += sum(self.size(item, names) for item in node.value)
        if total > MAX_VALUES:
            self._fail(node, names, f"more than {MAX_VALUES} values, aliases written out")
        self._sizes[id(node)] = total
        return total

    def _mapping_size(self, node: yaml.MappingNode, names: tuple[str, ...]) -> int:
        total = 0
        seen: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._fail(key, names, "a name is text")
            if key.value in seen:
                self._fail(key, (*names, key.value), "it stands there twice (a duplicate key)")
            seen.add(key.value)
            total += 1 + self.size(value, (*names, key.value))
        return total

    def _fail(self, node: yaml.Node, names: tuple[str, ...], message: str) -> NoReturn:
        where = self._path
        if len(names) > 1 and names[0] == "stores":
            where += f": store {names[1]!r}"
            names = names[2:4]  # further ones are parts of a parameter's value
        if names:
            where += f": parameter {'.'.join(names)!r}"
        raise ConfigError(f"{where}: {message}{_place(node.start_mark)}")
