"""How a submission moves on after an outcome, a search or a poll of its run.

Each transition is a pure function of the row as it stands now. A transition that decides something applies only if the
row has not moved on since (`unless_moved_on`). What was learnt (an answer, a run) is recorded in any state.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from shared.core.outcomes import Outcome, OutcomeKind
from shared.core.runs import RunFacts
from shared.core.submissions import (
    KEPT_ATTEMPTS,
    LEASE,
    MAX_CLAIM_AGE,
    POST_DEADLINE,
    Attempt,
    OnUnknown,
    Policy,
    State,
    Submission,
)
from shared.core.times import print_duration

FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=1)
"""Waits between retries double from the first to the longest. Each is drawn between zero and that (full jitter)."""

FIRST_POLL = timedelta(minutes=1)
LONGEST_POLL = timedelta(minutes=10)
"""A run is polled after the first wait, then after half its age, at most after the longest wait."""

MIN_CONCLUSIVE_SEARCHES = 3
"""Conclusive searches that must find no run before the submission is sent again."""

QUIET = timedelta(minutes=15)
"""The last of these searches must be at least this long after the POST's end, since run history may lag."""

SEARCH_FOR = timedelta(hours=24)
"""How long the app searches for a run before a person must decide."""

type Chance = Callable[[], float]
"""Draws from [0, 1)."""

type Change = Callable[[Submission], Submission]
"""A transition of the row as it stands now."""


def unless_moved_on(seen: Submission, change: Change) -> Change:
    """Return a change that applies only if the row still stands as it was seen: same state, generation and due time."""

    def guarded(row: Submission) -> Submission:
        same = (row.state, row.generation, row.due) == (seen.state, seen.generation, seen.due)
        return change(row) if same else row

    return guarded


def settle(
    submission: Submission,
    outcome: Outcome,
    *,
    generation: int,
    now: datetime,
    policy: Policy | None = None,
    chance: Chance = random.random,
) -> Submission:
    """Return the submission after a POST's outcome.

    The outcome is recorded in any state of the row. Recording it twice changes nothing.

    Args:
        submission: The row as it stands now.
        outcome: The POST's outcome.
        generation: The generation that was sent.
        now: When the outcome was known.
        policy: What the trigger wants.
        chance: For the wait until the next retry.
    """
    policy = policy or Policy()
    if any(
        known.request_id == outcome.request_id and outcome.request_id is not None
        for known in submission.attempts
    ):
        return submission
    attempts = (*submission.attempts, _attempt(outcome, generation, now))
    recorded = replace(submission, attempts=attempts[-KEPT_ATTEMPTS:], updated=now)
    if outcome.kind is OutcomeKind.STARTED:
        return _started(recorded, outcome, generation, now)
    if submission.state is not State.SUBMITTING or submission.generation != generation:
        return recorded  # the row has moved on: this answer is history, not a decision
    if outcome.kind is OutcomeKind.REFUSED:
        return replace(recorded, state=State.DEAD, reason=outcome.message, due=None)
    if outcome.kind is OutcomeKind.UNKNOWN:
        return mark_ambiguous(
            recorded, reason=outcome.message, now=now, policy=policy, chance=chance
        )
    return _retry(recorded, outcome.message, now, policy, chance, at_least=outcome.retry_after)


def lease(submission: Submission, *, now: datetime) -> Submission:
    """Return a `pending` submission with a new lease, so that its holder may send it."""
    return replace(submission, state=State.SUBMITTING, reason=None, due=now + LEASE, updated=now)


def mark_ambiguous(
    submission: Submission,
    *,
    reason: str | None,
    now: datetime,
    policy: Policy,
    chance: Chance = random.random,
) -> Submission:
    """Return a `submitting` submission whose answer was lost, or whose sender has vanished."""
    leased = (submission.due or now + LEASE) - LEASE
    ambiguous = replace(
        submission,
        reason=reason,
        unknown_since=now,
        lag=None,
        post_deadline=leased + MAX_CLAIM_AGE + POST_DEADLINE,
        conclusive_searches=0,
        updated=now,
    )
    match policy.on_unknown:
        case OnUnknown.SEARCH:
            return replace(ambiguous, state=State.UNKNOWN, due=now + FIRST_POLL)
        case OnUnknown.HOLD:
            return hold(ambiguous, f"{reason} (the trigger says on_unknown: hold)", now=now)
        case OnUnknown.RESEND:
            return _retry(ambiguous, reason, now, policy, chance)


