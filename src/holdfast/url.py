"""Where objects lie, written as one line of text: parsing and printing of locations.

    s3://bucket/prefix                       gs://bucket/prefix        az://container/prefix
    s3://https://host:port/bucket/prefix     a bucket at an endpoint of one's own (gs:// too)
    az://https://host:port/account/container/prefix, or az://https://account.blob.host/container/prefix
    https://host:port/path                   a plain web server        (also http)
    mem://bucket/prefix                      memory of this process
    file:///absolute/path                    a local path; so is anything without "scheme://"
    sqlite:///path.db/prefix                 a database, zip:///path.zip/prefix an archive, hashdir:///directory
    redis://host:port/0/prefix               database 0 of a Redis server (also rediss, over TLS)
    matrix://bucket/prefix                   an alias for a bucket's host (``aliases``)
    config://stores.yaml#store/prefix        a store that a file describes (.yaml .yml .toml), "#/prefix" the main one

The path of a database or an archive itself ends at the first name with a usual ending (.db .sqlite .sqlite3, .zip)
that is no directory; otherwise, and always for hashdir, it is all of it. "//" ends it anywhere: hashdir:///dir//key.
A path is taken literally in every scheme, file:// and http:// included: nothing is percent-decoded, "?" and "#" have
no meaning, "//" stays. So an object is called the same as part of a location and as a key. Local paths alone are made
absolute and freed of ".", ".." and doubled slashes.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace

from . import aliases, redact
from .errors import ConfigError

#: The group of installed entry points ("scheme = module:Class") by which other packages add schemes.
ENTRY_POINTS = "holdfast.stores"

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_SLASHES_MISSING = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/?(?!/)")
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s:/?#@\[\]]+)(?::[0-9]{1,5})?")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_WEB = ("http", "https")
_CLOUD = ("s3", "gs", "az")
_CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_KEY",
}
#: Stores within one local file or directory, and the endings by which such a file is known.
_WITHIN = {"hashdir": (), "sqlite": (".db", ".sqlite", ".sqlite3"), "zip": (".zip",)}
_REDIS = ("redis", "rediss")
_CONFIG = re.compile(r"(.+?\.(?:ya?ml|toml))(?:#([^/]*)(?:/(.*))?)?", re.DOTALL | re.IGNORECASE)
_BUILT_IN = frozenset(("config", "file", "mem", *_CLOUD, *_WEB, *_WITHIN, *_REDIS))
_added: set[str] = set()


@dataclass(frozen=True, slots=True)
class URL:
    """A location: the scheme, an endpoint where it matters, a bucket where there are buckets, and a path.

    ``endpoint`` is ``https://host:port`` for web servers and for clouds elsewhere than at their makers (az: with
    ``/account``), else None. ``path`` is
    absolute for ``file``, elsewhere without a leading slash of its own, and keeps its trailing slash. ``str()`` parses
    back to an equal URL, except that secrets (``userinfo``, the ``user:password`` of a web server, and signatures in
    what looks like a query) are shown as ``***``.

    >>> parse("s3://bucket/a/b").child("c")
    URL(scheme='s3', endpoint=None, bucket='bucket', path='a/b/c')
    >>> str(parse("https://me:secret@host/data/"))
    'https://***@host/data/'
    """

    scheme: str
    endpoint: str | None
    bucket: str
    path: str
    userinfo: str | None = field(default=None, repr=False)

    @property
    def is_directory(self) -> bool:
        """Whether it was written as a directory: with a trailing slash, or as a bucket or server alone."""
        return not self.path or self.path.endswith("/")

    @property
    def local_path(self) -> str:
        """The path as this operating system writes it; only of a ``file`` location."""
        if self.scheme != "file":
            raise ConfigError(f"{self} is not a local path")
        return self.path[1:] if os.name == "nt" else self.path

    @property
    def address(self) -> str:
        """The endpoint with the user and password that belong to it: for a client, never for a log."""
        if self.endpoint is None:
            raise ConfigError(f"{self} has no endpoint")
        return self.endpoint if self.userinfo is None else self.endpoint.replace("://", f"://{self.userinfo}@", 1)

    def child(self, key: str) -> URL:
        """The location of ``key`` below this one, with exactly one slash between."""
        slash = "" if not self.path or self.path.endswith("/") else "/"
        return replace(self, path=f"{self.path}{slash}{key}")

    def parent(self) -> tuple[URL, str]:
        """The directory that holds this location, and this location's name there.

        ``parent.child(name)`` is this URL again. Raises ConfigError for a bucket, a server or the root directory.
        """
        head, slash, name = self.path[:-1].rpartition("/")
        name += self.path[-1:]
        if not name or (name == "/" and self.scheme == "file"):
            raise ConfigError(f"{self} has no parent: name an object in it")
        return replace(self, path=head + slash), name

    def __str__(self) -> str:
        if self.scheme == "file":
            return f"file://{self.path}"
        if self.scheme in _WEB:
            hidden = "" if self.userinfo is None else f"{redact.HIDDEN}@"
            shown = f"{self.endpoint}/{self.path}".replace("://", f"://{hidden}", 1)
            return redact.text(shown) if "?" in self.path else shown
        if self.scheme in _REDIS:
            hidden = "" if self.userinfo is None else f"{redact.HIDDEN}@"
            return f"{self.endpoint}/{self.bucket}/{self.path}".replace("://", f"://{hidden}", 1)
        if self.scheme in _WITHIN:
            plain = f"{self.bucket}/{self.path}"
            ends = _split(self.scheme, plain)[0] == self.bucket and not self.path.startswith("/")
            return f"{self.scheme}://{plain if ends else f'{self.bucket}//{self.path}'}"
        where = self.bucket if self.endpoint is None else f"{self.endpoint}/{self.bucket}"
        return f"{self.scheme}://{where}/{self.path}"


def parse(text: str | os.PathLike[str]) -> URL:
    r"""The location that the text names; text without a scheme is a local path.

    A leading ``~`` of a local path is the home directory. On Windows ``C:\dir`` is ``file:///C:/dir``; elsewhere it is
    a file name like any other. Raises ConfigError for an unknown scheme (which never turns into a local directory),
    a missing bucket or host, and an empty text.

    >>> parse("s3://http://127.0.0.1:9000/bucket/a%20b")
    URL(scheme='s3', endpoint='http://127.0.0.1:9000', bucket='bucket', path='a%20b')
    """
    if isinstance(text, os.PathLike):
        return _local(os.fsdecode(text))
    if not isinstance(text, str):
        raise TypeError(f"a location is a str or a path, not {type(text).__name__}")
    if not text:
        raise ConfigError("the location is empty: write s3://BUCKET/PREFIX or a local path ('.' is this directory)")
    match = _SCHEME.fullmatch(text)
    if match is None:
        return _bare(text)
    scheme, rest = match[1].lower(), match[2]
    if scheme == "file":
        return _file(rest)
    if scheme in _WEB:
        return _web(scheme, rest)
    if scheme in _WITHIN:
        return _within(scheme, rest)
    if scheme in _REDIS:
        return _redis(scheme, rest)
    if scheme == "config":
        return _config(rest)
    if not is_known(scheme):
        host = aliases.find(scheme)
        if host is None or aliases.find(host.partition("://")[0]) is not None:
            raise _unknown(scheme, text)
        return parse(host + rest)
    if scheme in _CLOUD and (endpoint := _SCHEME.fullmatch(rest)):
        return _at_endpoint(scheme, endpoint[1].lower(), endpoint[2])
    bucket, _, path = rest.partition("/")
    if scheme in _BUILT_IN:
        _check_bucket(scheme, bucket, text)
    return URL(scheme, None, bucket, path)


def is_known(scheme: str) -> bool:
    """Whether locations of this scheme can be parsed; asks installed packages only when nothing else knows it."""
    return scheme in _BUILT_IN or scheme in _added or scheme in plugins()


def known_schemes() -> list[str]:
    """Every scheme that can be parsed, in order: built in, added, or offered by an installed package."""
    return sorted({*_BUILT_IN, *_added, *plugins()})


def add_scheme(scheme: str) -> None:
    """Let ``scheme://bucket/path`` parse; ``registry.register`` calls this."""
    if not re.fullmatch(r"[a-z][a-z0-9+.-]+", scheme):
        raise ConfigError(f"{scheme!r} is not a scheme: two or more of a-z, 0-9, '+', '.' and '-', a letter first")
    _added.add(scheme)


