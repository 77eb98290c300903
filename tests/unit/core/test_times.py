"""Durations and instants as text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.times import (
    print_duration,
    print_instant,
    print_second,
    read_duration,
    read_instant,
)


def test_instants_are_printed_in_utc_with_a_z() -> None:
    assert print_instant(datetime(2027, 3, 27, 1, 30, tzinfo=UTC)) == "2027-03-27T01:30:00Z"
    berlin = timezone(timedelta(hours=2))
    assert print_instant(datetime(2027, 3, 27, 3, 30, 0, 5, berlin)) == (
        "2027-03-27T01:30:00.000005Z"
    )


def test_a_naive_instant_is_refused_both_ways() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        print_instant(datetime(2027, 3, 27))
    with pytest.raises(ValueError, match="no time zone"):
        read_instant("2027-03-27T01:30:00")


@given(st.datetimes(timezones=st.just(UTC)))
def test_printing_an_instant_loses_nothing(instant: datetime) -> None:
    assert read_instant(print_instant(instant)) == instant


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("24h", timedelta(hours=24)),
        ("7d", timedelta(days=7)),
    ],
)
def test_a_duration_has_a_whole_number_and_a_unit(text: str, span: timedelta) -> None:
    assert read_duration(text) == span


@pytest.mark.parametrize(
    "text", ["", "0s", "15", "m", "1.5h", "-1h", "1h30m", "1 h", "1H", "1h\n", "1w"]
)
def test_other_text_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="write for example 24h"):
        read_duration(text)


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(), "0s"),
        (timedelta(seconds=90), "90s"),
        (timedelta(seconds=120), "2m"),
        (timedelta(hours=24), "1d"),
        (timedelta(hours=25), "25h"),
    ],
)
def test_a_duration_is_printed_with_the_largest_unit(span: timedelta, text: str) -> None:
    assert print_duration(span) == text


@given(st.integers(1, 10**6))
def test_a_printed_duration_can_be_read(seconds: int) -> None:
    assert read_duration(print_duration(timedelta(seconds=seconds))) == timedelta(seconds=seconds)


def test_messages_show_instants_without_a_fraction() -> None:
    assert print_second(datetime(2027, 3, 27, 1, 30, 5, 999_999, UTC)) == "2027-03-27T01:30:05Z"


def test_any_iso_instant_with_an_offset_is_read_as_utc() -> None:
    assert read_instant("2027-03-27T03:30:00+02:00") == datetime(2027, 3, 27, 1, 30, tzinfo=UTC)
