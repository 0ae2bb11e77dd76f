"""The network as the environment describes it: which certificates to trust, which proxy to go through.

``AWS_CA_BUNDLE`` names a PEM file of certificate authorities to trust; without it ``SSL_CERT_FILE`` does, as for every
other program that uses OpenSSL. ``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` (in either letter case)
name proxies. Both planes obey: the engine gets ``engine_options``, requests of our own go through ``pool_manager``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .errors import ConfigError

if TYPE_CHECKING:
    import urllib3

_NAMES = frozenset(
    ("aws_ca_bundle", "ssl_cert_file", "ssl_cert_dir", "https_proxy", "http_proxy", "all_proxy", "no_proxy")
)


def ca_bundle(environment: Mapping[str, str] = os.environ) -> bytes | None:
    """The PEM text of the authorities that AWS_CA_BUNDLE names, or None; ConfigError if there is no such file.

    >>> ca_bundle({}) is None
    True
    """
    path = environment.get("AWS_CA_BUNDLE")
    if not path:
        return None
    try:
        with open(os.path.expanduser(path), "rb") as file:
            data = file.read()
    except OSError as error:
        raise ConfigError(f"AWS_CA_BUNDLE={path} cannot be read: {error.strerror}", cause=error) from error
    if b"-----BEGIN CERTIFICATE-----" not in data:
        raise ConfigError(f"AWS_CA_BUNDLE={path} holds no certificate in PEM form")
    return data


def engine_options(environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """What the engine's client must be told; proxies and SSL_CERT_FILE it reads from the environment by itself.

    The authorities of AWS_CA_BUNDLE are trusted in addition to the system's.
    """
    bundle = ca_bundle(environment)
    return {} if bundle is None else {"root_certificate": bundle}


def identity(environment: Mapping[str, str] = os.environ) -> tuple[tuple[str, str], ...]:
    """The variables that make two clients differ: connections made under other ones must not be shared."""
    return tuple(sorted((name, value) for name, value in environment.items() if name.lower() in _NAMES))


def _bypassed(host: str, proxies: Mapping[str, str]) -> bool:
    import urllib.request

    # The standard library has it, undocumented, and urllib.request itself asks it.
    return bool(urllib.request.proxy_bypass_environment(host, proxies))  # type: ignore[attr-defined]


def pool_manager(url: str, **options: Any) -> urllib3.PoolManager:
    """A urllib3 pool for requests to this URL: through the right proxy, trusting the right authorities.

    ``options`` go to urllib3 (timeouts, sizes, retries). Proxies are those of this process's environment.
    Raises ConfigError for an AWS_CA_BUNDLE that cannot be used.
    """
    import ssl
    import urllib.parse
    import urllib.request

    import urllib3

    if (bundle := ca_bundle()) is not None:
        context = ssl.create_default_context()
        try:
            context.load_verify_locations(cadata=bundle.decode("ascii", "replace"))
        except ssl.SSLError as error:
            raise ConfigError(f"AWS_CA_BUNDLE={os.environ['AWS_CA_BUNDLE']} holds no usable certificate") from error
        options["ssl_context"] = context
    proxies = urllib.request.getproxies_environment()
    parts = urllib.parse.urlsplit(url)
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or _bypassed(parts.netloc, proxies):
        return urllib3.PoolManager(**options)
    where = urllib3.util.parse_url(proxy if "://" in proxy else f"http://{proxy}")
    if where.auth:
        options["proxy_headers"] = urllib3.make_headers(proxy_basic_auth=urllib.parse.unquote(where.auth))
    return urllib3.ProxyManager(where._replace(auth=None).url, **options)
