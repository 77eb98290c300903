"""A lagging search: it shows older runs, but that says nothing about younger ones."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from local.chaos.options import ChaosOptions
from local.chaos.plan import facts_by_name, triggers_file
from local.standins.identity import IdentityEndpoint
from local.standins.workspace.faults import FaultKind, WorkspaceFault
from local.standins.workspace.runs import Progress
from local.standins.workspace.search import SearchMode, SearchVisibility
from local.standins.workspace.server import WorkspaceStandIn
from local.testing.app import Clock
from local.testing.memory_table import MemoryTable
from shared.app import App, compose
from shared.clients.identity import Tokens
from shared.clients.transport import Transport, host_of
from shared.clients.workspace import WorkspaceClient
from shared.config.load import load_config
from shared.core.events import BlobNotification, HttpEvent
from shared.core.submissions import State, Submission
from shared.operations.submissions import get_submission, start

pytestmark = pytest.mark.large

LAG = timedelta(minutes=40)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as closing:
        yield closing


@pytest.fixture
def workspace(stack: ExitStack, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> WorkspaceStandIn:
    """Return a workspace whose searches lag, on the test's clock."""
    identity = stack.enter_context(IdentityEndpoint())
    for name, value in identity.environment.items():
        monkeypatch.setenv(name, value)
    workspace = WorkspaceStandIn(
        secret=identity.secret,
        clock=clock.now,
        token_clock=lambda: datetime.now(UTC),
        progress=Progress(),
    )
    workspace.search_visibility = SearchVisibility(mode=SearchMode.LAGGING, lag=LAG)
    return stack.enter_context(workspace)


@pytest.fixture
def app(stack: ExitStack, clock: Clock, workspace: WorkspaceStandIn, tmp_path: Path) -> App:
    """Return an app that calls the workspace."""
    file = tmp_path / "triggers.yaml"
    endpoint = workspace.submit_url()
    options = ChaosOptions(events=1)
    file.write_text(triggers_file(options, endpoints=[endpoint]))
    tokens = stack.enter_context(Tokens(os.environ))
    transport = stack.enter_context(
        closing(Transport(tokens, hosts=frozenset({host_of(endpoint)})))
    )
    return compose(
        load_config(file, settings={}),
        table=MemoryTable(),
        read_blob=facts_by_name,
        workspace=WorkspaceClient(transport, tokens=tokens, now=clock.now),
        clock=clock.now,
        monotonic=clock.seconds,
    )


def blob(number: int, clock: Clock) -> BlobNotification:
    path = f"incoming-0/{clock.seconds():.0f}-{number:06}.csv"
    return BlobNotification(trigger="blob-0", container="data", path=path)


def tick_for(app: App, clock: Clock, span: timedelta) -> None:
    """Advance the clock by `span`, with one tick a minute."""
    for _ in range(int(span / timedelta(minutes=1))):
        clock.advance(minutes=1)
        app.tick()


@pytest.mark.parametrize("minutes", [0, 10, 25, 35, 39, 40, 41, 45, 90, 600])
def test_a_run_that_a_lagging_search_cannot_show_yet_is_not_started_again(
    app: App, clock: Clock, workspace: WorkspaceStandIn, minutes: int
) -> None:
    start(app.services, blob(1, clock))
    tick_for(app, clock, timedelta(minutes=minutes))
    workspace.faults.add(WorkspaceFault(fault_kind=FaultKind.DROP, accepted=True))
    lost = start(app.services, blob(2, clock))
    assert isinstance(lost, Submission)
    assert lost.state is State.UNKNOWN
    tick_for(app, clock, timedelta(hours=26))
    assert len(workspace.submitted) == 2
    found = next(run for run in workspace.runs.all() if run.tags["submission"] == f"{lost.id}-1")
    after = get_submission(app.services, lost.id)
    assert after.run_id in {found.id, None}
    assert after.state in {State.FINISHED, State.HELD}


def test_a_run_that_was_not_started_is_sent_again_when_the_search_would_have_shown_it(
    app: App, clock: Clock, workspace: WorkspaceStandIn
) -> None:
    start(app.services, blob(1, clock))
    tick_for(app, clock, timedelta(minutes=45))
    workspace.faults.add(WorkspaceFault(fault_kind=FaultKind.DROP, accepted=False))
    lost = start(app.services, blob(2, clock))
    assert isinstance(lost, Submission)
    tick_for(app, clock, timedelta(minutes=45))
    assert len(workspace.submitted) == 1
    tick_for(app, clock, timedelta(minutes=45))
    assert get_submission(app.services, lost.id).run_id is not None


def run_elsewhere(app: App, clock: Clock) -> None:
    """Start a run of another experiment of the workspace."""
    event = HttpEvent(
        trigger="http-0", time=clock.now(), key=("key", str(clock.now())), body={"day": "monday"}
    )
    start(app.services, event)


@pytest.mark.parametrize("minutes", [0, 4, 20, 39, 41, 300])
def test_a_newer_run_of_another_experiment_never_leads_to_a_second_run(
    app: App, clock: Clock, workspace: WorkspaceStandIn, minutes: int
) -> None:
    workspace.faults.add(WorkspaceFault(fault_kind=FaultKind.DROP, accepted=True))
    lost = start(app.services, blob(1, clock))
    assert isinstance(lost, Submission)
    tick_for(app, clock, timedelta(minutes=minutes))
    run_elsewhere(app, clock)
    tick_for(app, clock, timedelta(hours=3))
    runs = [run for run in workspace.runs.all() if run.tags["submission"].startswith(lost.id)]
    assert len(runs) == 1
    assert get_submission(app.services, lost.id).run_id == runs[0].id


@pytest.mark.parametrize("minutes", [4, 20, 300])
def test_a_newer_run_of_another_experiment_shows_that_none_was_started(
    app: App, clock: Clock, workspace: WorkspaceStandIn, minutes: int
) -> None:
    workspace.faults.add(WorkspaceFault(fault_kind=FaultKind.DROP, accepted=False))
    lost = start(app.services, blob(1, clock))
    assert isinstance(lost, Submission)
    tick_for(app, clock, timedelta(minutes=minutes))
    run_elsewhere(app, clock)
    tick_for(app, clock, timedelta(minutes=38))
    assert get_submission(app.services, lost.id).state is State.UNKNOWN
    tick_for(app, clock, timedelta(hours=2))
    runs = [run for run in workspace.runs.all() if run.tags["submission"].startswith(lost.id)]
    assert len(runs) == 1
