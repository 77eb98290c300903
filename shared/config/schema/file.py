"""The triggers file as it is written, with one model for each map.

`triggers.schema.json` and `docs/reference/triggers-yaml.md` are generated from the descriptions, defaults and examples
in these models.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, ValidationInfo

from shared.config.schema import checks
from shared.config.schema.schedule import ScheduleEntry
from shared.config.schema.values import Entry, Text, ValuesEntry
from shared.pipelines.kinds import KINDS
from shared.pipelines.workspaces import check_address


class WorkspaceEntry(Entry):
    """The Azure ML workspace. By default each part is read from the endpoint of the first pipeline."""

    title: ClassVar[str] = "workspace"

    subscription: Text | None = Field(
        default=None,
        description="Subscription id.",
        examples=["00000000-0000-0000-0000-000000000000"],
    )
    resource_group: Text | None = Field(
        default=None, description="Resource group.", examples=["forecasting"]
    )
    name: Text | None = Field(
        default=None, description="Name of the workspace.", examples=["forecasting-ml"]
    )
    region: Text | None = Field(default=None, description="Region.", examples=["westeurope"])
    cloud: Literal["public", "china", "usgov"] | None = Field(
        default=None,
        description="Azure cloud. It decides the URLs of the workspace's services and the scope of tokens.",
        examples=["public"],
    )


class DatastoreEntry(Entry):
    """An Azure ML datastore and the storage container behind it."""

    title: ClassVar[str] = "datastores.<name>"

    connection: Annotated[Text, AfterValidator(checks.connection)] | None = Field(
        description="Connection to the storage account: the name of an app setting, or the prefix of several, "
        "as in any Functions binding.",
        examples=["DataStorage"],
    )
    container: Annotated[Text, AfterValidator(checks.container)] | None = Field(
        description="Name of the container.", examples=["azureml-blobstore-0a1b"]
    )


def _checked_endpoint(url: str, info: ValidationInfo) -> str:
    """Check an endpoint by the rules of its pipeline's kind. If the kind is unknown, check what all kinds require."""
    kind = KINDS.get(info.data.get("kind") or "")
    if kind is None:
        check_address(url)
    else:
        kind.check_endpoint(url)
    return url


class PipelineEntry(ValuesEntry):
    """A pipeline that can be started, and the default values of its runs."""

    title: ClassVar[str] = "pipelines.<name>"

    kind: Literal["published_pipeline"] | None = Field(
        description="Kind of the pipeline.", examples=["published_pipeline"]
    )
    endpoint: Annotated[Text, AfterValidator(_checked_endpoint)] | None = Field(
        description="REST endpoint of the pipeline, as the studio shows it: an https URL that ends with "
        "`/PipelineRuns/PipelineSubmit/<id>`.",
        examples=[
            "https://westeurope.api.azureml.ms/pipelines/v1.0/PipelineRuns/PipelineSubmit/0a1b"
        ],
    )
    scope: Annotated[Text, AfterValidator(checks.scope)] | None = Field(
        default=None,
        description="Scope of the token. Default: Azure Resource Manager in the cloud of the workspace.",
        examples=["https://management.azure.com/.default"],
    )


