"""The workspace stand-in: the requests that it accepts and records."""

from __future__ import annotations

from typing import Any

import pytest

from local.standins.workspace.server import AUDIENCE, PIPELINE_ID
from local.testing.app import Clock
from local.testing.workspace_caller import BODY, WorkspaceCaller

FULL: dict[str, Any] = {
    **BODY,
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


@pytest.mark.parametrize("body", [BODY, FULL], ids=["documented", "full"])
@pytest.mark.parametrize("kind", ["application/json", "application/json-patch+json; charset=utf-8"])
def test_a_body_that_the_sdk_can_read_starts_a_run(
    caller: WorkspaceCaller, body: dict[str, Any], kind: str
) -> None:
    answer = caller.submit(body, headers={"Content-Type": kind})
    assert answer.status_code == 200
    entity = answer.json()
    assert entity["Status"]["StatusCode"] == "NotStarted"
    assert entity["RunHistoryExperimentName"] == "MyRestPipeline"
    assert entity["PipelineId"] == PIPELINE_ID
    assert caller.workspace.submitted == [body]
    assert [run.id for run in caller.workspace.runs.all()] == [entity["Id"]]


def test_unknown_and_disabled_pipelines_and_other_content_types_are_refused(
    caller: WorkspaceCaller,
) -> None:
    workspace = caller.workspace
    unknown = caller.submit(BODY, url=workspace.submit_url("not-a-guid"))
    assert unknown.status_code == 404
    assert unknown.json()["Error"]["Message"] == "There is no published pipeline not-a-guid"
    workspace.disabled.add(PIPELINE_ID)
    assert caller.submit(BODY).status_code == 400
    workspace.disabled.clear()
    assert caller.submit(BODY, headers={"Content-Type": "text/plain"}).status_code == 415
    assert caller.submit(BODY, url=workspace.submit_url() + "?experiment=x").status_code == 400
    assert caller.submit(BODY, url=workspace.submit_url() + "?parentRunId=x").status_code == 200
    assert [run.parent_run_id for run in workspace.runs.all()] == ["x"]


def test_only_a_valid_token_for_the_right_audience_is_accepted(
    caller: WorkspaceCaller, clock: Clock
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
        f"Bearer {identity.make_token(AUDIENCE, expires=clock.now())}",
    ):
        answer = caller.submit(BODY, headers={"Authorization": value})
        assert answer.status_code == 401, value
        assert answer.json()["Error"]["Code"] == "Unauthorized"
    assert caller.submit(BODY, headers={"Authorization": f"Bearer {good}"}).status_code == 200


def test_no_token_and_no_cookie_is_recorded(caller: WorkspaceCaller) -> None:
    caller.submit(BODY, headers={"Cookie": "secret=1", "x-ms-client-request-id": "me"})
    (received,) = caller.workspace.received
    assert received.headers["x-ms-client-request-id"] == "me"
    assert received.body == BODY
    assert "authorization" not in received.headers
    assert "cookie" not in received.headers
