"""How a submission moves on after an outcome, a search or a poll of its run.

Each transition is a function of the row as it stands now. A transition that decides something applies only if the row
has not moved on since (`unless_moved_on`), and an outcome decides only on its own lease. What was learnt (an answer, a
run, a lost answer) is recorded in any state.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from shared.core.leases import LEASE, MAX_CLAIM_AGE, POST_DEADLINE
from shared.core.outcomes import Outcome, OutcomeKind
from shared.core.runs import RunFacts
from shared.core.submissions import KEPT_ATTEMPTS, Attempt, OnUnknown, Policy, State, Submission
from shared.core.times import print_duration

FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=1)
"""Waits between retries double from the first to the longest. Each is drawn between zero and that (full jitter)."""

FIRST_POLL = timedelta(minutes=1)
LONGEST_POLL = timedelta(minutes=10)
"""A run is polled after the first wait, then after half its age, at most after the longest wait."""

POLL_FOR = timedelta(days=30)
"""How long the app polls a run that does not end before a person must decide."""

GONE_FOR = timedelta(hours=24)
"""How long the app polls a run that Azure ML does not know before a person must decide."""


type Chance = Callable[[], float]
"""Draws from [0, 1)."""

type Change = Callable[[Submission], Submission]
"""A transition of the row as it stands now."""


def unless_moved_on(seen: Submission, change: Change) -> Change:
    """Return a change that applies only if the row still stands as it was seen: state, generation, lease, due time."""

    def standing(row: Submission) -> tuple[object, ...]:
        return row.state, row.generation, row.lease_id, row.due

    return lambda row: change(row) if standing(row) == standing(seen) else row


def lease(submission: Submission, *, now: datetime) -> Submission:
    """Return the submission with a new lease, so that its holder may send it."""
    return replace(
        submission,
        state=State.SUBMITTING,
        reason=None,
        lease_id=secrets.token_hex(8),
        due=now + LEASE,
        updated=now,
    )


# The outcome of a POST


def settle(
    submission: Submission,
    outcome: Outcome,
    *,
    generation: int,
    lease_id: str,
    now: datetime,
    policy: Policy | None = None,
    chance: Chance = random.random,
) -> Submission:
    """Return the submission after a POST's outcome.

    The outcome is recorded in any state of the row. Recording it twice changes nothing. It decides only while the row
    still has the lease under which the POST was sent. A run that it started, and an answer that was lost, are facts
    that count in any case.

    Args:
        submission: The row as it stands now.
        outcome: The POST's outcome.
        generation: The generation that was sent.
        lease_id: The lease under which it was sent.
        now: When the outcome was known.
        policy: What the trigger wants.
        chance: For the wait until the next retry.
    """
    policy = policy or Policy()
    if any(known.id == outcome.id for known in submission.attempts):
        return submission
    attempts = (*submission.attempts, _attempt(outcome, generation, now))
    recorded = replace(submission, attempts=attempts[-KEPT_ATTEMPTS:], updated=now)
    leased = submission.state is State.SUBMITTING and submission.lease_id == lease_id
    own = leased and submission.generation == generation
    if outcome.kind is OutcomeKind.STARTED:
        return _started(recorded, outcome, generation=generation, own=own, now=now)
    if outcome.kind is OutcomeKind.UNKNOWN:
        if own:
            return mark_ambiguous(
                recorded, reason=outcome.message, now=now, policy=policy, chance=chance
            )
        return _lost_late(recorded, outcome, generation, now, policy, chance)
    if not own:
        return recorded  # the row has moved on: this outcome is history, not a decision
    if recorded.may_have_run and policy.on_unknown is not OnUnknown.RESEND:
        # This POST started no run, but an earlier one of the generation may have.
        return _decide_ambiguous(recorded, now=now, policy=policy, chance=chance)
    if outcome.kind is OutcomeKind.REFUSED:
        return _refused(recorded, outcome.message, now)
    return _retry(recorded, outcome.message, now, policy, chance, at_least=outcome.retry_after)


def mark_ambiguous(
    submission: Submission,
    *,
    reason: str | None,
    now: datetime,
    policy: Policy,
    chance: Chance = random.random,
) -> Submission:
    """Return a `submitting` submission whose answer was lost, or whose sender has vanished."""
    leased = submission.lease_start or now
    ended = max(leased + MAX_CLAIM_AGE + POST_DEADLINE, now)
    lost = _lose_answer(submission, reason, ended=ended, now=now)
    return _decide_ambiguous(lost, now=now, policy=policy, chance=chance)


def _lost_late(
    submission: Submission,
    outcome: Outcome,
    generation: int,
    now: datetime,
    policy: Policy,
    chance: Chance,
) -> Submission:
    """Return the submission after an ambiguous outcome of a lease that it no longer has."""
    if generation != submission.generation:
        return submission
    lost = _lose_answer(submission, outcome.message, ended=now, now=now)
    if submission.state is State.PENDING:
        return _decide_ambiguous(lost, now=now, policy=policy, chance=chance)
    if submission.state is State.DEAD:
        return hold(lost, f"{outcome.message} (it was dead: {submission.reason})", now=now)
    return lost  # under another lease, it is decided when that lease ends


def _lose_answer(
    submission: Submission, cause: str | None, *, ended: datetime, now: datetime
) -> Submission:
    """Return the submission with the fact that an answer was lost. Only a search settles it, so searches begin anew.

    Args:
        submission: The row as it stands now.
        cause: Why the answer was lost.
        ended: When the POST has ended at the latest.
        now: The current time.
    """
    return replace(
        submission,
        unknown_since=now,
        unknown_cause=cause,
        post_deadline=max(ended, submission.post_deadline or ended),
        conclusive_searches=0,
        lag=None,
        updated=now,
    )


def _decide_ambiguous(
    submission: Submission, *, now: datetime, policy: Policy, chance: Chance
) -> Submission:
    """Return a submission with a lost answer in the state that the trigger's `on_unknown` wants."""
    cause = submission.unknown_cause
    match policy.on_unknown:
        case OnUnknown.SEARCH:
            return replace(submission, state=State.UNKNOWN, reason=cause, due=now + FIRST_POLL)
        case OnUnknown.HOLD:
            return hold(submission, f"{cause} (the trigger says on_unknown: hold)", now=now)
        case OnUnknown.RESEND:
            return _retry(submission, cause, now, policy, chance)


