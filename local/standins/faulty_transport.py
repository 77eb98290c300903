"""A transport for the Azure SDKs that loses requests and answers as a network does, below the SDK's own retries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from azure.core.exceptions import ServiceRequestError, ServiceResponseError
from azure.core.pipeline.transport import RequestsTransport
from azure.core.rest import HttpRequest, HttpResponse

from local.testing.memory_table import Fault


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
