"""Days without occurrences: single days and ranges of days."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.schedules.exclusions import Exclusions, print_days, read_days
from shared.schedules.zones import find_zone

UTC_ZONE = find_zone("UTC")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2027-02-30", "the calendar has no such day"),
        ("2027-13-01 to 2027-12-01", "the calendar has no such day"),
        ("2027-12-24 to 2027-12-23", "the last day is before the first"),
        ("12-24", "an exclusion is a day such as 2027-12-25"),
        ("2027-12-24T00:00:00Z", "an exclusion is a day such as 2027-12-25"),
        ("2027-12-24 - 2027-12-26", "an exclusion is a day such as 2027-12-25"),
    ],
)
def test_a_text_that_is_not_a_day_or_a_range_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Exclusions.parse([text])


def test_ranges_are_in_order_and_do_not_overlap() -> None:
    texts = ["2027-04-01", "2027-03-30 to 2027-04-02", "2027-03-28", "2027-03-28 to 2027-03-28"]
    assert Exclusions.parse(texts).ranges == (
        (date(2027, 3, 28), date(2027, 3, 28)),
        (date(2027, 3, 30), date(2027, 4, 2)),
    )
    assert Exclusions.parse([]) == Exclusions()


def test_a_day_is_that_of_the_zone() -> None:
    exclusions = Exclusions.parse(["2027-03-28"])
    late = datetime(2027, 3, 27, 23, 30, tzinfo=UTC)
    day = date(2027, 3, 28)
    assert exclusions.hit(late, find_zone("Europe/Berlin")) == (day, day)
    assert exclusions.hit(late, UTC_ZONE) is None
    assert Exclusions().hit(late, UTC_ZONE) is None


@pytest.mark.parametrize("text", ["2027-12-25", "2027-12-24 to 2028-01-02"])
def test_a_range_is_printed_as_the_file_has_it(text: str) -> None:
    assert print_days(read_days(text)) == text


days = st.dates(date(2027, 1, 1), date(2027, 3, 1))


@given(st.lists(st.tuples(days, days).map(sorted), max_size=5), days)
def test_a_day_is_excluded_if_one_of_the_ranges_contains_it(
    spans: list[list[date]], day: date
) -> None:
    exclusions = Exclusions.parse(f"{first} to {last}" for first, last in spans)
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    hit = exclusions.hit(noon, UTC_ZONE)
    assert (hit is not None) == any(first <= day <= last for first, last in spans)
    assert hit is None or hit[0] <= day <= hit[1]
