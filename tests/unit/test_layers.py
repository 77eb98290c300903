"""Imports only go down the layers of the design, and the app never imports what is not deployed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAYERS = [
    {
        "errors",
        "durations",
        "events",
        "transitions",
        "people",
        "submissions",
        "outcomes",
        "runs",
        "redaction",
    },
    {
        *("config", "config_document", "config_entries", "config_file", "config_problems"),
        *("config_rules", "config_schema", "config_schema_values", "config_settings"),
        *("config_sources", "config_values", "matching", "rendering"),
        *("templates", "template_engine", "template_names", "template_syntax"),
        *("schedules", "cron", "recurrence"),
    },
    {
        "settings",
        "identity",
        "transport",
        "connections",
        "service_json",
        "run_records",
        "answers",
        "blobs",
        "ledger",
        "pipelines",
        "workspace_client",
    },
    {"accepting", "sending", "tick", "operations", "occurrences", "due", "following", "searching"},
    {"http_api"},
    {"app"},
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
MODULES = sorted((ROOT / "shared").rglob("*.py"))


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def unit(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "shared" and len(parts) > 1 else None


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_module_imports_only_from_its_own_layer_and_below(file: Path) -> None:
    own = unit(".".join(file.relative_to(ROOT).with_suffix("").parts))
    if own in (None, "__init__"):
        return
    for name in imports(file):
        other = unit(name)
        if other is not None and other in RANK:
            assert RANK[other] <= RANK[own or ""], f"{own} imports {name}"


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_module_has_a_layer_and_stays_small(file: Path) -> None:
    parts = file.relative_to(ROOT / "shared").with_suffix("").parts
    assert parts[0] == "__init__" or parts[0] in RANK
    assert len(file.read_text().splitlines()) <= 450


def test_the_app_imports_nothing_that_is_not_deployed() -> None:
    entries = [ROOT / "function_app.py", *ROOT.glob("*_trigger/*.py"), *MODULES]
    names = {name.partition(".")[0] for file in entries for name in imports(file)}
    assert not names & {"cli", "local", "tests", "bench", "dev", "click", "rich", "aiohttp"}


@pytest.mark.parametrize("name", ["timer_trigger", "blob_trigger", "http_trigger"])
def test_entry_points_only_decode_call_and_encode(name: str) -> None:
    assert len((ROOT / name / "__init__.py").read_text().splitlines()) <= 60
