"""A copy of the engine for one process: in a forked child the inherited one would wait for threads that are not there.

The engine keeps its threads, queues and connections in the static memory of its extension module. The same module
loaded out of another file has static memory of its own and begins anew, beside the inherited one, which nobody must
touch again. That file is one in memory: nothing is left behind, however the process ends.
"""

from __future__ import annotations

import ctypes
import importlib.machinery
import importlib.util
import os
import sys
from types import ModuleType
from typing import Any

from ..errors import ConfigError, StoreError

#: The variable that says what cloud stores do in a child of a fork: "copy" (the default) or "refuse".
SWITCH = "HOLDFAST_FORK"
#: What the engine hands out that goes on using its threads: the names of types, which it does not show otherwise.
STATEFUL = frozenset(("GetResult", "BytesStream", "ListStream"))

_CURE = (
    "start workers with multiprocessing.get_context('spawn') or 'forkserver', or fork before the first call of a "
    "cloud store"
)


def load(native: ModuleType) -> tuple[ModuleType, frozenset[type]]:
    """The engine's extension module once more, with state of its own, and its STATEFUL types.

    Takes some 15 ms and the module's size (15 MB) in memory. StoreError where HOLDFAST_FORK forbids it, or the system
    has no files in memory or does not let programs be loaded out of them.
    """
    choice = os.environ.get(SWITCH) or "copy"
    if choice not in {"copy", "refuse"}:
        raise ConfigError(f"{SWITCH}={choice!r} is neither 'copy' nor 'refuse'")
    if choice == "refuse":
        raise _refusal(f"{SWITCH}=refuse forbids a new one here")
    try:
        copied = _load(native)
        return copied, _stateful_types(copied)
    except Exception as error:
        raise _refusal(f"no new one could be loaded here ({type(error).__name__}: {error})") from error


def inherited() -> StoreError:
    """The error for the use of a blob or listing that was opened before the process was forked."""
    return StoreError("this was opened before the process was forked, and belongs to the parent: open it again here")


def abandon(value: Any) -> None:
    """Keep an object of the parent's engine for ever: it would wait for threads that are not here to be freed, too."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(value))


def _refusal(why: str) -> StoreError:
    return StoreError(
        "this process was forked from one that had used a cloud store, the engine of which does not survive a fork, "
        f"and {why}: {_CURE}"
    )


def _load(native: ModuleType) -> ModuleType:
    if not hasattr(os, "memfd_create"):
        raise OSError(f"{sys.platform} has no files in memory")
    assert native.__file__ is not None
    file = os.memfd_create("holdfast-engine")
    try:
        with open(native.__file__, "rb") as original:
            left, offset = os.fstat(original.fileno()).st_size, 0
            while sent := os.sendfile(file, original.fileno(), offset, left - offset):
                offset += sent
        # By the number of the process, because the loader knows a path again that an ancestor has loaded from.
        path = f"/proc/{os.getpid()}/fd/{file}"
        spec = importlib.util.spec_from_loader(
            native.__name__, importlib.machinery.ExtensionFileLoader(native.__name__, path)
        )
        assert spec is not None
        assert spec.loader is not None
        package = native.__name__.partition(".")[0]
        known = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == package}
        try:
            copied = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(copied)
        finally:
            sys.modules.update(known)  # it registers its parts, in the place of the inherited ones
        return copied
    finally:
        os.close(file)


def _stateful_types(engine: Any) -> frozenset[type]:
    """The STATEFUL types of this engine, as it hands them out; and so it has worked once, without a network."""
    memory = engine._store.MemoryStore()
    engine.put(memory, "key", b"data")
    return frozenset(
        type(value) for value in (engine.get(memory, "key"), engine.get(memory, "key").stream(), engine.list(memory))
    )
