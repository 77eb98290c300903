"""JSON is read in the casing and the shapes of both services."""

from __future__ import annotations

import pytest

from shared.pipelines.service_json import (
    RUN_STATUSES,
    error_of,
    get_value,
    load_json,
    read_status,
    run_id_of,
    text_of,
)


@pytest.mark.parametrize("number", range(len(RUN_STATUSES)))
def test_a_status_is_read_as_name_number_or_number_in_text(number: int) -> None:
    name = RUN_STATUSES[number]
    for code in (number, str(number), f" {number} ", name, name.lower(), name.upper()):
        assert read_status(code) == name
        assert read_status({"StatusCode": code}) == name
        assert read_status({"statuscode": code}) == name


@pytest.mark.parametrize("status", [5, -1, "05", "Queued", "", True, [], {"StatusCode": {}}])
def test_an_unknown_status_is_none(status: object) -> None:
    assert read_status(status) is None


@pytest.mark.parametrize("status", [None, {}, {"StatusCode": None}])
def test_an_absent_status_is_not_started(status: object) -> None:
    assert read_status(status) == "NotStarted"


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b"null", None),
        (b"", None),
        (b"{", None),
        (b"\xff", None),
        (b"[" * 100_000, None),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_body_is_its_json_value_or_none(content: bytes, value: object) -> None:
    assert load_json(content) == value


@pytest.mark.parametrize(
    ("record", "value"),
    [
        ({"RunId": "a"}, "a"),
        ({"runId": "a"}, "a"),
        ({"runid": "a"}, "a"),
        ({"RunId": None, "runId": "b"}, "b"),
        ({"RunId": None}, None),
        ({}, None),
        ([], None),
        ("RunId", None),
        (None, None),
    ],
)
def test_a_key_is_found_in_any_casing(record: object, value: object) -> None:
    assert get_value(record, "runid") == value


@pytest.mark.parametrize(
    ("value", "run_id"),
    [
        ("run-1", "run-1"),
        (" run-1 ", "run-1"),
        ("x" * 255, "x" * 255),
        ("x" * 256, None),
        ("", None),
        (" ", None),
        ("a\nb", None),
        (7, None),
        (None, None),
        (["run-1"], None),
    ],
)
def test_a_value_that_cannot_be_a_run_id_is_none(value: object, run_id: str | None) -> None:
    assert run_id_of({"Id": value}) == run_id
    assert run_id_of({"RunId": value}, name="runid") == run_id
    assert run_id_of({"RunId": value}) is None


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        ({"Error": {"Code": "C", "Message": "m"}}, "C", "m"),
        ({"error": {"code": "C", "message": "m"}}, "C", "m"),
        ({"code": "C", "message": "m"}, "C", "m"),
        ({"error": "C", "error_description": "m"}, "C", "m"),
        ({"error": {"code": 7, "message": ["m"]}}, "7", None),
        ({"error": []}, None, None),
        ({}, None, None),
        (None, None, None),
        ([{"code": "C"}], None, None),
    ],
)
def test_an_error_is_read_in_each_shape(
    content: object, code: str | None, message: str | None
) -> None:
    assert error_of(content) == (code, message)


def test_an_error_is_redacted() -> None:
    code, message = error_of({"code": "x" * 200, "message": "https://a/b?sig=hunter2"})
    assert len(code or "") == 100
    assert "hunter2" not in (message or "")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        (7, "7"),
        (1.5, "1.5"),
        ("", None),
        (True, None),
        (None, None),
        ({}, None),
        ([], None),
    ],
)
def test_only_texts_and_numbers_are_text(value: object, text: str | None) -> None:
    assert text_of(value) == text
