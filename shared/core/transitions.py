"""How a submission moves on: what an outcome, a look, a run's end or a person makes of it.

Each transition is a pure function of the row as it stands now. Those that decide something check that the row still
stands where the decision was made; what was learnt (an answer, a run) is recorded wherever it stands.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from shared.core.errors import NotAllowed
from shared.core.outcomes import Outcome, OutcomeKind
from shared.core.runs import FAILED, RunFacts
from shared.core.submissions import (
    KEPT_ATTEMPTS,
    KEPT_DECISIONS,
    LEASE,
    MAX_CLAIM_AGE,
    POST_DEADLINE,
    Attempt,
    Decision,
    OnUnknown,
    Policy,
    State,
    Submission,
)
from shared.core.times import print_duration

FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=1)
"""Waits between tries double from the first to the longest; each is drawn between zero and that (full jitter)."""

FIRST_POLL = timedelta(minutes=1)
LONGEST_POLL = timedelta(minutes=10)

MIN_CONCLUSIVE_SEARCHES = 3
"""Searches that must not have found a run, although they could have, before it is sent again."""

QUIET = timedelta(minutes=15)
"""How long after the POST's end the last of these searches must be: run history may lag."""

SEARCH_FOR = timedelta(hours=24)
"""How long a run is looked for before a person must decide."""

type Chance = Callable[[], float]
"""Draws from [0, 1)."""


