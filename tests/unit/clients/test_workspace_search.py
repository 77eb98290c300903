"""When a search can rule a run out: by one answer that proves itself, from the strict stand-in over real sockets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta

import pytest

from local.standins.http_server import IncomingRequest
from local.standins.identity import IdentityEndpoint
from local.standins.workspace.faults import FaultKind, WorkspaceFault, WorkspaceRoute
from local.standins.workspace.search import SearchMode, SearchVisibility
from local.standins.workspace.server import PIPELINE_ID, WorkspaceStandIn
from local.testing.app import NOON
from shared.clients.identity import Tokens
from shared.clients.transport import Transport, host_of
from shared.clients.workspace import MAX_DOUBT, WorkspaceClient
from shared.config.model import Pipeline
from shared.core.runs import ReferenceRun, SearchResult
from tests.unit.clients.doubles import SCOPE

EXPERIMENT = "nightly"
OTHER = "hourly"
OTHER_PIPELINE = "11111111-2222-3333-4444-555555555555"
NEWER = ReferenceRun(correlation_id="w-1", experiment=OTHER, started=NOON)
LIST = re.compile(r"/PipelineRuns/Pipeline/")


class Harness:
    """A workspace with runs in two experiments, of two pipelines, and a client that searches it."""

    def __init__(self, workspace: WorkspaceStandIn, client: WorkspaceClient) -> None:
        self.workspace = workspace
        self._client = client

    def add(
        self,
        correlation_id: str,
        *,
        experiment: str = EXPERIMENT,
        pipeline_id: str = PIPELINE_ID,
        parent: str | None = None,
        tag: str | None = None,
    ) -> str:
        """Let the workspace have a run, and return its id."""
        body = {
            "ExperimentName": experiment,
            "tags": {"submission": tag or correlation_id},
            "Properties": {"submission": correlation_id},
        }
        return self.workspace.runs.add(pipeline_id, body, parent_run_id=parent).id

    def search(
        self, *, reference: str | None = None, newer: ReferenceRun | None = None
    ) -> SearchResult:
        """Search for the run `x-1`."""
        pipeline = Pipeline(
            name="p",
            kind="published_pipeline",
            endpoint=self.workspace.submit_url(),
            scope=SCOPE,
        )
        return self._client.search(
            pipeline,
            experiment=EXPERIMENT,
            correlation_id="x-1",
            reference=reference,
            newer=newer,
        )

    def fail(self, fault: WorkspaceFault, *, when: Callable[[IncomingRequest], bool]) -> None:
        """Let each search fail of which `when` is true."""
        self.workspace.faults.rule(
            lambda route, request: (
                fault if route is WorkspaceRoute.SEARCH and when(request) else None
            )
        )

    def asked(self) -> list[str]:
        """Return what was asked: the experiment and filter of each query, or `list`."""
        return [
            "list"
            if LIST.search(one.path)
            else f"{one.path.split('/experiments/')[1].split('/')[0]} {one.body['filter']}"
            for one in self.workspace.received
        ]


def is_list(request: IncomingRequest) -> bool:
    return LIST.search(request.path) is not None


def is_query(request: IncomingRequest) -> bool:
    return "runs:query" in request.path


def asks_for(correlation_id: str) -> Callable[[IncomingRequest], bool]:
    return lambda request: is_query(request) and correlation_id.encode() in request.body


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> Iterator[Harness]:
    with (
        IdentityEndpoint() as identity,
        WorkspaceStandIn(secret=identity.secret) as workspace,
    ):
        for name, value in identity.environment.items():
            monkeypatch.setenv(name, value)
        tokens = Tokens(identity.environment)
        hosts = frozenset({host_of(workspace.url)})
        with closing(Transport(tokens, hosts=hosts)) as transport:
            yield Harness(workspace, WorkspaceClient(transport, tokens=tokens))
        tokens.close()


LARGE = '{"value": ["' + "x" * 2_000_000 + '"]}'
FAILURES = pytest.mark.parametrize(
    "fault",
    [
        pytest.param(
            WorkspaceFault(route=WorkspaceRoute.SEARCH, status=429, headers={"Retry-After": "60"}),
            id="429",
        ),
        pytest.param(WorkspaceFault(route=WorkspaceRoute.SEARCH, status=503), id="503"),
        pytest.param(
            WorkspaceFault(route=WorkspaceRoute.SEARCH, status=200, body="<html>sign in</html>"),
            id="page",
        ),
        pytest.param(
            WorkspaceFault(route=WorkspaceRoute.SEARCH, status=200, body="[1, 2"), id="cut off"
        ),
        pytest.param(
            WorkspaceFault(route=WorkspaceRoute.SEARCH, status=200, body=LARGE), id="large"
        ),
        pytest.param(
            WorkspaceFault(route=WorkspaceRoute.SEARCH, status=404, body="<html>none</html>"),
            id="proxy",
        ),
        pytest.param(
            WorkspaceFault(
                route=WorkspaceRoute.SEARCH, status=404, body='{"error": {"code": "NotFound"}}'
            ),
            id="gateway",
        ),
        pytest.param(
            WorkspaceFault(route=WorkspaceRoute.SEARCH, fault_kind=FaultKind.DROP), id="dropped"
        ),
        pytest.param(
            WorkspaceFault(route=WorkspaceRoute.SEARCH, fault_kind=FaultKind.TRUNCATE),
            id="truncated",
        ),
    ],
)


# One answer about both


def test_one_query_asks_for_the_run_and_the_reference_run_by_tag_and_by_property(
    harness: Harness,
) -> None:
    harness.add("n-1")
    found = harness.search(reference="n-1")
    assert (found.runs, found.saw_reference, found.inconclusive) == ((), True, None)
    assert harness.asked() == [
        'nightly ((Tags/submission eq "x-1" or Properties/submission eq "x-1" or '
        'Tags/submission eq "n-1" or Properties/submission eq "n-1") and (ParentRunId eq null))',
        "list",
    ]


@FAILURES
def test_an_answer_about_the_reference_run_alone_proves_nothing(
    harness: Harness, fault: WorkspaceFault
) -> None:
    harness.add("n-1")
    harness.add("x-1")
    harness.fail(fault, when=asks_for("x-1"))
    harness.fail(fault, when=is_list)
    found = harness.search(reference="n-1")
    assert (found.runs, found.saw_reference, found.saw_newer) == ((), False, False)
    assert found.inconclusive
    assert len(found.inconclusive) <= MAX_DOUBT


@FAILURES
def test_each_source_proves_itself(harness: Harness, fault: WorkspaceFault) -> None:
    harness.add("n-1")
    harness.fail(fault, when=is_list)
    assert harness.search(reference="n-1").saw_reference
    harness.workspace.faults.clear()
    harness.fail(fault, when=is_query)
    assert harness.search(reference="n-1").saw_reference


def test_why_a_search_is_not_conclusive_names_both_sources(harness: Harness) -> None:
    harness.add("n-1")
    harness.fail(WorkspaceFault(route=WorkspaceRoute.SEARCH, status=503), when=is_query)
    harness.workspace.search_visibility = SearchVisibility(mode=SearchMode.BLIND)
    assert harness.search(reference="n-1").inconclusive == (
        "run history: Azure ML answered 503 (ServiceError: an injected fault); "
        "the run list: shows no run that is known to exist"
    )


def test_an_answer_that_is_too_large_is_said(harness: Harness) -> None:
    harness.fail(WorkspaceFault(route=WorkspaceRoute.SEARCH, status=200, body=LARGE), when=is_query)
    assert "the answer has more than 1048576 bytes" in str(harness.search().inconclusive)


def test_a_run_that_only_the_list_shows_is_found_though_run_history_rules_it_out(
    harness: Harness,
) -> None:
    harness.add("n-1")
    run_id = harness.add("x-1", experiment=OTHER)
    assert [run.id for run in harness.search(reference="n-1").runs] == [run_id]


def test_an_answer_with_more_pages_is_not_conclusive(harness: Harness) -> None:
    for _ in range(101):
        harness.add("n-1")
    harness.fail(WorkspaceFault(route=WorkspaceRoute.SEARCH, status=503), when=is_list)
    found = harness.search(reference="n-1")
    assert not found.saw_reference
    assert "its answer is not complete" in str(found.inconclusive)


def test_an_experiment_that_does_not_exist_is_not_conclusive_by_itself(harness: Harness) -> None:
    found = harness.search(reference="n-1")
    assert (found.runs, found.saw_reference, found.saw_newer) == ((), False, False)
    assert found.inconclusive == (
        "run history: shows no run that is known to exist; "
        "the run list: shows no run that is known to exist"
    )


# A newer run of the workspace


def test_a_newer_run_of_the_workspace_is_asked_for_first(harness: Harness) -> None:
    harness.add("w-1", experiment=OTHER, pipeline_id=OTHER_PIPELINE)
    harness.add("n-1")
    found = harness.search(reference=None, newer=NEWER)
    assert (found.runs, found.saw_newer, found.inconclusive) == ((), True, None)
    assert [one.split(" ")[0] for one in harness.asked()] == ["hourly", "nightly", "list"]


def test_with_a_newer_run_an_experiment_that_does_not_exist_holds_no_run(harness: Harness) -> None:
    harness.add("w-1", experiment=OTHER, pipeline_id=OTHER_PIPELINE)
    assert harness.search(newer=NEWER).saw_newer


@FAILURES
def test_a_newer_run_proves_nothing_without_an_answer_about_ours(
    harness: Harness, fault: WorkspaceFault
) -> None:
    harness.add("w-1", experiment=OTHER, pipeline_id=OTHER_PIPELINE)
    harness.add("x-1")
    harness.fail(fault, when=asks_for("x-1"))
    harness.fail(fault, when=is_list)
    found = harness.search(newer=NEWER)
    assert (found.runs, found.saw_newer) == ((), False)
    assert found.inconclusive


@FAILURES
def test_a_newer_run_that_could_not_be_asked_for_proves_nothing(
    harness: Harness, fault: WorkspaceFault
) -> None:
    harness.add("w-1", experiment=OTHER, pipeline_id=OTHER_PIPELINE)
    harness.add("n-1")
    harness.fail(fault, when=asks_for("w-1"))
    assert not harness.search(newer=NEWER).saw_newer


@pytest.mark.parametrize(
    "visibility",
    [
        SearchVisibility(mode=SearchMode.BLIND),
        SearchVisibility(mode=SearchMode.LAGGING, lag=timedelta(minutes=40)),
        SearchVisibility(mode=SearchMode.OTHER_EXPERIMENTS),
    ],
    ids=lambda one: one.mode,
)
def test_a_search_that_misleads_is_not_conclusive(
    harness: Harness, visibility: SearchVisibility
) -> None:
    harness.add("w-1", experiment=OTHER)
    harness.add("n-1")
    harness.add("x-1")
    harness.workspace.search_visibility = visibility
    found = harness.search(reference="n-1", newer=NEWER)
    assert (found.runs, found.saw_reference, found.saw_newer) == ((), False, False)


def test_the_pipelines_list_proves_itself_by_a_newer_run_too(harness: Harness) -> None:
    harness.add("w-1", experiment=OTHER)
    harness.fail(WorkspaceFault(route=WorkspaceRoute.SEARCH, status=503), when=is_query)
    assert harness.search(newer=NEWER).saw_newer


# Which run is ours


def test_a_run_whose_tag_was_changed_is_still_found_by_its_property(harness: Harness) -> None:
    run_id = harness.add("x-1", tag="edited")
    assert [run.id for run in harness.search().runs] == [run_id]


def test_a_run_with_our_tag_and_another_property_is_not_ours(harness: Harness) -> None:
    harness.add("other-1", tag="x-1")
    harness.add("n-1")
    found = harness.search(reference="n-1")
    assert (found.runs, found.saw_reference) == ((), True)


def test_a_child_run_is_neither_ours_nor_a_reference(harness: Harness) -> None:
    harness.add("x-1", parent="some-parent")
    harness.add("n-1", parent="some-parent")
    harness.fail(WorkspaceFault(route=WorkspaceRoute.SEARCH, status=503), when=is_list)
    found = harness.search(reference="n-1")
    assert (found.runs, found.saw_reference) == ((), False)


# A pipeline with many runs


def test_a_list_far_above_1_mib_still_shows_the_run(harness: Harness) -> None:
    for number in range(400):
        body = {
            "ExperimentName": EXPERIMENT,
            "tags": {"submission": f"o-{number}"},
            "Properties": {"submission": f"o-{number}"},
            "ParameterAssignments": {"text": "ü" * 10_000},
        }
        harness.workspace.runs.add(PIPELINE_ID, body)
    run_id = harness.add("x-1", experiment=OTHER)
    assert [run.id for run in harness.search(reference="n-1").runs] == [run_id]
    assert (
        harness.search(reference="o-7").saw_reference is False
    )  # ours is found, so nothing is ruled out
