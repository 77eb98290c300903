"""Calls to the workspace: kept-alive connections, nothing ever sent twice, and a deadline that holds.

Each rule here is there so that the outcome of a POST can be told (`shared.pipelines.answers`):

- No retries and no redirects, in azure-core, requests or urllib3.
- A connection that was idle for more than 30 s is closed, not used: a NAT may have dropped it without a word.
- The deadline is wall-clock and for the whole call. A read time-out bounds one read only, so a server that sends a byte
  a second could hold a call for ever; a timer shuts the connection down instead.
- Whether a byte of the request may have left is known for certain, not concluded from an error's class.
- A token goes only to hosts that were named when the transport was made, and only over TLS or to this very machine.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from http.client import HTTPException
from types import TracebackType
from typing import Any, Self

import requests
from azure.core.exceptions import AzureError
from azure.core.pipeline import Pipeline, PipelineRequest
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.core.pipeline.transport import RequestsTransport
from azure.core.rest import HttpRequest, HttpResponse
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

from shared.clients.http_connections import Call, WatchedAdapter, current_call, kept_alive_session
from shared.clients.identity import Tokens
from shared.core.errors import CallError, NotSent
from shared.core.outcomes import ServiceAnswer
from shared.pipelines.workspaces import is_loopback

logger = logging.getLogger(__name__)

VERSION = "0.1.0"
"""The app's version, as pyproject.toml has it; the deployed app has no package metadata to read it from."""

DEADLINE = timedelta(seconds=120)
"""For a whole call, from its token to the last byte of its answer."""

CONNECT_TIMEOUT = timedelta(seconds=10)
"""For each address of a host, and for each step of the TLS handshake."""

MAX_ANSWER_BYTES = 1024 * 1024
"""An answer of a submission has a few KiB."""

_FAULTS = (AzureError, requests.RequestException, HTTPError, HTTPException, OSError, ValueError)
"""What the libraries raise for a network's faults, and for a request that cannot be one."""


def host_of(url: str) -> str:
    """Return `host:port` of a URL, in lower case and with the port that its scheme implies.

    The parser is the one that requests uses, so that what is checked is what is called.

    Raises:
        ValueError: Not an http or https URL of printable ASCII, or one with a user name.
    """
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise ValueError("the URL holds characters that a URL cannot hold")
    parts = parse_url(url)
    if parts.scheme not in ("http", "https") or not parts.host or parts.auth is not None:
        raise ValueError("the URL must be http(s)://host/… without a user name")
    return f"{parts.host.lower()}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


class Transport:
    """Calls hosts that were named beforehand, with this app's identity; one for the life of the process.

    Args:
        tokens: The identity.
        hosts: `host_of` each endpoint that may be called.
        clock: Monotonic seconds.
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
        self._pipeline: Pipeline[HttpRequest, HttpResponse] = Pipeline(
            RequestsTransport(session=session), policies=[_BearerToken(tokens)]
        )

    def send(
        self,
        method: str,
        url: str,
        *,
        scope: str,
        body: bytes | None = None,
        deadline: timedelta = DEADLINE,
    ) -> ServiceAnswer:
        """Call once, and return the whole answer, whatever its status.

        Args:
            method: `GET`, `POST`, …
            url: An absolute URL.
            scope: The token's scope.
            body: JSON.
            deadline: For the whole call.

        Raises:
            TokenUnavailable: There is no token, so nothing was sent.
            NotSent: The host is not allowed, or the time was up before anything was sent.
            CallError: Anything else; `sent` says whether the request may have left, `__cause__` what went wrong.
        """
        request_id = str(uuid.uuid4())
        host = self._allowed(url, request_id)
        call = Call(request_id=request_id, deadline=deadline, clock=self._clock)
        record: dict[str, Any] = {
            "action": "workspace_call",
            "method": method,
            "host": host,
            "path": parse_url(url).path or "/",
            "request_id": request_id,
        }
        headers = {
            "Accept": "application/json",
            # An answer has a few KiB: nothing to unpack means nothing that unpacks to gigabytes.
            "Accept-Encoding": "identity",
            "User-Agent": f"azureml-pipeline-triggers/{VERSION}",
            "x-ms-client-request-id": request_id,
        }
        if body is not None:
            headers["Content-Type"] = "application/json"
        started = self._clock()
        try:
            request = HttpRequest(method, url, headers=headers, content=body)
            answer = self._run(request, call, scope)
        except Exception as error:
            self._log(record, started, error=error)
            raise
        self._log(record, started, status=answer.status)
        return answer

    def close(self) -> None:
        """Close all connections."""
        self._pipeline.__exit__()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _allowed(self, url: str, request_id: str) -> str:
        """Return the host of a URL that a token may go to."""
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
                f"not sent: a token goes over https only, and {host} is not this machine",
                request_id=request_id,
            )
        return host

    def _run(self, request: HttpRequest, call: Call, scope: str) -> ServiceAnswer:
        # A proxy has no business with a call to this machine, where a token may go without TLS.
        proxies = {"http": "", "https": ""} if _stays_here(request.url) else None
        reset = current_call.set(call)
        try:
            with call:
                response = self._pipeline.run(
                    request,
                    stream=True,
                    scope=scope,
                    connection_timeout=self._connect_timeout.total_seconds(),
                    read_timeout=call.timeout.total_seconds(),
                    proxies=proxies,
                ).http_response
                content = _read(response)
        except _FAULTS as error:
            if call.expired:
                raise call.too_late() from error
            raise CallError(
                f"the call failed: {type(error).__name__}",
                request_id=call.request_id,
                sent=call.sent,
            ) from error
        finally:
            current_call.reset(reset)
        # A body without a length ends where the connection ends: one that the timer cut off only looks whole.
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
        record: dict[str, Any],
        started: float,
        *,
        status: int | None = None,
        error: Exception | None = None,
    ) -> None:
        milliseconds = round((self._clock() - started) * 1000)
        said = type(error.__cause__ or error).__name__ if error is not None else status
        logger.log(
            logging.INFO if error is None else logging.WARNING,
            "%s %s%s: %s after %d ms (request %s)",
            record["method"],
            record["host"],
            record["path"],
            said,
            milliseconds,
            record["request_id"],
            extra={**record, "status": status, "milliseconds": milliseconds},
        )


class _BearerToken(SansIOHTTPPolicy[HttpRequest, HttpResponse]):
    """Adds the token for the call's scope. `Transport` has checked where it goes."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def on_request(self, request: PipelineRequest[HttpRequest]) -> None:
        token = self._tokens.get_token_info(request.context.options.pop("scope"))
        request.http_request.headers["Authorization"] = f"Bearer {token.token}"


def _read(response: HttpResponse) -> bytes:
    """Read a bounded body, and give the connection back or close it.

    Raises:
        ValueError: The body is larger than 1 MiB.
    """
    content = bytearray()
    try:
        for chunk in response.iter_bytes():
            content += chunk
            if len(content) > MAX_ANSWER_BYTES:
                raise ValueError(f"the answer has more than {MAX_ANSWER_BYTES} bytes")
    finally:
        response.close()
    return bytes(content)


def _stays_here(url: str) -> bool:
    return is_loopback((parse_url(url).host or "").strip("[]"))
