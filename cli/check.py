"""`check`: says whether a triggers file can be used, and what it would start."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from shared.config import Config, Trigger
from shared.config_file import load_config
from shared.errors import FileError, TriggersError
from shared.http_api.views import starts_from
from shared.settings import check_connections

SETTINGS_FILES = ("local.settings.json", "local.settings.sample.json")
"""Where a laptop keeps its settings, beside the triggers file; the first one that exists counts."""


def local_settings(folder: Path, *, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that a laptop's app would have: the environment over the file's `Values`.

    Args:
        folder: Where the triggers file lies.
        environment: The process's environment.

    Raises:
        TriggersError: The settings file cannot be read.
    """
    values: dict[str, str] = {}
    file = next((folder / name for name in SETTINGS_FILES if (folder / name).is_file()), None)
    if file is not None:
        try:
            content = json.loads(file.read_text(encoding="utf-8-sig"))
            values = {name: str(value) for name, value in content.get("Values", {}).items()}
        except (ValueError, AttributeError) as error:
            raise TriggersError(
                f"{file} cannot be read as settings; it must be JSON with a map Values"
            ) from error
    return {**values, **environment}


def check_file(path: Path, settings: Mapping[str, str]) -> Config:
    """Load a triggers file as the app would.

    Raises:
        FileError: The file cannot be used; it carries every mistake.
    """
    config = load_config(path, settings=settings)
    check_connections(config, settings)
    return config


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


@click.command()
@click.argument("file", type=click.Path(path_type=Path), default=Path("triggers.yaml"))
@click.option("--json", "as_json", is_flag=True, help="Print for machines.")
def check(file: Path, as_json: bool) -> None:
    """Check FILE (default: triggers.yaml) and say what starts what.

    Settings come from the environment, then from local.settings.json beside FILE, or from
    local.settings.sample.json when there is none. Exit code 1 with all mistakes, 0 without any.
    """
    try:
        config = check_file(file, local_settings(file.parent, environment=os.environ))
    except FileError as error:
        if as_json:
            click.echo(json.dumps(report(error), indent=2, ensure_ascii=False))
        else:
            click.echo(str(error), err=True)
        sys.exit(1)
    except TriggersError as error:
        raise click.ClickException(str(error)) from error
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
