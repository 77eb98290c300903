"""What became of runs: search for those whose answers were lost, and poll started ones until they end."""

from __future__ import annotations

import logging
from functools import partial

from shared.core.errors import WorkspaceUnavailable
from shared.core.lost_runs import adopt, record_search
from shared.core.runs import ReferenceRun, RunGone, is_documented
from shared.core.submissions import Submission
from shared.core.telemetry import Action, log_decision
from shared.core.transitions import (
    Change,
    hold,
    mark_ambiguous,
    poll_later,
    record_gone,
    record_poll,
    unless_moved_on,
)
from shared.engine.send import log_state, moved_away
from shared.engine.services import Services

logger = logging.getLogger(__name__)

VANISHED = "the process that held the lease recorded no outcome: a run may have started"


def expire(services: Services, submission: Submission) -> Submission:
    """Record that a `submitting` submission's lease has run out: it is ambiguous, as if its answer was lost.

    Raises:
        LedgerUnavailable: It is not recorded. The next tick does it.
    """
    policy = services.config.policy(submission.trigger)
    change = partial(mark_ambiguous, reason=VANISHED, now=services.clock(), policy=policy)
    return _record(services, submission, change)


def search(services: Services, submission: Submission) -> Submission:
    """Search once for an `unknown` submission's run, and record the result.

    Raises:
        LedgerUnavailable: It is not recorded. The next tick searches again.
    """
    now = services.clock()
    pipeline = services.config.pipelines.get(submission.pipeline)
    away = moved_away(submission, pipeline)
    if pipeline is None or away is not None:
        return _record(services, submission, lambda row: hold(row, away, now=now))
    submissions = services.ledger.submissions
    reference = submissions.reference_run(submission.endpoint_digest, submission.experiment)
    found = services.workspace.search(
        pipeline,
        experiment=submission.experiment,
        correlation_id=submission.correlation_id,
        reference=reference.correlation_id if reference else None,
        newer=_newer_run(services, submission, reference),
    )
    if found.runs:
        # The runs are facts, so they are recorded in any state of the row.
        after = submissions.update(
            submission, partial(adopt, runs=found.runs, generation=submission.generation, now=now)
        )
        log_state(after)
        return after
    return _record(
        services, submission, partial(record_search, found=found, reference=reference, now=now)
    )


def poll(services: Services, submission: Submission) -> Submission:
    """Ask for the status of a `submitted` submission's run, and record it.

    If the workspace does not answer, or does not know the run, the run is polled again later.

    Raises:
        LedgerUnavailable: It is not recorded. The next tick polls again.
    """
    after = _record(services, submission, _status(services, submission))
    _log_undocumented(submission, after)
    return after


def _newer_run(
    services: Services, submission: Submission, reference: ReferenceRun | None
) -> ReferenceRun | None:
    """Return a run of the workspace that started after the lost POST had ended, if the reference run did not."""
    ended = submission.post_deadline
    if ended is None or (reference is not None and reference.started > ended):
        return None
    newest = services.ledger.submissions.workspace_reference_run(submission.workspace_digest)
    return newest if newest is not None and newest.started > ended else None


def _status(services: Services, submission: Submission) -> Change:
    now = services.clock()
    pipeline = services.config.pipelines.get(submission.pipeline)
    away = moved_away(submission, pipeline)
    if pipeline is None or away is not None or submission.run_id is None:
        return lambda row: hold(row, f"its run cannot be polled: {away}", now=now)
    try:
        run = services.workspace.status(pipeline, submission.run_id)
    except RunGone as error:
        return partial(record_gone, reason=str(error), now=now)
    except WorkspaceUnavailable:
        return partial(poll_later, now=now)  # the transport has logged the call
    return lambda row: record_poll(row, run, now=now)


def _log_undocumented(before: Submission, after: Submission) -> None:
    """Log a status that is not documented, once: when it is first seen."""
    status = after.run_status
    if status is None or status == before.run_status or is_documented(status):
        return
    log_decision(
        logger,
        Action.RUN_STATUS_UNDOCUMENTED,
        f"run {after.run_id} of submission {after.id} has the status {status!r}, which is not documented: it counts as "
        "not final",
        {"trigger": after.trigger, "submission": after.id, "run": after.run_id},
        level=logging.WARNING,
    )


def _record(services: Services, submission: Submission, change: Change) -> Submission:
    """Apply a change unless the row has moved on, and log the new state if it is another one."""
    after = services.ledger.submissions.update(submission, unless_moved_on(submission, change))
    if after.state is not submission.state:
        log_state(after)
    return after
