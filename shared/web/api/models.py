"""The bodies of requests and answers: what validates and produces them, and what the OpenAPI document is made of."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    WithJsonSchema,
)

from shared.core.events import Source
from shared.core.outcomes import OutcomeKind
from shared.core.submissions import State

MAX_PATH_LENGTH = 1024
"""Characters of a blob's name (Microsoft Learn: Naming and referencing containers, blobs, and metadata)."""

MAX_INSTANT_LENGTH = 40

Instant = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""An instant as `2027-03-27T01:30:00Z`."""

GivenInstant = Annotated[
    StrictStr,
    Field(
        max_length=MAX_INSTANT_LENGTH,
        json_schema_extra={"format": "date-time"},
        examples=["2027-03-27T01:30:00Z"],
    ),
]
GivenPath = Annotated[
    StrictStr,
    Field(min_length=1, max_length=MAX_PATH_LENGTH, examples=["incoming/a.csv"]),
]
Name = Annotated[StrictStr, Field(min_length=1, max_length=260)]
Object = Annotated[dict[str, Any], Field(json_schema_extra={"type": "object"})]


def _meant(value: bool) -> bool:
    if not value:
        raise ValueError("it is true, or there is no reason to send it")
    return value


class Given(BaseModel):
    """A body of a request: strict, and unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)


class View(BaseModel):
    """A body of an answer."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


# What callers send


class DataPathBody(Given):
    """A path in a datastore that the file declares."""

    datastore: StrictStr
    path: StrictStr


class SubmissionBody(Given):
    """For an `http` trigger: what the file lets a caller set; the keys that its templates name stand beside."""

    model_config = ConfigDict(extra="allow", strict=True, defer_build=True)

    parameters: dict[str, StrictStr | StrictBool | StrictInt | StrictFloat] = Field(
        default={}, description="Pipeline parameters, of those that the file lists."
    )
    data_paths: dict[str, StrictStr | DataPathBody] = Field(
        default={}, description="Data paths, of those that the file lists."
    )
    experiment: StrictStr | None = Field(
        default=None, description="Needs `http: {allow_experiment: true}` in the file."
    )


class RunNowBody(Given):
    """For a `blob` or `schedule` trigger: start it now, as if the event had come by itself."""

    run_now: Annotated[StrictBool, AfterValidator(_meant), WithJsonSchema({"const": True})] = Field(
        description="Says that it is meant."
    )
    blob: GivenPath | None = Field(
        default=None,
        description="A blob trigger's blob: its whole name below the container.",
    )
    time: GivenInstant | None = Field(
        default=None,
        description="A schedule's instant, cut to the minute; now when left out, never ahead.",
    )


class OverrideBody(Given):
    """Enables or disables a trigger."""

    enabled: StrictBool | None = Field(
        description="`null` returns to the value of the triggers file."
    )


class ActionBody(Given):
    """What an action needs to know; it may be left out."""

    confirm: StrictBool = Field(
        default=False, description="For `replay`: also where a run may exist already."
    )


class BlobSubject(Given):
    """A blob."""

    path: GivenPath = Field(description="Its whole name below the container.")
    container: Name | None = Field(
        default=None, description="Its container; each trigger's own when left out."
    )


class RequestSubject(Given):
    """A request to `submit`."""

    body: Object = Field(default={}, description="Its body.")
    query: dict[str, StrictStr] = Field(default={}, description="Its query's values.")


class PreviewBody(Given):
    """What would happen: exactly one of `blob`, `time` and `request`."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        defer_build=True,
        json_schema_extra={
            "oneOf": [
                {"required": [key], "properties": {key: {"not": {"type": "null"}}}}
                for key in ("blob", "time", "request")
            ]
        },
    )

    blob: BlobSubject | None = Field(default=None, description="This blob is added or modified.")
    time: GivenInstant | None = Field(
        default=None, description="This time comes; it is cut to the minute."
    )
    request: RequestSubject | None = Field(default=None, description="Somebody calls.")
    trigger: Name | None = Field(default=None, description="Only this trigger.")
    limit: Annotated[StrictInt, Field(ge=1, le=100)] = Field(
        default=50, description="At most so many triggers."
    )
    cursor: Annotated[StrictStr, Field(max_length=400)] | None = Field(
        default=None, description="Where to go on: what the last answer said."
    )


# What they get


