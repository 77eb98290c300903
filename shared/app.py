"""The composition root: reads settings and file once, and puts the parts together. Nothing touches the network."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from shared.accepting import Accepting, Head
from shared.blobs import Blobs
from shared.config import Config
from shared.config_file import load_config
from shared.due import DueWork
from shared.following import Following
from shared.identity import Tokens
from shared.ledger import Ledger, Table
from shared.ledger.azure_table import CLIENT_OPTIONS, AzureTable
from shared.operations import Operations
from shared.searching import Searching
from shared.sending import Sending
from shared.settings import Settings, blob_connection_problem, storage_endpoint
from shared.tick import Ticking
from shared.transport import Transport, host_of, kept_alive_session
from shared.workspace_client import Workspace, WorkspaceClient

if TYPE_CHECKING:
    from azure.data.tables import TableClient

APP_DIR = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """Everything the entry points need.

    Attributes:
        config: Today's file.
        operations: What blobs, calls and people start.
        ticking: What the timer function does.
        closers: What closes the edges' connections.
    """

    config: Config
    operations: Operations
    ticking: Ticking
    closers: tuple[Callable[[], None], ...] = ()

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
) -> App:
    """Put an app together from its edges."""
    ledger = Ledger(table, monotonic=monotonic)
    accepting = Accepting(config, ledger=ledger, head=head, clock=clock, monotonic=monotonic)
    sending = Sending(config, ledger=ledger, workspace=workspace, clock=clock, monotonic=monotonic)
    due = DueWork(
        ledger=ledger,
        sending=sending,
        searching=Searching(config, ledger=ledger, workspace=workspace, clock=clock),
        following=Following(config, ledger=ledger, workspace=workspace, clock=clock),
        monotonic=monotonic,
    )
    ticking = Ticking(
        config,
        ledger=ledger,
        accepting=accepting,
        sending=sending,
        due=due,
        clock=clock,
        monotonic=monotonic,
    )
    operations = Operations(
        config=config,
        ledger=ledger,
        accepting=accepting,
        sending=sending,
        workspace=workspace,
        clock=clock,
    )
    return App(config=config, operations=operations, ticking=ticking)


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
