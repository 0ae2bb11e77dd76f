"""Secrets files: JSON in ``~/.cloudvolume/secrets`` and ``~/.cloudfiles/secrets``, for one bucket or for all.

For a service there are two names, ``BUCKET-SERVICE-secret.json`` and ``SERVICE-secret.json``, and two directories. The
first that exists wins, in this order: the bucket's own file in ``~/.cloudvolume/secrets``, then in
``~/.cloudfiles/secrets``, then the general one in the same two. CLOUD_VOLUME_DIR and CLOUD_FILES_DIR replace
``~/.cloudvolume`` and ``~/.cloudfiles``. Services are ``aws``, ``google``, the name of an alias (``matrix``), ``cave``
and ``http``; for the last two the "bucket" is the host.
"""

from __future__ import annotations

import os
from collections.abc import Mapping


def directories(environment: Mapping[str, str] = os.environ) -> list[str]:
    """The directories in which secrets files are looked for, in order.

    >>> directories({"CLOUD_VOLUME_DIR": "/a", "CLOUD_FILES_DIR": "/b"})
    ['/a/secrets', '/b/secrets']
    """
    homes = (
        environment.get("CLOUD_VOLUME_DIR") or "~/.cloudvolume",
        environment.get("CLOUD_FILES_DIR") or "~/.cloudfiles",
    )
    return [os.path.join(os.path.expanduser(home), "secrets") for home in homes]


def names(service: str, bucket: str = "") -> list[str]:
    """What a secrets file for this service and bucket may be called, the bucket's own name first.

    >>> names("aws", "photos")
    ['photos-aws-secret.json', 'aws-secret.json']
    """
    general = f"{service}-secret.json"
    return [f"{bucket}-{general}", general] if bucket else [general]


def find(service: str, bucket: str = "", environment: Mapping[str, str] = os.environ) -> str | None:
    """The path of the secrets file that counts for this service and bucket, or None."""
    for name in names(service, bucket):
        for directory in directories(environment):
            path = os.path.join(directory, name)
            if os.path.isfile(path):
                return path
    return None
