"""HTTP connections for calls that must not be sent twice, and the session of Azure's own clients.

- A call ends at its deadline, whatever its connection is doing.
- A connection that was idle for too long is closed, not used again.
- Nothing is retried or redirected.

`shared.clients.transport` makes its calls over these connections. A connection finds its call through a context
variable, since requests and urllib3 pass no context.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from datetime import timedelta
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from azure.core.pipeline.transport import RequestsTransport
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, ProxyManager, Retry
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError

from shared.core.errors import CallError, NotSent

IDLE_LIMIT = timedelta(seconds=30)
"""Well below the four minutes after which Azure's NAT drops an idle connection without telling either end."""

LONGEST_SLEEP = timedelta(seconds=5)
"""Between two tries of one of Azure's own clients. The app itself retries later."""

POOL_SIZE = 64
"""Connections kept for a host. A worker has fewer threads (`min(32, cores + 4)`), so no connection is discarded."""


def kept_alive_session(adapter: HTTPAdapter | None = None) -> requests.Session:
    """Return a session with kept-alive connections, and without retries, redirects, netrc or cookies.

    Args:
        adapter: Makes the connections. The default makes plain ones, 64 for each host.
    """
    session = _Session()
    # Without an `auth`, requests reads ~/.netrc, and an entry there replaces the Authorization header.
    session.auth = _leave_as_is
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = adapter or HTTPAdapter(pool_maxsize=POOL_SIZE, max_retries=Retry(False))
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


class _Session(requests.Session):
    """A session that ignores redirects, so that a 3xx is an answer like any other."""

    # `allow_redirects=False` is not enough. requests still reads the whole body and prepares the next request. If
    # `Location` is not a usable URL, it raises, and the answer is lost.
    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 — requests' own signature
        return None


class ClientTransport(RequestsTransport):  # type: ignore[misc]  # azure-core exports it lazily, as Any
    """The transport of Azure's own clients: kept-alive connections, and waits that end.

    Azure's clients ignore their time-out options if they are given a transport, whose own are five minutes. They sleep
    between retries for as long as a `Retry-After` asks.

    Args:
        connection_timeout: For each address of a host.
        read_timeout: For each read.
        longest_sleep: Between two tries.
    """

    def __init__(
        self,
        *,
        connection_timeout: timedelta,
        read_timeout: timedelta,
        longest_sleep: timedelta = LONGEST_SLEEP,
    ) -> None:
        super().__init__(
            session=kept_alive_session(),
            connection_timeout=connection_timeout.total_seconds(),
            read_timeout=read_timeout.total_seconds(),
        )
        self._longest_sleep = longest_sleep

    def sleep(self, duration: float) -> None:
        """Sleep between two tries."""
        super().sleep(min(duration, self._longest_sleep.total_seconds()))