def plugins() -> dict[str, str]:
    """What installed packages offer under the entry point group ``holdfast.stores``: scheme -> "module:Class"."""
    from importlib.metadata import entry_points  # 50 ms: paid for unknown schemes alone

    return {entry.name: entry.value for entry in entry_points(group=ENTRY_POINTS)}


def _unknown(scheme: str, text: str) -> ConfigError:
    shown = redact.url(text)
    return ConfigError(
        f"unknown scheme {scheme}:// in {shown!r}: write one of {', '.join(s + '://' for s in known_schemes())}; "
        f"a local directory of that name is written './{shown}'"
    )


def _bare(text: str) -> URL:
    missing = _SLASHES_MISSING.match(text)
    if missing and missing[1].lower() in _BUILT_IN | _added:
        shown = redact.url(text)
        raise ConfigError(f"{shown!r}: write {missing[1]}:// with two slashes, or './{shown}' for a local path")
    return _local(text)


def _file(rest: str) -> URL:
    if rest.startswith("localhost/"):
        rest = rest.removeprefix("localhost")
    if not rest.startswith(("/", "./", "../", "~")):
        raise ConfigError(f"file://{rest} is not absolute: write file:///{rest}, or ./{rest} without a scheme")
    return _local(rest)


def _within(scheme: str, rest: str) -> URL:
    if not rest.startswith(("/", "./", "../", "~")):
        raise ConfigError(f"{scheme}://{rest} is not absolute: write {scheme}:///{rest}, or {scheme}://./{rest}")
    container, key = _split(scheme, rest)
    return URL(scheme, None, _local(container).path.rstrip("/") or "/", key)


