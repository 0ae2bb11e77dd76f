"""How the values of a mapping become bytes: raw, text, JSON, pickle, tables of pandas, and chains of these.

A serialisation is a pair of functions, as data. None stands for raw bytes, which no function touches. Nothing but the
word ``pickle`` unpickles: who can write to the bucket of a mapping that does, runs code wherever it is read.
"""

from __future__ import annotations

import importlib.util
import json as _json
import pickle as _pickle
import zlib as _zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from io import BytesIO
from typing import Any, Generic, TypeVar

from .. import codecs
from ..blob import Buffer
from ..errors import ConfigError, DecompressionError, EncodingError

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class CloudMappingSerialisation(Generic[T]):
    """A serialisation: ``dumps`` makes bytes of a value, ``loads`` the value of bytes. None, None: raw bytes.

    Falsy if it changes nothing; equal to another whose functions have the same repr, so that ``json() == json()``.

    >>> text = CloudMappingSerialisation(str.encode, bytes.decode)
    >>> text.loads(text.dumps("hello")), bool(CloudMappingSerialisation(None, None))
    ('hello', False)
    """

    dumps: Callable[[T], Any] | None
    loads: Callable[[Any], T] | None

    def __post_init__(self) -> None:
        if (self.dumps is None) != (self.loads is None):
            raise ConfigError("a serialisation has both dumps and loads, or neither")

    def __bool__(self) -> bool:
        return self.dumps is not None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CloudMappingSerialisation):
            return NotImplemented
        return (repr(self.dumps), repr(self.loads)) == (repr(other.dumps), repr(other.loads))

    def __hash__(self) -> int:
        return hash((repr(self.dumps), repr(self.loads)))

    @staticmethod
    def from_chain(
        ordered_dumps_funcs: Sequence[Callable[[Any], Any]], ordered_loads_funcs: Sequence[Callable[[Any], Any]]
    ) -> CloudMappingSerialisation[Any]:
        """The serialisation that applies these functions one after the other, each list in its own order.

        >>> twice = CloudMappingSerialisation.from_chain([str, str.encode], [bytes.decode, int])
        >>> twice.dumps(5), twice.loads(b"5")
        (b'5', 5)
        """
        return CloudMappingSerialisation(
            partial(_apply_all, tuple(ordered_dumps_funcs)), partial(_apply_all, tuple(ordered_loads_funcs))
        )


def _apply_all(functions: Iterable[Callable[[Any], Any]], value: Any) -> Any:
    return reduce(_apply, functions, value)


def _apply(value: Any, function: Callable[[Any], Any]) -> Any:
    return function(value)


def none() -> None:
    """Raw bytes: None, which may as well be given itself."""


def pickle(protocol: int | None = None) -> CloudMappingSerialisation[Any]:
    """Any value of Python, by ``pickle``: only for a bucket that nobody writes to whom you would not let run code.

    >>> pickle().loads(pickle().dumps({1, 2}))
    {1, 2}
    """
    return CloudMappingSerialisation(partial(_pickle.dumps, protocol=protocol), _pickle.loads)


def raw_string(encoding: str = "utf-8") -> CloudMappingSerialisation[str]:
    r"""Text, encoded; anything but a str is a TypeError.

    >>> raw_string().dumps("ü")
    b'\xc3\xbc'
    """
    return CloudMappingSerialisation(partial(bytes, encoding=encoding), partial(_decoded, encoding))


def json(encoding: str = "utf-8") -> CloudMappingSerialisation[Any]:
    """JSON, with the members of objects in the order of their names.

    >>> json().dumps({"b": 1, "a": [None]})
    b'{"a": [null], "b": 1}'
    """
    return CloudMappingSerialisation.from_chain(
        [partial(_json.dumps, sort_keys=True), partial(bytes, encoding=encoding)],
        [partial(_decoded, encoding), _json.loads],
    )


def zlib() -> CloudMappingSerialisation[bytes]:
    """Bytes, compressed: the last link of a chain, after "json" for example.

    What decodes to more than ``holdfast.codecs`` allows (256 MiB, or 100 times its size) is refused.

    >>> zlib().loads(zlib().dumps(b"abc"))
    b'abc'
    """
    return CloudMappingSerialisation(_zlib.compress, _decompress)


def _decompress(data: Buffer) -> bytes:
    decoder, limit = _zlib.decompressobj(), codecs.decoded_limit(len(data))
    decoded = decoder.decompress(data, limit + 1)
    if len(decoded) > limit:
        cure = "if it is to be trusted, set HOLDFAST_DECODED_LIMIT (bytes) higher"
        raise DecompressionError(f"the zlib data decodes to more than {limit} bytes, which may be an attack: {cure}")
    if not decoder.eof:
        raise DecompressionError("the zlib data is truncated")
    return decoded


def json_zlib(encoding: str = "utf-8") -> CloudMappingSerialisation[Any]:
    """JSON, compressed.

    >>> json_zlib().loads(json_zlib().dumps({"a": 1}))
    {'a': 1}
    """
    return chain(json(encoding), zlib())


