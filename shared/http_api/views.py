"""What callers see: a submission and a problem, as JSON objects."""

from __future__ import annotations

import json
from typing import Any

from shared.errors import Problem, RequestError
from shared.events import print_instant
from shared.http_api.exchange import Reply
from shared.submissions import Attempt, Submission


def view_submission(submission: Submission) -> dict[str, Any]:
    """Return a submission for a person or a script; absent parts are null."""
    return {
        "id": submission.id,
        "trigger": submission.trigger,
        "state": submission.state.value,
        "reason": submission.reason,
        "generation": submission.generation,
        "created": print_instant(submission.created),
        "updated": print_instant(submission.updated),
        "due": print_instant(submission.due) if submission.due else None,
        "pipeline": {"name": submission.pipeline, "kind": submission.kind},
        "event": {"source": submission.event.source.value, **submission.event.to_json()},
        "run": _view_run(submission),
        "body": json.loads(submission.body) if submission.body else None,
        "attempts": [_view_attempt(attempt) for attempt in submission.attempts],
    }


def _view_run(submission: Submission) -> dict[str, Any] | None:
    if submission.run_id is None:
        return None
    return {
        "id": submission.run_id,
        "status": submission.run_status,
        "duplicates": list(submission.duplicates),
    }


def _view_attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "time": print_instant(attempt.time),
        "generation": attempt.generation,
        "outcome": attempt.outcome.value,
        "run_id": attempt.run_id,
        "status": attempt.status,
        "code": attempt.code,
        "message": attempt.message,
        "request_id": attempt.request_id,
        "service_request_id": attempt.service_request_id,
    }


def view_error(error: RequestError) -> Reply:
    """Return a caller's mistake as a problem (RFC 9457)."""
    return problem(error.status, error.title, str(error), error.problems)


def problem(status: int, title: str, detail: str, problems: tuple[Problem, ...] = ()) -> Reply:
    """Return a problem (RFC 9457); `errors` names each mistake."""
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
    }
    if problems:
        content["errors"] = [{"where": item.where, "message": item.message} for item in problems]
    headers = {"Retry-After": "30"} if status == 503 else {}
    return Reply(
        status=status, content=content, headers=headers, media_type="application/problem+json"
    )
