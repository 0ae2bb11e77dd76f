"""Profiles of ``~/.aws``: static keys, credential processes, web identities, and through botocore roles and SSO."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from .. import redact
from ..errors import AuthError, ConfigError
from . import objects
from .pairs import S3Credentials, pair
from .quiet import unlogged
from .services import Offer, from_members, web_identity_offer

#: How long a credential process may take (seconds).
PROCESS_PATIENCE = 60.0

#: Where STS is asked for a role when nothing names a region: a role is good in all of them.
_ANY_REGION = "us-east-1"
_STATIC = {
    "aws_access_key_id": "access_key_id",
    "aws_secret_access_key": "secret_access_key",
    "aws_session_token": "session_token",
}


def profile_name(environment: Mapping[str, str]) -> str | None:
    """The profile that AWS_PROFILE (or AWS_DEFAULT_PROFILE) names, or None for "default" by default."""
    return environment.get("AWS_PROFILE") or environment.get("AWS_DEFAULT_PROFILE") or None


def setting(name: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """One setting of the chosen profile, such as ``region``, or None; a broken file is no reason to fail here."""
    try:
        return read(environment).get(profile_name(environment) or "default", {}).get(name) or None
    except ConfigError:
        return None


def profile_offer(environment: Mapping[str, str]) -> S3Credentials | Offer | str:
    """What the chosen profile has: static credentials, an offer to fetch some, or why there are none.

    As with Amazon's own tools a role comes before SSO, SSO before static keys, and those before a process. Raises
    ConfigError for a profile that AWS_PROFILE names and no file has, for a broken file, and for half a pair.
    """
    chosen = profile_name(environment)
    name = chosen or "default"
    profiles = read(environment)
    if name not in profiles:
        if chosen is None:
            return f"no profile 'default' in {' or '.join(files(environment))}"
        known = ", ".join(sorted(profiles)) or "none"
        places = ", ".join(files(environment))
        raise ConfigError(f"AWS_PROFILE names {name!r}, and the profiles in {places} are: {known}")
    profile = profiles[name]
    where = f"the profile {name!r}"
    if profile.get("role_arn") and profile.get("web_identity_token_file"):
        file, role, session = (profile.get(n) for n in ("web_identity_token_file", "role_arn", "role_session_name"))
        return web_identity_offer(environment, file, role, session)
    meaning = "a role to assume" if profile.get("role_arn") else "SSO"
    if profile.get("role_arn") or profile.get("sso_session") or profile.get("sso_account_id"):
        identity = ("profile", name, *files(environment), profile.get("role_arn"))
        region = environment.get("AWS_REGION")  # which botocore does not read
        return Offer(f"{where} names {meaning}", identity, lambda: _through_botocore(name, meaning, region))
    given = {part: profile.get(member) for member, part in _STATIC.items()}
    if given["access_key_id"] or given["secret_access_key"]:
        return pair(given, where)
    if command := profile.get("credential_process"):
        process = ("process", name, *files(environment))
        return Offer(f"{where} names a credential process", process, lambda: _from_process(command, where))
    return f"{where} has neither keys, nor a role, SSO or a credential process"


def files(environment: Mapping[str, str]) -> tuple[str, str]:
    """The paths of the credentials file and the config file."""
    credentials = environment.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials"
    config = environment.get("AWS_CONFIG_FILE") or "~/.aws/config"
    return os.path.expanduser(credentials), os.path.expanduser(config)


def read(environment: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """All profiles of both files by name; what the credentials file says overrides the config file."""
    credentials, config = files(environment)
    profiles: dict[str, dict[str, str]] = {}
    for path, prefix in ((config, "profile "), (credentials, "")):
        for section, values in _sections(path).items():
            name = section.removeprefix(prefix).strip().strip("\"'")
            if section == "default" or section.startswith(prefix):
                profiles.setdefault(name, {}).update(values)
    return profiles


def _sections(path: str) -> dict[str, dict[str, str]]:
    import configparser

    # No interpolation: a secret may contain a percent sign. No inherited section either.
    parser = configparser.RawConfigParser(strict=False, default_section="\0", allow_no_value=True)
    try:
        with open(path, encoding="utf-8") as file:
            parser.read_file(file)
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else f"it is broken ({type(error).__name__})"
    else:
        return {name: {key: value or "" for key, value in parser.items(name)} for name in parser.sections()}
    # Raised out here, because the parser's own errors quote the line, which may hold a secret.
    raise ConfigError(f"{path} cannot be read: {reason}")


def _from_process(command: str, where: str) -> S3Credentials:
    import shlex
    import subprocess

    try:
        done = subprocess.run(  # noqa: S603 - the user's own configuration names it
            shlex.split(command), stdin=subprocess.DEVNULL, capture_output=True, timeout=PROCESS_PATIENCE, check=False
        )
        problem = f"ends with status {done.returncode}" if done.returncode else ""
        document = json.loads(done.stdout) if not problem else None
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        document, problem = None, f"fails ({type(error).__name__})"
    if not problem and isinstance(document, Mapping) and document.get("Version") == 1:
        return from_members(document, f"the credential process of {where}")
    # Neither the command nor what it printed is shown: both may hold secrets.
    problem = problem or "prints no document of version 1"
    raise AuthError(f"the credential process of {where} {problem}: run it by hand to see why")


def _through_botocore(name: str, meaning: str, region: str | None) -> S3Credentials:
    try:
        import botocore.exceptions
        import botocore.session
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the profile {name!r} names {meaning}, which needs boto3: pip install 'holdfast[s3]'"
        ) from error
    problem = "it has no credentials"
    session = botocore.session.Session(profile=name)  # imports the rest of botocore
    if region or session.get_config_variable("region") is None:
        session.set_config_variable("region", region or _ANY_REGION)
    try:
        with unlogged():  # botocore logs the tokens that it sends
            found = session.get_credentials()
            if found is not None:
                return objects.frozen(found, f"the profile {name!r}")
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        problem = redact.text(str(error))[:240]
    cure = f"; log in with: aws sso login --profile {name}" if meaning == "SSO" else ""
    raise AuthError(f"the profile {name!r} ({meaning}): {problem}{cure}")
