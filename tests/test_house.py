"""The rules of the house that neither ruff nor the layer contract can state."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import pkgutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import holdfast

PROJECT = Path(__file__).resolve().parent.parent
SOURCE = PROJECT / "src" / "holdfast"
SOURCES = sorted(path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py"))
MODULES = sorted({module.name for module in pkgutil.walk_packages([str(SOURCE)], "holdfast.")} | {"holdfast"})

#: Which files (or directories, with a slash) may import what.
HOMES = {
    "obstore": ("stores/_obstore.py",),
    "yaml": ("config/parsing.py",),
    "asyncio": ("aio/",),
    "click": ("cli/", "compat/cloudfiles_cli/"),
    "rich": ("progress.py", "cli/"),
    "concurrent": ("engine/",),
    "multiprocessing": ("engine/",),
    "gevent": ("files/green.py",),
    "matplotlib": ("monitoring/plots.py",),
    "_thread": ("engine/",),
}
LOCKS = {"Lock", "RLock", "Condition", "Event", "Semaphore", "BoundedSemaphore", "allocate_lock"}
STARTERS = {"Thread", "Timer", "ThreadPoolExecutor", "ProcessPoolExecutor", "start_new_thread"}
HEAVY = {"obstore", "yaml", "boto3", "botocore", "click", "rich", "asyncio", "urllib3", "importlib.metadata"}
LINES = 600
FIRST_LINE = 110


def parse(path: str) -> ast.Module:
    return ast.parse((SOURCE / path).read_text())


def imported(tree: ast.Module) -> Iterator[str]:
    """The top package of every absolute import, also of those made through importlib with a literal name."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name.partition(".")[0] for alias in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module.partition(".")[0]
            case ast.Call(func=function, args=[ast.Constant(value=str(name)), *_]):
                called = getattr(function, "attr", getattr(function, "id", ""))
                if called in {"import_module", "__import__"}:
                    yield name.partition(".")[0]


def test_guarded_packages_are_imported_only_in_their_homes():
    strays = [
        f"{path} imports {package}"
        for path in SOURCES
        for package in imported(parse(path))
        if package in HOMES and not path.startswith(HOMES[package])
    ]
    assert not strays


def test_only_the_engine_starts_threads():
    strays = []
    for path in SOURCES:
        for node in ast.walk(parse(path)):
            names = {node.attr} if isinstance(node, ast.Attribute) else set()
            if isinstance(node, ast.ImportFrom):
                names = {alias.name for alias in node.names}
            if names & STARTERS and not path.startswith("engine/"):
                strays.append(f"{path}:{node.lineno} uses {names & STARTERS}")
    assert not strays


def test_locks_are_made_where_gevent_is_thought_of():
    strays = []
    for path in SOURCES:
        for node in ast.walk(parse(path)):
            match node:
                case ast.Attribute(value=ast.Name(id="threading" | "_thread"), attr=name):
                    names = {name}
                case ast.ImportFrom(module="threading" | "_thread", names=aliases):
                    names = {alias.name for alias in aliases}
                case _:
                    continue
            if names & LOCKS and path != "locks.py":
                strays.append(f"{path}:{node.lineno} uses {names & LOCKS}")
    assert not strays, "make it with holdfast.locks"


def test_files_can_be_read_in_one_sitting():
    files = [path for part in ("src", "tests", "benchmarks", "examples") for path in (PROJECT / part).rglob("*.py")]
    lengths = {str(path.relative_to(PROJECT)): len(path.read_text().splitlines()) for path in files}
    assert len(lengths) > len(SOURCES)
    too_long = {path: length for path, length in lengths.items() if length > LINES}
    assert not too_long, "look for the missing idea before splitting a file"


def documented_things(module: ModuleType) -> Iterator[tuple[str, object]]:
    """Every public function, class, method and property that the module itself defines, by name."""
    for name, thing in vars(module).items():
        if name.startswith("_") or getattr(thing, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(thing) or inspect.isclass(thing):
            yield name, thing
        if inspect.isclass(thing):
            for member, value in vars(thing).items():
                code = inspect.isroutine(value) or isinstance(value, property)
                if code and not member.startswith("_"):
                    yield f"{name}.{member}", getattr(thing, member)


@pytest.mark.parametrize("name", [name for name in MODULES if "._" not in name])
def test_everything_public_is_documented(name):
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} has no docstring"
    for label, thing in documented_things(module):
        text = inspect.getdoc(thing)  # of the class it overrides, where it has none of its own
        assert text, f"{name}.{label} has no docstring"
        first = text.splitlines()[0]
        assert len(first) <= FIRST_LINE, f"the first line about {name}.{label} is too long to be read at a glance"


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert not failed


def test_public_names_are_sorted_importable_and_the_same_for_type_checkers():
    assert holdfast.__all__ == sorted(set(holdfast.__all__))
    assert dir(holdfast) == holdfast.__all__
    for name in holdfast.__all__:
        assert getattr(holdfast, name).__module__.startswith("holdfast.")
    with pytest.raises(AttributeError, match="no_such_name"):
        holdfast.no_such_name  # noqa: B018

    promised = {
        alias.name
        for block in ast.walk(parse("__init__.py"))
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in block.body
        for alias in node.names
    }
    assert promised == set(holdfast.__all__)


def test_the_package_states_the_version_of_the_project():
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert holdfast.__version__ == project["version"]
    assert f"## [{project['version']}]" in (PROJECT / "CHANGELOG.md").read_text()


def loaded_by(statement: str) -> tuple[str, set[str]]:
    """What a fresh Python prints when it runs the statement, and the heavy modules that it has then loaded."""
    program = f"import sys; {statement}; print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout, HEAVY.intersection(done.stderr.split())


def test_importing_the_package_loads_nothing_heavy():
    assert loaded_by("import holdfast; print(holdfast.__version__)") == (f"{holdfast.__version__}\n", set())


def test_asking_for_the_version_loads_no_engine_and_no_drawing():
    printed, heavy = loaded_by("import holdfast.cli; holdfast.cli.run(['--version'])")
    assert holdfast.__version__ in printed
    assert heavy <= {"click"}
