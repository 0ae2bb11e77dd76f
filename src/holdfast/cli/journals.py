"""Journals that are named on the command line: a file that is something else is left as it is."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from ..errors import ConfigError


def refuse_foreign(path: str) -> None:
    """ConfigError for a file that is no journal of syncs; it is only read, whatever it is."""
    try:
        with contextlib.closing(sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute("select fingerprint, source, target, touched from runs limit 0")
            connection.execute("select run, number, phase, action, state from tasks limit 0")
    except sqlite3.Error as error:
        raise ConfigError(
            f"{path} is no journal of syncs ({error}), and was left as it is: name another file"
        ) from error
