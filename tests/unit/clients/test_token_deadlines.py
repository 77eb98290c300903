"""Token requests end: against a socket that accepts and never answers, and against endpoints that answer too slowly."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from local.standins.http_server import Answer, HttpServer, IncomingRequest, Misbehaviour, Wire
from local.standins.identity import IdentityEndpoint, IdentityFault
from shared.clients.identity import DEADLINE, Tokens
from shared.core.errors import TokenUnavailable

SCOPE = "https://management.azure.com/.default"
STORAGE = "https://storage.azure.com/.default"
SOON = timedelta(milliseconds=600)


@pytest.fixture(autouse=True)
def no_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "MSI_ENDPOINT", "AZURE_CLIENT_ID"):
        monkeypatch.delenv(name, raising=False)


def offer(monkeypatch: pytest.MonkeyPatch, url: str) -> dict[str, str]:
    """Make the process's environment offer a managed identity."""
    settings = {"IDENTITY_ENDPOINT": url, "IDENTITY_HEADER": "header"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return settings


class Silent:
    """A socket that accepts, and never answers."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/msi/token"

    def connections(self) -> int:
        """Return how many connections have come since the last call."""
        self._socket.settimeout(0)
        count = 0
        while True:
            try:
                connection, _ = self._socket.accept()
            except BlockingIOError:
                return count
            connection.close()
            count += 1

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def silent() -> Iterator[Silent]:
    one = Silent()
    yield one
    one.close()


def ask(tokens: Tokens, scope: str = SCOPE) -> tuple[str, float]:
    """Ask for a token that does not come, and return the error and how long it took."""
    began = time.monotonic()
    with pytest.raises(TokenUnavailable) as caught:
        tokens.get_token(scope)
    return str(caught.value), time.monotonic() - began


def test_a_token_is_waited_for_half_a_minute_at_most() -> None:
    assert timedelta(seconds=5) < DEADLINE <= timedelta(seconds=30)


def test_an_endpoint_that_never_answers_is_an_error_within_the_deadline(
    monkeypatch: pytest.MonkeyPatch, silent: Silent
) -> None:
    with Tokens(offer(monkeypatch, silent.url), deadline=SOON) as tokens:
        message, took = ask(tokens)
    assert took < 3 * SOON.total_seconds()
    assert "the system-assigned managed identity" in message
    assert SCOPE in message


def test_all_threads_of_a_scope_wait_together_and_make_one_request(
    monkeypatch: pytest.MonkeyPatch, silent: Silent
) -> None:
    with (
        Tokens(offer(monkeypatch, silent.url), deadline=SOON) as tokens,
        ThreadPoolExecutor(16) as threads,
    ):
        answers = list(threads.map(lambda _: ask(tokens), range(16)))
    assert max(took for _, took in answers) < 3 * SOON.total_seconds()
    # One request, and its one retry: never one for each thread.
    assert 1 <= silent.connections() <= 2


def test_a_request_that_outlives_its_deadline_is_not_waited_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    enough = threading.Event()

    def drip(wire: Wire) -> None:
        # Each read of the client gets a byte in time. Only the deadline of the whole request ends the wait.
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not enough.wait(0.05):
            wire.send(b" ")

    with HttpServer(lambda _: drip) as server:
        settings = offer(monkeypatch, server.url)
        with Tokens(settings, deadline=timedelta(milliseconds=300)) as tokens:
            message, took = ask(tokens)
            assert "has not answered for" in message
            assert took < 1
            again, took = ask(tokens)
            assert "has not answered for" in again
            assert took < 0.2
            enough.set()


def test_a_scope_that_hangs_does_not_keep_another(monkeypatch: pytest.MonkeyPatch) -> None:
    arrived = threading.Event()

    def hang(wire: Wire) -> None:
        arrived.set()
        wire.wait(20)

    def handle(request: IncomingRequest) -> Answer | Misbehaviour:
        resource = request.query["resource"]
        if "management" in resource:
            return hang
        soon = int(time.time()) + 86_400
        return Answer.json(
            {"access_token": "t", "expires_on": soon, "resource": resource, "token_type": "Bearer"}
        )

    with HttpServer(handle) as server, ThreadPoolExecutor(1) as threads:
        settings = offer(monkeypatch, server.url)
        with Tokens(settings, deadline=timedelta(seconds=1)) as tokens:
            hanging = threads.submit(ask, tokens, SCOPE)
            assert arrived.wait(10)
            assert tokens.get_token(STORAGE).token == "t"
            assert not hanging.done()
            hanging.result()


def test_it_works_again_when_the_endpoint_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    with IdentityEndpoint() as endpoint:
        for name, value in endpoint.environment.items():
            monkeypatch.setenv(name, value)
        endpoint.fail(*[IdentityFault(status=None, wait=timedelta(seconds=20))] * 2)
        with Tokens(endpoint.environment, deadline=SOON) as tokens:
            ask(tokens)
            assert tokens.get_token(SCOPE).token


@pytest.mark.parametrize("status", [429, 500, 503])
def test_the_endpoint_cannot_make_the_app_wait_by_its_retry_after(
    monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    def refuse(_: object) -> Answer:
        return Answer(status=status, body=b"busy", headers={"Retry-After": "3600"})

    with HttpServer(refuse) as server:
        settings = offer(monkeypatch, server.url)
        with Tokens(settings, deadline=timedelta(seconds=3)) as tokens:
            message, took = ask(tokens)
    assert took < 2
    assert f"answered {status}" in message
