"""The outcome of a POST. Its kind decides what happens to the submission next.

A POST to Azure ML v1 is not idempotent. The app sends it again only if it definitely started no run.
`pipelines.answers` maps answers and exceptions to outcomes.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum


class OutcomeKind(StrEnum):
    """Whether a POST started a run."""

    STARTED = "started"
    """A run exists: the answer is 2xx with a run id."""
    NOT_STARTED = "not_started"
    """No run: the request definitely never reached Azure ML. The app retries."""
    THROTTLED = "throttled"
    """No run: the answer is 429. The app retries after `retry_after`."""
    FORBIDDEN = "forbidden"
    """No run: the answer is 401 or 403. The app retries, since a role takes up to an hour to apply."""
    REFUSED = "refused"
    """No run, and a retry cannot start one."""
    UNKNOWN = "unknown"
    """Ambiguous: a run may have started. The app searches for it before it sends anything again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome of one POST."""

    kind: OutcomeKind
    """Whether the POST started a run."""
    run_id: str | None = None
    """The run's id, if the answer has one."""
    run_status: str | None = None
    """The run's first status, if the answer has one."""
    status: int | None = None
    """The HTTP status. None: there is no answer."""
    code: str | None = None
    """Azure ML's own error code."""
    message: str | None = None
    """What happened, for a person: at most 1,000 characters, never a token, a header or a request body."""
    retry_after: timedelta | None = None
    """How long Azure ML asks the app to wait."""
    request_id: str | None = None
    """The `x-ms-client-request-id` that was sent. None: nothing was sent."""
    service_request_id: str | None = None
    """Azure ML's own id of the request, if the answer has one."""
    id: str = field(default_factory=lambda: secrets.token_hex(8), compare=False, repr=False)
    """A random text, so that the outcome is recorded once, also if no request was sent."""


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
