"""The sandbox: filters, lookups, missing names, and values that cannot be sent."""

from __future__ import annotations

from datetime import timedelta, timezone

import pytest

from shared.core.errors import MissingValue
from tests.unit.config.templates.texts import NOON, failure, http, rendered


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{{ event.time | date }}", "2027-03-27"),
        ("{{ event.time | date('%Y/%m') }}", "2027/03"),
        ("{{ http.body.day | date }}", "2027-01-01"),
        ("{{ http.body.instant | date('%H') }}", "23"),
    ],
)
def test_dates_are_printed_in_utc(text: str, value: str) -> None:
    body = {"day": "2027-01-01", "instant": "2027-01-02T01:00:00+02:00"}
    assert rendered(text, http(body)) == value


def test_an_instant_of_another_zone_is_printed_in_utc() -> None:
    time = NOON.astimezone(timezone(timedelta(hours=5)))
    assert rendered("{{ event.time }}", {**http(), "event": {"time": time}}) == (
        "2027-03-27T01:30:00Z"
    )


def test_numbers_are_read_strictly() -> None:
    assert rendered("{{ http.body.n | int + 1 }}", http({"n": "41"})) == 42
    assert rendered("{{ http.body.n | float }}", http({"n": "1.5"})) == 1.5
    assert rendered("{{ http.body.n | int(7) }}", http({"n": "x"})) == 7
    assert failure("{{ http.body.n | int }}", http({"n": "x"})) == (
        "parameters.p: 'x' is not a number"
    )


def test_items_of_lists_are_reached_by_position() -> None:
    names = http({"files": ["a", {"name": "b"}]})
    assert rendered("{{ http.body.files[0] }}", names) == "a"
    assert rendered("{{ http.body.files[-1].name }}", names) == "b"


def test_a_missing_map_has_a_default() -> None:
    assert rendered("{{ http.body.a.b | default('none') }}", http()) == "none"


def test_a_missing_name_is_reported_whole() -> None:
    with pytest.raises(MissingValue) as caught:
        rendered("{{ http.body.day }}", http())
    assert str(caught.value) == "parameters.p: the event has no http.body.day"
    assert caught.value.name == "http.body.day"
    assert caught.value.where == "parameters.p"


@pytest.mark.parametrize(
    "text",
    [
        "{{ http.body.day }}",
        "x{{ http.body.day }}",
        "{{ http.body.day ~ 'x' }}",
        "{{ http.body.day + 1 }}",
        "{{ http.body.day | upper }}",
        "{{ http.body.day | date }}",
        "{{ http.body.day | int }}",
        "{{ http.body.day | tojson }}",
        "{{ [http.body.day] | join }}",
        "{{ http.body.day.deeper }}",
        "{{ http.body.day == 1 }}",
        "{{ 1 if http.body.day else 2 }}",
        "{{ http.query.day | default('') }}{{ http.body.day }}",
    ],
)
def test_every_use_of_a_missing_name_reports_it(text: str) -> None:
    assert failure(text, http()) == "parameters.p: the event has no http.body.day"


def test_the_missing_one_of_two_equal_last_parts_is_reported() -> None:
    text = "{{ http.query.day }}{{ http.body.day }}"
    assert failure(text, http(query={"day": "1"})).endswith("no http.body.day")
    assert failure(text, http(body={"day": "1"})).endswith("no http.query.day")


def test_a_method_is_never_reached() -> None:
    assert failure("{{ http.body.items }}", http({"a": 1})).endswith("no http.body.items")
    assert failure("{{ http.body.n.real }}", http({"n": 1})).endswith("no http.body.n.real")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ http.body.none }}", "the value is null; text, a number or a boolean is needed"),
        ("{{ http.body.map }}", "the value is a map; name one of its items"),
        ("x{{ http.body.list }}", "the value is a list; name one of its items"),
        ("{{ 1 / http.body.zero }}", "ZeroDivisionError: division by zero"),
        ("{{ http.body.text + 1 }}", "TypeError: "),
        ("{{ http.body.text * 9999999999 }}", "* takes numbers only"),
        ("{{ '%9999999999d' % http.body.zero }}", "% takes numbers only"),
        ("{{ http.body.text | date }}", "the filter date needs an instant, found 'abc'"),
        ("{{ http.body.zero | date }}", "the filter date needs an instant, found 0"),
    ],
)
def test_a_value_that_cannot_be_sent_says_why(text: str, message: str) -> None:
    body = {"none": None, "map": {"a": 1}, "list": [1], "zero": 0, "text": "abc"}
    assert failure(text, http(body)).startswith(f"parameters.p: {message}")
