"""The outcome of a submission as an HTTP status: for `submit`, `get_result` and `status`.

| the submission | status |
| --- | --- |
| its run succeeded | 200 |
| its outcome is not known yet, or it is `held` and waits for a decision | 202, with `Retry-After` |
| its run failed or was canceled | 424 |
| it is `skipped`: a policy or a caller stopped it | 409 |
| it is `dead`: its values could not be rendered from the event | 422 |
| it is `dead`: Azure ML refused it, or the app gave up | 502 |
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from shared.core.runs import SUCCEEDED
from shared.core.submissions import Attempt, State, Submission
from shared.pipelines.workspaces import WorkspaceId
from shared.web.api.models import ResultView, StatusView
from shared.web.exchange import Reply
from shared.web.problems import problem

MIN_WAIT_SECONDS = 5
MAX_WAIT_SECONDS = 60
"""Bounds of `Retry-After` while the app works on a submission. The tick, which moves it on, runs every minute."""

HELD_WAIT_SECONDS = 300
"""`Retry-After` of a `held` submission, which waits for a decision of an operator."""

TITLES = {
    409: "No run was started",
    422: "No run was started: values cannot be rendered",
    424: "The run did not succeed",
    502: "No run was started",
}


def status_of(submission: Submission) -> int:
    """Return the HTTP status for a submission's outcome."""
    match submission.state:
        case State.FINISHED:
            return 200 if submission.run_status in SUCCEEDED else 424
        case State.DEAD:
            # Without a body there was nothing to send, so the cause is the event and not Azure ML.
            return 502 if submission.body is not None else 422
        case State.SKIPPED:
            return 409
        case _:
            return 202


def retry_after(submission: Submission, now: datetime) -> dict[str, str]:
    """Return the `Retry-After` header for a submission whose outcome is not known yet."""
    if submission.state is State.HELD:
        return {"Retry-After": str(HELD_WAIT_SECONDS)}
    left = int((submission.due - now).total_seconds()) if submission.due else MAX_WAIT_SECONDS
    return {"Retry-After": str(min(max(left, MIN_WAIT_SECONDS), MAX_WAIT_SECONDS))}


def result(
    submission: Submission, workspace: WorkspaceId, *, now: datetime, request_id: str
) -> Reply:
    """Return a submission's outcome, or a problem if its run did not succeed.

    Args:
        submission: The submission.
        workspace: The workspace, for the run's page in the studio.
        now: The current time (timezone-aware).
        request_id: The request's id, for a problem.
    """
    status = status_of(submission)
    if status not in (200, 202):
        return failure(submission, status, request_id=request_id)
    url = workspace.studio_url(submission.run_id) if submission.run_id else None
    view = ResultView(
        submission=submission.id, trigger=submission.trigger, url=url, **_status(submission)
    )
    headers = retry_after(submission, now) if status == 202 else {}
    return Reply(status=status, content=view.model_dump(mode="json"), headers=headers)


def bare_status(submission: Submission, *, now: datetime) -> Reply:
    """Return only the state, the run and the error of a submission, with the same HTTP status as `result`."""
    status = status_of(submission)
    view = StatusView(**_status(submission))
    headers = retry_after(submission, now) if status == 202 else {}
    return Reply(status=status, content=view.model_dump(mode="json"), headers=headers)


def failure(submission: Submission, status: int, *, request_id: str) -> Reply:
    """Return the problem of a submission without a successful run, with Azure ML's error code.

    Args:
        submission: The submission.
        status: The HTTP status: see `status_of`.
        request_id: The request's id.
    """
    last = submission.attempts[-1] if submission.attempts else None
    return problem(
        status,
        TITLES[status],
        submission.reason or f"the run's status is {submission.run_status}",
        request_id=request_id,
        trigger=submission.trigger,
        submission=submission.id,
        state=submission.state,
        run_id=submission.run_id,
        run_status=submission.run_status,
        **_service_error(last),
    )


def _service_error(attempt: Attempt | None) -> dict[str, Any]:
    if attempt is None:
        return {}
    return {"code": attempt.code, "service_request_id": attempt.service_request_id}


def _status(submission: Submission) -> dict[str, Any]:
    return {
        "state": submission.state,
        "run_id": submission.run_id,
        "run_status": submission.run_status,
        "error": submission.reason,
    }
