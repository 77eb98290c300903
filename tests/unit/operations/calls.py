"""HTTP calls as events, for tests of what people can ask for afterwards."""

from __future__ import annotations

from local.testing.app import Bench
from shared.core.events import HttpEvent
from shared.core.outcomes import Outcome, OutcomeKind
from shared.core.submissions import Submission
from shared.operations.submissions import start as start_event

TRIGGERS = """
call: {pipeline: scoring, http: {}, parameters: {day: "{{ http.body.day }}"}}
careful: {pipeline: scoring, http: {}, on_unknown: hold}
new-data:
  pipeline: scoring
  blob: {datastore: lake, path: incoming}
  tags: {team: "{{ blob.metadata.team }}"}
"""


DEAD = Outcome(kind=OutcomeKind.REFUSED, message="no such pipeline")


LOST = Outcome(kind=OutcomeKind.UNKNOWN, message="lost")


def start(
    bench: Bench, outcome: Outcome | None, *, trigger: str = "call", key: str = "k"
) -> Submission:
    bench.workspace.outcomes = [outcome] if outcome else []
    event = HttpEvent(
        trigger=trigger, time=bench.clock.now(), key=("key", key), body={"day": "monday"}
    )
    result = start_event(bench.app.services, event)
    assert isinstance(result, Submission)
    return result
