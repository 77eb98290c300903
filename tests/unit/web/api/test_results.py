"""Results: the HTTP status of each outcome."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.core.submissions import State
from shared.web.api import routes
from shared.web.api.results import retry_after, status_of
from tests.unit.web.calls import HTTP_TRIGGERS, REFUSED, SOURCES, MakeBench, get, post


def test_a_refused_submission_is_502_with_the_services_code_and_so_is_its_repeat(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(HTTP_TRIGGERS)
    bench.workspace.outcomes = [REFUSED]
    first = post(bench, headers={"idempotency-key": "k", "x-ms-client-request-id": "mine"})
    again = post(bench, headers={"idempotency-key": "k", "x-ms-client-request-id": "mine"})
    assert first == again
    assert (first.status, first.media_type) == (502, "application/problem+json")
    identifier = bench.submissions()[0].id
    assert first.content == {
        "type": "about:blank",
        "title": "No run was started",
        "status": 502,
        "detail": "no such pipeline",
        "request_id": "mine",
        "trigger": "on-demand",
        "submission": identifier,
        "state": "dead",
        "code": "NotFound",
        "service_request_id": "s-1",
    }
    assert get(routes.get_result, bench, id=identifier).status == 502
    assert get(routes.get_submission, bench, id=identifier).status == 200


def test_values_that_cannot_be_rendered_from_a_blob_are_422_and_nothing_is_sent(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(
        SOURCES.replace("new-data: {", 'new-data: {tags: {of: "{{ blob.metadata.of }}"}, ')
    )
    bench.blobs.put("incoming/a.csv", bench.clock)
    body = {"run_now": True, "blob": "incoming/a.csv"}
    for _ in range(2):
        reply = post(bench, body, name="new-data")
        assert (reply.status, reply.content["state"]) == (422, "dead")
    found = get(routes.get_result, bench, id=reply.content["submission"])
    assert (found.status, found.content["detail"]) == (
        422,
        "tags.of: the event has no blob.metadata.of",
    )
    assert bench.workspace.bodies == []


@pytest.mark.parametrize(
    ("state", "run_status", "code"),
    [
        (State.SUBMITTING, None, 202),
        (State.PENDING, None, 202),
        (State.UNKNOWN, None, 202),
        (State.SUBMITTED, "Running", 202),
        (State.HELD, None, 202),
        (State.FINISHED, "Finished", 200),
        (State.FINISHED, "Completed", 200),
        (State.FINISHED, "Failed", 424),
        (State.FINISHED, "Canceled", 424),
        (State.SKIPPED, None, 409),
        (State.DEAD, None, 502),
    ],
)
def test_result_and_status_have_the_same_http_status_for_each_outcome(
    make_bench: MakeBench, state: State, run_status: str | None, code: int
) -> None:
    bench = make_bench(HTTP_TRIGGERS)
    location = post(bench).headers["Location"]
    (one,) = bench.submissions()
    bench.app.services.ledger.submissions.update(
        one, lambda row: replace(row, state=state, run_status=run_status, reason="why")
    )
    result = get(routes.get_result, bench, id=one.id)
    _, _, status_token = location.rpartition("/")
    status = get(routes.status, bench, id=one.id, status_token=status_token)
    assert (result.status, status.status) == (code, code)
    assert ("Retry-After" in result.headers, "Retry-After" in status.headers) == (code == 202,) * 2
    assert status.content == {
        "state": state,
        "run_id": "run-1",
        "run_status": run_status,
        "error": "why",
    }
    assert (result.media_type == "application/problem+json") is (code not in (200, 202))
    assert result.content["submission"] == one.id


@pytest.mark.parametrize(
    ("state", "due_seconds", "expected"),
    [
        (State.PENDING, None, "60"),
        (State.PENDING, -30, "5"),
        (State.PENDING, 4, "5"),
        (State.PENDING, 17, "17"),
        (State.PENDING, 3600, "60"),
        (State.HELD, 4, "300"),
    ],
)
def test_a_caller_waits_until_the_submission_is_due_within_bounds(
    make_bench: MakeBench, state: State, due_seconds: int | None, expected: str
) -> None:
    bench = make_bench(HTTP_TRIGGERS)
    post(bench)
    (one,) = bench.submissions()
    now = bench.clock.now()
    due = None if due_seconds is None else now + timedelta(seconds=due_seconds)
    assert retry_after(replace(one, state=state, due=due), now) == {"Retry-After": expected}


def test_a_dead_submission_without_a_body_is_422_because_nothing_was_sent(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(HTTP_TRIGGERS)
    post(bench)
    (one,) = bench.submissions()
    dead = replace(one, state=State.DEAD)
    assert (status_of(dead), status_of(replace(dead, body=None))) == (502, 422)


def test_the_problem_of_a_failed_run_without_a_reason_tells_its_status(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(HTTP_TRIGGERS)
    post(bench)
    (one,) = bench.submissions()
    bench.app.services.ledger.submissions.update(
        one, lambda row: replace(row, state=State.FINISHED, run_status="Failed", reason=None)
    )
    reply = get(routes.get_result, bench, id=one.id)
    assert (reply.status, reply.content["title"]) == (424, "The run did not succeed")
    assert reply.content["detail"] == "the run's status is Failed"
