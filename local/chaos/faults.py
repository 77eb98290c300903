"""The faults of a chaos run on the workspace's side, and the book of what was injected into which event."""

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
"""For a whole call of a worker, in real time, where the product has two minutes."""

_HANG = DEADLINE.total_seconds() + 1
_LATE = DEADLINE.total_seconds() * 0.6
_PAGE = "<html><head><title>502</title></head><body>Bad <b>gateway</b></body></html>"
LATE_ANSWER = "late answer after the lease"

type MakeFault = Callable[[random.Random, datetime], WorkspaceFault]


class FaultBook:
    """What was injected, by fault and by the event that met it. Thread-safe."""

    def __init__(self) -> None:
        self.injected: Counter[str] = Counter()
        self._met: dict[str, set[str]] = {}
        self._lock = threading.Lock()

    def note(self, fault: str, deduplication_key: str | None) -> None:
        """Note that a fault was injected, into the calls of one event where that is known."""
        with self._lock:
            self.injected[fault] += 1
            if deduplication_key is not None:
                self._met.setdefault(deduplication_key, set()).add(fault)

    def met(self, deduplication_key: str) -> frozenset[str]:
        """Return the faults that an event met."""
        with self._lock:
            return frozenset(self._met.get(deduplication_key, ()))


class PostFaults:
    """Decides for each call of the workspace what goes wrong, by the seed, the event and the number of the call.

    Args:
        book: Where injections are noted.
        seed: What chance comes from.
        share: The share of calls that go wrong.
        names: Which faults POSTs meet.
        now: The run's time, for a `Retry-After` that is a date.
        on_late: Called when an answer is held back: the clock must leave the lease behind meanwhile.
    """

    def __init__(
        self,
        book: FaultBook,
        *,
        seed: int,
        share: float,
        names: Sequence[str],
        now: Callable[[], datetime],
        on_late: Callable[[], None],
    ) -> None:
        self._book = book
        self._seed = seed
        self._share = share
        self._names = names
        self._now = now
        self._on_late = on_late
        self._calls: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.active = True

    def decide(self, route: WorkspaceRoute, request: IncomingRequest) -> WorkspaceFault | None:
        """Return what a request gets instead of its true answer; None when nothing goes wrong."""
        if not self.active:
            return None
        key = stamp_of(request.body) if route is WorkspaceRoute.SUBMIT else request.path
        with self._lock:
            self._calls[key] += 1
            number = self._calls[key]
        dice = random.Random(f"post:{self._seed}:{key}:{number}")  # noqa: S311 — it must be repeatable
        if dice.random() >= self._share:
            return None
        if route is not WorkspaceRoute.SUBMIT:
            name = dice.choice(sorted(READ_FAULTS))
            self._book.note(f"{route}: {name}", None)
            return READ_FAULTS[name](dice, self._now())
        name = dice.choice(self._names)
        fault = POST_FAULTS[name](dice, self._now())
        if name == LATE_ANSWER:
            self._on_late()
        self._book.note(f"POST: {name}", key.rpartition("-")[0])
        return fault


def stamp_of(body: bytes) -> str:
    """Return what a submit's body is stamped with."""
    content: dict[str, Any] = json.loads(body)
    return str(content["tags"]["submission"])


def _status(status: int) -> MakeFault:
    """Return an orderly error; whether a run was made all the same is for chance to say."""
    return lambda dice, _now: WorkspaceFault(status=status, accepted=dice.random() < 0.5)


def _page(dice: random.Random, _now: datetime) -> WorkspaceFault:
    return WorkspaceFault(status=dice.choice((200, 502)), accepted=dice.random() < 0.5, body=_PAGE)


def _throttled(headers: Callable[[random.Random, datetime], dict[str, str]]) -> MakeFault:
    return lambda dice, now: WorkspaceFault(status=429, headers=headers(dice, now))


def _date(dice: random.Random, now: datetime) -> dict[str, str]:
    until = now + timedelta(seconds=dice.randint(1, 600))
    return {"Retry-After": format_datetime(until, usegmt=True)}


POST_FAULTS: dict[str, MakeFault] = {
    "429": _throttled(lambda _dice, _now: {}),
    "429 with Retry-After in seconds": _throttled(
        lambda dice, _now: {"Retry-After": str(dice.randint(0, 600))}
    ),
    "429 with Retry-After as a date": _throttled(_date),
    **{str(status): _status(status) for status in (408, 500, 502, 503, 504)},
    "dropped": lambda _dice, _now: WorkspaceFault(fault_kind=FaultKind.DROP),
    "accepted, then dropped": lambda _dice, _now: WorkspaceFault(
        fault_kind=FaultKind.DROP, accepted=True
    ),
    "accepted, then reset": lambda _dice, _now: WorkspaceFault(
        fault_kind=FaultKind.RESET, accepted=True
    ),
    "accepted, then hung": lambda _dice, _now: WorkspaceFault(
        fault_kind=FaultKind.HANG, accepted=True, seconds=_HANG
    ),
    "accepted, then a broken TLS record": lambda _dice, _now: WorkspaceFault(
        fault_kind=FaultKind.BROKEN_TLS, accepted=True
    ),
    "truncated JSON": lambda _dice, _now: WorkspaceFault(fault_kind=FaultKind.TRUNCATE),
    "HTML page": _page,
    "empty body": lambda dice, _now: WorkspaceFault(
        status=200, body="", accepted=dice.random() < 0.5
    ),
    "slow drip beyond the deadline": lambda _dice, _now: WorkspaceFault(
        fault_kind=FaultKind.DRIP, seconds=0.05
    ),
    "200 without id": lambda _dice, _now: WorkspaceFault(fault_kind=FaultKind.NO_ID),
    LATE_ANSWER: lambda _dice, _now: WorkspaceFault(fault_kind=FaultKind.LATE, seconds=_LATE),
}
"""What a POST may get."""

READ_FAULTS: dict[str, MakeFault] = {
    "429": POST_FAULTS["429 with Retry-After in seconds"],
    "500": lambda _dice, _now: WorkspaceFault(status=500),
    "503": lambda _dice, _now: WorkspaceFault(status=503),
    "dropped": lambda _dice, _now: WorkspaceFault(fault_kind=FaultKind.DROP),
    "truncated": lambda _dice, _now: WorkspaceFault(fault_kind=FaultKind.TRUNCATE),
    "HTML page": lambda _dice, _now: WorkspaceFault(status=502, body=_PAGE),
}
"""What a search, or a look at a run, may get."""
