"""Where a chaos run takes place: Azurite, the stand-ins over TLS, and the workers between them."""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import ssl
import tempfile
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from azure.data.tables import TableClient

from local.chaos.faults import DEADLINE, POST_FAULTS, FaultBook, PostFaults
from local.chaos.options import START, ChaosOptions
from local.chaos.plan import triggers_file
from local.chaos.workers import WorkerPool
from local.closeable import Closeable
from local.standins.azurite import Azurite
from local.standins.identity import IdentityEndpoint, IdentityFault
from local.standins.workspace.runs import Progress
from local.standins.workspace.search import SearchVisibility
from local.standins.workspace.server import WorkspaceStandIn
from shared.ledger.table.azure import AzureTable

TOKEN_LIFE = timedelta(seconds=304)
"""A token with less than 300 s left is not used: so the identity endpoint is asked again every few seconds."""

IDENTITY_FAULTS = {
    "404": [IdentityFault(status=404)] * 3,
    "429": [IdentityFault(status=429, headers={"Retry-After": "1"})] * 2,
    "500": [IdentityFault(status=500)] * 3,
    "hang": [IdentityFault(status=None, wait=DEADLINE + timedelta(seconds=1))],
}
"""What the identity endpoint answers, and how often in a row: its client asks some of them again by itself."""


class Environment(Closeable):
    """Everything around the app in a chaos run, from construction until `close`.

    Args:
        options: How the run is made.
        azurite: A running one to share; one of its own when None.
        on_late: Called when the answer of a POST is held back.

    Attributes:
        book: What was injected.
        workspace: The stand-in, whose runs count.
        table: The ledger's table, without any faults.
        crew: The workers.
    """

    def __init__(
        self,
        options: ChaosOptions,
        *,
        azurite: Azurite | None,
        on_late: Callable[[], None],
    ) -> None:
        self.book = FaultBook()
        self._began = self._offset = (START - datetime.now(UTC)).total_seconds()
        self._dice = random.Random(f"identity:{options.seed}")  # noqa: S311 — it must be repeatable
        self._disturbance = ""
        with contextlib.ExitStack() as closing:
            folder = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
            azurite = azurite or closing.enter_context(Azurite())
            tls = _certify(folder / "ca.pem")
            self._identity = closing.enter_context(IdentityEndpoint(lifetime=TOKEN_LIFE))
            self.workspace = closing.enter_context(
                WorkspaceStandIn(
                    secret=self._identity.secret,
                    clock=self.now,
                    token_clock=lambda: datetime.now(UTC),
                    progress=Progress(),
                    tls=tls,
                )
            )
            self.workspace.search_visibility = SearchVisibility(
                mode=options.search, lag=options.lag
            )
            self._posts = PostFaults(
                self.book,
                seed=options.seed,
                share=options.post_faults,
                names=[options.only_fault] if options.only_fault else sorted(POST_FAULTS),
                now=self.now,
                on_late=on_late,
            )
            self.workspace.faults.rule(self._posts.decide)
            file = folder / "triggers.yaml"
            pipelines = [uuid.uuid5(uuid.NAMESPACE_OID, str(n)) for n in range(options.groups)]
            endpoints = [self.workspace.submit_url(str(pipeline)) for pipeline in pipelines]
            file.write_text(triggers_file(options, endpoints=endpoints))
            connection, name = azurite.connection_string, f"chaos{secrets.token_hex(8)}"
            self.table = AzureTable(
                lambda: TableClient.from_connection_string(connection, name), described=name
            )
            closing.callback(self.table.close)
            self.pool = closing.enter_context(
                WorkerPool(
                    options.workers,
                    orders={
                        "file": str(file),
                        "connection_string": connection,
                        "table": name,
                        "threads": options.threads,
                        "storage_faults": options.storage_faults,
                        "bug": options.bug,
                    },
                    environment={
                        **os.environ,
                        **self._identity.environment,
                        "REQUESTS_CA_BUNDLE": str(folder / "ca.pem"),
                    },
                    folder=folder,
                    offset=self._offset,
                    seed=options.seed,
                )
            )
            self._closing = closing.pop_all()

    @property
    def hours(self) -> float:
        """How far the clock was moved on."""
        return (self._offset - self._began) / 3600

    def now(self) -> datetime:
        """Say the run's time: real time, moved on."""
        return datetime.now(UTC) + timedelta(seconds=self._offset)

    def move(self, seconds: float) -> None:
        """Move all clocks on."""
        self._offset += seconds
        self.pool.move(self._offset)

    def disturb_identity(self) -> None:
        """Let the identity endpoint refuse the next requests, in one of its ways."""
        self._end_disturbance()
        self._disturbance = self._dice.choice(sorted(IDENTITY_FAULTS))
        self._identity.fail(*IDENTITY_FAULTS[self._disturbance])

    def calm(self) -> None:
        """End all faults."""
        self._posts.active = False
        self._end_disturbance()
        self.pool.quiet()

    def close(self) -> None:
        """Stop everything. Idempotent."""
        self._closing.close()

    def _end_disturbance(self) -> None:
        burst = len(IDENTITY_FAULTS.get(self._disturbance, ()))
        for _ in range(burst - self._identity.recover()):
            self.book.note(f"identity: {self._disturbance}", None)
        self._disturbance = ""


def _certify(file: Path) -> ssl.SSLContext:
    """Return a certificate for loopback, and write its authority's into a file for those who are to trust it."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context
