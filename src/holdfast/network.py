"""The network as the environment describes it: which certificates to trust, which proxy to go through.

``AWS_CA_BUNDLE`` names a PEM file of certificate authorities to trust in addition to the system's, which
``SSL_CERT_FILE`` replaces as for every program that uses OpenSSL. ``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY`` and
``NO_PROXY`` (in either letter case) name proxies. Both planes obey, by one decision: the engine's clients get
``engine_options``, requests of our own go through ``pool_manager``.
"""

from __future__ import annotations

import ipaddress
import os
import urllib.parse
import urllib.request  # here, because a child that is forked while a thread imports it would hang
from typing import TYPE_CHECKING, Any

from .errors import ConfigError

if TYPE_CHECKING:
    import urllib3

_NAMES = frozenset(
    ("aws_ca_bundle", "ssl_cert_file", "ssl_cert_dir", "https_proxy", "http_proxy", "all_proxy", "no_proxy")
)


def ca_bundle() -> bytes | None:
    """The PEM text of the authorities that AWS_CA_BUNDLE names, or None; ConfigError if they cannot be used."""
    path = os.environ.get("AWS_CA_BUNDLE")
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


def proxy_for(url: str) -> str | None:
    """The proxy, with its user and password, that requests to this URL go through, or None.

    NO_PROXY holds host names, domains (".example"), addresses, networks ("10.0.0.0/8") or "*". HTTP_PROXY in capitals
    is ignored where REQUEST_METHOD is set, because a web server's client may have named it.
    """
    proxy = _proxy(url)
    return None if proxy is None or _bypassed(url) else proxy


def engine_options(url: str) -> dict[str, Any]:
    """What a client of the engine for this URL must be told; SSL_CERT_FILE it knows by itself."""
    options: dict[str, Any] = {}
    if (bundle := ca_bundle()) is not None:
        options["root_certificate"] = bundle
    if (proxy := _proxy(url)) is not None:
        options["proxy_url"] = proxy
        if _bypassed(url):
            # Without a proxy of its own the engine reads the variables again, and differently ("*").
            options["proxy_excludes"] = urllib.parse.urlsplit(url).hostname
    return options


def identity() -> tuple[tuple[str, str], ...]:
    """The variables that make two clients differ: connections made under other ones must not be shared."""
    return tuple(sorted((name, value) for name, value in os.environ.items() if name.lower() in _NAMES))


def pool_manager(url: str, **options: Any) -> urllib3.PoolManager:
    """A urllib3 pool for requests to this URL: through the right proxy, trusting the right authorities.

    ``options`` go to urllib3 (timeouts, sizes, retries). Raises ConfigError for an AWS_CA_BUNDLE that cannot be used.
    """
    import ssl

    import urllib3

    if (bundle := ca_bundle()) is not None:
        context = ssl.create_default_context()
        try:
            context.load_verify_locations(cadata=bundle.decode("ascii", "replace"))
        except ssl.SSLError as error:
            raise ConfigError(f"AWS_CA_BUNDLE={os.environ['AWS_CA_BUNDLE']} holds no usable certificate") from error
        options["ssl_context"] = context
    proxy = proxy_for(url)
    if proxy is None:
        return urllib3.PoolManager(**options)
    where = urllib3.util.parse_url(proxy)
    if where.auth:
        options["proxy_headers"] = urllib3.make_headers(proxy_basic_auth=urllib.parse.unquote(where.auth))
    return urllib3.ProxyManager(where._replace(auth=None).url, **options)


def pool(url: str, **options: Any) -> urllib3.HTTPConnectionPool:
    """The connections that requests to the host of this URL take, as by ``pool_manager``.

    Requests name their target as servers read it, byte for byte; but to a proxy that they go through in the clear
    (``proxy`` is not None then), by the whole URL.
    """
    return pool_manager(url, **options).connection_from_url(url)


def _proxy(url: str) -> str | None:
    """The proxy for the scheme of this URL, whatever NO_PROXY says."""
    proxies = urllib.request.getproxies_environment()
    proxy = proxies.get(urllib.parse.urlsplit(url).scheme) or proxies.get("all")
    if not proxy:
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _bypassed(url: str) -> bool:
    """Whether NO_PROXY names the host of this URL."""
    parts = urllib.parse.urlsplit(url)
    proxies = urllib.request.getproxies_environment()
    # Undocumented, but what urllib.request itself asks; it knows no networks.
    if urllib.request.proxy_bypass_environment(parts.netloc, proxies):  # type: ignore[attr-defined]
        return True
    networks = [entry.strip() for entry in proxies.get("no", "").split(",") if "/" in entry]
    return any(_within(parts.hostname or "", network) for network in networks)


def _within(host: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
