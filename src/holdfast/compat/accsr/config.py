"""The names of ``accsr.config``: settings of a project from JSON and YAML files, one laid over the other.

class Configuration(DefaultDataConfiguration):
    @property
    def remote_storage(self):
        return RemoteStorageConfig(**self._get_non_empty_entry("remote_storage_config"))

class ConfigProvider(ConfigProviderBase[Configuration]):
    pass

configuration = ConfigProvider().get_config()
"""

from __future__ import annotations

import inspect
import json
import os
from abc import ABC
from collections.abc import Sequence
from typing import Any, Generic, TypeVar, get_args

from ...config.parsing import parse
from ...errors import ConfigError


def recursive_dict_update(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """The first dictionary, changed: dictionaries in both are merged, everything else is replaced.

    >>> recursive_dict_update({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 9}})
    {'a': {'b': 9, 'c': 2}, 'd': 3}
    """
    for name, value in changes.items():
        if isinstance(value, dict):
            inner = base.get(name)
            base[name] = recursive_dict_update(inner if isinstance(inner, dict) else {}, value)
        else:
            base[name] = value
    return base


class ConfigurationBase(ABC):  # noqa: B024 - a base is what it is, and has nothing that must be overridden
    """Settings from ``config_files`` in ``config_directory``, those of later files laid over those of earlier ones.

    Without a directory it is that of the module where the class is defined. Files that are not there are left out;
    ConfigError if none has an entry, or one cannot be read. A text ``env:NAME`` stands for the environment variable
    NAME at the time of reading, None if there is none; ``config`` shows it as it is written.
    """

    ENV_VAR_MARKER = "env:"

    def __init__(
        self,
        config_directory: str | os.PathLike[str] | None = None,
        config_files: Sequence[str] = ("config.json", "config_local.json"),
    ) -> None:
        self.config_directory = os.fspath(config_directory) if config_directory is not None else self._module_dir_path()
        self.config: dict[str, Any] = {}
        paths = [os.path.join(self.config_directory, name) for name in config_files]
        for path in paths:
            if os.path.exists(path):
                recursive_dict_update(self.config, _read(path))
        if not self.config:
            raise ConfigError(f"No configuration entries could be read from {', '.join(paths)}")

    def _module_dir_path(self) -> str:
        return os.path.dirname(os.path.abspath(inspect.getfile(type(self))))

    def _get_non_empty_entry(self, key: str | list[str]) -> Any:
        """The entry under this name, or under these names from the outside in; KeyError if it is not set."""
        names = [key] if isinstance(key, str) else key
        value: Any = self.config
        for name in names:
            value = self._resolved(value.get(name) if isinstance(value, dict) else None)
            if value is None and not self._is_set(names):
                raise KeyError(f"Value for key {'.'.join(names)!r} not set in configuration")
        return value

    def _is_set(self, names: list[str]) -> bool:
        value: Any = self.config
        for name in names:
            value = value.get(name) if isinstance(value, dict) else None
        return value is not None

    def _resolved(self, value: Any) -> Any:
        """The value with environment variables for the texts that name them, inside of lists and dictionaries, too."""
        if isinstance(value, str) and value.startswith(self.ENV_VAR_MARKER):
            return os.environ.get(value.removeprefix(self.ENV_VAR_MARKER))
        if isinstance(value, dict):
            return {name: self._resolved(one) for name, one in value.items()}
        if isinstance(value, list):
            return [self._resolved(one) for one in value]
        return value

    def _get_existing_path(self, key: str | list[str], create: bool = True) -> str:
        """The absolute path of the directory that the entry names, relative to ``config_directory``; made if need be.

        FileNotFoundError if it is not there and ``create`` is False.
        """
        path = os.path.abspath(os.path.join(self.config_directory, self._get_non_empty_entry(key)))
        if not os.path.exists(path):
            if not create:
                raise FileNotFoundError(f"the directory {path!r}, configured as {key!r}, does not exist")
            os.makedirs(path)
        return path

    def _adjusted_path(self, path: str, relative: bool, check_existence: bool) -> str:
        """The path, absolute or ``relative`` to ``config_directory``; FileNotFoundError if it must exist."""
        path = os.path.abspath(path)
        if check_existence and not os.path.exists(path):
            raise FileNotFoundError(f"No such file: {path}")
        if not relative:
            return path
        below = os.path.relpath(path, os.path.abspath(self.config_directory))
        if below.startswith(os.pardir):
            raise ValueError(f"{path!r} is not below {self.config_directory!r}")
        return below


class DefaultDataConfiguration(ConfigurationBase, ABC):
    """The directories of a project with data, each made when it is asked for.

    They are the entries ``data``, ``data_raw``, ``data_cleaned``, ``data_processed``, ``data_ground_truth``,
    ``visualizations``, ``artifacts`` and ``temp``.
    """

    PROCESSED = "processed"
    RAW = "raw"
    CLEANED = "cleaned"
    GROUND_TRUTH = "ground_truth"
    DATA = "data"

    @property
    def artifacts(self) -> str:
        """The directory of models and the like."""
        return self._get_existing_path("artifacts")

    @property
    def visualizations(self) -> str:
        """The directory of plots."""
        return self._get_existing_path("visualizations")

    @property
    def temp(self) -> str:
        """The directory of what can be lost."""
        return self._get_existing_path("temp")

    @property
    def data(self) -> str:
        """The directory of all data."""
        return self._get_existing_path("data")

    @property
    def data_raw(self) -> str:
        """The directory of data as they came."""
        return self._get_existing_path("data_raw")

    @property
    def data_cleaned(self) -> str:
        """The directory of data that were cleaned."""
        return self._get_existing_path("data_cleaned")

    @property
    def data_processed(self) -> str:
        """The directory of data that were processed."""
        return self._get_existing_path("data_processed")

    @property
    def data_ground_truth(self) -> str:
        """The directory of labels."""
        return self._get_existing_path("data_ground_truth")

    def datafile_path(
        self, filename: str, stage: str = "raw", relative: bool = False, check_existence: bool = False
    ) -> str:
        """The path of a file in the directory of a stage: raw, cleaned, processed or ground_truth; else KeyError."""
        if stage not in {self.RAW, self.CLEANED, self.PROCESSED, self.GROUND_TRUTH}:
            raise KeyError(f"Unknown stage: {stage}")
        return self._adjusted_path(os.path.join(getattr(self, f"data_{stage}"), filename), relative, check_existence)

    def artifact_path(self, name: str, relative: bool = False, check_existence: bool = False) -> str:
        """The path of a file in ``artifacts``."""
        return self._adjusted_path(os.path.join(self.artifacts, name), relative, check_existence)


ConfigurationClass = TypeVar("ConfigurationClass", bound=ConfigurationBase)


class ConfigProviderBase(ABC, Generic[ConfigurationClass]):
    """Makes one configuration and keeps it: subclass it with the class in brackets.

    >>> class Settings(ConfigurationBase):
    ...     pass
    >>> class Provider(ConfigProviderBase[Settings]):
    ...     pass
    >>> Provider().get_config(config_directory="/no/such/directory")
    Traceback (most recent call last):
    ...
    holdfast.errors.ConfigError: No configuration entries could be read from ...
    """

    def __init__(self) -> None:
        classes = [found for base in getattr(type(self), "__orig_bases__", ()) for found in get_args(base)]
        if not classes or not isinstance(classes[0], type):
            raise TypeError(
                f"{type(self).__name__} does not name its configuration: derive from ConfigProviderBase[CLASS]"
            )
        self._class: type[ConfigurationClass] = classes[0]
        self._made: tuple[Any, ConfigurationClass] | None = None

    def get_config(self, reload: bool = False, *args: Any, **kwargs: Any) -> ConfigurationClass:
        """The configuration; made anew with ``reload``, and when the arguments of its class are other ones."""
        if self._made is None or reload or self._made[0] != (args, kwargs):
            self._made = (args, kwargs), self._class(*args, **kwargs)
        return self._made[1]


def _read(path: str) -> dict[str, Any]:
    if path.lower().endswith((".yaml", ".yml", ".toml")):
        entries = parse(path)
    else:
        try:
            with open(path, encoding="utf-8") as file:
                entries = json.load(file)
        except ValueError as error:
            line = getattr(error, "lineno", None)
            raise ConfigError(f"{path} is no JSON" + (f" (line {line})" if line else "")) from None
    if not isinstance(entries or {}, dict):
        raise ConfigError(f"{path} holds no names with values")
    return dict(entries or {})
