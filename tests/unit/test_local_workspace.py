"""The workspace stand-in: as strict as the SDK's models, and able to misbehave in every way the design names."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from local.standins.identity import IdentityEndpoint
from local.standins.workspace.faults import FaultKind, WorkspaceFault, WorkspaceRoute
from local.standins.workspace.runs import EnumStyle, Progress, RunStatus
from local.standins.workspace.search import SearchMode, SearchVisibility
from local.standins.workspace.server import AUDIENCE, PIPELINE_ID, SCOPE_PATH, WorkspaceStandIn

DOCUMENTED: dict[str, Any] = {
    "DataPathAssignments": {
        "input_datapath": {
            "DataStoreName": "workspaceblobstore",
            "RelativePath": "in/añb +%41 😀.csv",
        }
    },
    "ExperimentName": "MyRestPipeline",
    "ParameterAssignments": {"input_string": "sample_string3"},
    "RunSource": "SDK",
}
FULL: dict[str, Any] = {
    **DOCUMENTED,
    "Description": "d",
    "RunType": "SDK",
    "DataSetDefinitionValueAssignments": {
        "a": {"SavedDataSetReference": {"Id": "1"}},
        "b": {"DataSetReference": {"Name": "n", "Version": "2"}},
        "c": {"LiteralValue": {"DataStoreName": "s", "RelativePath": "p"}},
    },
    "ScheduleId": "s",
    "ContinueRunOnStepFailure": True,
    "EnableNotification": False,
    "tags": {"submission": "abc-1"},
    "Properties": {"submission": "abc-1"},
}


class Clock:
    """A time that a test sets."""

    def __init__(self) -> None:
        self.now = datetime(2027, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class Caller:
    """Calls a workspace with a good token, unless told otherwise."""

    def __init__(self, workspace: WorkspaceStandIn, identity: IdentityEndpoint) -> None:
        self.workspace = workspace
        self.identity = identity
        self.session = requests.Session()
        self.headers = {"Authorization": f"Bearer {identity.make_token(AUDIENCE)}"}

    def submit(self, body: Any, **options: Any) -> requests.Response:
        headers = {**self.headers, "Content-Type": "application/json", **options.pop("headers", {})}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        url = options.pop("url", self.workspace.submit_url())
        return self.session.post(url, data=data, headers=headers, timeout=10, allow_redirects=False)

    def search(self, experiment: str = "MyRestPipeline", **query: Any) -> requests.Response:
        url = f"{self.workspace.url}/history/v1.0{SCOPE_PATH}/experiments/{experiment}/runs:query"
        return self.session.post(url, json=query, headers=self.headers, timeout=10)

    def get(self, path: str) -> requests.Response:
        return self.session.get(self.workspace.url + path, headers=self.headers, timeout=10)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def caller(clock: Clock) -> Iterator[Caller]:
    with (
        IdentityEndpoint(clock=clock) as identity,
        WorkspaceStandIn(secret=identity.secret, clock=clock) as workspace,
    ):
        made = Caller(workspace, identity)
        yield made
        made.session.close()


@pytest.mark.parametrize("body", [DOCUMENTED, FULL], ids=["documented", "full"])
@pytest.mark.parametrize("kind", ["application/json", "application/json-patch+json; charset=utf-8"])
def test_a_body_that_the_sdk_can_read_starts_a_run(
    caller: Caller, body: dict[str, Any], kind: str
) -> None:
    answer = caller.submit(body, headers={"Content-Type": kind})
    assert answer.status_code == 200
    entity = answer.json()
    assert entity["Status"]["StatusCode"] == "NotStarted"
    assert entity["RunHistoryExperimentName"] == "MyRestPipeline"
    assert entity["PipelineId"] == PIPELINE_ID
    assert caller.workspace.submitted == [body]
    assert [run.id for run in caller.workspace.runs.all()] == [entity["Id"]]


@pytest.mark.parametrize(
    "change",
    [
        {"Tags": {}},
        {"experimentName": "x"},
        {"StepTags": {}},
        {"ParentRunId": "x"},
        {"ExperimentName": ""},
        {"ExperimentName": 1},
        {"Description": None},
        {"RunType": "sdk"},
        {"ParameterAssignments": {"a": 1}},
        {"ParameterAssignments": {"a": True}},
        {"ParameterAssignments": {"": "x"}},
        {"ParameterAssignments": []},
        {"DataPathAssignments": {"a": {"DataStoreName": "s"}}},
        {"DataPathAssignments": {"a": {"DataStoreName": "s", "RelativePath": "p", "x": "y"}}},
        {"DataPathAssignments": {"a": {"dataStoreName": "s", "RelativePath": "p"}}},
        {"DataPathAssignments": {"a": "p"}},
        {"DataSetDefinitionValueAssignments": {"a": {}}},
        {"DataSetDefinitionValueAssignments": {"a": {"SavedDataSetReference": {"id": "1"}}}},
        {
            "DataSetDefinitionValueAssignments": {
                "a": {"SavedDataSetReference": {"Id": "1"}, "DataSetReference": {"Id": "2"}}
            }
        },
        {"ContinueRunOnStepFailure": "true"},
        {"EnableNotification": 1},
        {"tags": {"a": 1}},
        {"Properties": {"a": None}},
    ],
    ids=str,
)
def test_a_body_that_the_sdk_cannot_read_is_refused_by_key(
    caller: Caller, change: dict[str, Any]
) -> None:
    answer = caller.submit({**DOCUMENTED, **change})
    assert answer.status_code == 400
    error = answer.json()["Error"]
    assert error["Code"] == "UserError"
    assert next(iter(change)) in error["Message"]
    assert not caller.workspace.runs.all()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"ExperimentName": "a", "ExperimentName": "b"}',
        b"\xff",
        b'{"ExperimentName": NaN}',
        b"{}",
    ],
)
def test_what_is_not_a_json_object_is_refused(caller: Caller, body: bytes) -> None:
    assert caller.submit(body).status_code == 400


def test_unknown_and_disabled_pipelines_and_other_content_types_are_refused(caller: Caller) -> None:
    workspace = caller.workspace
    unknown = caller.submit(DOCUMENTED, url=workspace.submit_url("not-a-guid"))
    assert unknown.status_code == 404
    assert unknown.json()["Error"]["Message"] == "There is no published pipeline not-a-guid"
    workspace.disabled.add(PIPELINE_ID)
    assert caller.submit(DOCUMENTED).status_code == 400
    workspace.disabled.clear()
    assert caller.submit(DOCUMENTED, headers={"Content-Type": "text/plain"}).status_code == 415
    assert (
        caller.submit(DOCUMENTED, url=workspace.submit_url() + "?experiment=x").status_code == 400
    )
    assert (
        caller.submit(DOCUMENTED, url=workspace.submit_url() + "?parentRunId=x").status_code == 200
    )
    assert [run.parent_run_id for run in workspace.runs.all()] == ["x"]


def test_only_a_token_of_ours_for_the_right_audience_and_time_opens(
    caller: Caller, clock: Clock
) -> None:
    identity = caller.identity
    good = identity.make_token("https://management.azure.com/")
    for value in (
        "",
        "Basic abc",
        "Bearer abc",
        "Bearer a.b.c",
        f"Bearer {good[:-3]}abc",
        f"Bearer {identity.make_token('https://storage.azure.com')}",
        f"Bearer {identity.make_token(AUDIENCE, expires=clock.now)}",
    ):
        answer = caller.submit(DOCUMENTED, headers={"Authorization": value})
        assert answer.status_code == 401, value
        assert answer.json()["Error"]["Code"] == "Unauthorized"
    assert caller.submit(DOCUMENTED, headers={"Authorization": f"Bearer {good}"}).status_code == 200


def test_no_token_and_no_cookie_is_recorded(caller: Caller) -> None:
    caller.submit(DOCUMENTED, headers={"Cookie": "secret=1", "x-ms-client-request-id": "me"})
    (received,) = caller.workspace.received
    assert received.headers["x-ms-client-request-id"] == "me"
    assert received.body == DOCUMENTED
    assert "authorization" not in received.headers
    assert "cookie" not in received.headers


def test_an_orderly_fault_is_given_once_with_its_headers(caller: Caller) -> None:
    workspace = caller.workspace
    workspace.faults.add(
        WorkspaceFault(status=429, headers={"Retry-After": "7"}),
        WorkspaceFault(status=302, headers={"Location": "http://127.0.0.1:1/"}, body=""),
        WorkspaceFault(status=502, body="<html>gateway</html>"),
        WorkspaceFault(status=503, accepted=True),
    )
    assert caller.submit(DOCUMENTED).headers["Retry-After"] == "7"
    assert caller.submit(DOCUMENTED).headers["Location"] == "http://127.0.0.1:1/"
    html = caller.submit(DOCUMENTED)
    assert (html.status_code, html.headers["Content-Type"]) == (502, "text/html")
    assert not workspace.runs.all()
    assert caller.submit(DOCUMENTED).status_code == 503
    assert len(workspace.runs.all()) == 1
    assert caller.submit(DOCUMENTED).status_code == 200


def test_a_refused_body_does_not_use_up_a_fault(caller: Caller) -> None:
    caller.workspace.faults.add(WorkspaceFault(status=500))
    assert caller.submit({}).status_code == 400
    assert caller.submit(DOCUMENTED).status_code == 500


@pytest.mark.parametrize("accepted", [True, False])
@pytest.mark.parametrize("fault_kind", [FaultKind.DROP, FaultKind.RESET, FaultKind.HANG])
def test_a_lost_answer_leaves_a_run_exactly_when_it_was_accepted(
    caller: Caller, fault_kind: FaultKind, accepted: bool
) -> None:
    caller.workspace.faults.add(
        WorkspaceFault(fault_kind=fault_kind, accepted=accepted, seconds=0.05)
    )
    with pytest.raises(requests.ConnectionError):
        caller.submit(DOCUMENTED)
    assert len(caller.workspace.runs.all()) == accepted


def test_a_truncated_answer_promises_more_than_it_brings(caller: Caller) -> None:
    caller.workspace.faults.add(WorkspaceFault(fault_kind=FaultKind.TRUNCATE))
    with pytest.raises(requests.exceptions.ChunkedEncodingError) as raised:
        caller.submit(DOCUMENTED)
    assert "IncompleteRead" in str(raised.value)
    assert len(caller.workspace.runs.all()) == 1


@pytest.mark.parametrize("fault_kind", [FaultKind.DRIP, FaultKind.LATE])
def test_a_slow_answer_is_whole_in_the_end(caller: Caller, fault_kind: FaultKind) -> None:
    caller.workspace.faults.add(WorkspaceFault(fault_kind=fault_kind, seconds=0.0001))
    (run,) = [caller.submit(DOCUMENTED).json()["Id"]]
    assert run == caller.workspace.runs.all()[0].id


def test_an_answer_without_an_id_is_otherwise_whole(caller: Caller) -> None:
    caller.workspace.faults.add(WorkspaceFault(fault_kind=FaultKind.NO_ID))
    entity = caller.submit(DOCUMENTED).json()
    assert "Id" not in entity
    assert entity["PipelineId"] == PIPELINE_ID


def test_a_hanging_answer_does_not_hold_up_the_close(clock: Clock) -> None:
    with IdentityEndpoint(clock=clock) as identity:
        workspace = WorkspaceStandIn(secret=identity.secret, clock=clock)
        workspace.faults.add(WorkspaceFault(fault_kind=FaultKind.HANG, seconds=3600))
        connection = http.client.HTTPConnection(
            "127.0.0.1", int(workspace.url.rpartition(":")[2]), timeout=10
        )
        headers = {
            "Authorization": f"Bearer {identity.make_token(AUDIENCE)}",
            "Content-Type": "application/json",
        }
        path = workspace.submit_url().removeprefix(workspace.url)
        connection.request("POST", path, json.dumps(DOCUMENTED), headers)
        workspace.close()
        with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
            connection.getresponse()
        connection.close()


def test_a_rule_decides_for_every_request_until_it_is_cleared(caller: Caller) -> None:
    workspace = caller.workspace
    workspace.faults.rule(
        lambda route, request: (
            WorkspaceFault(status=500)
            if b"bad" in request.body and route is WorkspaceRoute.SUBMIT
            else None
        )
    )
    for _ in range(2):
        assert caller.submit({**DOCUMENTED, "Description": "bad"}).status_code == 500
    assert caller.submit(DOCUMENTED).status_code == 200
    workspace.faults.clear()
    assert caller.submit({**DOCUMENTED, "Description": "bad"}).status_code == 200


def test_a_fault_waits_for_a_request_of_its_route(caller: Caller) -> None:
    caller.workspace.faults.add(WorkspaceFault(status=503, route=WorkspaceRoute.SEARCH))
    assert caller.submit(DOCUMENTED).status_code == 200
    assert caller.search().status_code == 503
    assert caller.search().status_code == 200


def test_runs_move_on_by_steps(caller: Caller, clock: Clock) -> None:
    first, second = (caller.submit(DOCUMENTED).json()["Id"] for _ in range(2))
    runs = caller.workspace.runs
    stored = runs.get(second)
    assert stored is not None
    stored.outcome = RunStatus.FAILED
    path = f"/pipelines/v1.0{SCOPE_PATH}/PipelineRuns/"
    runs.advance()
    assert caller.get(path + first).json()["Status"]["StatusCode"] == "Running"
    clock.now += timedelta(minutes=1)
    runs.advance()
    assert caller.get(path + first).json()["Status"]["StatusCode"] == "Finished"
    assert caller.get(path + second).json()["Status"]["StatusCode"] == "Failed"
    history = caller.get(f"/history/v1.0{SCOPE_PATH}/runs/{first}").json()
    assert (history["status"], history["endTimeUtc"]) == ("Completed", "2027-03-01T12:01:00Z")
    assert caller.get(path + "nothing").status_code == 404
    missing = caller.get(f"/history/v1.0{SCOPE_PATH}/runs/nothing")
    assert missing.json()["error"]["message"] == "There is no run nothing"


def test_runs_move_on_by_the_clock_when_told_to(clock: Clock) -> None:
    with WorkspaceStandIn(
        secret=b"s",
        clock=clock,
        progress=Progress(running=timedelta(seconds=2), final=timedelta(seconds=6)),
        enum_style=EnumStyle.NUMERIC_STRING,
    ) as workspace:
        run = workspace.runs.add(PIPELINE_ID, DOCUMENTED)
        seen = []
        for _ in range(4):
            found = workspace.runs.get(run.id)
            assert found is not None
            seen.append(found.to_entity(EnumStyle.NUMERIC_STRING)["Status"]["StatusCode"])
            clock.now += timedelta(seconds=2)
        assert seen == ["0", "1", "1", "3"]
        assert run.ended == run.created + timedelta(seconds=6)


def test_a_cancelled_run_stays_so(caller: Caller) -> None:
    run = caller.submit(DOCUMENTED).json()["Id"]
    url = f"{caller.workspace.url}/pipelines/v1.0{SCOPE_PATH}/PipelineRuns/{run}/Execution"
    assert caller.session.delete(url, headers=caller.headers, timeout=10).status_code == 200
    caller.workspace.runs.advance()
    assert caller.workspace.runs.all()[0].status is RunStatus.CANCELED


def test_the_sdks_own_filter_finds_a_run_by_its_tag(caller: Caller) -> None:
    run = caller.submit({**DOCUMENTED, "tags": {"dedupe": "k1"}}).json()["Id"]
    caller.submit({**DOCUMENTED, "tags": {"dedupe": "k2"}})
    text = (
        "((RunType eq azureml.PipelineRun or Properties/azureml.runsource eq azureml.PipelineRun) and "
        f'(Tags/dedupe eq "k1") and (Properties/azureml.pipelineid eq "{PIPELINE_ID}") and (ParentRunId eq null))'
    )
    answer = caller.search(filter=text, orderby="StartTimeUtc desc", top=500).json()
    assert [item["runId"] for item in answer["value"]] == [run]
    assert answer["continuationToken"] is None
    assert answer["value"][0]["tags"] == {"dedupe": "k1"}
    assert caller.search(filter="(Tags/other ne null or Tags/dedupe eq null)").json()["value"] == []


def test_a_search_pages_and_sorts(caller: Caller, clock: Clock) -> None:
    runs = []
    for _ in range(5):
        runs.append(caller.submit(DOCUMENTED).json()["Id"])
        clock.now += timedelta(minutes=1)
    found: list[str] = []
    token = None
    while True:
        page = caller.search(orderby="CreatedUtc desc", top=2, continuationToken=token).json()
        found += [item["runId"] for item in page["value"]]
        if (token := page["continuationToken"]) is None:
            break
    assert found == runs[::-1]
    late = caller.search(filter="(CreatedUtc ge 2027-03-01T12:03:00Z)").json()["value"]
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
    caller: Caller, query: dict[str, Any]
) -> None:
    caller.submit(DOCUMENTED)
    answer = caller.search(**query)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "UserError"


def test_an_experiment_that_is_not_there_is_not_found(caller: Caller) -> None:
    answer = caller.search("nothing")
    assert answer.status_code == 404
    assert answer.json()["error"]["message"] == "There is no experiment nothing"


def test_searches_see_what_their_mode_says(caller: Caller, clock: Clock) -> None:
    mine = caller.submit(DOCUMENTED).json()["Id"]
    other = caller.submit({**DOCUMENTED, "ExperimentName": "Other"}).json()["Id"]

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
    clock.now += timedelta(minutes=5)
    caller.headers = {"Authorization": f"Bearer {caller.identity.make_token(AUDIENCE)}"}
    assert seen(lagging) == [mine]
    assert [item["Id"] for item in caller.get(listing).json()] == [other, mine]


def test_the_control_plane_needs_its_token_and_does_what_the_attributes_do(caller: Caller) -> None:
    workspace = caller.workspace
    headers = {"X-Control-Token": workspace.control_token}

    def control(method: str, name: str, body: Any = None) -> requests.Response:
        url = f"{workspace.url}/control/{name}"
        return caller.session.request(method, url, json=body, headers=headers, timeout=10)

    assert caller.get("/control/runs").status_code == 401
    assert control("POST", "faults", [{"fault_kind": "answer", "status": 418}]).status_code == 204
    assert caller.submit(DOCUMENTED).status_code == 418
    run = caller.submit(DOCUMENTED).json()["Id"]
    assert control("POST", "advance", {"run_id": run, "to": "Failed"}).status_code == 204
    assert [item["Status"]["StatusCode"] for item in control("GET", "runs").json()] == ["Failed"]
    assert len(control("GET", "requests").json()) == 2
    assert (
        control("PUT", "search-visibility", {"mode": "lagging", "lag": "PT1M"}).status_code == 204
    )
    assert workspace.search_visibility == SearchVisibility(
        mode=SearchMode.LAGGING, lag=timedelta(minutes=1)
    )
    assert control("POST", "faults", [{"fault_kind": "explode"}]).status_code == 400
    assert control("POST", "advance", {"run_id": "nothing"}).status_code == 404
    assert control("GET", "nothing").status_code == 404
    assert control("POST", "reset").status_code == 204
    assert not workspace.runs.all()
    assert not workspace.received
