"""The second step of an event: its submission is sent, once, and the outcome is recorded.

check the claim's age and the endpoint -> POST -> classify the outcome -> settle
"""

from __future__ import annotations

import logging

from shared.config.model import Pipeline
from shared.core.errors import LedgerError, LedgerUnavailable
from shared.core.leases import MAX_CLAIM_AGE
from shared.core.outcomes import Outcome, OutcomeKind
from shared.core.submissions import State, Submission
from shared.core.telemetry import Action, log_decision
from shared.core.transitions import hold, lease, settle, unless_moved_on
from shared.engine.services import Services

logger = logging.getLogger(__name__)

_ACTIONS = {
    State.SUBMITTED: (Action.SUBMISSION_SUBMITTED, logging.INFO),
    State.PENDING: (Action.SUBMISSION_PENDING, logging.WARNING),
    State.UNKNOWN: (Action.SUBMISSION_UNKNOWN, logging.ERROR),
    State.DEAD: (Action.SUBMISSION_DEAD, logging.ERROR),
    State.HELD: (Action.SUBMISSION_HELD, logging.ERROR),
    State.FINISHED: (Action.SUBMISSION_FINISHED, logging.INFO),
}


def send(services: Services, submission: Submission, *, trial: bool = False) -> Submission:
    """Send a submission that this process has claimed, and record the outcome.

    Any other submission is returned unchanged: another delivery has claimed it, or it is dead already.

    If the ledger does not take the outcome, the result has it all the same, so that no caller repeats an event whose
    run was started. The row still says `submitting`. When its lease has run out, the app searches for the run. It never
    sends again blindly.

    Args:
        services: The app's parts.
        submission: The submission.
        trial: Whether it is sent to an endpoint that has stopped answering, too. Only the tick makes such trials.

    Raises:
        LedgerUnavailable: It was not sent, and could not be held.
    """
    if submission.claimed_at is None or submission.state is not State.SUBMITTING:
        return submission
    pipeline = services.config.pipelines.get(submission.pipeline)
    moved = moved_away(submission, pipeline)
    if moved is not None or pipeline is None or submission.body is None:
        now = services.clock()
        change = unless_moved_on(submission, lambda row: hold(row, moved, now=now))
        held = services.ledger.submissions.update(submission, change)
        log_state(held)
        return held
    outcome = _post(services, pipeline, submission.body, submission.claimed_at, trial=trial)
    return _settle(services, submission, outcome)


def withdraw(services: Services, submission: Submission) -> Submission:
    """Record that a submission that this process has claimed was not sent, so that a tick sends it later."""
    message = "not sent: the tick had no time left for it"
    return _settle(services, submission, Outcome(kind=OutcomeKind.NOT_STARTED, message=message))


def resend(services: Services, submission: Submission) -> Submission | None:
    """Take a `pending` submission and send it. None: another instance took it first.

    Raises:
        LedgerUnavailable: It is not taken, and stays due.
    """
    now = services.clock()
    taken = services.ledger.submissions.take(submission, lambda row: lease(row, now=now))
    return send(services, taken, trial=True) if taken is not None else None


def moved_away(submission: Submission, pipeline: Pipeline | None) -> str | None:
    """Return why a submission can no longer go to its endpoint, or None."""
    if pipeline is None:
        return f"pipeline {submission.pipeline} is no longer in the triggers file"
    if pipeline.kind != submission.kind:
        return f"pipeline {pipeline.name} was a {submission.kind} and is a {pipeline.kind} now"
    if pipeline.endpoint_digest != submission.endpoint_digest:
        return f"the endpoint of pipeline {pipeline.name} has changed since this was claimed"
    return None


def log_state(submission: Submission, outcome: Outcome | None = None) -> None:
    """Log where a submission stands now."""
    about = f"submission {submission.id} of trigger {submission.trigger}"
    ids = {
        "trigger": submission.trigger,
        "submission": submission.id,
        "run": submission.run_id,
        "request_id": outcome.request_id if outcome else None,
    }
    if submission.state in _ACTIONS:
        action, level = _ACTIONS[submission.state]
        log_decision(logger, action, f"{about} is {_describe(submission)}", ids, level=level)
    if submission.duplicates:
        others = ", ".join(submission.duplicates)
        log_decision(
            logger,
            Action.RUN_DUPLICATED,
            f"{about} started more than one run: {submission.run_id} and {others}",
            ids,
            level=logging.ERROR,
        )


def _describe(submission: Submission) -> str:
    """Return the state, with the run and the reason if there are any."""
    ended = f" ({submission.run_status})" if submission.state is State.FINISHED else ""
    run = f"run {submission.run_id}{ended}" if submission.run_id else None
    return ": ".join(part for part in (submission.state, run, submission.reason) if part)


def _log_unrecorded(
    submission: Submission, outcome: Outcome, error: LedgerUnavailable | LedgerError
) -> None:
    log_decision(
        logger,
        Action.OUTCOME_UNRECORDED,
        f"submission {submission.id} of trigger {submission.trigger} has an outcome that is not recorded "
        f"({submission.reason or outcome.kind}): {error}",
        {
            "trigger": submission.trigger,
            "submission": submission.id,
            "run": outcome.run_id,
            "request_id": outcome.request_id,
        },
        level=logging.ERROR,
    )


def _settle(services: Services, submission: Submission, outcome: Outcome) -> Submission:
    """Record an outcome. If the ledger does not take it, log it, and return the submission as if it had."""
    policy = services.config.policy(submission.trigger)

    def record(row: Submission) -> Submission:
        return settle(
            row,
            outcome,
            generation=submission.generation,
            lease_id=submission.lease_id,
            now=services.clock(),
            policy=policy,
        )

    try:
        settled = services.ledger.submissions.update(submission, record)
    except (LedgerUnavailable, LedgerError) as error:
        unrecorded = record(submission)
        _log_unrecorded(unrecorded, outcome, error)
        return unrecorded
    log_state(settled, outcome)
    return settled


def _post(
    services: Services, pipeline: Pipeline, body: bytes, claimed_at: float, *, trial: bool
) -> Outcome:
    age = services.monotonic() - claimed_at
    if age > MAX_CLAIM_AGE.total_seconds():
        message = f"not sent: the claim was {age:.0f} s old, and no claim is sent after 60 s"
        return Outcome(kind=OutcomeKind.NOT_STARTED, message=message)
    if not trial and services.circuits.is_open(pipeline.endpoint_digest):
        message = f"not sent: the endpoint of pipeline {pipeline.name} has stopped answering. It is tried once a minute"
        return Outcome(kind=OutcomeKind.NOT_STARTED, message=message)
    return services.workspace.submit(pipeline, body)
