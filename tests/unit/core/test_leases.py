"""An outcome decides only on the lease under which its POST was sent."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.testing.app import NOON
from shared.core.decisions import replayed
from shared.core.events import ScheduleEvent, deduplication_key
from shared.core.leases import LEASE, MAX_CLAIM_AGE, POST_DEADLINE
from shared.core.lost_runs import record_search
from shared.core.outcomes import Outcome, OutcomeKind
from shared.core.runs import SearchResult
from shared.core.submissions import OnUnknown, Policy, State, Submission
from shared.core.transitions import FIRST_POLL, lease, mark_ambiguous, settle, unless_moved_on

EVENT = ScheduleEvent(trigger="nightly", time=NOON)
FRESH = Submission(
    id=deduplication_key(EVENT),
    trigger="nightly",
    pipeline="scoring",
    kind="published_pipeline",
    endpoint_digest="x",
    event=EVENT,
    body=b"{}",
    created=NOON,
    updated=NOON,
)
FIRST = lease(FRESH, now=NOON)
"""The submission under its first lease. `SECOND` is the same submission under another one, an hour later."""
HOUR = NOON + timedelta(hours=1)
SECOND = lease(replace(FIRST, state=State.PENDING, due=NOON), now=HOUR)
LATER = HOUR + timedelta(minutes=1)
LOST = Outcome(kind=OutcomeKind.UNKNOWN, message="lost")
REFUSED = Outcome(kind=OutcomeKind.REFUSED, message="refused")
NOT_SENT = Outcome(kind=OutcomeKind.NOT_STARTED, message="no token")
STARTED = Outcome(kind=OutcomeKind.STARTED, run_id="run-1")

NO_RUN = [
    Outcome(kind=kind, message="why")
    for kind in (
        OutcomeKind.NOT_STARTED,
        OutcomeKind.THROTTLED,
        OutcomeKind.FORBIDDEN,
        OutcomeKind.REFUSED,
    )
]


def settle_first(
    row: Submission, outcome: Outcome, *, on_unknown: OnUnknown = OnUnknown.SEARCH
) -> Submission:
    """Settle an outcome of the first lease."""
    return settle(
        row,
        outcome,
        generation=1,
        lease_id=FIRST.lease_id,
        now=LATER,
        policy=Policy(on_unknown=on_unknown),
        chance=lambda: 0.5,
    )


def settle_second(
    row: Submission, outcome: Outcome, *, on_unknown: OnUnknown = OnUnknown.SEARCH
) -> Submission:
    """Settle an outcome of the second lease."""
    return settle(
        row,
        outcome,
        generation=1,
        lease_id=SECOND.lease_id,
        now=LATER,
        policy=Policy(on_unknown=on_unknown),
        chance=lambda: 0.5,
    )


def test_each_lease_has_an_id_of_its_own() -> None:
    again = replayed(
        replace(FIRST, state=State.DEAD),
        b"{}",
        experiment="E",
        pipeline="scoring",
        kind="published_pipeline",
        endpoint_digest="x",
        workspace_digest="",
        now=HOUR,
    )
    assert again.state is State.SUBMITTING
    assert again.due == HOUR + LEASE
    assert len({FRESH.lease_id, FIRST.lease_id, SECOND.lease_id, again.lease_id}) == 4


@pytest.mark.parametrize("outcome", NO_RUN, ids=lambda one: one.kind)
def test_an_outcome_of_another_lease_is_history(outcome: Outcome) -> None:
    after = settle_first(SECOND, outcome)
    assert replace(after, attempts=(), updated=SECOND.updated) == SECOND
    assert [attempt.outcome for attempt in after.attempts] == [outcome.kind]


@pytest.mark.parametrize("outcome", NO_RUN, ids=lambda one: one.kind)
def test_an_outcome_of_a_lease_that_is_over_is_history(outcome: Outcome) -> None:
    expired = mark_ambiguous(FIRST, reason="vanished", now=HOUR, policy=Policy())
    after = settle_first(expired, outcome)
    assert replace(after, attempts=(), updated=expired.updated) == expired


def test_a_row_that_was_leased_again_meanwhile_has_moved_on() -> None:
    seen = replace(FIRST, due=SECOND.due)
    change = unless_moved_on(seen, lambda row: replace(row, state=State.HELD))
    assert change(seen).state is State.HELD
    assert change(SECOND) == SECOND


# Outcomes are recorded once


@pytest.mark.parametrize("outcome", [NOT_SENT, LOST, STARTED, REFUSED], ids=lambda one: one.kind)
def test_the_same_outcome_is_recorded_once_also_without_a_request_id(outcome: Outcome) -> None:
    once = settle_first(FIRST, outcome)
    assert settle_first(once, outcome) == once
    assert [attempt.id for attempt in once.attempts] == [outcome.id]


def test_two_outcomes_with_the_same_words_are_two() -> None:
    once = settle_first(FIRST, NOT_SENT)
    twice = settle_first(once, Outcome(kind=NOT_SENT.kind, message=NOT_SENT.message))
    assert len(twice.attempts) == 2


def test_outcomes_are_compared_without_their_ids() -> None:
    assert Outcome(kind=OutcomeKind.REFUSED) == Outcome(kind=OutcomeKind.REFUSED)
    assert Outcome(kind=OutcomeKind.REFUSED).id != Outcome(kind=OutcomeKind.REFUSED).id


# An ambiguous outcome is never forgotten


def test_an_ambiguous_outcome_makes_a_pending_row_unknown() -> None:
    pending = replace(SECOND, state=State.PENDING, due=HOUR, reason="429")
    after = settle_first(pending, LOST)
    assert (after.state, after.reason, after.due) == (State.UNKNOWN, "lost", LATER + FIRST_POLL)
    assert after.post_deadline == LATER
    assert after.may_have_run


@pytest.mark.parametrize(
    ("on_unknown", "state"),
    [(OnUnknown.HOLD, State.HELD), (OnUnknown.RESEND, State.PENDING)],
)
def test_what_a_late_ambiguous_outcome_makes_of_a_pending_row_is_the_triggers_policy(
    on_unknown: OnUnknown, state: State
) -> None:
    pending = replace(SECOND, state=State.PENDING, due=HOUR)
    after = settle_first(pending, LOST, on_unknown=on_unknown)
    assert after.state is state
    assert after.may_have_run


def test_an_ambiguous_outcome_of_another_lease_leaves_the_state() -> None:
    after = settle_first(SECOND, LOST)
    assert (after.state, after.due, after.lease_id) == (
        State.SUBMITTING,
        SECOND.due,
        SECOND.lease_id,
    )
    assert after.may_have_run


@pytest.mark.parametrize("outcome", NO_RUN, ids=lambda one: one.kind)
def test_it_is_searched_when_the_other_lease_ends_without_a_run(outcome: Outcome) -> None:
    after = settle_second(settle_first(SECOND, LOST), outcome)
    assert (after.state, after.reason) == (State.UNKNOWN, "lost")
    assert after.due == LATER + FIRST_POLL


def test_it_is_held_when_the_other_lease_ends_and_the_trigger_says_hold() -> None:
    remembered = settle_first(SECOND, LOST, on_unknown=OnUnknown.HOLD)
    after = settle_second(remembered, NOT_SENT, on_unknown=OnUnknown.HOLD)
    assert after.state is State.HELD


def test_it_is_sent_again_when_the_trigger_says_resend() -> None:
    remembered = settle_first(SECOND, LOST, on_unknown=OnUnknown.RESEND)
    after = settle_second(remembered, NOT_SENT, on_unknown=OnUnknown.RESEND)
    assert after.state is State.PENDING
    refused = settle_second(remembered, REFUSED, on_unknown=OnUnknown.RESEND)
    assert refused.state is State.HELD
    assert refused.reason == "refused (an answer before that was lost, and a run may have started)"


def test_the_other_lease_that_starts_a_run_keeps_it() -> None:
    after = settle_second(settle_first(SECOND, LOST), STARTED)
    assert (after.state, after.run_id) == (State.SUBMITTED, "run-1")
    assert after.unknown_since is not None


def test_a_late_ambiguous_outcome_begins_the_searches_of_an_unknown_row_anew() -> None:
    unknown = mark_ambiguous(FIRST, reason="vanished", now=NOON + LEASE, policy=Policy())
    searched = replace(unknown, conclusive_searches=2, lag=timedelta(minutes=1))
    after = settle_first(searched, LOST)
    assert after.state is State.UNKNOWN
    assert (after.conclusive_searches, after.lag, after.post_deadline) == (0, None, LATER)


def test_a_late_ambiguous_outcome_makes_a_dead_row_held() -> None:
    dead = settle_second(SECOND, REFUSED)
    assert dead.state is State.DEAD
    after = settle_first(dead, LOST)
    assert after.state is State.HELD
    assert after.reason == "lost (it was dead: refused)"
    assert after.due is None


def test_a_late_ambiguous_outcome_of_an_older_generation_is_history() -> None:
    second = replace(SECOND, generation=2)
    after = settle_first(second, LOST)
    assert not after.may_have_run


def test_searches_that_were_conclusive_settle_the_ambiguity() -> None:
    row = replace(settle_first(FIRST, LOST), conclusive_searches=2)
    later = LATER + timedelta(hours=1)
    pending = record_search(row, SearchResult(saw_newer=True), reference=None, now=later)
    assert pending.state is State.PENDING
    assert not pending.may_have_run
    resent = lease(pending, now=later)
    after = settle(
        resent, NOT_SENT, generation=1, lease_id=resent.lease_id, now=later, chance=lambda: 0.5
    )
    assert after.state is State.PENDING


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["first", "second", "next", "vanish", "search"]),
            st.sampled_from(OutcomeKind),
        ),
        max_size=12,
    )
)
def test_a_submission_with_a_lost_answer_is_neither_pending_nor_dead(
    steps: list[tuple[str, OutcomeKind]],
) -> None:
    row, now = FIRST, NOON
    for step, kind in steps:
        now += timedelta(minutes=30)
        outcome = Outcome(kind=kind, run_id="run-1" if kind is OutcomeKind.STARTED else None)
        settle_row = partial(settle, outcome=outcome, generation=1, now=now)
        match step, row.state:
            case "first", _:
                row = settle_row(row, lease_id=FIRST.lease_id)
            case "second", _:
                row = settle_row(row, lease_id=row.lease_id)
            case "next", State.PENDING:
                row = lease(row, now=now)
            case "vanish", State.SUBMITTING:
                row = mark_ambiguous(row, reason="vanished", now=now, policy=Policy())
            case "search", State.UNKNOWN:
                row = record_search(row, SearchResult(saw_newer=True), reference=None, now=now)
        assert not (row.may_have_run and row.state in {State.PENDING, State.DEAD})


# The end of the POST whose answer was lost


def test_a_post_has_ended_three_minutes_after_its_lease_began_or_when_its_outcome_is_known() -> (
    None
):
    def lost(now: timedelta) -> Submission:
        return settle(FIRST, LOST, generation=1, lease_id=FIRST.lease_id, now=NOON + now)

    bound = NOON + MAX_CLAIM_AGE + POST_DEADLINE
    assert lost(timedelta(seconds=1)).post_deadline == bound
    assert lost(timedelta(minutes=9)).post_deadline == NOON + timedelta(minutes=9)
