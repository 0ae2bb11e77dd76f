"""A serialisation, as data."""

from ....mapping.serialisers import CloudMappingSerialisation

__all__ = ["CloudMappingSerialisation"]
