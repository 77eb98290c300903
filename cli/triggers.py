"""`dev.py triggers`: see what starts what, and switch it."""

from __future__ import annotations

import sys

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from cli.submissions import clear_errors, open_services, print_json
from shared.core.times import print_instant
from shared.operations.triggers import TriggerReport, override, report_trigger, report_triggers
from shared.web.api.views import starts_from, view_trigger

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print for machines.")


@click.group()
def triggers() -> None:
    """See what starts what, and switch triggers on and off.

    Settings are found as for `submissions`. A switch is in effect everywhere within a minute, and what comes while a
    trigger is disabled is not made up for later.
    """


@triggers.command("list")
@AS_JSON
def list_(as_json: bool) -> None:
    """List the triggers, in the order of the file."""
    with clear_errors():
        found = report_triggers(open_services())
    if as_json:
        print_json([view_trigger(one).model_dump(mode="json") for one in found])
        return
    table = Table(title=f"{len(found)} triggers", title_justify="left", box=SIMPLE_HEAD)
    for heading in ("trigger, and what it starts from", "next", "latest"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "next")
    for one in found:
        latest = str(one.latest[0].values["state"]) if one.latest else ""
        coming = print_instant(one.next[0]) if one.next else ""
        told = f"{one.trigger.name}: {starts_from(one.trigger)}\n{_enabled(one)}"
        table.add_row(told, coming, latest)
    Console(file=sys.stdout).print(table)


@triggers.command()
@click.argument("name")
@AS_JSON
def show(name: str, as_json: bool) -> None:
    """Show a trigger: what comes next, and its latest submissions."""
    with clear_errors():
        found = report_trigger(open_services(), name)
    _show(found, as_json=as_json)


@triggers.command()
@click.argument("name")
@AS_JSON
def enable(name: str, as_json: bool) -> None:
    """Enable a trigger, whatever the file says."""
    _switch(name, True, as_json=as_json)


@triggers.command()
@click.argument("name")
@AS_JSON
def disable(name: str, as_json: bool) -> None:
    """Disable a trigger, whatever the file says."""
    _switch(name, False, as_json=as_json)


@triggers.command()
@click.argument("name")
@AS_JSON
def reset(name: str, as_json: bool) -> None:
    """Return a trigger to what the file says."""
    _switch(name, None, as_json=as_json)


def _switch(name: str, enabled: bool | None, *, as_json: bool) -> None:
    with clear_errors():
        found = override(open_services(), name, enabled)
    _show(found, as_json=as_json)


def _show(found: TriggerReport, *, as_json: bool) -> None:
    if as_json:
        print_json(view_trigger(found).model_dump(mode="json"))
        return
    trigger = found.trigger
    click.echo(f"{trigger.name} starts {trigger.pipeline.name} from: {starts_from(trigger)}")
    click.echo(_enabled(found))
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
