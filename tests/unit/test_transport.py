"""Calls over real sockets on loopback: what is sent, where to, how often, and how long it may take."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import trustme
from azure.core.credentials import AccessTokenInfo, TokenRequestOptions

from local.standins.http_server import (
    Answer,
    HttpServer,
    IncomingRequest,
    Misbehaviour,
    RequestHandler,
    Wire,
)
from local.standins.identity import IdentityEndpoint
from shared.clients import transport as module
from shared.clients.http_connections import POOL_SIZE
from shared.clients.identity import Tokens
from shared.clients.transport import MAX_ANSWER_BYTES, Transport, host_of
from shared.core.errors import CallError, NotSent, TokenUnavailable

pytestmark = pytest.mark.large

SCOPE = "https://management.azure.com/.default"
TOKEN = "eyJhbGciOiJub25lIn0.eyJhdWQiOiJ4In0."
SHORT = timedelta(seconds=1)
"""Long enough for a busy machine to connect, short enough to wait for."""


class StaticTokens(Tokens):
    """Gives one token, and counts."""

    def __init__(self) -> None:
        super().__init__({})
        self.scopes: list[str] = []

    def get_token_info(
        self, *scopes: str, options: TokenRequestOptions | None = None
    ) -> AccessTokenInfo:
        self.scopes += scopes
        return AccessTokenInfo(TOKEN, 4_000_000_000)


class Service:
    """A server that notes each request and the connection it came by."""

    def __init__(self, answer: RequestHandler) -> None:
        self.requests: list[IncomingRequest] = []
        self.connections: list[threading.Thread] = []
        self._answer = answer

    def __call__(self, request: IncomingRequest) -> Answer | Misbehaviour:
        self.requests.append(request)
        # The server has a thread for each connection.
        self.connections.append(threading.current_thread())
        return self._answer(request)


@pytest.fixture
def tokens() -> StaticTokens:
    return StaticTokens()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def open_transport(
    stack: ExitStack, tokens: Tokens, url: str, clock: Callable[[], float] = time.monotonic
) -> Transport:
    return stack.enter_context(Transport(tokens, hosts=frozenset({host_of(url)}), clock=clock))


def serve(
    stack: ExitStack, service: RequestHandler, tls: ssl.SSLContext | None = None
) -> HttpServer:
    return stack.enter_context(HttpServer(service, tls=tls))


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
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert project["project"]["version"] == module.VERSION


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


def test_the_body_of_a_redirect_is_bounded_too(stack: ExitStack, tokens: StaticTokens) -> None:
    body = b" " * (MAX_ANSWER_BYTES + 1)
    server = serve(stack, lambda _: Answer(status=302, headers={"Location": "/"}, body=body))
    with pytest.raises(CallError):
        open_transport(stack, tokens, server.url).send("POST", server.url, scope=SCOPE)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_nothing_is_sent_twice(stack: ExitStack, tokens: StaticTokens, status: int) -> None:
    service = Service(lambda _: Answer(status=status, headers={"Retry-After": "0"}))
    server = serve(stack, service)
    transport = open_transport(stack, tokens, server.url)
    assert transport.send("POST", f"{server.url}/x", scope=SCOPE, body=b"{}").status == status
    assert len(service.requests) == 1


@pytest.mark.parametrize("reset", [False, True])
def test_a_dropped_connection_is_not_tried_again(
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


def test_a_kept_connection_that_the_server_drops_under_the_second_call_is_not_tried_again(
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


def test_no_proxy_sees_a_call_to_this_machine(
    stack: ExitStack, tokens: StaticTokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Service(lambda _: Answer(status=502))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, serve(stack, proxy).url)
    server = serve(stack, Service(lambda _: Answer()))
    assert (
        open_transport(stack, tokens, server.url).send("GET", server.url, scope=SCOPE).status == 200
    )
    assert not proxy.requests


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://evil.example/x", "evil.example:443 is not the host of any endpoint"),
        ("https://workspace.example:444/x", "workspace.example:444 is not the host"),
        ("https://workspace.example.evil.example/x", "is not the host"),
        ("https://user@workspace.example/x", "without a user name"),
        ("https://evil.example\\@workspace.example/x", "characters that a URL cannot hold"),
        ("https://workspace.example /x", "characters that a URL cannot hold"),
        ("ftp://workspace.example/x", "must be http(s)"),
        ("workspace.example", "must be http(s)"),
        ("http://plain.example/x", "a token goes over https only"),
    ],
)
def test_a_token_goes_to_no_other_place(
    stack: ExitStack, tokens: StaticTokens, url: str, reason: str
) -> None:
    hosts = frozenset({"workspace.example:443", "plain.example:80"})
    transport = stack.enter_context(Transport(tokens, hosts=hosts))
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


class Ticks:
    """A clock that only a test moves."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.mark.parametrize(("idle", "connections"), [(0.0, 1), (30.0, 1), (30.1, 2), (3_600.0, 2)])
