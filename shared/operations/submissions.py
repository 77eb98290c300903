"""What people and scripts can ask for with submissions, from the entry points, the API and the command line alike."""

from __future__ import annotations

import logging
from functools import partial

from shared.core.decisions import check_replay, dropped, replayed, resumed, with_decision
from shared.core.errors import NotAllowed, NotFound
from shared.core.events import BlobNotification, Event, Ignored
from shared.core.runs import RunGone
from shared.core.submissions import Decision, State, Submission, correlation_id
from shared.core.telemetry import Action, log_decision
from shared.core.transitions import Change
from shared.engine.accept import accept
from shared.engine.render import render_body
from shared.engine.send import moved_away, send
from shared.engine.services import Services
from shared.operations.triggers import get_trigger

logger = logging.getLogger(__name__)


def start(
    services: Services,
    notification: Event | BlobNotification,
    *,
    decision: Decision | None = None,
) -> Submission | Ignored:
    """Take an event the whole way: accept it, then send it.

    Args:
        services: The app's parts.
        notification: What happened.
        decision: Who asked for it, if a person or a script did.

    Raises:
        Unavailable: The event is not safe. Fail, so that it is delivered again.
        RequestError: A request cannot become an event.
    """
    accepted = accept(services, notification, decision=decision)
    return accepted if isinstance(accepted, Ignored) else send(services, accepted)


def get_submission(services: Services, submission_id: str) -> Submission:
    """Return a submission in any state.

    Raises:
        NotFound: There is none with that id.
        LedgerUnavailable: The ledger did not answer.
        LedgerError: Its row cannot be read.
    """
    submissions = services.ledger.submissions
    found = submissions.get(submission_id) if submission_id.isalnum() else None
    if found is None:
        raise NotFound("there is no submission with that id")
    return found


def replay(
    services: Services, submission_id: str, *, confirmed: bool = False, by: str | None = None
) -> Submission:
    """Start a submission's run again: a new generation, rendered from its event with today's file, and sent.

    Args:
        services: The app's parts.
        submission_id: The submission.
        confirmed: Whether the person knows that a run may exist.
        by: Who asks for it.

    Raises:
        NotFound: There is none with that id, or its trigger is no longer in the file.
        NotAllowed: Its state does not allow a replay, or the replay needs confirmation.
        RenderError: Its values cannot be made from its event.
        LedgerUnavailable: The ledger did not answer.
    """
    submission = get_submission(services, submission_id)
    check_replay(submission, confirmed=confirmed)
    trigger = get_trigger(services, submission.trigger)
    now, pipeline = services.clock(), trigger.pipeline
    key = correlation_id(submission.id, submission.generation + 1)
    rendered = render_body(services.config, trigger, submission.event, correlation_id=key)

    def change(row: Submission) -> Submission:
        after = replayed(
            row,
            rendered.body,
            experiment=rendered.experiment,
            pipeline=pipeline.name,
            kind=pipeline.kind,
            endpoint_digest=pipeline.endpoint_digest,
            workspace_digest=pipeline.workspace_digest,
            now=now,
        )
        return with_decision(after, Decision(time=now, action="replay", by=by))

    taken = services.ledger.submissions.take(submission, change)
    if taken is None:
        raise _changed_meanwhile(submission_id)
    _log(Action.SUBMISSION_REPLAYED, "is replayed", taken)
    return send(services, taken)


def drop(services: Services, submission_id: str, *, by: str | None = None) -> Submission:
    """Drop a `dead` or `held` submission. It is `skipped` from then on, and needs no attention.

    Raises:
        NotFound: There is none with that id.
        NotAllowed: It is neither dead nor held.
        LedgerUnavailable: The ledger did not answer.
    """
    now = services.clock()
    change = partial(dropped, now=now)
    after = _decide(services, submission_id, change, Decision(time=now, action="drop", by=by))
    _log(Action.SUBMISSION_DROPPED, "is dropped", after)
    return after


def resume(services: Services, submission_id: str, *, by: str | None = None) -> Submission:
    """Poll the run of a `held` submission again. The next tick does it.

    Raises:
        NotFound: There is none with that id.
        NotAllowed: It is not held, or it has no run.
        LedgerUnavailable: The ledger did not answer.
    """
    now = services.clock()
    change = partial(resumed, now=now)
    after = _decide(services, submission_id, change, Decision(time=now, action="resume", by=by))
    _log(Action.SUBMISSION_RESUMED, "is resumed", after)
    return after


def cancel(services: Services, submission_id: str, *, by: str | None = None) -> Submission:
    """Ask Azure ML to cancel a submission's run. A later poll records that the run has ended.

    Raises:
        NotFound: There is none with that id.
        NotAllowed: It has no run that could be at work, or its pipeline has changed.
        WorkspaceUnavailable: Azure ML did not confirm.
        LedgerUnavailable: The ledger did not answer.
    """
    submission = get_submission(services, submission_id)
    pipeline = services.config.pipelines.get(submission.pipeline)
    if submission.run_id is None or submission.state is State.FINISHED:
        raise NotAllowed(
            f"submission {submission_id} is {submission.state} and has no run to cancel"
        )
    away = moved_away(submission, pipeline)
    if pipeline is None or away is not None:
        raise NotAllowed(f"its run cannot be cancelled from here: {away}")
    try:
        services.workspace.cancel(pipeline, submission.run_id)
    except RunGone as error:
        raise NotAllowed(str(error)) from error
    decision = Decision(time=services.clock(), action="cancel", by=by)
    after = services.ledger.submissions.update(submission, lambda row: with_decision(row, decision))
    _log(Action.RUN_CANCELED, "has its run canceled", after)
    return after


def _decide(
    services: Services, submission_id: str, change: Change, decision: Decision
) -> Submission:
    """Apply a person's decision to a submission as it stands, and record who decided."""
    after = services.ledger.submissions.take(
        get_submission(services, submission_id), lambda row: with_decision(change(row), decision)
    )
    if after is None:
        raise _changed_meanwhile(submission_id)
    return after


def _changed_meanwhile(submission_id: str) -> NotAllowed:
    return NotAllowed(
        f"submission {submission_id} has just changed; look at it again and repeat the call"
    )


def _log(action: Action, what: str, submission: Submission) -> None:
    """Log a person's decision."""
    by = submission.decisions[-1].by if submission.decisions else None
    log_decision(
        logger,
        action,
        f"submission {submission.id} of trigger {submission.trigger} {what} by {by or 'a person'}",
        {
            "trigger": submission.trigger,
            "submission": submission.id,
            "run": submission.run_id,
            "by": by,
        },
    )
