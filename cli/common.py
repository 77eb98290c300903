"""Shared by the commands: settings, the app's parts, options, and the output of results and errors."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from local.settings_file import (
    RUNNING_SETTINGS,
    SAMPLE_FILE,
    SETTINGS_FILE,
    SettingsFileBroken,
    read_values,
)
from shared.app import APP_DIR, build
from shared.core.errors import TriggersError
from shared.core.times import read_instant
from shared.engine.services import Services

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
"""The option of every command that can print its result for machines."""


class Instant(click.ParamType[datetime]):
    """The type of a parameter that is an instant with its UTC offset."""

    name = "instant"

    def convert(
        self,
        value: Any,  # noqa: ANN401 — click's signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> datetime:
        """Return the instant that a text names."""
        if isinstance(value, datetime):
            return value
        try:
            return read_instant(value)
        except ValueError:
            self.fail(
                f"{value!r} is not an instant with its offset; write 2027-03-27T01:30:00Z",
                param,
                ctx,
            )


def local_settings(folder: Path, *, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the settings of an app on a laptop.

    The environment wins over `local.settings.json`, which wins over `local.settings.sample.json`. `dev.py up` replaces
    missing settings with its stand-ins. Here, the values of the sample replace them.

    Args:
        folder: The folder of the settings files.
        environment: The environment of the process.

    Raises:
        SettingsFileBroken: A settings file cannot be read.
    """
    sample, own = (read_values(folder / name) for name in (SAMPLE_FILE, SETTINGS_FILE))
    return {**sample, **own, **environment}


def open_services(folder: Path = APP_DIR) -> Services:
    """Return the parts of the app that `dev.py up` runs, or of an app with this laptop's settings.

    Raises:
        TriggersError: The triggers file or a setting cannot be used.
        SettingsFileBroken: A settings file cannot be read.
    """
    running = folder / RUNNING_SETTINGS
    if running.is_file():
        settings = json.loads(running.read_text(encoding="utf-8"))
        os.environ.update(settings)  # azure-identity reads the environment of the process
    else:
        settings = local_settings(folder, environment=os.environ)
    return build(settings).services


@contextmanager
def clear_errors() -> Iterator[None]:
    """Print the app's own errors as one sentence instead of a traceback, and exit with code 1.

    Raises:
        ClickException: The block raised such an error.
    """
    try:
        yield
    except (TriggersError, SettingsFileBroken) as error:
        raise click.ClickException(str(error)) from error


def print_json(content: Any) -> None:  # noqa: ANN401 — any JSON value
    """Print a value as JSON."""
    click.echo(json.dumps(content, indent=2, ensure_ascii=False))


def print_table(title: str, headings: Iterable[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table. Long cells wrap instead of being cut off."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(file=sys.stdout).print(table)
