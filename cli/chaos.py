"""`dev.py chaos`: thousands of events among faults and crashes, and whether each started its run exactly once."""

from __future__ import annotations

import json
import random
import sys

import click
from rich.console import Console
from rich.table import Table

from local.chaos.checks import Report
from local.chaos.options import BUGS, ChaosOptions
from local.chaos.run import run
from local.chaos.workers import WorkerStuck
from local.processes.child import ChildFailed
from local.standins.azurite import AzuriteMissing
from local.standins.workspace.search import SearchMode


@click.command()
@click.option("--events", type=click.IntRange(1), default=1000, show_default=True, help="How many.")
@click.option("--seed", type=int, help="What all chance comes from; default: a new one.")
@click.option(
    "--search",
    type=click.Choice([mode.value for mode in SearchMode]),
    default=SearchMode.NORMAL.value,
    show_default=True,
    help="What the workspace's searches see.",
)
@click.option("--bug", type=click.Choice(BUGS), help="Make a deliberate mistake, to see it found.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def chaos(events: int, seed: int | None, search: str, bug: str | None, as_json: bool) -> None:
    """Deliver events among faults and crashes; exit code 0 only if none is lost and none started twice."""
    seed = random.SystemRandom().randrange(1_000_000) if seed is None else seed
    options = ChaosOptions(events=events, seed=seed, search=SearchMode(search), bug=bug)
    progress = Console(stderr=True)
    progress.print(f"{events} events, seed {seed}", style="bold", highlight=False)
    try:
        report = run(options, say=lambda text: progress.print(text, style="dim", highlight=False))
    except (AzuriteMissing, ChildFailed, WorkerStuck) as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=2))
    else:
        _print(report)
    sys.exit(0 if report.ok else 1)


def _print(report: Report) -> None:
    console = Console()
    table = Table(title="Faults, and what became of the events that met them")
    table.add_column("fault", overflow="fold")
    for heading in ("injected", "lost", "doubled"):
        table.add_column(heading, justify="right")
    for row in report.checks.table(report.book):
        bad = row["lost"] or row["doubled"]
        table.add_row(*(str(value) for value in row.values()), style="red" if bad else None)
    table.add_section()
    injected = sum(report.book.injected.values())
    table.add_row("all", str(injected), str(report.lost), str(report.doubled), style="bold")
    console.print(table)
    counts = report.counts
    states = ", ".join(f"{number} {state}" for state, number in report.checks.states.items())
    console.print(
        f"{report.options.events} events in {counts.deliveries} deliveries ({counts.failed} failed and came again), "
        f"{counts.posts} POSTs, {counts.runs} runs, {counts.searches} searches, {counts.ticks} ticks, "
        f"{counts.deaths} workers killed; {states}; {counts.seconds:.0f} s, seed {report.options.seed}"
    )
    for complaint in report.checks.complaints[:20]:
        console.print(f"[red]✗[/red] {complaint}", highlight=False)
    if report.ok:
        console.print(
            "[green]✓[/green] Each event started exactly one run, or is held with a reason."
        )
    else:
        console.print(
            f"[red]✗[/red] {report.lost} lost, {report.doubled} doubled, "
            f"{len(report.checks.complaints)} complaints"
        )