def record_search(
    submission: Submission, runs: Sequence[RunFacts], *, saw: datetime | None, now: datetime
) -> Submission:
    """Return the submission after a search for its run.

    A search that finds nothing is conclusive only if it would have shown our run. So it must show the reference run.
    Since a search may lag, our POST must also have ended longer ago than the reference run was old when a search
    showed it: a run that old is shown.

    Args:
        submission: An `unknown` one.
        runs: The runs with its correlation id.
        saw: When the reference run was started, if the search showed it.
        now: When the search was.
    """
    if runs:
        return adopt(submission, runs, now=now)
    since, ended = submission.unknown_since or now, submission.post_deadline or now
    lag = submission.lag
    if saw is not None:
        lag = min(now - saw, lag) if lag is not None else now - saw
    conclusive = saw is not None and lag is not None and now - ended >= lag
    searches = submission.conclusive_searches + 1 if conclusive else submission.conclusive_searches
    searched = replace(submission, conclusive_searches=searches, lag=lag, updated=now)
    if conclusive and searches >= MIN_CONCLUSIVE_SEARCHES and now >= ended + QUIET:
        reason = f"{searches} conclusive searches found no run: it is sent again"
        return replace(searched, state=State.PENDING, reason=reason, due=now)
    if now >= since + SEARCH_FOR:
        return hold(
            searched,
            f"an answer was lost, and {print_duration(SEARCH_FOR)} of searching did not show whether a run has "
            f"started ({searches} searches were conclusive). The cause: {submission.reason}",
            now=now,
        )
    return replace(searched, due=now + _growing(now - since))


def adopt(submission: Submission, runs: Sequence[RunFacts], *, now: datetime) -> Submission:
    """Return the submission with the run that a search found: the oldest. The others are duplicates."""
    first, *others = sorted(runs, key=lambda run: (run.created is None, run.created, run.id))
    if submission.run_id is not None:
        return submission
    return replace(
        submission,
        state=State.SUBMITTED,
        reason=None,
        run_id=first.id,
        run_status=first.status,
        duplicates=(*submission.duplicates, *(run.id for run in others)),
        due=now + FIRST_POLL,
        updated=now,
    )


def record_poll(submission: Submission, run: RunFacts, *, now: datetime) -> Submission:
    """Return a `submitted` submission after its run was polled."""
    seen = replace(submission, run_status=run.status, updated=now)
    if run.final:
        return replace(seen, state=State.FINISHED, reason=run.error, due=None)
    if not run.known:
        return hold(seen, f"the run's status {run.status!r} is not documented", now=now)
    return poll_later(seen, now=now)


def poll_later(submission: Submission, *, now: datetime) -> Submission:
    """Return a `submitted` submission whose run is polled again later."""
    started = max((attempt.time for attempt in submission.attempts), default=submission.created)
    return replace(submission, due=now + _growing(now - started), updated=now)


def hold(submission: Submission, reason: str | None, *, now: datetime) -> Submission:
    """Return the submission for a person to decide."""
    return replace(submission, state=State.HELD, reason=reason, due=None, updated=now)


def _growing(age: timedelta) -> timedelta:
    return min(max(age / 2, FIRST_POLL), LONGEST_POLL)


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
    submission: Submission, outcome: Outcome, generation: int, now: datetime
) -> Submission:
    if outcome.run_id is None or outcome.run_id == submission.run_id:
        return submission
    if submission.run_id is not None or generation != submission.generation:
        return replace(submission, duplicates=(*submission.duplicates, outcome.run_id))
    return replace(
        submission,
        state=State.SUBMITTED,
        reason=None,
        run_id=outcome.run_id,
        run_status=outcome.run_status,
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
    )
