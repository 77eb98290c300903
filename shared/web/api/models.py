"""Models of request and reply bodies. They validate requests, produce replies and make the OpenAPI document.

The module has no `from __future__ import annotations`, because pydantic would then parse every annotation again in each
cold start.
"""

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
"""Characters of a time: more than any offset and any fraction of a second need."""

Instant = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""A time in a reply, such as `2027-03-27T01:30:00Z`."""

GivenInstant = Annotated[
    StrictStr,
    Field(
        max_length=MAX_INSTANT_LENGTH,
        json_schema_extra={"format": "date-time"},
        examples=["2027-03-27T01:30:00Z"],
    ),
]
"""A time in a request. The handler parses it, so that the message can name the expected form."""

GivenPath = Annotated[
    StrictStr,
    Field(min_length=1, max_length=MAX_PATH_LENGTH, examples=["incoming/a.csv"]),
]
Name = Annotated[StrictStr, Field(min_length=1, max_length=260)]
Object = Annotated[dict[str, Any], Field(json_schema_extra={"type": "object"})]


def _require_true(value: bool) -> bool:
    if not value:
        raise ValueError("found false; expected true")
    return value


class Given(BaseModel):
    """The body of a request. Types are strict, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)


class View(BaseModel):
    """The body of a reply."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


# Requests


class DataPathBody(Given):
    """A path in a datastore of the triggers file."""

    datastore: StrictStr = Field(description="The datastore's name.")
    path: StrictStr = Field(description="The path below the datastore's root.")


class SubmissionBody(Given):
    """Starts an `http` trigger. Other keys are allowed if the trigger's templates use them: `http.body.<key>`."""

    model_config = ConfigDict(extra="allow", strict=True, defer_build=True)

    parameters: dict[str, StrictStr | StrictBool | StrictInt | StrictFloat] = Field(
        default={},
        description="Pipeline parameters by name. The triggers file must list each name.",
    )
    data_paths: dict[str, StrictStr | DataPathBody] = Field(
        default={}, description="Data paths by name. The triggers file must list each name."
    )
    experiment: StrictStr | None = Field(
        default=None,
        description="The run's experiment. Needs `http: {allow_experiment: true}` in the triggers file.",
    )


class RunNowBody(Given):
    """Starts a `blob` or `schedule` trigger now, with the event that the trigger would have received."""

    run_now: Annotated[
        StrictBool, AfterValidator(_require_true), WithJsonSchema({"const": True})
    ] = Field(description="Confirms that the trigger starts without its event.")
    blob: GivenPath | None = Field(
        default=None,
        description="For a blob trigger: the blob's whole name below the container.",
    )
    time: GivenInstant | None = Field(
        default=None,
        description="For a schedule: the occurrence's time, cut to the minute, not in the future. Default: now.",
    )


class OverrideBody(Given):
    """Enables or disables a trigger."""

    enabled: StrictBool | None = Field(
        description="`null` returns the trigger to the value in the triggers file."
    )


class ActionBody(Given):
    """Options of an action on a submission."""

    confirm: StrictBool = Field(
        default=False, description="For `replay`: replay even if a run may exist already."
    )


class BlobSubject(Given):
    """A blob to preview."""

    path: GivenPath = Field(description="The blob's whole name below the container.")
    container: Name | None = Field(
        default=None, description="The container. Default: the container of each trigger."
    )


class RequestSubject(Given):
    """A request to `submit` to preview."""

    body: Object = Field(default={}, description="The request's body.")
    query: dict[str, StrictStr] = Field(default={}, description="The request's query parameters.")


class PreviewBody(Given):
    """The event to preview: exactly one of `blob`, `time` and `request`."""

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

    blob: BlobSubject | None = Field(default=None, description="A new or modified blob.")
    time: GivenInstant | None = Field(
        default=None, description="An occurrence's time, cut to the minute."
    )
    request: RequestSubject | None = Field(default=None, description="A request to `submit`.")
    trigger: Name | None = Field(
        default=None, description="Previews this trigger only. Default: all triggers."
    )
    limit: Annotated[StrictInt, Field(ge=1, le=100)] = Field(
        default=50, description="Triggers on one page."
    )
    cursor: Annotated[StrictStr, Field(max_length=400)] | None = Field(
        default=None, description="The previous page's `cursor`."
    )


# Replies

NEXT_PAGE = "Leads to the next page. `null` on the last page."


class PipelineView(View):
    """A pipeline."""

    name: str = Field(description="The pipeline's name in the triggers file.")
    kind: str = Field(description="The pipeline's kind.")


class RunView(View):
    """A run in Azure ML."""

    id: str = Field(description="The run's id.")
    status: str | None = Field(description="The run's status in Azure ML.")
    url: str | None = Field(
        description="The run's page in the studio. `null` if the workspace is not known."
    )
    duplicates: list[str] = Field(description="Ids of other runs of the same submission.")


class AttemptView(View):
    """One POST to Azure ML and its outcome."""

    time: Instant = Field(description="The time at which the outcome was known.")
    generation: int = Field(description="The submission's generation.")
    outcome: OutcomeKind = Field(description="The outcome.")
    run_id: str | None = Field(description="The id of the run that it started.")
    status: int | None = Field(description="Azure ML's HTTP status.")
    code: str | None = Field(description="Azure ML's error code.")
    message: str | None = Field(description="The cause of an error.")
    request_id: str | None = Field(description="The `x-ms-client-request-id` of the POST.")
    service_request_id: str | None = Field(description="Azure ML's id of the POST.")


