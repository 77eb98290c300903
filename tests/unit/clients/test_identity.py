"""Tokens, against an identity endpoint on loopback that speaks the protocol of App Service."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from azure.core.credentials import SupportsTokenInfo, TokenCredential

from local.standins.http_server import Answer, HttpServer
from local.standins.identity import IdentityEndpoint, IdentityFault
from shared.clients.identity import Tokens
from shared.core.errors import TokenUnavailable, Unavailable
from tests.unit.clients.doubles import SCOPE

RESOURCE = "https://management.azure.com"
STORAGE = "https://storage.azure.com/.default"

VARIABLES = (
    "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",
    "MSI_ENDPOINT",
    "MSI_SECRET",
    "AZURE_CLIENT_ID",
)


class Clock:
    def __init__(self) -> None:
        self.time = datetime.now(UTC)

    def __call__(self) -> float:
        return self.time.timestamp()


@pytest.fixture(autouse=True)
def no_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[IdentityEndpoint]:
    with IdentityEndpoint(client_ids={"client-a"}) as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        yield running


def test_azure_clients_accept_it_as_a_credential(endpoint: IdentityEndpoint) -> None:
    with Tokens(endpoint.environment) as tokens:
        assert isinstance(tokens, TokenCredential)
        assert isinstance(tokens, SupportsTokenInfo)
        token = tokens.get_token(SCOPE, enable_cae=True)
        information = tokens.get_token_info(SCOPE)
        assert token.token == information.token
        assert token.expires_on == information.expires_on


def test_thirty_two_cold_threads_make_one_request_a_scope(endpoint: IdentityEndpoint) -> None:
    start = threading.Barrier(32)
    with Tokens(endpoint.environment) as tokens, ThreadPoolExecutor(32) as threads:

        def ask(number: int) -> str:
            start.wait()
            return tokens.get_token(SCOPE if number % 2 else STORAGE).token

        assert len(set(threads.map(ask, range(32)))) == 2
    assert endpoint.counts == {RESOURCE: 1, "https://storage.azure.com": 1}


def test_a_token_with_less_than_five_minutes_left_is_asked_for_again(
    endpoint: IdentityEndpoint,
) -> None:
    clock = Clock()
    with Tokens(endpoint.environment, now=clock) as tokens:
        expires = tokens.get_token(SCOPE).expires_on
        clock.time = datetime.fromtimestamp(expires, UTC) - timedelta(seconds=301)
        tokens.get_token(SCOPE)
        assert endpoint.counts[RESOURCE] == 1
        # azure-identity has the token in its own cache, by the real clock: only a new credential shows ours asking.
        tokens.close()
        clock.time += timedelta(seconds=2)
        tokens.get_token(SCOPE)
        assert endpoint.counts[RESOURCE] == 2


def test_a_claims_challenge_asks_for_a_new_token(endpoint: IdentityEndpoint) -> None:
    with Tokens(endpoint.environment) as tokens:
        tokens.get_token(SCOPE)
        tokens.get_token(SCOPE, claims='{"access_token":{"nbf":{"essential":true}}}')
    assert endpoint.counts[RESOURCE] == 2


def test_threads_that_waited_share_a_failure_instead_of_repeating_it() -> None:
    class Counting(Tokens):
        asked = 0
        waiting = threading.Event()

        def _built(self) -> SupportsTokenInfo:
            Counting.asked += 1
            self.waiting.wait(30)
            raise ValueError("no answer")

    tokens = Counting({"IDENTITY_ENDPOINT": "x", "IDENTITY_HEADER": "y"})
    arrived = threading.Semaphore(0)

    def ask() -> str:
        arrived.release()
        with pytest.raises(TokenUnavailable) as caught:
            tokens.get_token(SCOPE)
        return str(caught.value)

    with ThreadPoolExecutor(8) as threads:
        asks = [threads.submit(ask) for _ in range(8)]
        for _ in asks:
            arrived.acquire()
        # All have said that they come; the last one needs a moment to stand at the lock.
        threading.Event().wait(0.2)
        tokens.waiting.set()
        assert len({ask.result() for ask in asks}) == 1
    assert Counting.asked == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_a_refusal_names_the_endpoints_answer_and_how_to_fix_it(
    endpoint: IdentityEndpoint, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint.fail(*[IdentityFault(status=status)] * 8)
    with (
        Tokens(endpoint.environment) as tokens,
        caplog.at_level(logging.INFO),
        pytest.raises(TokenUnavailable) as caught,
    ):
        tokens.get_token(SCOPE)
    text = str(caught.value)
    assert f"the identity endpoint answered {status}" in text
    assert "a fault that was asked for" in text
    assert "the system-assigned managed identity" in text
    assert SCOPE in text
    assert "Check that the identity is assigned to this app" in text
    assert "not found in environment" not in text + caplog.text


def test_an_unknown_client_id_is_named(endpoint: IdentityEndpoint) -> None:
    settings = {**endpoint.environment, "AZURE_CLIENT_ID": "client-b"}
    with Tokens(settings) as tokens, pytest.raises(TokenUnavailable) as caught:
        tokens.get_token(SCOPE)
    assert "the managed identity with client id client-b" in str(caught.value)
    assert "there is no user-assigned identity with that client_id" in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>busy</html>", b"{}", b"[1]", b'"text"', b'{"access_token": "secret-token"}'],
)
def test_an_unusable_answer_is_an_error_without_a_token(
    body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HttpServer(
        lambda _: Answer(body=body, headers={"Content-Type": "application/json"})
    ) as server:
        settings = {"IDENTITY_ENDPOINT": server.url, "IDENTITY_HEADER": "header"}
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        with Tokens(settings) as tokens, pytest.raises(TokenUnavailable) as caught:
            tokens.get_token(SCOPE)
    assert "secret-token" not in str(caught.value)
    assert "no usable answer" in str(caught.value)


def test_an_endpoint_that_does_not_answer_is_worth_a_retry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Impatient(Tokens):
        def _build(self) -> SupportsTokenInfo:
            from azure.identity import ManagedIdentityCredential

            return ManagedIdentityCredential(retry_total=0)

    with HttpServer(lambda _: Answer()) as server:
        settings = {"IDENTITY_ENDPOINT": server.url, "IDENTITY_HEADER": "header"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with Impatient(settings) as tokens, pytest.raises(TokenUnavailable) as caught:
        tokens.get_token(SCOPE)
    assert isinstance(caught.value, Unavailable)
    assert "refused" in str(caught.value)


def test_a_refusal_of_one_scope_is_not_told_of_another(endpoint: IdentityEndpoint) -> None:
    met = threading.Barrier(2)

    class Meeting(Tokens):
        def _explain(self, error: Exception, scopes: tuple[str, ...]) -> str:
            met.wait(30)
            return super()._explain(error, scopes)

    endpoint.fail(IdentityFault(status=400), IdentityFault(status=404))
    with Meeting(endpoint.environment) as tokens, ThreadPoolExecutor(2) as threads:

        def ask(scope: str) -> str:
            with pytest.raises(TokenUnavailable) as caught:
                tokens.get_token(scope)
            return str(caught.value)

        first, second = threads.map(ask, [SCOPE, STORAGE])
    assert {status for status in ("400", "404") for text in (first, second) if status in text} == {
        "400",
        "404",
    }
    assert ("answered 400" in first) != ("answered 400" in second)


def test_it_recovers_with_the_next_event(endpoint: IdentityEndpoint) -> None:
    endpoint.fail(IdentityFault(status=400))
    with Tokens(endpoint.environment) as tokens:
        with pytest.raises(TokenUnavailable):
            tokens.get_token(SCOPE)
        assert tokens.get_token(SCOPE).token


def test_a_connection_may_name_another_identity(endpoint: IdentityEndpoint) -> None:
    with Tokens(endpoint.environment) as tokens:
        other = tokens.for_client("client-a")
        assert other is tokens.for_client("client-a")
        assert other is not tokens
        assert tokens.for_client(None) is tokens
        assert other.describe() == "the managed identity with client id client-a"
        assert other.get_token(SCOPE).token


def test_the_setting_names_the_identity_to_use(endpoint: IdentityEndpoint) -> None:
    settings = {**endpoint.environment, "AZURE_CLIENT_ID": "client-a"}
    with Tokens(settings) as tokens:
        assert tokens.describe() == "the managed identity with client id client-a"
        assert tokens.for_client("client-a") is tokens


def test_a_developer_has_one_login_for_all_connections() -> None:
    tokens = Tokens({"AZURE_CLIENT_ID": "client-a"})
    assert tokens.describe() == "your own login"
    assert tokens.for_client("client-b") is tokens


def test_without_a_login_the_message_names_the_command_to_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from azure.identity import CredentialUnavailableError, DefaultAzureCredential

    def refuse(*_: object, **__: object) -> None:
        raise CredentialUnavailableError("DefaultAzureCredential failed")

    monkeypatch.setattr(DefaultAzureCredential, "get_token_info", refuse)
    with Tokens({}) as tokens, pytest.raises(TokenUnavailable) as caught:
        tokens.get_token(SCOPE)
    assert "Run `az login`" in str(caught.value)
    assert "your own login" in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "managed"),
    [
        ({"IDENTITY_ENDPOINT": "http://x", "IDENTITY_HEADER": "y"}, True),
        ({"MSI_ENDPOINT": "http://x"}, True),
        ({"IDENTITY_ENDPOINT": "http://x"}, False),
        ({}, False),
    ],
)
def test_the_platform_decides_which_identity_there_is(
    settings: dict[str, str], managed: bool
) -> None:
    assert Tokens(settings).managed is managed


def test_the_loggers_of_the_libraries_stay_quiet(
    endpoint: IdentityEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO), Tokens(endpoint.environment) as tokens:
        token = tokens.get_token(SCOPE).token
    assert token not in caplog.text
    assert endpoint.header not in caplog.text
    assert not [record for record in caplog.records if record.name.startswith("azure")]
