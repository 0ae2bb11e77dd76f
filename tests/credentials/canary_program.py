"""Does all that could show a secret, with the login that standard input describes; run by the tests of canaries.

Standard input is JSON: the ``class`` of the store, its arguments (``target``, ``options``), the same place as a
``location`` of the command line, the names of ``faults``, and options that name no JSON value (``objects``). A key
that begins with the name of a fault and a slash makes the server fail in that way. Everything that a log, a
traceback, a repr or a pickle would show goes to standard output and error.
"""

from __future__ import annotations

import copy
import functools
import gc
import importlib
import json
import logging
import os
import pickle
import sys
import tempfile
import traceback
import types
from pathlib import Path

from holdfast import CloudFiles, cli
from holdfast.errors import HoldfastError
from holdfast.retry import Policy

from tests.credentials import canary_objects  # isort: skip - the directory of the tests is on the path

LARGE = 12 << 20
#: Objects of these packages are shown when they can be reached from a store.
OURS = frozenset(("holdfast", "obstore", "urllib3", "tests"))


def show(thing):
    """Everything that shows the thing in some way."""
    print(repr(thing), str(thing), f"{thing}")
    for protocol in (2, 5):
        try:
            sys.stdout.buffer.write(pickle.dumps(thing, protocol))
        except (TypeError, AttributeError, pickle.PicklingError) as error:
            print("no pickle:", error)


def show_error(error, *, curious):
    """The error, what led to it, and its traceback; ``curious`` tools show local variables, too."""
    traceback.print_exception(error)
    if curious:
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
        told.stack[:] = [frame for frame in told.stack if frame.filename != __file__]
        print("".join(told.format()))
    pending, seen = [error], set()
    while pending:
        one = pending.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        show(one)
        print(one.args, getattr(one, "__notes__", None), vars(one))
        pending += [one.__cause__, one.__context__, getattr(one, "cause", None)]


def show_reachable(root):
    """The repr of every object of ours that can be reached from this one."""
    pending, seen = [root], {}
    while pending:
        thing = pending.pop()
        if id(thing) in seen or isinstance(thing, type | types.ModuleType):
            continue
        seen[id(thing)] = thing
        if type(thing).__module__.partition(".")[0] in OURS:
            print("reached", type(thing).__name__, repr(thing), str(thing))
        pending += gc.get_referents(thing)
        if isinstance(thing, types.FunctionType):  # not its globals, which are everything
            pending += [cell.cell_contents for cell in thing.__closure__ or ()]
            continue
        pending += list(getattr(thing, "__dict__", {}).values())


def attempt(name, call, *, curious=True):
    """Say whether the call worked, and show what it returned or raised."""
    try:
        result = call()
    except Exception as error:
        print(f"\nFAILED {name} {type(error).__name__}", flush=True)
        if not isinstance(error, HoldfastError):
            print("NOT OURS", type(error))
        show_error(error, curious=curious)
    else:
        print(f"\nWORKED {name}", flush=True)
        show(result)


