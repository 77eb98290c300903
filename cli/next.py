"""`dev.py next`: what a schedule will do."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from cli.check import local_settings
from local.settings_file import SettingsFileBroken
from shared.config.load import load_config
from shared.config.model import Trigger
from shared.core.errors import NotFound, TriggersError
from shared.core.suggestions import did_you_mean
from shared.core.times import print_instant, read_instant
from shared.core.trigger_state import anchor_of
from shared.operations.triggers import schedule_of
from shared.schedules.upcoming import MAX_COUNT, Outlook, look_ahead


class Instant(click.ParamType[datetime]):
    """An instant with its offset."""

    name = "instant"

    def convert(
        self,
        value: Any,  # noqa: ANN401 — click's signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> datetime:
        """Read an instant."""
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


@click.command()
@click.argument("trigger")
@click.option(
    "--from", "since", type=Instant(), help="From when on, itself included; now by default."
)
@click.option("--count", type=click.IntRange(1, MAX_COUNT), default=5, show_default=True)
@click.option(
    "--registered-at",
    type=Instant(),
    help="When the app first saw the trigger: what a schedule without start_time is counted from. --from by default.",
)
@click.option(
    "--file", type=click.Path(path_type=Path), default=Path("triggers.yaml"), show_default=True
)
@click.option("--json", "as_json", is_flag=True, help="Print for machines.")
def next(  # noqa: A001 — the command's name
    trigger: str,
    since: datetime | None,
    count: int,
    registered_at: datetime | None,
    file: Path,
    as_json: bool,
) -> None:
    """List the next occurrences of TRIGGER's schedule, and what is moved or dropped on the way, and why.

    It reads the file alone: no ledger, and nothing is started.
    """
    begin = since or datetime.now(UTC)
    try:
        settings = local_settings(file.parent, environment=os.environ)
        found = _find(trigger, load_config(file, settings=settings).triggers)
        source = schedule_of(found)
    except (TriggersError, SettingsFileBroken) as error:
        raise click.ClickException(str(error)) from error
    anchor = anchor_of(registered_at or begin)
    outlook = look_ahead(source.schedule, anchor=anchor, since=begin, count=count)
    counted_from = anchor if source.schedule.needs_anchor else None
    if as_json:
        content = {
            "trigger": trigger,
            "from": print_instant(begin),
            "counted_from": print_instant(counted_from) if counted_from else None,
            **outlook.to_json(),
        }
        click.echo(json.dumps(content, indent=2, ensure_ascii=False))
        return
    _print(outlook, title=f"{trigger}: {source.definition}")
    if counted_from:
        click.echo(
            f"counted from {print_instant(counted_from)}: the schedule has no start_time, so the app counts from when "
            "it first sees it (--registered-at)"
        )


def _find(name: str, triggers: Any) -> Trigger:  # noqa: ANN401 — a mapping of triggers
    if name not in triggers:
        raise NotFound(f"there is no trigger {name}{did_you_mean(name, triggers)} in the file")
    found: Trigger = triggers[name]
    return found


def _print(outlook: Outlook, *, title: str) -> None:
    lines = [
        (print_instant(one.time), one.local.isoformat(), one.note or "")
        for one in outlook.occurrences
    ]
    lines += [
        (print_instant(one.time) if one.time else "-", one.local, f"dropped: {one.reason}")
        for one in outlook.dropped
    ]
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    for heading in ("UTC", f"local ({outlook.time_zone})", ""):
        table.add_column(heading, overflow="fold")
    for line in sorted(lines, key=lambda line: line[1]):
        table.add_row(*line)
    Console(file=sys.stdout).print(table)
