"""The demo: real events on the local stack, and an account of what came of each.

A schedule fires, files are uploaded (one that matches, one that is overwritten later, one in a sub-folder, one that is
excluded), and the same call is made twice. Four runs must come of it and no other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.stack import Stack

ROOT = Path(__file__).resolve().parent.parent
TRIGGERS_FILE = Path("local/demo.yaml")
CALL = "/api/v1/triggers/on-demand/submissions"
KEY = "order-4711"

_IGNORED = re.compile(r"\[event_ignored\] trigger \S+ ignores (\S+): (.*?) trigger=")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedEvent:
    """One thing that happened and what came of it.

    Attributes:
        what: What was done.
        trigger: The trigger it is for.
        submission: The submission's id, when there is one.
        run: The run's id, when there is one.
        reason: Why no run, or no new run, was started.
        as_expected: Whether it is as it must be.
    """

    what: str
    trigger: str
    submission: str | None = None
    run: str | None = None
    reason: str | None = None
    as_expected: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What the demo shows.

    Attributes:
        happenings: In the order in which they were done.
        bodies: What the workspace received, by run id.
        complaints: What is not as it must be; empty when all is well.
    """

    planned_events: tuple[PlannedEvent, ...]
    bodies: Mapping[str, Any]
    complaints: tuple[str, ...] = ()


@dataclass(slots=True)
class _Scene:
    """The stack, and what it has shown so far."""

    stack: Stack
    say: Callable[[str], None]
    planned_events: list[PlannedEvent] = field(default_factory=list)

    def submission(self, identifier: str) -> dict[str, Any]:
        """Ask the app for a submission, as a person would."""
        shown = self.stack.call("GET", f"/api/v1/submissions/{identifier}")
        shown.raise_for_status()
        content: dict[str, Any] = shown.json()
        return content

    def known(self) -> set[str]:
        """Return the submissions that have been accounted for."""
        return {one.submission for one in self.planned_events if one.submission is not None}

    def new_submission(self, *, what: str) -> dict[str, Any]:
        """Wait for a run of a submission that has not been accounted for."""

        def find() -> str | None:
            stamps = [body["tags"]["submission"] for body in self.stack.workspace.submitted]
            fresh = {correlation_id.rpartition("-")[0] for correlation_id in stamps} - self.known()
            return next(iter(fresh), None)

        identifier = self.stack.wait_until(find, what=what)

        def settled() -> dict[str, Any] | None:
            found = self.submission(identifier)
            return found if found["run"] else None

        return self.stack.wait_until(settled, what=what)

    def add_started(self, what: str, found: Mapping[str, Any], *, expected: bool = True) -> None:
        """Account for an event that started a run."""
        self.planned_events.append(
            PlannedEvent(
                what=what,
                trigger=found["trigger"],
                submission=found["id"],
                run=found["run"]["id"],
                as_expected=expected and found["state"] == "submitted",
            )
        )

    def add_ignored(self, what: str, path: str) -> None:
        """Account for a blob that started nothing."""

        def find() -> str | None:
            log = self.stack.host_log.read_text(encoding="utf-8", errors="replace")
            return next((reason for name, reason in _IGNORED.findall(log) if name == path), None)

        reason = self.stack.wait_until(find, what=f"record of why {path} starts nothing")
        self.planned_events.append(
            PlannedEvent(what=what, trigger="new-data", reason=reason, as_expected=True)
        )


def run(*, say: Callable[[str], None]) -> Account:
    """Start the stack, let things happen, and return the account.

    Args:
        say: Shows a line of progress.

    Raises:
        AzuriteMissing: Node.js or Azurite is not installed.
        ChildFailed: Something did not start.
        WaitedTooLong: Something did not happen; the message shows the end of the host's log.
    """
    say("starting Azurite, the workspace, the identity endpoint and the Functions runtime …")
    with Stack(ROOT, settings={"TRIGGERS_FILE": str(TRIGGERS_FILE)}) as stack:
        environment = _Scene(stack, say)
        _let_time_come(environment)
        _upload(environment)
        _call_twice(environment)
        bodies = {run.id: run.body for run in stack.workspace.runs.all()}
        return Account(
            planned_events=tuple(environment.planned_events),
            bodies=bodies,
            complaints=tuple(complaints(environment.planned_events, bodies)),
        )


def _let_time_come(environment: _Scene) -> None:
    environment.say("a minute comes: the timer function is called …")
    environment.stack.run_function("tick")
    found = environment.new_submission(what="run of the schedule")
    environment.add_started(f"the schedule's first occurrence, {found['event']['time']}", found)


def _upload(environment: _Scene) -> None:
    stack = environment.stack
    environment.say("files are uploaded; the host finds them …")
    stack.upload("incoming/orders.csv", b"id,amount\n1,10\n")
    environment.add_started(
        "incoming/orders.csv is added", environment.new_submission(what="run of a blob")
    )
    stack.upload("incoming/archive/orders.csv", b"id,amount\n1,10\n")
    environment.add_ignored("incoming/archive/orders.csv is added", "incoming/archive/orders.csv")
    stack.upload("incoming/orders.partial.csv", b"id,am")
    environment.add_ignored("incoming/orders.partial.csv is added", "incoming/orders.partial.csv")
    environment.say("one of them is overwritten …")
    stack.upload("incoming/orders.csv", b"id,amount\n1,10\n2,20\n")
    found = environment.new_submission(what="run of the overwritten blob")
    environment.add_started("incoming/orders.csv is overwritten", found)


def _call_twice(environment: _Scene) -> None:
    environment.say("the same call is made twice …")
    first, second = (
        environment.stack.call(
            "POST", CALL, json={"day": "monday"}, headers={"Idempotency-Key": KEY}
        )
        for _ in range(2)
    )
    found = first.json()
    environment.add_started(
        f"POST …{CALL[7:]} with key {KEY}: {first.status_code}",
        found,
        expected=first.status_code == 202,
    )
    same = second.status_code == 202 and second.json()["id"] == found["id"]
    environment.planned_events.append(
        PlannedEvent(
            what=f"the same POST again: {second.status_code}",
            trigger="on-demand",
            submission=second.json().get("id"),
            reason=f"the same key and body: submission {found['id']} again, no second run",
            as_expected=same,
        )
    )


def complaints(planned_events: Sequence[PlannedEvent], bodies: Mapping[str, Any]) -> list[str]:
    """Return what is not as it must be: every run accounted for, and the paths as they were uploaded."""
    found = [f"not as expected: {one.what}" for one in planned_events if not one.as_expected]
    expected = [one.run for one in planned_events if one.run is not None]
    if sorted(expected) != sorted(bodies):
        found.append(f"{len(expected)} runs must have been started, and {len(bodies)} were")
    paths = [
        assignment["RelativePath"]
        for body in bodies.values()
        for assignment in body.get("DataPathAssignments", {}).values()
    ]
    if paths != ["incoming/orders.csv"] * 2:
        found.append(f"the workspace received the paths {paths}")
    return found


def to_json(account: Account) -> str:
    """Return the account for machines."""
    return json.dumps(
        {
            "ok": not account.complaints,
            "complaints": list(account.complaints),
            "events": [
                {
                    "what": one.what,
                    "trigger": one.trigger,
                    "submission": one.submission,
                    "run": one.run,
                    "reason": one.reason,
                    "as_expected": one.as_expected,
                }
                for one in account.planned_events
            ],
            "bodies": dict(account.bodies),
        },
        ensure_ascii=False,
        indent=2,
    )
