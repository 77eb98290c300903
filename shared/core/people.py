"""What people decide about submissions: replay, drop, cancel; each a check and a transition."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from shared.core.errors import NotAllowed
from shared.core.runs import FAILED
from shared.core.submissions import KEPT_DECISIONS, LEASE, Decision, State, Submission
from shared.core.transitions import drop

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
    place: str,
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
        place=place,
        since=now,
        unknown_since=None,
        post_deadline=None,
        looks=0,
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
