"""Faults of storage: carried out or not, and never answered with success."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from local.standins.http_server import Answer, HttpServer, IncomingRequest
from local.standins.storage_faults import (
    OUTAGE_REQUESTS,
    FaultyAdapter,
    StorageChance,
    StorageFault,
)
from shared.clients.http_connections import kept_alive_session


@pytest.fixture
def storage() -> Iterator[tuple[HttpServer, list[str]]]:
    """Return a service, and the paths of the requests that reached it."""
    reached: list[str] = []

    def handle(request: IncomingRequest) -> Answer:
        reached.append(request.path)
        return Answer(body=b"done")

    with HttpServer(handle) as server:
        yield server, reached


@pytest.mark.parametrize("fault", list(StorageFault))
def test_a_storage_fault_is_carried_out_or_not_and_its_answer_is_always_an_error(
    storage: tuple[HttpServer, list[str]], fault: StorageFault
) -> None:
    server, reached = storage
    with kept_alive_session(FaultyAdapter(lambda: fault)) as session:
        try:
            status = session.get(f"{server.url}/x", timeout=10).status_code
        except requests.RequestException:
            status = 0
    assert status in (0, 500, 503)
    assert (reached == ["/x"]) is fault.carried_out


def test_storage_faults_sometimes_outlast_the_client_s_retries_and_can_be_stopped() -> None:
    noted: list[StorageFault] = []
    chance = StorageChance("seed", fraction=0.05, on_fault=noted.append)
    results = [chance.decide() for _ in range(5000)]
    assert [one for one in results if one is not None] == noted
    text = "".join("x" if one else "." for one in results)
    assert "x" * OUTAGE_REQUESTS in text
    assert set(noted) == set(StorageFault)
    chance.fraction = 0.0
    assert {chance.decide() for _ in range(100)} == {None}