def _split(scheme: str, path: str) -> tuple[str, str]:
    """The path of a store's own file or directory, and what is a key in it."""
    container, marked, key = path[1:].partition("//")
    if marked:
        return path[0] + container, key
    names = path.split("/")
    for at, name in enumerate(names, 1):
        head = "/".join(names[:at])
        if name.lower().endswith(_WITHIN[scheme]) and not os.path.isdir(os.path.expanduser(head)):
            return head, "/".join(names[at:])
    return path, ""


def _config(rest: str) -> URL:
    match = _CONFIG.fullmatch(rest)
    if match is None:
        raise ConfigError(
            f"config://{redact.text(rest)} names no configuration: write config://FILE.yaml#STORE/KEY (or .toml)"
        )
    return URL("config", None, f"{_local(match[1]).path}#{match[2] or ''}", match[3] or "")


def _redis(scheme: str, rest: str) -> URL:
    server = _web(scheme, rest)
    database, _, path = server.path.partition("/")
    if database and not database.isdecimal():
        shown = redact.url(f"{scheme}://{rest}")
        raise ConfigError(f"no database in {shown!r}: write {scheme}://HOST/0/PREFIX")
    return URL(scheme, server.endpoint, database or "0", path, server.userinfo)


def _local(text: str) -> URL:
    if not text or "\0" in text:
        raise ConfigError(f"{text!r} is not a local path")
    windows = os.name == "nt"
    if windows and re.match(r"/[A-Za-z]:", text):  # file:///C:/dir
        text = text[1:]
    path = os.path.abspath(os.path.expanduser(text))
    path = "/" + (path.replace("\\", "/") if windows else path.lstrip("/"))
    as_directory = text.endswith(("/", os.sep)) or os.path.basename(text) in {".", ".."}
    return URL("file", None, "", path if path.endswith("/") or not as_directory else path + "/")


def _web(scheme: str, rest: str) -> URL:
    authority, _, path = rest.partition("/")
    userinfo, at, host = authority.rpartition("@")
    if not _HOST.fullmatch(host):
        shown = redact.url(f"{scheme}://{rest}")
        raise ConfigError(f"no host in {shown!r}: write {scheme}://HOST/PATH or {scheme}://HOST:PORT/PATH")
    return URL(scheme, f"{scheme}://{host.lower()}", "", path, userinfo if at else None)


def _at_endpoint(cloud: str, scheme: str, rest: str) -> URL:
    shown = redact.url(f"{cloud}://{scheme}://{rest}")
    example = f"{cloud}://https://HOST:PORT/{'ACCOUNT/CONTAINER' if cloud == 'az' else 'BUCKET'}"
    if scheme not in _WEB:
        raise ConfigError(f"{shown!r}: an endpoint is http:// or https://, as in {example}")
    server = _web(scheme, rest)
    if server.userinfo is not None:
        raise ConfigError(
            f"{shown!r}: credentials do not belong in such a URL; set {_CREDENTIALS[cloud]} or pass options"
        )
    endpoint, path = server.endpoint, server.path
    if cloud == "az" and ".blob." not in str(endpoint):
        # Azure's own hosts are named after the account; elsewhere it is the first part of the path.
        account, _, path = path.partition("/")
        if not _BUCKET.fullmatch(account):
            raise ConfigError(f"no account in {shown!r}: write {example}")
        endpoint = f"{endpoint}/{account}"
    bucket, _, path = path.partition("/")
    _check_bucket(cloud, bucket, shown)
    return URL(cloud, endpoint, bucket, path)


def _check_bucket(scheme: str, bucket: str, text: str) -> None:
    shown = redact.url(text)
    if not bucket:
        raise ConfigError(f"no bucket in {shown!r}: write {scheme}://BUCKET/PREFIX")
    if scheme in _CLOUD and not _BUCKET.fullmatch(bucket):
        raise ConfigError(
            f"{redact.url(f'{scheme}://{bucket}/')!r} does not name a bucket: letters, digits, '.', '-', '_'"
        )
