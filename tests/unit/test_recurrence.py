"""Every so many units, with dateutil's rrule as the oracle."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from dateutil import rrule  # type: ignore[import-untyped]  # it has no types of its own
from hypothesis import given
from hypothesis import strategies as st

from shared.recurrence import MAX_INTERVAL, Frequency, Recurrence

ANCHOR = datetime(2027, 3, 27, 1, 30, tzinfo=UTC)
RRULE = {
    Frequency.MINUTE: rrule.MINUTELY,
    Frequency.HOUR: rrule.HOURLY,
    Frequency.DAY: rrule.DAILY,
    Frequency.WEEK: rrule.WEEKLY,
}


def test_the_first_occurrence_is_one_interval_after_the_anchor() -> None:
    rule = Recurrence(frequency=Frequency.MINUTE, interval=15)
    first = ANCHOR + timedelta(minutes=15)
    early = ANCHOR - timedelta(days=1)
    just_before = first - timedelta(microseconds=1)
    assert rule.latest(anchor=ANCHOR, after=early, until=just_before) is None
    assert rule.latest(anchor=ANCHOR, after=early, until=first) == first
    assert list(rule.occurrences(anchor=ANCHOR, after=early, until=first)) == [first]


def test_the_end_counts_and_the_beginning_does_not() -> None:
    rule = Recurrence(frequency=Frequency.HOUR)
    one, two = ANCHOR + timedelta(hours=1), ANCHOR + timedelta(hours=2)
    assert rule.latest(anchor=ANCHOR, after=one, until=two) == two
    assert rule.latest(anchor=ANCHOR, after=two, until=two) is None
    assert list(rule.occurrences(anchor=ANCHOR, after=ANCHOR, until=two)) == [one, two]


def test_an_anchor_in_the_future_gives_nothing() -> None:
    rule = Recurrence(frequency=Frequency.DAY)
    now = ANCHOR - timedelta(days=9)
    assert rule.latest(anchor=ANCHOR, after=now - timedelta(days=1), until=now) is None
    assert list(rule.occurrences(anchor=ANCHOR, after=now - timedelta(days=1), until=now)) == []


@pytest.mark.parametrize("frequency", list(Frequency))
def test_the_largest_interval_does_not_overflow(frequency: Frequency) -> None:
    rule = Recurrence(frequency=frequency, interval=MAX_INTERVAL)
    end = datetime(9999, 12, 31, tzinfo=UTC)
    every = list(rule.occurrences(anchor=end - rule.step / 2, after=ANCHOR, until=end))
    assert every == []


@pytest.mark.parametrize("interval", [0, -1, MAX_INTERVAL + 1])
def test_an_interval_out_of_range_is_refused(interval: int) -> None:
    with pytest.raises(ValueError, match=f"interval must be from 1 to {MAX_INTERVAL}"):
        Recurrence(frequency=Frequency.DAY, interval=interval)


def test_the_definition_names_the_rule() -> None:
    assert Recurrence(frequency=Frequency.MINUTE, interval=15).definition == "every 15 minute"


instants = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))


@given(st.sampled_from(Frequency), st.integers(1, 400), instants, instants, st.integers(0, 20))
def test_rrule_agrees(
    frequency: Frequency, interval: int, anchor: datetime, until: datetime, steps: int
) -> None:
    rule = Recurrence(frequency=frequency, interval=interval)
    # rrule counts whole seconds.
    anchor, until = anchor.replace(microsecond=0), until.replace(microsecond=0)
    after = until - steps * rule.step
    start = max(anchor, anchor + max(0, (after - anchor) // rule.step) * rule.step)
    oracle = rrule.rrule(RRULE[frequency], dtstart=start, interval=interval, until=until)
    expected = [one for one in oracle if one > anchor and after < one <= until]
    assert list(rule.occurrences(anchor=anchor, after=after, until=until)) == expected
    latest = expected[-1] if expected else None
    assert rule.latest(anchor=anchor, after=after, until=until) == latest
