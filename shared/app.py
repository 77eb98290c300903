"""The composition root: reads settings and file once, and puts the parts together. Nothing touches the network."""

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
from typing import TYPE_CHECKING

from shared.clients.blob_storage import Blobs
from shared.clients.http_connections import kept_alive_session
from shared.clients.identity import Tokens
from shared.clients.transport import Transport, host_of
from shared.clients.workspace import Workspace, WorkspaceClient
from shared.config.load import load_config
from shared.config.model import BlobDelivery, BlobSource, Config
from shared.config.settings import Settings, blob_connection_problem, storage_endpoint
from shared.core.events import BlobNotification
from shared.engine.accept import Acceptor, Head
from shared.engine.following import Polling
from shared.engine.searching import Searcher
from shared.engine.send import Sender
from shared.engine.tick.due import DueWork
from shared.engine.tick.tick import TickRunner
from shared.ledger.ledger import Ledger
from shared.ledger.table.azure import CLIENT_OPTIONS, AzureTable
from shared.ledger.table.protocol import Table
from shared.operations.submissions import Operations
from shared.web.api import openapi  # noqa: F401 — importing the module declares the API's routes
from shared.web.registry import Api

if TYPE_CHECKING:
    from azure.data.tables import TableClient

logger = logging.getLogger(__name__)

APP_DIR = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobBinding:
    """What the host must know to call the function of a blob trigger."""

    trigger: str
    """The trigger's name."""
    path: str
    """The binding's path: a container and the names in it."""
    connection: str
    """App-setting name or prefix of the storage connection."""
    source: str
    """A member of `azure.functions.BlobSource`."""


_BLOB_SOURCES = {
    BlobDelivery.EVENT_GRID: "EVENT_GRID",
    BlobDelivery.POLLING: "LOGS_AND_CONTAINER_SCAN",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """Everything the entry points need.

    Attributes:
        config: Today's file.
        operations: What blobs, calls and people start.
        api: What the HTTP routes work on.
        ticking: What the timer function does.
        closers: What closes the edges' connections.
    """

    config: Config
    operations: Operations
    api: Api
    tick_runner: TickRunner
    closers: tuple[Callable[[], None], ...] = ()

    def blob_bindings(self) -> Iterator[BlobBinding]:
        """Yield what the host must know of each blob trigger."""
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
        """Start a blob trigger, if the blob matches it.

        Raises:
            Unavailable: The event is not safe yet. The host delivers it again.
        """
        notification = BlobNotification(trigger=trigger, container=container, path=path)
        self.operations.start(notification)

    def close(self) -> None:
        """Close all connections; for programs that end before their process does."""
        for close in self.closers:
            close()


def compose(
    config: Config,
    *,
    table: Table,
    head: Head,
    workspace: Workspace,
    clock: Callable[[], datetime],
    monotonic: Callable[[], float] = time.monotonic,
    roles: bool = False,
) -> App:
    """Put an app together from its edges; `roles` says whether callers of the HTTP API need one."""
    ledger = Ledger(table, monotonic=monotonic)
    acceptor = Acceptor(config, ledger=ledger, head=head, clock=clock, monotonic=monotonic)
    sender = Sender(config, ledger=ledger, workspace=workspace, clock=clock, monotonic=monotonic)
    due = DueWork(
        ledger=ledger,
        sender=sender,
        searcher=Searcher(config, ledger=ledger, workspace=workspace, clock=clock),
        poller=Polling(config, ledger=ledger, workspace=workspace, clock=clock),
        monotonic=monotonic,
    )
    tick_runner = TickRunner(
        config,
        ledger=ledger,
        acceptor=acceptor,
        sender=sender,
        due=due,
        clock=clock,
        monotonic=monotonic,
    )
    operations = Operations(
        config=config,
        ledger=ledger,
        acceptor=acceptor,
        sender=sender,
        workspace=workspace,
        clock=clock,
    )
    api = Api(operations=operations, roles=roles)
    return App(config=config, operations=operations, api=api, tick_runner=tick_runner)


@functools.cache
def load() -> App:
    """Return this process's app, made from its environment and the triggers file.

    Raises:
        FileError: The triggers file cannot be used: the import fails, and the host shows the message.
        SettingError: An app setting is missing or wrong: likewise.
    """
    return build(os.environ)


def build(environment: Mapping[str, str]) -> App:
    """Make an app with real edges from settings; `load` keeps one for the process.

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
        logger.warning(
            "API_ROLES is on, but App Service authentication is off: callers need a key only",
            extra={"action": "roles_ignored"},
        )
    tokens = Tokens(environment)
    hosts = frozenset(host_of(pipeline.endpoint) for pipeline in config.pipelines.values())
    table = _ledger_table(settings, environment, tokens)
    blobs = Blobs(environment, tokens=tokens)
    workspace = WorkspaceClient(Transport(tokens, hosts=hosts), tokens=tokens)
    app = compose(
        config,
        table=table,
        head=blobs.head,
        workspace=workspace,
        clock=lambda: datetime.now(UTC),
        roles=settings.roles,
    )
    return replace(app, closers=(table.close, blobs.close, workspace.close, tokens.close))


def _ledger_table(settings: Settings, environment: Mapping[str, str], tokens: Tokens) -> AzureTable:
    """Return the ledger's table; its client is made with the first call."""
    place = storage_endpoint(environment, settings.ledger_connection, service="table")

    def connect() -> TableClient:
        from azure.core.pipeline.transport import RequestsTransport
        from azure.data.tables import TableClient

        options = {
            "transport": RequestsTransport(session=kept_alive_session()),
            **CLIENT_OPTIONS,
        }
        if place.connection_string is not None:
            return TableClient.from_connection_string(
                place.connection_string, settings.ledger_table, **options
            )
        return TableClient(
            place.endpoint or "",
            settings.ledger_table,
            credential=tokens.for_client(place.client_id),
            **options,
        )

    return AzureTable(
        connect, described=f"table {settings.ledger_table} of {settings.ledger_connection}"
    )
