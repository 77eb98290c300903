"""What a run is started with, as the triggers file writes it: shared by pipelines and triggers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    model_validator,
)

PLACE_TAG = "<place>"
DATASET_TAG = "<dataset>"
TEXT_TAG = "<text>"

Text = Annotated[str, Field(min_length=1)]


def _scalar(value: object) -> object:
    if value is None or isinstance(value, list | dict):
        raise ValueError("a parameter is text, a number, true or false")
    return value


def _shape(value: object) -> str | None:
    """Tell which form a data path or dataset has."""
    if isinstance(value, str):
        return TEXT_TAG
    if not isinstance(value, Mapping):
        return None
    return DATASET_TAG if {"name", "id", "version"} & set(value) else PLACE_TAG


def _path_shape(value: object) -> str | None:
    """Tell which form a data path has."""
    return PLACE_TAG if isinstance(value, Mapping) else _shape(value)


Parameter = Annotated[
    Any,
    BeforeValidator(_scalar),
    WithJsonSchema({"type": ["string", "number", "boolean"]}),
]


class Entry(BaseModel):
    """A mapping of the file."""

    model_config = ConfigDict(extra="forbid", strict=True)
    title: ClassVar[str] = ""

    @classmethod
    def key_names(cls) -> list[str]:
        """Return the keys as the file writes them; `except`, a word of Python, is a field of another name."""
        return [field.alias or name for name, field in cls.model_fields.items()]


class PlaceEntry(Entry):
    """Where a data path or dataset lies, on triggers of any source."""

    title: ClassVar[str] = "A place in a datastore"

    datastore: Text = Field(
        description="Name of a datastore under `datastores`.", examples=["workspaceblobstore"]
    )
    path: str = Field(
        description="Path below the datastore's container, raw. A template.",
        examples=["reference/weights.csv"],
    )


class DatasetEntry(Entry):
    """A dataset of the workspace, by its name or its id."""

    title: ClassVar[str] = "A registered dataset"

    name: Text | None = Field(
        default=None, description="Registered name. A template.", examples=["weights"]
    )
    version: Text | None = Field(
        default=None,
        description="Version, in quotes; the latest when left out. A template.",
        examples=["3"],
    )
    id: Text | None = Field(
        default=None,
        description="The dataset's id, when it is known. A template.",
        examples=["9f3a"],
    )

    @model_validator(mode="after")
    def _names_one(self) -> DatasetEntry:
        if self.name is None and self.id is None:
            raise ValueError("a registered dataset needs its name or its id")
        return self


DataPath = Annotated[
    Annotated[str, Tag(TEXT_TAG)] | Annotated[PlaceEntry, Tag(PLACE_TAG)],
    Discriminator(
        _path_shape,
        custom_error_type="form",
        custom_error_message="a data path is text or {datastore: …, path: …}",
    ),
]
Dataset = Annotated[
    Annotated[str, Tag(TEXT_TAG)]
    | Annotated[DatasetEntry, Tag(DATASET_TAG)]
    | Annotated[PlaceEntry, Tag(PLACE_TAG)],
    Discriminator(
        _shape,
        custom_error_type="form",
        custom_error_message="a dataset is the id of a saved one, {name: …, version: …} "
        "or {datastore: …, path: …}",
    ),
]


class ValuesEntry(Entry):
    """What a run is started with; on a pipeline and on a trigger."""

    experiment: Text | None = Field(
        default=None,
        description="The experiment that the run goes under. A template. "
        "It must stand in the pipeline or in the trigger.",
        examples=["MyRestPipeline"],
    )
    parameters: dict[Text, Parameter] = Field(
        default_factory=dict,
        description="Pipeline parameters by name: text (a template), a number, `true` or `false`. "
        "Azure ML v1 takes them as text, so a number that would not be sent as it is written "
        "(`1.10`, `0123`, `1e3`) is refused: put it in quotes.",
        examples=[{"input_string": "sample_string3"}],
    )
    data_paths: dict[Text, DataPath] = Field(
        default_factory=dict,
        description="Data path parameters by name. Text is a path (a template) in the blob "
        "trigger's own datastore; elsewhere write `{datastore: …, path: …}`.",
        examples=[{"input_datapath": "{{ blob.path }}"}],
    )
    datasets: dict[Text, Dataset] = Field(
        default_factory=dict,
        description="Dataset parameters by name. Text is the id of a saved dataset (a template); "
        "`{name: …, version: …}` a registered one; `{datastore: …, path: …}` a path.",
        examples=[{"weights": {"name": "weights", "version": "3"}}],
    )
    tags: dict[Text, str] = Field(
        default_factory=dict,
        description="Tags on the run. Templates. The name `submission` is taken.",
        examples=[{"team": "forecasting"}],
    )
    properties: dict[Text, str] = Field(
        default_factory=dict,
        description="Properties on the run, which Azure ML never changes afterwards. "
        "Not templates. The name `submission` is taken.",
        examples=[{"origin": "triggers"}],
    )
    description: str | None = Field(
        default=None,
        description="Text that Azure ML shows with the run. A template.",
        examples=["Based on time"],
    )
    run_source: Text | None = Field(
        default=None,
        description="Who started the run, as Azure ML records it; `SDK` when neither the pipeline "
        "nor the trigger says it.",
        examples=["SDK"],
    )
    run_type: Literal["HTTP", "SDK", "Schedule", "Portal"] | None = Field(
        default=None,
        description="Kind of run, as Azure ML records it; not sent when left out.",
        examples=["HTTP"],
    )
    continue_on_step_failure: bool | None = Field(
        default=None,
        description="Whether the run goes on when a step fails; the pipeline's own setting when "
        "left out.",
        examples=[True],
    )
