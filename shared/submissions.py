"""The durable record that an event, matched by a trigger, must start a run; and how an outcome moves it on.

Everything here is a value: `shared.ledger` stores it, `shared.accepting` makes it, `shared.sending` moves it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from shared.events import Event
from shared.outcomes import Outcome, OutcomeKind

LEASE = timedelta(minutes=10)
"""How long a claim belongs to the process that made it: far above the POST's deadline of two minutes."""

MAX_CLAIM_AGE = timedelta(seconds=60)
"""A POST is not sent later than this after its claim, so that lease and POST can never overlap."""

RETRY_AFTER_MINIMUM = timedelta(seconds=30)
GIVE_UP_AFTER = timedelta(hours=24)
FIRST_FOLLOW = timedelta(minutes=1)
KEPT_ATTEMPTS = 20


class State(StrEnum):
    """Where a submission stands."""

    SUBMITTING = "submitting"
    """Claimed: the process that holds the lease is sending it."""
    PENDING = "pending"
    """Certainly not started; to be sent again when it is due."""
    UNKNOWN = "unknown"
    """The answer was lost: a run may or may not have been started."""
    SUBMITTED = "submitted"
    """A run was started."""
    FINISHED = "finished"
    """The run has ended; `run_status` says how."""
    HELD = "held"
    """A person must decide."""
    DEAD = "dead"
    """Given up: no run was started, and none will be."""
    SKIPPED = "skipped"
    """Matched, but a policy or a person stopped it; `reason` says why."""


FINAL = frozenset({State.FINISHED, State.DEAD, State.SKIPPED})
ATTENTION = frozenset({State.DEAD, State.HELD})


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One POST and what became of it.

    Attributes:
        time: When its outcome was known.
        generation: The submission's generation at the time.
        outcome: What is known.
        run_id: The run it started.
        status: The HTTP status.
        code: The service's own error code.
        message: What happened, for a person.
        request_id: The `x-ms-client-request-id`.
        service_request_id: The service's own id.
    """

    time: datetime
    generation: int
    outcome: OutcomeKind
    run_id: str | None = None
    status: int | None = None
    code: str | None = None
    message: str | None = None
    request_id: str | None = None
    service_request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """An event that must start a run.

    Attributes:
        id: The event's id.
        trigger: The trigger's name.
        pipeline: The pipeline's name in the file.
        kind: The pipeline's kind at the time.
        place: A digest of the pipeline's endpoint: the row never holds a URL that something could be sent to.
        event: What happened.
        body: The rendered POST body, UTF-8 JSON; None when it could not be rendered.
        created: When it was claimed.
        updated: When it was last changed.
        state: Where it stands.
        reason: Why it is `pending`, `unknown`, `held`, `dead` or `skipped`.
        generation: 1 at first; a replay raises it.
        due: When the tick has something to do with it; None when never.
        attempts: The last 20 POSTs, oldest first.
        run_id: Azure ML's id of the run.
        run_status: The run's last known status.
        duplicates: Runs that were started besides `run_id`.
        etag: The row's version when it was read or written; empty before.
        due_key: The exact key of its `due:` row; None when there is none.
    """

    id: str
    trigger: str
    pipeline: str
    kind: str
    place: str
    event: Event
    body: bytes | None
    created: datetime
    updated: datetime
    state: State = State.SUBMITTING
    reason: str | None = None
    generation: int = 1
    due: datetime | None = None
    attempts: tuple[Attempt, ...] = ()
    run_id: str | None = None
    run_status: str | None = None
    duplicates: tuple[str, ...] = ()
    etag: str = field(default="", compare=False, repr=False)
    due_key: str | None = field(default=None, compare=False, repr=False)

    @property
    def stamp(self) -> str:
        """What the run carries in `tags.submission` and `Properties.submission`."""
        return stamp(self.id, self.generation)


def stamp(submission_id: str, generation: int) -> str:
    """Return what a run is stamped with: letters, digits and hyphens only, as run-history filters need."""
    return f"{submission_id}-{generation}"


def settle(
    submission: Submission, outcome: Outcome, *, generation: int, now: datetime
) -> Submission:
    """Return the submission as it stands after a POST's outcome.

    The outcome is recorded whatever happened to the row meanwhile, and recording it twice changes nothing.

    Args:
        submission: As it stands in the ledger now.
        outcome: What became of the POST.
        generation: The generation that was sent.
        now: When the outcome was known.
    """
    if any(
        known.request_id == outcome.request_id and outcome.request_id is not None
        for known in submission.attempts
    ):
        return submission
    recorded = replace(
        submission,
        attempts=(*submission.attempts, _attempt(outcome, generation, now))[-KEPT_ATTEMPTS:],
        updated=now,
    )
    if outcome.kind is OutcomeKind.STARTED:
        return _started(recorded, outcome, now)
    if submission.state is not State.SUBMITTING or submission.generation != generation:
        return recorded  # the row has moved on: this answer is history, not a decision
    match outcome.kind:
        case OutcomeKind.REFUSED:
            return replace(recorded, state=State.DEAD, reason=outcome.message, due=None)
        case OutcomeKind.UNKNOWN:
            due = now + FIRST_FOLLOW
            return replace(recorded, state=State.UNKNOWN, reason=outcome.message, due=due)
        case _:
            wait = max(outcome.retry_after or RETRY_AFTER_MINIMUM, RETRY_AFTER_MINIMUM)
            due = min(now + wait, max(submission.created + GIVE_UP_AFTER, now))
            return replace(recorded, state=State.PENDING, reason=outcome.message, due=due)


def _started(submission: Submission, outcome: Outcome, now: datetime) -> Submission:
    if outcome.run_id == submission.run_id:
        return submission
    if submission.run_id is not None:
        duplicates = (*submission.duplicates, outcome.run_id or "")
        return replace(submission, duplicates=duplicates)
    return replace(
        submission,
        state=State.SUBMITTED,
        reason=None,
        run_id=outcome.run_id,
        run_status=outcome.run_status,
        due=now + FIRST_FOLLOW,
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
