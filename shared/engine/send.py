"""The second verb: a claimed submission is sent, once, and what became of it is recorded.

check lease and place -> POST -> classify the outcome -> settle
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime

from shared.clients.workspace import Workspace
from shared.config.model import Config, Pipeline
from shared.core.outcomes import Outcome, OutcomeKind
from shared.core.submissions import MAX_CLAIM_AGE, State, Submission
from shared.core.transitions import hold, lease, settle
from shared.engine.accept import Accepted
from shared.ledger.ledger import Ledger

logger = logging.getLogger(__name__)

_LEVELS = {
    State.SUBMITTED: logging.INFO,
    State.PENDING: logging.WARNING,
    State.UNKNOWN: logging.ERROR,
    State.DEAD: logging.ERROR,
    State.HELD: logging.ERROR,
}


class Sender:
    """Sends claimed submissions.

    Args:
        config: Today's file: the only source of endpoints.
        ledger: Where outcomes are recorded.
        workspace: Where runs are started.
        clock: Says the time; aware.
        monotonic: Seconds; the same clock that `Accepting` read.
    """

    def __init__(
        self,
        config: Config,
        *,
        ledger: Ledger,
        workspace: Workspace,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._ledger = ledger
        self._workspace = workspace
        self._clock = clock
        self.monotonic = monotonic

    def send(self, accepted: Accepted) -> Submission:
        """Send what this process has claimed, and record the outcome.

        Anything else is returned as it is: another delivery claimed it, or it is dead already.

        Raises:
            LedgerUnavailable: The outcome is not recorded. The row still says `submitting`: when its lease runs
                out, the run is looked for, and nothing is sent again blindly.
        """
        submission = accepted.submission
        if not accepted.won or submission.state is not State.SUBMITTING:
            return submission
        pipeline = self._config.pipelines.get(submission.pipeline)
        moved = moved_away(submission, pipeline)
        if moved is not None or pipeline is None or submission.body is None:
            held = self._ledger.update(submission, lambda row: _hold(row, moved, self._clock()))
            log_moved(held)
            return held
        outcome = self._outcome(pipeline, submission.body, accepted.claimed_at)
        generation, policy = submission.generation, self._config.policy(submission.trigger)
        settled = self._ledger.update(
            submission,
            lambda row: settle(
                row, outcome, generation=generation, now=self._clock(), policy=policy
            ),
        )
        log_moved(settled, outcome)
        return settled

    def send_again(self, submission: Submission) -> Submission | None:
        """Take a `pending` submission and send it; None when another instance took it first.

        Raises:
            LedgerUnavailable: As for `send`.
        """
        claimed_at = self.monotonic()
        now = self._clock()
        taken = self._ledger.take(submission, lambda row: lease(row, now=now))
        if taken is None:
            return None
        return self.send(Accepted(submission=taken, won=True, claimed_at=claimed_at))

    def _outcome(self, pipeline: Pipeline, body: bytes, claimed_at: float) -> Outcome:
        age = self.monotonic() - claimed_at
        if age > MAX_CLAIM_AGE.total_seconds():
            message = f"not sent: the claim was {age:.0f} s old, and no claim is sent after 60 s"
            return Outcome(kind=OutcomeKind.NOT_STARTED, message=message)
        return self._workspace.submit(pipeline, body)


def moved_away(submission: Submission, pipeline: Pipeline | None) -> str | None:
    """Return why the submission has no place to go any more, or None."""
    if pipeline is None:
        return f"pipeline {submission.pipeline} is no longer in the triggers file"
    if pipeline.kind != submission.kind:
        return f"pipeline {pipeline.name} was a {submission.kind} and is a {pipeline.kind} now"
    if pipeline.endpoint_digest != submission.endpoint_digest:
        return f"the endpoint of pipeline {pipeline.name} has changed since this was claimed"
    return None


def _hold(submission: Submission, reason: str | None, now: datetime) -> Submission:
    if submission.state is not State.SUBMITTING:
        return submission
    return hold(submission, reason, now=now)


def log_moved(submission: Submission, outcome: Outcome | None = None) -> None:
    """Write the record of where a submission stands now."""
    extra = {
        "action": f"submission_{submission.state}",
        "trigger": submission.trigger,
        "submission": submission.id,
        "run": submission.run_id,
        "request_id": outcome.request_id if outcome else None,
    }
    logger.log(
        _LEVELS.get(submission.state, logging.INFO),
        "submission %s of trigger %s is %s: %s",
        submission.id,
        submission.trigger,
        submission.state,
        f"run {submission.run_id}" if submission.run_id else submission.reason,
        extra=extra,
    )
    if submission.duplicates:
        logger.error(
            "submission %s of trigger %s started more than one run: %s and %s",
            submission.id,
            submission.trigger,
            submission.run_id,
            ", ".join(submission.duplicates),
            extra={**extra, "action": "run_duplicated"},
        )
