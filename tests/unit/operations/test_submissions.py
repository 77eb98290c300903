"""What people can ask for with submissions: replay, drop and cancel."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from local.testing.app import NOON, Bench
from shared.core.errors import (
    NotAllowed,
    NotFound,
    RenderError,
    WorkspaceUnavailable,
)
from shared.core.events import BlobNotification
from shared.core.outcomes import Outcome, OutcomeKind
from shared.core.runs import RunFacts
from shared.core.submissions import State, Submission
from shared.core.transitions import settle
from shared.operations.submissions import cancel, drop, get_submission, replay
from shared.operations.submissions import start as start_event
from tests.unit.operations.calls import DEAD, LOST, TRIGGERS, start

type MakeBench = Callable[..., Bench]


def test_a_replay_is_a_new_generation_with_its_own_correlation_id_and_keeps_the_history(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(TRIGGERS)
    dead = start(bench, DEAD)
    bench.clock.advance(hours=1)
    replayed = replay(bench.app.services, dead.id)
    assert (replayed.state, replayed.generation, replayed.run_id) == (
        State.SUBMITTED,
        2,
        "run-2",
    )
    assert [attempt.generation for attempt in replayed.attempts] == [1, 2]
    bodies = [json.loads(body) for body in bench.workspace.bodies]
    assert [body["tags"]["submission"] for body in bodies] == [f"{dead.id}-1", f"{dead.id}-2"]
    assert replayed.started_trying == NOON.replace(hour=13)
    assert bench.table.page("attention:", "attention;").rows == []


def test_a_replay_renders_the_stored_event_with_todays_file(
    make_bench: MakeBench, write_triggers: Callable[[str], Path]
) -> None:
    bench = make_bench(TRIGGERS)
    dead = start(bench, DEAD)
    file = write_triggers(TRIGGERS.replace('"{{ http.body.day }}"', '"day {{ http.body.day }}"'))
    replay(bench.restarted(file=file).app.services, dead.id)
    body = json.loads(bench.workspace.bodies[-1])
    assert body["ParameterAssignments"] == {"day": "day monday"}


def test_a_template_that_failed_can_be_fixed_and_replayed(
    make_bench: MakeBench, write_triggers: Callable[[str], Path]
) -> None:
    bench = make_bench(TRIGGERS)
    bench.blobs.put("incoming/a.csv", bench.clock)
    dead = start_event(
        bench.app.services,
        BlobNotification(trigger="new-data", container="data", path="incoming/a.csv"),
    )
    assert isinstance(dead, Submission)
    assert dead.state is State.DEAD
    with pytest.raises(RenderError):
        replay(bench.app.services, dead.id)
    fixed = write_triggers(TRIGGERS.replace("blob.metadata.team", "blob.name"))
    replayed = replay(bench.restarted(file=fixed).app.services, dead.id)
    assert replayed.state is State.SUBMITTED


@pytest.mark.parametrize("outcome", [None, Outcome(kind=OutcomeKind.NOT_STARTED, message="x")])
def test_a_submission_at_work_is_not_replayed(
    make_bench: MakeBench, outcome: Outcome | None
) -> None:
    bench = make_bench(TRIGGERS)
    sent = start(bench, outcome)
    with pytest.raises(NotAllowed, match="only dead, held and skipped submissions are replayed"):
        replay(bench.app.services, sent.id, confirmed=True)
    assert len(bench.workspace.bodies) == 1


def test_a_held_submission_that_may_be_running_needs_confirmation(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    held = start(bench, LOST, trigger="careful")
    with pytest.raises(NotAllowed, match="may start a second one"):
        replay(bench.app.services, held.id)
    assert len(bench.workspace.bodies) == 1
    assert replay(bench.app.services, held.id, confirmed=True).generation == 2


@pytest.mark.parametrize(
    ("status", "allowed"),
    [("Failed", True), ("Canceled", True), ("Finished", False), ("Completed", False)],
)
def test_a_finished_submission_is_replayed_only_if_its_run_failed(
    make_bench: MakeBench, status: str, allowed: bool
) -> None:
    bench = make_bench(TRIGGERS)
    sent = start(bench, None)
    bench.workspace.runs["run-1"] = RunFacts(id="run-1", status=status)
    bench.clock.advance(minutes=2)
    bench.app.tick()
    if allowed:
        assert replay(bench.app.services, sent.id).run_id == "run-2"
    else:
        with pytest.raises(NotAllowed):
            replay(bench.app.services, sent.id)


def test_two_people_who_replay_at_once_start_one_run(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    dead = start(bench, DEAD)
    stale = get_submission(bench.app.services, dead.id)
    replay(bench.app.services, dead.id)
    taken = bench.app.services.ledger.submissions.take(stale, lambda row: row)
    assert taken == stale  # nothing was written
    with pytest.raises(NotAllowed):
        replay(bench.app.services, dead.id)
    assert len(bench.workspace.bodies) == 2


def test_a_late_run_of_an_older_generation_is_a_duplicate(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    held = start(bench, LOST, trigger="careful")
    replayed = replay(bench.app.services, held.id, confirmed=True)
    late = Outcome(kind=OutcomeKind.STARTED, run_id="late", request_id="late")
    after = settle(replayed, late, generation=1, lease_id="", now=bench.clock.now())
    assert (after.run_id, after.duplicates) == (replayed.run_id, ("late",))


def test_a_dropped_submission_is_skipped_and_needs_no_attention(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    dead = start(bench, DEAD)
    dropped = drop(bench.app.services, dead.id)
    assert dropped.state is State.SKIPPED
    assert dropped.reason == "dropped by a person; it was dead: no such pipeline"
    assert bench.table.page("attention:", "attention;").rows == []
    with pytest.raises(NotAllowed, match="only dead and held submissions are dropped"):
        drop(bench.app.services, dead.id)
    assert replay(bench.app.services, dead.id).state is State.SUBMITTED


def test_a_run_is_canceled_and_polled_to_its_end(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    sent = start(bench, None)
    cancel(bench.app.services, sent.id)
    bench.clock.advance(minutes=2)
    bench.app.tick()
    found = get_submission(bench.app.services, sent.id)
    assert (found.state, found.run_status) == (State.FINISHED, "Canceled")
    with pytest.raises(NotAllowed, match="no run to cancel"):
        cancel(bench.app.services, sent.id)


def test_a_cancel_that_azure_ml_does_not_confirm_is_an_error(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    sent = start(bench, None)
    bench.workspace.failure = WorkspaceUnavailable("down")
    with pytest.raises(WorkspaceUnavailable):
        cancel(bench.app.services, sent.id)


def test_a_submission_that_does_not_exist_cannot_be_replayed_dropped_or_canceled(
    make_bench: MakeBench,
) -> None:
    services = make_bench(TRIGGERS).app.services
    for decide in (replay, drop, cancel):
        with pytest.raises(NotFound):
            decide(services, "0" * 32)


def test_decisions_are_recorded_with_the_callers_name(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    dead = start(bench, DEAD)
    replay(bench.app.services, dead.id, by="ada")
    cancel(bench.app.services, dead.id, by="bob")
    found = get_submission(bench.app.services, dead.id)
    assert [(one.action, one.by) for one in found.decisions] == [
        ("replay", "ada"),
        ("cancel", "bob"),
    ]
