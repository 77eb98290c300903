"""`generate`: writes what is made of models: the JSON Schema, the reference pages, and a request to each route."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
import yaml
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema

from cli.openapi import http_file_text, http_reference_text
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
from shared.config.schema.values import DatasetEntry, Entry, PlaceEntry
from shared.config.templates.names import NAMES
from shared.core.events import Source

ROOT = Path(__file__).resolve().parent.parent
SCHEMA_FILE = ROOT / "triggers.schema.json"
REFERENCE_FILE = ROOT / "docs" / "reference" / "triggers-yaml.md"
HTTP_REFERENCE_FILE = ROOT / "docs" / "reference" / "http-api.md"
HTTP_FILE = ROOT / "docs" / "api.http"

_SETTING_FORM = {"type": "string", "pattern": r"\$\{[^}]+\}"}
"""A text with `${NAME}` in it: what it will be is not known yet."""

_SECTIONS: tuple[type[Entry], ...] = (
    TriggersFile,
    WorkspaceEntry,
    DatastoreEntry,
    PipelineEntry,
    TriggerEntry,
    ScheduleEntry,
    BlobEntry,
    HttpEntry,
    PlaceEntry,
    DatasetEntry,
)


_WHOLE = {
    "datastores": {
        "workspaceblobstore": {
            "connection": "DataStorage",
            "container": "azureml-blobstore-0a1b",
        }
    },
    "pipelines": {
        "scoring": {
            "kind": "published_pipeline",
            "endpoint": "${SCORING_ENDPOINT}",
            "experiment": "MyRestPipeline",
        }
    },
    "triggers": {
        "new-data": {
            "pipeline": "scoring",
            "blob": {"datastore": "workspaceblobstore", "path": "incoming"},
            "data_paths": {"input_datapath": "{{ blob.path }}"},
        }
    },
}
"""The example of the whole file."""


def schema_text() -> str:
    """Return the JSON Schema (2020-12) that editors use for `triggers.yaml`."""
    schema = _for_editors(TriggersFile.model_json_schema())
    http = schema["$defs"]["TriggerEntry"]["properties"]["http"]
    # An empty `http:` is the one key that may have no value.
    schema["$defs"]["TriggerEntry"]["properties"]["http"] = {
        "anyOf": [{key: http.pop(key) for key in ("$ref",)}, {"type": "null"}],
        **http,
    }
    keys = schema["$defs"]["ScheduleEntry"]["properties"]
    for choice in (keys["frequency"], keys["week_days"]["items"]):
        # Any case will do: `[Mm][Ii]…`, because patterns of JSON Schema have no flags.
        names = choice["anyOf"][0]["enum"]
        any_case = ["".join(f"[{letter.upper()}{letter}]" for letter in name) for name in names]
        choice["anyOf"].insert(1, {"type": "string", "pattern": f"^({'|'.join(any_case)})$"})
    schema["$defs"]["TriggerEntry"]["oneOf"] = [{"required": [source.value]} for source in Source]
    content = {
        "$schema": GenerateJsonSchema.schema_dialect,
        **schema,
        "title": "triggers.yaml",
        "description": "What starts what: see docs/reference/triggers-yaml.md.",
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _for_editors(node: Any) -> Any:  # noqa: ANN401 - any part of a schema
    """Return a part of pydantic's schema as the file is checked: no null, settings in any text."""
    if isinstance(node, list):
        return [_for_editors(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: _for_editors(value) for key, value in node.items() if key != "title"}
    if "default" in node and node["default"] is None:
        del node["default"]
    if "anyOf" in node:
        kept = [one for one in node["anyOf"] if one != {"type": "null"}]
        if len(kept) == 1:
            del node["anyOf"]
            node = {**kept[0], **node}
        else:
            node["anyOf"] = kept
    if "patternProperties" in node:
        node["additionalProperties"] = False
    choices = {key: node.pop(key) for key in ("enum", "const") if key in node}
    if choices:
        node.pop("type", None)
        node["anyOf"] = [choices, _SETTING_FORM]
    return node


def reference_text() -> str:
    """Return the reference page of `triggers.yaml`, as Markdown."""
    parts = [
        "# triggers.yaml\n\n"
        "<!-- Made by `python3 dev.py generate` from shared/config_schema.py; do not edit. -->\n\n"
        "What starts what. `python3 dev.py check` says what is wrong with a file, all mistakes at "
        "once; the first line\n`# yaml-language-server: $schema=./triggers.schema.json` gives "
        "editors completion and hints.\n\n"
        "- Unknown and duplicate keys are mistakes, and so is a key without a value.\n"
        "- The file is YAML 1.2: `off`, `12:30` and `2027-01-01` are text.\n"
        "- `${NAME}` in any text takes the app setting NAME; `$${` is a literal `${`. Settings "
        "whose names end in KEY, SECRET,\n  PASSWORD, TOKEN or CONNECTION are refused in what "
        "is sent to Azure ML.\n"
        "- A trigger's `parameters`, `data_paths`, `datasets`, `tags` and `properties` are merged "
        "with its pipeline's by name;\n  the trigger wins, also in all other keys that both have.\n",
        _templates(),
    ]
    parts += [_section(model) for model in _SECTIONS]
    return "\n".join(parts)


def _templates() -> str:
    """Return the section on templates."""
    rows = [
        f"| `{source.value}` | {', '.join(f'`{name}`' for name in NAMES[source])} |\n"
        for source in Source
    ]
    return (
        "## Templates\n\n"
        "Where a key says *a template*, `{{ expression }}` is filled in for each event. A value "
        "that is exactly one expression\nkeeps its type. A name that the event does not have "
        'fails the event, unless `| default("…")` follows. Instants are\nprinted as '
        "`2027-03-27T01:30:00Z`; `{{ event.time | date }}` gives `2027-03-27`, and "
        '`date("%Y/%m")` any other form.\n\n'
        "| source | names |\n| --- | --- |\n" + "".join(rows)
    )


def _section(model: type[Entry]) -> str:
    """Return the section of one mapping."""
    title = model.title if "<" not in model.title else f"`{model.title}`"
    text = f"## {title}\n\n{model.__doc__}\n\n"
    text += "| key | type | default | meaning |\n| --- | --- | --- | --- |\n"
    schema = _for_editors(model.model_json_schema())
    example: dict[str, Any] = {}
    fields = sorted(model.model_fields.items(), key=lambda item: not item[1].is_required())
    for field_name, field in fields:
        name = field.alias or field_name
        kind = _kind(schema["properties"][name])
        meaning = (field.description or "").replace("|", "\\|")
        text += f"| `{name}` | {kind} | {_default(field)} | {meaning} |\n"
        if _in_example(model, name) and field.examples:
            example[name] = field.examples[0]
    if model is TriggersFile:
        example = _WHOLE
    lines = yaml.safe_dump(example, sort_keys=False, allow_unicode=True, width=88)
    return f"{text}\n```yaml\n{lines}```\n"


def _in_example(model: type[Entry], name: str) -> bool:
    """Whether a key belongs in its mapping's example: not beside what excludes it."""
    if model is TriggerEntry:
        return name in ("pipeline", "blob", "data_paths", "description")
    if model is PipelineEntry:
        return name not in ("data_paths", "datasets")
    if model is ScheduleEntry:
        return name in ("frequency", "interval", "time_of_day", "time_zone", "except", "catch_up")
    return (model, name) != (DatasetEntry, "id")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "*required*"
    value = field.get_default(call_default_factory=True, validated_data={})
    if value in (None, {}, []):
        return ""
    return f"`{json.dumps(value)}`" if isinstance(value, bool | int) else f'`"{value}"`'


_KINDS = {"string": "text", "boolean": "`true` or `false`", "object": "map"}


def _kind(schema: dict[str, Any]) -> str:
    """Say in words what a schema allows."""
    for union in ("anyOf", "oneOf"):
        if union in schema:
            kinds = [_kind(one) for one in schema[union] if one != _SETTING_FORM]
            return " or ".join(dict.fromkeys(kinds))
    if "$ref" in schema:
        return "map"
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return ", ".join(f"`{value}`" for value in values)
    kind = schema["type"]
    if isinstance(kind, list):
        return ", ".join(_KINDS.get(one, str(one)) for one in kind)
    if kind == "array":
        return f"list of {_kind(schema['items'])}"
    if kind == "integer":
        return f"whole number, {schema['minimum']} to {schema['maximum']}"
    if kind == "object":
        named = [*schema.get("patternProperties", {}).values(), schema.get("additionalProperties")]
        return f"map of {_kind(named[0])}"
    return _KINDS[kind]


def stale_files() -> list[Path]:
    """Return the generated files that are not what they should be."""
    return [
        file
        for file, text in _contents().items()
        if not file.is_file() or file.read_text(encoding="utf-8") != text
    ]


def _contents() -> dict[Path, str]:
    return {
        SCHEMA_FILE: schema_text(),
        REFERENCE_FILE: reference_text(),
        HTTP_REFERENCE_FILE: http_reference_text(),
        HTTP_FILE: http_file_text(),
    }


@click.command()
@click.option("--check", "only_check", is_flag=True, help="Write nothing; exit code 1 when stale.")
def generate(only_check: bool) -> None:
    """Write triggers.schema.json, the pages of docs/reference/ that are made of models, and docs/api.http."""
    stale = stale_files()
    names = ", ".join(str(file.relative_to(ROOT)) for file in stale)
    if only_check and stale:
        click.echo(f"stale: {names}; write them with: python3 dev.py generate", err=True)
        sys.exit(1)
    for file in stale:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_contents()[file], encoding="utf-8")
    click.echo(f"written: {names}" if stale else "nothing to write: all up to date")
