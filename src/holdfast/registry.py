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
    "hashdir": "holdfast.stores.file.renamed:HashdirStore",
    "http": "holdfast.stores.http:HttpStore",
    "https": "holdfast.stores.http:HttpStore",
    "mem": "holdfast.stores.memory:MemoryStore",
    "redis": "holdfast.stores.redis:RedisStore",
    "rediss": "holdfast.stores.redis:RedisStore",
    "s3": "holdfast.stores.s3:S3Store",
    "sqlite": "holdfast.stores.sqlite:SqliteStore",
    "zip": "holdfast.stores.zip:ZipStore",
    "AzureStore": "holdfast.stores.az:AzureStore",
    "Base64Store": "holdfast.wrap.transform:Base64Store",
    "BucketStore": "holdfast.stores.bucket:BucketStore",
    "BufferStore": "holdfast.wrap.transform:BufferStore",
    "CachingStore": "holdfast.wrap.cache:CachingStore",
    "CompressingStore": "holdfast.wrap.transform:CompressingStore",
    "DictStore": "holdfast.stores.plain:DictStore",
    "EncryptingStore": "holdfast.wrap.encrypt:EncryptingStore",
    "ExceptionLoggingStore": "holdfast.wrap.observe:ExceptionLoggingStore",
    "FileStore": "holdfast.stores.file:FileStore",
    "FilesystemStore": "holdfast.stores.plain:FilesystemStore",
    "GoogleStore": "holdfast.stores.gs:GoogleStore",
    "GzipStore": "holdfast.wrap.transform:GzipStore",
    "HashPrefixStore": "holdfast.wrap.rekey:HashPrefixStore",
    "HashdirStore": "holdfast.stores.file.renamed:HashdirStore",
    "HttpStore": "holdfast.stores.http:HttpStore",
    "IdentityStore": "holdfast.wrap.guard:IdentityStore",
    "JsonStore": "holdfast.wrap.transform:JsonStore",
    "KeyTransformingStore": "holdfast.wrap.rekey:KeyTransformingStore",
    "KeyValidatingStore": "holdfast.wrap.guard:KeyValidatingStore",
    "LoggingStore": "holdfast.wrap.observe:LoggingStore",
    "MemoryStore": "holdfast.stores.memory:MemoryStore",
    "MirroringStore": "holdfast.wrap.mirror:MirroringStore",
    "NotifyingStore": "holdfast.wrap.observe:NotifyingStore",
    "PrefixStore": "holdfast.wrap.rekey:PrefixStore",
    "ReadonlyStore": "holdfast.wrap.guard:ReadonlyStore",
    "RedisStore": "holdfast.stores.redis:RedisStore",
    "RegexRoutingStore": "holdfast.wrap.route:RegexRoutingStore",
    "RegexValidatingStore": "holdfast.wrap.guard:RegexValidatingStore",
    "RetryingStore": "holdfast.wrap.retrying:RetryingStore",
    "S3Store": "holdfast.stores.s3:S3Store",
    "SafeFilesystemStore": "holdfast.stores.plain:SafeFilesystemStore",
    "SqliteStore": "holdfast.stores.sqlite:SqliteStore",
    "SuffixStore": "holdfast.wrap.suffix:SuffixStore",
    "TextEncodingStore": "holdfast.wrap.transform:TextEncodingStore",
    "ThrottledStore": "holdfast.wrap.throttle:ThrottledStore",
    "TransformingStore": "holdfast.wrap.transform:TransformingStore",
    "UrlEncodingStore": "holdfast.wrap.rekey:UrlEncodingStore",
    "UrlValidatingStore": "holdfast.wrap.guard:UrlValidatingStore",
    "ValueStore": "holdfast.wrap.transform:ValueStore",
    "WriteonlyStore": "holdfast.wrap.guard:WriteonlyStore",
    "ZipStore": "holdfast.stores.zip:ZipStore",
}
#: Classes to await that are called otherwise than the one they stand for.
_AWAITED = frozenset(("AsyncFanoutStore",))
#: Opened by a function, which finds a store of any class: not imported below, because it lies above.
_OPENERS: Mapping[str, str] = {"config": "holdfast.config:open_location"}
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
    if name in _BUILT_IN or name in _OPENERS or _is_awaited(name):
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
    return load_class(name, target) if isinstance(target, str) else target


def awaited_class(name: str) -> type[Any] | None:
    """The class of ``holdfast.aio`` by this name: of any built-in class "Async" and its name; None for other names."""
    if not _is_awaited(name):
        return None
    found: type[Any] = getattr(importlib.import_module("holdfast.aio"), name)
    return found


def _is_awaited(name: str) -> bool:
    plain = name.removeprefix("Async")
    return name in _AWAITED or (name != plain and plain[:1].isupper() and plain in _BUILT_IN)


def is_known(name: str) -> bool:
    """Whether there is such a scheme or class name, be its package installed or not."""
    return name in _BUILT_IN or _is_awaited(name) or name in _registered or name in url.plugins()


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
    if opener := _OPENERS.get(where.scheme):
        if options:
            raise ConfigError(f"{where} has no option {', '.join(options)}: what it takes stands in the file")
        module, _, function = opener.partition(":")
        opened_there: ObjectStore = getattr(importlib.import_module(module), function)(where)
        return opened_there
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


def load_class(name: str, target: str) -> type[ObjectStore]:
    """The store class at "module:Class", imported now; ``name`` is what errors call it.

    Raises ConfigError if there is none, with the line to type when a package is missing.
    """
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
