"""What is done to keys, as data: mappings that ``KeyTransformingStore`` applies, each with its reversal.

``transform_key`` gives the key under which an object is stored, ``reverse_transform_key`` the key that is stored so,
or ValueError for a stored key that it never makes: such an object belongs to somebody else.
"""

from __future__ import annotations

import hashlib
from urllib.parse import quote, unquote

from ..errors import InvalidKey
from ._refusing import Validator, refusal


class KeyTransformer:
    """A mapping of keys and its reversal; this one changes nothing: subclass it.

    Two keys must never become the same stored key.

    >>> KeyTransformer().transform_key("a"), KeyTransformer().reverse_transform_key("a")
    ('a', 'a')
    """

    def transform_key(self, key: str) -> str:
        """The key to store the object under."""
        return key

    def reverse_transform_key(self, key: str) -> str:
        """The key of the object that is stored under this one; ValueError if there is none."""
        return key

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({values})"


class ValidatingKeyTransformer(KeyTransformer):
    """The same keys, of which a validator accepts some: any other is a RefusedKey (a KeyError).

    The validator is that of a ``KeyValidatingStore``: it raises KeyError or ValueError, or returns False.

    >>> from holdfast.wrap.guard import RegexValidator
    >>> ValidatingKeyTransformer(RegexValidator("[a-z]+")).transform_key("abc")
    'abc'
    """

    def __init__(self, validator: Validator) -> None:
        self.validator = validator

    def transform_key(self, key: str) -> str:
        """The key, if the validator accepts it."""
        refused = refusal(self.validator, key)
        if refused is not None:
            raise refused from refused.cause
        return key

    def reverse_transform_key(self, key: str) -> str:
        """The key, if the validator accepts it; else ValueError."""
        refused = refusal(self.validator, key)
        if refused is not None:
            raise ValueError(f"the validator does not accept {key!r}") from refused
        return key


class PrefixKeyTransformer(KeyTransformer):
    """Keys with a prefix before them.

    >>> PrefixKeyTransformer("p/").transform_key("a"), PrefixKeyTransformer("p/").reverse_transform_key("p/a")
    ('p/a', 'a')
    """

    def __init__(self, prefix: str) -> None:
        if not isinstance(prefix, str):
            raise TypeError(f"a prefix is a str, not {type(prefix).__name__}")
        self.prefix = prefix

    def transform_key(self, key: str) -> str:
        """The prefix and the key."""
        return self.prefix + key

    def reverse_transform_key(self, key: str) -> str:
        """What follows the prefix; ValueError for a key without it."""
        if not key.startswith(self.prefix):
            raise ValueError(f"{key!r} does not start with {self.prefix!r}")
        return key[len(self.prefix) :]


class HashPrefixKeyTransformer(KeyTransformer):
    """Keys with the start of their own SHA-256 before them, which spreads neighbours over the whole key space.

    ``hash_length`` hexadecimal digits (1 to 64) and the separator come before the key.

    >>> HashPrefixKeyTransformer().transform_key("key")
    '2c70e12b/key'
    """

    def __init__(self, hash_length: int = 8, separator: str = "/") -> None:
        if not 1 <= hash_length <= 64:
            raise ValueError(f"hash_length is 1 to 64 digits, not {hash_length}")
        self.hash_length = hash_length
        self.separator = separator

    def transform_key(self, key: str) -> str:
        """The start of the key's hash, the separator and the key."""
        digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
        return digest[: self.hash_length] + self.separator + key

    def reverse_transform_key(self, key: str) -> str:
        """The key after the hash; ValueError where that is not its hash."""
        outer = key[self.hash_length + len(self.separator) :]
        if self.transform_key(outer) != key:
            raise ValueError(f"{key!r} does not start with the hash of its rest")
        return outer


class UrlEncodingKeyTransformer(KeyTransformer):
    """Keys with everything but slashes, ASCII letters, digits and ``_.-~`` percent-encoded (RFC 3986, UTF-8).

    >>> UrlEncodingKeyTransformer().transform_key("a b/ü")
    'a%20b/%C3%BC'
    """

    def transform_key(self, key: str) -> str:
        """The percent-encoded key."""
        encoded = quote(key, safe="/", errors="surrogateescape")
        if not key.isascii() and self._decoded(encoded) != key:
            message = f"key {key!r} holds undecoded bytes that together are the UTF-8 of another key"
            raise InvalidKey(message, key=key)
        return encoded

    def reverse_transform_key(self, key: str) -> str:
        """The decoded key; ValueError for one that is not encoded just so (another spelling is another object)."""
        outer = self._decoded(key)
        if quote(outer, safe="/", errors="surrogateescape") != key:
            raise ValueError(f"{key!r} is not how a key is encoded here")
        return outer

    def _decoded(self, key: str) -> str:
        return unquote(key, errors="surrogateescape")
