"""What a run is started with, rendered and complete, before a pipeline kind puts it on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

type Scalar = str | bool | int | float
"""A parameter's value. Azure ML v1 takes text only; `pipelines.published_pipeline` makes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPath:
    """A place in a datastore.

    Attributes:
        datastore: Azure ML's name of the datastore.
        path: Path below the datastore's container, raw: never percent-encoded.
    """

    datastore: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetReference:
    """A registered dataset.

    Attributes:
        name: Its registered name.
        version: Its version; the latest when absent.
        id: Its id, when it is known.
    """

    name: str | None = None
    version: str | None = None
    id: str | None = None


type Dataset = str | DatasetReference | DataPath
"""A dataset: the id of a saved one, a registered one, or a path in a datastore."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunValues:
    """The values of one run, rendered.

    Attributes:
        experiment: The experiment the run goes under.
        parameters: Pipeline parameters by name.
        data_paths: Data path parameters by name.
        datasets: Dataset parameters by name.
        tags: Tags on the run.
        properties: Properties on the run; Azure ML never changes them afterwards.
        description: Text shown with the run; absent when None.
        run_source: Who started it, a free text; the SDK's own is `SDK`.
        run_type: One of `HTTP`, `SDK`, `Schedule`, `Portal`; absent when None.
        continue_on_step_failure: Overrides the pipeline's own setting; absent when None.
    """

    experiment: str
    parameters: Mapping[str, Scalar] = field(default_factory=dict)
    data_paths: Mapping[str, DataPath] = field(default_factory=dict)
    datasets: Mapping[str, Dataset] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    description: str | None = None
    run_source: str = "SDK"
    run_type: str | None = None
    continue_on_step_failure: bool | None = None


SUCCEEDED = frozenset({"Finished", "Completed"})
FAILED = frozenset({"Failed", "Canceled"})
UNFINISHED = frozenset(
    {
        *("NotStarted", "Starting", "Provisioning", "Preparing", "Queued", "Running"),
        *("Finalizing", "CancelRequested", "NotResponding", "Paused", "Unknown"),
    }
)
"""Status words of both services: the pipelines service says `Finished`, run history `Completed`
(azureml-pipeline-core 1.62.0, `run.py`; azure-ai-ml 1.35.2, `JobStatus`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """A run as Azure ML shows it.

    Attributes:
        id: The run's id.
        status: Its status word; of both services, or one that nobody documented.
        created: When it was made, as far as it was told.
        error: Why it failed, when it did.
        stamp: The submission's stamp that it carries, when it was told.
    """

    id: str
    status: str = "NotStarted"
    created: datetime | None = None
    error: str | None = None
    stamp: str | None = None

    @property
    def final(self) -> bool:
        """Whether it has ended."""
        return self.status in SUCCEEDED | FAILED

    @property
    def known(self) -> bool:
        """Whether its status word is documented."""
        return self.final or self.status in UNFINISHED


class RunGone(Exception):
    """Azure ML does not know a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A search for a submission's run.

    Attributes:
        runs: Those that carry its stamp.
        sees_newest: Whether it saw the newest run that we know of; if not, finding nothing proves nothing.
    """

    runs: tuple[RunFacts, ...] = ()
    sees_newest: bool = False
