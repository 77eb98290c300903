"""Connections that are never used blindly: watched by their call's deadline, closed when idle, never tried again.

`shared.clients.transport` makes its calls over them. A call is known to its connection by a context variable, since
requests and urllib3 pass nothing through. The plain session for Azure's own clients is here, too.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from contextvars import ContextVar
from datetime import timedelta
from http.cookiejar import DefaultCookiePolicy
from types import TracebackType
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, ProxyManager, Retry
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError

from shared.core.errors import CallError, NotSent

IDLE_LIMIT = timedelta(seconds=30)
"""Well below the four minutes after which Azure's NAT forgets a connection silently."""

POOL_SIZE = 64
"""Connections kept for a host: more than a worker has threads (`min(32, cores + 4)`), so that none is thrown away."""


def kept_alive_session(adapter: HTTPAdapter | None = None) -> requests.Session:
    """Make a session for one of Azure's clients: enough connections, no retries, no netrc, no cookies.

    Args:
        adapter: What makes its connections; default: plain ones, 64 a host.
    """
    session = _Session()
    # Anything truthy keeps requests from looking into ~/.netrc, whose entry would replace our Authorization.
    session.auth = _leave_as_is
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = adapter or HTTPAdapter(pool_maxsize=POOL_SIZE, max_retries=Retry(False))
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


class _Session(requests.Session):
    """A session that knows no redirects.

    Even where they are not to be followed, requests reads the whole answer and prepares the next request, and raises
    where `Location` makes none: the answer itself would be lost.
    """

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 — requests' own signature
        return None


class Call:
    """One call: its deadline, and whether its request may have left.

    The timer shuts down a duplicate of the connection's descriptor, which this call owns until it ends. So it can
    neither meet another call's connection nor a descriptor that was closed and given to somebody else, and TLS
    needs no thought. `shutdown` wakes a thread that is reading the connection; `close` would not.
    """

    def __init__(self, *, request_id: str, deadline: timedelta, clock: Callable[[], float]) -> None:
        self.request_id = request_id
        self.clock = clock
        self.timeout = deadline
        self.sent = False
        self.expired = False
        self._ends = clock() + deadline.total_seconds()
        self._handle: socket.socket | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(deadline.total_seconds(), self._expire)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        self._release()

    def watch(self, connection: socket.socket) -> None:
        """Let the timer end what happens on this connection."""
        handle = socket.socket(fileno=socket.dup(connection.fileno()))
        with self._lock:
            previous, self._handle = self._handle, handle
            if self.expired:
                _shut_down(handle)
        if previous is not None:
            previous.close()

    def begin(self) -> None:
        """Note that the request leaves from here on.

        Raises:
            NotSent: The time is up.
        """
        with self._lock:
            if self.expired or self.clock() >= self._ends:
                self.expired = True
            else:
                self.sent = True
        if not self.sent:
            raise self.too_late()

    def too_late(self) -> CallError:
        """Return the error for a call whose time is up."""
        within = f"within {self.timeout.total_seconds():g} s"
        if not self.sent:
            return NotSent(
                f"not sent: no connection {within} (name resolution, connecting or the token took too long)",
                request_id=self.request_id,
            )
        return CallError(f"no whole answer {within}", request_id=self.request_id, sent=True)

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


current_call: ContextVar[Call] = ContextVar("the call that this thread is making")


class _Watched(HTTPConnection):
    """A connection that knows its call, and is not used again after it was idle for too long."""

    # http.client would open a closed connection again in the middle of a request.
    auto_open = 0

    _used_at = 0.0

    @property
    def is_connected(self) -> bool:
        """Tell urllib3's pool whether this connection may be used again; if not, it closes it."""
        idle = current_call.get().clock() - self._used_at
        return idle <= IDLE_LIMIT.total_seconds() and super().is_connected

    def connect(self) -> None:
        """Connect; every time-out on the way, a TLS handshake's too, is one of connecting."""
        try:
            super().connect()
        except TimeoutError as error:
            # urllib3 would call that of a handshake, or of a proxy's answer, a read time-out.
            raise ConnectTimeoutError(self, f"Connecting to {self.host} timed out.") from error

    def request(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 — urllib3's own signature
        """Send a request, unless its time is up, noting from when on it may have left."""
        call = current_call.get()
        if self.sock is None:
            self.connect()
        else:
            call.watch(self.sock)
        call.begin()
        self._used_at = call.clock()
        super().request(*args, **kwargs)

    def getresponse(self) -> Any:  # noqa: ANN401 — urllib3's own signature
        """Return the response, noting when this connection was used."""
        response = super().getresponse()
        self._used_at = current_call.get().clock()
        return response

    def _new_conn(self) -> socket.socket:
        connection = super()._new_conn()
        current_call.get().watch(connection)
        return connection


class _WatchedTls(_Watched, HTTPSConnection):
    """The same, over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Watched


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedTls


_POOLS = {"http": _Pool, "https": _TlsPool}


class WatchedAdapter(HTTPAdapter):
    """Makes watched connections, directly or through a proxy."""

    def __init__(self, *, hosts: int) -> None:
        super().__init__(
            # Fewer pools than hosts, and a pool is closed while a call uses it.
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
    # It may be down already: then there is nothing to end.
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _leave_as_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
