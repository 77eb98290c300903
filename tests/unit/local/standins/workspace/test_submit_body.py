"""The workspace stand-in refuses every body that the SDK's models cannot read."""

from __future__ import annotations

from typing import Any

import pytest

from local.testing.workspace_caller import BODY, WorkspaceCaller


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
    caller: WorkspaceCaller, change: dict[str, Any]
) -> None:
    answer = caller.submit({**BODY, **change})
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
def test_a_body_that_is_not_a_json_object_is_refused(caller: WorkspaceCaller, body: bytes) -> None:
    assert caller.submit(body).status_code == 400
