"""`dev.py submissions`: list submissions, and decide about those that need a person."""

from __future__ import annotations

import sys
from collections.abc import Callable

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from cli.common import AS_JSON, clear_errors, open_services, print_json
from shared.core.errors import TriggersError
from shared.core.submissions import State, Submission
from shared.core.times import print_instant
from shared.engine.services import Services
from shared.operations import submissions as decisions
from shared.operations.listing import SubmissionFilter, list_submissions
from shared.web.api.views import view_submission

STATES = click.Choice([state.value for state in State])


@click.group()
def submissions() -> None:
    """List submissions, and decide about those that need a person.

    While `dev.py up` runs, the commands use its ledger. Otherwise settings come from the environment, then from
    local.settings.json. If the storage connection of a deployed app is there, the commands use that app's ledger.
    """


@submissions.command("list")
@click.option("--trigger", help="Only submissions of this trigger.")
@click.option("--state", type=STATES, help="Only submissions in this state.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@AS_JSON
def list_(trigger: str | None, state: str | None, limit: int, as_json: bool) -> None:
    """List submissions, newest first."""
    with clear_errors():
        services = open_services()
        wanted = State(state) if state else None
        found = _first(services, trigger=trigger, state=wanted, limit=limit)
    if as_json:
        print_json([view_submission(one, services.config.workspace) for one in found])
        return
    table = Table(title=f"{len(found)} submissions", title_justify="left", box=SIMPLE_HEAD)
    for heading in ("created", "trigger", "state", "submission and outcome"):
        table.add_column(
            heading,
            overflow="fold",
            no_wrap=heading in {"created", "state"},
            min_width=40 if heading.startswith("submission") else None,
        )
    for one in found:
        created = print_instant(one.created.replace(microsecond=0))
        table.add_row(created, one.trigger, one.state, f"{one.id}\n{_outcome(one)}")
    Console(file=sys.stdout).print(table)


@submissions.command()
@click.argument("submission_id", metavar="ID")
@AS_JSON
def show(submission_id: str, as_json: bool) -> None:
    """Show a submission: its event, body, attempts and run."""
    with clear_errors():
        services = open_services()
        found = decisions.get_submission(services, submission_id)
    _show(services, [found], as_json=as_json, whole=True)


@submissions.command()
@click.argument("submission_id", metavar="ID", required=False)
@click.option("--trigger", help="All dead and held submissions of this trigger.")
@click.option("--confirm", is_flag=True, help="Replay even if a run may exist already.")
@AS_JSON
def replay(submission_id: str | None, trigger: str | None, confirm: bool, as_json: bool) -> None:
    """Start a new run for a submission.

    With --trigger, start new runs for all dead and held submissions of a trigger.
    """
    _decide(
        submission_id,
        trigger,
        lambda services, one: decisions.replay(services, one, confirmed=confirm),
        as_json=as_json,
    )


@submissions.command()
@click.argument("submission_id", metavar="ID", required=False)
@click.option("--trigger", help="All dead and held submissions of this trigger.")
@AS_JSON
def drop(submission_id: str | None, trigger: str | None, as_json: bool) -> None:
    """Skip a dead or held submission.

    The app starts no run for it any more. A run that has started goes on. With --trigger, skip all of a trigger.
    """
    _decide(
        submission_id, trigger, lambda services, one: decisions.drop(services, one), as_json=as_json
    )


@submissions.command()
@click.argument("submission_id", metavar="ID")
@AS_JSON
def resume(submission_id: str, as_json: bool) -> None:
    """Poll the run of a held submission again."""
    _decide(
        submission_id, None, lambda services, one: decisions.resume(services, one), as_json=as_json
    )


@submissions.command()
@click.argument("submission_id", metavar="ID")
@AS_JSON
def cancel(submission_id: str, as_json: bool) -> None:
    """Cancel a submission's run."""
    _decide(
        submission_id, None, lambda services, one: decisions.cancel(services, one), as_json=as_json
    )


def _decide(
    submission_id: str | None,
    trigger: str | None,
    decision: Callable[[Services, str], Submission],
    *,
    as_json: bool,
) -> None:
    """Apply `decision` to one submission, or to each dead and held submission of a trigger, and print the results."""
    if (submission_id is None) == (trigger is None):
        raise click.UsageError("give either a submission's ID or --trigger NAME")
    done: list[Submission] = []
    refusals: list[str] = []
    with clear_errors():
        services = open_services()
        for identifier in [submission_id] if submission_id else _undecided(services, trigger):
            try:
                done.append(decision(services, identifier))
            except TriggersError as error:
                refusals.append(f"{identifier}: {error}")
    _show(services, done, as_json=as_json)
    for refusal in refusals:
        click.secho(refusal, fg="red", err=True)
    sys.exit(1 if refusals else 0)


def _undecided(services: Services, trigger: str | None) -> list[str]:
    return [
        one.id
        for state in (State.DEAD, State.HELD)
        for one in _first(services, trigger=trigger, state=state, limit=None)
    ]


def _first(
    services: Services, *, trigger: str | None, state: State | None, limit: int | None
) -> list[Submission]:
    """Return the newest submissions up to `limit`, or all if it is None."""
    found: list[Submission] = []
    cursor: str | None = None
    while limit is None or len(found) < limit:
        wanted = SubmissionFilter(trigger=trigger, state=state)
        page = list_submissions(services.ledger, wanted, limit=100, cursor=cursor)
        found += page.submissions
        cursor = page.cursor
        if cursor is None:
            break
    return found[:limit]


def _outcome(one: Submission) -> str:
    run = f"run {one.run_id} ({one.run_status})" if one.run_id else ""
    return ": ".join(part for part in (run, one.reason or "") if part)


def _show(
    services: Services, found: list[Submission], *, as_json: bool, whole: bool = False
) -> None:
    workspace = services.config.workspace
    if as_json:
        views = [view_submission(one, workspace) for one in found]
        print_json(views[0] if whole else views)
        return
    for one in found:
        if whole:
            print_json(view_submission(one, workspace))
        click.echo(f"{one.id} of {one.trigger} is {one.state}: {_outcome(one)}")