class PipelineView(View):
    """A pipeline."""

    name: str
    kind: str


class RunView(View):
    """A run of Azure ML."""

    id: str
    status: str | None
    url: str | None = Field(
        description="Its page in the studio; null when the workspace is not known."
    )
    duplicates: list[str] = Field(
        description="Other runs that were started for the same submission."
    )


class AttemptView(View):
    """One POST to Azure ML and what became of it."""

    time: Instant
    generation: int
    outcome: OutcomeKind
    run_id: str | None
    status: int | None
    code: str | None
    message: str | None
    request_id: str | None
    service_request_id: str | None


class DecisionView(View):
    """What somebody asked for."""

    time: Instant
    action: str
    by: str | None = Field(description="Who; null where roles are off.")


class SubmissionLine(View):
    """A submission in a list."""

    id: str
    trigger: str
    state: State
    reason: str | None
    generation: int
    created: Instant
    updated: Instant
    due: Instant | None
    pipeline: PipelineView
    run: RunView | None


class SubmissionView(SubmissionLine):
    """A submission."""

    event: Object
    body: Object | None = Field(
        description="What was rendered and sent; null when it could not be."
    )
    attempts: list[AttemptView]
    decisions: list[DecisionView]


class SubmissionPage(View):
    """A page of submissions. It may hold fewer than asked for, also none, and still have a cursor."""

    submissions: list[SubmissionLine]
    cursor: str | None = Field(description="Leads to the next page; null ends.")
    unreadable: list[str] = Field(description="Ids of those whose row somebody edited.")


class LatestView(View):
    """One of the latest submissions of a trigger."""

    id: str
    state: State
    created: Instant
    run_id: str | None


class TriggerView(View):
    """A trigger."""

    name: str
    source: Source
    starts_from: str = Field(description="In one line.")
    pipeline: PipelineView
    enabled: bool
    since: Instant = Field(description="Since when it is enabled or disabled, or was first seen.")
    override: bool | None = Field(description="A person's word; null leaves it to the file.")
    overridden_by: str | None = Field(description="Who said it; null where roles are off.")
    next: list[Instant] = Field(description="Its next occurrences, for a schedule.")
    latest: list[LatestView] = Field(description="Newest first.")


class TriggerPage(View):
    """A page of triggers, in the order of the file."""

    triggers: list[TriggerView]
    cursor: str | None = Field(description="Leads to the next page; null ends.")


class FailedView(View):
    """The first condition that fails."""

    condition: str = Field(
        description="The key of the triggers file that says no, where there is one."
    )
    value: str = Field(description="What was held against it.")
    reason: str


class PreviewView(View):
    """What one trigger would do."""

    trigger: str
    starts: bool
    submission: str | None = Field(description="The submission's id, where the event decides it.")
    body: Object | None = Field(description="The rendered body that would be sent.")
    failed: FailedView | None


class PreviewPage(View):
    """What each trigger would do."""

    triggers: list[PreviewView]
    cursor: str | None = Field(description="Leads to the next page; null ends.")


class StatusView(View):
    """How a submission stands, for whoever has its `Location`."""

    state: State
    run_id: str | None
    run_status: str | None
    error: str | None


class ResultView(StatusView):
    """How a submission stands."""

    submission: str
    trigger: str
    url: str | None = Field(description="The run's page in the studio.")


class HealthView(View):
    """Whether the app is well: nothing else, since anybody may ask."""

    ledger: Literal["ok", "unavailable"]
    last_tick: Instant | None
    dead: int | None = Field(description="As the last tick counted them.")
    held: int | None
    version: str
    file: str = Field(description="The first 12 hex digits of the triggers file's SHA-256.")


class MistakeView(View):
    """One mistake."""

    where: str
    message: str


class ProblemView(View):
    """A problem, after RFC 9457."""

    type: Literal["about:blank"] = "about:blank"
    title: str
    status: int
    detail: str
    request_id: str | None = Field(
        default=None,
        description="The caller's `x-ms-client-request-id`, or a new one; the log has it.",
    )
    trigger: str | None = None
    submission: str | None = None
    state: State | None = None
    code: str | None = Field(default=None, description="Azure ML's own error code.")
    service_request_id: str | None = Field(default=None, description="Azure ML's id of its answer.")
    run_id: str | None = None
    run_status: str | None = None
    errors: list[MistakeView] | None = None
