"""The JSON Schema and the reference page: never stale, and as strict as the loader."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from cli import reference
from cli.reference import generate, reference_text, schema_text
from shared.config.schema.file import TriggerEntry, TriggersFile
from shared.config.schema.values import ValuesEntry

SCHEMA: dict[str, Any] = json.loads(schema_text())


def test_the_generated_files_are_up_to_date() -> None:
    result = CliRunner().invoke(generate, ["--check"])
    assert result.exit_code == 0, result.output


def test_stale_files_are_reported_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference, "ROOT", tmp_path)
    monkeypatch.setattr(reference, "SCHEMA_FILE", tmp_path / "triggers.schema.json")
    monkeypatch.setattr(reference, "REFERENCE_FILE", tmp_path / "docs" / "page.md")
    monkeypatch.setattr(reference, "HTTP_REFERENCE_FILE", tmp_path / "docs" / "http.md")
    monkeypatch.setattr(reference, "HTTP_FILE", tmp_path / "docs" / "api.http")
    stale = CliRunner().invoke(generate, ["--check"])
    assert stale.exit_code == 1
    assert "stale: triggers.schema.json, " in stale.stderr
    assert not (tmp_path / "triggers.schema.json").exists()
    assert CliRunner().invoke(generate, []).exit_code == 0
    assert CliRunner().invoke(generate, ["--check"]).exit_code == 0
    assert (tmp_path / "docs" / "page.md").read_text() == reference_text()


def nodes(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        return [value, *(node for below in value.values() for node in nodes(below))]
    return [node for below in value for node in nodes(below)] if isinstance(value, list) else []


def test_the_schema_is_of_the_draft_that_editors_know() -> None:
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    for node in nodes(SCHEMA):
        if "$ref" in node:
            assert node["$ref"].removeprefix("#/$defs/") in SCHEMA["$defs"]


def test_every_map_of_the_schema_refuses_unknown_keys() -> None:
    for definition in SCHEMA["$defs"].values():
        assert definition["additionalProperties"] is False
    assert SCHEMA["additionalProperties"] is False
    assert SCHEMA["properties"]["triggers"]["additionalProperties"] is False


def test_choices_may_come_from_settings() -> None:
    run_type = SCHEMA["$defs"]["PipelineEntry"]["properties"]["run_type"]
    enum, setting = run_type["anyOf"]
    assert enum == {"enum": ["HTTP", "SDK", "Schedule", "Portal"]}
    assert re.search(setting["pattern"], "x-${RUN_TYPE}")
    for node in nodes(SCHEMA):
        assert "const" not in node or set(node) == {"const"}, node


def test_frequencies_and_days_may_have_any_case() -> None:
    keys = SCHEMA["$defs"]["ScheduleEntry"]["properties"]
    _, any_case, _ = keys["frequency"]["anyOf"]
    assert re.search(any_case["pattern"], "Minute")
    assert re.search(any_case["pattern"], "WEEK")
    assert not re.search(any_case["pattern"], "year")
    _, any_case, _ = keys["week_days"]["items"]["anyOf"]
    assert re.search(any_case["pattern"], "Monday")


def test_only_http_may_have_no_value() -> None:
    empty = [node for node in nodes(SCHEMA) if {"type": "null"} in node.get("anyOf", [])]
    assert empty == [SCHEMA["$defs"]["TriggerEntry"]["properties"]["http"]]
    assert all(node.get("default", "") is not None for node in nodes(SCHEMA))


def test_a_trigger_has_one_source() -> None:
    assert SCHEMA["$defs"]["TriggerEntry"]["oneOf"] == [
        {"required": ["schedule"]},
        {"required": ["blob"]},
        {"required": ["http"]},
    ]


def test_every_key_is_on_the_page() -> None:
    page = reference_text()
    for name in {**TriggersFile.model_fields, **TriggerEntry.model_fields}:
        assert f"| `{name}` | " in page
    assert page.count("| `experiment` | ") == 2
    assert set(ValuesEntry.model_fields) < set(TriggerEntry.model_fields)


def test_every_example_of_the_page_is_yaml() -> None:
    examples = re.findall(r"```yaml\n(.*?)```", reference_text(), flags=re.DOTALL)
    assert len(examples) == reference_text().count("\n| key | type | default | meaning |")
    for example in examples:
        assert isinstance(yaml.safe_load(example), dict)
