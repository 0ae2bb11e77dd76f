"""Azurite, the Azure Blob emulator; which `make servers` installs with npm."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import itertools
import os
import urllib.parse
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from xml.etree import ElementTree as ET

from tests.servers.process import Server, free_port, http_answers


class Azurite(Server):
    """Azure Blob on a free port, in memory, with the emulator's published account."""

    name = "azurite"
    install = "npm install --global azurite"
    program = "azurite-blob"
    account = "devstoreaccount1"
    account_key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        super().__init__(directory)
        self.port = free_port()
        self._serial = itertools.count(1)

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

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which a process finds its credentials."""
        return {"AZURE_STORAGE_ACCOUNT_KEY": self.account_key}

    def url(self, container: str, prefix: str = "") -> str:
        """The `az://http://...` address of a container, or of a prefix in it."""
        return f"az://{self.endpoint}/{container}" + (f"/{prefix}" if prefix else "")

    def make_container(self, *, public: bool = False) -> str:
        """The name of a fresh container, whose blobs anybody may read if it is public."""
        name = f"container-{os.getpid()}-{next(self._serial)}"
        self.request("PUT", name, {"restype": "container"}, {"x-ms-blob-public-access": "container"} if public else {})
        return name

    def metadata(self, container: str) -> dict[str, str] | None:
        """The metadata of a container, or None if there is no such container."""
        page = ET.fromstring(self.request("GET", "", {"comp": "list", "include": "metadata", "prefix": container}))
        for found in page.findall("Containers/Container"):
            if found.findtext("Name") == container:
                return {entry.tag: entry.text or "" for entry in found.find("Metadata") or ()}
        return None

    def sas(self, container: str) -> str:
        """A SAS token that may do everything in one container for an hour, signed by hand."""
        ends = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        values = {"sp": "racwdl", "se": ends, "sv": "2021-08-06", "sr": "c"}
        resource = f"/blob/{self.account}/{container}"
        fields = (values["sp"], "", ends, resource, "", "", "", values["sv"], "c", *[""] * 7)
        digest = hmac.new(base64.b64decode(self.account_key), "\n".join(fields).encode(), hashlib.sha256).digest()
        return urllib.parse.urlencode({**values, "sig": base64.b64encode(digest).decode()})

    def objects(self, container: str) -> dict[str, bytes]:
        """What the container holds, read around Holdfast."""
        found: dict[str, bytes] = {}
        marker = ""
        while True:
            query = {"restype": "container", "comp": "list", **({"marker": marker} if marker else {})}
            page = ET.fromstring(self.request("GET", container, query))
            for name in page.findall("Blobs/Blob/Name"):
                key = name.text or ""
                found[key] = self.request("GET", f"{container}/{urllib.parse.quote(key)}")
            marker = page.findtext("NextMarker") or ""
            if not marker:
                return found

    def put(self, container: str, key: str, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Store one blob around Holdfast."""
        path = f"{container}/{urllib.parse.quote(key)}"
        self.request("PUT", path, {}, {"x-ms-blob-type": "BlockBlob", **(headers or {})}, data)

    def delete(self, container: str, key: str) -> None:
        """Remove one blob around Holdfast."""
        self.request("DELETE", f"{container}/{urllib.parse.quote(key)}")

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> bytes:
        """The body of the answer to one request, signed with the account's key; AssertionError for any refusal."""
        query = query or {}
        ours = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-08-06", **(headers or {})}
        signed = "".join(f"{name}:{ours[name]}\n" for name in sorted(ours))
        resource = f"/{self.account}/{self.account}/{path}" + "".join(f"\n{k}:{query[k]}" for k in sorted(query))
        text = f"{method}\n\n\n{len(body) or ''}{chr(10) * 9}{signed}{resource}"
        digest = hmac.new(base64.b64decode(self.account_key), text.encode(), hashlib.sha256).digest()
        ours["Authorization"] = f"SharedKey {self.account}:{base64.b64encode(digest).decode()}"
        ours["Content-Length"] = str(len(body))
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            target = f"/{self.account}/{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
            connection.request(method, target, body, ours)
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        assert answer.status < 300, f"{method} {target}: {answer.status} {data[:300]!r}"
        return data
