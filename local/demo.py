"""The demo: real events on the local stack, and a report of their results.

A schedule fires. Files are uploaded: one that matches and is overwritten later, one in a sub-folder, and one that is
excluded. The same call is made twice. Together they must start exactly four runs.
"""

from __future__ import annotations

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

_IGNORED = re.compile(r"\[event_ignored\] trigger \S+ ignores (\S+): (.*?) \| action=")
"""The log record of an ignored blob: its path and the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoStep:
    """One step of the demo and its result."""

    action: str
    """The action that the demo took."""
    trigger: str
    """The trigger that the step is for."""
    submission: str | None = None
    """The submission's id, or None if there is none."""
    run: str | None = None
    """The run's id, or None if there is none."""
    reason: str | None = None
    """Why the step started no run, or no new run."""
    as_expected: bool = False
    """Whether the result is the expected one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoReport:
    """The report of the demo."""

    steps: tuple[DemoStep, ...]
    """The steps, in order."""
    bodies: Mapping[str, Any]
    """The bodies that the workspace received, by run id."""
    problems: tuple[str, ...] = ()
    """The differences from the expected result. Empty if the demo succeeded."""


@dataclass(slots=True)
class _Demo:
    """The stack, and the steps that have been made so far."""

    stack: Stack
    """The running stack."""
    say: Callable[[str], None]
    """Shows one line of progress."""
    steps: list[DemoStep] = field(default_factory=list)
    """The steps so far."""

    def submission(self, identifier: str) -> dict[str, Any]:
        """Return a submission from the app's HTTP API."""
        shown = self.stack.call("GET", f"/api/v1/submissions/{identifier}")
        shown.raise_for_status()
        content: dict[str, Any] = shown.json()
        return content

    def known(self) -> set[str]:
        """Return the ids of the submissions that the steps name."""
        return {step.submission for step in self.steps if step.submission is not None}

    def new_submission(self, *, what: str) -> dict[str, Any]:
        """Wait for a submission that no step names yet, and for its run. `what` describes it in an error."""

        def find() -> str | None:
            correlation_ids = [
                body["tags"]["submission"] for body in self.stack.workspace.submitted
            ]
            new = {one.rpartition("-")[0] for one in correlation_ids} - self.known()
            return next(iter(new), None)

        identifier = self.stack.wait_until(find, what=what)

        def settled() -> dict[str, Any] | None:
            found = self.submission(identifier)
            return found if found["run"] else None

        return self.stack.wait_until(settled, what=what)

    def add_started(self, action: str, found: Mapping[str, Any], *, expected: bool = True) -> None:
        """Add a step whose event started a run."""
        self.steps.append(
            DemoStep(
                action=action,
                trigger=found["trigger"],
                submission=found["id"],
                run=found["run"]["id"],
                as_expected=expected and found["state"] == "submitted",
            )
        )

    def add_ignored(self, action: str, path: str) -> None:
        """Add a step whose blob started no run."""

        def find() -> str | None:
            log = self.stack.host_log.read_text(encoding="utf-8", errors="replace")
            return next((reason for name, reason in _IGNORED.findall(log) if name == path), None)

        reason = self.stack.wait_until(find, what=f"record of why {path} starts nothing")
        self.steps.append(
            DemoStep(action=action, trigger="new-data", reason=reason, as_expected=True)
        )


def run(*, say: Callable[[str], None]) -> DemoReport:
    """Start the stack, make all steps and return the report.

    Args:
        say: Shows one line of progress.

    Raises:
        AzuriteMissing: Node.js or Azurite is not installed.
        ChildFailed: A part of the stack did not start.
        WaitedTooLong: An expected result did not come in time. The message shows the end of the host's log.
    """
    say("starting Azurite, the workspace, the identity endpoint and the Functions runtime …")
    with Stack(ROOT, settings={"TRIGGERS_FILE": str(TRIGGERS_FILE)}) as stack:
        demo = _Demo(stack, say)
        _run_schedule(demo)
        _upload(demo)
        _call_twice(demo)
        bodies = {run.id: run.body for run in stack.workspace.runs.all()}
        return DemoReport(
            steps=tuple(demo.steps),
            bodies=bodies,
            problems=tuple(find_problems(demo.steps, bodies)),
        )


def _run_schedule(demo: _Demo) -> None:
    demo.say("the host calls the timer function …")
    demo.stack.run_function("tick")
    found = demo.new_submission(what="run of the schedule")
    demo.add_started(f"the schedule's first occurrence, {found['event']['time']}", found)


def _upload(demo: _Demo) -> None:
    stack = demo.stack
    demo.say("files are uploaded, and the host finds them …")
    stack.upload("incoming/orders.csv", b"id,amount\n1,10\n")
    demo.add_started("incoming/orders.csv is added", demo.new_submission(what="run of a blob"))
    stack.upload("incoming/archive/orders.csv", b"id,amount\n1,10\n")
    demo.add_ignored("incoming/archive/orders.csv is added", "incoming/archive/orders.csv")
    stack.upload("incoming/orders.partial.csv", b"id,am")
    demo.add_ignored("incoming/orders.partial.csv is added", "incoming/orders.partial.csv")
    demo.say("one of the files is overwritten …")
    stack.upload("incoming/orders.csv", b"id,amount\n1,10\n2,20\n")
    found = demo.new_submission(what="run of the overwritten blob")
    demo.add_started("incoming/orders.csv is overwritten", found)


def _call_twice(demo: _Demo) -> None:
    demo.say("the same call is made twice …")
    first, second = (
        demo.stack.call("POST", CALL, json={"day": "monday"}, headers={"Idempotency-Key": KEY})
        for _ in range(2)
    )
    found = first.json()
    demo.add_started(
        f"POST …{CALL[7:]} with key {KEY}: {first.status_code}",
        found,
        expected=first.status_code == 202,
    )
    same = second.status_code == 202 and second.json()["id"] == found["id"]
    demo.steps.append(
        DemoStep(
            action=f"the same POST again: {second.status_code}",
            trigger="on-demand",
            submission=second.json().get("id"),
            reason=f"the key and the body are the same, so it is submission {found['id']} again",
            as_expected=same,
        )
    )


def find_problems(steps: Sequence[DemoStep], bodies: Mapping[str, Any]) -> list[str]:
    """Return the differences from the expected result: unexpected steps, runs without a step, and wrong paths."""
    found = [f"not as expected: {step.action}" for step in steps if not step.as_expected]
    expected = [step.run for step in steps if step.run is not None]
    if sorted(expected) != sorted(bodies):
        found.append(f"expected {len(expected)} runs, but {len(bodies)} were started")
    paths = [
        assignment["RelativePath"]
        for body in bodies.values()
        for assignment in body.get("DataPathAssignments", {}).values()
    ]
    if paths != ["incoming/orders.csv"] * 2:
        found.append(f"expected the path incoming/orders.csv twice, but the paths are {paths}")
    return found


def to_json(report: DemoReport) -> dict[str, Any]:
    """Return the report as JSON values."""
    return {
        "ok": not report.problems,
        "problems": list(report.problems),
        "events": [
            {
                "action": step.action,
                "trigger": step.trigger,
                "submission": step.submission,
                "run": step.run,
                "reason": step.reason,
                "as_expected": step.as_expected,
            }
            for step in report.steps
        ],
        "bodies": dict(report.bodies),
    }
