"""Faults of a storage service below Azure's SDK: refused, busy, late, and carried out though nobody learns of it."""

from __future__ import annotations

import io
import random
import threading
from collections.abc import Callable
from enum import StrEnum
from typing import Any

import requests
from azure.core.exceptions import ServiceRequestError, ServiceResponseError
from azure.core.pipeline.transport import RequestsTransport
from azure.core.rest import HttpRequest, HttpResponse
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse, Retry
from urllib3.exceptions import ProtocolError

from local.testing.memory_table import Fault
from shared.clients.http_connections import POOL_SIZE

OUTAGE_REQUESTS = 30
"""How many requests in a row fail when a service is away for a moment: more than a client's own retries."""


class StorageFault(StrEnum):
    """What goes wrong with one request."""

    REFUSED = "connection refused"
    ERROR = "500"
    BUSY = "503"
    TIMEOUT = "time-out"
    LOST = "carried out, then reset"
    LOST_TIMEOUT = "carried out, then time-out"
    LOST_ERROR = "carried out, then 500"
    LOST_BUSY = "carried out, then 503"

    @property
    def carried_out(self) -> bool:
        """Whether the service has done what it was asked."""
        return self.name.startswith("LOST")


class FaultyAdapter(HTTPAdapter):
    """The adapter of requests, but some requests go wrong, as a network and a service do.

    Args:
        decide: Asked before each request; what it returns goes wrong.
    """

    def __init__(self, decide: Callable[[], StorageFault | None]) -> None:
        super().__init__(pool_maxsize=POOL_SIZE, max_retries=Retry(False))
        self._decide = decide

    def send(
        self,
        request: requests.PreparedRequest,
        *args: Any,  # noqa: ANN401 — requests' own signature
        **options: Any,  # noqa: ANN401 — likewise
    ) -> requests.Response:
        """Send a request, or lose it, or lose its answer.

        Raises:
            requests.RequestException: As the network would.
        """
        fault = self._decide()
        if fault is None:
            return super().send(request, *args, **options)
        if fault.carried_out:
            answer = super().send(request, *args, **options)
            _ = answer.content  # all of it, so that the connection can be used again
        match fault:
            case StorageFault.REFUSED:
                raise requests.ConnectionError("refused, as the harness wanted", request=request)
            case StorageFault.LOST:
                cause = ProtocolError("Connection aborted.", ConnectionResetError(104, "reset"))
                raise requests.ConnectionError(cause, request=request)
            case StorageFault.TIMEOUT | StorageFault.LOST_TIMEOUT:
                raise requests.ReadTimeout("too late, as the harness wanted", request=request)
            case StorageFault.ERROR | StorageFault.LOST_ERROR:
                return self._refusal(request, 500, "InternalError")
            case StorageFault.BUSY | StorageFault.LOST_BUSY:
                return self._refusal(request, 503, "ServerBusy")

    def _refusal(
        self, request: requests.PreparedRequest, status: int, code: str
    ) -> requests.Response:
        """Return an error as the table service writes it."""
        body = (
            f'{{"odata.error":{{"code":"{code}","message":{{"lang":"en-US","value":"{code}"}}}}}}'
        )
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        raw = HTTPResponse(
            body=io.BytesIO(body.encode()), headers=headers, status=status, preload_content=False
        )
        return self.build_response(request, raw)


class FaultyTransport(RequestsTransport):  # type: ignore[misc]  # azure-core exports it lazily, as Any
    """The requests transport, but some calls go wrong.

    Args:
        fault: Asked before each request with its method and path; what it returns goes wrong.
    """

    def __init__(self, fault: Callable[[str, str], Fault | None]) -> None:
        super().__init__()
        self._fault = fault

    def send(self, request: HttpRequest, **options: Any) -> HttpResponse:  # noqa: ANN401 — azure-core's own options
        """Send a request, or lose it, or lose its answer."""
        fault = self._fault(request.method, request.url)
        if fault is Fault.NOT_CARRIED_OUT:
            raise ServiceRequestError("the connection was refused, as a test wanted")
        answer: HttpResponse = super().send(request, **dict(options))
        if fault is Fault.ANSWER_LOST:
            answer.read()
            raise ServiceResponseError("the connection was reset, as a test wanted")
        if fault is Fault.SENT_TWICE:
            answer.read()
            answer = super().send(request, **dict(options))
        return answer


class StorageChance:
    """Lets chance decide: single faults, and now and then an outage that no retry of the client outlasts. Thread-safe.

    Args:
        seed: What chance comes from.
        share: The share of requests that go wrong; an eighth of that begins an outage.
        note: Told of each fault.
    """

    def __init__(self, seed: str, *, share: float, note: Callable[[StorageFault], None]) -> None:
        self._dice = random.Random(seed)  # noqa: S311 — it must be repeatable
        self._note = note
        self._outage = 0
        self._lock = threading.Lock()
        self.share = share

    def decide(self) -> StorageFault | None:
        """Return what goes wrong with the next request, if anything does."""
        with self._lock:
            if self.share == 0:
                return None
            if self._outage == 0 and self._dice.random() < self.share / 8:
                self._outage = OUTAGE_REQUESTS
            if self._outage > 0:
                self._outage -= 1
            elif self._dice.random() >= self.share:
                return None
            fault = self._dice.choice(list(StorageFault))
        self._note(fault)
        return fault
