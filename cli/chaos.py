"""`dev.py chaos`: deliver events while faults and crashes are injected, and check that each starts exactly one run."""

from __future__ import annotations

import random
import sys

import click
from rich.console import Console
from rich.table import Table

from cli.common import AS_JSON, print_json
from local.chaos.checks import Report
from local.chaos.options import DEFECTS, ChaosOptions
from local.chaos.run import run
from local.chaos.workers import WorkerStuck
from local.processes.child import ChildFailed
from local.standins.azurite import AzuriteMissing
from local.standins.workspace.search import SearchMode

MAX_SHOWN = 20
"""How many problems are printed. The JSON report lists more."""


@click.command()
@click.option(
    "--events",
    type=click.IntRange(1),
    default=1000,
    show_default=True,
    help="How many events to deliver.",
)
@click.option("--seed", type=int, help="The seed of all random decisions. Default: a new one.")
@click.option(
    "--search",
    type=click.Choice([mode.value for mode in SearchMode]),
    default=SearchMode.NORMAL.value,
    show_default=True,
    help="Which runs the workspace's searches show.",
)
@click.option(
    "--defect",
    type=click.Choice(DEFECTS),
    help="Run with a deliberate defect, to see that the checks detect it.",
)
@AS_JSON
def chaos(events: int, seed: int | None, search: str, defect: str | None, as_json: bool) -> None:
    """Deliver events while faults and crashes are injected, and check the result.

    The exit code is 0 only if each event started exactly one run, or is held with a reason.
    """
    seed = random.SystemRandom().randrange(1_000_000) if seed is None else seed
    options = ChaosOptions(events=events, seed=seed, search=SearchMode(search), defect=defect)
    progress = Console(stderr=True)
    progress.print(f"{events} events, seed {seed}", style="bold", highlight=False)
    try:
        report = run(options, say=lambda text: progress.print(text, style="dim", highlight=False))
    except (AzuriteMissing, ChildFailed, WorkerStuck) as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        print_json(report.to_json())
    else:
        _print(report)
    sys.exit(0 if report.ok else 1)


def _print(report: Report) -> None:
    console = Console()
    table = Table(title="Injected faults, and the events that were lost or doubled with them")
    table.add_column("fault", overflow="fold")
    for heading in ("injected", "lost", "doubled"):
        table.add_column(heading, justify="right")
    for row in report.checks.fault_table(report.fault_log):
        bad = row["lost"] or row["doubled"]
        table.add_row(*(str(value) for value in row.values()), style="red" if bad else None)
    table.add_section()
    injected = report.fault_log.injected.total()
    table.add_row("all", str(injected), str(report.lost), str(report.doubled), style="bold")
    console.print(table)
    counts = report.counts
    states = ", ".join(f"{number} {state}" for state, number in report.checks.states.items())
    console.print(
        f"{report.options.events} events in {counts.deliveries} deliveries ({counts.failed} failed and were repeated), "
        f"{counts.posts} POSTs, {counts.runs} runs, {counts.searches} searches, {counts.ticks} ticks, "
        f"{counts.crashes} workers killed; {states}; {counts.seconds:.0f} s, seed {report.options.seed}"
    )
    for problem in report.checks.problems[:MAX_SHOWN]:
        console.print(f"[red]✗[/red] {problem}", highlight=False)
    if report.ok:
        console.print(
            "[green]✓[/green] Each event started exactly one run, or is held with a reason."
        )
    else:
        console.print(
            f"[red]✗[/red] {report.lost} lost, {report.doubled} doubled, "
            f"{len(report.checks.problems)} other problems"
        )
