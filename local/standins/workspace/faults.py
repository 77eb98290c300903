"""Faults of the workspace stand-in: the answers that requests get instead of the true ones."""

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
    """The kind of answer that a fault gives."""

    ANSWER = "answer"
    """An orderly answer with the fault's status, headers and body."""
    DROP = "drop"
    """The connection ends without an answer."""
    RESET = "reset"
    """The connection is reset without an answer."""
    HANG = "hang"
    """No answer comes, and after a while the connection ends."""
    TRUNCATE = "truncate"
    """The first half of the true answer, then the connection ends."""
    DRIP = "drip"
    """The true answer, byte by byte."""
    LATE = "late"
    """The true answer, after a while."""
    BROKEN_TLS = "broken_tls"
    """A TLS record that cannot be decrypted, then the connection ends. Without TLS, bytes that are not HTTP."""
    NO_ID = "no_id"
    """The true answer without the run's id."""


class WorkspaceRoute(StrEnum):
    """The requests that a fault is for."""

    SUBMIT = "submit"
    """A request that starts a run."""
    STATUS = "status"
    """A request for the status of a run."""
    SEARCH = "search"
    """A search, or a listing of a pipeline's runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceFault:
    """The fault that one request gets.

    The workspace checks a submit request first. If the request is invalid, it is refused, and the fault stays for the
    next request.
    """

    fault_kind: FaultKind = FaultKind.ANSWER
    """The kind of answer."""
    accepted: bool = False
    """Whether the run is started. It always is with the kinds that begin with the true answer."""
    status: int = 500
    """The status of an `ANSWER`."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """The headers of an `ANSWER`, such as `Retry-After` or `Location`."""
    body: str | dict[str, Any] | None = None
    """The body of an `ANSWER`: text, or a mapping that is sent as JSON. None sends the status's usual error body."""
    seconds: float = 0.0
    """The wait before the answer (`LATE`), the longest wait (`HANG`), or the pause between two bytes (`DRIP`)."""
    route: WorkspaceRoute = WorkspaceRoute.SUBMIT
    """The requests that the fault is for."""

    @property
    def starts_run(self) -> bool:
        """Whether the run is started."""
        return self.accepted or self.fault_kind in {
            FaultKind.TRUNCATE,
            FaultKind.DRIP,
            FaultKind.LATE,
            FaultKind.NO_ID,
        }

    def apply(self, answer: Callable[[], Answer]) -> Answer | Misbehaviour:
        """Return the answer that the request gets.

        Args:
            answer: Starts the run and returns the true answer.
        """
        true = (
            answer()
            if self.starts_run or self.route is not WorkspaceRoute.SUBMIT
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
            body = error_body(self.status, "ServiceError", "an injected fault")
        return Answer.json(body, status=self.status, headers=self.headers)

    def _misbehave(self, wire: Wire, true: Answer) -> None:
        data = true.to_bytes(close=True)
        match self.fault_kind:
            case FaultKind.RESET:
                wire.reset()
            case FaultKind.HANG:
                wire.wait(self.seconds)
            case FaultKind.TRUNCATE:
                # Content-Length announces the whole body, but half of it is missing.
                wire.send(data[: len(data) - len(true.body) // 2])
            case FaultKind.BROKEN_TLS:
                # A record of application data (RFC 8446, 5.1) with 32 bytes that no key has encrypted.
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
    """Return an error in the format of the pipelines service: ErrorResponse, PascalCase."""
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
    """The faults of the next requests: a queue of single faults, and rules that stay. Thread-safe."""

    def __init__(self) -> None:
        self._queue: deque[WorkspaceFault] = deque()
        self._rules: list[Callable[[WorkspaceRoute, IncomingRequest], WorkspaceFault | None]] = []
        self._lock = threading.Lock()

    def add(self, *faults: WorkspaceFault) -> None:
        """Make the next requests fail, with one fault each, in this order."""
        with self._lock:
            self._queue.extend(faults)

    def rule(
        self, decide: Callable[[WorkspaceRoute, IncomingRequest], WorkspaceFault | None]
    ) -> None:
        """Call `decide` for every later request. The first rule that returns a fault wins."""
        with self._lock:
            self._rules.append(decide)

    def clear(self) -> None:
        """Remove all faults and rules."""
        with self._lock:
            self._queue.clear()
            self._rules.clear()

    def take(self, route: WorkspaceRoute, request: IncomingRequest) -> WorkspaceFault | None:
        """Return a request's fault: the first one in the queue for its route, else a rule's, else None."""
        with self._lock:
            for fault in self._queue:
                if fault.route is route:
                    self._queue.remove(fault)
                    return fault
            rules = list(self._rules)
        found = (decide(route, request) for decide in rules)
        return next((fault for fault in found if fault is not None), None)
