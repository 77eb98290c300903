"""Turns triggers, submissions and previews into the bodies of replies."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from shared.config.model import BlobSource, HttpSource, Trigger
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
    RunView,
    SubmissionLine,
    SubmissionView,
    TriggerView,
)


def view_line(submission: Submission, workspace: WorkspaceId) -> SubmissionLine:
    """Return a submission as an entry of a list."""
    # A page has up to 100 lines of values that this app made, so they are not validated again.
    return SubmissionLine.model_construct(**_line(submission, workspace))


def view_submission(submission: Submission, workspace: WorkspaceId) -> dict[str, Any]:
    """Return a submission with all details. Missing parts are null."""
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
    """Return a trigger with its state, its next occurrences and its latest submissions."""
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
        error=report.state.error,
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
    """Return a trigger's source in one line."""
    source = trigger.source
    match source:
        case BlobSource():
            folder = f"{source.datastore.container}/{source.rule.path}".rstrip("/")
            globs = f" {', '.join(source.rule.include)}" if source.rule.include else ""
            return f"blob {folder}{globs}"
        case HttpSource():
            return f"http POST /api/v1/triggers/{trigger.name}/submissions"
    return f"schedule {source.definition}"


def view_preview(preview: Preview) -> PreviewView:
    """Return the effect of an event on a trigger."""
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


def _instant(instant: datetime | None) -> str | None:
    return print_instant(instant) if instant else None
