"""Requests to `submit`: values of the caller, `run_now`, and every invalid field."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.config.templates.names import RESERVED_BODY_NAMES
from shared.core.errors import InvalidRequest
from shared.core.events import BlobNotification, Ignored
from shared.operations.submissions import start
from shared.web.api import routes
from shared.web.api.models import ActionBody, PreviewBody, SubmissionBody
from shared.web.api.requests import MAX_PROBLEMS, read_body, read_time
from tests.unit.web.calls import HTTP_TRIGGERS, SOURCES, MakeBench, errors, post, send, sent


def test_values_of_the_caller_reach_the_run(make_bench: MakeBench) -> None:
    bench = make_bench(HTTP_TRIGGERS)
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
    bench = make_bench(HTTP_TRIGGERS)
    post(bench, {"data_paths": {"input": {"datastore": "reference", "path": "b.csv"}}})
    assert sent(bench)["DataPathAssignments"]["input"]["DataStoreName"] == "reference"


def test_template_text_in_values_arrives_as_text(make_bench: MakeBench) -> None:
    bench = make_bench(HTTP_TRIGGERS)
    post(bench, {"day": "{{ 7*7 }}", "parameters": {"level": "{{ 7*7 }}"}})
    assert sent(bench)["ParameterAssignments"] == {"day": "{{ 7*7 }}", "level": "{{ 7*7 }}"}


def test_keys_cookies_and_other_headers_never_reach_the_event_or_the_answer(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(HTTP_TRIGGERS)
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


def test_every_invalid_field_is_listed(make_bench: MakeBench) -> None:
    bench = make_bench(HTTP_TRIGGERS)
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
            "found unknown, which the triggers file does not declare; declared: lake, reference"
        ),
        "experiment": (
            "callers of this trigger may not set it; "
            "`http: {allow_experiment: true}` in the triggers file allows it"
        ),
        "dya": (
            "unknown key (did you mean day?); allowed: data_paths, day, experiment, parameters"
        ),
    }
    assert bench.submissions() == []


def test_every_wrong_type_is_listed_once(make_bench: MakeBench) -> None:
    reply = post(
        make_bench(HTTP_TRIGGERS),
        {
            "parameters": {"day": None, "level": [1]},
            "data_paths": {"input": {"path": 1}},
            "experiment": 7,
        },
    )
    assert reply.status == 400
    scalar = "expected text, a number, true or false"
    assert errors(reply) == {
        "parameters.day": scalar,
        "parameters.level": scalar,
        "data_paths.input": (
            'expected a path as text, or {"datastore": …, "path": …} with both as text'
        ),
        "experiment": "expected text that is not empty",
    }


@pytest.mark.parametrize("field", ["parameters", "data_paths"])
def test_a_list_instead_of_an_object_is_listed(make_bench: MakeBench, field: str) -> None:
    reply = post(make_bench(HTTP_TRIGGERS), {field: []})
    assert errors(reply) == {field: "expected an object of names and values"}


def test_a_caller_sets_the_experiment_only_if_the_trigger_allows_it(make_bench: MakeBench) -> None:
    bench = make_bench(HTTP_TRIGGERS)
    assert post(bench, {"experiment": "Mine"}, name="free").status == 202
    assert sent(bench)["ExperimentName"] == "Mine"
    assert post(bench, {"experiment": "  "}, name="free").status == 400


def test_types_names_and_keys_are_listed_in_one_reply(make_bench: MakeBench) -> None:
    body = {
        "parameters": {"z": 1, "level": [], "a": 1},
        "data_paths": 3,
        "experiment": "E",
        "foo": 1,
    }
    reply = post(make_bench(HTTP_TRIGGERS), body)
    assert list(errors(reply)) == [
        "parameters.level",
        "data_paths",
        "parameters.z",
        "parameters.a",
        "experiment",
        "foo",
    ]


@pytest.mark.parametrize("day", [None, {"of": "week"}, ["monday"]])
def test_a_value_that_a_template_cannot_use_is_400_and_claims_nothing(
    make_bench: MakeBench, day: object
) -> None:
    bench = make_bench(HTTP_TRIGGERS)
    reply = post(bench, {"day": day}, headers={"idempotency-key": "k"})
    assert reply.status == 400
    assert list(errors(reply)) == ["parameters.day"]
    assert bench.submissions() == []
    assert post(bench, {"day": "monday"}, headers={"idempotency-key": "k"}).status == 202


def test_a_query_that_the_ledger_cannot_hold_is_413_and_nothing_is_claimed(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(HTTP_TRIGGERS)
    reply = post(bench, query={"ticket": "x" * 70_000})
    assert reply.status == 413
    assert bench.submissions() == []


def test_an_unknown_key_is_listed_with_the_known_keys(
    make_bench: MakeBench,
) -> None:
    body = {"enable": True, "enabled": False}
    reply = send(routes.set_trigger, make_bench(SOURCES), body, name="on-demand")
    assert errors(reply) == {"enable": "unknown key (did you mean enabled?); allowed: enabled"}


def test_run_now_starts_a_schedule_as_the_occurrence_of_this_minute(make_bench: MakeBench) -> None:
    bench = make_bench(SOURCES)
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


def test_run_now_does_not_start_an_occurrence_again(make_bench: MakeBench) -> None:
    bench = make_bench(SOURCES)
    bench.app.tick()
    bench.clock.advance(days=1)
    bench.app.tick()
    reply = post(bench, {"run_now": True, "time": "2027-03-28T12:00:00Z"}, name="nightly")
    assert (reply.status, len(bench.workspace.bodies)) == (202, 1)


def test_run_now_starts_an_old_blob_once(make_bench: MakeBench) -> None:
    bench = make_bench(SOURCES)
    bench.blobs.put("incoming/a.csv", bench.clock)
    bench.clock.advance(days=30)
    notification = BlobNotification(trigger="new-data", container="data", path="incoming/a.csv")
    assert isinstance(start(bench.app.services, notification), Ignored)
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
def test_an_invalid_run_now_is_refused_with_the_reason(
    make_bench: MakeBench, name: str, body: Any, code: int, where: str | None
) -> None:
    bench = make_bench(SOURCES)
    reply = post(bench, body, name=name)
    assert reply.status == code
    assert reply.content["trigger"] == name
    assert set(errors(reply)) == ({where} if where else set())
    assert bench.workspace.bodies == []


def test_an_unknown_name_is_listed_with_the_closest_known_name(make_bench: MakeBench) -> None:
    body = {"data_paths": {"input": {"datastore": "lak", "path": "x"}}, "dya": "monday"}
    found = errors(post(make_bench(HTTP_TRIGGERS), body))
    assert found == {
        "dya": "unknown key (did you mean day?); allowed: data_paths, day, experiment, parameters",
        "data_paths.input.datastore": (
            "found lak (did you mean lake?), which the triggers file does not declare; "
            "declared: lake, reference"
        ),
    }


def test_the_reserved_names_are_the_fields_of_the_body() -> None:
    assert set(SubmissionBody.model_fields) == RESERVED_BODY_NAMES


def test_an_unknown_key_below_the_top_is_listed() -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_body(PreviewBody, {"blob": {"path": "a", "size": 3}})
    (problem,) = caught.value.problems
    assert (problem.where, problem.message) == ("blob.size", "unknown key; remove it")


def test_at_most_50_invalid_fields_are_listed() -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_body(ActionBody, {f"key-{number}": 1 for number in range(1000)})
    assert len(caught.value.problems) == MAX_PROBLEMS


def test_a_time_is_cut_to_the_minute() -> None:
    time = read_time("2027-03-27T02:30:59.9+01:00", where="time")
    assert time == datetime(2027, 3, 27, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize("text", ["1999-12-31T23:59:00Z", "2200-01-01T00:00:00Z", "noon", ""])
def test_a_time_outside_the_calendar_of_schedules_is_listed(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_time(text, where="time")
    (problem,) = caught.value.problems
    assert problem.where == "time"
    assert problem.message == (
        f"found {text}; expected a time with an offset, such as 2027-03-27T01:30:00Z, "
        "in a year from 2000 to 2199"
    )