def _refused(submission: Submission, reason: str | None, now: datetime) -> Submission:
    """Return a submission that Azure ML refused: it is dead, unless an earlier POST may have started a run."""
    if submission.may_have_run:
        before = "an answer before that was lost, and a run may have started"
        return hold(submission, f"{reason} ({before})", now=now)
    return replace(submission, state=State.DEAD, reason=reason, due=None)


def _retry(
    submission: Submission,
    reason: str | None,
    now: datetime,
    policy: Policy,
    chance: Chance,
    *,
    at_least: timedelta | None = None,
) -> Submission:
    """Return the submission waiting for its next try, or given up if its time is over."""
    end = submission.started_trying + policy.give_up_after
    if now >= end:
        over = f"given up after {print_duration(policy.give_up_after)}: {reason}"
        if submission.may_have_run:
            return hold(submission, over, now=now)
        return replace(submission, state=State.DEAD, reason=over, due=None)
    tries = sum(one.generation == submission.generation for one in submission.attempts)
    longest = min(FIRST_WAIT * 2 ** min(max(tries - 1, 0), 20), LONGEST_WAIT)
    due = min(now + max(longest * chance(), at_least or timedelta()), end)
    return replace(submission, state=State.PENDING, reason=reason, due=due)


def _started(
    submission: Submission, outcome: Outcome, *, generation: int, own: bool, now: datetime
) -> Submission:
    known = {submission.run_id, *submission.duplicates}
    if outcome.run_id is None or outcome.run_id in known:
        return submission
    if submission.run_id is not None or generation != submission.generation:
        return replace(submission, duplicates=(*submission.duplicates, outcome.run_id))
    return replace(
        submission,
        state=State.SUBMITTED,
        reason=None,
        run_id=outcome.run_id,
        run_status=outcome.run_status,
        # No POST of this lease was sent before the lease, and none of this generation before the generation.
        run_created=(submission.lease_start if own else None) or submission.started_trying,
        poll_since=now,
        due=now + FIRST_POLL,
    )


def _attempt(outcome: Outcome, generation: int, now: datetime) -> Attempt:
    return Attempt(
        time=now,
        generation=generation,
        outcome=outcome.kind,
        run_id=outcome.run_id,
        status=outcome.status,
        code=outcome.code,
        message=outcome.message,
        request_id=outcome.request_id,
        service_request_id=outcome.service_request_id,
        id=outcome.id,
    )


# Searches for a run whose answer was lost


def without_lost_answer(submission: Submission) -> Submission:
    """Return the submission after a search has shown whether the POST with the lost answer started a run."""
    return replace(submission, unknown_since=None, unknown_cause=None, post_deadline=None)


# Polls of a run


def record_poll(submission: Submission, run: RunFacts, *, now: datetime) -> Submission:
    """Return a `submitted` submission after its run was polled. An undocumented status is not final."""
    seen = replace(submission, run_status=run.status, reason=None, gone_since=None, updated=now)
    if run.final:
        return replace(seen, state=State.FINISHED, reason=run.error, due=None)
    return poll_later(seen, now=now)


def record_gone(submission: Submission, reason: str, *, now: datetime) -> Submission:
    """Return a `submitted` submission whose run Azure ML did not know at this poll."""
    since = submission.gone_since or now
    gone = replace(submission, reason=reason, gone_since=since)
    if now >= since + GONE_FOR:
        return hold(gone, f"{reason}, and has not for {print_duration(GONE_FOR)}", now=now)
    return poll_later(gone, now=now)


def poll_later(submission: Submission, *, now: datetime) -> Submission:
    """Return a `submitted` submission whose run is polled again later, or `held` if it was polled long enough."""
    age = now - (submission.poll_since or submission.created)
    if age >= POLL_FOR:
        reason = (
            f"its run has not ended in {print_duration(POLL_FOR)} of polling; its last known status is "
            f"{submission.run_status}"
        )
        return hold(submission, reason, now=now)
    return replace(submission, due=now + growing_wait(age), updated=now)


def hold(submission: Submission, reason: str | None, *, now: datetime) -> Submission:
    """Return the submission for a person to decide."""
    return replace(submission, state=State.HELD, reason=reason, due=None, updated=now)


def growing_wait(age: timedelta) -> timedelta:
    """Return the wait until the next search or poll: half of the time since the first, within bounds."""
    return min(max(age / 2, FIRST_POLL), LONGEST_POLL)
