"""`dev.py next`: list the next occurrences of a schedule."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import click

from cli.common import AS_JSON, Instant, clear_errors, local_settings, print_json, print_table
from shared.config.load import load_config
from shared.config.model import Trigger
from shared.core.errors import NotFound
from shared.core.suggestions import did_you_mean
from shared.core.times import print_instant
from shared.core.trigger_state import anchor_of
from shared.operations.triggers import schedule_of
from shared.schedules.upcoming import MAX_COUNT, Outlook, look_ahead


@click.command()
@click.argument("trigger")
@click.option(
    "--from", "since", type=Instant(), help="The first instant of the range. Default: now."
)
@click.option(
    "--count",
    type=click.IntRange(1, MAX_COUNT),
    default=5,
    show_default=True,
    help="How many occurrences to list.",
)
@click.option(
    "--registered-at",
    type=Instant(),
    help="When the app registered the trigger. A schedule without start_time counts from then. Default: --from.",
)
@click.option(
    "--file",
    type=click.Path(path_type=Path),
    default=Path("triggers.yaml"),
    show_default=True,
    help="The triggers file.",
)
@AS_JSON
def next(  # noqa: A001 — the command's name
    trigger: str,
    since: datetime | None,
    count: int,
    registered_at: datetime | None,
    file: Path,
    as_json: bool,
) -> None:
    """List the next occurrences of TRIGGER's schedule, and why occurrences are moved or dropped.

    The command reads only the triggers file. It does not read the ledger, and starts nothing.
    """
    begin = since or datetime.now(UTC)
    with clear_errors():
        settings = local_settings(file.parent, environment=os.environ)
        found = _find(trigger, load_config(file, settings=settings).triggers)
        source = schedule_of(found)
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
        print_json(content)
        return
    _print(outlook, title=f"{trigger}: {source.definition}")
    if counted_from:
        click.echo(
            f"counted from {print_instant(counted_from)}: the schedule has no start_time, so the app counts from the "
            "time at which it registers the trigger (--registered-at)"
        )


def _find(name: str, triggers: Mapping[str, Trigger]) -> Trigger:
    if name not in triggers:
        raise NotFound(f"there is no trigger {name}{did_you_mean(name, triggers)} in the file")
    return triggers[name]


def _print(outlook: Outlook, *, title: str) -> None:
    lines = [
        (print_instant(one.time), one.local.isoformat(), one.note or "")
        for one in outlook.occurrences
    ]
    lines += [
        (print_instant(one.time) if one.time else "-", one.local, f"dropped: {one.reason}")
        for one in outlook.dropped
    ]
    lines.sort(key=lambda line: line[1])
    print_table(title, ("UTC", f"local ({outlook.time_zone})", ""), lines)
