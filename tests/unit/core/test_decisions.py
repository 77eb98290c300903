"""What people may decide about a submission, by its state."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from local.testing.app import NOON
from shared.core.decisions import (
    DROPPABLE,
    REPLAYABLE,
    check_replay,
    dropped,
    replayed,
    with_decision,
)
from shared.core.errors import NotAllowed
from shared.core.leases import LEASE
from shared.core.runs import FAILED, SUCCEEDED, UNFINISHED
from shared.core.submissions import KEPT_DECISIONS, Decision, State, Submission
from tests.examples import submission

LATER = NOON + timedelta(hours=1)
LOST = submission(
    state=State.HELD,
    due=None,
    reason="an answer was lost",
    unknown_since=NOON,
    post_deadline=NOON + timedelta(minutes=3),
    conclusive_searches=2,
)
DEAD = submission(state=State.DEAD, due=None, reason="no such pipeline")


def next_generation(row: Submission) -> Submission:
    return replayed(
        row,
        b'{"ExperimentName":"New"}',
        experiment="New",
        pipeline="renamed",
        kind="another_kind",
        endpoint_digest="fedcba9876543210",
        workspace_digest="0011223344556677",
        now=LATER,
    )


@pytest.mark.parametrize("state", list(State))
def test_dead_held_and_skipped_submissions_are_replayed(state: State) -> None:
    row = submission(state=state)
    if state in {State.DEAD, State.HELD, State.SKIPPED}:
        check_replay(row, confirmed=False)
    else:
        with pytest.raises(NotAllowed, match=f"{row.id} is {state}; only dead, held and skipped"):
            check_replay(row, confirmed=True)


@pytest.mark.parametrize("status", sorted(SUCCEEDED | FAILED | UNFINISHED))
def test_of_finished_submissions_those_whose_run_failed_are_replayed(status: str) -> None:
    row = submission(state=State.FINISHED, run_id="run-1", run_status=status)
    if status in {"Failed", "Canceled"}:
        check_replay(row, confirmed=False)
    else:
        with pytest.raises(NotAllowed, match="finished ones whose run failed or was canceled"):
            check_replay(row, confirmed=True)


@pytest.mark.parametrize(
    ("row", "run"),
    [
        (LOST, "a run that no search has found"),
        (replace(LOST, run_id="run-7"), "run run-7"),
        (submission(state=State.HELD, run_id="run-7"), "run run-7"),
        (replace(LOST, state=State.DEAD), "a run that no search has found"),
    ],
)
def test_if_a_run_may_be_at_work_a_replay_needs_confirmation(row: Submission, run: str) -> None:
    with pytest.raises(NotAllowed, match=f"^{run} may be at work for submission {row.id}: "):
        check_replay(row, confirmed=False)
    check_replay(row, confirmed=True)


def test_a_replay_is_a_claim_of_the_next_generation_rendered_with_todays_file() -> None:
    after = next_generation(replace(LOST, run_id="run-1", run_status="NotStarted"))
    assert (after.state, after.generation, after.correlation_id) == (
        State.SUBMITTING,
        2,
        f"{LOST.id}-2",
    )
    assert (after.body, after.experiment) == (b'{"ExperimentName":"New"}', "New")
    assert (after.pipeline, after.kind, after.endpoint_digest) == (
        "renamed",
        "another_kind",
        "fedcba9876543210",
    )
    assert (after.since, after.updated, after.due) == (LATER, LATER, LATER + LEASE)


def test_a_replay_forgets_the_last_generations_run_and_searches() -> None:
    after = next_generation(replace(LOST, run_id="run-1", run_status="NotStarted"))
    assert (after.run_id, after.run_status, after.reason) == (None, None, None)
    assert (after.unknown_since, after.post_deadline, after.conclusive_searches) == (None, None, 0)
    assert not after.may_have_run


def test_a_replay_keeps_the_event_the_claim_and_the_history() -> None:
    row = replace(DEAD, duplicates=("run-9",), decisions=(Decision(time=NOON, action="replay"),))
    after = next_generation(row)
    assert (after.id, after.event, after.created) == (row.id, row.event, row.created)
    assert (after.duplicates, after.decisions) == (row.duplicates, row.decisions)


@pytest.mark.parametrize("state", list(State))
def test_dead_and_held_submissions_are_dropped(state: State) -> None:
    row = submission(state=state, reason="why")
    if state in {State.DEAD, State.HELD}:
        after = dropped(row, now=LATER)
        assert (after.state, after.due, after.updated) == (State.SKIPPED, None, LATER)
        assert after.reason == f"dropped by a person; it was {state}: why"
    else:
        with pytest.raises(NotAllowed, match=f"{row.id} is {state}; only dead and held"):
            dropped(row, now=LATER)


def test_a_dropped_submission_can_be_replayed_and_not_dropped_again() -> None:
    after = dropped(DEAD, now=LATER)
    check_replay(after, confirmed=False)
    with pytest.raises(NotAllowed):
        dropped(after, now=LATER)
    assert DROPPABLE < REPLAYABLE


def test_a_decision_is_recorded_once() -> None:
    decision = Decision(time=NOON, action="replay", by="ada")
    once = with_decision(DEAD, decision)
    assert once.decisions == (decision,)
    assert with_decision(once, decision) is once


def test_the_last_20_decisions_are_kept() -> None:
    row = DEAD
    for minute in range(30):
        decision = Decision(time=NOON + timedelta(minutes=minute), action="replay")
        row = with_decision(row, decision)
    assert len(row.decisions) == KEPT_DECISIONS == 20
    assert row.decisions[0].time == NOON + timedelta(minutes=10)
