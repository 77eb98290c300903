"""The models of the file: their documentation, and the messages about single values."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from shared.config.schema.file import (
    BlobEntry,
    DatastoreEntry,
    HttpEntry,
    PipelineEntry,
    TriggerEntry,
    TriggersFile,
    WorkspaceEntry,
)
from shared.config.schema.schedule import ScheduleEntry
from shared.config.schema.values import DatasetEntry, DatastorePathEntry, Entry
from tests.unit.config.files import ProblemsOf, only, with_trigger

MODELS: list[type[Entry]] = [
    TriggersFile, WorkspaceEntry, DatastoreEntry, PipelineEntry, TriggerEntry, ScheduleEntry,
    BlobEntry, HttpEntry, DatastorePathEntry, DatasetEntry,
]  # fmt: skip


@pytest.mark.parametrize("model", MODELS)
def test_every_key_is_described_and_has_an_example(model: type[Entry]) -> None:
    assert model.title
    for name, field in model.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name
        assert field.examples, name


@pytest.mark.parametrize("model", MODELS)
def test_examples_are_valid(model: type[Entry]) -> None:
    for name, field in model.model_fields.items():
        required = {
            other: one.examples[0]
            for other, one in model.model_fields.items()
            if one.is_required() and one.examples
        }
        for example in field.examples or []:
            needs = {"frequency": "minute"} if model is ScheduleEntry and name != "cron" else {}
            needs = {"name": "weights"} if model is DatasetEntry else needs
            model.model_validate({**required, **needs, field.alias or name: example})


@pytest.mark.parametrize("model", MODELS)
def test_unknown_keys_are_refused(model: type[Entry]) -> None:
    with pytest.raises(ValidationError) as caught:
        model.model_validate({"nonsense": 1})
    assert "extra_forbidden" in {error["type"] for error in caught.value.errors()}


@pytest.mark.parametrize("model", MODELS)
def test_required_keys_accept_none_which_stands_for_a_reported_problem(model: type[Entry]) -> None:
    required = [name for name, field in model.model_fields.items() if field.is_required()]
    needs = {"frequency": "day"} if model is ScheduleEntry else {}
    needs = {"name": "weights"} if model is DatasetEntry else needs
    entry = model.model_validate({**dict.fromkeys(required), **needs})
    assert all(getattr(entry, name) is None for name in required)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("http: {allow_experiments: true}", "(did you mean allow_experiment?)"),
        (
            "blob: {datastore: ds, include: '*.csv'}",
            "triggers.t.blob.include: found *.csv; a list is needed, in square brackets",
        ),
        (
            "blob: {datastore: ds, include: ['*.a', '**.csv']}",
            "triggers.t.blob.include[1]: found **.csv; ** must stand alone between slashes; "
            "write **/*.csv",
        ),
        (
            "blob: {datastore: ds, include: [1]}",
            "triggers.t.blob.include[0]: found 1; text is needed",
        ),
        (
            "blob: {datastore: ds, source: poll}",
            "triggers.t.blob.source: found poll (did you mean polling?); "
            "allowed: event_grid, polling",
        ),
        (
            "blob: {path: x}",
            "triggers.t.blob.datastore: this required key is missing. Name of a datastore under "
            "`datastores`.",
        ),
        (
            "blob: {datastore: ds, path: '{name}'}",
            "triggers.t.blob.path: found {name}; path must not",
        ),
    ],
)
def test_a_value_of_a_source_is_checked(problems_of: ProblemsOf, body: str, message: str) -> None:
    assert message in only(problems_of(with_trigger(body)))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "    pipeline: scoring\n",
            "",
            "triggers.t.pipeline: this required key is missing. Name of a pipeline",
        ),
        (
            "kind: published_pipeline",
            "kind: batch_endpoint",
            "pipelines.scoring.kind: found batch_endpoint; allowed: published_pipeline",
        ),
        (
            "endpoint: ${SCORING_ENDPOINT}",
            "endpoint: http://example.com/",
            "pipelines.scoring.endpoint: found http://example.com/; the URL must begin with https://",
        ),
        (
            "kind: published_pipeline\n    endpoint: ${SCORING_ENDPOINT}",
            "endpoint: https://example.com/any/path\n    scope: https://ml.azure.com/.default",
            "pipelines.scoring.kind: this required key is missing. Kind of the pipeline.",
        ),
        (
            "container: other",
            "container: Other",
            "datastores.other.container: found Other; a container's name has",
        ),
    ],
)
def test_a_value_of_a_section_is_checked(
    problems_of: ProblemsOf, old: str, new: str, message: str
) -> None:
    text = with_trigger("http: {}")
    assert old in text
    assert message in only(problems_of(text.replace(old, new, 1)))
