"""What became of a POST, in the five ways that decide what happens next.

The POST is not idempotent on Azure ML v1: it is sent again only when it is certain that no run was started.
`shared.pipelines.answers` decides which of these an answer or an exception is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class OutcomeKind(StrEnum):
    """What is known after a POST."""

    STARTED = "started"
    """2xx with a run id: a run exists."""
    NOT_STARTED = "not_started"
    """The request certainly never reached Azure ML: it may be sent again."""
    THROTTLED = "throttled"
    """429: no run; it may be sent again after `retry_after`."""
    FORBIDDEN = "forbidden"
    """401 or 403: no run; roles take up to an hour to apply, so it may be sent again."""
    REFUSED = "refused"
    """No run, and the same request will never start one."""
    UNKNOWN = "unknown"
    """Nobody knows whether a run was started: it must be looked for, never simply sent again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One POST's outcome.

    Attributes:
        kind: What is known.
        run_id: The run's id, when there is one.
        run_status: The run's first status, when the answer told one.
        status: The HTTP status, when there was an answer.
        code: The service's own error code.
        message: What happened, for a person; never a token, a header or a request body. At most 1,000 characters.
        retry_after: What the service asked to wait.
        request_id: The `x-ms-client-request-id` that was sent.
        service_request_id: The service's own id of the request, when it told one.
    """

    kind: OutcomeKind
    run_id: str | None = None
    run_status: str | None = None
    status: int | None = None
    code: str | None = None
    message: str | None = None
    retry_after: timedelta | None = None
    request_id: str | None = None
    service_request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRequest:
    """A request to one of Azure ML's services, before a token is added and it is sent."""

    method: str
    """`GET`, `POST`, …"""
    url: str
    """An absolute URL."""
    body: bytes | None = None
    """JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAnswer:
    """A whole answer of one of Azure ML's services."""

    status: int
    """The HTTP status."""
    headers: Mapping[str, str]
    """By lower-case name."""
    content: bytes
    """The body, decoded from any Content-Encoding."""
    request_id: str
    """The `x-ms-client-request-id` that was sent."""
