"""The routes: what callers may send, and what they get."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.doubles import Bench
from shared.errors import InvalidRequest
from shared.http_api import routes
from shared.http_api.exchange import Reply, Request
from shared.http_api.requests import read_json
from shared.ledger.memory_table import Fault
from shared.outcomes import Outcome, OutcomeKind

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
    request = Request(url=URL, body=data, **extra)
    return routes.submit(bench.app.operations, request, name)


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
    assert reply.headers["Location"] == (
        f"https://app.azurewebsites.net/api/v1/submissions/{identifier}"
    )
    shown = routes.get_submission(bench.app.operations, Request(url="https://x/"), identifier)
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
    reply = routes.get_submission(bench.app.operations, Request(url="https://x/"), identifier)
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
    shown = routes.get_submission(bench.app.operations, Request(url="https://x/"), "0" * 32)
    assert shown.status == 503


def test_an_edited_row_is_503_and_says_which(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    identifier = post(bench).content["id"]
    from shared.ledger.table import Merge

    bench.table.transact([Merge(f"sub:{identifier}", {"state": "dreaming"})])
    reply = routes.get_submission(bench.app.operations, Request(url="https://x/"), identifier)
    assert reply.status == 503
    assert identifier in reply.content["detail"]


def test_health_says_only_whether_the_ledger_answers_and_when_the_last_tick_was(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(TRIGGERS)
    request = Request(url="https://x/api/health")
    reply = routes.health(bench.app.operations, request)
    assert (reply.status, reply.content) == (200, {"ledger": "ok", "last_tick": None})
    bench.app.ticking.run()
    reply = routes.health(bench.app.operations, request)
    assert reply.content == {"ledger": "ok", "last_tick": "2027-03-27T12:00:00Z"}


def test_health_is_503_when_the_ledger_does_not_answer(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS, fault=lambda _call: Fault.NOT_CARRIED_OUT)
    reply = routes.health(bench.app.operations, Request(url="https://x/"))
    assert (reply.status, reply.content["ledger"]) == (503, "unavailable")
