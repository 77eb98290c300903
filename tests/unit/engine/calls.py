"""HTTP calls as events, and ticks, for tests of what happens to a submission after its first POST."""

from __future__ import annotations

from datetime import datetime, timedelta

from local.testing.app import Bench
from shared.core.events import HttpEvent
from shared.core.outcomes import Outcome, OutcomeKind
from shared.core.submissions import Submission
from shared.operations.submissions import start as start_event

TRIGGERS = """
call: {pipeline: scoring, http: {}}
patient: {pipeline: scoring, http: {}, give_up_after: 2h}
careful: {pipeline: scoring, http: {}, on_unknown: hold}
eager: {pipeline: scoring, http: {}, on_unknown: resend}
"""


REFUSED = Outcome(kind=OutcomeKind.NOT_STARTED, message="refused")


LOST = Outcome(kind=OutcomeKind.UNKNOWN, message="lost")


def start(bench: Bench, *outcomes: Outcome, trigger: str = "call", key: str = "k") -> Submission:
    bench.workspace.outcomes = list(outcomes)
    event = HttpEvent(trigger=trigger, time=bench.clock.now(), key=("key", key))
    result = start_event(bench.app.services, event)
    assert isinstance(result, Submission)
    return result


def stored(bench: Bench, submission: Submission) -> Submission:
    found = bench.app.services.ledger.submissions.get(submission.id)
    assert found is not None
    return found


def ticks(bench: Bench, until: datetime, *, every: timedelta = timedelta(minutes=1)) -> None:
    while bench.clock.now() < until:
        bench.clock.time = min(bench.clock.now() + every, until)
        bench.app.tick()
