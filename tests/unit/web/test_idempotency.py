"""Idempotency: the headers that make a repeated request the same submission."""

from __future__ import annotations

import pytest

from shared.core.errors import InvalidRequest
from shared.web.idempotency import read_request_key
from tests.unit.web.calls import HTTP_TRIGGERS, MakeBench, errors, post


def test_the_same_key_is_the_same_submission_and_another_body_is_422(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(HTTP_TRIGGERS)
    headers = {"idempotency-key": "order-1"}
    first = post(bench, {"day": "monday"}, headers=headers)
    again = post(bench, {"day": "monday"}, headers=headers)
    other = post(bench, {"day": "tuesday"}, headers=headers)
    assert (first.status, again.status, other.status) == (202, 202, 422)
    assert first.content["id"] == again.content["id"]
    assert len(bench.workspace.bodies) == 1


def test_without_a_key_each_call_is_a_new_submission(make_bench: MakeBench) -> None:
    bench = make_bench(HTTP_TRIGGERS)
    assert post(bench).content["id"] != post(bench).content["id"]


def test_a_repeated_action_of_logic_apps_is_one_submission(make_bench: MakeBench) -> None:
    bench = make_bench(HTTP_TRIGGERS)
    headers = {"x-ms-workflow-run-id": "0858", "x-ms-workflow-operation-name": "Start"}
    assert post(bench, headers=headers).content["id"] == post(bench, headers=headers).content["id"]
    other = {**headers, "x-ms-workflow-operation-name": "Start_2"}
    post(bench, headers=other)
    assert len(bench.workspace.bodies) == 2


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("", "0 characters"),
        ("x" * 256, "256 characters"),
        ("a\nb", "a character that is not printable"),
    ],
)
def test_an_invalid_key_is_400(make_bench: MakeBench, key: str, found: str) -> None:
    reply = post(make_bench(HTTP_TRIGGERS), headers={"idempotency-key": key})
    assert reply.status == 400
    assert errors(reply) == {
        "Idempotency-Key": f"found {found}; expected 1 to 255 printable characters"
    }


LOGIC_APPS = {"x-ms-workflow-run-id": "0858", "x-ms-workflow-operation-name": "Start"}


def test_the_callers_key_comes_before_that_of_logic_apps() -> None:
    assert read_request_key(LOGIC_APPS) == ("logic-apps", "0858", "Start")
    headers = {**LOGIC_APPS, "idempotency-key": "order-1"}
    assert read_request_key(headers) == ("key", "order-1")


@pytest.mark.parametrize("missing", list(LOGIC_APPS))
def test_one_header_of_logic_apps_alone_identifies_no_request(missing: str) -> None:
    headers = {**LOGIC_APPS, missing: ""}
    first, second = read_request_key(headers), read_request_key(headers)
    assert first[0] == second[0] == "new"
    assert first != second


@pytest.mark.parametrize("key", ["x", "x" * 255, "a b", "ü"])
def test_a_key_of_1_to_255_printable_characters_is_taken_as_it_is(key: str) -> None:
    assert read_request_key({"idempotency-key": key}) == ("key", key)


def test_a_key_does_not_replace_that_of_logic_apps_if_it_is_invalid() -> None:
    with pytest.raises(InvalidRequest):
        read_request_key({**LOGIC_APPS, "idempotency-key": ""})
