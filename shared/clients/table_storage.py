"""The client of the ledger's table.

azure-data-tables is imported, and its client made, with the first call: a cold start pays for neither.

What the service's errors mean is in `ledger/table/errors.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from shared.clients.http_connections import ClientTransport
from shared.clients.identity import Tokens
from shared.config.settings import Settings, storage_endpoint
from shared.ledger.table.azure import CLIENT_OPTIONS, AzureTable

if TYPE_CHECKING:
    from azure.data.tables import TableClient


def ledger_table(
    settings: Settings, *, environment: Mapping[str, str], tokens: Tokens
) -> AzureTable:
    """Return the ledger's table.

    Args:
        settings: Name the table and its storage connection.
        environment: The app settings, which define the connection.
        tokens: The identity, for a connection without a connection string.

    Raises:
        SettingError: The connection is not set, or cannot be used.
    """
    storage = storage_endpoint(environment, settings.ledger_connection, service="table")

    def connect() -> TableClient:
        from azure.data.tables import TableClient

        options = {
            "transport": ClientTransport(
                connection_timeout=timedelta(seconds=CLIENT_OPTIONS["connection_timeout"]),
                read_timeout=timedelta(seconds=CLIENT_OPTIONS["read_timeout"]),
            ),
            **CLIENT_OPTIONS,
        }
        if storage.connection_string is not None:
            return TableClient.from_connection_string(
                storage.connection_string, settings.ledger_table, **options
            )
        return TableClient(
            storage.endpoint or "",
            settings.ledger_table,
            credential=tokens.for_client(storage.client_id),
            **options,
        )

    description = f"table {settings.ledger_table} of {settings.ledger_connection}"
    return AzureTable(connect, described=description)
