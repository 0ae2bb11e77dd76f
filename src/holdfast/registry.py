"""From a location or a class name to a store: what is built in, what was registered, what packages offer.

Classes go by strings, "module:Class", and are imported when they are first opened, so that knowing a store costs
nothing. Another package adds a scheme with ``register``, or by an entry point of the group ``holdfast.stores``.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeGuard

from . import redact, url
from .errors import ConfigError
from .store import ObjectStore
from .url import URL
from .wrap.rekey import PrefixStore

_BUILT_IN: Mapping[str, str] = {
    "az": "holdfast.stores.az:AzureStore",
    "file": "holdfast.stores.file:FileStore",
    "gs": "holdfast.stores.gs:GoogleStore",
    "http": "holdfast.stores.http:HttpStore",
    "https": "holdfast.stores.http:HttpStore",
    "mem": "holdfast.stores.memory:MemoryStore",
    "s3": "holdfast.stores.s3:S3Store",
    "AzureStore": "holdfast.stores.az:AzureStore",
    "FileStore": "holdfast.stores.file:FileStore",
    "GoogleStore": "holdfast.stores.gs:GoogleStore",
    "HttpStore": "holdfast.stores.http:HttpStore",
    "MemoryStore": "holdfast.stores.memory:MemoryStore",
    "PrefixStore": "holdfast.wrap.rekey:PrefixStore",
    "S3Store": "holdfast.stores.s3:S3Store",
}
_QUERY = re.compile(r"\?[\w.~-]+=")
_registered: dict[str, str | type[ObjectStore]] = {}

#: Which of our extras installs a module that turned out to be missing.
_EXTRAS: Mapping[str, str] = {
    "azure": "azure",
    "boto3": "s3",
    "botocore": "s3",
    "cryptography": "crypto",
    "gevent": "gevent",
    "google": "gcs",
    "re2": "regex",
    "redis": "redis",
}


def register(name: str, target: str | type[ObjectStore]) -> None:
    """Open locations ``name://...`` (or, for a capitalised name, configurations of that class) with ``target``.

    ``target`` is a class, or "module:Class", imported on first use. A class with a classmethod
    ``from_url(url, **options)`` is given the location without its path; any other is called with the bucket (with
    nothing for ``name://``) and the options. A path in the location becomes a prefix of the keys.
    Raises ConfigError for what is built in and for a name or target that cannot be one.

    >>> from holdfast.stores.memory import MemoryStore
    >>> register("demo", MemoryStore)
    >>> open_store("demo://bucket/run1").name
    'mem://bucket/run1/'
    """
    if name in _BUILT_IN:
        raise ConfigError(f"{name!r} is built in: register another name")
    if isinstance(target, str):
        if not all(part.replace(".", "_").isidentifier() for part in target.partition(":")[::2]):
            raise ConfigError(f"cannot register {target!r}: write 'module:Class'")
    elif not _is_store(target):
        raise ConfigError(f"cannot register {target!r}: it is no subclass of holdfast.ObjectStore")
    if not (name[:1].isupper() and name.isidentifier()):
        url.add_scheme(name)
    _registered[name] = target


def store_class(name: str) -> type[ObjectStore]:
    """The class behind a scheme or a class name, imported now.

    Raises ConfigError for an unknown name, and with the line to type when a package is missing.
    """
    target = _registered.get(name) or _BUILT_IN.get(name) or url.plugins().get(name)
    if target is None:
        known = sorted({*_BUILT_IN, *_registered, *url.plugins()})
        raise ConfigError(f"no store is known as {name!r}; known are {', '.join(known)}: holdfast.register adds others")
    return _load(name, target) if isinstance(target, str) else target


def open_store(location: str | URL, **options: Any) -> ObjectStore:
    """The store whose keys are relative to the location, with the options passed to its constructor.

    ``open_store("s3://bucket/run1")`` sees the objects below ``run1/`` and nothing of ``run10``. Raises ConfigError
    for a location or an option that cannot be; nothing is contacted yet.

    >>> store = open_store("mem://registry-example/run1")
    >>> store.put("a", b"1").key, open_store("mem://registry-example").get("run1/a")
    ('a', b'1')
    """
    where = _parsed(location)
    if where.scheme == "file":
        files: Any = store_class("file")
        root, prefix = files.root_of(where.local_path)
        store = _construct(files, where, (root,), options)
    else:
        store, prefix = _open_root(where, options), where.path
    if not prefix:
        return store
    return PrefixStore(store, prefix if prefix.endswith("/") else prefix + "/")


def open_object(location: str | URL, **options: Any) -> tuple[ObjectStore, str]:
    """A store and the key in it, for the one object at the location; options as for ``open_store``.

    The root of a local file's store is the directory it lies in. Raises ConfigError for a location that can only
    be a bucket, a server or a local directory.
    """
    where = _parsed(location)
    if where.scheme == "file":
        if where.is_directory:
            raise ConfigError(f"{where} is a directory: name a file in it")
        directory, key = where.parent()
        return open_store(directory, **options), key
    if not where.path:
        raise ConfigError(f"{where} names no object: write {where}KEY")
    return _open_root(where, options), where.path


def _parsed(location: str | URL) -> URL:
    return location if isinstance(location, URL) else url.parse(location)


def _open_root(where: URL, options: dict[str, Any]) -> ObjectStore:
    """The store of the whole bucket or server."""
    opened = store_class(where.scheme)
    location, root = where, replace(where, path="")
    from_url = getattr(opened, "from_url", None)
    if from_url is not None:
        return _construct(from_url, root, (root,), options)
    if where.scheme in {"http", "https"}:
        if _QUERY.search(location.path):
            raise ConfigError(
                f"{redact.text(str(location))} has a query: as in a signed URL it belongs to one object, and would be "
                "sent as a part of its name"
            )
        return _construct(opened, root, (where.address,), options)
    if where.endpoint is not None:
        if options.get("endpoint") is not None:
            raise ConfigError(f"the endpoint is given twice: in {root} and as an option")
        options = {**options, "endpoint": where.endpoint}
    return _construct(opened, root, (where.bucket,) if where.bucket else (), options)


def _construct(
    make: Callable[..., ObjectStore], where: URL, arguments: tuple[Any, ...], options: dict[str, Any]
) -> ObjectStore:
    signature = inspect.signature(make)
    parameters = list(signature.parameters.values())
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        taken = [p.name for p in parameters if p.kind in {p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD}][len(arguments) :]
        if unknown := sorted(options.keys() - set(taken)):
            raise ConfigError(f"{where} has no option {', '.join(unknown)}: it takes {', '.join(taken) or 'none'}")
    try:
        signature.bind(*arguments, **options)
    except TypeError as error:
        raise ConfigError(f"{where} cannot be opened: {error}") from error
    return make(*arguments, **options)


def _load(name: str, target: str) -> type[ObjectStore]:
    module_name, _, class_name = target.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or module_name
        if f"{module_name}.".startswith(f"{missing}."):
            raise ConfigError(f"{name!r} is registered as {target!r}, and there is no module {missing!r}") from error
        extra = _EXTRAS.get(missing.partition(".")[0])
        cure = f"'holdfast[{extra}]'" if extra else missing.partition(".")[0]
        raise ConfigError(f"{name!r} needs the module {missing!r}: pip install {cure}") from error
    found = getattr(module, class_name, None)
    if not _is_store(found):
        raise ConfigError(f"{name!r} is registered as {target!r}, which is no subclass of holdfast.ObjectStore")
    return found


def _is_store(candidate: Any) -> TypeGuard[type[ObjectStore]]:
    return isinstance(candidate, type) and issubclass(candidate, ObjectStore)