def chunks():
    """A body that is so large that it goes up in parts."""
    for _ in range(3):
        yield bytes(LARGE // 3)


OPERATIONS = {
    "put": lambda store, at: store.put(f"{at}steady", b"data"),
    "put again": lambda store, at: store.put(f"{at}key", b"data"),
    "get": lambda store, at: store.get(f"{at}key"),
    "range": lambda store, at: store.get_range(f"{at}key", 1, 3),
    "head": lambda store, at: store.head(f"{at}key"),
    "exists": lambda store, at: store.exists(f"{at}key"),
    "create": lambda store, at: store.create(f"{at}new", b"data"),
    "replace": lambda store, at: store.replace_if(f"{at}key", b"other", store.head("steady").etag),
    "copy": lambda store, at: store.copy(f"{at}key", f"{at}copy"),
    "list": lambda store, at: list(store.list(at)),
    "awkward": lambda store, at: store.put(f"{at}a//b", b"data"),
    "large": lambda store, at: store.put(f"{at}large", chunks()),
    "uploads": lambda store, at: list(store.list_multipart_uploads(at)),
    "bulk get": lambda store, at: CloudFiles(store).get([f"{at}key", f"{at}other"]),
    "bulk put": lambda store, at: CloudFiles(store).puts([(f"{at}key", b"1"), (f"{at}other", b"2")]),
    "bulk exists": lambda store, at: CloudFiles(store).exists([f"{at}key", f"{at}other"]),
    "bulk list": lambda store, at: list(CloudFiles(store).list(at)),
    "delete if": lambda store, at: store.delete_if(f"{at}new", store.head("steady").etag),
    "delete": lambda store, at: store.delete(f"{at}other"),
    "bulk delete": lambda store, at: CloudFiles(store).delete([f"{at}key", f"{at}other", f"{at}large"]),
}
#: Only these are tried where the server stalls, which takes its time.
IMPATIENT = ("get", "list")

COMMANDS = (
    "whoami AT",
    "whoami --json AT",
    "doctor AT/scratch",
    "cp -v HERE/file AT/key",
    "cp --json -r HERE AT/tree",
    "ls -l -r AT",
    "cat AT/key",
    "head AT/key",
    "head --json AT/key",
    "du AT",
    "verify HERE AT/tree",
    "cp -r -v AT/tree HERE/back",
    "uploads AT",
    "rm -r --json AT/tree",
    "cat AT/echo/key",
    "ls -r AT/echo",
    "cp -r -v HERE AT/echo/tree",
    "rm -r AT/echo/tree",
    "doctor --json AT/echo/scratch",
    "verify HERE AT/echo/tree",
    "cat AT/refused/key",
    "cat AT/reset/key",
    "whoami --nonsense AT",
    "nonsense AT",
)


def run_commands(location):
    """Every command, in this process."""
    with tempfile.TemporaryDirectory() as here:
        Path(here, "file").write_bytes(b"data")
        for line in COMMANDS:
            arguments = [word.replace("AT", location).replace("HERE", here) for word in line.split()]
            print(f"\nENDED {cli.run(arguments)} {line}", flush=True)


def show_processes():
    """The command lines of this process and its children, and the environment of the children."""
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            status, line = (directory / "status").read_text(), (directory / "cmdline").read_bytes()
            environment = (directory / "environ").read_bytes()
        except OSError:
            continue
        child = f"PPid:\t{os.getpid()}\n" in status
        if directory.name == str(os.getpid()) or child:
            sys.stdout.buffer.write(line + (environment if child else b""))


def main():
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
    given = json.load(sys.stdin)
    module, _, name = given["class"].partition(":")
    kind = getattr(importlib.import_module(module), name)
    objects = {name: getattr(canary_objects, value) for name, value in given["objects"].items()}
    options = {"retry": Policy(tries=1), **given["options"], **objects}
    target, elsewhere = given["target"], given["elsewhere"]
    store = kind(*target["arguments"], **target["keywords"], **options)
    for name, call in OPERATIONS.items():
        attempt(name, lambda call=call: call(store, ""))
    impatient = kind(*target["arguments"], **target["keywords"], **options, read_timeout=0.3)
    for fault in given["faults"]:
        for name in IMPATIENT if fault == "stall" else OPERATIONS:
            one = impatient if fault == "stall" else store
            attempt(f"{fault} {name}", lambda one=one, name=name, fault=fault: OPERATIONS[name](one, f"{fault}/"))
    for place, other in elsewhere.items():
        # A store that is being made has its secrets in local variables: they are its arguments.
        make = functools.partial(kind, *other["arguments"], **other["keywords"], **options)
        attempt(place, lambda make=make: make().get("key"), curious=False)
    make = functools.partial(kind, *target["arguments"], **target["keywords"], **options)
    attempt("nonsense", lambda: make(nonsense=1), curious=False)
    for name in ("credentials", "explain_credentials", "_provider", "login", "client", "wire"):
        if hasattr(store, name):
            attempt(name, getattr(store, name))
    attempt("store", lambda: store)
    attempt("copied", lambda: copy.copy(store))
    show_reachable(store)
    run_commands(given["location"])
    show_processes()


if __name__ == "__main__":
    main()