class WatchedCall:
    """One call with a deadline. It records whether any byte of its request may have left.

    Args:
        request_id: The `x-ms-client-request-id` of the call.
        deadline: For the whole call.
        clock: Returns monotonic seconds.
    """

    def __init__(self, *, request_id: str, deadline: timedelta, clock: Callable[[], float]) -> None:
        self.request_id = request_id
        self.deadline = deadline
        self.clock = clock
        self.sent = False
        """Whether any byte of the request may have left this process."""
        self.expired = False
        """Whether the deadline has passed."""
        self._ends = clock() + deadline.total_seconds()
        # A duplicate of the connection's descriptor, which this call owns until it ends. The timer shuts the duplicate
        # down. It therefore cannot hit another call's connection, or a descriptor that was closed and reused.
        self._handle: socket.socket | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(deadline.total_seconds(), self._expire)
        self._timer.daemon = True

    @contextlib.contextmanager
    def current(self) -> Iterator[None]:
        """Make this the thread's current call, and run the timer of its deadline."""
        reset = current_call.set(self)
        try:
            self._timer.start()
            yield
        finally:
            self._timer.cancel()
            self._release()
            current_call.reset(reset)

    def watch(self, connection: socket.socket) -> None:
        """Shut this connection down when the deadline passes."""
        handle = socket.socket(fileno=socket.dup(connection.fileno()))
        with self._lock:
            previous, self._handle = self._handle, handle
            if self.expired:
                _shut_down(handle)
        if previous is not None:
            previous.close()

    def begin(self) -> None:
        """Record that the request leaves from here on.

        Raises:
            NotSent: The deadline has passed.
        """
        with self._lock:
            if self.expired or self.clock() >= self._ends:
                self.expired = True
            else:
                self.sent = True
        if not self.sent:
            raise self.too_late()

    def too_late(self) -> CallError:
        """Return the error of a call whose deadline has passed."""
        within = f"within {self.deadline.total_seconds():g} s"
        if not self.sent:
            return NotSent(
                f"not sent: no connection {within} (name resolution, connecting or the token took too long)",
                request_id=self.request_id,
            )
        return CallError(f"no complete answer {within}", request_id=self.request_id, sent=True)

    def _expire(self) -> None:
        with self._lock:
            self.expired = True
            if self._handle is not None:
                _shut_down(self._handle)

    def _release(self) -> None:
        with self._lock:
            handle, self._handle = self._handle, None
        if handle is not None:
            handle.close()


current_call: ContextVar[WatchedCall] = ContextVar("current_call")
"""The call that this thread is making."""


class _WatchedConnection(HTTPConnection):
    """A connection that reports to its call, and that is closed if it was idle for too long."""

    # With 1, http.client reopens a closed connection in the middle of a request.
    auto_open = 0

    _used_at = 0.0

    @property
    def is_connected(self) -> bool:
        """Return whether the connection may be used again. If not, urllib3's pool closes it."""
        idle = current_call.get().clock() - self._used_at
        return idle <= IDLE_LIMIT.total_seconds() and super().is_connected

    def connect(self) -> None:
        """Connect. Raise `ConnectTimeoutError` for each time-out, a TLS handshake's too."""
        try:
            super().connect()
        except TimeoutError as error:
            # urllib3 reports a time-out of the handshake, or of a proxy's answer, as one of reading.
            raise ConnectTimeoutError(self, f"Connecting to {self.host} timed out.") from error

    def request(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 — urllib3's own signature
        """Send a request. Before its first byte, record that it may have left."""
        call = current_call.get()
        if self.sock is None:
            self.connect()
        else:
            call.watch(self.sock)
        call.begin()
        self._used_at = call.clock()
        super().request(*args, **kwargs)

    def getresponse(self) -> Any:  # noqa: ANN401 — urllib3's own signature
        """Return the response, and record when the connection was used."""
        response = super().getresponse()
        self._used_at = current_call.get().clock()
        return response

    def _new_conn(self) -> socket.socket:
        connection = super()._new_conn()
        current_call.get().watch(connection)
        return connection


class _WatchedTlsConnection(_WatchedConnection, HTTPSConnection):
    """The same over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _WatchedConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedTlsConnection


_POOLS = {"http": _Pool, "https": _TlsPool}


class WatchedAdapter(HTTPAdapter):
    """Makes watched connections, directly or through a proxy.

    Args:
        hosts: The number of hosts that are called.
    """

    def __init__(self, *, hosts: int) -> None:
        super().__init__(
            # With fewer pools than hosts, requests closes a pool while a call uses it.
            pool_connections=max(16, hosts),
            pool_maxsize=POOL_SIZE,
            max_retries=Retry(False),
        )

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 — requests' own signature
        """Make the pools of direct connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> ProxyManager:  # noqa: ANN401 — likewise
        """Return the pools of connections through a proxy."""
        manager: ProxyManager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager


def _shut_down(connection: socket.socket) -> None:
    # `shutdown` wakes a thread that reads the connection, `close` does not. The connection may be down already.
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _leave_as_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
