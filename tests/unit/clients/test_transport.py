"""Calls over real sockets on loopback: what is sent and where to, what comes back, and what is logged."""

from __future__ import annotations

import logging
import threading
import tomllib
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, cast

import pytest
from azure.core.credentials import AccessTokenInfo, TokenRequestOptions

from local.standins.http_server import Answer, Wire
from local.standins.identity import IdentityEndpoint
from shared.clients import transport as module
from shared.clients.http_connections import POOL_SIZE
from shared.clients.identity import Tokens
from shared.clients.transport import MAX_ANSWER_BYTES, Transport, host_of
from shared.core.errors import CallError, NotSent, TokenUnavailable
from tests.unit.clients.doubles import (
    SCOPE,
    TOKEN,
    Service,
    StaticTokens,
    open_transport,
    serve,
)


def test_a_call_sends_what_the_workspace_needs_and_returns_the_whole_answer(
    stack: ExitStack, tokens: StaticTokens
) -> None:
    service = Service(lambda _: Answer.json({"Id": "run"}, status=202, headers={"X-Ms-Thing": "y"}))
    server = serve(stack, service)
    answer = open_transport(stack, tokens, server.url).send(
        "POST", f"{server.url}/a%20b?version=1", scope=SCOPE, body=b'{"a":"\xc3\xa9"}'
    )
    assert (answer.status, answer.content) == (202, b'{"Id": "run"}')
    assert answer.headers["x-ms-thing"] == "y"
    (request,) = service.requests
    assert (request.method, request.target) == ("POST", "/a%20b?version=1")
    assert request.body == b'{"a":"\xc3\xa9"}'
    assert request.headers["Authorization"] == f"Bearer {TOKEN}"
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["User-Agent"].startswith("azureml-pipeline-triggers/")
    assert request.headers["x-ms-client-request-id"] == answer.request_id
    assert tokens.scopes == [SCOPE]


def test_a_get_has_no_body(stack: ExitStack, tokens: StaticTokens) -> None:
    service = Service(lambda _: Answer.json({}))
    server = serve(stack, service)
    open_transport(stack, tokens, server.url).send("GET", f"{server.url}/x", scope=SCOPE)
    assert service.requests[0].body == b""
    assert "Content-Type" not in service.requests[0].headers


def test_the_version_is_the_projects() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    assert project["project"]["version"] == module.VERSION


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://evil.example/x", "evil.example:443 is not the host of any endpoint"),
        ("https://workspace.example:444/x", "workspace.example:444 is not the host"),
        ("https://workspace.example.evil.example/x", "is not the host"),
        ("https://user@workspace.example/x", "without a user name"),
        ("https://evil.example\\@workspace.example/x", "a character that is not allowed"),
        ("https://workspace.example /x", "a character that is not allowed"),
        ("ftp://workspace.example/x", "must be http(s)"),
        ("workspace.example", "must be http(s)"),
        ("http://plain.example/x", "must be called over https"),
    ],
)
def test_a_token_goes_to_no_other_host(
    stack: ExitStack, tokens: StaticTokens, url: str, reason: str
) -> None:
    hosts = frozenset({"workspace.example:443", "plain.example:80"})
    transport = stack.enter_context(closing(Transport(tokens, hosts=hosts)))
    with pytest.raises(NotSent) as caught:
        transport.send("POST", url, scope=SCOPE, body=b"{}")
    assert reason in str(caught.value)
    assert tokens.scopes == []


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://Workspace.Example/x", "workspace.example:443"),
        ("http://127.0.0.1:8080/x?y=z", "127.0.0.1:8080"),
        ("http://[::1]/x", "[::1]:80"),
        ("HTTPS://a.example:8443", "a.example:8443"),
    ],
)
def test_a_host_is_named_with_its_port(url: str, host: str) -> None:
    assert host_of(url) == host


