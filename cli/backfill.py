"""`dev.py backfill`: start the runs of a schedule's past occurrences."""

from __future__ import annotations

import sys
from collections import Counter
from datetime import datetime

import click
from rich.console import Console
from rich.progress import Progress

from cli.common import AS_JSON, Instant, clear_errors, open_services, print_json, print_table
from shared.core.events import deduplication_key
from shared.core.submissions import ATTENTION
from shared.core.times import print_instant
from shared.engine.services import Services
from shared.operations.backfill import Backfilled, Candidate, Step, preview_backfill, run_backfill

SHOWN = 20
"""How many lines of a long preview are printed at its start and at its end."""


@click.command()
@click.argument("trigger")
@click.option(
    "--from", "since", type=Instant(), required=True, help="The first instant of the range."
)
@click.option("--to", "until", type=Instant(), required=True, help="The last instant of the range.")
@click.option("--yes", is_flag=True, help="Start the runs. Without it, they are only shown.")
@AS_JSON
def backfill(trigger: str, since: datetime, until: datetime, yes: bool, as_json: bool) -> None:
    """Start the runs of TRIGGER's past occurrences.

    Without --yes the command only shows what it would do. A past occurrence keeps its deduplication key, so the command
    leaves submitted occurrences alone, and a repeated backfill starts nothing. It takes over skipped and dead ones.
    It uses the same settings and ledger as `dev.py submissions`.
    """
    with clear_errors():
        services = open_services()
        candidates = preview_backfill(services, trigger, since=since, until=until)
        done = _run(services, candidates) if yes else None
    if as_json:
        print_json(_content(trigger, candidates, done))
    elif done is None:
        _preview(trigger, candidates)
    else:
        _summary(done)
    sys.exit(1 if any(map(_has_failed, done or ())) else 0)


def _has_failed(one: Backfilled) -> bool:
    """Whether an occurrence needs a person's attention. A pending submission does not: the app retries it."""
    return one.submission is None or one.submission.state in ATTENTION


def _run(services: Services, candidates: list[Candidate]) -> list[Backfilled]:
    """Start the runs of the candidates, and show the progress."""
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
    lines = [(print_instant(one.event.time), one.step.value, _state(one)) for one in candidates]
    if len(lines) > 2 * SHOWN:
        lines[SHOWN:-SHOWN] = [("…", "", "")]
    print_table(f"{trigger}: {_counts(candidates)}", ("occurrence", "step", "in the ledger"), lines)
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
            details = one.submission.run_id or one.submission.reason or ""
            click.echo(f"{time} is {one.submission.state}: {details}")
    states = Counter(one.submission.state.value if one.submission else "refused" for one in done)
    counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    click.echo(
        f"{len(done)} occurrences were worked on: {counts}" if done else "nothing was to be started"
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
