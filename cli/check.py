"""`dev.py check`: check a triggers file, and show which trigger starts which pipeline."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from cli.common import AS_JSON, local_settings, print_json, print_table
from local.settings_file import SETTINGS_FILE, SettingsFileBroken
from shared.config.load import load_config
from shared.config.model import Config, Trigger
from shared.config.settings import blob_connection_problem
from shared.core.errors import FileError, Problem
from shared.web.api.views import starts_from


def check_file(path: Path, settings: Mapping[str, str]) -> Config:
    """Load a triggers file in the same way as the app.

    Raises:
        FileError: The file cannot be used. The error lists all of its problems.
    """
    return load_config(
        path, settings=settings, connection_problem=partial(blob_connection_problem, settings)
    )


def passes(trigger: Trigger) -> str:
    """Return one line with the names of the values that a trigger's runs get."""
    values = trigger.values
    names = [
        *values.parameters,
        *(f"{name} (data path)" for name in values.data_paths),
        *(f"{name} (dataset)" for name in values.datasets),
    ]
    return ", ".join(names) or "nothing"


def summary(config: Config) -> list[dict[str, str]]:
    """Return one row for each trigger."""
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
    """Return the problems of a file as JSON values."""
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
@AS_JSON
def check(file: Path | None, as_json: bool) -> None:
    """Check FILE and show which trigger starts which pipeline.

    The default of FILE is the setting TRIGGERS_FILE, else triggers.yaml. Settings come from the environment, then from
    local.settings.json next to FILE, then from local.settings.sample.json. If the file has errors, the command lists
    all of them and exits with code 1.
    """
    try:
        folder = file.parent if file else Path()
        settings = _settings(folder)
        file = file or Path(settings.get("TRIGGERS_FILE") or "triggers.yaml")
        config = check_file(file, settings)
    except FileError as error:
        if as_json:
            print_json(report(error))
        else:
            click.echo(str(error), err=True)
        sys.exit(1)
    rows = summary(config)
    if as_json:
        print_json({"file": str(file), "ok": True, "triggers": rows})
        return
    print_table(
        f"{file}: no errors, {len(rows)} triggers",
        ("trigger", "source", "pipeline", "passes"),
        (list(row.values()) for row in rows),
    )
