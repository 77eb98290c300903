"""Runs are searched, polled and cancelled, in the strict stand-in over real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import pytest

from local.standins.identity import IdentityEndpoint
from local.standins.workspace.faults import FaultKind, WorkspaceFault, WorkspaceRoute
from local.standins.workspace.runs import EnumStyle, RunStatus
from local.standins.workspace.search import SearchMode, SearchVisibility
from local.standins.workspace.server import WorkspaceStandIn
from shared.clients.identity import Tokens
from shared.clients.transport import Transport, host_of
from shared.clients.workspace import WorkspaceClient
from shared.config.model import Pipeline
from shared.core.errors import WorkspaceUnavailable
from shared.core.runs import RunGone
from shared.pipelines.published_pipeline import PublishedPipeline
from shared.pipelines.values import RunValues
from tests.unit.clients.doubles import SCOPE

EXPERIMENT = "My experiment/with ü"


class Harness:
    """A workspace, and a client of it with a token."""

    def __init__(self, workspace: WorkspaceStandIn, client: WorkspaceClient) -> None:
        self.workspace = workspace
        self.client = client
        self.pipeline = Pipeline(
            name="p",
            kind="published_pipeline",
            endpoint=workspace.submit_url(),
            scope=SCOPE,
        )

    def start(self, correlation_id: str) -> str:
        body = PublishedPipeline().build_body(
            RunValues(experiment=EXPERIMENT), correlation_id=correlation_id
        )
        run_id = self.client.submit(self.pipeline, body).run_id
        assert run_id is not None
        return run_id

    def search(self, correlation_id: str, reference: str | None = "n-1") -> tuple[list[str], bool]:
        found = self.client.search(
            self.pipeline, experiment=EXPERIMENT, correlation_id=correlation_id, reference=reference
        )
        return [run.id for run in found.runs], found.saw_reference


@pytest.fixture(params=list(EnumStyle))
def harness(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Harness]:
    with (
        IdentityEndpoint() as identity,
        WorkspaceStandIn(secret=identity.secret, enum_style=request.param) as workspace,
    ):
        for name, value in identity.environment.items():
            monkeypatch.setenv(name, value)
        tokens = Tokens(identity.environment)
        hosts = frozenset({host_of(workspace.url)})
        with closing(Transport(tokens, hosts=hosts)) as transport:
            yield Harness(workspace, WorkspaceClient(transport, tokens=tokens))
        tokens.close()


def test_a_run_is_found_by_its_correlation_id(harness: Harness) -> None:
    harness.start("n-1")
    run_id = harness.start("x-1")
    assert harness.search("x-1") == ([run_id], False)


def test_all_runs_with_one_correlation_id_are_found(harness: Harness) -> None:
    runs = {harness.start("x-1") for _ in range(3)}
    found, _ = harness.search("x-1")
    assert set(found) == runs


def test_a_search_that_sees_the_reference_run_and_not_the_run_is_conclusive(
    harness: Harness,
) -> None:
    harness.start("n-1")
    assert harness.search("x-1") == ([], True)


def test_without_a_reference_run_no_search_is_conclusive(harness: Harness) -> None:
    harness.start("n-1")
    assert harness.search("x-1", reference=None) == ([], False)
    assert harness.search("x-1", reference="unknown-1") == ([], False)


@pytest.mark.parametrize(
    "visibility",
    [
        SearchVisibility(mode=SearchMode.BLIND),
        SearchVisibility(mode=SearchMode.LAGGING, lag=timedelta(minutes=40)),
        SearchVisibility(mode=SearchMode.OTHER_EXPERIMENTS),
    ],
)
def test_a_search_that_misses_the_reference_run_is_not_conclusive(
    harness: Harness, visibility: SearchVisibility
) -> None:
    harness.start("n-1")
    harness.start("x-1")
    harness.workspace.search_visibility = visibility
    assert harness.search("x-1") == ([], False)


@pytest.mark.parametrize(
    "fault",
    [
        WorkspaceFault(route=WorkspaceRoute.SEARCH, status=500),
        WorkspaceFault(route=WorkspaceRoute.SEARCH, status=429, headers={"Retry-After": "1"}),
        WorkspaceFault(route=WorkspaceRoute.SEARCH, status=200, body="<html>"),
        WorkspaceFault(route=WorkspaceRoute.SEARCH, fault_kind=FaultKind.DROP),
        WorkspaceFault(route=WorkspaceRoute.SEARCH, fault_kind=FaultKind.TRUNCATE),
    ],
)
def test_a_search_that_fails_is_not_conclusive(harness: Harness, fault: WorkspaceFault) -> None:
    harness.start("n-1")
    harness.start("x-1")
    harness.workspace.faults.add(*[fault] * 3)
    assert harness.search("x-1") == ([], False)


def test_if_run_history_fails_the_pipelines_own_list_is_searched(harness: Harness) -> None:
    harness.start("n-1")
    run_id = harness.start("x-1")
    harness.workspace.faults.add(WorkspaceFault(route=WorkspaceRoute.SEARCH, status=404))
    assert harness.search("x-1") == ([run_id], False)


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (RunStatus.NOT_STARTED, "NotStarted"),
        (RunStatus.RUNNING, "Running"),
        (RunStatus.FINISHED, "Finished"),
        (RunStatus.FAILED, "Failed"),
        (RunStatus.CANCELED, "Canceled"),
    ],
)
def test_a_runs_status_is_read_in_every_style(
    harness: Harness, status: RunStatus, word: str
) -> None:
    run_id = harness.start("x-1")
    harness.workspace.runs.advance(run_id, to=status)
    run = harness.client.status(harness.pipeline, run_id)
    assert (run.id, run.status) == (run_id, word)
    assert run.final == status.is_final


def test_a_run_that_is_not_there_is_gone(harness: Harness) -> None:
    with pytest.raises(RunGone):
        harness.client.status(harness.pipeline, "no-such-run")
    with pytest.raises(RunGone):
        harness.client.cancel(harness.pipeline, "no-such-run")


@pytest.mark.parametrize(
    "fault",
    [
        WorkspaceFault(route=WorkspaceRoute.STATUS, status=503),
        WorkspaceFault(route=WorkspaceRoute.STATUS, status=200, body="{}"),
        WorkspaceFault(route=WorkspaceRoute.STATUS, fault_kind=FaultKind.RESET),
    ],
)
def test_a_status_that_does_not_come_is_unavailable(
    harness: Harness, fault: WorkspaceFault
) -> None:
    run_id = harness.start("x-1")
    harness.workspace.faults.add(fault)
    with pytest.raises(WorkspaceUnavailable):
        harness.client.status(harness.pipeline, run_id)


def test_a_run_is_cancelled(harness: Harness) -> None:
    run_id = harness.start("x-1")
    harness.client.cancel(harness.pipeline, run_id)
    assert harness.client.status(harness.pipeline, run_id).status == "Canceled"
