"""`dev.py backfill`: start the runs of a schedule's past occurrences."""

from __future__ import annotations

import json
import sys
from collections import Counter
from datetime import datetime

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from cli.next import Instant
from cli.submissions import open_services
from local.settings_file import SettingsFileBroken
from shared.core.errors import TriggersError
from shared.core.events import deduplication_key
from shared.core.submissions import ATTENTION
from shared.core.times import print_instant
from shared.engine.services import Services
from shared.operations.backfill import Backfilled, Candidate, Step, preview_backfill, run_backfill

SHOWN = 20
"""Lines of a preview that a person reads at the start and at the end."""


@click.command()
@click.argument("trigger")
@click.option(
    "--from", "since", type=Instant(), required=True, help="The range's start, itself included."
)
@click.option("--to", "until", type=Instant(), required=True, help="Its end, itself included.")
@click.option("--yes", is_flag=True, help="Start them; else they are only shown.")
@click.option("--json", "as_json", is_flag=True, help="Print for machines.")
def backfill(trigger: str, since: datetime, until: datetime, yes: bool, as_json: bool) -> None:
    """Start the runs of TRIGGER's past occurrences.

    First it shows what it would do; with --yes it does it. The ids are those that the occurrences always had, so what
    was submitted already is left alone, and a repeated backfill starts nothing. Skipped and dead ones are taken over.
    Settings and ledger are those of `dev.py submissions`.
    """
    try:
        services = open_services()
        candidates = preview_backfill(services, trigger, since=since, until=until)
        done = _run(services, candidates) if yes else None
    except (TriggersError, SettingsFileBroken) as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps(_content(trigger, candidates, done), indent=2, ensure_ascii=False))
    elif done is None:
        _preview(trigger, candidates)
    else:
        _summary(done)
    sys.exit(1 if any(map(_has_failed, done or ())) else 0)


def _has_failed(one: Backfilled) -> bool:
    """Whether somebody must look at it; what waits for another try is not among those."""
    return one.submission is None or one.submission.state in ATTENTION


def _run(services: Services, candidates: list[Candidate]) -> list[Backfilled]:
    """Start them, and show how far it is."""
    wanted = sum(one.step is not Step.LEAVE for one in candidates)
    done: list[Backfilled] = []
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("submitting", total=wanted)
        for one in run_backfill(services, candidates):
            done.append(one)
            progress.update(task, advance=1, description=print_instant(one.event.time))
    return done


def _counts(candidates: list[Candidate]) -> str:
    steps = Counter(one.step for one in candidates)
    return (
        f"{len(candidates)} occurrences: {steps[Step.START]} to start, {steps[Step.TAKE_OVER]} to take over, "
        f"{steps[Step.LEAVE]} submitted already"
    )


def _preview(trigger: str, candidates: list[Candidate]) -> None:
    table = Table(title=f"{trigger}: {_counts(candidates)}", title_justify="left", box=SIMPLE_HEAD)
    for heading in ("occurrence", "step", "what the ledger has"):
        table.add_column(heading, overflow="fold")
    for place, one in enumerate(candidates):
        if SHOWN <= place < len(candidates) - SHOWN:
            if place == SHOWN:
                table.add_row("…", "", "")
            continue
        table.add_row(print_instant(one.event.time), one.step.value, _state(one))
    Console(file=sys.stdout).print(table)
    if any(one.step is not Step.LEAVE for one in candidates):
        click.echo("nothing was started; repeat the command with --yes")
    else:
        click.echo("there is nothing to start")


def _state(one: Candidate) -> str:
    if one.found is None:
        return "nothing"
    return ": ".join(filter(None, (one.found.state.value, one.found.reason)))


def _summary(done: list[Backfilled]) -> None:
    for one in done:
        time = print_instant(one.event.time)
        if one.submission is None:
            click.secho(f"{time} is refused: {one.refusal}", fg="red", err=True)
        else:
            said = one.submission.run_id or one.submission.reason or ""
            click.echo(f"{time} is {one.submission.state}: {said}")
    states = Counter(one.submission.state.value if one.submission else "refused" for one in done)
    told = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    click.echo(
        f"{len(done)} occurrences were worked on: {told}" if done else "nothing was to be started"
    )


def _content(
    trigger: str, candidates: list[Candidate], done: list[Backfilled] | None
) -> dict[str, object]:
    results = {one.event.time: one for one in done or ()}
    lines = []
    for one in candidates:
        result = results.get(one.event.time)
        now = result.submission if result and result.submission else one.found
        lines.append(
            {
                "time": print_instant(one.event.time),
                "id": deduplication_key(one.event),
                "step": one.step.value,
                "state": now.state.value if now else None,
                "reason": result.refusal
                if result and result.refusal
                else now.reason
                if now
                else None,
                "run": now.run_id if now else None,
            }
        )
    return {"trigger": trigger, "done": done is not None, "occurrences": lines}
