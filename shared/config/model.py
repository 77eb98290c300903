"""What the triggers file says, checked and compiled. `shared.config.load` makes it; nothing else does."""

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
from shared.pipelines.workspaces import WorkspaceId
from shared.schedules.schedule import CatchUp, Schedule


class BlobDelivery(StrEnum):
    """How the host learns of blobs."""

    EVENT_GRID = "event_grid"
    """Event Grid tells the host at once: the only way on Flex Consumption."""
    POLLING = "polling"
    """The host lists the container and reads its logs: for laptops and small containers."""


class Start(StrEnum):
    """Which of the blobs that were there before the trigger count."""

    NOW = "now"
    """None, but for those of the last two hours: uploads that an outage kept from the app must count."""
    BEGINNING = "beginning"
    """All of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Datastore:
    """An Azure ML datastore and the storage container behind it.

    Attributes:
        name: Azure ML's name, sent as `DataStoreName`.
        connection: App-setting name or prefix, as in any Functions binding.
        container: The container's name.
    """

    name: str
    connection: str
    container: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """What can be started. The values a run gets are on the trigger, already merged.

    Attributes:
        name: Its name in the file.
        kind: `published_pipeline`.
        endpoint: The submit URL.
        scope: The token's scope (`https://management.azure.com/.default`).
    """

    name: str
    kind: str
    endpoint: str
    scope: str

    @property
    def endpoint_digest(self) -> str:
        """A digest of where runs are started: a submission holds it, and never a URL."""
        return hashlib.sha256(self.endpoint.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPathTemplate:
    """A data path before an event fills it in; `datastore` is Azure ML's name."""

    datastore: str
    path: Template


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetReferenceTemplate:
    """A registered dataset before an event fills it in."""

    name: Template | None = None
    version: Template | None = None
    id: Template | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueTemplates:
    """What a trigger's runs get: the pipeline's values with the trigger's over them, before an event fills them in.

    The fields are those of `shared.core.runs.RunValues`. A parameter that is not text stays as it is.
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
    """A time comes.

    Attributes:
        schedule: When.
        definition: The schedule as the file wrote it, normalised: a change of it is a new first sight.
        catch_up: What is made up for.
        jitter: How much later an occurrence may start; nothing when zero.
    """

    schedule: Schedule
    definition: str
    catch_up: CatchUp = field(default_factory=CatchUp)
    jitter: timedelta = timedelta()

    @property
    def source(self) -> Source:
        """The kind of source."""
        return Source.SCHEDULE

    @property
    def source_key(self) -> str:
        """What a first sight is of."""
        return f"schedule {self.definition}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobSource:
    """A blob is added or modified.

    Attributes:
        datastore: Where.
        rule: Which blobs.
        delivery: How the host learns of them.
        start: Which of the blobs that were there before count; an instant means those from then on.
    """

    datastore: Datastore
    rule: PathRule
    delivery: BlobDelivery
    start: Start | datetime = Start.NOW

    @property
    def source(self) -> Source:
        """The kind of source."""
        return Source.BLOB

    @property
    def source_key(self) -> str:
        """What a first sight is of."""
        return f"blob {self.datastore.connection}/{self.datastore.container}/{self.rule.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSource:
    """Somebody calls.

    Attributes:
        allow_experiment: Whether a caller may choose the experiment.
        body_names: Top-level keys of the body that the trigger's templates use (`http.body.<name>`).
        query_names: Query keys that the trigger's templates use (`http.query.<name>`).
    """

    allow_experiment: bool = False
    body_names: frozenset[str] = frozenset()
    query_names: frozenset[str] = frozenset()

    @property
    def source(self) -> Source:
        """The kind of source."""
        return Source.HTTP

    @property
    def source_key(self) -> str:
        """What a first sight is of."""
        return "http"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """A named rule: one source, one pipeline, and the values to pass.

    Attributes:
        name: Its name in the file: part of every event's identity.
        source: What it starts from.
        pipeline: What it starts.
        values: What it passes.
        policy: What it wants when things go wrong.
        enabled: Whether it starts anything, unless a person switched it.
    """

    name: str
    source: ScheduleSource | BlobSource | HttpSource
    pipeline: Pipeline
    values: ValueTemplates
    policy: Policy = field(default_factory=Policy)
    enabled: bool = True

    def registration(self, now: datetime) -> Registration:
        """Return what is recorded if the app first meets the trigger at this moment.

        With `start: now` the cutoff lies two hours back: uploads that an outage kept from the app must count.
        """
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
            # The registration's own minute is an occurrence, so it must not count as recorded yet.
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
    """The whole file.

    Attributes:
        file: Where it was read from.
        digest: The first 12 hex digits of the file's SHA-256.
        workspace: The workspace.
        datastores: By Azure ML's name.
        pipelines: By name.
        triggers: By name, in the file's order.
    """

    file: str
    digest: str
    workspace: WorkspaceId
    datastores: Mapping[str, Datastore]
    pipelines: Mapping[str, Pipeline]
    triggers: Mapping[str, Trigger]

    def policy(self, trigger: str) -> Policy:
        """Return a trigger's policy; the defaults when the file no longer has the trigger."""
        found = self.triggers.get(trigger)
        return found.policy if found else Policy()