def csv() -> CloudMappingSerialisation[Any]:
    """DataFrames of pandas as CSV in UTF-8, without their index; ConfigError where pandas is missing."""
    pandas = _pandas("csv")
    return CloudMappingSerialisation.from_chain(
        [partial(pandas.DataFrame.to_csv, index=False), partial(bytes, encoding="utf-8")],
        [BytesIO, partial(pandas.read_csv, encoding="utf-8")],
    )


def parquet() -> CloudMappingSerialisation[Any]:
    """DataFrames of pandas as Parquet, index and types included; ConfigError where pandas or its engine is missing."""
    pandas = _pandas("parquet")
    if importlib.util.find_spec("pyarrow") is None:  # pandas would say it only at the first value
        raise ConfigError("serialisation='parquet' needs the module 'pyarrow': pip install pyarrow")
    return CloudMappingSerialisation.from_chain([pandas.DataFrame.to_parquet], [BytesIO, pandas.read_parquet])


def _pandas(name: str) -> Any:
    try:
        import pandas  # noqa: ICN001 - it is a value here
    except ImportError as error:
        raise ConfigError(f"serialisation={name!r} needs the module 'pandas': pip install pandas") from error
    return pandas


def _decoded(encoding: str, data: Any) -> str:
    return str(data, encoding=encoding)


def chain(*serialisations: str | CloudMappingSerialisation[Any] | None) -> CloudMappingSerialisation[Any]:
    """What applies these one after the other to write, and backwards to read.

    >>> chain("json", "zlib") == json_zlib()
    True
    """
    links = [found for found in map(named, serialisations) if found]
    if not links:
        return CloudMappingSerialisation(None, None)
    return CloudMappingSerialisation.from_chain(
        [function for link in links for function in _flat(link.dumps)],
        [function for link in reversed(links) for function in _flat(link.loads)],
    )


def _flat(function: Any) -> tuple[Callable[[Any], Any], ...]:
    """The functions that this one applies, so that chains of chains are equal to chains."""
    if isinstance(function, partial) and function.func is _apply_all:
        functions: tuple[Callable[[Any], Any], ...] = function.args[0]
        return functions
    return (function,)


def buffers(functions: Sequence[Callable[[Any], Any]]) -> CloudMappingSerialisation[Any]:
    """The serialisation of ``[dumps_1, loads_1, dumps_2, loads_2 ...]``: dumps in this order, loads in reverse.

    ValueError for an odd number of functions.

    >>> buffers([str, int, str.encode, bytes.decode]).dumps(5)
    b'5'
    """
    if len(functions) % 2:
        raise ValueError("Must have an equal number of input buffers as output buffers: dumps and loads, in pairs")
    if not functions:
        return CloudMappingSerialisation(None, None)
    return CloudMappingSerialisation.from_chain(functions[::2], functions[1::2][::-1])


_NAMED: dict[str, Callable[[], CloudMappingSerialisation[Any] | None]] = {
    "raw": none,
    "none": none,
    "pickle": pickle,
    "string": raw_string,
    "raw_string": raw_string,
    "json": json,
    "json_zlib": json_zlib,
    "zlib": zlib,
    "csv": csv,
    "parquet": parquet,
}


def named(serialisation: Any) -> CloudMappingSerialisation[Any] | None:
    """The serialisation of this name, or of this list of names (a chain), or the one that was given; None is raw.

    ConfigError for anything else. Any object with ``dumps`` and ``loads`` will do, such as the module ``pickle``.

    >>> named("json") == json(), named(["json", "zlib"]) == json_zlib(), named("raw")
    (True, True, None)
    """
    match serialisation:
        case None:
            return None
        case CloudMappingSerialisation():
            return serialisation or None
        case str():
            if serialisation not in _NAMED:
                raise ConfigError(
                    f"no serialisation is called {serialisation!r}: known are {', '.join(sorted(_NAMED))}"
                )
            return _NAMED[serialisation]()
        case list() | tuple():
            return chain(*serialisation) or None
    dumps, loads = getattr(serialisation, "dumps", None), getattr(serialisation, "loads", None)
    if not (callable(dumps) and callable(loads)):
        raise ConfigError(
            "serialisation= is a name, such as 'json', a list of names, or an object with dumps and loads, not "
            f"{type(serialisation).__name__}"
        )
    return CloudMappingSerialisation(dumps, loads)


def dumped(serialisation: CloudMappingSerialisation[Any] | None, value: Any) -> Buffer:
    """The bytes of the value; ValueError if that is not what the serialisation makes of it."""
    if serialisation is not None and serialisation.dumps is not None:
        value = serialisation.dumps(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return value
    try:
        return memoryview(value)
    except TypeError:
        message = f"Value must be bytes like, not {type(value).__name__}: a serialisation= makes it so"
    raise ValueError(message)  # as it always was


def loaded(serialisation: CloudMappingSerialisation[Any] | None, data: bytes, key: str, store: str) -> Any:
    """The value of what is stored under the key; EncodingError if the serialisation can make nothing of it."""
    if serialisation is None or serialisation.loads is None:
        return data
    try:
        return serialisation.loads(data)
    except Exception as error:
        # Whatever it is: a KeyError out of a serialisation must not look like a missing key.
        message = f"what is stored under {key!r} is no value of this mapping ({type(error).__name__}: {error})"
        raise EncodingError(message, key=key, store=store, cause=error) from error
