"""A small threaded HTTP/1.1 server on loopback that keeps connections alive and can misbehave on demand.

An ordinary handler returns an `Answer`. A handler that must misbehave (drop, hang, truncate, drip) returns a function
that gets the `Wire`, the raw connection. The server builds on the standard library's, because that gives access to the
socket, and WSGI does not.
"""

from __future__ import annotations

import http.server
import json
import logging
import socket
import socketserver
import ssl
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

from local.closeable import Closeable

MAX_BODY_BYTES = 100 * 1024 * 1024
"""The Functions host's own limit for the body of a request (host.json reference)."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingRequest:
    """A request as the server received it."""

    method: str
    """The method in upper case."""
    target: str
    """The path and query exactly as the caller sent them."""
    headers: Message
    """The headers. Their names are case-insensitive."""
    body: bytes
    """The body."""
    base_url: str
    """The scheme and host that the caller used."""

    @property
    def path(self) -> str:
        """The path as the caller sent it, still percent-encoded."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        """The decoded values of the query. If a name is repeated, its last value wins."""
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An ordinary answer."""

    status: int = 200
    """The HTTP status."""
    body: bytes = b""
    """The body."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """The headers without `Content-Length`, which the server adds."""

    @classmethod
    def json(
        cls, value: object, *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Return an answer whose body is a JSON value."""
        kind = {"Content-Type": "application/json; charset=utf-8"}
        body = json.dumps(value, ensure_ascii=False).encode()
        return cls(status=status, body=body, headers={**kind, **(headers or {})})

    def to_bytes(self, *, head_only: bool = False, close: bool = False) -> bytes:
        """Return the whole answer as bytes, so that it can be sent in one piece."""
        try:
            phrase = HTTPStatus(self.status).phrase
        except ValueError:
            phrase = "Unknown"
        lines = [f"HTTP/1.1 {self.status} {phrase}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        lines.append(f"Content-Length: {len(self.body)}")
        if close:
            lines.append("Connection: close")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        return head if head_only else head + self.body


class Wire:
    """The raw connection, for a handler that misbehaves. The server closes it afterwards."""

    def __init__(self, connection: socket.socket, closing: threading.Event) -> None:
        self._connection = connection
        self._closing = closing

    def send(self, data: bytes) -> None:
        """Send bytes as they are. It is not an error if the caller has closed the connection."""
        try:
            self._connection.sendall(data)
        except OSError:
            logger.debug("the caller has closed the connection")

    def send_below_tls(self, data: bytes) -> None:
        """Send bytes without encryption. Over TLS, the caller cannot decrypt them."""
        try:
            # `ssl.SSLSocket.send` would encrypt, so this calls the method of its base class.
            socket.socket.send(self._connection, data)
        except OSError:
            logger.debug("the caller has closed the connection")

    def wait(self, seconds: float) -> bool:
        """Wait for some seconds. Return False at once if the server is being closed."""
        return not self._closing.wait(seconds)

    def reset(self) -> None:
        """Make the server end this connection with a TCP reset instead of an orderly close."""
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


type Misbehaviour = Callable[[Wire], None]
type RequestHandler = Callable[[IncomingRequest], Answer | Misbehaviour]


class _Connection(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        if isinstance(self.connection, ssl.SSLSocket):
            self.connection.do_handshake()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        logger.debug(format, *args)

    def _serve(self) -> None:
        body = self._read_body()
        if body is None:
            self.close_connection = True
            self.wfile.write(Answer(status=413).to_bytes(close=True))
            return
        scheme = "https" if isinstance(self.connection, ssl.SSLSocket) else "http"
        host = self.headers.get("Host") or "{}:{}".format(*self.server.server_address[:2])
        request = IncomingRequest(
            method=self.command,
            target=self.path,
            headers=self.headers,
            body=body,
            base_url=f"{scheme}://{host}",
        )
        answer = self.server.handle(request)
        if isinstance(answer, Answer):
            self.close_connection = self.close_connection or self.server.closing.is_set()
            head_only = self.command == "HEAD"
            self.wfile.write(answer.to_bytes(head_only=head_only, close=self.close_connection))
        else:
            self.close_connection = True
            answer(Wire(self.connection, self.server.closing))

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve  # noqa: N815 - the base's

    def _read_body(self) -> bytes | None:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._read_chunks()
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAX_BODY_BYTES:
            return None
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionError(
                "the caller closed the connection before it had sent the whole body"
            )
        return body

    def _read_chunks(self) -> bytes | None:
        chunks: list[bytes] = []
        total = 0
        while size := int(self.rfile.readline().split(b";")[0], 16):
            total += size
            if total > MAX_BODY_BYTES:
                return None
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers
        return b"".join(chunks)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = False
    request_queue_size = 256

    def __init__(self, handler: RequestHandler, *, port: int, tls: ssl.SSLContext | None) -> None:
        self.closing = threading.Event()
        self._handler = handler
        self._tls = tls
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Connection)

    def handle(self, request: IncomingRequest) -> Answer | Misbehaviour:
        try:
            return self._handler(request)
        except Exception:
            # An error of one request must not end the server. The log has the reason.
            logger.exception("%s %s failed", request.method, request.path)
            return Answer(status=500)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        if self._tls is not None:
            connection = self._tls.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        with self._lock:
            self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        with self._lock:
            self._open.discard(cast("socket.socket", request))
        # The base class would half-close first, and then a fault could not end in a reset.
        self.close_request(request)

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - the base's
        logger.debug("a connection failed", exc_info=True)

    def close_connections(self) -> None:
        with self._lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RD)
                except OSError:
                    continue  # already closed


class HttpServer(Closeable):
    """A server on a loopback port, from construction until `close`.

    Args:
        handler: Called with each request, in any thread.
        port: The port. 0 takes a free one.
        tls: The server's TLS context. None means plain HTTP.

    Raises:
        OSError: The port is taken.
    """

    def __init__(
        self, handler: RequestHandler, *, port: int = 0, tls: ssl.SSLContext | None = None
    ) -> None:
        self._server = _Server(handler, port=port, tls=tls)
        self.port: int = self._server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.05},
            name=f"http-{self.port}",
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening, finish the answers that are being sent, and wait for all threads. Idempotent."""
        self._server.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.close_connections()
        self._server.server_close()
