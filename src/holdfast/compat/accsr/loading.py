"""The names of ``accsr.loading``: files from the web, and out of archives."""

from __future__ import annotations

import os
import re
import tarfile
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ... import network, redact, registry
from ... import url as locations
from ...errors import AlreadyExists, ConfigError, NotFound, StoreError, Timeout
from ...progress import bar
from ...store import ObjectStore
from ...sync import Regex
from ...types import WriteOptions

CHUNK = 1 << 20
#: Seconds without progress after which a download is given up.
PATIENCE = 60.0


def download_file(
    url: str,
    output_file: str | os.PathLike[str],
    show_progress: bool = False,
    overwrite_existing: bool = False,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Write what is at the URL (http or https) to the file, whole or not at all; its directory is made.

    ``headers`` go with this request alone; of them ``Authorization`` and ``Cookie`` do not follow a redirection to
    another host. Raises FileExistsError if something is there, unless ``overwrite_existing``, NotFound for 404, and
    StoreError for any other answer than 200 and for a body that is cut short.
    """
    import urllib3

    shown = redact.url(url)
    if urllib.parse.urlsplit(url).scheme not in {"http", "https"}:
        raise ConfigError(f"{shown!r} is no address of the web: it begins with http:// or https://")
    path = os.path.abspath(output_file)
    if not overwrite_existing and os.path.lexists(path):
        raise AlreadyExists(f"{path} is there already: pass overwrite_existing=True to replace it")
    folder, name = os.path.split(path)
    options = WriteOptions(if_absent=not overwrite_existing)
    with network.pool_manager(url, timeout=urllib3.Timeout(PATIENCE)) as pool, _store(folder) as files:
        try:
            answer = pool.request(
                "GET", url, headers={"accept-encoding": "identity", **(headers or {})}, preload_content=False
            )
            with answer, bar(show_progress, f"downloading {name}") as progress:
                if answer.status != 200:
                    kind = NotFound if answer.status == 404 else StoreError
                    raise kind(f"{shown} answers {answer.status} {answer.reason or ''}".rstrip())
                files.write(name, _watched(answer.stream(CHUNK, decode_content=False), progress.advance), options)
        except urllib3.exceptions.TimeoutError as error:
            raise Timeout(f"{shown} sends nothing any more") from error
        except urllib3.exceptions.HTTPError as error:
            raise StoreError(f"{shown} cannot be read: {redact.text(str(error))}") from error


def _watched(chunks: Iterator[bytes], advance: Callable[[int, int], None]) -> Iterator[bytes]:
    for chunk in chunks:
        advance(0, len(chunk))
        yield chunk


def _store(folder: str) -> ObjectStore:
    return registry.open_store(locations.parse(Path(os.path.realpath(folder))))


@contextmanager
def open_file_in_tar(path: str | os.PathLike[str], file_regex: str | re.Pattern[str] = ".*") -> Iterator[IO[bytes]]:
    """The one file of the archive whose name the expression matches at its start, opened in a with statement.

    Nothing is extracted. ValueError if no name matches, several do, or the one is that of no file.
    """
    expression = Regex(file_regex) if isinstance(file_regex, str) else Regex(file_regex.pattern, file_regex.flags)
    with tarfile.open(path) as archive, expression:
        members = archive.getmembers()
        hits = expression.matches([member.name for member in members])
        found = [member for member, hit in zip(members, hits, strict=True) if hit]
        if len(found) != 1:
            raise ValueError(f"{expression.pattern!r} matches {len(found)} names in {path}, and should match one")
        file = archive.extractfile(found[0])
        if file is None:
            raise ValueError(f"{found[0].name!r} in {path} is no file")
        with file:
            yield file
