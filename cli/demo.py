"""`dev.py demo`: all three triggers at work on this machine, with a readable account."""

from __future__ import annotations

import json
import signal
import sys

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table

from local import demo as scenario
from local.processes.child import ChildFailed
from local.stack import WaitedTooLong
from local.standins.azurite import AzuriteMissing


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the account as JSON.")
def demo(as_json: bool) -> None:
    """Show all three triggers at work on this machine; exit code 0 only if all is as it must be."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the stack is stopped
    progress = Console(stderr=True)
    try:
        account = scenario.run(say=lambda text: progress.print(text, style="dim", highlight=False))
    except (AzuriteMissing, ChildFailed, WaitedTooLong) as error:
        if as_json:
            click.echo(json.dumps({"ok": False, "complaints": [str(error)]}, indent=2))
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(scenario.to_json(account))
    else:
        _print(account)
    sys.exit(1 if account.complaints else 0)


def _print(account: scenario.Account) -> None:
    console = Console()
    table = Table(title="What happened, and what came of it", box=SIMPLE_HEAD, title_justify="left")
    table.add_column("event", overflow="fold", max_width=34)
    table.add_column("run, or why none", overflow="fold", min_width=40)
    for one in account.planned_events:
        mark = "" if one.as_expected else "[red]✗ [/red]"
        came = f"run {one.run}" if one.run else f"no run: {one.reason}"
        table.add_row(f"{mark}{one.what} [dim]({one.trigger})[/dim]", came)
    console.print(table)
    for run, body in account.bodies.items():
        console.print(f"\nThe workspace received, for run [bold]{run}[/bold]:")
        console.print(Syntax(json.dumps(body, ensure_ascii=False, indent=2), "json"))
    if account.complaints:
        for complaint in account.complaints:
            console.print(f"[red]✗[/red] {complaint}")
    else:
        console.print(
            f"\n[green]✓[/green] {len(account.planned_events)} events, {len(account.bodies)} runs: "
            "as it must be."
        )
