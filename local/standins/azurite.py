"""Azurite: blob, queue and table storage on loopback, in one Node.js process on free ports.

The account and key are the storage emulator's own. They are the same on every machine and not secret (Microsoft Learn,
"Use the Azurite emulator"). Telemetry is switched off.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from datetime import timedelta
from pathlib import Path

from local.closeable import Closeable
from local.processes import child as processes

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The emulator's well-known key. It is public, and no other account has it."""

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path("node_modules/azurite/dist/src/azurite.js")
SERVICES = ("blob", "queue", "table")
_LISTENING = re.compile(r"Azurite (Blob|Queue|Table) service is successfully listening at (\S+)")


class AzuriteMissing(Exception):
    """Azurite cannot be started on this machine. The message says what to install."""


def find_program(*, root: Path = ROOT) -> tuple[str, Path]:
    """Return the paths of Node.js and of the installed Azurite.

    Raises:
        AzuriteMissing: One of them is not installed.
    """
    node = shutil.which("node")
    if node is None:
        raise AzuriteMissing(
            "Azurite needs Node.js 20 or later, but there is no `node` on PATH: install Node.js 20."
        )
    program = root / PROGRAM
    if not program.is_file():
        raise AzuriteMissing(
            f"Azurite is not installed ({PROGRAM} is missing): run `npm ci` in {root}."
        )
    return node, program


class Azurite(Closeable):
    """A running Azurite, from construction until `close`."""

    blob_endpoint: str
    """The base URL of the blob service, with the account's name."""
    queue_endpoint: str
    """The base URL of the queue service, with the account's name."""
    table_endpoint: str
    """The base URL of the table service, with the account's name."""

    def __init__(
        self,
        *,
        location: Path | None = None,
        log: Path | None = None,
        certificate: tuple[Path, Path] | None = None,
        within: timedelta = timedelta(seconds=60),
    ) -> None:
        """Start Azurite and wait until all three services listen.

        Args:
            location: The directory for the data. None keeps data in memory only.
            log: The log file. None puts it into a temporary directory.
            certificate: Certificate and key files (PEM). With them, Azurite speaks https and accepts bearer tokens. It
                checks only the claims of a token.
            within: The longest wait for the start.

        Raises:
            AzuriteMissing: Node.js or Azurite is not installed.
            ChildFailed: Azurite did not start.
        """
        node, program = find_program()
        self._own: tempfile.TemporaryDirectory[str] | None = None
        if log is None:
            self._own = tempfile.TemporaryDirectory(prefix="azurite-")
            log = Path(self._own.name) / "azurite.log"
        command: list[str | Path] = [
            node,
            program,
            "--silent",
            "--disableTelemetry",
            "--skipApiVersionCheck",
        ]
        for service in SERVICES:
            command += [f"--{service}Host", "127.0.0.1", f"--{service}Port", "0"]
        command += ["--inMemoryPersistence"] if location is None else ["--location", location]
        if certificate is not None:
            command += ["--oauth", "basic", "--cert", certificate[0], "--key", certificate[1]]
        if location is not None:
            location.mkdir(parents=True, exist_ok=True)
        self._persistent = location is not None
        try:
            self._child, found = processes.start(
                command, name="Azurite", log=log, ready=_read_endpoints, within=within
            )
        except BaseException:
            self._clean()
            raise
        self.blob_endpoint = f"{found['Blob']}/{ACCOUNT}"
        self.queue_endpoint = f"{found['Queue']}/{ACCOUNT}"
        self.table_endpoint = f"{found['Table']}/{ACCOUNT}"

    @property
    def pid(self) -> int:
        """The id of its process group."""
        return self._child.pid

    @property
    def alive(self) -> bool:
        """Whether Azurite still runs."""
        return self._child.code is None

    @property
    def connection_string(self) -> str:
        """The connection string of the account, with all three endpoints."""
        scheme = self.blob_endpoint.partition(":")[0]
        return (
            f"DefaultEndpointsProtocol={scheme};AccountName={ACCOUNT};AccountKey={KEY};"
            f"BlobEndpoint={self.blob_endpoint};QueueEndpoint={self.queue_endpoint};"
            f"TableEndpoint={self.table_endpoint};"
        )

    def close(self) -> None:
        """Stop Azurite. Data on disk is written first, and data in memory is lost. Idempotent."""
        if self._persistent:
            self._child.stop(grace=timedelta(seconds=10))
        else:
            self._child.kill()
        self._clean()

    def _clean(self) -> None:
        if self._own is not None:
            self._own.cleanup()


def _read_endpoints(output: str) -> dict[str, str] | None:
    found = dict(_LISTENING.findall(output))
    return found if len(found) == len(SERVICES) else None
