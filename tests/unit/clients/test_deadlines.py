"""The deadline of a call holds whatever the other end does, and it ends no other call."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta

import pytest
from azure.core.credentials import AccessTokenInfo, TokenRequestOptions

from local.standins.http_server import Answer, IncomingRequest, Misbehaviour, Wire
from shared.core.errors import CallError, NotSent
from tests.unit.clients.doubles import (
    SCOPE,
    Authority,
    ManualClock,
    Service,
    StaticTokens,
    drip_body,
    open_transport,
    serve,
)

pytestmark = pytest.mark.large

SHORT = timedelta(seconds=1)
"""Long enough for a busy machine to connect, short enough to wait for."""


def drip_headers(wire: Wire) -> None:
    wire.send(b"HTTP/1.1 200 OK\r\n")
    while wire.wait(0.02):
        wire.send(b"X-A: b\r\n")


def drip_body_without_end(wire: Wire) -> None:
    wire.send(b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"Id": "run"}')
    while wire.wait(0.02):
        wire.send(b" ")


def say_nothing(wire: Wire) -> None:
    wire.wait(60)


DRIPS = [drip_headers, drip_body, drip_body_without_end, say_nothing]


@pytest.mark.parametrize("drip", DRIPS)
def test_the_deadline_ends_an_answer_that_never_ends(
    stack: ExitStack, tokens: StaticTokens, drip: Callable[[Wire], None]
) -> None:
    server = serve(stack, Service(lambda _: drip))
    with pytest.raises(CallError) as caught:
        open_transport(stack, tokens, server.url).send(
            "POST", server.url, scope=SCOPE, body=b"{}", deadline=SHORT
        )
    assert caught.value.sent
    assert "no complete answer within 1 s" in str(caught.value) or "Timeout" in str(caught.value)


@pytest.mark.parametrize("drip", DRIPS)
def test_the_deadline_holds_over_tls(
    stack: ExitStack, tokens: StaticTokens, authority: Authority, drip: Callable[[Wire], None]
) -> None:
    server = serve(stack, Service(lambda _: drip), tls=authority.server("localhost"))
    url = f"https://localhost:{server.port}/x"
    with pytest.raises(CallError) as caught:
        open_transport(stack, tokens, url).send(
            "POST", url, scope=SCOPE, body=b"{}", deadline=SHORT
        )
    assert caught.value.sent


def test_a_deadline_that_has_passed_does_not_touch_the_next_call_on_the_connection(
    stack: ExitStack, tokens: StaticTokens
) -> None:
    def answer(request: IncomingRequest) -> Answer | Misbehaviour:
        if request.path == "/quick":
            return Answer()

        def later(wire: Wire) -> None:
            wire.wait(1.5)  # the first call's deadline passes meanwhile
            wire.send(Answer().to_bytes())

        return later

    service = Service(answer)
    server = serve(stack, service)
    transport = open_transport(stack, tokens, server.url)
    transport.send("POST", f"{server.url}/quick", scope=SCOPE, body=b"{}", deadline=SHORT)
    assert transport.send("POST", f"{server.url}/slow", scope=SCOPE, body=b"{}").status == 200
    assert len(set(service.connections)) == 1


def test_a_deadline_that_passes_before_anything_was_sent_sends_nothing(
    stack: ExitStack,
) -> None:
    clock = ManualClock()

    class SlowTokens(StaticTokens):
        def get_token_info(
            self, *scopes: str, options: TokenRequestOptions | None = None
        ) -> AccessTokenInfo:
            clock.seconds += 121
            return super().get_token_info(*scopes)

    service = Service(lambda _: Answer())
    server = serve(stack, service)
    with pytest.raises(NotSent) as caught:
        open_transport(stack, SlowTokens(), server.url, clock=clock).send(
            "POST", server.url, scope=SCOPE, body=b"{}"
        )
    assert "not sent: no connection within 120 s" in str(caught.value)
    assert not service.requests


def test_a_deadline_that_passes_in_the_handshake_sends_nothing(
    stack: ExitStack, tokens: StaticTokens
) -> None:
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    url = f"https://127.0.0.1:{listener.getsockname()[1]}/x"
    with pytest.raises(NotSent):
        open_transport(stack, tokens, url).send(
            "POST", url, scope=SCOPE, body=b"{}", deadline=SHORT
        )
