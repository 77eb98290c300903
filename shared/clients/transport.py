"""Calls to Azure ML: kept-alive connections, no retries, one deadline for the whole call.

These rules make the outcome of a POST readable (`shared.pipelines.answers`):

- azure-core, requests and urllib3 neither retry nor redirect.
- A connection that was idle for more than 30 s is closed, not used: a NAT may have dropped it silently.
- The deadline is wall-clock time and covers the whole call. A read time-out bounds one read only, so a server that
  sends one byte a second never reaches it. A timer therefore shuts the connection down.
- The connection records whether a byte of the request may have left. An error's class does not say it.
- A token goes only to the hosts that the transport was made for, and only over TLS or to this machine.
"""

from __future__ import annotations

import contextlib
import logging
import time
import uuid
from collections.abc import Callable, Iterable
from datetime import timedelta
from http.client import HTTPException

import requests
from azure.core.exceptions import AzureError
from azure.core.pipeline import Pipeline, PipelineRequest
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.core.pipeline.transport import RequestsTransport
from azure.core.rest import HttpRequest, HttpResponse
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

from shared.clients.http_connections import WatchedAdapter, WatchedCall, kept_alive_session
from shared.clients.identity import Tokens
from shared.core.errors import CallError, NotSent
from shared.core.outcomes import ServiceAnswer
from shared.core.telemetry import Action, Field, log_decision
from shared.pipelines.workspaces import is_loopback

logger = logging.getLogger(__name__)

VERSION = "0.1.0"
"""The app's version, the same as in pyproject.toml: the deployed app has no package metadata to read it from."""

DEADLINE = timedelta(seconds=120)
"""Of a whole call, from the request for its token to the last byte of its answer."""

CONNECT_TIMEOUT = timedelta(seconds=10)
"""Of each address of a host, and of each step of the TLS handshake."""

MAX_ANSWER_BYTES = 1024 * 1024
"""The answer to a submission has a few KiB."""

type BodyReader = Callable[[Iterable[bytes]], bytes]
"""Takes the chunks of a body, and returns what to keep of it. A ValueError ends the call."""

_FAULTS = (AzureError, requests.RequestException, HTTPError, HTTPException, OSError, ValueError)
"""The errors that the libraries raise for network faults and for malformed requests."""


def host_of(url: str) -> str:
    """Return `host:port` of a URL, in lower case, with the scheme's default port if the URL names none.

    Raises:
        ValueError: The URL is not http or https, contains a character that is not allowed, or has a user name.
    """
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise ValueError(
            "the URL contains a character that is not allowed there (a space, a backslash, a control character or one "
            "outside ASCII)"
        )
    # requests uses this parser too, so the host that is checked is the host that is called.
    parts = parse_url(url)
    if parts.scheme not in ("http", "https") or not parts.host or parts.auth is not None:
        raise ValueError("the URL must be http(s)://host/… without a user name")
    return f"{parts.host.lower()}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


