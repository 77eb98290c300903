"""Tokens, clocks and servers on loopback for the tests of the clients."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

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
from shared.clients.identity import Tokens
from shared.clients.transport import Transport, host_of

SCOPE = "https://management.azure.com/.default"
TOKEN = "eyJhbGciOiJub25lIn0.eyJhdWQiOiJ4In0."


class StaticTokens(Tokens):
    """Gives one token, and records the scopes."""

    def __init__(self) -> None:
        super().__init__({})
        self.scopes: list[str] = []

    def get_token_info(
        self, *scopes: str, options: TokenRequestOptions | None = None
    ) -> AccessTokenInfo:
        self.scopes += scopes
        return AccessTokenInfo(TOKEN, 4_000_000_000)


class ManualClock:
    """Monotonic seconds that only a test moves."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


class Service:
    """A handler that records each request, and the connection it came by."""

    def __init__(self, answer: RequestHandler) -> None:
        self.requests: list[IncomingRequest] = []
        self.connections: list[threading.Thread] = []
        self._answer = answer

    def __call__(self, request: IncomingRequest) -> Answer | Misbehaviour:
        self.requests.append(request)
        # The server has a thread for each connection.
        self.connections.append(threading.current_thread())
        return self._answer(request)


class Authority:
    """A certificate authority."""

    def __init__(self) -> None:
        self._authority = trustme.CA()

    def write(self, folder: Path) -> Path:
        """Write the authority's certificate, and return its file."""
        file = folder / "ca.pem"
        self._authority.cert_pem.write_to_path(str(file))
        return file

    def server(self, *names: str) -> ssl.SSLContext:
        """Return the context of a server with these host names."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(*names).configure_cert(context)
        return context


def serve(
    stack: ExitStack, service: RequestHandler, tls: ssl.SSLContext | None = None
) -> HttpServer:
    """Return a running server."""
    return stack.enter_context(HttpServer(service, tls=tls))


def open_transport(
    stack: ExitStack, tokens: Tokens, url: str, clock: Callable[[], float] = time.monotonic
) -> Transport:
    """Return a transport that may call a URL's host."""
    transport = Transport(tokens, hosts=frozenset({host_of(url)}), clock=clock)
    return stack.enter_context(closing(transport))


def unused_port() -> int:
    """Return a port of this machine where no server listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def drip_body(wire: Wire) -> None:
    """Answer with a body that sends a byte now and then, without an end."""
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while wire.wait(0.02):
        wire.send(b" ")
