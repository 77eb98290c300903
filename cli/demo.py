"""`dev.py demo`: show all three kinds of trigger on this machine, with a readable report."""

from __future__ import annotations

import json
import signal
import sys

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table

from cli.common import AS_JSON, print_json
from local import demo as scenario
from local.processes.child import ChildFailed
from local.stack import WaitedTooLong
from local.standins.azurite import AzuriteMissing


@click.command()
@AS_JSON
def demo(as_json: bool) -> None:
    """Show all three kinds of trigger on this machine.

    The exit code is 0 only if every event had the expected result.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the stack is stopped
    progress = Console(stderr=True)
    try:
        report = scenario.run(say=lambda text: progress.print(text, style="dim", highlight=False))
    except (AzuriteMissing, ChildFailed, WaitedTooLong) as error:
        if as_json:
            print_json({"ok": False, "problems": [str(error)]})
        raise click.ClickException(str(error)) from error
    if as_json:
        print_json(scenario.to_json(report))
    else:
        _print(report)
    sys.exit(1 if report.problems else 0)


def _print(report: scenario.DemoReport) -> None:
    console = Console()
    table = Table(title="Events and their results", box=SIMPLE_HEAD, title_justify="left")
    table.add_column("event", overflow="fold", max_width=34)
    table.add_column("run, or why there is none", overflow="fold", min_width=40)
    for step in report.steps:
        mark = "" if step.as_expected else "[red]✗ [/red]"
        result = f"run {step.run}" if step.run else f"no run: {step.reason}"
        table.add_row(f"{mark}{step.action} [dim]({step.trigger})[/dim]", result)
    console.print(table)
    for run, body in report.bodies.items():
        console.print(f"\nThe workspace received this body for run [bold]{run}[/bold]:")
        console.print(Syntax(json.dumps(body, ensure_ascii=False, indent=2), "json"))
    for problem in report.problems:
        console.print(f"[red]✗[/red] {problem}")
    if not report.problems:
        console.print(
            f"\n[green]✓[/green] {len(report.steps)} events started {len(report.bodies)} runs, as expected."
        )
