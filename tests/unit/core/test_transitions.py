"""How an outcome moves a submission on."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from local.testing.app import NOON
from shared.core.outcomes import Outcome, OutcomeKind
from shared.core.submissions import State, Submission
from shared.core.transitions import settle
from tests.examples import submission

CLAIMED = submission()
LATER = NOON + timedelta(seconds=3)


def after(kind: OutcomeKind, row: Submission = CLAIMED, **facts: object) -> Submission:
    facts.setdefault("request_id", "r1")
    outcome = Outcome(kind=kind, **facts)  # type: ignore[arg-type]  # tests name real fields
    return settle(row, outcome, generation=1, now=LATER)


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        (OutcomeKind.STARTED, State.SUBMITTED),
        (OutcomeKind.NOT_STARTED, State.PENDING),
        (OutcomeKind.THROTTLED, State.PENDING),
        (OutcomeKind.FORBIDDEN, State.PENDING),
        (OutcomeKind.REFUSED, State.DEAD),
        (OutcomeKind.UNKNOWN, State.UNKNOWN),
    ],
)
def test_each_outcome_has_its_state(kind: OutcomeKind, state: State) -> None:
    run_id = "run-1" if kind is OutcomeKind.STARTED else None
    settled = after(kind, run_id=run_id, message="why")
    assert settled.state is state
    assert (settled.due is None) == (state is State.DEAD)
    assert settled.reason == (None if state is State.SUBMITTED else "why")
    (attempt,) = settled.attempts
    assert (attempt.outcome, attempt.time, attempt.run_id) == (kind, LATER, run_id)


def test_retry_after_is_obeyed() -> None:
    settled = after(OutcomeKind.THROTTLED, retry_after=timedelta(minutes=7))
    assert settled.due == LATER + timedelta(minutes=7)


def test_a_retry_after_of_a_year_is_cut_to_a_day() -> None:
    settled = after(OutcomeKind.THROTTLED, retry_after=timedelta(days=365))
    assert settled.due == NOON + timedelta(hours=24)


def test_recording_an_outcome_twice_changes_nothing() -> None:
    once = after(OutcomeKind.STARTED, run_id="run-1")
    assert after(OutcomeKind.STARTED, once, run_id="run-1") == once


def test_a_late_unknown_answer_does_not_undo_a_run_that_was_found() -> None:
    found = replace(CLAIMED, state=State.SUBMITTED, run_id="run-1")
    settled = after(OutcomeKind.UNKNOWN, found)
    assert (settled.state, settled.run_id) == (State.SUBMITTED, "run-1")
    assert len(settled.attempts) == 1


def test_a_second_run_is_kept_as_a_duplicate() -> None:
    found = replace(CLAIMED, state=State.SUBMITTED, run_id="run-1")
    settled = after(OutcomeKind.STARTED, found, run_id="run-2")
    assert (settled.run_id, settled.duplicates) == ("run-1", ("run-2",))


@pytest.mark.parametrize("state", [State.UNKNOWN, State.HELD, State.DEAD, State.PENDING])
def test_a_run_that_started_is_adopted_in_any_state(state: State) -> None:
    settled = after(OutcomeKind.STARTED, replace(CLAIMED, state=state), run_id="run-1")
    assert (settled.state, settled.run_id) == (State.SUBMITTED, "run-1")


def test_an_answer_to_an_older_generation_decides_nothing() -> None:
    replayed = replace(CLAIMED, generation=2)
    settled = after(OutcomeKind.REFUSED, replayed)
    assert settled.state is State.SUBMITTING
    assert settled.attempts[0].generation == 1


def test_the_last_20_attempts_are_kept() -> None:
    row = CLAIMED
    for number in range(30):
        row = after(OutcomeKind.UNKNOWN, row, request_id=f"r{number}")
    assert [attempt.request_id for attempt in row.attempts] == [f"r{n}" for n in range(10, 30)]
