"""The environment of a chaos run: Azurite, the stand-ins over TLS, and the worker processes."""

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

from local.chaos.faults import DEADLINE, POST_FAULTS, FaultLog, WorkspaceFaults
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

TOKEN_LIFETIME = timedelta(seconds=304)
"""The client replaces a token that expires in less than 300 s, so it asks the endpoint again every few seconds."""

IDENTITY_FAULTS = {
    "404": [IdentityFault(status=404)] * 3,
    "429": [IdentityFault(status=429, headers={"Retry-After": "1"})] * 2,
    "500": [IdentityFault(status=500)] * 3,
    "hang": [IdentityFault(status=None, wait=DEADLINE + timedelta(seconds=1))],
}
"""The faults of the identity endpoint, by name. Several in a row are needed where the client itself retries."""


class Environment(Closeable):
    """Everything around the app in a chaos run, from construction until `close`.

    Args:
        options: The options of the run.
        azurite: A running Azurite to share. If None, the environment starts its own.
        on_late: Called when the answer of a POST is delayed.
    """

    fault_log: FaultLog
    """The injected faults."""
    workspace: WorkspaceStandIn
    """The workspace stand-in. The checks count its runs."""
    table: AzureTable
    """The ledger's table, without any faults."""
    pool: WorkerPool
    """The worker processes."""

    def __init__(
        self,
        options: ChaosOptions,
        *,
        azurite: Azurite | None,
        on_late: Callable[[], None],
    ) -> None:
        self.fault_log = FaultLog()
        self._began = self._offset = (START - datetime.now(UTC)).total_seconds()
        self._random = random.Random(f"identity:{options.seed}")  # noqa: S311 — it must be repeatable
        self._identity_fault = ""
        with contextlib.ExitStack() as closing:
            folder = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
            azurite = azurite or closing.enter_context(Azurite())
            tls = _make_certificate(folder / "ca.pem")
            self._identity = closing.enter_context(IdentityEndpoint(lifetime=TOKEN_LIFETIME))
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
            self._workspace_faults = WorkspaceFaults(
                self.fault_log,
                seed=options.seed,
                fraction=options.post_faults,
                names=[options.only_fault] if options.only_fault else sorted(POST_FAULTS),
                now=self.now,
                on_late=on_late,
            )
            self.workspace.faults.rule(self._workspace_faults.decide)
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
                    setup={
                        "file": str(file),
                        "connection_string": connection,
                        "table": name,
                        "threads": options.threads,
                        "storage_faults": options.storage_faults,
                        "defect": options.defect,
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
        """How far the clock was advanced, in hours."""
        return (self._offset - self._began) / 3600

    def now(self) -> datetime:
        """Return the run's current time, which is real time plus an offset (timezone-aware)."""
        return datetime.now(UTC) + timedelta(seconds=self._offset)

    def advance_clock(self, seconds: float) -> None:
        """Advance the clocks of the stand-ins and of all workers."""
        self._offset += seconds
        self.pool.set_clock(self._offset)

    def inject_identity_fault(self) -> None:
        """Make the identity endpoint answer its next requests with a random fault."""
        self._end_identity_fault()
        self._identity_fault = self._random.choice(sorted(IDENTITY_FAULTS))
        self._identity.fail(*IDENTITY_FAULTS[self._identity_fault])

    def stop_faults(self) -> None:
        """Stop injecting faults."""
        self._workspace_faults.active = False
        self._end_identity_fault()
        self.pool.stop_storage_faults()

    def close(self) -> None:
        """Stop everything. Idempotent."""
        self._closing.close()

    def _end_identity_fault(self) -> None:
        planned = len(IDENTITY_FAULTS.get(self._identity_fault, ()))
        for _ in range(planned - self._identity.recover()):
            self.fault_log.record(f"identity: {self._identity_fault}", None)
        self._identity_fault = ""


def _make_certificate(authority_file: Path) -> ssl.SSLContext:
    """Return a server context for loopback, and write its authority's certificate for the clients to trust."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(authority_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context
