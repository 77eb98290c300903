"""Connections on loopback: nothing is retried, redirected or kept too long, and a call ends its own connection only."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from local.standins.http_server import Answer, Wire
from shared.clients.http_connections import WatchedCall, current_call, kept_alive_session
from shared.core.errors import CallError, NotSent
from tests.unit.clients.doubles import (
    SCOPE,
    TOKEN,
    Authority,
    ManualClock,
    Service,
    StaticTokens,
    open_transport,
    serve,
)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(stack: ExitStack, tokens: StaticTokens, status: int) -> None:
    service = Service(lambda _: Answer(status=status, headers={"Location": "/elsewhere"}))
    server = serve(stack, service)
    transport = open_transport(stack, tokens, server.url)
    assert transport.send("POST", f"{server.url}/x", scope=SCOPE, body=b"{}").status == status
    assert len(service.requests) == 1


@pytest.mark.parametrize("target", ["", "http://[bad", "ftp://x", "//", "\xff", "/x" * 9_000])
def test_a_redirect_to_nowhere_is_an_answer_too(
    stack: ExitStack, tokens: StaticTokens, target: str
) -> None:
    server = serve(stack, lambda _: Answer(status=302, headers={"Location": target}, body=b"x"))
    answer = open_transport(stack, tokens, server.url).send("POST", server.url, scope=SCOPE)
    assert (answer.status, answer.content) == (302, b"x")


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_nothing_is_sent_twice(stack: ExitStack, tokens: StaticTokens, status: int) -> None:
    service = Service(lambda _: Answer(status=status, headers={"Retry-After": "0"}))
    server = serve(stack, service)
    transport = open_transport(stack, tokens, server.url)
    assert transport.send("POST", f"{server.url}/x", scope=SCOPE, body=b"{}").status == status
    assert len(service.requests) == 1


@pytest.mark.parametrize("reset", [False, True])
def test_a_dropped_connection_is_not_retried(
    stack: ExitStack, tokens: StaticTokens, reset: bool
) -> None:
    service = Service(lambda _: Wire.reset if reset else lambda wire: None)
    server = serve(stack, service)
    transport = open_transport(stack, tokens, server.url)
    with pytest.raises(CallError) as caught:
        transport.send("POST", f"{server.url}/x", scope=SCOPE, body=b"{}")
    assert caught.value.sent
    assert len(service.requests) == 1
    assert service.requests[0].headers["x-ms-client-request-id"] == caught.value.request_id


def test_a_kept_connection_that_the_server_drops_under_the_second_call_is_not_retried(
    stack: ExitStack, tokens: StaticTokens
) -> None:
    service = Service(lambda _: Answer.json({}) if len(service.requests) == 1 else Wire.reset)
    server = serve(stack, service)
    transport = open_transport(stack, tokens, server.url)
    transport.send("POST", f"{server.url}/x", scope=SCOPE, body=b"{}")
    with pytest.raises(CallError) as caught:
        transport.send("POST", f"{server.url}/x", scope=SCOPE, body=b"{}")
    assert caught.value.sent
    assert len(service.requests) == 2
    assert len(set(service.connections)) == 1


def test_a_netrc_entry_does_not_replace_the_token(
    stack: ExitStack, tokens: StaticTokens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password hunter2\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    service = Service(lambda _: Answer())
    server = serve(stack, service)
    open_transport(stack, tokens, server.url).send("GET", f"{server.url}/x", scope=SCOPE)
    assert service.requests[0].headers["Authorization"] == f"Bearer {TOKEN}"


def test_cookies_are_not_kept(stack: ExitStack, tokens: StaticTokens) -> None:
    service = Service(lambda _: Answer(headers={"Set-Cookie": "a=b; Path=/"}))
    server = serve(stack, service)
    transport = open_transport(stack, tokens, server.url)
    for _ in range(2):
        transport.send("GET", f"{server.url}/x", scope=SCOPE)
    assert "Cookie" not in service.requests[1].headers


@pytest.mark.parametrize(("idle", "connections"), [(0.0, 1), (30.0, 1), (30.1, 2), (3_600.0, 2)])
def test_a_connection_that_was_idle_for_more_than_thirty_seconds_is_not_used_again(
    stack: ExitStack, tokens: StaticTokens, idle: float, connections: int
) -> None:
    clock = ManualClock()
    service = Service(lambda _: Answer())
    server = serve(stack, service)
    transport = open_transport(stack, tokens, server.url, clock=clock)
    for _ in range(2):
        transport.send("POST", server.url, scope=SCOPE, body=b"{}")
        clock.seconds += idle
    assert len(set(service.connections)) == connections
    assert len(service.requests) == 2


def test_the_idle_rule_holds_over_tls_too(
    stack: ExitStack, tokens: StaticTokens, authority: Authority
) -> None:
    clock = ManualClock()
    service = Service(lambda _: Answer())
    server = serve(stack, service, tls=authority.server("localhost"))
    url = f"https://localhost:{server.port}/x"
    transport = open_transport(stack, tokens, url, clock=clock)
    for idle in (20, 31, 0):
        transport.send("POST", url, scope=SCOPE, body=b"{}")
        clock.seconds += idle
    assert len(set(service.connections)) == 2


@pytest.mark.parametrize("status", [302, 429, 503])
def test_the_session_of_azures_clients_neither_retries_nor_redirects(
    stack: ExitStack, status: int
) -> None:
    service = Service(
        lambda _: Answer(status=status, headers={"Location": "/y", "Retry-After": "0"})
    )
    server = serve(stack, service)
    session = stack.enter_context(kept_alive_session())
    assert session.get(server.url, timeout=10).status_code == status
    assert len(service.requests) == 1


def call_of(clock: ManualClock, *, deadline: timedelta = timedelta(seconds=120)) -> WatchedCall:
    return WatchedCall(request_id="req-1", deadline=deadline, clock=clock)


def test_a_call_is_current_only_while_it_runs() -> None:
    call = call_of(ManualClock())
    with call.current():
        assert current_call.get() is call
    assert current_call.get(None) is None


def test_a_request_that_begins_within_its_deadline_counts_as_sent() -> None:
    clock = ManualClock()
    call = call_of(clock)
    clock.seconds += 119.9
    call.begin()
    assert (call.sent, call.expired) == (True, False)
    late = call.too_late()
    assert not isinstance(late, NotSent)
    assert (str(late), late.sent) == ("no complete answer within 120 s", True)


def test_a_request_that_would_begin_after_its_deadline_is_not_sent() -> None:
    clock = ManualClock()
    call = call_of(clock)
    clock.seconds += 120
    with pytest.raises(NotSent, match="no connection within 120 s") as caught:
        call.begin()
    assert (call.sent, call.expired) == (False, True)
    assert (caught.value.sent, caught.value.request_id) == (False, "req-1")


def test_the_timer_shuts_the_newest_watched_connection_down(stack: ExitStack) -> None:
    first, first_peer, second, second_peer = (
        stack.enter_context(end) for _ in range(2) for end in socket.socketpair()
    )
    call = call_of(ManualClock(), deadline=timedelta(seconds=0.05))
    with call.current():
        call.watch(first)
        call.watch(second)
        second.settimeout(10)
        assert second.recv(1) == b""
        assert second_peer.recv(1) == b""
        assert call.expired
    first.send(b"x")
    assert first_peer.recv(1) == b"x"


def test_a_connection_that_is_watched_after_the_deadline_is_shut_down_at_once(
    stack: ExitStack,
) -> None:
    near, far = (stack.enter_context(end) for end in socket.socketpair())
    clock = ManualClock()
    call = call_of(clock)
    clock.seconds += 121
    with pytest.raises(NotSent):
        call.begin()
    with call.current():
        call.watch(near)
        assert far.recv(1) == b""


def test_a_call_that_ended_leaves_its_connection_open(stack: ExitStack) -> None:
    near, far = (stack.enter_context(end) for end in socket.socketpair())
    call = call_of(ManualClock())
    with call.current():
        call.watch(near)
    near.send(b"x")
    assert far.recv(1) == b"x"
