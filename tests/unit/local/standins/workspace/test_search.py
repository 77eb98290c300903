"""The searches of the workspace stand-in."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from local.standins.workspace.search import SearchMode, SearchVisibility
from local.standins.workspace.server import AUDIENCE, PIPELINE_ID, SCOPE_PATH
from local.testing.app import Clock
from local.testing.workspace_caller import BODY, WorkspaceCaller


def test_the_sdks_own_filter_finds_a_run_by_its_tag(caller: WorkspaceCaller) -> None:
    run = caller.submit({**BODY, "tags": {"dedupe": "k1"}}).json()["Id"]
    caller.submit({**BODY, "tags": {"dedupe": "k2"}})
    text = (
        "((RunType eq azureml.PipelineRun or Properties/azureml.runsource eq azureml.PipelineRun) and "
        f'(Tags/dedupe eq "k1") and (Properties/azureml.pipelineid eq "{PIPELINE_ID}") and (ParentRunId eq null))'
    )
    answer = caller.search(filter=text, orderby="StartTimeUtc desc", top=500).json()
    assert [item["runId"] for item in answer["value"]] == [run]
    assert answer["continuationToken"] is None
    assert answer["value"][0]["tags"] == {"dedupe": "k1"}
    assert caller.search(filter="(Tags/other ne null or Tags/dedupe eq null)").json()["value"] == []


def test_a_search_pages_and_sorts(caller: WorkspaceCaller, clock: Clock) -> None:
    runs = []
    for _ in range(5):
        runs.append(caller.submit(BODY).json()["Id"])
        clock.advance(minutes=1)
    found: list[str] = []
    token = None
    while True:
        page = caller.search(orderby="CreatedUtc desc", top=2, continuationToken=token).json()
        found += [item["runId"] for item in page["value"]]
        if (token := page["continuationToken"]) is None:
            break
    assert found == runs[::-1]
    late = caller.search(filter="(CreatedUtc ge 2027-03-27T12:03:00Z)").json()["value"]
    assert [item["runId"] for item in late] == runs[3:]


@pytest.mark.parametrize(
    "query",
    [
        {"filter": "(Tags/a eq"},
        {"filter": "Tag/a eq b"},
        {"filter": "RunId is x"},
        {"filter": "RunId eq a b"},
        {"orderby": "Size desc"},
        {"top": 0},
        {"top": "x"},
        {"limit": 1},
        {"filter": '(RunId eq "x'},
    ],
    ids=str,
)
def test_a_query_that_cannot_be_read_is_refused_in_camel_case(
    caller: WorkspaceCaller, query: dict[str, Any]
) -> None:
    caller.submit(BODY)
    answer = caller.search(**query)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "UserError"


def test_an_experiment_that_is_not_there_is_not_found(caller: WorkspaceCaller) -> None:
    answer = caller.search("nothing")
    assert answer.status_code == 404
    assert answer.json()["error"]["message"] == "There is no experiment nothing"


def test_searches_show_the_runs_of_their_mode(caller: WorkspaceCaller, clock: Clock) -> None:
    mine = caller.submit(BODY).json()["Id"]
    other = caller.submit({**BODY, "ExperimentName": "Other"}).json()["Id"]

    def seen(sight: SearchVisibility) -> list[str]:
        caller.workspace.search_visibility = sight
        return [item["runId"] for item in caller.search().json()["value"]]

    lagging = SearchVisibility(mode=SearchMode.LAGGING, lag=timedelta(minutes=5))
    assert seen(SearchVisibility()) == [mine]
    assert seen(SearchVisibility(mode=SearchMode.BLIND)) == []
    assert seen(SearchVisibility(mode=SearchMode.OTHER_EXPERIMENTS)) == [other]
    assert seen(lagging) == []
    listing = f"/pipelines/v1.0{SCOPE_PATH}/PipelineRuns/Pipeline/{PIPELINE_ID}"
    assert caller.get(listing).json() == []
    clock.advance(minutes=5)
    caller.headers = {"Authorization": f"Bearer {caller.identity.make_token(AUDIENCE)}"}
    assert seen(lagging) == [mine]
    assert [item["Id"] for item in caller.get(listing).json()] == [other, mine]
