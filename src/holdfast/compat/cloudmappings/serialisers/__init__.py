"""The serialisations of cloud-mappings 2.x."""

from .serialisation import CloudMappingSerialisation

__all__ = ["CloudMappingSerialisation"]
