"""Does all that could show a secret, with the login that standard input describes; run by test_canaries.py.

Standard input is JSON: ``options`` for S3Store, ``endpoint`` of a server that answers. Everything that a log, a
traceback, a repr or a pickle would show goes to standard output and error.
"""

from __future__ import annotations

import copy
import json
import logging
import os
import pickle
import sys
import traceback
from pathlib import Path

from holdfast import CloudFiles, cli
from holdfast.errors import HoldfastError
from holdfast.retry import Policy
from holdfast.stores.s3 import S3Store


def show(thing):
    """Everything that shows the thing in some way."""
    print(repr(thing), str(thing), f"{thing}")
    for protocol in (2, 5):
        try:
            sys.stdout.buffer.write(pickle.dumps(thing, protocol))
        except (TypeError, AttributeError) as error:
            print("no pickle:", error)


def attempt(name, call):
    """Say whether the call worked, and show what it returned or raised."""
    try:
        result = call()
    except Exception as error:
        print(f"\nFAILED {name}", flush=True)
        if not isinstance(error, HoldfastError):
            print("NOT OURS", type(error))
        traceback.print_exception(error)
        show(error)
        show(error.__cause__)
        show(error.__context__)
    else:
        print(f"\nWORKED {name}", flush=True)
        show(result)


def command_lines():
    """The command lines of this process and its children."""
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            status, line = (directory / "status").read_text(), (directory / "cmdline").read_bytes()
        except OSError:
            continue
        if directory.name == str(os.getpid()) or f"PPid:\t{os.getpid()}\n" in status:
            sys.stdout.buffer.write(line)


def main():
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
    given = json.load(sys.stdin)
    endpoint, options = given["endpoint"], given["options"]
    once = Policy(tries=1)
    store = S3Store("bucket", endpoint=endpoint, retry=once, **options)
    attempt("get", lambda: store.get("key"))
    attempt("bulk", lambda: CloudFiles(store).get(["key", "other"]))
    attempt("echo", lambda: store.get("echo"))
    attempt("put", lambda: store.put("key", b"data"))
    attempt("list", lambda: list(store.list()))
    attempt("delete", lambda: store.delete("key"))
    nowhere = S3Store("bucket", endpoint="http://127.0.0.1:9", retry=once, **options)
    attempt("unreachable", lambda: nowhere.get("key"))
    attempt("nonsense", lambda: S3Store("bucket", nonsense=1, **options))
    attempt("twice", lambda: S3Store("bucket", anonymous=True, **options))
    for thing in (store, store.credentials(), store.explain_credentials(), store._provider(), store.client()):
        show(thing)
    attempt("copy", lambda: copy.copy(store))
    location = f"s3://{endpoint}/bucket"
    for arguments in (["whoami", location], ["whoami", "--json", location], ["cat", f"{location}/echo"]):
        print(f"\nENDED {cli.run(arguments)}", flush=True)
    command_lines()


main()