def test_no_token_means_no_request(stack: ExitStack) -> None:
    class NoTokens(StaticTokens):
        def get_token_info(
            self, *_: str, options: TokenRequestOptions | None = None
        ) -> AccessTokenInfo:
            raise TokenUnavailable("none")

    service = Service(lambda _: Answer())
    server = serve(stack, service)
    with pytest.raises(TokenUnavailable):
        open_transport(stack, NoTokens(), server.url).send("POST", server.url, scope=SCOPE)
    assert not service.requests


def test_an_answer_of_more_than_a_mebibyte_is_not_read(
    stack: ExitStack, tokens: StaticTokens
) -> None:
    sizes = iter([MAX_ANSWER_BYTES, MAX_ANSWER_BYTES + 1])
    server = serve(stack, Service(lambda _: Answer(body=b" " * next(sizes))))
    transport = open_transport(stack, tokens, server.url)
    assert len(transport.send("GET", server.url, scope=SCOPE).content) == MAX_ANSWER_BYTES
    with pytest.raises(CallError) as caught:
        transport.send("GET", server.url, scope=SCOPE)
    assert caught.value.sent
    assert "more than 1048576 bytes" in str(caught.value.__cause__)


def test_the_body_of_a_redirect_is_bounded_too(stack: ExitStack, tokens: StaticTokens) -> None:
    body = b" " * (MAX_ANSWER_BYTES + 1)
    server = serve(stack, lambda _: Answer(status=302, headers={"Location": "/"}, body=body))
    with pytest.raises(CallError):
        open_transport(stack, tokens, server.url).send("POST", server.url, scope=SCOPE)


def test_a_call_leaves_one_log_record_without_secrets(
    stack: ExitStack, tokens: StaticTokens, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(stack, Service(lambda _: Answer(body=b"answer-body")))
    transport = open_transport(stack, tokens, server.url)
    with caplog.at_level(logging.INFO):
        answer = transport.send(
            "POST", f"{server.url}/path?code=hunter2", scope=SCOPE, body=b"request-body"
        )
    (record,) = caplog.records
    fields = cast("Any", record)
    assert fields.action == "workspace_call"
    assert (fields.method, fields.host, fields.path) == ("POST", host_of(server.url), "/path")
    assert (fields.status, fields.request_id) == (200, answer.request_id)
    assert isinstance(fields.milliseconds, int)
    message = record.getMessage()
    assert message.startswith(f"POST {host_of(server.url)}/path: 200 after ")
    assert "action=workspace_call" in message
    assert f"request_id={answer.request_id}" in message
    everything = str(vars(record))
    for secret in (TOKEN, "hunter2", "request-body", "answer-body"):
        assert secret not in everything


def test_a_failed_call_leaves_one_log_record(
    stack: ExitStack, tokens: StaticTokens, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(stack, Service(lambda _: Wire.reset))
    with caplog.at_level(logging.INFO), pytest.raises(CallError) as caught:
        open_transport(stack, tokens, server.url).send("POST", server.url, scope=SCOPE)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert cast("Any", record).request_id == caught.value.request_id


@pytest.mark.large
def test_a_thousand_calls_on_thirty_two_cold_threads_take_one_token_and_few_connections(
    stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = stack.enter_context(IdentityEndpoint())
    for name, value in identity.environment.items():
        monkeypatch.setenv(name, value)
    service = Service(lambda _: Answer.json({"Id": "run"}))
    server = serve(stack, service)
    tokens = stack.enter_context(Tokens(identity.environment))
    transport = open_transport(stack, tokens, server.url)
    start = threading.Barrier(32)

    def call(number: int) -> int:
        if number < 32:
            start.wait()
        return transport.send("POST", server.url, scope=SCOPE, body=b"{}").status

    with ThreadPoolExecutor(32) as threads:
        assert set(threads.map(call, range(1_000))) == {200}
    assert identity.counts == {"https://management.azure.com": 1}
    assert len(service.requests) == 1_000
    assert len(set(service.connections)) <= 32 <= POOL_SIZE
