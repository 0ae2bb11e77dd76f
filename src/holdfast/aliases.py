"""Aliases: short schemes for the hosts of S3 services, built in, of this process, or kept in a file.

``matrix://bucket/x`` is ``s3://https://s3-hpcrc.rc.princeton.edu/bucket/x``. ``add_alias`` adds one for this process,
``add_persistent_alias`` one for every process of this user, in ``~/.cloudfiles/aliases.json`` (CLOUD_FILES_DIR moves
it), which other programs share. Where several say something about a name, this process's wins, then the file's.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .errors import ConfigError

#: What cloud-files knows by itself.
BUILT_IN = {
    "matrix": "s3://https://s3-hpcrc.rc.princeton.edu/",
    "nokura": "s3://https://c10s.pni.princeton.edu/",
    "tigerdata": "s3://https://td.princeton.edu/",
}
_NAME = re.compile(r"[a-z][a-z0-9+.-]+")
_HOST = re.compile(r"[a-z0-9+.-]+://[^\s|]+")

_of_this_process: dict[str, str] = {}
#: What the file held when it was last read, and which version of it that was.
_read: tuple[tuple[str, int, int] | None, dict[str, str]] = (None, {})


def alias_file() -> str:
    """The path of the file with this user's aliases, whether or not there is one."""
    home = os.environ.get("CLOUD_FILES_DIR") or os.path.join(os.path.expanduser("~"), ".cloudfiles")
    return os.path.join(home, "aliases.json")


def find(name: str) -> str | None:
    """What the alias stands for, with a slash at its end, or None if it is none.

    >>> find("matrix")
    's3://https://s3-hpcrc.rc.princeton.edu/'
    """
    found = _of_this_process.get(name) or _from_file().get(name) or BUILT_IN.get(name)
    return found if found is None or found.endswith("/") else found + "/"


def of_this_process() -> dict[str, str]:
    """The aliases that were added in this process, for a process of ours to have them, too."""
    return dict(_of_this_process)


def known() -> dict[str, str]:
    """Every alias and what it stands for."""
    return {**BUILT_IN, **_from_file(), **_of_this_process}


def add_alias(name: str, host: str) -> None:
    """Let ``name://bucket/x`` mean ``host`` + ``bucket/x`` in this process.

    ``host`` is the beginning of a location, such as ``s3://https://minio.example:9000/``. Raises ConfigError for a
    name that cannot be a scheme and for a host that is none; where a name is also a scheme, the scheme wins.
    """
    _check(name, host)
    _of_this_process[name] = host


def remove_alias(name: str) -> None:
    """Forget an alias of this process; harmless where there is none."""
    _of_this_process.pop(name, None)


def add_persistent_alias(name: str, host: str) -> None:
    """As ``add_alias``, for every process of this user, from now on: the file is replaced, whole."""
    _check(name, host)
    _change(lambda entries: entries.update({name: {"host": host}}))


def remove_persistent_alias(name: str) -> None:
    """Take an alias out of the file, and forget it in this process; harmless where there is none."""
    remove_alias(name)
    if name in _from_file():
        _change(lambda entries: entries.pop(name, None))


def _check(name: str, host: str) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{name!r} cannot be an alias: two or more of a-z, 0-9, '+', '.' and '-', a letter first")
    if not _HOST.fullmatch(host):
        raise ConfigError(
            f"the alias {name!r} stands for the beginning of a location, as s3://https://HOST/, not {host!r}"
        )


def _from_file() -> dict[str, str]:
    global _read  # noqa: PLW0603 - one file, one memory of it
    path = alias_file()
    try:
        status = os.stat(path)
    except OSError:
        return {}
    version = (path, status.st_mtime_ns, status.st_ino)
    if _read[0] != version:
        _read = (version, {name: str(entry["host"]) for name, entry in _entries(path).items()})
    return _read[1]


def _entries(path: str) -> dict[str, dict[str, str]]:
    try:
        with open(path, encoding="utf-8") as file:
            entries = json.load(file)
        if all(isinstance(entry["host"], str) for entry in entries.values()):
            found: dict[str, dict[str, str]] = entries
            return found
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        pass
    raise ConfigError(f'{path} is not a file of aliases such as {{"NAME": {{"host": "s3://https://HOST/"}}}}')


def _change(change: Callable[[dict[str, dict[str, str]]], object]) -> None:
    path = alias_file()
    directory = os.path.dirname(path)
    os.makedirs(directory, exist_ok=True)
    with _alone(directory):
        entries = _entries(path)
        change(entries)
        descriptor, temporary = tempfile.mkstemp(dir=directory, prefix=".aliases-")
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                json.dump(entries, file, indent=1, sort_keys=True)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise


@contextmanager
def _alone(directory: str) -> Iterator[None]:
    """Keep out every other process, and thread, that changes the file."""
    import fcntl

    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
