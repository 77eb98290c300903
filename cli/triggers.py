"""`dev.py triggers`: list the triggers, and enable or disable them."""

from __future__ import annotations

import sys

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from cli.common import AS_JSON, clear_errors, open_services, print_json
from shared.core.times import print_instant
from shared.operations.triggers import TriggerReport, override, report_trigger, report_triggers
from shared.web.api.views import starts_from, view_trigger


@click.group()
def triggers() -> None:
    """List the triggers, and enable or disable them.

    The commands use the same settings as `submissions`. A change takes effect on all instances within a minute. The
    app does not catch up later on events that come while a trigger is disabled.
    """


@triggers.command("list")
@AS_JSON
def list_(as_json: bool) -> None:
    """List the triggers in the order of the file."""
    with clear_errors():
        found = report_triggers(open_services())
    if as_json:
        print_json([view_trigger(one).model_dump(mode="json") for one in found])
        return
    table = Table(title=f"{len(found)} triggers", title_justify="left", box=SIMPLE_HEAD)
    for heading in ("trigger and source", "next", "latest"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "next")
    for one in found:
        latest = str(one.latest[0].values["state"]) if one.latest else ""
        coming = print_instant(one.next[0]) if one.next else ""
        description = f"{one.trigger.name}: {starts_from(one.trigger)}\n{_enabled(one)}"
        table.add_row(description, coming, latest)
    Console(file=sys.stdout).print(table)


@triggers.command()
@click.argument("name")
@AS_JSON
def show(name: str, as_json: bool) -> None:
    """Show a trigger, its next occurrences and its latest submissions."""
    with clear_errors():
        found = report_trigger(open_services(), name)
    _show(found, as_json=as_json)


@triggers.command()
@click.argument("name")
@AS_JSON
def enable(name: str, as_json: bool) -> None:
    """Enable a trigger, even if the file disables it."""
    _override(name, True, as_json=as_json)


@triggers.command()
@click.argument("name")
@AS_JSON
def disable(name: str, as_json: bool) -> None:
    """Disable a trigger, even if the file enables it."""
    _override(name, False, as_json=as_json)


@triggers.command()
@click.argument("name")
@AS_JSON
def reset(name: str, as_json: bool) -> None:
    """Enable or disable a trigger as the file says."""
    _override(name, None, as_json=as_json)


def _override(name: str, enabled: bool | None, *, as_json: bool) -> None:
    with clear_errors():
        found = override(open_services(), name, enabled)
    _show(found, as_json=as_json)


def _show(found: TriggerReport, *, as_json: bool) -> None:
    if as_json:
        print_json(view_trigger(found).model_dump(mode="json"))
        return
    trigger = found.trigger
    click.echo(f"{trigger.name} starts {trigger.pipeline.name} from: {starts_from(trigger)}")
    click.echo(found.state.error or _enabled(found))
    for time in found.next:
        click.echo(f"next: {print_instant(time)}")
    for row in found.latest:
        identifier = row.key.rpartition(":")[2]
        created, state = str(row.values["created"]), str(row.values["state"])
        click.echo(f"{created}  {identifier} is {state}")


def _enabled(found: TriggerReport) -> str:
    word = "enabled" if found.enabled else "disabled"
    whose = "by the file" if found.state.enabled is None else "by a person"
    who = f" ({found.state.overridden_by})" if found.state.overridden_by else ""
    return f"{word} {whose}{who} since {print_instant(found.since.replace(microsecond=0))}"
