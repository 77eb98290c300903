"""All rules of a connection hold through a proxy, and no proxy sees a token."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack
from datetime import timedelta

import pytest

from local.standins.http_server import Answer
from shared.core.errors import CallError
from tests.unit.clients.doubles import (
    SCOPE,
    TOKEN,
    Authority,
    ManualClock,
    Service,
    StaticTokens,
    drip_body,
    open_transport,
    serve,
)

SHORT = timedelta(seconds=1)
"""Long enough for a busy machine to connect, short enough to wait for."""


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


@pytest.mark.large
def test_all_rules_hold_through_a_proxy_which_never_sees_the_token(
    stack: ExitStack, tokens: StaticTokens, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock()
    service = Service(lambda request: drip_body if request.path == "/drip" else Answer())
    server = serve(stack, service, tls=authority.server("workspace.invalid"))
    tunnel = Tunnel(server.port)
    stack.callback(tunnel.close)
    monkeypatch.setenv("HTTPS_PROXY", tunnel.url)
    url = "https://workspace.invalid/x"
    transport = open_transport(stack, tokens, url, clock=clock)
    for idle in (20, 31, 0):
        assert transport.send("POST", url, scope=SCOPE, body=b"{}").status == 200
        clock.seconds += idle
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
