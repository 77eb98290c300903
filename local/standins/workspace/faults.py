"""Faults that the workspace can be told: what a request gets instead of its true answer."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from local.standins.http_server import Answer, IncomingRequest, Misbehaviour, Wire


class FaultKind(StrEnum):
    """How a fault answers."""

    ANSWER = "answer"
    """An orderly answer: the fault's status, headers and body."""
    DROP = "drop"
    """The connection ends without an answer."""
    RESET = "reset"
    """The connection is reset without an answer."""
    HANG = "hang"
    """Nothing comes, then the connection ends."""
    TRUNCATE = "truncate"
    """The true answer's first half, then the connection ends."""
    DRIP = "drip"
    """The true answer, byte by byte."""
    LATE = "late"
    """The true answer, after a while."""
    BROKEN_TLS = "broken_tls"
    """A record that cannot be decrypted, then the connection ends; without TLS, bytes that are no HTTP."""
    NO_ID = "no_id"
    """The true answer without the run's id."""


class WorkspaceRoute(StrEnum):
    """Which requests a fault is for."""

    SUBMIT = "submit"
    STATUS = "status"
    SEARCH = "search"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceFault:
    """What one request gets.

    A submit is checked first: one that would be refused anyway is refused, and the fault waits for
    the next.

    Attributes:
        manner: How it answers.
        accepted: Whether the run is made. It always is in the manners that begin with the true
            answer.
        status: Status of an `answer`.
        headers: Headers of an `answer` (`Retry-After`, `Location`).
        body: Body of an `answer`: text as it is (HTML, cut JSON, nothing), a mapping as JSON; the
            usual error body of the status when None.
        seconds: How long it waits before the answer (`late`), hangs at most (`hang`), or pauses
            between bytes (`drip`).
        route: Which requests it is for.
    """

    fault_kind: FaultKind = FaultKind.ANSWER
    accepted: bool = False
    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | dict[str, Any] | None = None
    seconds: float = 0.0
    route: WorkspaceRoute = WorkspaceRoute.SUBMIT

    @property
    def makes_run(self) -> bool:
        """Whether the run is made."""
        return self.accepted or self.fault_kind in {
            FaultKind.TRUNCATE,
            FaultKind.DRIP,
            FaultKind.LATE,
            FaultKind.NO_ID,
        }

    def apply(self, answer: Callable[[], Answer]) -> Answer | Misbehaviour:
        """Return what the request gets; `answer` makes the true answer, and the run with it."""
        true = (
            answer()
            if self.makes_run or self.route is not WorkspaceRoute.SUBMIT
            else Answer(status=500)
        )
        match self.fault_kind:
            case FaultKind.ANSWER:
                return self._answer()
            case FaultKind.NO_ID:
                value = json.loads(true.body)
                return Answer.json({key: item for key, item in value.items() if key != "Id"})
            case _:
                return lambda wire: self._misbehave(wire, true)

    def _answer(self) -> Answer:
        if isinstance(self.body, str):
            kind = "text/html" if self.body.lstrip().startswith("<") else "application/json"
            headers = {"Content-Type": kind, **self.headers}
            return Answer(status=self.status, body=self.body.encode(), headers=headers)
        body = self.body
        if body is None:
            body = error_body(self.status, "ServiceError", "a fault that was asked for")
        return Answer.json(body, status=self.status, headers=self.headers)

    def _misbehave(self, wire: Wire, true: Answer) -> None:
        data = true.to_bytes(close=True)
        match self.fault_kind:
            case FaultKind.RESET:
                wire.reset()
            case FaultKind.HANG:
                wire.wait(self.seconds)
            case FaultKind.TRUNCATE:
                # Half of the body is missing; Content-Length promises the whole.
                wire.send(data[: len(data) - len(true.body) // 2])
            case FaultKind.BROKEN_TLS:
                # A record of application data (RFC 8446, 5.1) whose 32 bytes no key has made.
                wire.send_below_tls(b"\x17\x03\x03\x00\x20" + bytes(32))
            case FaultKind.LATE:
                if wire.wait(self.seconds):
                    wire.send(data)
            case FaultKind.DRIP:
                for byte in data:
                    if not wire.wait(self.seconds):
                        return
                    wire.send(bytes([byte]))
            case _:
                return


def error_body(
    status: int, code: str, message: str, *, details: list[str] | None = None
) -> dict[str, Any]:
    """Make an error as the pipelines service writes it: ErrorResponse, PascalCase."""
    return {
        "Error": {
            "Code": code,
            "Message": message,
            "Target": None,
            "Details": [{"Code": code, "Message": text, "Target": None} for text in details or []],
            "InnerError": None,
            "DebugInfo": None,
        },
        "Correlation": {"operation": f"local-{status}", "request": "local"},
    }


class FaultPlan:
    """The faults that are to come: a queue of single ones, and rules that stay. Thread-safe."""

    def __init__(self) -> None:
        self._queue: deque[WorkspaceFault] = deque()
        self._rules: list[Callable[[WorkspaceRoute, IncomingRequest], WorkspaceFault | None]] = []
        self._lock = threading.Lock()

    def add(self, *faults: WorkspaceFault) -> None:
        """Let the next requests fail, one fault each, in this order."""
        with self._lock:
            self._queue.extend(faults)

    def rule(
        self, decide: Callable[[WorkspaceRoute, IncomingRequest], WorkspaceFault | None]
    ) -> None:
        """Ask `decide` about every request from now on; the first rule with a fault counts."""
        with self._lock:
            self._rules.append(decide)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._queue.clear()
            self._rules.clear()

    def take(self, route: WorkspaceRoute, request: IncomingRequest) -> WorkspaceFault | None:
        """Return a request's fault: the queue's first for its route, else a rule's."""
        with self._lock:
            for fault in self._queue:
                if fault.route is route:
                    self._queue.remove(fault)
                    return fault
            rules = list(self._rules)
        found = (decide(route, request) for decide in rules)
        return next((fault for fault in found if fault is not None), None)
