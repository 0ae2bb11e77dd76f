"""The names of ``cloudmappings``, of both its generations, under their own module names.

``from holdfast.compat.cloudmappings import AWSS3Mapping`` (0.7) and ``... import AWSS3Storage`` (2.x) do what they did,
with what they promised: writes that are never lost, also on S3. As in 2.x, ``create_mapping()`` pickles unless it is
told otherwise; the classes of the same names in ``holdfast`` ask for a serialisation.
"""

from .cloudmapping import CloudMapping
from .cloudstorage import AWSS3Storage, AzureBlobStorage, AzureTableStorage, CloudStorage, GoogleCloudStorage
from .wrappers import AWSS3Mapping, AzureBlobMapping, GoogleCloudStorageMapping

__all__ = [
    "AWSS3Mapping",
    "AWSS3Storage",
    "AzureBlobMapping",
    "AzureBlobStorage",
    "AzureTableStorage",
    "CloudMapping",
    "CloudStorage",
    "GoogleCloudStorage",
    "GoogleCloudStorageMapping",
]
