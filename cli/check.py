"""`check`: says whether a triggers file can be used, and what it would start."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from local.settings_file import SAMPLE_FILE, SETTINGS_FILE, SettingsFileBroken, read_values
from shared.config.load import load_config
from shared.config.model import Config, Trigger
from shared.config.settings import blob_connection_problem
from shared.core.errors import FileError, Problem
from shared.web.api.views import starts_from


def local_settings(folder: Path, *, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that a laptop's app would have.

    The environment over `local.settings.json` over `local.settings.sample.json`: as `dev.py up` has stand-ins for what
    nobody set, so the sample's values stand for it here.

    Args:
        folder: Where the settings files lie.
        environment: The process's environment.

    Raises:
        SettingsFileBroken: A settings file cannot be read.
    """
    sample, own = (read_values(folder / name) for name in (SAMPLE_FILE, SETTINGS_FILE))
    return {**sample, **own, **environment}


def check_file(path: Path, settings: Mapping[str, str]) -> Config:
    """Load a triggers file as the app would.

    Raises:
        FileError: The file cannot be used; it carries every mistake.
    """
    return load_config(
        path, settings=settings, connection_problem=partial(blob_connection_problem, settings)
    )


def passes(trigger: Trigger) -> str:
    """Say in one line what a trigger's runs get."""
    values = trigger.values
    names = [
        *values.parameters,
        *(f"{name} (data path)" for name in values.data_paths),
        *(f"{name} (dataset)" for name in values.datasets),
    ]
    return ", ".join(names) or "nothing"


def summary(config: Config) -> list[dict[str, str]]:
    """Return one row for each trigger, for people and machines."""
    return [
        {
            "trigger": trigger.name,
            "source": starts_from(trigger),
            "pipeline": trigger.pipeline.name,
            "passes": passes(trigger),
        }
        for trigger in config.triggers.values()
    ]


def report(error: FileError) -> dict[str, Any]:
    """Return the mistakes of a file, for machines."""
    return {
        "file": error.file,
        "ok": False,
        "problems": [
            {
                "where": problem.where,
                "message": problem.message,
                "line": problem.line,
                "column": problem.column,
            }
            for problem in error.problems
        ],
    }


def _settings(folder: Path) -> dict[str, str]:
    try:
        return local_settings(folder, environment=os.environ)
    except SettingsFileBroken as error:
        problem = Problem(where="the settings", message=str(error))
        raise FileError(str(folder / SETTINGS_FILE), [problem]) from error


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--json", "as_json", is_flag=True, help="Print for machines.")
def check(file: Path | None, as_json: bool) -> None:
    """Check FILE (default: what TRIGGERS_FILE names, else triggers.yaml) and say what starts what.

    Settings come from the environment, then from local.settings.json beside FILE, then from
    local.settings.sample.json. Exit code 1 with all mistakes, 0 without any.
    """
    try:
        folder = file.parent if file else Path()
        settings = _settings(folder)
        file = file or Path(settings.get("TRIGGERS_FILE") or "triggers.yaml")
        config = check_file(file, settings)
    except FileError as error:
        if as_json:
            click.echo(json.dumps(report(error), indent=2, ensure_ascii=False))
        else:
            click.echo(str(error), err=True)
        sys.exit(1)
    rows = summary(config)
    if as_json:
        content = {"file": str(file), "ok": True, "triggers": rows}
        click.echo(json.dumps(content, indent=2, ensure_ascii=False))
        return
    table = Table(title=f"{file}: no mistakes, {len(rows)} triggers", title_justify="left")
    for heading in ("trigger", "source", "pipeline", "passes"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*row.values())
    Console(file=sys.stdout).print(table)
