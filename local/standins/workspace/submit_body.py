"""The bodies of submit requests that the workspace stand-in accepts: those that the SDK's own models can read.

Names, casing and types are those of azureml-pipeline-core's `PipelineSubmissionInfo` and its parts. The real service is
probably less strict. The stand-in is strict, because a body that the SDK's models cannot read is an error of the app,
even if the service accepts it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_pascal

type Name = Annotated[str, Field(min_length=1)]
type Texts = dict[Name, str]


class InvalidBody(Exception):
    """The SDK's models cannot read the body. `problems` says why."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        """The problems, one sentence each."""
        super().__init__("; ".join(problems))


class _Wire(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, alias_generator=to_pascal)

    @model_validator(mode="before")
    @classmethod
    def _refuse_nulls(cls, value: object) -> object:
        # The SDK's serializer (msrest) leaves out a key whose value is None. It never writes null.
        if isinstance(value, dict) and (
            nulls := [key for key, item in value.items() if item is None]
        ):
            raise ValueError(f"null is not allowed, leave the key out: {', '.join(sorted(nulls))}")
        return value


class LegacyDataPath(_Wire):
    """A path in a datastore."""

    data_store_name: Name
    relative_path: str


class LiteralValue(_Wire):
    """A dataset given as a path in a datastore."""

    data_store_name: Name
    relative_path: str | None = None
    sql_data_path: dict[str, Any] | None = None


class DataSetReference(_Wire):
    """A registered dataset."""

    id: str | None = None
    name: str | None = None
    version: str | None = None


class SavedDataSetReference(_Wire):
    """A saved dataset."""

    id: Name


class DataSetDefinitionValue(_Wire):
    """A dataset, given in exactly one of three ways."""

    literal_value: LiteralValue | None = None
    data_set_reference: DataSetReference | None = None
    saved_data_set_reference: SavedDataSetReference | None = None

    @model_validator(mode="after")
    def _one_way(self) -> DataSetDefinitionValue:
        if len(self.model_fields_set) != 1:
            raise ValueError(
                "expected exactly one of LiteralValue, DataSetReference, SavedDataSetReference"
            )
        return self


class PipelineSubmissionInfo(_Wire):
    """The body of a submit request."""

    experiment_name: Name
    description: str | None = None
    run_source: str | None = None
    run_type: Literal["HTTP", "SDK", "Schedule", "Portal"] | None = None
    parameter_assignments: Texts = Field(default_factory=dict)
    data_path_assignments: dict[Name, LegacyDataPath] = Field(default_factory=dict)
    data_set_definition_value_assignments: dict[Name, DataSetDefinitionValue] = Field(
        default_factory=dict
    )
    schedule_id: str | None = None
    continue_run_on_step_failure: bool | None = None
    enable_notification: bool | None = None
    tags: Texts = Field(default_factory=dict, alias="tags")  # the one lower-case key
    properties: Texts = Field(default_factory=dict)


def read_submission(body: bytes) -> dict[str, Any]:
    """Check the body of a submit request, and return it as a JSON object.

    Raises:
        InvalidBody: The body is not JSON, or the models cannot read it.
    """
    try:
        value = json.loads(
            body.decode("utf-8"), object_pairs_hook=_no_duplicates, parse_constant=_no_constant
        )
    except ValueError as error:
        raise InvalidBody([f"not JSON: {error}"]) from error
    if not isinstance(value, dict):
        raise InvalidBody(["not a JSON object"])
    try:
        PipelineSubmissionInfo.model_validate(value)
    except ValidationError as error:
        raise InvalidBody([_sentence(item) for item in error.errors(include_url=False)]) from error
    return value


def _sentence(item: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in item["loc"]) or "the body"
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        message = "there is no such key (letter case counts)"
    elif item["type"] == "missing":
        message = "is missing"
    return f"{where}: {message}"


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key is repeated")
    return value


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")
