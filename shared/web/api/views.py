"""What callers see: triggers, submissions and problems, as JSON objects."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from shared.config.model import BlobSource, HttpSource, Trigger
from shared.core.errors import Problem, RequestError
from shared.core.submissions import Attempt, State, Submission
from shared.core.times import print_instant
from shared.operations.preview import Preview
from shared.operations.triggers import TriggerReport
from shared.pipelines.workspaces import WorkspaceId
from shared.web.api.models import (
    AttemptView,
    DecisionView,
    FailedView,
    LatestView,
    PipelineView,
    PreviewView,
    ProblemView,
    RunView,
    SubmissionLine,
    SubmissionView,
    TriggerView,
)
from shared.web.exchange import Reply


def view_line(submission: Submission, workspace: WorkspaceId) -> SubmissionLine:
    """Return a submission for a list."""
    return SubmissionLine.model_construct(**_line(submission, workspace))


def view_submission(submission: Submission, workspace: WorkspaceId) -> dict[str, Any]:
    """Return a submission for a person or a script; absent parts are null."""
    view = SubmissionView(
        **_line(submission, workspace),
        event={"source": submission.event.source.value, **submission.event.to_json()},
        body=json.loads(submission.body) if submission.body else None,
        attempts=[_view_attempt(attempt) for attempt in submission.attempts],
        decisions=[
            DecisionView(time=print_instant(one.time), action=one.action, by=one.by)
            for one in submission.decisions
        ],
    )
    return view.model_dump(mode="json")


def _line(submission: Submission, workspace: WorkspaceId) -> dict[str, Any]:
    return {
        "id": submission.id,
        "trigger": submission.trigger,
        "state": submission.state,
        "reason": submission.reason,
        "generation": submission.generation,
        "created": print_instant(submission.created),
        "updated": print_instant(submission.updated),
        "due": _instant(submission.due),
        "pipeline": PipelineView(name=submission.pipeline, kind=submission.kind),
        "run": _view_run(submission, workspace),
    }


def _view_run(submission: Submission, workspace: WorkspaceId) -> RunView | None:
    if submission.run_id is None:
        return None
    return RunView(
        id=submission.run_id,
        status=submission.run_status,
        url=workspace.studio_url(submission.run_id),
        duplicates=list(submission.duplicates),
    )


def _view_attempt(attempt: Attempt) -> AttemptView:
    return AttemptView(
        time=print_instant(attempt.time),
        generation=attempt.generation,
        outcome=attempt.outcome,
        run_id=attempt.run_id,
        status=attempt.status,
        code=attempt.code,
        message=attempt.message,
        request_id=attempt.request_id,
        service_request_id=attempt.service_request_id,
    )


def view_trigger(report: TriggerReport) -> TriggerView:
    """Return a trigger for a person or a script."""
    trigger = report.trigger
    return TriggerView(
        name=trigger.name,
        source=trigger.source.source,
        starts_from=starts_from(trigger),
        pipeline=PipelineView(name=trigger.pipeline.name, kind=trigger.pipeline.kind),
        enabled=report.enabled,
        since=print_instant(report.since),
        override=report.state.enabled,
        overridden_by=report.state.overridden_by,
        next=[print_instant(time) for time in report.next],
        latest=[
            LatestView(
                id=row.key.rpartition(":")[2],
                state=State(str(row.values["state"])),
                created=str(row.values["created"]),
                run_id=str(row.values.get("run_id") or "") or None,
            )
            for row in report.latest
        ],
    )


def starts_from(trigger: Trigger) -> str:
    """Say in one line what a trigger starts from."""
    source = trigger.source
    match source:
        case BlobSource():
            place = f"{source.datastore.container}/{source.rule.path}".rstrip("/")
            globs = f" {', '.join(source.rule.include)}" if source.rule.include else ""
            return f"blob {place}{globs}"
        case HttpSource():
            return f"http POST /api/v1/triggers/{trigger.name}/submissions"
    return f"schedule {source.definition}"


def view_preview(preview: Preview) -> PreviewView:
    """Return what a trigger would do."""
    ignored = preview.ignored
    failed = None
    if ignored is not None:
        failed = FailedView(condition=ignored.condition, value=ignored.value, reason=ignored.reason)
    return PreviewView(
        trigger=preview.trigger,
        starts=ignored is None,
        submission=preview.submission,
        body=json.loads(preview.body) if preview.body else None,
        failed=failed,
    )


def view_error(error: RequestError, **about: Any) -> Reply:  # noqa: ANN401 — the model checks them
    """Return a caller's mistake as a problem (RFC 9457)."""
    return problem(error.status, error.title, str(error), problems=error.problems, **about)


def problem(
    status: int,
    title: str,
    detail: str,
    *,
    problems: Sequence[Problem] = (),
    **about: Any,  # noqa: ANN401 — the model checks them
) -> Reply:
    """Return a problem (RFC 9457).

    Args:
        status: The HTTP status.
        title: The kind of problem.
        detail: This one.
        problems: Each mistake.
        about: Further members of `ProblemView`; those that are None are left out.
    """
    mistakes = [{"where": item.where, "message": item.message} for item in problems] or None
    members = {"title": title, "status": status, "detail": detail, "errors": mistakes, **about}
    view = ProblemView.model_validate(members)
    headers = {"Retry-After": "30"} if status == 503 else {}
    return Reply(
        status=status,
        content=view.model_dump(mode="json", exclude_none=True),
        headers=headers,
        media_type="application/problem+json",
    )


def _instant(instant: datetime | None) -> str | None:
    return print_instant(instant) if instant else None
