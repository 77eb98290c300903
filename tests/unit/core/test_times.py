"""Durations and instants as text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.times import print_instant, read_instant


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
