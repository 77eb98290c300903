"""Runs are read from the records of both services."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from shared.core.runs import RunFacts
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
    "content",
    [b'[{"Id": "a"}, 7, {"Id": ""}, {"Id": "b"}]', b'{"value": [{"runId": "a"}, {"id": "b"}]}'],
)
def test_an_item_that_is_no_run_is_left_out_of_a_list(content: bytes) -> None:
    runs = read_runs(content)
    assert runs is not None
    assert [run.id for run in runs] == ["a", "b"]


def test_an_empty_list_is_a_list() -> None:
    assert read_runs(b"[]") == read_runs(b'{"value": []}') == []


def test_the_tag_wins_over_the_property() -> None:
    run = read_run(
        b'{"Id": "r", "tags": {"Submission": "t-1"}, "properties": {"submission": "p-1"}}'
    )
    assert run is not None
    assert run.correlation_id == "t-1"


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
