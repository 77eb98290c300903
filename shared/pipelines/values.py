"""The values that a run is started with: rendered and complete, but not yet in the form that a service takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

type Scalar = str | bool | int | float
"""The value of a parameter. A kind turns it into what its service takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPath:
    """A path in a datastore."""

    datastore: str
    """The name of the datastore in Azure ML."""
    path: str
    """The path below the datastore's container, not percent-encoded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetReference:
    """A registered dataset. `name` or `id` is set."""

    name: str | None = None
    """The name that it is registered with."""
    version: str | None = None
    """The version. None stands for the latest."""
    id: str | None = None
    """The id, which names one version."""


type Dataset = str | DatasetReference | DataPath
"""A dataset: the id of a saved dataset, a registered dataset, or a path in a datastore."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunValues:
    """The values of one run."""

    experiment: str
    """The experiment that the run belongs to."""
    parameters: Mapping[str, Scalar] = field(default_factory=dict)
    """Pipeline parameters by name."""
    data_paths: Mapping[str, DataPath] = field(default_factory=dict)
    """Data path parameters by name."""
    datasets: Mapping[str, Dataset] = field(default_factory=dict)
    """Dataset parameters by name."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Tags of the run. A person can change them later."""
    properties: Mapping[str, str] = field(default_factory=dict)
    """Properties of the run. They never change."""
    description: str | None = None
    """A text that the studio shows with the run."""
    run_source: str = "SDK"
    """A free text that names the client. The SDK sends `SDK`."""
    run_type: str | None = None
    """One of `HTTP`, `SDK`, `Schedule`, `Portal`."""
    continue_on_step_failure: bool | None = None
    """Whether other steps go on after a step failed. None stands for the pipeline's own setting."""
