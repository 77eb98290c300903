"""Strict JSON: a run gets exactly the values that the caller wrote."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.errors import InvalidRequest
from shared.web.strict_json import read_json
from tests.unit.web.calls import HTTP_TRIGGERS, MakeBench, errors, post, sent


def test_an_empty_body_is_an_empty_object(make_bench: MakeBench) -> None:
    assert post(make_bench(HTTP_TRIGGERS), raw=b"").status == 202


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"{", "Expecting property name"),
        (b"[]", "found a list; expected an object such as {}"),
        (b'"text"', "found text; expected an object such as {}"),
        (b"null", "found null; expected an object such as {}"),
        (b"true", "found a boolean; expected an object such as {}"),
        (b"7", "found a number; expected an object such as {}"),
        (b'{"day": NaN}', "found NaN, which is not a JSON number"),
        (b'{"day": -Infinity}', "found -Infinity, which is not a JSON number"),
        (b'{"day": 1e999}', "found the number 1e999, which is too large"),
        (b'{"day": 1, "day": 2}', "found the key day more than once; keep one of them"),
        (b'{"day": "\\ud800"}', "not valid UTF-8"),
        (b"\xff\xfe", "not valid UTF-8"),
        (b'{"day": ' + b"[" * 20_000 + b"]" * 20_000 + b"}", "nested too deeply"),
        (b'{"day": ' + b"9" * 5000 + b"}", "is too long; put it in quotes"),
    ],
)
def test_anything_but_strict_json_is_400_with_the_reason(
    make_bench: MakeBench, raw: bytes, message: str
) -> None:
    reply = post(make_bench(HTTP_TRIGGERS), raw=raw)
    assert reply.status == 400
    assert message in errors(reply)["body"]


@pytest.mark.parametrize("number", ["1.10", "1e5", "0.1234567890123456789", "-0", "1E2"])
def test_a_number_that_would_not_be_sent_as_it_was_written_is_400(
    make_bench: MakeBench, number: str
) -> None:
    reply = post(make_bench(HTTP_TRIGGERS), raw=f'{{"parameters": {{"level": {number}}}}}'.encode())
    assert reply.status == 400
    assert f"the number {number} would be sent as" in errors(reply)["body"]


@pytest.mark.parametrize("number", ["1.5", "-7", "0", "1e+22", "0.1", "12345678901234567890"])
def test_a_number_is_sent_as_it_was_written(make_bench: MakeBench, number: str) -> None:
    bench = make_bench(HTTP_TRIGGERS)
    assert post(bench, raw=f'{{"parameters": {{"level": {number}}}}}'.encode()).status == 202
    assert sent(bench)["ParameterAssignments"]["level"] == number


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_a_problem(data: bytes) -> None:
    try:
        assert isinstance(read_json(data), dict)
    except InvalidRequest as error:
        assert error.problems


def test_a_byte_order_mark_is_no_part_of_the_body() -> None:
    assert read_json(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


def test_a_body_above_48_kib_is_413(make_bench: MakeBench) -> None:
    bench = make_bench(HTTP_TRIGGERS)
    fits = json.dumps({"day": "x" * (48 * 1024 - 11)}).encode()
    assert len(fits) == 48 * 1024
    assert post(bench, raw=fits).status == 202
    assert post(bench, raw=fits + b" ").status == 413
