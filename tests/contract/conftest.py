"""Every implementation of `Table`, with a new table for each test."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

import pytest
from azure.data.tables import TableClient

from local.standins.azurite import Azurite
from local.standins.storage_faults import FaultyTransport
from local.testing.memory_table import Fault, MemoryTable
from shared.ledger.table.azure import CLIENT_OPTIONS, AzureTable
from shared.ledger.table.protocol import Table

type MakeTable = Callable[..., Table]


@pytest.fixture(
    params=[
        "memory",
        pytest.param("azure", marks=[pytest.mark.azurite, pytest.mark.xdist_group("azurite")]),
    ]
)
def make_table(request: pytest.FixtureRequest) -> Iterator[MakeTable]:
    """Return a function that opens this test's table, each time as another process would.

    Its argument `fault` returns the fault of a call by the call's name, or None.
    """
    if request.param == "memory":
        yield memory_tables()
        return
    azurite: Azurite = request.getfixturevalue("azurite")
    opened: list[AzureTable] = []
    name = f"t{secrets.token_hex(8)}"

    def open_azure(fault: Callable[[str], Fault | None] | None = None) -> Table:
        def on_request(method: str, url: str) -> Fault | None:
            return fault("transact" if url.endswith("$batch") else method) if fault else None

        def connect() -> TableClient:
            return TableClient.from_connection_string(
                azurite.connection_string,
                name,
                transport=FaultyTransport(on_request),
                **{**CLIENT_OPTIONS, "retry_backoff_factor": 0},
            )

        table = AzureTable(connect, described=f"table {name}")
        opened.append(table)
        return table

    yield open_azure
    for table in opened:
        table.close()


def memory_tables() -> MakeTable:
    """Return a function that opens views of one memory table, each with its own faults."""
    shared = MemoryTable()

    def open_memory(fault: Callable[[str], Fault | None] | None = None) -> Table:
        return shared.view(fault)

    return open_memory
