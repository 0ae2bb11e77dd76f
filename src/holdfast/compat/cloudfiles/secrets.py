"""Secrets as cloud-files reads them: dicts from files and the environment, read anew at every call."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ...credentials import files
from ...credentials.pairs import read_json
from ...errors import ConfigError

_NAMES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


def secretpath(filepath: str) -> str:
    """Where the file is, or belongs: in ``~/.cloudvolume/secrets``, else in ``~/.cloudfiles/secrets``."""
    places = [os.path.join(directory, filepath) for directory in files.directories()]
    return next((place for place in places if os.path.exists(place)), places[0])


def aws_credentials(bucket: str = "", service: str = "aws", skip_files: bool = False) -> dict[str, Any]:
    """The secrets file for the bucket and service, as it is; else what the environment says; else {}."""
    service = "aws" if service == "s3" else service
    path = None if skip_files else files.find(service, bucket)
    if path is not None:
        return dict(read_json(path))
    found = {}
    if all(os.environ.get(name) for name in _NAMES[:2]):
        found = {name: os.environ[name] for name in _NAMES if os.environ.get(name)}
    if os.environ.get("AWS_DEFAULT_REGION"):
        found["AWS_DEFAULT_REGION"] = os.environ["AWS_DEFAULT_REGION"]
    return found


def google_credentials(bucket: str = "") -> tuple[str | None, Any]:
    """The project and an object of google-auth, from the secrets file for the bucket; (None, None) without one."""
    path = files.find("google", bucket)
    if path is None:
        return None, None
    try:
        from google.oauth2 import service_account
    except ImportError as error:
        raise ConfigError("google_credentials needs google-auth: pip install 'holdfast[gcs]'") from error
    made = service_account.Credentials.from_service_account_file(path)  # type: ignore[no-untyped-call]
    return read_json(path).get("project_id"), made


def cave_credentials(server: str = "") -> Mapping[str, Any] | None:
    """The secrets file with the token for a server, or None."""
    path = files.find("cave", server)
    return None if path is None else read_json(path)


def http_credentials(server: str = "") -> Mapping[str, Any] | None:
    """The secrets file with user and password for a server, or None."""
    path = files.find("http", server)
    return None if path is None else read_json(path)


def __getattr__(name: str) -> Any:
    # Where these are depends on the environment.
    if name in {"CLOUD_VOLUME_DIR", "CLOUD_FILES_DIR"}:
        return os.path.dirname(files.directories()[name == "CLOUD_FILES_DIR"])
    if name == "CLOUD_FILES_LOCK_DIR":
        return os.environ.get(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
