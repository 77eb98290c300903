"""The sections of the file: their maps, and the names in them."""

from __future__ import annotations

import pytest
import yaml

from shared.config.problems import Problems
from shared.config.schema.sections import FileEntries, read_sections
from shared.config.yaml_reader import read_document
from tests.unit.config.files import ProblemsOf, only, with_trigger


def read(text: str) -> tuple[FileEntries, list[str]]:
    problems = Problems(read_document(text.encode()))
    entries = read_sections(yaml.safe_load(text), problems)
    return entries, [one.where for one in problems.in_order()]


def test_declared_names_include_maps_with_problems() -> None:
    entries, where = read(
        "datastores: {a: 5, b: {connection: X, container: abc}}\n"
        "pipelines: {p: x, q: {}}\n"
        "triggers: {}\n"
    )
    assert entries.declared_datastores == ("a", "b")
    assert entries.declared_pipelines == ("p", "q")
    assert list(entries.datastores) == ["b"]
    assert list(entries.pipelines) == ["q"]
    assert where == [
        "datastores.a",
        "pipelines.p",
        "pipelines.q.kind",
        "pipelines.q.endpoint",
    ]


@pytest.mark.parametrize("text", ["5", "[a]", "text"])
def test_a_file_that_is_not_a_map_has_no_entries(text: str) -> None:
    assert read(text) == (FileEntries(), ["the file"])


def test_missing_sections_are_reported() -> None:
    entries, where = read("workspace: 5\n")
    assert entries == FileEntries()
    assert sorted(where) == ["pipelines", "triggers", "workspace"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "  t:\n",
            "  T_1:\n",
            "triggers.T_1: found T_1; a name has 1 to 63 characters of a-z, 0-9 and -, and begins with "
            "a letter; write for example new-data",
        ),
        (
            "datastores:",
            "datastore:",
            "datastore: the key datastore is not known (did you mean datastores?); "
            "allowed are workspace, datastores, pipelines, triggers",
        ),
        ("  t:\n", "  s:\n  t:\n", "triggers.s: the key has no value; add one, or remove"),
        ("  t:\n", "  s: x\n  t:\n", "triggers.s: found x; a map is needed (key: value)"),
        ("pipelines:\n", "pipelines: []\nx:\n", "pipelines: found a list; a map is needed"),
    ],
)
def test_a_section_is_checked(problems_of: ProblemsOf, old: str, new: str, message: str) -> None:
    text = with_trigger("http: {}")
    assert old in text
    found = problems_of(text.replace(old, new, 1))
    if new.startswith("pipelines"):
        assert any(f"{one.where}: {one.message}".startswith(message) for one in found)
    else:
        assert message in only(found)


def test_names_of_datastores_are_those_of_azure_ml() -> None:
    entries, where = read(
        "datastores: {My_Store 1: {connection: X, container: abc}}\npipelines: {}\ntriggers: {}\n"
    )
    assert list(entries.datastores) == ["My_Store 1"]
    assert where == []
