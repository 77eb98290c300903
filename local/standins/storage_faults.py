"""Faults of a storage service, injected below the Azure SDK: refused, busy, late, or carried out but unanswered."""

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
"""How many requests in a row fail in an outage. It exceeds the number of the client's own retries."""


class StorageFault(StrEnum):
    """The fault of one request."""

    REFUSED = "connection refused"
    """The service refused the connection."""
    ERROR = "500"
    """The service answered 500 without carrying the request out."""
    BUSY = "503"
    """The service answered 503 without carrying the request out."""
    TIMEOUT = "time-out"
    """The request timed out and was not carried out."""
    LOST = "carried out, then reset"
    """The service carried the request out, then reset the connection."""
    LOST_TIMEOUT = "carried out, then time-out"
    """The service carried the request out, then the request timed out."""
    LOST_ERROR = "carried out, then 500"
    """The service carried the request out, then answered 500."""
    LOST_BUSY = "carried out, then 503"
    """The service carried the request out, then answered 503."""

    @property
    def carried_out(self) -> bool:
        """Whether the service carries the request out."""
        return self.name.startswith("LOST")


class FaultyAdapter(HTTPAdapter):
    """An adapter for requests that injects faults.

    Args:
        decide: Called before each request. Returns the fault to inject, or None.
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
        """Send a request, unless a fault prevents it or replaces its answer.

        Raises:
            requests.RequestException: The injected fault is an error of the network.
        """
        fault = self._decide()
        if fault is None:
            return super().send(request, *args, **options)
        if fault.carried_out:
            answer = super().send(request, *args, **options)
            _ = answer.content  # read it all, so that the connection can be used again
        match fault:
            case StorageFault.REFUSED:
                raise requests.ConnectionError("refused (injected fault)", request=request)
            case StorageFault.LOST:
                cause = ProtocolError("Connection aborted.", ConnectionResetError(104, "reset"))
                raise requests.ConnectionError(cause, request=request)
            case StorageFault.TIMEOUT | StorageFault.LOST_TIMEOUT:
                raise requests.ReadTimeout("timed out (injected fault)", request=request)
            case StorageFault.ERROR | StorageFault.LOST_ERROR:
                return self._error_answer(request, 500, "InternalError")
            case StorageFault.BUSY | StorageFault.LOST_BUSY:
                return self._error_answer(request, 503, "ServerBusy")

    def _error_answer(
        self, request: requests.PreparedRequest, status: int, code: str
    ) -> requests.Response:
        """Return an error in the format of the table service."""
        body = (
            f'{{"odata.error":{{"code":"{code}","message":{{"lang":"en-US","value":"{code}"}}}}}}'
        )
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        raw = HTTPResponse(
            body=io.BytesIO(body.encode()), headers=headers, status=status, preload_content=False
        )
        return self.build_response(request, raw)


class FaultyTransport(RequestsTransport):  # type: ignore[misc]  # azure-core exports it lazily, as Any
    """A transport for the Azure SDK that injects the faults of the memory table, below the SDK's own retries.

    Args:
        fault: Called before each request with its method and URL. Returns the fault to inject, or None.
    """

    def __init__(self, fault: Callable[[str, str], Fault | None]) -> None:
        super().__init__()
        self._fault = fault

    def send(self, request: HttpRequest, **options: Any) -> HttpResponse:  # noqa: ANN401 — azure-core's own options
        """Send a request, unless a fault prevents it, repeats it or replaces its answer.

        Raises:
            ServiceRequestError: The request was not carried out.
            ServiceResponseError: The request was carried out and its answer lost.
        """
        fault = self._fault(request.method, request.url)
        if fault is Fault.NOT_CARRIED_OUT:
            raise ServiceRequestError("the connection was refused (injected fault)")
        answer: HttpResponse = super().send(request, **dict(options))
        if fault is Fault.ANSWER_LOST:
            answer.read()
            raise ServiceResponseError("the connection was reset (injected fault)")
        if fault is Fault.SENT_TWICE:
            answer.read()
            answer = super().send(request, **dict(options))
        return answer


class StorageChance:
    """Decides by chance which requests get a fault. Thread-safe.

    Args:
        seed: The seed of the random decisions.
        fraction: The fraction of requests that get a fault, 0 to 1. An eighth of these begins an outage, which lasts
            longer than the client's own retries.
        on_fault: Called with each fault.
    """

    def __init__(
        self, seed: str, *, fraction: float, on_fault: Callable[[StorageFault], None]
    ) -> None:
        self._random = random.Random(seed)  # noqa: S311 — it must be repeatable
        self._on_fault = on_fault
        self._outage = 0
        self._lock = threading.Lock()
        self.fraction = fraction
        """The fraction of requests that get a fault, 0 to 1."""

    def decide(self) -> StorageFault | None:
        """Return the fault of the next request, or None."""
        with self._lock:
            if self.fraction == 0:
                return None
            if self._outage == 0 and self._random.random() < self.fraction / 8:
                self._outage = OUTAGE_REQUESTS
            if self._outage > 0:
                self._outage -= 1
            elif self._random.random() >= self.fraction:
                return None
            fault = self._random.choice(list(StorageFault))
        self._on_fault(fault)
        return fault
