"""The faults that the workspace stand-in returns in a chaos run, and the log of all injected faults."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

from local.standins.http_server import IncomingRequest
from local.standins.workspace.faults import FaultKind, WorkspaceFault, WorkspaceRoute

DEADLINE = timedelta(seconds=3)
"""The deadline of one call of a worker, in real time. The product's deadline is two minutes."""

_HANG = DEADLINE.total_seconds() + 1
_LATE = DEADLINE.total_seconds() * 0.6
_PAGE = "<html><head><title>502</title></head><body>Bad <b>gateway</b></body></html>"
LATE_ANSWER = "late answer after the lease"

type MakeFault = Callable[[random.Random, datetime], WorkspaceFault]


class FaultLog:
    """The injected faults, counted by fault and kept for each event. Thread-safe."""

    def __init__(self) -> None:
        self.injected: Counter[str] = Counter()
        """How often each fault was injected."""
        self._by_event: dict[str, set[str]] = {}
        self._lock = threading.Lock()

    def record(self, fault: str, deduplication_key: str | None) -> None:
        """Record an injected fault.

        Args:
            fault: The fault's name.
            deduplication_key: The event whose call got the fault, or None if it is not known.
        """
        with self._lock:
            self.injected[fault] += 1
            if deduplication_key is not None:
                self._by_event.setdefault(deduplication_key, set()).add(fault)

    def faults_of(self, deduplication_key: str) -> frozenset[str]:
        """Return the names of the faults that an event's calls got."""
        with self._lock:
            return frozenset(self._by_event.get(deduplication_key, ()))


class WorkspaceFaults:
    """Decides which fault each call of the workspace gets, from the seed, the event and the number of the call.

    Args:
        fault_log: Records each injected fault.
        seed: The seed of the random decisions.
        fraction: The fraction of calls that get a fault, 0 to 1.
        names: The faults that POSTs can get, keys of `POST_FAULTS`.
        now: Returns the run's current time, for a `Retry-After` that is a date.
        on_late: Called when an answer is delayed, so that the run can move the clock past the lease meanwhile.
    """

    def __init__(
        self,
        fault_log: FaultLog,
        *,
        seed: int,
        fraction: float,
        names: Sequence[str],
        now: Callable[[], datetime],
        on_late: Callable[[], None],
    ) -> None:
        self._fault_log = fault_log
        self._seed = seed
        self._fraction = fraction
        self._names = names
        self._now = now
        self._on_late = on_late
        self._calls: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.active = True
        """Whether faults are injected."""

    def decide(self, route: WorkspaceRoute, request: IncomingRequest) -> WorkspaceFault | None:
        """Return the fault that a request gets, or None if it gets the true answer."""
        if not self.active:
            return None
        is_post = route is WorkspaceRoute.SUBMIT
        key = correlation_id_of(request.body) if is_post else request.path
        with self._lock:
            self._calls[key] += 1
            number = self._calls[key]
        # A generator for each call: the decision must not depend on which thread comes first.
        chance = random.Random(f"post:{self._seed}:{key}:{number}")  # noqa: S311 — it must be repeatable
        if chance.random() >= self._fraction:
            return None
        if not is_post:
            name = chance.choice(sorted(READ_FAULTS))
            self._fault_log.record(f"{route}: {name}", None)
            return READ_FAULTS[name](chance, self._now())
        name = chance.choice(self._names)
        fault = POST_FAULTS[name](chance, self._now())
        if name == LATE_ANSWER:
            self._on_late()
        self._fault_log.record(f"POST: {name}", key.rpartition("-")[0])
        return fault


def correlation_id_of(body: bytes) -> str:
    """Return the correlation id in the body of a submit request."""
    content: dict[str, Any] = json.loads(body)
    return str(content["tags"]["submission"])


def _status(status: int) -> MakeFault:
    """Return a fault that answers with `status`, and by chance starts the run or not."""
    return lambda chance, _now: WorkspaceFault(status=status, accepted=chance.random() < 0.5)


def _page(chance: random.Random, _now: datetime) -> WorkspaceFault:
    return WorkspaceFault(
        status=chance.choice((200, 502)), accepted=chance.random() < 0.5, body=_PAGE
    )


def _throttled(headers: Callable[[random.Random, datetime], dict[str, str]]) -> MakeFault:
    return lambda chance, now: WorkspaceFault(status=429, headers=headers(chance, now))


def _date(chance: random.Random, now: datetime) -> dict[str, str]:
    until = now + timedelta(seconds=chance.randint(1, 600))
    return {"Retry-After": format_datetime(until, usegmt=True)}


POST_FAULTS: dict[str, MakeFault] = {
    "429": _throttled(lambda _chance, _now: {}),
    "429 with Retry-After in seconds": _throttled(
        lambda chance, _now: {"Retry-After": str(chance.randint(0, 600))}
    ),
    "429 with Retry-After as a date": _throttled(_date),
    **{str(status): _status(status) for status in (408, 500, 502, 503, 504)},
    "dropped": lambda _chance, _now: WorkspaceFault(fault_kind=FaultKind.DROP),
    "accepted, then dropped": lambda _chance, _now: WorkspaceFault(
        fault_kind=FaultKind.DROP, accepted=True
    ),
    "accepted, then reset": lambda _chance, _now: WorkspaceFault(
        fault_kind=FaultKind.RESET, accepted=True
    ),
    "accepted, then hung": lambda _chance, _now: WorkspaceFault(
        fault_kind=FaultKind.HANG, accepted=True, seconds=_HANG
    ),
    "accepted, then a broken TLS record": lambda _chance, _now: WorkspaceFault(
        fault_kind=FaultKind.BROKEN_TLS, accepted=True
    ),
    "truncated JSON": lambda _chance, _now: WorkspaceFault(fault_kind=FaultKind.TRUNCATE),
    "HTML page": _page,
    "empty body": lambda chance, _now: WorkspaceFault(
        status=200, body="", accepted=chance.random() < 0.5
    ),
    "slow drip beyond the deadline": lambda _chance, _now: WorkspaceFault(
        fault_kind=FaultKind.DRIP, seconds=0.05
    ),
    "200 without id": lambda _chance, _now: WorkspaceFault(fault_kind=FaultKind.NO_ID),
    LATE_ANSWER: lambda _chance, _now: WorkspaceFault(fault_kind=FaultKind.LATE, seconds=_LATE),
}
"""The faults of a POST, by name."""

READ_FAULTS: dict[str, MakeFault] = {
    "429": POST_FAULTS["429 with Retry-After in seconds"],
    "500": lambda _chance, _now: WorkspaceFault(status=500),
    "503": lambda _chance, _now: WorkspaceFault(status=503),
    "dropped": lambda _chance, _now: WorkspaceFault(fault_kind=FaultKind.DROP),
    "truncated": lambda _chance, _now: WorkspaceFault(fault_kind=FaultKind.TRUNCATE),
    "HTML page": lambda _chance, _now: WorkspaceFault(status=502, body=_PAGE),
}
"""The faults of a search and of a status request, by name."""
