"""The composition root. It reads the settings and the triggers file once, and puts the app's parts together.

Nothing here touches the network: the first call of each client does.
"""

from __future__ import annotations

import functools
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from shared.clients.blob_storage import Blobs
from shared.clients.circuit import Circuits, CircuitWorkspace
from shared.clients.identity import Tokens
from shared.clients.table_storage import ledger_table
from shared.clients.transport import Transport, host_of
from shared.clients.workspace import Workspace, WorkspaceClient
from shared.config.load import load_config
from shared.config.model import BlobDelivery, BlobSource, Config
from shared.config.settings import Settings, blob_connection_problem
from shared.core.events import BlobNotification
from shared.core.telemetry import Action, log_decision
from shared.engine.services import BlobReader, Services
from shared.engine.tick.tick import TickReport, run_tick
from shared.ledger.ledger import Ledger
from shared.ledger.table.protocol import Table
from shared.operations.submissions import start
from shared.web.api import openapi  # noqa: F401 — importing the module declares the API's routes
from shared.web.registry import Api

logger = logging.getLogger(__name__)

APP_DIR = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobBinding:
    """The binding of a blob trigger's function, for the Functions host."""

    trigger: str
    """The trigger's name."""
    path: str
    """The binding's path: a container and a pattern of names."""
    connection: str
    """The app setting of the storage connection, or the prefix of several."""
    source: str
    """A member of `azure.functions.BlobSource`."""


_BLOB_SOURCES = {
    BlobDelivery.EVENT_GRID: "EVENT_GRID",
    BlobDelivery.POLLING: "LOGS_AND_CONTAINER_SCAN",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """The whole app, as the entry points use it."""

    services: Services
    """The app's parts."""
    api: Api
    """The HTTP API."""
    closers: tuple[Callable[[], None], ...] = ()
    """Functions that close the connections of the clients."""

    @property
    def config(self) -> Config:
        """Today's triggers file."""
        return self.services.config

    def tick(self) -> TickReport:
        """Run one tick, as the timer function does each minute (`engine.tick.tick.run_tick`)."""
        return run_tick(self.services)

    def blob_bindings(self) -> Iterator[BlobBinding]:
        """Yield the binding of each blob trigger."""
        for trigger in self.config.triggers.values():
            source = trigger.source
            if isinstance(source, BlobSource):
                yield BlobBinding(
                    trigger=trigger.name,
                    path=source.rule.binding_path(source.datastore.container),
                    connection=source.datastore.connection,
                    source=_BLOB_SOURCES[source.delivery],
                )

    def start_blob(self, trigger: str, *, container: str, path: str) -> None:
        """Start a run if the blob matches the trigger.

        Raises:
            Unavailable: The event is not safe yet. The host delivers it again.
        """
        start(self.services, BlobNotification(trigger=trigger, container=container, path=path))

    def close(self) -> None:
        """Close all connections. A program whose process lives longer than its app needs this."""
        for close in self.closers:
            close()


def compose(
    config: Config,
    *,
    table: Table,
    read_blob: BlobReader,
    workspace: Workspace,
    clock: Callable[[], datetime],
    monotonic: Callable[[], float] = time.monotonic,
    roles: bool = False,
) -> App:
    """Return an app made of its parts.

    Args:
        config: The triggers file.
        table: The ledger's table.
        read_blob: Reads a blob's properties.
        workspace: Azure ML.
        clock: Returns the current time (timezone-aware).
        monotonic: Returns seconds of a monotonic clock.
        roles: Whether callers of the HTTP API need a role.
    """
    circuits = Circuits(monotonic)
    services = Services(
        config=config,
        ledger=Ledger(table, monotonic=monotonic),
        read_blob=read_blob,
        workspace=CircuitWorkspace(workspace, circuits),
        clock=clock,
        monotonic=monotonic,
        circuits=circuits,
    )
    return App(services=services, api=Api(services=services, roles=roles))


@functools.cache
def load() -> App:
    """Return this process's app. The first call makes it from the environment and the triggers file.

    Raises:
        FileError: The triggers file cannot be used. The import fails, and the host shows the message.
        SettingError: An app setting is missing or wrong. The import fails likewise.
    """
    return build(os.environ)


def build(environment: Mapping[str, str]) -> App:
    """Return a new app whose clients reach the real services.

    Args:
        environment: The app settings.

    Raises:
        FileError: The triggers file cannot be used.
        SettingError: An app setting is missing or wrong.
    """
    settings = Settings.read(environment, app_dir=APP_DIR)
    config = load_config(
        settings.triggers_file,
        settings=environment,
        connection_problem=partial(blob_connection_problem, environment),
    )
    if settings.roles_ignored:
        log_decision(
            logger,
            Action.ROLES_IGNORED,
            "API_ROLES is on, but App Service authentication is off: callers need a key only",
            level=logging.WARNING,
        )
    tokens = Tokens(environment)
    hosts = frozenset(host_of(pipeline.endpoint) for pipeline in config.pipelines.values())
    table = ledger_table(settings, environment=environment, tokens=tokens)
    blobs = Blobs(environment, tokens=tokens)
    workspace = WorkspaceClient(Transport(tokens, hosts=hosts), tokens=tokens)
    app = compose(
        config,
        table=table,
        read_blob=blobs.head,
        workspace=workspace,
        clock=lambda: datetime.now(UTC),
        roles=settings.roles,
    )
    return replace(app, closers=(table.close, blobs.close, workspace.close, tokens.close))
