"""Reading one map: what is left of it when some of its values have problems."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from shared.config.problems import Problems
from shared.config.schema.file import DatastoreEntry, PipelineEntry, TriggerEntry
from shared.config.schema.read import read_entry
from shared.config.schema.values import DatasetEntry, DatastorePathEntry, Entry
from shared.config.yaml_reader import read_document


def read[E: Entry](model: type[E], text: str) -> tuple[E | None, list[str]]:
    """Return the entry of a text, and the paths of its problems."""
    problems = Problems(read_document(text.encode()))
    data: Any = yaml.safe_load(text)
    entry = read_entry(model, data, (), problems)
    return entry, [one.where for one in problems.in_order()]


def read_trigger(text: str) -> tuple[TriggerEntry, list[str]]:
    entry, where = read(TriggerEntry, text)
    assert entry is not None
    return entry, where


def test_a_map_without_problems_is_its_entry() -> None:
    entry, where = read(DatastoreEntry, "{connection: DataStorage, container: data}")
    assert entry == DatastoreEntry(connection="DataStorage", container="data")
    assert where == []


@pytest.mark.parametrize("text", ["5", "text", "[1]"])
def test_anything_else_than_a_map_has_no_entry(text: str) -> None:
    assert read(DatastoreEntry, text) == (None, ["the file"])


def test_a_required_value_with_a_problem_is_none_and_the_others_stay() -> None:
    entry, where = read(DatastoreEntry, "{connection: a b, container: data, more: 1}")
    assert entry is not None
    assert (entry.connection, entry.container) == (None, "data")
    assert where == ["connection", "more"]
    assert read(DatastoreEntry, "{connection: DataStorage}")[1] == ["container"]


def test_an_optional_value_with_a_problem_is_the_default() -> None:
    entry, where = read_trigger("{pipeline: p, give_up_after: soon, enabled: 5, on_unknown: hld}")
    assert (entry.give_up_after, entry.enabled, entry.on_unknown) == ("24h", True, "search")
    assert where == ["give_up_after", "enabled", "on_unknown"]


def test_a_key_with_a_problem_still_counts_as_given() -> None:
    entry, _ = read_trigger("{pipeline: p, blob: 5}")
    assert entry.blob is None
    assert "blob" in entry.model_fields_set


def test_a_list_with_a_wrong_item_is_left_out_as_a_whole() -> None:
    entry, where = read_trigger("{pipeline: p, blob: {datastore: ds, include: ['*.csv', 5, '']}}")
    assert entry.blob is not None
    assert (entry.blob.datastore, entry.blob.include) == ("ds", [])
    assert where == ["blob.include[1]", "blob.include[2]"]


def test_rules_between_keys_are_checked_without_the_wrong_values() -> None:
    entry, where = read_trigger("{pipeline: p, schedule: {frequency: year, interval: 0}}")
    assert entry.schedule is not None
    assert (entry.schedule.frequency, entry.schedule.interval) == (None, None)
    assert where == ["schedule.frequency", "schedule.interval"]


def test_a_broken_rule_between_keys_leaves_the_inner_map_out() -> None:
    entry, where = read_trigger("{pipeline: p, schedule: {frequency: year, cron: 0 0 * * *}}")
    assert entry.schedule is None
    assert where == ["schedule", "schedule.frequency"]


def test_a_dataset_keeps_its_form_without_its_wrong_values() -> None:
    entry, where = read(
        PipelineEntry,
        "{kind: published_pipeline, endpoint: 'http://localhost/PipelineRuns/PipelineSubmit/1',"
        " datasets: {a: {name: 5, version: '1'}, b: {}, c: {datastore: 5, path: x}, d: [1]}}",
    )
    assert entry is not None
    assert entry.datasets == {
        "a": DatasetEntry(name=None, version="1"),
        "b": DatastorePathEntry(datastore=None, path=None),
        "c": DatastorePathEntry(datastore=None, path="x"),
    }
    assert sorted(where) == [
        "datasets.a.name",
        "datasets.b.datastore",
        "datasets.b.path",
        "datasets.c.datastore",
        "datasets.d",
    ]


@pytest.mark.parametrize("name", ["'[key]'", "<dataset>", "<text>", "blob", "schedule", "'0'"])
def test_a_name_of_the_file_is_never_taken_for_a_part_of_the_schema(name: str) -> None:
    entry, where = read_trigger(f"{{pipeline: p, datasets: {{{name}: {{}}}}, tags: {{{name}: 5}}}}")
    key = name.strip("'")
    assert entry.datasets == {key: DatastorePathEntry(datastore=None, path=None)}
    assert entry.tags == {}
    assert sorted(where) == [f"datasets.{key}.datastore", f"datasets.{key}.path", f"tags.{key}"]


@pytest.mark.parametrize("name", ["'[key]'", "<dataset>", "<text>", "'0'"])
def test_an_unknown_key_may_have_any_name(name: str) -> None:
    entry, where = read_trigger(f"{{pipeline: p, {name}: 1, blob: {{datastore: ds, {name}: 1}}}}")
    key = name.strip("'")
    assert entry.blob is not None
    assert sorted(where) == sorted([key, f"blob.{key}"])
