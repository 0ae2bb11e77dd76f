"""Stores described in a YAML or TOML file: which there are, what each is made of, and which is the main one.

    stores:
      bucket: {type: S3Store, config: {bucket: data, access_key_id: "${KEY_ID}", secret_access_key: "${SECRET_KEY}"}}
      cache: {type: FileStore, config: {root: "${CACHE:-/tmp/cache}"}}
      cached: {type: CachingStore, base: {main_store: bucket, cache_store: cache}}
      checked: {type: ReadonlyStore, base: cached}
    main: checked

``type`` is the name of a store or wrapper of Holdfast (with "Async" before it, of one to await), of one added with
``register_store``, or of one that an installed package offers (entry points of the group ``holdfast.stores``); or
``location``, whose ``config`` is a ``url`` and its options. ``base`` names what a wrapper wraps: one store, a list, or
a mapping from parameter to store (or to lists or mappings of stores). ``config`` are the other parameters of the
class. Relative paths count from the directory of the process.

``${VAR}`` and ``${VAR:-default}`` (for a variable that is missing or empty) may stand inside any string and any name in
a parameter's mappings, but not inside defaults and names of stores; ``$${`` is a literal ``${``. They are filled in
after the file was parsed, for the stores that are built, and are text, or numbers and true and false for parameters
that take no text.

Errors name the file, the store and the parameter. They never show what a parameter was set to.
"""

from __future__ import annotations

from .factory import Definition, StoreFactory, open_location, register_store

__all__ = ["Definition", "StoreFactory", "open_location", "register_store"]