def settle(
    submission: Submission,
    outcome: Outcome,
    *,
    generation: int,
    now: datetime,
    policy: Policy | None = None,
    chance: Chance = random.random,
) -> Submission:
    """Return the submission as it stands after a POST's outcome.

    The outcome is recorded whatever happened to the row meanwhile, and recording it twice changes nothing.

    Args:
        submission: As it stands in the ledger now.
        outcome: What became of the POST.
        generation: The generation that was sent.
        now: When the outcome was known.
        policy: What the trigger wants.
        chance: For the wait until the next try.
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
    return _try_again(recorded, outcome.message, now, policy, chance, at_least=outcome.retry_after)


def lease(submission: Submission, *, now: datetime) -> Submission:
    """Return a `pending` submission as it stands when somebody takes it to send it again."""
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
    lost = replace(
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
            return replace(lost, state=State.UNKNOWN, due=now + FIRST_POLL)
        case OnUnknown.HOLD:
            return hold(lost, f"{reason} (the trigger says on_unknown: hold)", now=now)
        case OnUnknown.RESEND:
            return _try_again(lost, reason, now, policy, chance)


def record_search(
    submission: Submission, runs: Sequence[RunFacts], *, saw: datetime | None, now: datetime
) -> Submission:
    """Return the submission after a search for its run.

    Finding nothing proves something only if the search could have seen the run. So it must see the newest run that we
    know of; and since a search may lag, our POST must have ended longer ago than that run was old when it was seen:
    what is that old, this search shows.

    Args:
        submission: An `unknown` one.
        runs: What was found by its stamp.
        saw: When the newest run that we know of was started, if the search saw it.
        now: When the search was.
    """
    if runs:
        return adopt(submission, runs, now=now)
    since, ended = submission.unknown_since or now, submission.post_deadline or now
    lag = submission.lag
    if saw is not None:
        lag = min(now - saw, lag) if lag is not None else now - saw
    counts = saw is not None and lag is not None and now - ended >= lag
    conclusive_searches = (
        submission.conclusive_searches + 1 if counts else submission.conclusive_searches
    )
    searched = replace(submission, conclusive_searches=conclusive_searches, lag=lag, updated=now)
    if counts and conclusive_searches >= MIN_CONCLUSIVE_SEARCHES and now >= ended + QUIET:
        reason = (
            f"{conclusive_searches} searches that see its neighbours found no run: it is sent again"
        )
        return replace(searched, state=State.PENDING, reason=reason, due=now)
    if now >= since + SEARCH_FOR:
        return hold(
            searched,
            f"an answer was lost, and {print_duration(SEARCH_FOR)} of searching did not tell whether a run was "
            f"started ({conclusive_searches} searches could have seen it). It was: {submission.reason}",
            now=now,
        )
    return replace(searched, due=now + _growing(now - since))


def adopt(submission: Submission, runs: Sequence[RunFacts], *, now: datetime) -> Submission:
    """Return the submission with the run that was found: the oldest, the others are duplicates."""
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
    """Return a `submitted` submission after its run was looked at."""
    seen = replace(submission, run_status=run.status, updated=now)
    if run.final:
        return replace(seen, state=State.FINISHED, reason=run.error, due=None)
    if not run.known:
        return hold(seen, f"the run's status {run.status!r} is one that nobody documented", now=now)
    return poll_later(seen, now=now)


def poll_later(submission: Submission, *, now: datetime) -> Submission:
    """Return a `submitted` submission that is looked at again later: after 1 minute at first, 10 at the end."""
    started = max((attempt.time for attempt in submission.attempts), default=submission.created)
    return replace(submission, due=now + _growing(now - started), updated=now)


def hold(submission: Submission, reason: str | None, *, now: datetime) -> Submission:
    """Return the submission for a person to decide."""
    return replace(submission, state=State.HELD, reason=reason, due=None, updated=now)


def drop(submission: Submission, *, now: datetime) -> Submission:
    """Return the submission as a person dropped it."""
    reason = f"dropped by a person; it was {submission.state}: {submission.reason}"
    return replace(submission, state=State.SKIPPED, reason=reason, due=None, updated=now)


def _growing(age: timedelta) -> timedelta:
    return min(max(age / 2, FIRST_POLL), LONGEST_POLL)


def _try_again(
    submission: Submission,
    reason: str | None,
    now: datetime,
    policy: Policy,
    chance: Chance,
    *,
    at_least: timedelta | None = None,
) -> Submission:
    """Return the submission waiting for its next try, or given up when its time is over."""
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


REPLAYABLE = frozenset({State.DEAD, State.HELD, State.SKIPPED})


DROPPABLE = frozenset({State.DEAD, State.HELD})


def decided(submission: Submission, decision: Decision) -> Submission:
    """Return the submission with what somebody asked for written down."""
    return replace(submission, decisions=(*submission.decisions, decision)[-KEPT_DECISIONS:])


def check_replay(submission: Submission, *, confirmed: bool) -> None:
    """Check that a submission can be replayed.

    Args:
        submission: As it stands.
        confirmed: Whether the person knows that a run may exist already.

    Raises:
        NotAllowed: It cannot, or asks for confirmation; the message says why.
    """
    state = submission.state
    failed = state is State.FINISHED and submission.run_status in FAILED
    if state not in REPLAYABLE and not failed:
        raise NotAllowed(
            f"submission {submission.id} is {state}; only dead, held or skipped ones are replayed, and finished "
            "ones whose run failed or was canceled"
        )
    running = state is State.HELD and submission.run_id is not None
    if (submission.may_have_run or running) and not confirmed:
        known = f"run {submission.run_id}" if running else "a run that nobody has found"
        raise NotAllowed(
            f"{known} may be at work for submission {submission.id}: a replay may start a second one. "
            "Look in the studio first, then confirm"
        )


def replayed(
    submission: Submission,
    body: bytes,
    *,
    pipeline: str,
    kind: str,
    endpoint_digest: str,
    now: datetime,
) -> Submission:
    """Return the submission's next generation, claimed by the caller: nothing of the last one's run stays with it.

    Args:
        submission: As it stands.
        body: Rendered again, with the next generation's stamp.
        pipeline: The pipeline's name today.
        kind: Its kind today.
        place: The digest of its endpoint today.
        now: The time.
    """
    return replace(
        submission,
        generation=submission.generation + 1,
        state=State.SUBMITTING,
        reason=None,
        body=body,
        pipeline=pipeline,
        kind=kind,
        endpoint_digest=endpoint_digest,
        since=now,
        unknown_since=None,
        post_deadline=None,
        conclusive_searches=0,
        run_id=None,
        run_status=None,
        due=now + LEASE,
        updated=now,
    )


def dropped(submission: Submission, *, now: datetime) -> Submission:
    """Return the submission as a person dropped it.

    Raises:
        NotAllowed: It is neither dead nor held.
    """
    if submission.state not in DROPPABLE:
        raise NotAllowed(
            f"submission {submission.id} is {submission.state}; only dead and held ones are dropped"
        )
    return drop(submission, now=now)
