"""How an outcome, a search or a poll moves a submission on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.testing.app import NOON
from shared.core.leases import LEASE, MAX_CLAIM_AGE, POST_DEADLINE
from shared.core.lost_runs import adopt, record_search
from shared.core.outcomes import Outcome, OutcomeKind
from shared.core.runs import (
    FAILED,
    SUCCEEDED,
    UNFINISHED,
    ReferenceRun,
    RunFacts,
    SearchResult,
)
from shared.core.submissions import KEPT_ATTEMPTS, OnUnknown, Policy, State, Submission
from shared.core.transitions import (
    FIRST_POLL,
    hold,
    lease,
    poll_later,
    record_poll,
    settle,
    unless_moved_on,
)
from tests.examples import submission

CLAIMED = submission()
LATER = NOON + timedelta(seconds=3)


def after(kind: OutcomeKind, row: Submission = CLAIMED, **facts: object) -> Submission:
    facts.setdefault("request_id", "r1")
    outcome = Outcome(kind=kind, **facts)  # type: ignore[arg-type]  # tests name real fields
    return settle(row, outcome, generation=1, lease_id="", now=LATER)


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
    once = after(OutcomeKind.STARTED, run_id="run-1", id="o1")
    assert after(OutcomeKind.STARTED, once, run_id="run-1", id="o1") == once


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


def noted(row: Submission) -> Submission:
    return replace(row, reason="noted")


@pytest.mark.parametrize(
    "moved",
    [
        {"state": State.PENDING},
        {"generation": 2},
        {"lease_id": "another"},
        {"due": NOON},
        {"due": None},
    ],
)
def test_a_change_of_a_row_that_moved_on_is_left_out(moved: dict[str, object]) -> None:
    row = replace(CLAIMED, **moved)  # type: ignore[arg-type]  # tests name real fields
    assert unless_moved_on(CLAIMED, noted)(row) is row


def test_a_change_applies_to_the_row_as_it_stands_now() -> None:
    row = replace(CLAIMED, run_status="Running", etag="another version")
    changed = unless_moved_on(CLAIMED, noted)(row)
    assert (changed.reason, changed.run_status, changed.etag) == (
        "noted",
        "Running",
        "another version",
    )


def test_a_change_applies_once_if_it_moves_the_row() -> None:
    change = unless_moved_on(CLAIMED, lambda row: hold(row, f"{row.reason}!", now=LATER))
    once = change(CLAIMED)
    assert (once.state, once.reason, once.due) == (State.HELD, "None!", None)
    assert change(once) is once


LOST = replace(
    CLAIMED,
    state=State.UNKNOWN,
    reason="lost",
    unknown_since=NOON,
    post_deadline=NOON + timedelta(minutes=3),
    due=NOON + timedelta(minutes=1),
)


def searched(
    row: Submission, minutes: float, *, saw: float | None, runs: Sequence[RunFacts] = ()
) -> Submission:
    """Return a submission after a search at a minute. It shows a reference run that was started at another."""
    now = NOON + timedelta(minutes=minutes)
    if runs:
        return adopt(row, runs, generation=1, now=now)
    started = NOON + timedelta(minutes=saw or 0)
    reference = ReferenceRun(correlation_id="n-1", experiment="E", started=started)
    found = SearchResult(saw_reference=saw is not None)
    return record_search(row, found, reference=reference, now=now)


def test_a_lost_answer_leads_to_a_search_after_the_post_has_ended_at_the_latest() -> None:
    lost = after(OutcomeKind.UNKNOWN, message="lost")
    assert (lost.state, lost.due) == (State.UNKNOWN, LATER + FIRST_POLL)
    assert lost.post_deadline == NOON + MAX_CLAIM_AGE + POST_DEADLINE


def test_a_search_that_shows_no_reference_run_is_not_conclusive() -> None:
    assert searched(LOST, 20, saw=None).conclusive_searches == 0


def test_a_search_is_conclusive_only_if_the_post_ended_longer_ago_than_the_lag() -> None:
    # The POST ended at minute 3. The reference run, started at minute 10, shows that the lag is at most 8 minutes.
    assert searched(LOST, 18, saw=10).conclusive_searches == 1
    assert searched(LOST, 18, saw=2).conclusive_searches == 0


def test_the_least_lag_that_a_search_has_shown_counts() -> None:
    row = searched(LOST, 12, saw=10)
    assert row.lag == timedelta(minutes=2)
    assert searched(row, 18, saw=0).lag == timedelta(minutes=2)


def test_three_conclusive_searches_and_15_quiet_minutes_send_again() -> None:
    row = LOST
    for minute in (15, 16, 17.9):
        row = searched(row, minute, saw=14)
        assert row.state is State.UNKNOWN
    again = searched(row, 18, saw=14)
    assert (again.state, again.due) == (State.PENDING, NOON + timedelta(minutes=18))
    assert again.reason == "4 conclusive searches found no run: it is sent again"


def test_a_search_without_end_is_held_after_24_hours() -> None:
    held = searched(LOST, 24 * 60, saw=None)
    assert (held.state, held.due, held.may_have_run) == (State.HELD, None, True)
    assert (held.reason or "").startswith("an answer was lost, and 1d of searching did not show")


def test_the_oldest_run_is_adopted_and_one_without_a_time_comes_last() -> None:
    runs = [
        RunFacts(id="none"),
        RunFacts(id="second", created=NOON + timedelta(seconds=2)),
        RunFacts(id="first", created=NOON, status="Running"),
    ]
    found = searched(LOST, 2, saw=None, runs=runs)
    assert (found.state, found.run_id, found.run_status) == (State.SUBMITTED, "first", "Running")
    assert found.duplicates == ("second", "none")


STARTED = replace(CLAIMED, state=State.SUBMITTED, run_id="run-1", due=NOON)


@pytest.mark.parametrize("status", sorted(SUCCEEDED | FAILED))
def test_a_run_that_has_ended_finishes_its_submission(status: str) -> None:
    done = record_poll(STARTED, RunFacts(id="run-1", status=status, error="why"), now=LATER)
    assert (done.state, done.run_status, done.reason, done.due) == (
        State.FINISHED,
        status,
        "why",
        None,
    )


@pytest.mark.parametrize("status", sorted(UNFINISHED))
def test_a_run_at_work_is_polled_again(status: str) -> None:
    polled = record_poll(STARTED, RunFacts(id="run-1", status=status), now=LATER)
    assert (polled.state, polled.run_status) == (State.SUBMITTED, status)
    assert polled.due == LATER + FIRST_POLL


def test_polls_come_after_half_the_runs_age_and_at_most_10_minutes() -> None:
    for age, wait in ((1, 1), (10, 5), (60, 10)):
        now = NOON + timedelta(minutes=age)
        assert poll_later(STARTED, now=now).due == now + timedelta(minutes=wait)


def test_a_lease_is_long_enough_for_its_holder_to_send() -> None:
    pending = replace(CLAIMED, state=State.PENDING, reason="throttled", due=NOON)
    leased = lease(pending, now=LATER)
    assert (leased.state, leased.reason, leased.due) == (State.SUBMITTING, None, LATER + LEASE)


@given(st.integers(1, 30), st.floats(0, 1, exclude_max=True))
def test_waits_between_tries_double_up_to_an_hour(tries: int, chance: float) -> None:
    row = CLAIMED
    for number in range(tries):
        outcome = Outcome(kind=OutcomeKind.NOT_STARTED, request_id=f"r{number}")
        row = settle(
            replace(row, state=State.SUBMITTING),
            outcome,
            generation=1,
            lease_id="",
            now=LATER,
            chance=lambda: chance,
        )
    longest = min(timedelta(seconds=30) * 2 ** (min(tries, KEPT_ATTEMPTS) - 1), timedelta(hours=1))
    assert row.due == LATER + longest * chance


@pytest.mark.parametrize(
    ("policy", "state"),
    [
        (OnUnknown.SEARCH, State.UNKNOWN),
        (OnUnknown.HOLD, State.HELD),
        (OnUnknown.RESEND, State.PENDING),
    ],
)
def test_the_trigger_decides_what_follows_a_lost_answer(policy: OnUnknown, state: State) -> None:
    outcome = Outcome(kind=OutcomeKind.UNKNOWN, message="lost", request_id="r1")
    wanted = Policy(on_unknown=policy)
    row = settle(CLAIMED, outcome, generation=1, lease_id="", now=LATER, policy=wanted)
    assert (row.state, row.may_have_run) == (state, True)


@pytest.mark.parametrize(("lost", "state"), [(None, State.DEAD), (NOON, State.HELD)])
def test_when_its_time_is_over_a_submission_is_dead_or_held_if_a_run_may_exist(
    lost: datetime | None, state: State
) -> None:
    row = replace(CLAIMED, unknown_since=lost)
    outcome = Outcome(kind=OutcomeKind.NOT_STARTED, message="refused", request_id="r1")
    over = settle(
        row,
        outcome,
        generation=1,
        lease_id="",
        now=NOON + timedelta(hours=24),
        policy=Policy(on_unknown=OnUnknown.RESEND),
    )
    assert (over.state, over.due) == (state, None)
    assert over.reason == "given up after 1d: refused"
