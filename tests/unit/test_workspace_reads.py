"""Looking for runs, asking how they stand and cancelling them, against the strict stand-in over real sockets."""

from __future__ import annotations

from collections.abc import Iterator
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
from shared.core.runs import RunFacts, RunGone
from shared.pipelines.published_pipeline import PublishedPipeline
from shared.pipelines.run_records import read_run, read_runs
from shared.pipelines.values import RunValues

SCOPE = "https://management.azure.com/.default"
EXPERIMENT = "My experiment/with ü"


class House:
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

    def look(self, correlation_id: str, reference: str | None = "n-1") -> tuple[list[str], bool]:
        found = self.client.search(
            self.pipeline, experiment=EXPERIMENT, correlation_id=correlation_id, reference=reference
        )
        return [run.id for run in found.runs], found.saw_reference


@pytest.fixture(params=list(EnumStyle))
def house(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    with (
        IdentityEndpoint() as identity,
        WorkspaceStandIn(secret=identity.secret, enum_style=request.param) as workspace,
    ):
        for name, value in identity.environment.items():
            monkeypatch.setenv(name, value)
        tokens = Tokens(identity.environment)
        hosts = frozenset({host_of(workspace.url)})
        with Transport(tokens, hosts=hosts) as transport:
            yield House(workspace, WorkspaceClient(transport, tokens=tokens))
        tokens.close()


def test_a_run_is_found_by_its_stamp(house: House) -> None:
    house.start("n-1")
    run_id = house.start("x-1")
    assert house.look("x-1") == ([run_id], False)


def test_all_runs_with_one_stamp_are_found(house: House) -> None:
    runs = {house.start("x-1") for _ in range(3)}
    found, _ = house.look("x-1")
    assert set(found) == runs


def test_a_search_that_sees_the_neighbour_and_not_the_run_counts(house: House) -> None:
    house.start("n-1")
    assert house.look("x-1") == ([], True)


def test_without_a_neighbour_no_search_counts(house: House) -> None:
    house.start("n-1")
    assert house.look("x-1", reference=None) == ([], False)
    assert house.look("x-1", reference="unknown-1") == ([], False)


@pytest.mark.parametrize(
    "sight",
    [
        SearchVisibility(mode=SearchMode.BLIND),
        SearchVisibility(mode=SearchMode.LAGGING, lag=timedelta(minutes=40)),
        SearchVisibility(mode=SearchMode.OTHER_EXPERIMENTS),
    ],
)
def test_a_search_that_cannot_see_what_is_there_does_not_count(
    house: House, sight: SearchVisibility
) -> None:
    house.start("n-1")
    house.start("x-1")
    house.workspace.search_visibility = sight
    assert house.look("x-1") == ([], False)


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
def test_a_search_that_fails_does_not_count(house: House, fault: WorkspaceFault) -> None:
    house.start("n-1")
    house.start("x-1")
    house.workspace.faults.add(*[fault] * 3)
    assert house.look("x-1") == ([], False)


def test_where_run_history_fails_the_pipelines_own_list_is_looked_at(house: House) -> None:
    house.start("n-1")
    run_id = house.start("x-1")
    house.workspace.faults.add(WorkspaceFault(route=WorkspaceRoute.SEARCH, status=404))
    assert house.look("x-1") == ([run_id], False)


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
def test_a_runs_status_is_read_in_every_style(house: House, status: RunStatus, word: str) -> None:
    run_id = house.start("x-1")
    house.workspace.runs.advance(run_id, to=status)
    run = house.client.status(house.pipeline, run_id)
    assert (run.id, run.status) == (run_id, word)
    assert run.final == status.is_final


def test_a_run_that_is_not_there_is_gone(house: House) -> None:
    with pytest.raises(RunGone):
        house.client.status(house.pipeline, "no-such-run")
    with pytest.raises(RunGone):
        house.client.cancel(house.pipeline, "no-such-run")


@pytest.mark.parametrize(
    "fault",
    [
        WorkspaceFault(route=WorkspaceRoute.STATUS, status=503),
        WorkspaceFault(route=WorkspaceRoute.STATUS, status=200, body="{}"),
        WorkspaceFault(route=WorkspaceRoute.STATUS, fault_kind=FaultKind.RESET),
    ],
)
def test_a_status_that_does_not_come_is_unavailable(house: House, fault: WorkspaceFault) -> None:
    run_id = house.start("x-1")
    house.workspace.faults.add(fault)
    with pytest.raises(WorkspaceUnavailable):
        house.client.status(house.pipeline, run_id)


def test_a_run_is_cancelled(house: House) -> None:
    run_id = house.start("x-1")
    house.client.cancel(house.pipeline, run_id)
    assert house.client.status(house.pipeline, run_id).status == "Canceled"


def test_run_history_is_asked_at_the_workspace_of_the_endpoint() -> None:
    endpoint = "https://westeurope.api.azureml.ms/pipelines/v1.0/subscriptions/s/PipelineRuns/PipelineSubmit/1"
    kind = PublishedPipeline()
    search = kind.search_request(endpoint, experiment="My E/1", correlation_id="x-1")
    assert search is not None
    assert search.url == (
        "https://westeurope.api.azureml.ms/history/v1.0/subscriptions/s/experiments/My%20E%2F1/runs:query"
    )
    legacy = "https://westeurope.aether.ms/api/v1.0/x/PipelineRuns/PipelineSubmit/1"
    assert kind.search_request(legacy, experiment="E", correlation_id="x-1") is None
    assert kind.list_request(endpoint).url.endswith("/PipelineRuns/Pipeline/1")


def test_a_record_of_run_history_is_read_too() -> None:
    run = read_run(
        b'{"runId": "r", "status": "Completed", "createdUtc": "2027-03-27T12:00:00+00:00",'
        b' "tags": {"submission": "x-1"}, "error": null}'
    )
    assert run is not None
    assert (run.id, run.status, run.final, run.correlation_id) == ("r", "Completed", True, "x-1")
    failed = read_run(
        b'{"runId": "r", "status": "Failed", "error": {"error": {"code": "UserError", "message": "m"}}}'
    )
    assert failed is not None
    assert failed.error == "m"


@pytest.mark.parametrize("content", [b"", b"null", b"7", b'{"value": 3}', b"<html>", b'{"a": []}'])
def test_what_lists_no_runs_is_none(content: bytes) -> None:
    assert read_runs(content) is None


def test_an_undocumented_status_is_kept_as_it_is() -> None:
    run = read_run(b'{"Id": "r", "Status": {"StatusCode": "Levitating"}}')
    assert run == RunFacts(id="r", status="Levitating")
    assert run is not None
    assert not run.known
