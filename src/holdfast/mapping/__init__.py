"""A dict in the cloud that cannot lose a write: CloudMapping, its serialisations, and its names of old.

``cloudmapping`` is the mapping, ``versions`` what makes it exact, ``knowledge`` what it knows, ``views`` its views,
``bulk`` many keys at a time, ``serialisers`` how values become bytes, ``providers`` and ``clouds`` the constructors
that cloud-mappings has.
"""

from .cloudmapping import CloudMapping
from .serialisers import CloudMappingSerialisation

__all__ = ["CloudMapping", "CloudMappingSerialisation"]
