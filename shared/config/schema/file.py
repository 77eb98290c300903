"""The triggers file as it is written, one model a mapping.

The descriptions, defaults and examples here are the reference: `triggers.schema.json` and
`docs/reference/triggers-yaml.md` are made of them. The first example of a required key also stands
in for a value that is wrong, so that the rest of its mapping can still be checked.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, ValidationInfo

from shared.config.schema import checks as rules
from shared.config.schema.schedule import ScheduleEntry
from shared.config.schema.values import Entry, Text, ValuesEntry
from shared.pipelines.kinds import KINDS
from shared.pipelines.workspaces import check_address


class WorkspaceEntry(Entry):
    """The Azure ML workspace. Each part is read from the first endpoint's address when left out."""

    title: ClassVar[str] = "workspace"

    subscription: Text | None = Field(
        default=None,
        description="Subscription id.",
        examples=["00000000-0000-0000-0000-000000000000"],
    )
    resource_group: Text | None = Field(
        default=None, description="Resource group.", examples=["forecasting"]
    )
    name: Text | None = Field(default=None, description="Workspace.", examples=["forecasting-ml"])
    region: Text | None = Field(default=None, description="Region.", examples=["westeurope"])
    cloud: Literal["public", "china", "usgov"] | None = Field(
        default=None,
        description="Azure cloud: it decides where the workspace's services and tokens are.",
        examples=["public"],
    )


class DatastoreEntry(Entry):
    """An Azure ML datastore, and the storage container behind it."""

    title: ClassVar[str] = "datastores.<name>"

    connection: Annotated[Text, AfterValidator(rules.connection)] = Field(
        description="Name of the app setting, or the prefix of the settings, that lead to the "
        "storage account: as in any Functions binding.",
        examples=["DataStorage"],
    )
    container: Annotated[Text, AfterValidator(rules.container)] = Field(
        description="The container.", examples=["azureml-blobstore-0a1b"]
    )


def _checked_endpoint(url: str, info: ValidationInfo) -> str:
    """Check an endpoint as the kind of its pipeline requires, and in general if the kind is unknown."""
    kind = KINDS.get(info.data.get("kind", ""))
    if kind is None:
        check_address(url)
    else:
        kind.check_endpoint(url)
    return url


class PipelineEntry(ValuesEntry):
    """What can be started, and the values its runs get unless a trigger says otherwise."""

    title: ClassVar[str] = "pipelines.<name>"

    kind: Literal["published_pipeline"] = Field(
        description="What it is.", examples=["published_pipeline"]
    )
    endpoint: Annotated[Text, AfterValidator(_checked_endpoint)] = Field(
        description="The REST endpoint that the studio shows: https, and at its end "
        "`/PipelineRuns/PipelineSubmit/<id>`.",
        examples=[
            "https://westeurope.api.azureml.ms/pipelines/v1.0/PipelineRuns/PipelineSubmit/0a1b"
        ],
    )
    scope: Annotated[Text, AfterValidator(rules.scope)] | None = Field(
        default=None,
        description="The token's scope; Azure Resource Manager of the workspace's cloud when left "
        "out.",
        examples=["https://management.azure.com/.default"],
    )


class BlobEntry(Entry):
    """A blob is added or modified."""

    title: ClassVar[str] = "triggers.<name>.blob"

    datastore: Text = Field(
        description="Name of a datastore under `datastores`.", examples=["workspaceblobstore"]
    )
    path: Annotated[str, AfterValidator(rules.folder)] = Field(
        default="",
        description="Folder below the container; the whole container when left out. "
        "No `{`, `}` or `%`.",
        examples=["incoming"],
    )
    recursive: bool = Field(
        default=False,
        description="Whether blobs in sub-folders count too.",
        examples=[True],
    )
    include: list[Annotated[str, AfterValidator(rules.pattern)]] = Field(
        default_factory=list,
        description="Patterns against the path below `path`, case-sensitive, at least one of which "
        "must match: `*` stays in a folder, `**/*.csv` is any depth. Everything when left out.",
        examples=[["*.csv"]],
    )
    exclude: list[Annotated[str, AfterValidator(rules.pattern)]] = Field(
        default_factory=list,
        description="Patterns, none of which may match; they win over `include`.",
        examples=[["*.tmp"]],
    )
    source: Literal["event_grid", "polling"] | None = Field(
        default=None,
        description="How the Functions host learns of blobs; the app setting `BLOB_SOURCE` when "
        "left out, else `event_grid`.",
        examples=["event_grid"],
    )
    start: Annotated[str, AfterValidator(rules.start)] = Field(
        default="now",
        description="Which of the blobs that were there before the app first saw the trigger "
        "count: `now` (none older than two hours), `beginning` (all), or those since an instant.",
        examples=["beginning"],
    )


class HttpEntry(Entry):
    """Somebody calls `POST /api/v1/triggers/<name>/submissions`."""

    title: ClassVar[str] = "triggers.<name>.http"

    allow_experiment: bool = Field(
        default=False,
        description="Whether the caller may choose the experiment.",
        examples=[True],
    )


class TriggerEntry(ValuesEntry):
    """A rule: one of `schedule`, `blob` and `http`; one pipeline; values over the pipeline's."""

    title: ClassVar[str] = "triggers.<name>"

    pipeline: Text = Field(
        description="Name of a pipeline under `pipelines`.", examples=["scoring"]
    )
    schedule: ScheduleEntry | None = Field(
        default=None,
        description="Starts when a time comes.",
        examples=[{"frequency": "minute", "interval": 15}],
    )
    blob: BlobEntry | None = Field(
        default=None,
        description="Starts when a blob is added or modified.",
        examples=[{"datastore": "workspaceblobstore", "path": "incoming", "include": ["*.csv"]}],
    )
    http: HttpEntry | None = Field(
        default=None,
        description="Starts when somebody calls. It may be empty: `http: {}`.",
        examples=[{}],
    )
    give_up_after: Annotated[str, AfterValidator(rules.duration)] = Field(
        default="24h",
        description="How long a submission that Azure ML certainly has not started is tried again: "
        "a whole number with `s`, `m`, `h` or `d`.",
        examples=["6h"],
    )
    on_unknown: Literal["search", "hold", "resend"] = Field(
        default="search",
        description="What happens when the answer to a submission was lost, so that nobody knows "
        "whether a run was started: `search` looks for the run and sends again only when it is "
        "certain that there is none, `hold` lets a person decide, `resend` sends again at once.",
        examples=["hold"],
    )
    enabled: bool = Field(
        default=True,
        description="Whether it starts anything. `triggers enable` and `disable`, and the HTTP API, win over this.",
        examples=[False],
    )


class TriggersFile(Entry):
    """What starts what."""

    title: ClassVar[str] = "The file"

    workspace: WorkspaceEntry | None = Field(
        default=None,
        description="The Azure ML workspace.",
        examples=[{"cloud": "china"}],
    )
    datastores: dict[Text, DatastoreEntry] = Field(
        default_factory=dict,
        description="Azure ML's datastores, by the name that Azure ML knows.",
        examples=[{"workspaceblobstore": {"connection": "DataStorage", "container": "azureml"}}],
    )
    pipelines: dict[Annotated[str, Field(pattern=rules.NAME)], PipelineEntry] = Field(
        description="What can be started, by name.",
        examples=[{}],
    )
    triggers: dict[Annotated[str, Field(pattern=rules.NAME)], TriggerEntry] = Field(
        description="What starts it, by name. The name is part of every event's identity: "
        "renaming a trigger makes a new one.",
        examples=[{}],
    )
