"""What people may decide about a submission: replay, resume or drop it. Each is a check and a transition."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from shared.core.errors import NotAllowed
from shared.core.runs import FAILED, is_final
from shared.core.submissions import KEPT_DECISIONS, Decision, State, Submission
from shared.core.transitions import lease

REPLAYABLE = frozenset({State.DEAD, State.HELD, State.SKIPPED})
DROPPABLE = frozenset({State.DEAD, State.HELD})

RUN_NOW = "run_now"
"""The action of a decision to start an event that did not come by itself, or that is older than the trigger."""


def with_decision(submission: Submission, decision: Decision) -> Submission:
    """Return the submission with a decision recorded. Recording it twice changes nothing."""
    if decision in submission.decisions:
        return submission
    return replace(submission, decisions=(*submission.decisions, decision)[-KEPT_DECISIONS:])


def check_replay(submission: Submission, *, confirmed: bool) -> None:
    """Check that a submission can be replayed.

    Args:
        submission: The submission as it stands.
        confirmed: Whether the person knows that a run may exist.

    Raises:
        NotAllowed: It cannot be replayed, or the replay needs confirmation.
    """
    state = submission.state
    failed = state is State.FINISHED and submission.run_status in FAILED
    if state not in REPLAYABLE and not failed:
        raise NotAllowed(
            f"submission {submission.id} is {state}; only dead, held and skipped submissions are replayed, and "
            "finished ones whose run failed or was canceled"
        )
    running = submission.run_id is not None and not is_final(submission.run_status)
    if (running or submission.unknown_since is not None) and not confirmed:
        run = f"run {submission.run_id}" if running else "a run that no search has found"
        raise NotAllowed(
            f"{run} may be at work for submission {submission.id}: a replay may start a second one. "
            "Look in the studio first, then confirm"
        )


def replayed(
    submission: Submission,
    body: bytes,
    *,
    experiment: str,
    pipeline: str,
    kind: str,
    endpoint_digest: str,
    workspace_digest: str,
    now: datetime,
) -> Submission:
    """Return the submission's next generation, claimed by the caller. The last generation's run is forgotten.

    Args:
        submission: The submission as it stands.
        body: Rendered again, with the next generation's correlation id.
        experiment: The experiment of that body.
        pipeline: The pipeline's name in today's file.
        kind: Its kind.
        endpoint_digest: The digest of its endpoint.
        workspace_digest: The digest of that endpoint's workspace.
        now: The current time.
    """
    again = replace(
        submission,
        generation=submission.generation + 1,
        body=body,
        experiment=experiment,
        pipeline=pipeline,
        kind=kind,
        endpoint_digest=endpoint_digest,
        workspace_digest=workspace_digest,
        since=now,
        unknown_since=None,
        unknown_cause=None,
        post_deadline=None,
        conclusive_searches=0,
        lag=None,
        run_id=None,
        run_status=None,
        run_created=None,
        poll_since=None,
        gone_since=None,
    )
    return lease(again, now=now)


def resumed(submission: Submission, *, now: datetime) -> Submission:
    """Return a `held` submission with a run as a person resumed it: the app polls the run again, at once.

    Raises:
        NotAllowed: It is not held, or it has no run.
    """
    if submission.state is not State.HELD or submission.run_id is None:
        run = "a run" if submission.run_id else "no run"
        raise NotAllowed(
            f"submission {submission.id} is {submission.state} and has {run}; only held submissions with a run are "
            "resumed"
        )
    return replace(
        submission,
        state=State.SUBMITTED,
        reason=None,
        poll_since=now,
        gone_since=None,
        due=now,
        updated=now,
    )


def dropped(submission: Submission, *, now: datetime) -> Submission:
    """Return the submission as a person dropped it: `skipped`, and of no one's concern.

    Raises:
        NotAllowed: It is neither dead nor held.
    """
    if submission.state not in DROPPABLE:
        raise NotAllowed(
            f"submission {submission.id} is {submission.state}; only dead and held submissions are dropped"
        )
    reason = f"dropped by a person; it was {submission.state}: {submission.reason}"
    if submission.run_id is not None:
        reason += f". Run {submission.run_id} goes on, and the app no longer polls it"
    return replace(submission, state=State.SKIPPED, reason=reason, due=None, updated=now)
