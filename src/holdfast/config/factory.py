"""From what a configuration says to the stores themselves."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar, overload

from .. import registry
from ..errors import ConfigError
from ..recipes import Secret
from ..retry import Policy
from ..store import ObjectStore
from ..url import URL
from .parsing import parse
from .values import as_written, declares, fitting, leaves, parameters, scrubbed, takes_policy, texts, unfit_base

#: The type whose config is a location, as on the command line.
LOCATION = "location"
#: So many stores one upon the other.
MAX_DEPTH = 100

_VARIABLE = re.compile(r"\$\$\{|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\})?")
#: Parameters that are objects of Python; a retry policy alone can be written down.
_OBJECTS = frozenset(("client", "clock", "credential", "logger", "retry_on", "sleep", "transformer", "validator"))
#: Parameters of the wrappers that are stores.
_WRAPPED = frozenset(("store", "main_store", "cache_store", "children", "routes"))

#: The files and stores that are being built here, each from a location in the one before.
_under_way: ContextVar[tuple[tuple[str, str], ...]] = ContextVar("holdfast_under_way", default=())

StoreClass = TypeVar("StoreClass", bound=type[ObjectStore])


@overload
def register_store(target: StoreClass) -> StoreClass: ...
@overload
def register_store(target: str) -> Callable[[StoreClass], StoreClass]: ...
def register_store(target: Any) -> Any:
    """The class, which configurations may use from now on by its name; a decorator.

    ``@register_store("Name")`` lets them use it by another name. Raises ConfigError for the name of a built-in store
    and for what is no store.

    >>> from holdfast import IdentityStore
    >>> @register_store
    ... class Passing(IdentityStore):
    ...     pass
    >>> registry.store_class("Passing").__name__
    'Passing'
    """
    if isinstance(target, str):

        def named(decorated: StoreClass) -> StoreClass:
            registry.register(target, decorated)
            return decorated

        return named
    registry.register(getattr(target, "__name__", ""), target)
    return target


@dataclass(frozen=True, slots=True)
class Definition(Secret):
    """One store as the file describes it: variables are not filled in.

    ``repr`` shows no parameter's value, and it pickles only within ``holdfast.pickling(secrets=True)``.
    """

    name: str
    type: str
    base: Any = None
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def shown_type(self) -> str:
        """Its type as it is written, except for what variables default to."""
        return as_written(self.type)

    @property
    def bases(self) -> list[str]:
        """The names of the stores below it, in their order, as they are written."""
        return [] if self.base is None else list(leaves(self.base))


class StoreFactory:
    r"""The stores that a file describes; ``build`` makes them.

    The file is read now: ConfigError if it is missing or no such description. ``allow_classes`` are the classes of
    other packages, "module:Class" or "module.Class", that a ``type`` may name outright; any other is refused, because
    importing a module runs it. A factory pickles as that path, and reads the file anew where it is unpickled.

    >>> import pathlib
    >>> text = "stores: {raw: {type: MemoryStore}, small: {type: GzipStore, base: raw}}\nmain: small\n"
    >>> _ = pathlib.Path("stores.yaml").write_text(text)
    >>> store = StoreFactory("stores.yaml").build()
    >>> store.put("a", b"1").key, store.get("a")
    ('a', b'1')
    """

    def __init__(self, path: str | os.PathLike[str], *, allow_classes: Collection[str] = ()) -> None:
        self.path = os.fspath(path)
        self._allowed = frozenset(name.replace(":", ".") for name in allow_classes)
        document = self._mapping(parse(self.path), "the file")
        self._only(document, ("stores", "main"), "the file")
        stores = self._mapping(document.get("stores"), "'stores'")
        self.definitions: Mapping[str, Definition] = {name: self._define(name, stores[name]) for name in stores}
        main = document.get("main")
        if main is not None and not isinstance(main, str):
            self._fail("'main' is the name of one of the stores")
        self._main: str | None = main

    def __repr__(self) -> str:
        return f"StoreFactory({self.path!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _reread, (type(self), self.path, self._allowed)

    @property
    def main(self) -> str | None:
        """The name of the store that ``build()`` makes, or None where the file does not say."""
        return None if self._main is None else self._expand(self._main, None, "main")

    def build(self, name: str | None = None) -> Any:
        """The store of this name (by default the main one) over everything it is made of, opened by nobody yet.

        It is an ObjectStore; of a type whose name begins with "Async" (``AsyncSqliteStore``, ``AsyncCachingStore`` ...)
        a store to await, which may be made of either kind.
        A store that several others name is one object in what is built; each call builds anew. Raises ConfigError for
        an unknown store, type or parameter, a missing variable, a store that is made of itself, and for whatever the
        stores themselves refuse.
        """
        written, name = (name, name) if name else (self._main, self.main)
        if name is None:
            raise self._error("there is no 'main': write one, or name the store")
        place = (os.path.realpath(self.path), name)
        if place in _under_way.get():
            raise _CircleError
        entered = _under_way.set((*_under_way.get(), place))
        building = _Building(self)
        try:
            return building.store(name, None, (), written)
        except BaseException:
            building.close()
            raise
        finally:
            _under_way.reset(entered)

    def store_class(self, name: str) -> type[Any]:
        """The class that a ``type`` without dots names; ConfigError for an unknown one. A subclass may know others."""
        return registry.awaited_class(name) or registry.store_class(name)

    def problems(self) -> list[ConfigError]:
        """What would go wrong in building each of the stores, one error for each cause; empty if all is well."""
        found: dict[str, ConfigError] = {}
        for name in self.definitions:
            try:
                store = self.build(name)
            except ConfigError as error:
                found.setdefault(str(error), error)
                continue
            try:
                _close(store)
            except Exception as failed:  # noqa: BLE001 - of a class of others
                problem = self._error(f"it cannot be closed: {type(failed).__name__}", name)
                found.setdefault(str(problem), problem)
        try:
            if self.main is not None and self.main not in self.definitions:
                raise self._unknown(self._main or "", None)
        except ConfigError as error:
            found.setdefault(str(error), error)
        return list(found.values())

    def base_names(self, name: str) -> list[str]:
        """The names of the stores directly below the one of this name, variables filled in."""
        return [self._expand(base, name, "base") for base in self.definitions[name].bases]

    # ------------------------------------------------------------------ reading the description
    def _define(self, name: str, described: Any) -> Definition:
        if not name or any(mark in name for mark in ("/", "#", "${")):
            self._fail("the name of a store is text without '/', '#' and '${'", name)
        fields = self._mapping(described, "it", name)
        self._only(fields, ("type", "base", "config"), "it", name)
        kind = fields.get("type")
        if not isinstance(kind, str) or not kind:
            self._fail("it has no type: write the name of a class, such as 'type: MemoryStore'", name, "type")
        config = fields.get("config")
        parameters = {} if config is None else self._mapping(config, "it", name, "config")
        base = fields.get("base")
        if base is not None and not all(isinstance(leaf, str) for leaf in leaves(base)):
            self._fail("it names stores: one, a list of them, or a mapping from parameter to store", name, "base")
        return Definition(name, kind, base, parameters)

    def _mapping(self, value: Any, what: str, store: str | None = None, parameter: str | None = None) -> dict[str, Any]:
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            self._fail(f"{what} must be a mapping, from names to values", store, parameter)
        return value

    def _only(self, given: dict[str, Any], known: tuple[str, ...], what: str, store: str | None = None) -> None:
        for name in given:
            if name not in known:
                self._fail(f"unknown: {what} has {', '.join(known)}", store, name)

    # ------------------------------------------------------------------ what building needs
    def _expand(self, value: Any, store: str | None, parameter: str) -> Any:
        """The value with all variables in its strings filled in."""
        if isinstance(value, str):
            return _VARIABLE.sub(lambda match: self._variable(match, store, parameter), value)
        if isinstance(value, list):
            return [self._expand(item, store, f"{parameter}[{at}]") for at, item in enumerate(value)]
        if isinstance(value, dict):
            return self._named(value, lambda item: self._expand(item, store, parameter), store, parameter)
        return value

    def _named(
        self, values: dict[str, Any], change: Callable[[Any], Any], store: str | None, parameter: str
    ) -> dict[str, Any]:
        """The mapping with variables in its names filled in and its values changed; places do not show the names."""
        named: dict[str, Any] = {}
        for name, item in values.items():
            expanded = self._expand(name, store, parameter)
            if expanded in named:
                self._fail("a name in it stands there twice, variables filled in", store, parameter)
            named[expanded] = change(item)
        return named

    def _variable(self, match: re.Match[str], store: str | None, parameter: str) -> str:
        if match[0] == "$${":
            return "${"
        name, default = match[1], match[2]
        if name is None:
            message = "'${' begins no variable: write ${NAME} or ${NAME:-default}, or $${ for itself"
            self._fail(message, store, parameter)
        if default is not None and "${" in default:
            self._fail("the default of a variable holds no '${': give it a variable of its own", store, parameter)
        found = os.environ.get(name)
        if default is not None:
            return found or default
        if found is None:
            message = f"Environment variable {name!r} not found: set it, or write ${{{name}:-default}}"
            self._fail(message, store, parameter)
        return found

    def _class(self, definition: Definition) -> type[Any]:
        kind = self._expand(definition.type, definition.name, "type")
        problem = None
        outright = "." in kind or ":" in kind
        try:
            if not outright:
                return self.store_class(kind)
            if kind.replace(":", ".") in self._allowed:
                module, _, name = kind.replace(":", ".").rpartition(".")
                return registry.load_class(kind, f"{module}:{name}")
        except ConfigError as error:
            if registry.is_known(kind) or outright:
                problem = scrubbed(error, [] if kind == definition.type else [kind])
        if problem is None:
            cure = "allow_classes= must allow it" if outright else "holdfast.config.register_store adds others"
            problem = f"Unknown store type: {as_written(definition.type)}: {cure}"
        raise self._error(problem, definition.name, "type")

    def _require(self, condition: bool, message: str, store: str, parameter: str) -> None:
        if not condition:
            self._fail(message, store, parameter)

    def _unknown(self, written: str, user: str | None) -> ConfigError:
        known = ", ".join(self.definitions) or "none"
        return self._error(
            f"there is no store {as_written(written)!r}: there are {known}", user, "base" if user else None
        )

    def _error(self, message: str, store: str | None = None, parameter: str | None = None) -> ConfigError:
        where = self.path
        if store is not None:
            where += f": store {store!r}"
        if parameter is not None:
            where += f": parameter {parameter!r}"
        return ConfigError(f"{where}: {message}")

    def _fail(self, message: str, store: str | None = None, parameter: str | None = None) -> NoReturn:
        raise self._error(message, store, parameter)


class _CircleError(ConfigError):
    """A location leads to a store that is being built."""


class _Building:
    """One ``build``: each store that it comes by is made once."""

    def __init__(self, factory: StoreFactory) -> None:
        self._factory = factory
        self._made: dict[str, Any] = {}

    def close(self) -> None:
        """Close what was made, for nothing; the error that is being raised tells why."""
        for store in self._made.values():
            with suppress(Exception):
                _close(store)

    def store(self, name: str, user: str | None, above: tuple[str, ...], written: str | None = None) -> Any:
        """The store of this name, which ``user`` calls for; ``above`` are all that wait for it."""
        if (made := self._made.get(name)) is not None:
            return made
        factory = self._factory
        definition = factory.definitions.get(name)
        if definition is None:
            raise factory._unknown(written or name, user)
        if name in above:
            message = f"Recursive store definition found -- {name} mentioned multiple times"
            factory._fail(f"{message}: {' -> '.join((*above[above.index(name) :], name))}", user, "base")
        if len(above) >= MAX_DEPTH:
            factory._fail(f"more than {MAX_DEPTH} stores lie upon each other", user, "base")
        self._made[name] = store = self._make(definition, (*above, name))
        return store

    def _make(self, definition: Definition, above: tuple[str, ...]) -> Any:
        factory, name = self._factory, definition.name
        options = {
            parameter: factory._expand(value, name, f"config.{parameter}")
            for parameter, value in definition.config.items()
        }
        located = definition.type == LOCATION
        make: Callable[..., Any] = registry.open_store if located else factory._class(definition)
        if located:
            self._check_location(definition)
            options["location"] = options.pop("url")
        else:
            options = self._checked(make, definition, options)
        options |= self._bases(make, definition, above)
        for needed in inspect.signature(make).parameters.values():
            if needed.default is needed.empty and needed.kind is needed.POSITIONAL_OR_KEYWORD:
                missing = "base" if needed.name in _WRAPPED else needed.name
                factory._require(needed.name in options, "it is missing: the type needs it", name, missing)
        problem = None
        try:
            return make(**options)
        except _CircleError:
            pass
        except Exception as error:  # noqa: BLE001 - whatever a class says about its parameters is an error of the file
            problem = scrubbed(error, [text for value in options.values() for text in texts(value)])
        # Raised here and not above: a traceback shows what an error came from, values and all.
        if problem is None:
            if len(_under_way.get()) > 1:
                raise _CircleError  # told of the file that was asked for: this one may be named by a value of that
            factory._fail("Recursive store definition found -- its location leads back to it", name, "url")
        named = [parameter for parameter in definition.config if re.search(rf"\b{re.escape(parameter)}\b", problem)]
        culprit = named[0] if len(named) == 1 else ", ".join(definition.config) or None
        raise factory._error(f"{as_written(definition.type)} cannot be made so: {problem}", name, culprit)

    def _check_location(self, definition: Definition) -> None:
        factory = self._factory
        if definition.base is not None:
            factory._fail("a location has no base", definition.name, "base")
        if not isinstance(definition.config.get("url"), str):
            factory._fail("it is missing: write the location, such as s3://bucket/prefix", definition.name, "url")
        if "location" in definition.config:
            factory._fail("unknown: write url", definition.name, "location")

    def _checked(self, make: Any, definition: Definition, options: dict[str, Any]) -> dict[str, Any]:
        """The options as the class takes them."""
        taken = parameters(make)
        checked: dict[str, Any] = {}
        for name, value in options.items():
            if taken is not None and name not in taken:
                known = ", ".join(p for p in taken if p not in _OBJECTS) or "none"
                message = f"{as_written(definition.type)} has no such parameter: it takes {known}"
                self._factory._fail(message, definition.name, name)
            ours = (declares(make, name) or make).__module__.startswith("holdfast.")
            if ours and name in _OBJECTS and value is not None:
                message = "it is an object of Python, which a file cannot describe: build this store in Python"
                self._factory._fail(message, definition.name, name)
            if name in _WRAPPED and value is not None:
                self._factory._fail("it is made of stores: name them in 'base'", definition.name, name)
            if isinstance(value, dict) and takes_policy(make, name):
                checked[name] = self._policy(definition, name, value)
                continue
            checked[name], wanted = fitting(make, name, value, filled_in=value != definition.config[name])
            if wanted is not None:
                self._factory._fail(f"it is {wanted}", definition.name, name)
        return checked

    def _policy(self, definition: Definition, parameter: str, given: dict[str, Any]) -> Policy:
        numbers = {name: fitting(Policy, name, value, filled_in=True) for name, value in given.items()}
        plain = given.keys() <= {"tries", "first", "longest", "deadline"}
        try:
            if plain and all(wanted is None for _, wanted in numbers.values()):
                return Policy(**{name: value for name, (value, _) in numbers.items()})
        except ConfigError:
            pass  # it quotes the numbers
        message = "a retry policy has tries >= 1, 0 <= first <= longest and deadline > 0, all of them numbers"
        raise self._factory._error(message, definition.name, parameter)

    def _bases(self, make: Any, definition: Definition, above: tuple[str, ...]) -> dict[str, Any]:
        base = definition.base
        if base is None:
            return {}
        taken = parameters(make) or ()
        if not isinstance(base, dict):
            if not taken:
                self._factory._fail("its type takes no store", definition.name, "base")
            base = {taken[0]: base}
        for parameter in base:
            if parameter not in taken:
                message = f"its type has no parameter {parameter!r}: it takes {', '.join(taken) or 'none'}"
                self._factory._fail(message, definition.name, "base")
            if parameter in definition.config:
                self._factory._fail("it is given twice, in base and in config", definition.name, parameter)
        stores = {parameter: self._resolved(named, definition, above) for parameter, named in base.items()}
        for parameter, given in stores.items():
            if (taken_so := unfit_base(make, parameter, given)) is not None:
                self._factory._fail(f"its type takes {taken_so} as {parameter!r}", definition.name, "base")
        if isinstance(make, type) and issubclass(make, ObjectStore):
            self._only_synchronous(stores, definition)
        return stores

    def _only_synchronous(self, stores: dict[str, Any], definition: Definition) -> None:
        if not all(isinstance(store, ObjectStore) for store in leaves(stores)):
            cure = f"write Async{as_written(definition.type)}, or a base that is not"
            self._factory._fail(f"its base is to be awaited, which this type cannot: {cure}", definition.name, "base")

    def _resolved(self, named: Any, definition: Definition, above: tuple[str, ...]) -> Any:
        if isinstance(named, list):
            return [self._resolved(item, definition, above) for item in named]
        if isinstance(named, dict):
            return self._factory._named(
                named, lambda item: self._resolved(item, definition, above), definition.name, "base"
            )
        name = self._factory._expand(named, definition.name, "base")
        return self.store(name, definition.name, above, named)


def _reread(kind: type[StoreFactory], path: str, allowed: Collection[str]) -> StoreFactory:
    return kind(path, allow_classes=allowed)


def open_location(url: URL) -> ObjectStore:
    """The store that ``config://FILE#store`` names, of the path nothing; ``config://FILE`` is the file's main store.

    Of a store to await it is the one that it stands for, which is not.
    """
    path, _, name = url.bucket.rpartition("#")  # a file's name may have a "#", a store's has none
    store = StoreFactory(path).build(name or None)
    found = _synchronous(store)
    if found is None:
        raise ConfigError(f"{url} is a {type(store).__name__}, which has to be awaited: name another store")
    return found


def _close(store: Any) -> None:
    """Close what was built, and was not used yet."""
    found = _synchronous(store)
    if found is not None:
        found.close()


def _synchronous(store: Any) -> ObjectStore | None:
    """The store itself, or the one that a store of ``holdfast.aio`` stands for; None for a user's own to await."""
    found = store if isinstance(store, ObjectStore) else getattr(store, "store", None)
    return found if isinstance(found, ObjectStore) else None