class DecisionView(View):
    """A caller's action on a submission."""

    time: Instant = Field(description="The time of the action.")
    action: str = Field(description="`submit`, `run_now`, `replay`, `resume`, `drop` or `cancel`.")
    by: str | None = Field(description="The caller's name. `null` if roles are off.")


class SubmissionLine(View):
    """A submission in a list."""

    id: str = Field(description="The submission's id: the event's deduplication key.")
    trigger: str = Field(description="The trigger's name.")
    state: State = Field(description="The state.")
    reason: str | None = Field(description="The cause of the state.")
    generation: int = Field(description="1 for a new submission. Each replay adds 1.")
    created: Instant = Field(description="The time of the claim.")
    updated: Instant = Field(description="The time of the last change.")
    due: Instant | None = Field(description="The time of the next retry, search or poll.")
    pipeline: PipelineView = Field(description="The pipeline.")
    run: RunView | None = Field(description="The run. `null` if no run is known.")


class SubmissionView(SubmissionLine):
    """A submission."""

    event: Object = Field(description="The event.")
    body: Object | None = Field(
        description="The rendered body of the POST. `null` if it could not be rendered."
    )
    attempts: list[AttemptView] = Field(description="Every POST, oldest first.")
    decisions: list[DecisionView] = Field(description="Every action of a caller, oldest first.")


class SubmissionPageView(View):
    """A page of submissions. A page with few or no submissions can still have a cursor."""

    submissions: list[SubmissionLine] = Field(description="The submissions.")
    cursor: str | None = Field(description=NEXT_PAGE)
    unreadable: list[str] = Field(
        description="Ids of submissions whose ledger row was edited and cannot be read."
    )


class LatestView(View):
    """One of a trigger's latest submissions."""

    id: str = Field(description="The submission's id.")
    state: State = Field(description="The state.")
    created: Instant = Field(description="The time of the claim.")
    run_id: str | None = Field(description="The run's id.")


class TriggerView(View):
    """A trigger."""

    name: str = Field(description="The trigger's name.")
    source: Source = Field(description="The source of its events.")
    starts_from: str = Field(description="The source's details in one line.")
    pipeline: PipelineView = Field(description="The pipeline that it starts.")
    enabled: bool = Field(description="Whether it starts runs.")
    since: Instant = Field(
        description="The time of the last override. If there is none, the time of the registration."
    )
    override: bool | None = Field(
        description="The override of `enabled`. `null` if the triggers file decides."
    )
    overridden_by: str | None = Field(
        description="The caller who set the override. `null` if roles are off."
    )
    error: str | None = Field(
        description="Why the ledger's row of the trigger cannot be read. The trigger starts nothing until it is mended."
    )
    next: list[Instant] = Field(description="A schedule's next occurrences.")
    latest: list[LatestView] = Field(description="The latest submissions, newest first.")


class TriggerPageView(View):
    """A page of triggers, in the order of the triggers file."""

    triggers: list[TriggerView] = Field(description="The triggers.")
    cursor: str | None = Field(description=NEXT_PAGE)


class FailedView(View):
    """The first condition that fails."""

    condition: str = Field(
        description="The key in the triggers file. If no key applies, the condition in one word."
    )
    value: str = Field(description="The event's value.")
    reason: str = Field(description="The cause in one sentence.")


class PreviewView(View):
    """The effect of an event on one trigger."""

    trigger: str = Field(description="The trigger's name.")
    starts: bool = Field(description="Whether the event would start a run.")
    submission: str | None = Field(
        description="The submission's id. `null` if the event does not determine it."
    )
    body: Object | None = Field(description="The rendered body of the POST.")
    failed: FailedView | None = Field(
        description="The first condition that fails. `null` if a run would start."
    )


class PreviewPageView(View):
    """A page of previews, in the order of the triggers file."""

    triggers: list[PreviewView] = Field(description="The effect on each trigger.")
    cursor: str | None = Field(description=NEXT_PAGE)


class StatusView(View):
    """A submission's status without further details."""

    state: State = Field(description="The state.")
    run_id: str | None = Field(description="The run's id.")
    run_status: str | None = Field(description="The run's status in Azure ML.")
    error: str | None = Field(description="The cause of the state.")


class ResultView(StatusView):
    """A submission's status."""

    submission: str = Field(description="The submission's id.")
    trigger: str = Field(description="The trigger's name.")
    url: str | None = Field(description="The run's page in the studio.")


class HealthView(View):
    """The app's health. The route needs no key, so it tells nothing else."""

    ledger: Literal["ok", "unavailable"] = Field(description="Whether the ledger answers.")
    last_tick: Instant | None = Field(description="The time of the last tick.")
    dead: int | None = Field(description="`dead` submissions at the last tick.")
    held: int | None = Field(description="`held` submissions at the last tick.")
    version: str = Field(description="The app's version.")
    file: str = Field(description="The first 12 hex digits of the triggers file's SHA-256.")