class Transport:
    """Calls a fixed set of hosts with this app's identity. One transport serves the whole process.

    Args:
        tokens: The identity.
        hosts: The hosts that may be called: `host_of` of each endpoint.
        clock: Returns monotonic seconds.
        connect_timeout: For each address of a host.
    """

    def __init__(
        self,
        tokens: Tokens,
        *,
        hosts: frozenset[str],
        clock: Callable[[], float] = time.monotonic,
        connect_timeout: timedelta = CONNECT_TIMEOUT,
    ) -> None:
        self._tokens = tokens
        self._hosts = hosts
        self._clock = clock
        self._connect_timeout = connect_timeout
        session = kept_alive_session(WatchedAdapter(hosts=len(hosts)))
        self._requests = RequestsTransport(session=session)
        self._pipeline: Pipeline[HttpRequest, HttpResponse] = Pipeline(
            self._requests, policies=[_BearerToken(tokens)]
        )

    def send(
        self,
        method: str,
        url: str,
        *,
        scope: str,
        body: bytes | None = None,
        deadline: timedelta = DEADLINE,
        read: BodyReader | None = None,
    ) -> ServiceAnswer:
        """Send one request, once, and return the whole answer, whatever its status.

        Args:
            method: `GET`, `POST`, …
            url: An absolute URL.
            scope: The token's scope.
            body: UTF-8 JSON.
            deadline: Of the whole call.
            read: Reads the answer's body. By default at most 1 MiB is read, and all of it is kept.

        Raises:
            TokenUnavailable: There is no token, so nothing was sent.
            NotSent: The host is not allowed, or the deadline passed before anything was sent.
            CallError: There is no complete answer. `sent` says whether the request may have left. `__cause__` is the
                library's error.
        """
        request_id = str(uuid.uuid4())
        host = self._allowed(url, request_id)
        call = WatchedCall(request_id=request_id, deadline=deadline, clock=self._clock)
        fields: dict[str, Field] = {
            "method": method,
            "host": host,
            "path": parse_url(url).path or "/",
            "request_id": request_id,
        }
        headers = {
            "Accept": "application/json",
            # Without compression, an answer of a few KiB cannot unpack to gigabytes.
            "Accept-Encoding": "identity",
            "User-Agent": f"azureml-pipeline-triggers/{VERSION}",
            "x-ms-client-request-id": request_id,
        }
        if body is not None:
            headers["Content-Type"] = "application/json"
        started = self._clock()
        try:
            request = HttpRequest(method, url, headers=headers, content=body)
            answer = self._run(request, call, scope, read or _read_bounded)
        except Exception as error:
            self._log(fields, started, error=error)
            raise
        self._log(fields, started, status=answer.status)
        return answer

    def close(self) -> None:
        """Close all connections."""
        self._requests.close()

    def _allowed(self, url: str, request_id: str) -> str:
        """Return the URL's host if a token may go to it.

        Raises:
            NotSent: A token may not go to it.
        """
        try:
            host = host_of(url)
        except ValueError as error:
            raise NotSent(f"not sent: {error}", request_id=request_id) from error
        if host not in self._hosts:
            raise NotSent(
                f"not sent: {host} is not the host of any endpoint in the triggers file",
                request_id=request_id,
            )
        if not url.lower().startswith("https:") and not _stays_here(url):
            raise NotSent(
                f"not sent: {host} must be called over https, since the call carries a token "
                "(http is allowed for this machine only)",
                request_id=request_id,
            )
        return host

    def _run(
        self, request: HttpRequest, call: WatchedCall, scope: str, read: BodyReader
    ) -> ServiceAnswer:
        # A token may go to this machine without TLS, so a proxy must not see the call.
        proxies = {"http": "", "https": ""} if _stays_here(request.url) else None
        try:
            with call.current():
                response = self._pipeline.run(
                    request,
                    stream=True,
                    scope=scope,
                    connection_timeout=self._connect_timeout.total_seconds(),
                    read_timeout=call.deadline.total_seconds(),
                    proxies=proxies,
                ).http_response
                with contextlib.closing(response):  # it gives the connection back, or closes it
                    content = read(response.iter_bytes())
        except _FAULTS as error:
            if call.expired:
                raise call.too_late() from error
            raise CallError(
                f"the call failed with {type(error).__name__}",
                request_id=call.request_id,
                sent=call.sent,
            ) from error
        # A body without a length ends where its connection ends. If the timer ended it, the body only looks complete.
        if call.expired:
            raise call.too_late()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return ServiceAnswer(
            status=response.status_code,
            headers=headers,
            content=content,
            request_id=call.request_id,
        )

    def _log(
        self,
        fields: dict[str, Field],
        started: float,
        *,
        status: int | None = None,
        error: Exception | None = None,
    ) -> None:
        milliseconds = round((self._clock() - started) * 1000)
        result = type(error.__cause__ or error).__name__ if error is not None else status
        log_decision(
            logger,
            Action.WORKSPACE_CALL,
            f"{fields['method']} {fields['host']}{fields['path']}: {result} after {milliseconds} ms",
            {**fields, "status": status, "milliseconds": milliseconds},
            level=logging.INFO if error is None else logging.WARNING,
        )


class _BearerToken(SansIOHTTPPolicy[HttpRequest, HttpResponse]):
    """Adds the token of the call's scope. `Transport` has checked the host before."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def on_request(self, request: PipelineRequest[HttpRequest]) -> None:
        token = self._tokens.get_token_info(request.context.options.pop("scope"))
        request.http_request.headers["Authorization"] = f"Bearer {token.token}"


def _read_bounded(chunks: Iterable[bytes]) -> bytes:
    """Return the whole body.

    Raises:
        ValueError: The body is larger than 1 MiB. Its connection is closed.
    """
    content = bytearray()
    for chunk in chunks:
        content += chunk
        if len(content) > MAX_ANSWER_BYTES:
            raise ValueError(f"the answer has more than {MAX_ANSWER_BYTES} bytes")
    return bytes(content)


def _stays_here(url: str) -> bool:
    return is_loopback((parse_url(url).host or "").strip("[]"))
