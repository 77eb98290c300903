"""The values that a run is started with, as the triggers file has them. Pipelines and triggers share these keys."""

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

from shared.pipelines.run_records import CORRELATION_KEY

DATASTORE_PATH_TAG = "<datastore path>"
DATASET_TAG = "<dataset>"
TEXT_TAG = "<text>"
"""The forms of a value, as the locations of pydantic's errors show them."""

Text = Annotated[str, Field(min_length=1)]


def _scalar(value: object) -> object:
    if value is None or isinstance(value, list | dict):
        raise ValueError("a parameter is text, a number, true or false")
    return value


def _dataset_form(value: object) -> str | None:
    """Return the tag of a dataset's form, or None if it has none of them."""
    if isinstance(value, str):
        return TEXT_TAG
    if not isinstance(value, Mapping):
        return None
    return DATASET_TAG if {"name", "id", "version"} & set(value) else DATASTORE_PATH_TAG


def _data_path_form(value: object) -> str | None:
    """Return the tag of a data path's form, or None if it has none of them."""
    return DATASTORE_PATH_TAG if isinstance(value, Mapping) else _dataset_form(value)


ParameterValue = Annotated[
    Any,
    BeforeValidator(_scalar),
    WithJsonSchema({"type": ["string", "number", "boolean"]}),
]


class Entry(BaseModel):
    """A map of the file.

    A required key is typed `X | None` without a default. `schema.read` puts None where the value has a problem that is
    already reported, so that the rest of the map can be checked. A loaded configuration never has such a None.
    """

    model_config = ConfigDict(extra="forbid", strict=True)
    title: ClassVar[str] = ""
    """The heading of the map in the reference page."""

    @classmethod
    def key_names(cls) -> list[str]:
        """Return the keys as the file has them. The field of `except`, a keyword of Python, has another name."""
        return [field.alias or name for name, field in cls.model_fields.items()]


class DatastorePathEntry(Entry):
    """A data path or a dataset as a path in any datastore. Triggers of all sources can use this form."""

    title: ClassVar[str] = "A path in a datastore"

    datastore: Text | None = Field(
        description="Name of a datastore under `datastores`.", examples=["workspaceblobstore"]
    )
    path: str | None = Field(
        description="Path below the datastore's container, not percent-encoded. A template.",
        examples=["reference/weights.csv"],
    )


class DatasetEntry(Entry):
    """A dataset that is registered in the workspace, by its name or its id."""

    title: ClassVar[str] = "A registered dataset"

    name: Text | None = Field(
        default=None, description="Name of the dataset. A template.", examples=["weights"]
    )
    version: Text | None = Field(
        default=None,
        description="Version of the dataset, in quotes. Default: the latest. A template.",
        examples=["3"],
    )
    id: Text | None = Field(
        default=None,
        description="Id of the dataset. A template.",
        examples=["9f3a"],
    )

    @model_validator(mode="after")
    def _has_name_or_id(self) -> DatasetEntry:
        # The keys that the file has, not their values: a value of None is reported already.
        if not self.model_fields_set & {"name", "id"}:
            raise ValueError("a registered dataset needs its name or its id")
        return self


DataPathValue = Annotated[
    Annotated[str, Tag(TEXT_TAG)] | Annotated[DatastorePathEntry, Tag(DATASTORE_PATH_TAG)],
    Discriminator(
        _data_path_form,
        custom_error_type="form",
        custom_error_message="a data path is text or {datastore: …, path: …}",
    ),
]
DatasetValue = Annotated[
    Annotated[str, Tag(TEXT_TAG)]
    | Annotated[DatasetEntry, Tag(DATASET_TAG)]
    | Annotated[DatastorePathEntry, Tag(DATASTORE_PATH_TAG)],
    Discriminator(
        _dataset_form,
        custom_error_type="form",
        custom_error_message="a dataset is the id of a saved one, {name: …, version: …} "
        "or {datastore: …, path: …}",
    ),
]


class ValuesEntry(Entry):
    """The values that a run is started with."""

    experiment: Text | None = Field(
        default=None,
        description="The experiment of the run. A template. The pipeline or the trigger must have it.",
        examples=["MyRestPipeline"],
    )
    parameters: dict[Text, ParameterValue] = Field(
        default_factory=dict,
        description="Pipeline parameters by name: text (a template), a number, `true` or `false`. "
        "Azure ML v1 takes them as text. A number whose text would change, such as `1.10`, `0123` or `1e3`, "
        "must be in quotes.",
        examples=[{"input_string": "sample_string3"}],
    )
    data_paths: dict[Text, DataPathValue] = Field(
        default_factory=dict,
        description="Data path parameters by name. Text is a path (a template) in the blob "
        "trigger's own datastore. Other triggers need `{datastore: …, path: …}`.",
        examples=[{"input_datapath": "{{ blob.path }}"}],
    )
    datasets: dict[Text, DatasetValue] = Field(
        default_factory=dict,
        description="Dataset parameters by name. Text is the id of a saved dataset (a template), "
        "`{name: …, version: …}` is a registered dataset, and `{datastore: …, path: …}` is a path.",
        examples=[{"weights": {"name": "weights", "version": "3"}}],
    )
    tags: dict[Text, str] = Field(
        default_factory=dict,
        description=f"Tags of the run. Templates. The name `{CORRELATION_KEY}` is reserved.",
        examples=[{"team": "forecasting"}],
    )
    properties: dict[Text, str] = Field(
        default_factory=dict,
        description="Properties of the run. Azure ML does not allow changing them later. "
        f"Not templates. The name `{CORRELATION_KEY}` is reserved.",
        examples=[{"origin": "triggers"}],
    )
    description: str | None = Field(
        default=None,
        description="Description of the run in Azure ML. A template.",
        examples=["Based on time"],
    )
    run_source: Text | None = Field(
        default=None,
        description="Source of the run, as Azure ML records it. Default: `SDK`.",
        examples=["SDK"],
    )
    run_type: Literal["HTTP", "SDK", "Schedule", "Portal"] | None = Field(
        default=None,
        description="Type of the run, as Azure ML records it. Default: not sent.",
        examples=["HTTP"],
    )
    continue_on_step_failure: bool | None = Field(
        default=None,
        description="Whether the run continues if a step fails. Default: the pipeline's own setting in Azure ML.",
        examples=[True],
    )
