"""Runs are read from the records of both services."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from shared.core.runs import RunFacts, RunList
from shared.pipelines.run_records import read_run, read_runs

ENTITY = b"""{
    "Id": "run-1", "CreatedDate": "2027-03-27T12:00:00",
    "Status": {"StatusCode": "2", "StatusDetail": "step 3 failed"},
    "Properties": {"submission": "x-1"}
}"""


def test_an_entity_of_the_pipelines_service_is_read() -> None:
    assert read_run(ENTITY) == RunFacts(
        id="run-1",
        status="Failed",
        created=datetime(2027, 3, 27, 12, tzinfo=UTC),
        error="step 3 failed",
        correlation_id="x-1",
    )


def test_a_record_of_run_history_is_read() -> None:
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
def test_a_body_that_is_no_list_of_runs_is_none(content: bytes) -> None:
    assert read_runs(content) is None


def test_an_undocumented_status_is_kept_as_it_is() -> None:
    run = read_run(b'{"Id": "r", "Status": {"StatusCode": "Levitating"}}')
    assert run == RunFacts(id="r", status="Levitating")
    assert run is not None
    assert not run.known


@pytest.mark.parametrize(
    ("content", "complete"),
    [
        (b'[{"Id": "a"}, 7, {"Id": ""}, {"Id": "b"}]', False),
        (b'{"value": [{"runId": "a"}, {"id": "b"}]}', True),
        (b'{"value": [{"runId": "a"}, {"id": "b"}], "continuationToken": "x"}', False),
        (b'{"value": [{"runId": "a"}, {"id": "b"}], "continuationToken": null}', True),
        (b'[{"Id": "a"}, {"Id": "c", "ParentRunId": "a"}, {"Id": "b", "parentRunId": null}]', True),
    ],
)
def test_a_list_leaves_out_child_runs_and_says_whether_it_is_complete(
    content: bytes, complete: bool
) -> None:
    found = read_runs(content)
    assert found is not None
    assert [run.id for run in found.runs] == ["a", "b"]
    assert found.complete is complete


def test_an_empty_list_is_a_list() -> None:
    assert read_runs(b"[]") == read_runs(b'{"value": []}') == RunList()


def test_the_property_wins_over_the_tag_which_anybody_can_change() -> None:
    run = read_run(
        b'{"Id": "r", "tags": {"Submission": "t-1"}, "properties": {"submission": "p-1"}}'
    )
    assert run is not None
    assert run.correlation_id == "p-1"


@pytest.mark.parametrize("value", ["null", "7", '["x"]'])
def test_a_tag_that_is_no_text_is_no_correlation_id(value: str) -> None:
    run = read_run(f'{{"Id": "r", "tags": {{"submission": {value}}}}}'.encode())
    assert run is not None
    assert run.correlation_id is None


@pytest.mark.parametrize("value", ["null", "7", '"soon"', '""'])
def test_an_unreadable_time_is_none(value: str) -> None:
    run = read_run(f'{{"Id": "r", "CreatedDate": {value}}}'.encode())
    assert run is not None
    assert run.created is None


def test_the_error_of_a_run_that_did_not_fail_is_left_out() -> None:
    run = read_run(b'{"Id": "r", "Status": "Finished", "error": {"message": "m"}}')
    assert run is not None
    assert run.error is None


@pytest.mark.parametrize(
    ("error", "text"),
    [
        ('{"message": "m", "code": "c"}', "m"),
        ('{"code": "c"}', "c"),
        ('{"error": {"code": "c"}}', "c"),
        ("null", None),
    ],
)
def test_a_failed_run_tells_its_error_by_message_or_code(error: str, text: str | None) -> None:
    run = read_run(f'{{"runId": "r", "status": "Failed", "error": {error}}}'.encode())
    assert run is not None
    assert run.error == text
