"""What became of a submission, as an HTTP status: for `submit`, `get_result` and `status`.

| the submission | status |
| --- | --- |
| its run succeeded | 200 |
| it is not decided yet, or waits for a person (`held`) | 202, with `Retry-After` |
| its run failed or was canceled | 424 |
| it was stopped by a policy or a person (`skipped`) | 409 |
| it is `dead`: its values could not be made from the event | 422 |
| it is `dead`: Azure ML refused it, or it was given up | 502 |
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from shared.core.runs import SUCCEEDED
from shared.core.submissions import Attempt, State, Submission
from shared.pipelines.workspaces import WorkspaceId
from shared.web.api.models import ResultView, StatusView
from shared.web.api.views import problem
from shared.web.exchange import Reply

SHORTEST_WAIT = 5
LONGEST_WAIT = 60
HELD_WAIT = 300
"""Seconds that a caller is asked to wait before it looks again."""

TITLES = {
    409: "Nothing was started",
    422: "Nothing was started: its values cannot be made",
    424: "The run did not succeed",
    502: "Nothing was started",
}


def status_of(submission: Submission) -> int:
    """Return the HTTP status that says what became of a submission."""
    match submission.state:
        case State.FINISHED:
            return 200 if submission.run_status in SUCCEEDED else 424
        case State.DEAD:
            return 502 if submission.body is not None else 422
        case State.SKIPPED:
            return 409
        case _:
            return 202


def wait(submission: Submission, now: datetime) -> dict[str, str]:
    """Return the `Retry-After` header for a submission that is not decided yet."""
    if submission.state is State.HELD:
        return {"Retry-After": str(HELD_WAIT)}
    left = int((submission.due - now).total_seconds()) if submission.due else LONGEST_WAIT
    return {"Retry-After": str(min(max(left, SHORTEST_WAIT), LONGEST_WAIT))}


def result(
    submission: Submission, workspace: WorkspaceId, *, now: datetime, request_id: str
) -> Reply:
    """Return how a submission stands, with the status that says it."""
    status = status_of(submission)
    if status not in (200, 202):
        return failure(submission, status, request_id=request_id)
    url = workspace.studio_url(submission.run_id) if submission.run_id else None
    view = ResultView(
        submission=submission.id, trigger=submission.trigger, url=url, **_status(submission)
    )
    headers = wait(submission, now) if status == 202 else {}
    return Reply(status=status, content=view.model_dump(mode="json"), headers=headers)


def bare_status(submission: Submission, *, now: datetime) -> Reply:
    """Return state, run and error, and nothing else, with the status of `result`."""
    status = status_of(submission)
    view = StatusView(**_status(submission))
    headers = wait(submission, now) if status == 202 else {}
    return Reply(status=status, content=view.model_dump(mode="json"), headers=headers)


def failure(submission: Submission, status: int, *, request_id: str) -> Reply:
    """Return a problem that says why a submission came to nothing, with the service's own code."""
    last = submission.attempts[-1] if submission.attempts else None
    return problem(
        status,
        TITLES[status],
        submission.reason or f"its run is {submission.run_status}",
        request_id=request_id,
        trigger=submission.trigger,
        submission=submission.id,
        state=submission.state,
        run_id=submission.run_id,
        run_status=submission.run_status,
        **_said(last),
    )


def _said(attempt: Attempt | None) -> dict[str, Any]:
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
