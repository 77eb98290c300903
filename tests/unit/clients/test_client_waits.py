"""Azure's own clients wait for a bounded time, though a service never answers, or asks them to wait for longer."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from local.standins.http_server import Answer, HttpServer
from shared.clients import blob_storage
from shared.clients.blob_storage import Blobs
from shared.clients.http_connections import ClientTransport
from shared.clients.identity import Tokens
from shared.clients.table_storage import ledger_table
from shared.config.settings import Settings
from shared.core.errors import StorageUnavailable
from shared.ledger.table.azure import CLIENT_OPTIONS, AzureTable
from shared.ledger.table.errors import TableUnavailable
from tests.unit.clients.doubles import Service


@pytest.fixture
def silent() -> Iterator[str]:
    """Give the URL of a socket that accepts, and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def open_table(url: str) -> AzureTable:
    settings = {"Ledger": f"AccountName=a;AccountKey=c2VjcmV0;TableEndpoint={url}/a"}
    environment = {"LEDGER_CONNECTION": "Ledger", **settings}
    read = Settings.read(environment, app_dir=Path("/app"))
    return ledger_table(read, environment=environment, tokens=Tokens({}))


def test_a_ledger_that_never_answers_is_unavailable_after_the_read_timeout(
    silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CLIENT_OPTIONS, "read_timeout", 0.2)
    monkeypatch.setitem(CLIENT_OPTIONS, "retry_total", 1)
    began = time.monotonic()
    with closing(open_table(silent)) as table, pytest.raises(TableUnavailable):
        table.get("tick")
    assert time.monotonic() - began < 5


def test_a_blob_service_that_never_answers_is_unavailable_after_the_read_timeout(
    silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blob_storage, "READ_TIMEOUT", timedelta(seconds=0.2))
    connection = f"AccountName=acct;AccountKey=c2VjcmV0;BlobEndpoint={silent}/acct"
    blobs = Blobs({"Data": connection}, tokens=Tokens({}), wait=timedelta())
    began = time.monotonic()
    with closing(blobs), pytest.raises(StorageUnavailable):
        blobs.head("Data", "data", "a.csv")
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("asked", ["3600", "Fri, 31 Dec 9999 23:59:59 GMT", "9" * 400])
def test_the_ledger_is_not_waited_for_as_long_as_its_answer_asks(
    asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    service = Service(lambda _: Answer(status=503, headers={"Retry-After": asked}))
    with (
        HttpServer(service) as server,
        closing(open_table(server.url)) as table,
        pytest.raises(TableUnavailable),
    ):
        table.get("tick")
    assert len(service.requests) == 1 + CLIENT_OPTIONS["retry_total"]
    assert slept
    assert max(slept) <= CLIENT_OPTIONS["retry_backoff_max"]


def test_the_transport_of_a_client_has_its_timeouts() -> None:
    transport = ClientTransport(
        connection_timeout=timedelta(seconds=1), read_timeout=timedelta(seconds=2)
    )
    assert (transport.connection_config.timeout, transport.connection_config.read_timeout) == (1, 2)
