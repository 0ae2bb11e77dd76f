"""The serialisations that need nothing but Python."""

from ....mapping.serialisers import json, json_zlib, none, pickle, raw_string

__all__ = ["json", "json_zlib", "none", "pickle", "raw_string"]
