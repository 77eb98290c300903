"""A loaded triggers file: checked, merged and compiled. Only `shared.config.load` creates these objects."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from shared.config.path_rule import PathRule
from shared.config.templates.template import Template
from shared.core.events import Source
from shared.core.submissions import Policy
from shared.core.trigger_state import GRACE, Registration, anchor_of
from shared.pipelines.values import Scalar
from shared.pipelines.workspaces import WorkspaceId, read_workspace
from shared.schedules.schedule import CatchUp, Schedule


class BlobDelivery(StrEnum):
    """How the Functions host detects blobs."""

    EVENT_GRID = "event_grid"
    """Event Grid notifies the host at once. It is the only way on Flex Consumption."""
    POLLING = "polling"
    """The host lists the container and reads the storage logs. It suits laptops and small containers."""


class Start(StrEnum):
    """Which of the blobs that exist when a trigger is registered start runs."""

    NOW = "now"
    """Those of the last two hours. Uploads that an outage kept from the app must count."""
    BEGINNING = "beginning"
    """All blobs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Datastore:
    """An Azure ML datastore and the storage container behind it."""

    name: str
    """The name in Azure ML, sent as `DataStoreName`."""
    connection: str
    """The name of an app setting, or the prefix of several, as in any Functions binding."""
    container: str
    """The name of the container."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """A pipeline that can be started. The values of its runs are in the triggers, already merged."""

    name: str
    """The name in the file."""
    kind: str
    """A key of `shared.pipelines.kinds.KINDS`."""
    endpoint: str
    """The URL that runs are submitted to."""
    scope: str
    """The scope of the token, such as `https://management.azure.com/.default`."""

    @property
    def endpoint_digest(self) -> str:
        """A digest of the endpoint. Submissions store it instead of the URL."""
        return hashlib.sha256(self.endpoint.encode()).hexdigest()[:16]

    @property
    def workspace_digest(self) -> str:
        """A digest of the workspace where runs are started, or empty text if the endpoint does not name it."""
        return read_workspace(self.endpoint).digest


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPathTemplate:
    """A data path before an event fills it in."""

    datastore: str
    """The name in Azure ML."""
    path: Template


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetReferenceTemplate:
    """A registered dataset before an event fills it in."""

    name: Template | None = None
    version: Template | None = None
    id: Template | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueTemplates:
    """The values of a trigger's runs before an event fills them in: the pipeline's, overridden by the trigger's.

    The fields are those of `shared.pipelines.values.RunValues`. A parameter that is not text stays as it is.
    """

    experiment: Template
    parameters: Mapping[str, Template | Scalar] = field(default_factory=dict)
    data_paths: Mapping[str, DataPathTemplate] = field(default_factory=dict)
    datasets: Mapping[str, Template | DatasetReferenceTemplate | DataPathTemplate] = field(
        default_factory=dict
    )
    tags: Mapping[str, Template] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    description: Template | None = None
    run_source: str = "SDK"
    run_type: str | None = None
    continue_on_step_failure: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleSource:
    """The source of a trigger that starts at the occurrences of a schedule."""

    schedule: Schedule
    definition: str
    """The normalised text of the schedule. If it changes, the trigger is registered again."""
    catch_up: CatchUp = field(default_factory=CatchUp)
    """Which missed occurrences run."""
    jitter: timedelta = timedelta()
    """The maximum delay of an occurrence. Zero: no delay."""

    @property
    def source(self) -> Source:
        """The kind of source."""
        return Source.SCHEDULE

    @property
    def source_key(self) -> str:
        """Identifies the source. If it changes, the trigger is registered again."""
        return f"schedule {self.definition}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobSource:
    """The source of a trigger that starts when a blob is added or modified."""

    datastore: Datastore
    rule: PathRule
    """Which blobs match."""
    delivery: BlobDelivery
    start: Start | datetime = Start.NOW
    """Which existing blobs start runs. An instant: those that were modified since then."""

    @property
    def source(self) -> Source:
        """The kind of source."""
        return Source.BLOB

    @property
    def source_key(self) -> str:
        """Identifies the source. If it changes, the trigger is registered again."""
        return f"blob {self.datastore.connection}/{self.datastore.container}/{self.rule.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSource:
    """The source of a trigger that starts when a client calls the app."""

    allow_experiment: bool = False
    """Whether the caller may choose the experiment."""
    body_names: frozenset[str] = frozenset()
    """The top-level keys of the body that the trigger's templates use (`http.body.<name>`)."""
    query_names: frozenset[str] = frozenset()
    """The keys of the query that the trigger's templates use (`http.query.<name>`)."""

    @property
    def source(self) -> Source:
        """The kind of source."""
        return Source.HTTP

    @property
    def source_key(self) -> str:
        """Identifies the source. All HTTP sources are the same."""
        return "http"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """A rule with one source, one pipeline, and the values of its runs."""

    name: str
    """The name in the file. It is part of each event's deduplication key."""
    source: ScheduleSource | BlobSource | HttpSource
    pipeline: Pipeline
    values: ValueTemplates
    policy: Policy = field(default_factory=Policy)
    """How submissions are retried."""
    enabled: bool = True
    """Whether the trigger starts runs, unless a person has overridden it."""

    def registration(self, now: datetime) -> Registration:
        """Return the record that is written if the app registers the trigger at this moment."""
        start = self.source.start if isinstance(self.source, BlobSource) else Start.NOW
        match start:
            case Start.BEGINNING:
                cutoff = None
            case Start.NOW:
                cutoff = now - GRACE
            case _:
                cutoff = start
        watermark = None
        if isinstance(self.source, ScheduleSource) and self.source.schedule.run_at_start:
            # The minute of the registration is an occurrence, so it must not count as recorded yet.
            watermark = anchor_of(now) - timedelta.resolution
        return Registration(
            name=self.name,
            source_key=self.source.source_key,
            cutoff=cutoff,
            time=now,
            watermark=watermark,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A loaded triggers file."""

    file: str
    """The path of the file."""
    digest: str
    """The first 12 hex digits of the file's SHA-256."""
    workspace: WorkspaceId
    datastores: Mapping[str, Datastore]
    """The datastores, by their names in Azure ML."""
    pipelines: Mapping[str, Pipeline]
    """The pipelines, by name."""
    triggers: Mapping[str, Trigger]
    """The triggers, by name, in the order of the file."""

    def policy(self, trigger: str) -> Policy:
        """Return the policy of a trigger, or the default policy if the file no longer has the trigger."""
        found = self.triggers.get(trigger)
        return found.policy if found else Policy()
