"""The routes: what callers may send, and what they get."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.testing.app import Bench
from local.testing.memory_table import Fault
from shared.clients.transport import VERSION
from shared.core.errors import InvalidRequest, StorageUnavailable
from shared.core.events import BlobNotification, Ignored
from shared.core.outcomes import Outcome, OutcomeKind
from shared.core.submissions import State
from shared.ledger.table.protocol import Merge
from shared.operations.listing import write_cursor
from shared.operations.submissions import start
from shared.operations.triggers import override
from shared.pipelines.workspaces import WorkspaceId
from shared.web.api import routes
from shared.web.api.requests import read_json
from shared.web.exchange import Reply, Request

type MakeBench = Callable[..., Bench]

TRIGGERS = """
on-demand:
  pipeline: scoring
  http: {}
  parameters: {day: "{{ http.body.day | default('any') }}", level: "1"}
  data_paths: {input: {datastore: lake, path: default.csv}}
  tags: {ticket: "{{ http.query.ticket | default('none') }}"}
free:
  pipeline: scoring
  http: {allow_experiment: true}
nightly:
  pipeline: scoring
  schedule: {frequency: day}
"""
URL = "https://app.azurewebsites.net/api/v1/triggers/on-demand/submissions?code=SECRET"


def post(
    bench: Bench,
    body: Any = None,
    *,
    name: str = "on-demand",
    raw: bytes | None = None,
    **extra: Any,
) -> Reply:
    data = raw if raw is not None else json.dumps({} if body is None else body).encode()
    request = Request(url=URL, body=data, params={"name": name}, **extra)
    return routes.submit(bench.app.api, request)


def get(route: routes.Route, bench: Bench, *, headers: Any = None, **params: str) -> Reply:
    return route(bench.app.api, Request(url="https://x/", headers=headers or {}, params=params))


def errors(reply: Reply) -> dict[str, str]:
    assert reply.media_type == "application/problem+json"
    assert reply.content["status"] == reply.status
    return {item["where"]: item["message"] for item in reply.content.get("errors", [])}


def sent(bench: Bench) -> dict[str, Any]:
    (body,) = bench.workspace.bodies
    content: dict[str, Any] = json.loads(body)
    return content


def test_a_call_answers_202_with_the_submission_and_its_location(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    reply = post(bench)
    assert reply.status == 202
    assert reply.content["state"] == "submitted"
    assert reply.content["run"]["id"] == "run-1"
    identifier = reply.content["id"]
    base = f"https://app.azurewebsites.net/api/status/{identifier}/"
    assert reply.headers["Location"].startswith(base)
    assert len(reply.headers["Location"]) == len(base) + 32
    assert reply.headers["Retry-After"] == "60"
    shown = get(routes.get_submission, bench, id=identifier)
    assert (shown.status, shown.content) == (200, reply.content)


def test_an_empty_body_is_an_empty_object(make_bench: MakeBench) -> None:
    assert post(make_bench(TRIGGERS), raw=b"").status == 202


def test_what_the_caller_sets_reaches_the_run(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    reply = post(
        bench,
        {
            "parameters": {"level": 1.5, "day": False},
            "data_paths": {"input": "a +%41/ü.csv"},
        },
        query={"ticket": "T-7", "code": "SECRET", "other": "x"},
    )
    assert reply.status == 202
    body = sent(bench)
    assert body["ParameterAssignments"] == {"day": "False", "level": "1.5"}
    assert body["DataPathAssignments"]["input"] == {
        "DataStoreName": "lake",
        "RelativePath": "a +%41/ü.csv",
    }
    assert body["tags"]["ticket"] == "T-7"


def test_a_data_path_may_lie_in_another_declared_datastore(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    post(bench, {"data_paths": {"input": {"datastore": "reference", "path": "b.csv"}}})
    assert sent(bench)["DataPathAssignments"]["input"]["DataStoreName"] == "reference"


def test_template_text_in_values_arrives_as_text(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    post(bench, {"day": "{{ 7*7 }}", "parameters": {"level": "{{ 7*7 }}"}})
    assert sent(bench)["ParameterAssignments"] == {"day": "{{ 7*7 }}", "level": "{{ 7*7 }}"}


def test_keys_cookies_and_other_headers_never_reach_the_event_or_the_answer(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(TRIGGERS)
    reply = post(
        bench,
        headers={
            "x-functions-key": "SECRET",
            "authorization": "Bearer SECRET",
            "cookie": "a=SECRET",
            "idempotency-key": "k",
        },
        query={"code": "SECRET", "ticket": "T"},
    )
    rows = bench.table.page(" ", "~").rows
    assert "SECRET" not in reply.body + str(reply.headers) + str([row.values for row in rows])


def test_the_same_key_is_the_same_submission_and_another_body_is_422(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(TRIGGERS)
    headers = {"idempotency-key": "order-1"}
    first = post(bench, {"day": "monday"}, headers=headers)
    again = post(bench, {"day": "monday"}, headers=headers)
    other = post(bench, {"day": "tuesday"}, headers=headers)
    assert (first.status, again.status, other.status) == (202, 202, 422)
    assert first.content["id"] == again.content["id"]
    assert len(bench.workspace.bodies) == 1


def test_without_a_key_each_call_is_a_new_submission(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    assert post(bench).content["id"] != post(bench).content["id"]


def test_a_repeated_action_of_logic_apps_is_one_submission(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    headers = {"x-ms-workflow-run-id": "0858", "x-ms-workflow-operation-name": "Start"}
    assert post(bench, headers=headers).content["id"] == post(bench, headers=headers).content["id"]
    other = {**headers, "x-ms-workflow-operation-name": "Start_2"}
    post(bench, headers=other)
    assert len(bench.workspace.bodies) == 2


@pytest.mark.parametrize("key", ["", "x" * 256, "a\nb"])
def test_a_key_that_cannot_be_used_is_named(make_bench: MakeBench, key: str) -> None:
    reply = post(make_bench(TRIGGERS), headers={"idempotency-key": key})
    assert reply.status == 400
    assert errors(reply) == {"Idempotency-Key": "must be 1 to 255 printable characters"}


def test_every_mistake_is_named(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    reply = post(
        bench,
        {
            "parameters": {"wrong": 1},
            "data_paths": {"nope": "x", "input": {"datastore": "unknown", "path": "x"}},
            "experiment": "Mine",
            "dya": "monday",
        },
    )
    assert reply.status == 400
    assert errors(reply) == {
        "parameters.wrong": (
            "the triggers file does not list it for this trigger or its pipeline; "
            "listed: day, level"
        ),
        "data_paths.nope": (
            "the triggers file does not list it for this trigger or its pipeline; listed: input"
        ),
        "data_paths.input.datastore": (
            "unknown is not declared in the triggers file; declared: lake, reference"
        ),
        "experiment": (
            "a caller may not choose it; `http: {allow_experiment: true}` in the triggers file "
            "permits it"
        ),
        "dya": (
            "is not known here; allowed: data_paths, day, experiment, parameters; did you mean day?"
        ),
    }
    assert bench.submissions() == []


def test_every_wrong_type_is_named_once(make_bench: MakeBench) -> None:
    reply = post(
        make_bench(TRIGGERS),
        {
            "parameters": {"day": None, "level": [1]},
            "data_paths": {"input": {"path": 1}},
            "experiment": 7,
        },
    )
    assert reply.status == 400
    scalar = "must be text, a number, true or false"
    assert errors(reply) == {
        "parameters.day": scalar,
        "parameters.level": scalar,
        "data_paths.input": (
            'must be a path as text, or {"datastore": …, "path": …} with both as text'
        ),
        "experiment": "must be text that is not empty",
    }


@pytest.mark.parametrize("field", ["parameters", "data_paths"])
def test_a_list_where_an_object_must_be_is_named(make_bench: MakeBench, field: str) -> None:
    reply = post(make_bench(TRIGGERS), {field: []})
    assert errors(reply) == {field: "must be an object of names and values"}


def test_an_experiment_of_the_callers_needs_leave(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    assert post(bench, {"experiment": "Mine"}, name="free").status == 202
    assert sent(bench)["ExperimentName"] == "Mine"
    assert post(bench, {"experiment": "  "}, name="free").status == 400


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"{", "Expecting property name"),
        (b"[]", "it must be an object"),
        (b'"text"', "it must be an object"),
        (b'{"day": NaN}', "NaN is not a JSON number"),
        (b'{"day": -Infinity}', "-Infinity is not a JSON number"),
        (b'{"day": 1e999}', "the number 1e999 is too large"),
        (b'{"day": 1, "day": 2}', "the key day stands there more than once"),
        (b'{"day": "\\ud800"}', "not valid UTF-8"),
        (b"\xff\xfe", "not valid UTF-8"),
        (b'{"day": ' + b"[" * 20_000 + b"]" * 20_000 + b"}", "nested too deeply"),
        (b'{"day": ' + b"9" * 5000 + b"}", "is too long; put it in quotes"),
    ],
)
def test_what_is_not_strict_json_is_400_with_the_reason(
    make_bench: MakeBench, raw: bytes, message: str
) -> None:
    reply = post(make_bench(TRIGGERS), raw=raw)
    assert reply.status == 400
    assert message in errors(reply)["body"]


@pytest.mark.parametrize("number", ["1.10", "1e5", "0.1234567890123456789", "-0", "1E2"])
def test_a_number_that_would_not_be_sent_as_it_was_written_is_400(
    make_bench: MakeBench, number: str
) -> None:
    reply = post(make_bench(TRIGGERS), raw=f'{{"parameters": {{"level": {number}}}}}'.encode())
    assert reply.status == 400
    assert f"the number {number} would be sent as" in errors(reply)["body"]


@pytest.mark.parametrize("number", ["1.5", "-7", "0", "1e+22", "0.1", "12345678901234567890"])
def test_a_number_is_sent_as_it_was_written(make_bench: MakeBench, number: str) -> None:
    bench = make_bench(TRIGGERS)
    assert post(bench, raw=f'{{"parameters": {{"level": {number}}}}}'.encode()).status == 202
    assert sent(bench)["ParameterAssignments"]["level"] == number


def test_types_names_and_keys_are_named_in_one_answer(make_bench: MakeBench) -> None:
    body = {
        "parameters": {"z": 1, "level": [], "a": 1},
        "data_paths": 3,
        "experiment": "E",
        "foo": 1,
    }
    reply = post(make_bench(TRIGGERS), body)
    assert list(errors(reply)) == [
        "parameters.level",
        "data_paths",
        "parameters.z",
        "parameters.a",
        "experiment",
        "foo",
    ]


@pytest.mark.parametrize("day", [None, {"of": "week"}, ["monday"]])
def test_a_value_that_a_template_cannot_use_is_the_callers_mistake(
    make_bench: MakeBench, day: object
) -> None:
    bench = make_bench(TRIGGERS)
    reply = post(bench, {"day": day}, headers={"idempotency-key": "k"})
    assert reply.status == 400
    assert list(errors(reply)) == ["parameters.day"]
    assert bench.submissions() == []
    assert post(bench, {"day": "monday"}, headers={"idempotency-key": "k"}).status == 202


@given(st.binary(max_size=200))
def test_no_bytes_make_anything_but_an_object_or_a_problem(data: bytes) -> None:
    try:
        assert isinstance(read_json(data), dict)
    except InvalidRequest as error:
        assert error.problems


def test_a_body_above_48_kib_is_413(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    fits = json.dumps({"day": "x" * (48 * 1024 - 11)}).encode()
    assert len(fits) == 48 * 1024
    assert post(bench, raw=fits).status == 202
    assert post(bench, raw=fits + b" ").status == 413


def test_a_query_that_the_ledger_cannot_hold_is_413_and_nothing_is_claimed(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(TRIGGERS)
    reply = post(bench, query={"ticket": "x" * 70_000})
    assert reply.status == 413
    assert bench.submissions() == []


def test_an_unknown_trigger_is_404(make_bench: MakeBench) -> None:
    reply = post(make_bench(TRIGGERS), name="nobody")
    assert (reply.status, errors(reply)) == (404, {})


def test_a_trigger_of_another_source_is_409(make_bench: MakeBench) -> None:
    reply = post(make_bench(TRIGGERS), name="nightly")
    assert reply.status == 409
    assert "starts from a schedule" in reply.content["detail"]


@pytest.mark.parametrize("identifier", ["0" * 32, "../tick", "", "a/b", "x" * 5000])
def test_an_unknown_submission_is_404(make_bench: MakeBench, identifier: str) -> None:
    bench = make_bench(TRIGGERS)
    reply = get(routes.get_submission, bench, id=identifier)
    assert reply.status == 404


@pytest.mark.parametrize("kind", [OutcomeKind.NOT_STARTED, OutcomeKind.UNKNOWN])
def test_azure_ml_or_identity_down_is_202_since_the_claim_holds_the_event(
    make_bench: MakeBench, kind: OutcomeKind
) -> None:
    bench = make_bench(TRIGGERS)
    bench.workspace.outcomes = [Outcome(kind=kind, message="down", request_id="r")]
    reply = post(bench)
    assert reply.status == 202
    assert reply.content["state"] in {"pending", "unknown"}
    assert reply.content["reason"] == "down"


def test_a_ledger_that_is_down_is_503_without_a_trace(
    make_bench: MakeBench, caplog: pytest.LogCaptureFixture
) -> None:
    bench = make_bench(TRIGGERS, fault=lambda _call: Fault.NOT_CARRIED_OUT)
    reply = post(bench)
    assert (reply.status, reply.headers["Retry-After"]) == (503, "30")
    assert "Traceback" not in reply.body
    assert caplog.records[-1].levelno == logging.ERROR
    assert bench.workspace.bodies == []
    shown = get(routes.get_submission, bench, id="0" * 32)
    assert shown.status == 503


def test_an_edited_row_is_503_and_says_which(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    identifier = post(bench).content["id"]
    bench.table.transact([Merge(f"sub:{identifier}", {"state": "dreaming"})])
    reply = get(routes.get_submission, bench, id=identifier)
    assert reply.status == 503
    assert identifier in reply.content["detail"]


def test_health_says_only_whether_the_ledger_answers_and_what_the_last_tick_counted(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(TRIGGERS)
    reply = get(routes.health, bench)
    always = {"ledger": "ok", "version": VERSION, "file": bench.config.digest}
    nothing = {"last_tick": None, "dead": None, "held": None}
    assert (reply.status, reply.content) == (200, {**always, **nothing})
    bench.workspace.outcomes = [Outcome(kind=OutcomeKind.REFUSED, message="no")] * 2
    post(bench)
    post(bench)
    bench.app.tick()
    counted = {"last_tick": "2027-03-27T12:00:00Z", "dead": 2, "held": 0}
    assert get(routes.health, bench).content == {**always, **counted}


def test_health_is_503_when_the_ledger_does_not_answer(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS, fault=lambda _call: Fault.NOT_CARRIED_OUT)
    reply = get(routes.health, bench)
    assert (reply.status, reply.content["ledger"]) == (503, "unavailable")


# The other routes

MORE = """
on-demand: {pipeline: scoring, http: {}, parameters: {day: "{{ http.body.day | default('any') }}"}}
strict: {pipeline: scoring, http: {}, parameters: {part: "{{ http.body.day.part }}"}}
nightly: {pipeline: scoring, schedule: {frequency: day}}
new-data: {pipeline: scoring, blob: {datastore: lake, path: incoming, include: ["*.csv"]}}
"""
REFUSED = Outcome(
    kind=OutcomeKind.REFUSED, message="no such pipeline", code="NotFound", service_request_id="s-1"
)


def send(route: routes.Route, bench: Bench, body: Any = None, **params: str) -> Reply:
    data = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
    return route(bench.app.api, Request(url="https://x/", body=data, params=params))


def listed(bench: Bench, **query: str) -> Reply:
    return routes.list_submissions(bench.app.api, Request(url="https://x/", query=query))


def test_a_submission_that_is_dead_at_once_is_502_with_the_services_code_and_so_is_its_repeat(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(TRIGGERS)
    bench.workspace.outcomes = [REFUSED]
    first = post(bench, headers={"idempotency-key": "k", "x-ms-client-request-id": "mine"})
    again = post(bench, headers={"idempotency-key": "k", "x-ms-client-request-id": "mine"})
    assert first == again
    assert (first.status, first.media_type) == (502, "application/problem+json")
    identifier = bench.submissions()[0].id
    assert first.content == {
        "type": "about:blank",
        "title": "Nothing was started",
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


def test_values_that_cannot_be_made_of_a_blob_are_422_since_no_service_was_asked(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(
        MORE.replace("new-data: {", 'new-data: {tags: {of: "{{ blob.metadata.of }}"}, ')
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
def test_result_and_status_say_with_one_code_what_became_of_it(
    make_bench: MakeBench, state: State, run_status: str | None, code: int
) -> None:
    bench = make_bench(TRIGGERS)
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


def test_a_location_with_anything_wrong_is_404(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    status_token = post(bench).headers["Location"].rpartition("/")[2]
    (one,) = bench.submissions()
    for identifier, secret in [
        (one.id, ""),
        (one.id, status_token[:-1]),
        (one.id, status_token + "x"),
        (one.id, "ü\ud800".encode("utf-8", "surrogatepass").decode("latin-1")),
        ("0" * 32, status_token),
        (one.id.upper(), status_token),
        ("../" + one.id, status_token),
    ]:
        reply = get(routes.status, bench, id=identifier, status_token=secret)
        assert reply.status == 404
        assert "run-1" not in reply.body
    bench.table.transact(
        [Merge(f"sub:{one.id}", {"status_token": ""})]
    )  # a row of an older version
    assert get(routes.status, bench, id=one.id, status_token="").status == 404
    assert get(routes.get_submission, bench, id=one.id).status == 200


def test_a_row_of_an_older_version_has_a_location_that_needs_a_key(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    identifier = post(bench, headers={"idempotency-key": "k"}).content["id"]
    bench.table.transact([Merge(f"sub:{identifier}", {"status_token": "", "decisions": "[]"})])
    again = post(bench, headers={"idempotency-key": "k"})
    assert again.headers["Location"].endswith(f"/api/v1/submissions/{identifier}")


def test_the_capability_is_in_no_answer_but_the_location(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    reply = post(bench)
    status_token = reply.headers["Location"].rpartition("/")[2]
    answers = [reply, listed(bench), get(routes.get_submission, bench, id=reply.content["id"])]
    assert status_token not in "".join(one.body for one in answers)


def test_a_schedule_is_run_now_as_the_occurrence_of_this_minute(make_bench: MakeBench) -> None:
    bench = make_bench(MORE)
    bench.clock.advance(seconds=20)
    first = post(bench, {"run_now": True}, name="nightly")
    bench.clock.advance(seconds=20)
    again = post(bench, {"run_now": True}, name="nightly")
    assert (first.status, again.status) == (202, 202)
    assert first.content["id"] == again.content["id"]
    assert first.content["event"]["time"] == "2027-03-27T12:00:00Z"
    assert first.content["decisions"][0]["action"] == "run_now"
    early = post(bench, {"run_now": True, "time": "1999-12-31T23:59:00Z"}, name="nightly")
    assert early.status == 400
    before = post(bench, {"run_now": True, "time": "2020-01-01T01:00:59+01:00"}, name="nightly")
    assert before.content["event"]["time"] == "2020-01-01T00:00:00Z"
    assert len(bench.workspace.bodies) == 2


def test_an_occurrence_that_was_started_is_not_started_again(make_bench: MakeBench) -> None:
    bench = make_bench(MORE)
    bench.app.tick()
    bench.clock.advance(days=1)
    bench.app.tick()
    reply = post(bench, {"run_now": True, "time": "2027-03-28T12:00:00Z"}, name="nightly")
    assert (reply.status, len(bench.workspace.bodies)) == (202, 1)


def test_a_blob_is_run_now_however_old_it_is_and_once(make_bench: MakeBench) -> None:
    bench = make_bench(MORE)
    bench.blobs.put("incoming/a.csv", bench.clock)
    bench.clock.advance(days=30)
    notice = BlobNotification(trigger="new-data", container="data", path="incoming/a.csv")
    assert isinstance(start(bench.app.services, notice), Ignored)
    body = {"run_now": True, "blob": "incoming/a.csv"}
    assert post(bench, body, name="new-data").status == 202
    assert post(bench, body, name="new-data").status == 202
    assert len(bench.workspace.bodies) == 1


@pytest.mark.parametrize(
    ("name", "body", "code", "where"),
    [
        ("nightly", {}, 409, None),
        ("new-data", {}, 409, None),
        ("nightly", {"run_now": False}, 400, "run_now"),
        ("nightly", {"run_now": 1}, 400, "run_now"),
        ("nightly", {"run_now": True, "blob": "incoming/a.csv"}, 400, "blob"),
        ("nightly", {"run_now": True, "time": "2027-03-27T12:01:00Z"}, 400, "time"),
        ("nightly", {"run_now": True, "time": "2027-03-27T12:00:00"}, 400, "time"),
        ("nightly", {"run_now": True, "time": "0001-01-01T00:00:00+14:00"}, 400, "time"),
        ("nightly", {"run_now": True, "time": 7}, 400, "time"),
        ("nightly", {"run_now": True, "parameters": {}}, 400, "parameters"),
        ("new-data", {"run_now": True}, 400, "blob"),
        ("new-data", {"run_now": True, "blob": ""}, 400, "blob"),
        ("new-data", {"run_now": True, "blob": "x" * 1025}, 400, "blob"),
        ("new-data", {"run_now": True, "blob": "incoming/gone.csv"}, 409, None),
        ("new-data", {"run_now": True, "blob": "incoming/a.txt"}, 409, None),
        ("new-data", {"run_now": True, "blob": "incoming/../secret/a.csv"}, 409, None),
        ("new-data", {"run_now": True, "blob": "https://evil.example/a.csv"}, 409, None),
        ("on-demand", {"run_now": True}, 400, "run_now"),
    ],
)
def test_what_cannot_be_run_now_is_refused_with_the_reason(
    make_bench: MakeBench, name: str, body: Any, code: int, where: str | None
) -> None:
    bench = make_bench(MORE)
    reply = post(bench, body, name=name)
    assert reply.status == code
    assert reply.content["trigger"] == name
    assert set(errors(reply)) == ({where} if where else set())
    assert bench.workspace.bodies == []


def test_triggers_are_listed_in_pages_and_shown(make_bench: MakeBench) -> None:
    bench = make_bench(MORE)
    names: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        query = {"limit": "3"} | ({"cursor": cursor} if cursor else {})
        page = routes.list_triggers(bench.app.api, Request(url="https://x/", query=query))
        assert page.status == 200
        names += [one["name"] for one in page.content["triggers"]]
        cursor = page.content["cursor"]
    assert names == list(bench.config.triggers)
    shown = get(routes.get_trigger, bench, name="nightly").content
    assert (shown["enabled"], shown["override"], len(shown["next"])) == (True, None, 5)
    assert get(routes.get_trigger, bench, name="nobody").status == 404
    bad = Request(url="https://x/", query={"cursor": write_cursor("trigger:nobody")})
    assert routes.list_triggers(bench.app.api, bad).status == 404


def test_a_trigger_is_switched(make_bench: MakeBench) -> None:
    bench = make_bench(MORE)
    off = send(routes.set_trigger, bench, {"enabled": False}, name="on-demand")
    assert (off.status, off.content["enabled"], off.content["override"]) == (200, False, False)
    assert post(bench).status == 409
    on = send(routes.set_trigger, bench, {"enabled": None}, name="on-demand")
    assert (on.content["enabled"], on.content["override"]) == (True, None)
    assert post(bench).status == 202


@pytest.mark.parametrize("body", [{}, {"enabled": 0}, {"enabled": "no"}, {"enable": True}, b"[]"])
def test_a_switch_must_say_what_it_means(make_bench: MakeBench, body: Any) -> None:
    assert send(routes.set_trigger, make_bench(MORE), body, name="on-demand").status == 400


@pytest.mark.parametrize(
    "query",
    [
        {"stat": "dead"},
        {"state": "asleep"},
        {"state": "dead,held"},
        {"limit": "0"},
        {"limit": "101"},
        {"limit": "1e1"},
        {"limit": "٣"},
        {"limit": "9" * 5000},
        {"since": "yesterday"},
        {"since": "2027-03-27"},
        {"cursor": "garbage"},
        {"cursor": "x" * 5000},
        {"trigger": ""},
        {"trigger": "x" * 261},
    ],
)
def test_a_query_that_cannot_be_used_is_400(make_bench: MakeBench, query: dict[str, str]) -> None:
    reply = listed(make_bench(MORE), **query)
    assert reply.status == 400
    assert list(errors(reply)) == list(query)


def test_the_host_may_find_its_key_in_the_query(make_bench: MakeBench) -> None:
    assert listed(make_bench(MORE), code="SECRET", clientId="default").status == 200


def test_submissions_are_acted_on(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    bench.workspace.outcomes = [REFUSED, REFUSED]
    for number in range(2):
        post(bench, headers={"idempotency-key": str(number)})
    ids = [one["id"] for one in listed(bench, state="dead").content["submissions"]]
    act = routes.act_on_submission
    replayed = send(act, bench, id=ids[0], action="replay")
    assert (replayed.status, replayed.content["generation"]) == (200, 2)
    assert send(act, bench, id=ids[0], action="cancel").status == 200
    assert send(act, bench, id=ids[1], action="drop").content["state"] == "skipped"
    assert send(act, bench, id=ids[1], action="drop").status == 409
    assert send(act, bench, id=ids[1], action="explode").status == 404
    assert send(act, bench, {"confirm": "yes"}, id=ids[1], action="replay").status == 400
    assert listed(bench, state="dead").content["submissions"] == []


def test_a_replay_whose_values_cannot_be_made_any_more_is_422(
    make_bench: MakeBench, write_triggers: Callable[[str], Any]
) -> None:
    bench = make_bench(TRIGGERS)
    bench.workspace.outcomes = [REFUSED]
    post(bench, {"parameters": {"level": 3}})
    (dead,) = bench.submissions()
    later = bench.restarted(file=write_triggers("on-demand: {pipeline: scoring, http: {}}"))
    assert send(routes.act_on_submission, later, id=dead.id, action="replay").status == 422


# Preview


def previewed(bench: Bench, body: Any) -> dict[str, dict[str, Any]]:
    calls = bench.table.calls.copy()
    reply = send(routes.preview, bench, body)
    assert reply.status == 200
    assert set(bench.table.calls - calls) <= {"get", "page"}
    return {one["trigger"]: one for one in reply.content["triggers"]}


def failed(preview: dict[str, Any]) -> tuple[str, str] | None:
    found = preview["failed"]
    return (found["condition"], found["value"]) if found else None


def test_a_preview_says_what_a_blob_would_start_and_starts_nothing(make_bench: MakeBench) -> None:
    bench = make_bench(MORE.replace("new-data: {", 'new-data: {tags: {of: "{{ blob.etag }}"}, '))
    bench.blobs.put("incoming/a.csv", bench.clock)
    seen = previewed(bench, {"blob": {"path": "incoming/a.csv"}})
    assert seen["new-data"]["starts"]
    assert failed(seen["nightly"]) == ("source", "schedule")
    assert (bench.workspace.bodies, bench.table.calls["transact"]) == ([], 0)
    started = post(bench, {"run_now": True, "blob": "incoming/a.csv"}, name="new-data")
    assert started.content["id"] == seen["new-data"]["submission"]
    assert sent(bench) == seen["new-data"]["body"]
    again = previewed(bench, {"blob": {"path": "incoming/a.csv", "container": "data"}})
    assert failed(again["new-data"]) == ("new", "submitted")


@pytest.mark.parametrize(
    ("blob", "expected"),
    [
        ({"path": "elsewhere/a.csv"}, ("path", "elsewhere/a.csv")),
        ({"path": "incoming/sub/a.csv"}, ("recursive", "incoming/sub/a.csv")),
        ({"path": "incoming/a.txt"}, ("include", "a.txt")),
        ({"path": "incoming/gone.csv"}, ("exists", "false")),
        ({"path": "incoming/a.csv", "container": "other"}, ("container", "other")),
    ],
)
def test_a_preview_names_the_first_condition_that_fails_and_its_value(
    make_bench: MakeBench, blob: dict[str, str], expected: tuple[str, str]
) -> None:
    bench = make_bench(MORE)
    assert failed(previewed(bench, {"blob": blob})["new-data"]) == expected


def test_a_preview_of_an_old_blob_of_a_disabled_trigger_and_of_storage_that_is_down(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(MORE)
    bench.blobs.put("incoming/a.csv", bench.clock)
    bench.clock.advance(days=1)
    body = {"blob": {"path": "incoming/a.csv"}, "trigger": "new-data"}
    assert failed(previewed(bench, body)["new-data"]) == ("start", "2027-03-27T12:00:00Z")
    override(bench.app.services, "new-data", False)
    assert failed(previewed(bench, body)["new-data"]) == ("enabled", "false")
    bench.blobs.failure = StorageUnavailable("down")
    assert failed(previewed(bench, body)["new-data"]) == ("exists", "unknown")


def test_a_preview_of_a_time_and_of_a_request(make_bench: MakeBench) -> None:
    bench = make_bench(MORE)
    tomorrow = previewed(bench, {"time": "2027-03-28T12:00:30Z"})
    assert tomorrow["nightly"]["body"]["ExperimentName"] == "MyRestPipeline"
    later = previewed(bench, {"time": "2027-03-28T12:01:00Z"})
    assert failed(later["nightly"]) == ("schedule", "2027-03-28T12:01:00Z")
    asked = previewed(bench, {"request": {"body": {"day": "{{ 7*7 }}"}}})
    assert asked["on-demand"]["body"]["ParameterAssignments"] == {"day": "{{ 7*7 }}"}
    assert failed(asked["strict"]) == ("values", "parameters.part")
    wrong = previewed(bench, {"request": {"body": {"dya": 1}}})
    assert failed(wrong["on-demand"]) == ("request", "dya")


def test_a_preview_goes_page_by_page(make_bench: MakeBench) -> None:
    bench = make_bench(MORE)
    time = "2027-03-28T12:00:00Z"
    first = send(routes.preview, bench, {"time": time, "limit": 3}).content
    rest = send(routes.preview, bench, {"time": time, "cursor": first["cursor"]}).content
    names = [one["trigger"] for one in [*first["triggers"], *rest["triggers"]]]
    assert (names, rest["cursor"]) == (list(bench.config.triggers), None)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"time": "2027-03-28T12:00:00Z", "blob": {"path": "a"}},
        {"time": "noon"},
        {"blob": {}},
        {"blob": {"path": "x" * 1025}},
        {"request": []},
        {"time": "2027-03-28T12:00:00Z", "limit": 101},
        {"time": "2027-03-28T12:00:00Z", "cursor": "garbage"},
    ],
)
def test_a_preview_of_nothing_in_particular_is_400(make_bench: MakeBench, body: Any) -> None:
    assert send(routes.preview, make_bench(MORE), body).status == 400


# Roles


def principal(*roles: str, name: str = "ada@example.org") -> dict[str, str]:
    claims = [{"typ": "roles", "val": role} for role in roles]
    claims.append({"typ": "preferred_username", "val": name})
    content = {"auth_typ": "aad", "name_typ": "name", "role_typ": "roles", "claims": claims}
    return {"x-ms-client-principal": base64.b64encode(json.dumps(content).encode()).decode()}


ALLOWED = {
    routes.submit: {"submitter", "operator"},
    routes.list_triggers: {"reader", "operator"},
    routes.get_trigger: {"reader", "operator"},
    routes.set_trigger: {"operator"},
    routes.list_submissions: {"reader", "operator"},
    routes.get_submission: {"reader", "operator"},
    routes.get_result: {"submitter", "reader", "operator"},
    routes.act_on_submission: {"operator"},
    routes.preview: {"reader", "operator"},
    routes.openapi: {"submitter", "reader", "operator"},
}


@pytest.mark.parametrize("route", ALLOWED, ids=lambda route: route.__name__)
def test_with_roles_on_a_route_needs_one_of_its_roles(
    make_bench: MakeBench, route: routes.Route
) -> None:
    bench = make_bench(MORE, roles=True)
    params = {"name": "on-demand", "id": "0" * 32, "action": "drop"}

    def code(headers: dict[str, str]) -> int:
        return route(
            bench.app.api, Request(url="https://x/", headers=headers, params=params)
        ).status

    assert code({}) == 401
    assert code(principal()) == 403
    assert code(principal("admin")) == 403
    for role in ("submitter", "reader", "operator"):
        assert (code(principal(role)) not in (401, 403)) is (role in ALLOWED[route])


@pytest.mark.parametrize(
    "header",
    ["%", "ü", "e30=", base64.b64encode(b'{"claims": 7}').decode(), "W10=", "bnVsbA==",
     base64.b64encode(b'{"claims": [{"typ": "roles"}]}').decode(),
     base64.b64encode(b"[" * 40_000).decode(), "A" * 100_000],
)  # fmt: skip
def test_a_principal_that_cannot_be_read_is_401(make_bench: MakeBench, header: str) -> None:
    bench = make_bench(MORE, roles=True)
    headers = {"x-ms-client-principal": header}
    assert get(routes.list_triggers, bench, headers=headers).status == 401


def test_with_roles_on_the_callers_name_is_recorded_with_what_it_did(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(TRIGGERS, roles=True)
    bench.workspace.outcomes = [REFUSED]
    post(bench, headers=principal("submitter"))
    (one,) = bench.submissions()
    headers = principal("operator", name="bob\r\nSet-Cookie: x")
    get(routes.act_on_submission, bench, headers=headers, id=one.id, action="replay")
    (one,) = bench.submissions()
    assert [(entry.action, entry.by) for entry in one.decisions] == [
        ("submit", "ada@example.org"),
        ("replay", "bob��Set-Cookie: x"),
    ]
    request = Request(
        url="https://x/",
        headers=principal("operator"),
        body=b'{"enabled": false}',
        params={"name": "on-demand"},
    )
    assert routes.set_trigger(bench.app.api, request).content["overridden_by"] == "ada@example.org"


def test_with_roles_off_a_forged_principal_changes_nothing(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    bench.workspace.outcomes = [REFUSED]
    post(bench, headers=principal("operator", name="forged"))
    (one,) = bench.submissions()
    headers = principal(name="forged")
    shown = get(routes.act_on_submission, bench, headers=headers, id=one.id, action="replay")
    assert shown.status == 200
    assert shown.content["decisions"][0]["by"] is None
    assert "forged" not in str([row.values for row in bench.table.page(" ", "~").rows])


# Hostile things


@pytest.mark.parametrize(
    "name",
    ["../tick", "..%2f", "on-demand/../x", "\r\nSet-Cookie: a=b", "x" * 10_000, "", "{{ 7*7 }}"],
)
@pytest.mark.parametrize(
    "route", [routes.submit, routes.get_trigger, routes.get_submission, routes.get_result]
)
def test_tricks_in_names_are_404_and_no_header_carries_them(
    make_bench: MakeBench, name: str, route: routes.Route
) -> None:
    reply = get(route, make_bench(MORE), name=name, id=name)
    assert reply.status == 404
    assert not [value for value in reply.headers.values() if "Cookie" in value]
    assert len(reply.body) < 1000


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 40_000,
        b'{"enabled": true, "enabled": false}',
        b'{"enabled": NaN}',
        b'{"enabled": ' + b"9" * 5000 + b"}",
        b"\xff",
        b'{"' + b"x" * 10_000 + b'": 1}',
        b'{"enabled": "' + b"x" * 50_000 + b'"}',
    ],
)
@pytest.mark.parametrize("route", [routes.set_trigger, routes.act_on_submission, routes.preview])
def test_hostile_bodies_are_refused_everywhere_with_a_short_answer(
    make_bench: MakeBench, raw: bytes, route: routes.Route
) -> None:
    bench = make_bench(MORE)
    reply = send(route, bench, raw, name="on-demand", id="0" * 32, action="drop")
    assert reply.status in (400, 413)
    assert len(reply.body) < 2000
    assert bench.table.calls["transact"] == 0


def test_a_request_id_that_is_none_is_replaced(make_bench: MakeBench) -> None:
    headers = {"x-ms-client-request-id": "a\r\nb"}
    reply = get(routes.get_trigger, make_bench(MORE), headers=headers, name="nobody")
    assert len(reply.content["request_id"]) == 36


@pytest.mark.parametrize(
    ("cloud", "host"),
    [("public", "ml.azure.com"), ("china", "studio.ml.azure.cn"), ("usgov", "ml.azure.us")],
)
def test_a_run_has_its_page_in_the_studio_of_its_cloud(cloud: str, host: str) -> None:
    workspace = WorkspaceId(subscription="s", resource_group="g h", name="w", cloud=cloud)
    assert workspace.studio_url("run/1") == (
        f"https://{host}/runs/run%2F1?wsid=/subscriptions/s/resourcegroups/g%20h/workspaces/w"
    )
    assert replace(workspace, name=None).studio_url("run-1") is None


@pytest.mark.parametrize(
    "blob",
    [
        {"path": "incoming/a.csv", "container": "reference"},
        {"path": "incoming/a.csv", "container": "https://evil.example/data"},
        {"path": "https://evil.example/incoming/a.csv"},
        {"path": "//evil.example/a.csv"},
    ],
)
def test_nothing_is_asked_of_storage_that_the_trigger_does_not_name(
    make_bench: MakeBench, blob: dict[str, str]
) -> None:
    bench = make_bench(MORE)
    previewed(bench, {"blob": blob})
    post(bench, {"run_now": True, "blob": blob["path"]}, name="new-data")
    asked = bench.blobs.heads
    assert asked == (
        1 if blob["path"] == "incoming/a.csv" else 0
    )  # run_now: the trigger's own container


def test_a_key_that_a_route_does_not_know_is_told_with_those_it_knows(
    make_bench: MakeBench,
) -> None:
    body = {"enable": True, "enabled": False}
    reply = send(routes.set_trigger, make_bench(MORE), body, name="on-demand")
    assert errors(reply) == {"enable": "is not known here; allowed: enabled"}
