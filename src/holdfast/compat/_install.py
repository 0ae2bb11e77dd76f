"""Makes ``import cloudfiles`` mean ``holdfast.compat.cloudfiles``."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from ..errors import ConfigError

_HERE = __name__.rpartition(".")[0]
#: What else a system brings along.
_COMPANIONS = {"cloudfiles": ("cloudfiles_cli",)}


def install(*names: str) -> None:
    """Let programs that import these systems ("cloudfiles", "cloudvolume" ...) run on Holdfast, unchanged.

    Call it before the program imports them: afterwards it is a ConfigError, because two systems would be at work. So
    is a name that nothing here stands for. What the original has and Holdfast has not is an ImportError.

    >>> install("cloudfiles")
    >>> from cloudfiles import CloudFiles
    >>> CloudFiles.__module__
    'holdfast.compat.cloudfiles.cloudfiles'
    >>> uninstall("cloudfiles")
    """
    names = _with_companions(names)
    for name in names:
        if not name.isidentifier() or name.startswith("_") or importlib.util.find_spec(f"{_HERE}.{name}") is None:
            raise ConfigError(f"{name!r} is no system that holdfast.compat stands for")
        loaded = sys.modules.get(name)
        if loaded is not None and not loaded.__name__.startswith(_HERE):
            raise ConfigError(f"{name!r} is imported already, as itself: install it before anything imports it")
    for name in names:
        _redirect.names.add(name)
        sys.modules.pop(name, None)
    if _redirect not in sys.meta_path:
        sys.meta_path.insert(0, _redirect)


def uninstall(*names: str) -> None:
    """Let the names mean what they did before; what was imported by them stays what it is."""
    for name in _with_companions(names):
        _redirect.names.discard(name)
        for module in [module for module in sys.modules if f"{module}.".startswith(f"{name}.")]:
            if sys.modules[module].__name__.startswith(_HERE):
                del sys.modules[module]


def _with_companions(names: tuple[str, ...]) -> tuple[str, ...]:
    return (*names, *(other for name in names for other in _COMPANIONS.get(name, ())))


class _Redirect(MetaPathFinder):
    """Finds the modules of installed names below holdfast.compat."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] not in self.names:
            return None
        ours = f"{_HERE}.{fullname}"
        if importlib.util.find_spec(ours) is None:
            raise ModuleNotFoundError(f"Holdfast has no module that stands for {fullname!r}", name=fullname)
        return importlib.util.spec_from_loader(fullname, _SameModule(ours))


class _SameModule(Loader):
    """Gives the very module that lies here, so that its classes are the same by either name."""

    def __init__(self, ours: str) -> None:
        self.ours = ours

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        self.module = importlib.import_module(self.ours)
        self.spec = self.module.__spec__
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec  # which the import has just replaced


_redirect = _Redirect()
