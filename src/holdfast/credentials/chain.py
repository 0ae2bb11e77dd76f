"""The chain of sources for S3: each looked at in turn, the first that has credentials wins, and all of it is told."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from ..errors import AuthError, HoldfastError
from ..recipes import stayed_behind
from . import files, pairs, profiles, services
from .pairs import S3Credentials
from .providers import Absent, Provider, shared
from .services import Offer


@dataclass(frozen=True, slots=True)
class Look:
    """One source that was looked at: its name, whether it ``won``, and ``why`` it did or did not."""

    source: str
    won: bool
    why: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Which source of credentials a store uses, without any secret.

    ``source`` is the winner's name, or None when nothing was found; ``looks`` are all sources in the order they
    were looked at. ``who`` is a shortened access key id or account, ``expires_at`` when the credentials end.
    """

    store: str
    source: str | None
    why: str
    looks: tuple[Look, ...] = ()
    who: str | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What a walk along the chain came to: a provider, or None, and what was looked at."""

    provider: Provider | None
    looks: tuple[Look, ...]

    def explain(self, store: str) -> Explanation:
        """The walk in words, for ``holdfast whoami``; it may renew the credentials."""
        if self.provider is None:
            return Explanation(store, None, "no source has credentials", self.looks)
        held, last = self.provider.current(), self.looks[-1]
        return Explanation(store, last.source, last.why, self.looks, held.shown(), held.expires_at)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What sources look at: the environment, and the bucket that credentials are for."""

    bucket: str
    environment: Mapping[str, str]


def find(bucket: str, *, explicit: S3Credentials | None = None, environment: Mapping[str, str] | None = None) -> Found:
    """The first source that has credentials for this bucket, and what was looked at before it.

    Metadata services are asked here, within 3 seconds, when nothing before them has an answer. Raises ConfigError
    or AuthError when a source is configured and broken: a wrong login is never skipped in favour of another.
    """
    if explicit is not None:
        return Found(Provider.fixed(explicit), (Look("arguments", True, "credentials were given to the store"),))
    try:
        return _walk(Surroundings(bucket, os.environ if environment is None else environment))
    except HoldfastError as error:
        # Without the frames below, whose variables are the environment: some tools show those of a traceback.
        failed = error.with_traceback(None)
        failed.__context__ = None
    raise failed


def _walk(around: Surroundings) -> Found:
    looks = [Look("arguments", False, "no access_key_id=, secret_access_key= or secrets= was given")]
    for name, look in SOURCES.items():
        offer = look(around)
        if isinstance(offer, str):
            looks.append(Look(name, False, offer))
            continue
        provider = shared(offer.identity, offer.fetch)
        try:
            provider.current()
        except Absent as absent:
            looks.append(Look(name, False, str(absent)))
            continue
        looks.append(Look(name, True, offer.why))
        return Found(provider, tuple(looks))
    return Found(None, tuple(looks))


def nothing_found(store: str, looks: tuple[Look, ...] = (), *, dropped: bool = False) -> AuthError:
    """The error for a store without credentials; ``dropped`` when a pickle left explicit ones behind."""
    why = "no credentials found"
    if dropped:
        why = stayed_behind("its explicit credentials")
    looked = "; ".join(f"{look.source}: {look.why}" for look in looks)
    return AuthError(
        f"{why}. {f'Looked at {looked}. ' if looked else ''}Set {pairs.ACCESS_KEY_ID} and {pairs.SECRET_ACCESS_KEY} or "
        "AWS_PROFILE, or read a public bucket without: anonymous=True (CloudFiles: no_sign_request=True; command line: "
        "--anonymous)",
        store=store,
    )


# ---------------------------------------------------------------------- the sources, in the order they are looked at
def _secrets_file(around: Surroundings) -> Offer | str:
    path = files.find("aws", around.bucket, around.environment)
    if path is not None:
        # Such files may hold what other programs need beside the keys.
        return _fixed(f"there is {path}", pairs.from_mapping(pairs.read_json(path), path, strict=False))
    looked = files.names("aws", around.bucket), files.directories(around.environment)
    return f"no {' or '.join(looked[0])} in {' or '.join(looked[1])}"


def _environment(around: Surroundings) -> Offer | str:
    found = pairs.from_environment(around.environment)
    if found is None:
        return f"{pairs.ACCESS_KEY_ID} and {pairs.SECRET_ACCESS_KEY} are not set"
    return _fixed(f"{pairs.ACCESS_KEY_ID} is set", found)


def _profile(around: Surroundings) -> Offer | str:
    offer = profiles.profile_offer(around.environment)
    if isinstance(offer, S3Credentials):
        name = profiles.profile_name(around.environment) or "default"
        return _fixed(f"the profile {name!r} has keys", offer)
    return offer


def _fixed(why: str, found: S3Credentials) -> Offer:
    return Offer(why, Provider.fixed(found).identity, lambda: found)


SOURCES: dict[str, Callable[[Surroundings], Offer | str]] = {
    "secrets file": _secrets_file,
    "environment": _environment,
    "web identity": lambda around: services.web_identity_offer(around.environment),
    "profile": _profile,
    "container metadata": lambda around: services.container_offer(around.environment),
    "instance metadata": lambda around: services.instance_offer(around.environment),
}
