"""TODO."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

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
