"""Problems: the members of RFC 9457, and a caller's text in a reply."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from shared.core.errors import InvalidRequest, NotFound, Problem
from shared.web.problems import MAX_TEXT_LENGTH, cut, error_problem, problem


def test_members_that_are_none_are_left_out() -> None:
    reply = problem(404, "Not found", "there is none", request_id="1", trigger=None)
    assert reply.content == {
        "type": "about:blank",
        "title": "Not found",
        "status": 404,
        "detail": "there is none",
        "request_id": "1",
    }
    assert (reply.status, reply.media_type) == (404, "application/problem+json")
    assert reply.headers == {}


def test_every_invalid_field_is_listed_without_a_line() -> None:
    fields = [Problem(where="a", message="x", line=3), Problem(where="b.c", message="y")]
    reply = error_problem(InvalidRequest("invalid", problems=fields), request_id="1")
    assert reply.content["errors"] == [
        {"where": "a", "message": "x"},
        {"where": "b.c", "message": "y"},
    ]


def test_an_error_brings_its_own_status_and_title() -> None:
    reply = error_problem(NotFound("there is none"))
    assert (reply.status, reply.content["title"]) == (404, NotFound.title)
    assert "errors" not in reply.content


def test_a_service_that_is_unavailable_is_retried_after_30_seconds() -> None:
    assert problem(503, "Service unavailable", "retry later").headers == {"Retry-After": "30"}


def test_a_member_that_the_document_does_not_have_is_an_error() -> None:
    with pytest.raises(ValidationError, match="secret"):
        problem(400, "Invalid request", "invalid", secret="x")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("a b", "a b"),
        ("x" * MAX_TEXT_LENGTH, "x" * MAX_TEXT_LENGTH),
        ("x" * (MAX_TEXT_LENGTH + 1), "x" * (MAX_TEXT_LENGTH - 3) + "…"),
        ("a\r\nb\u202ec\x00", "a��b�c�"),
    ],
)
def test_a_callers_text_is_cut_and_made_printable(text: str, expected: str) -> None:
    assert cut(text) == expected
