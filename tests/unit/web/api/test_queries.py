"""Queries: each value within its bound."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from shared.core.errors import InvalidRequest
from shared.core.submissions import State
from shared.web.api.queries import Query
from tests.unit.web.calls import SOURCES, MakeBench, errors, listed


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
def test_an_invalid_query_is_400_and_the_parameter_is_listed(
    make_bench: MakeBench, query: dict[str, str]
) -> None:
    reply = listed(make_bench(SOURCES), **query)
    assert reply.status == 400
    assert list(errors(reply)) == list(query)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"limit": "101"}, "found 101; expected a whole number from 1 to 100"),
        (
            {"state": "deed"},
            "found deed (did you mean dead?); expected one of submitting, pending, unknown, "
            "submitted, finished, held, dead, skipped",
        ),
        (
            {"since": "yesterday"},
            "found yesterday; expected a time with an offset, such as 2027-03-27T01:30:00Z",
        ),
        ({"trigger": "x" * 261}, "found 261 characters; expected 1 to 260 characters"),
        ({"cursor": "x" * 401}, "found 401 characters; expected 1 to 400 characters"),
        (
            {"stat": "dead"},
            "unknown query parameter (did you mean state?); "
            "allowed: cursor, limit, since, state, trigger",
        ),
    ],
)
def test_the_message_has_the_value_found_and_the_value_expected(
    make_bench: MakeBench, query: dict[str, str], message: str
) -> None:
    assert list(errors(listed(make_bench(SOURCES), **query)).values()) == [message]


def test_a_query_without_values_has_defaults() -> None:
    query = Query({})
    assert (query.limit(), query.cursor(), query.state()) == (50, None, None)
    assert (query.text("trigger"), query.instant("since")) == (None, None)


@pytest.mark.parametrize("limit", ["1", "100", "007"])
def test_a_limit_is_read(limit: str) -> None:
    assert Query({"limit": limit}).limit() == int(limit)


@pytest.mark.parametrize("state", State)
def test_every_state_is_read(state: State) -> None:
    assert Query({"state": state.value}).state() is state


def test_a_plus_that_was_decoded_to_a_space_is_still_an_offset() -> None:
    expected = datetime(2027, 3, 27, 12, tzinfo=UTC) - timedelta(hours=2)
    for text in ("2027-03-27T12:00:00+02:00", "2027-03-27T12:00:00 02:00"):
        assert Query({"since": text}).instant("since") == expected


def test_a_hostile_value_is_repeated_only_in_part_and_printable() -> None:
    with pytest.raises(InvalidRequest) as caught:
        Query({"state": "\r\n" + "x" * 5000}).state()
    (problem,) = caught.value.problems
    assert len(problem.message) < 250
    assert problem.message.isprintable()
