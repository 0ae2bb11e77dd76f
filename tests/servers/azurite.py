"""Azurite, the Azure Blob emulator; an npm package, so it is only used where somebody installed it."""

from __future__ import annotations

import os

from tests.servers.process import Server, free_port, http_answers


class Azurite(Server):
    """Azure Blob on a free port, in memory, with the emulator's published account."""

    name = "azurite"
    install = "npm install --global azurite"
    program = "azurite-blob"
    account = "devstoreaccount1"

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        super().__init__(directory)
        self.port = free_port()

    @property
    def endpoint(self) -> str:
        """The address of the account, such as `http://127.0.0.1:9555/devstoreaccount1`."""
        return f"http://127.0.0.1:{self.port}/{self.account}"

    def start(self) -> None:
        """Start the server without telemetry, its blobs in memory."""
        where = ("--blobHost", "127.0.0.1", "--blobPort", str(self.port))
        quiet = ("--inMemoryPersistence", "--silent", "--skipApiVersionCheck", "--disableTelemetry")
        self.spawn(self.program, *where, *quiet)
        self.wait_until(lambda: http_answers(self.port), seconds=60)