class BlobEntry(Entry):
    """Starts a run when a blob is added or modified."""

    title: ClassVar[str] = "triggers.<name>.blob"

    datastore: Text | None = Field(
        description="Name of a datastore under `datastores`.", examples=["workspaceblobstore"]
    )
    path: Annotated[str, AfterValidator(checks.folder)] = Field(
        default="",
        description="Folder below the container, without `{`, `}` and `%`. Default: the whole container.",
        examples=["incoming"],
    )
    recursive: bool = Field(
        default=False,
        description="Whether blobs in sub-folders match too.",
        examples=[True],
    )
    include: list[Annotated[str, AfterValidator(checks.pattern)]] = Field(
        default_factory=list,
        description="Patterns for the path below `path`, case-sensitive. At least one of them must match. "
        "`*` stays within a folder, and `**/*.csv` matches at any depth. Default: all blobs.",
        examples=[["*.csv"]],
    )
    exclude: list[Annotated[str, AfterValidator(checks.pattern)]] = Field(
        default_factory=list,
        description="Patterns as in `include`. None of them may match.",
        examples=[["*.tmp"]],
    )
    source: Literal["event_grid", "polling"] | None = Field(
        default=None,
        description="How the Functions host detects blobs. Default: the app setting `BLOB_SOURCE`, or else "
        "`event_grid`.",
        examples=["event_grid"],
    )
    start: Annotated[str, AfterValidator(checks.start)] = Field(
        default="now",
        description="Which blobs that exist when the app registers the trigger start runs: `now` (those of the last "
        "two hours), `beginning` (all), or an instant with its offset (those modified since then).",
        examples=["beginning"],
    )


class HttpEntry(Entry):
    """Starts a run when a client calls `POST /api/v1/triggers/<name>/submissions`."""

    title: ClassVar[str] = "triggers.<name>.http"

    allow_experiment: bool = Field(
        default=False,
        description="Whether the caller may choose the experiment.",
        examples=[True],
    )


class TriggerEntry(ValuesEntry):
    """A rule with one source (`schedule`, `blob` or `http`), one pipeline, and values that override the pipeline's."""

    title: ClassVar[str] = "triggers.<name>"

    pipeline: Text | None = Field(
        description="Name of a pipeline under `pipelines`.", examples=["scoring"]
    )
    schedule: ScheduleEntry | None = Field(
        default=None,
        description="Starts a run at each occurrence of a schedule.",
        examples=[{"frequency": "minute", "interval": 15}],
    )
    blob: BlobEntry | None = Field(
        default=None,
        description="Starts a run when a blob is added or modified.",
        examples=[{"datastore": "workspaceblobstore", "path": "incoming", "include": ["*.csv"]}],
    )
    http: HttpEntry | None = Field(
        default=None,
        description="Starts a run when a client calls the app. It may be empty: `http: {}`.",
        examples=[{}],
    )
    give_up_after: Annotated[str, AfterValidator(checks.duration)] = Field(
        default="24h",
        description="How long the app retries a submission if Azure ML definitely did not start a run: "
        "a whole number with `s`, `m`, `h` or `d`.",
        examples=["6h"],
    )
    on_unknown: Literal["search", "hold", "resend"] = Field(
        default="search",
        description="Action if an answer of Azure ML is ambiguous: a run may have started. `search` looks for the run, "
        "and sends again only if the run definitely does not exist. `hold` waits for a person to decide. `resend` "
        "sends again at once.",
        examples=["hold"],
    )
    enabled: bool = Field(
        default=True,
        description="Whether the trigger starts runs. An override by `triggers enable`, `triggers disable` or the HTTP "
        "API has precedence.",
        examples=[False],
    )


class TriggersFile(Entry):
    """The pipelines, and the triggers that start them."""

    title: ClassVar[str] = "The file"

    workspace: WorkspaceEntry | None = Field(
        default=None,
        description="The Azure ML workspace.",
        examples=[{"cloud": "china"}],
    )
    datastores: dict[Text, DatastoreEntry] = Field(
        default_factory=dict,
        description="Azure ML datastores, by their names in Azure ML.",
        examples=[{"workspaceblobstore": {"connection": "DataStorage", "container": "azureml"}}],
    )
    pipelines: dict[Annotated[str, Field(pattern=checks.NAME)], PipelineEntry] | None = Field(
        description="Pipelines that can be started, by name.",
        examples=[{}],
    )
    triggers: dict[Annotated[str, Field(pattern=checks.NAME)], TriggerEntry] | None = Field(
        description="Triggers, by name. The name is part of each event's deduplication key: "
        "a trigger with another name is a new one.",
        examples=[{}],
    )