def test_a_connection_that_was_idle_for_more_than_thirty_seconds_is_not_used_again(
    stack: ExitStack, tokens: StaticTokens, idle: float, connections: int
) -> None:
    ticks = Ticks()
    service = Service(lambda _: Answer())
    server = serve(stack, service)
    transport = open_transport(stack, tokens, server.url, clock=ticks)
    for _ in range(2):
        transport.send("POST", server.url, scope=SCOPE, body=b"{}")
        ticks.seconds += idle
    assert len(set(service.connections)) == connections
    assert len(service.requests) == 2


def test_the_idle_rule_holds_over_tls_too(
    stack: ExitStack, tokens: StaticTokens, authority: Authority
) -> None:
    ticks = Ticks()
    service = Service(lambda _: Answer())
    server = serve(stack, service, tls=authority.server("localhost"))
    url = f"https://localhost:{server.port}/x"
    transport = open_transport(stack, tokens, url, clock=ticks)
    for idle in (20, 31, 0):
        transport.send("POST", url, scope=SCOPE, body=b"{}")
        ticks.seconds += idle
    assert len(set(service.connections)) == 2


class Authority:
    """A certificate authority; only transports of a test that asked for `authority` trust it."""

    def __init__(self, folder: Path) -> None:
        self._authority = trustme.CA()
        self.file = folder / "ca.pem"
        self._authority.cert_pem.write_to_path(str(self.file))

    def server(self, *names: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(*names).configure_cert(context)
        return context


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    made = Authority(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(made.file))
    return made


def drip_headers(wire: Wire) -> None:
    wire.send(b"HTTP/1.1 200 OK\r\n")
    while wire.wait(0.02):
        wire.send(b"X-A: b\r\n")


def drip_body(wire: Wire) -> None:
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while wire.wait(0.02):
        wire.send(b" ")


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
    assert "no whole answer within 1 s" in str(caught.value) or "Timeout" in str(caught.value)


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
    ticks = Ticks()

    class SlowTokens(StaticTokens):
        def get_token_info(
            self, *scopes: str, options: TokenRequestOptions | None = None
        ) -> AccessTokenInfo:
            ticks.seconds += 121
            return super().get_token_info(*scopes)

    service = Service(lambda _: Answer())
    server = serve(stack, service)
    with pytest.raises(NotSent) as caught:
        open_transport(stack, SlowTokens(), server.url, clock=ticks).send(
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
    assert answer.request_id in record.getMessage()
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


class Tunnel:
    """A proxy that knows CONNECT, and sends whatever comes to one port of this machine."""

    def __init__(self, port: int) -> None:
        self.lines: list[str] = []
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._connect, args=(near,))
            self._threads.append(thread)
            thread.start()

    def _connect(self, near: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += near.recv(1)
        self.lines.append(head.decode())
        far = socket.create_connection(("127.0.0.1", self._port))
        near.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with near, far:
            back = threading.Thread(target=self._copy, args=(far, near))
            back.start()
            self._copy(near, far)
            back.join()

    @staticmethod
    def _copy(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65_536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return


def test_all_rules_hold_through_a_proxy_which_never_sees_the_token(
    stack: ExitStack, tokens: StaticTokens, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = Ticks()
    service = Service(lambda request: drip_body if request.path == "/drip" else Answer())
    server = serve(stack, service, tls=authority.server("workspace.invalid"))
    tunnel = Tunnel(server.port)
    stack.callback(tunnel.close)
    monkeypatch.setenv("HTTPS_PROXY", tunnel.url)
    url = "https://workspace.invalid/x"
    transport = open_transport(stack, tokens, url, clock=ticks)
    for idle in (20, 31, 0):
        assert transport.send("POST", url, scope=SCOPE, body=b"{}").status == 200
        ticks.seconds += idle
    assert len(set(service.connections)) == 2
    with pytest.raises(CallError) as caught:
        transport.send(
            "POST", "https://workspace.invalid/drip", scope=SCOPE, body=b"{}", deadline=SHORT
        )
    assert caught.value.sent
    transport.close()
    server.close()
    assert [line.split("\r\n")[0] for line in tunnel.lines] == [
        "CONNECT workspace.invalid:443 HTTP/1.1"
    ] * len(tunnel.lines)
    assert TOKEN not in "".join(tunnel.lines)
