"""Every so many units, with dateutil's rrule as the oracle."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from itertools import islice

import pytest
from dateutil import rrule, tz  # type: ignore[import-untyped]  # it has no types of its own
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.schedules.recurrence import MAX_INTERVAL, Frequency, Recurrence
from shared.schedules.rule import Anchor, MissingDay
from shared.schedules.schedule import Schedule
from shared.schedules.zones import find_zone
from tests.unit.schedules.calls import at, latest

ANCHOR = datetime(2027, 3, 27, 1, 30, tzinfo=UTC)  # a Saturday
END = datetime(9999, 12, 31, tzinfo=UTC)
RRULE = {
    Frequency.MINUTE: rrule.MINUTELY,
    Frequency.HOUR: rrule.HOURLY,
    Frequency.DAY: rrule.DAILY,
    Frequency.WEEK: rrule.WEEKLY,
    Frequency.MONTH: rrule.MONTHLY,
}


def first(rule: Recurrence, count: int, *, anchor: datetime = ANCHOR) -> list[str]:
    found = Schedule(rule=rule).occurrences(anchor=anchor, after=anchor, until=END)
    return [f"{one:%Y-%m-%dT%H:%M}" for one in islice(found, count)]


def test_minutes_and_hours_are_counted_from_the_anchor() -> None:
    rule = Recurrence(frequency=Frequency.MINUTE, interval=25)
    assert first(rule, 3) == ["2027-03-27T01:55", "2027-03-27T02:20", "2027-03-27T02:45"]
    rule = Recurrence(frequency=Frequency.HOUR, interval=5)
    assert first(rule, 2) == ["2027-03-27T06:30", "2027-03-27T11:30"]


def test_days_without_a_time_have_the_anchors() -> None:
    rule = Recurrence(frequency=Frequency.DAY, interval=3)
    assert first(rule, 2) == ["2027-03-30T01:30", "2027-04-02T01:30"]


def test_hours_and_minutes_are_a_cross_product() -> None:
    times = tuple(time(hour, 30) for hour in (10, 12, 14))
    rule = Recurrence(frequency=Frequency.DAY, times=times)
    assert first(rule, 4) == [
        *(f"2027-03-27T{hour}:30" for hour in (10, 12, 14)),
        "2027-03-28T10:30",
    ]


def test_weeks_begin_on_monday_and_every_second_one_counts_from_the_anchors() -> None:
    rule = Recurrence(
        frequency=Frequency.WEEK, interval=2, week_days=(0, 2, 6), times=(time(18, 30),)
    )
    assert first(rule, 5) == [
        "2027-03-28T18:30",  # the Sunday of the anchor's own week
        "2027-04-05T18:30",
        "2027-04-07T18:30",
        "2027-04-11T18:30",
        "2027-04-19T18:30",
    ]


def test_a_month_without_the_day_has_no_occurrence() -> None:
    anchor = at("2027-01-31T09:00")
    rule = Recurrence(frequency=Frequency.MONTH)
    assert first(rule, 3, anchor=anchor) == [
        "2027-03-31T09:00",
        "2027-05-31T09:00",
        "2027-07-31T09:00",
    ]


def test_the_last_day_of_a_month_is_minus_one_and_counts_once() -> None:
    rule = Recurrence(frequency=Frequency.MONTH, month_days=(28, -1), times=(time(9),))
    assert first(rule, 4, anchor=at("2027-01-30T00:00")) == [
        "2027-01-31T09:00",
        "2027-02-28T09:00",
        "2027-03-28T09:00",
        "2027-03-31T09:00",
    ]
    assert first(rule, 2, anchor=at("2028-02-28T10:00")) == ["2028-02-29T09:00", "2028-03-28T09:00"]


def test_the_months_that_lack_a_day_are_named() -> None:
    rule = Recurrence(frequency=Frequency.MONTH, interval=2, month_days=(30, 31, -1))
    anchor = Anchor(at("2027-02-01T00:00"), datetime(2027, 2, 1))
    missing = rule.missing_days(anchor=anchor, after=anchor.instant, until=at("2027-06-30T00:00"))
    assert list(missing) == [
        MissingDay(datetime(2027, 2, 1).date(), 30),
        MissingDay(datetime(2027, 2, 1).date(), 31),
        MissingDay(datetime(2027, 4, 1).date(), 31),
        MissingDay(datetime(2027, 6, 1).date(), 31),
    ]


def test_the_end_counts_and_the_beginning_does_not() -> None:
    schedule = Schedule(rule=Recurrence(frequency=Frequency.HOUR))
    one, two = ANCHOR + timedelta(hours=1), ANCHOR + timedelta(hours=2)
    assert latest(schedule, anchor=ANCHOR, after=one, until=two) == two
    assert latest(schedule, anchor=ANCHOR, after=two, until=two) is None
    assert list(schedule.occurrences(anchor=ANCHOR, after=ANCHOR, until=two)) == [one, two]


@pytest.mark.parametrize("frequency", list(Frequency))
def test_the_largest_interval_does_not_overflow(frequency: Frequency) -> None:
    schedule = Schedule(rule=Recurrence(frequency=frequency, interval=MAX_INTERVAL))
    anchor = datetime(9990, 1, 1, tzinfo=UTC)
    later = list(schedule.occurrences(anchor=anchor, after=anchor, until=END))
    assert later == sorted(later)
    assert all(anchor < one < END for one in later)
    assert all(one.year > 0 for one in islice(schedule.backwards(anchor=anchor, until=END), 50))


@pytest.mark.parametrize("interval", [0, -1, MAX_INTERVAL + 1])
def test_an_interval_out_of_range_is_refused(interval: int) -> None:
    with pytest.raises(
        ValueError, match=f"interval is {interval}; it must be from 1 to {MAX_INTERVAL}"
    ):
        Recurrence(frequency=Frequency.DAY, interval=interval)


@pytest.mark.parametrize(
    ("rule", "definition"),
    [
        (Recurrence(frequency=Frequency.MINUTE, interval=15), "every 15 minutes"),
        (
            Recurrence(frequency=Frequency.WEEK, week_days=(0, 2), times=(time(18, 30),)),
            "every 1 week on monday,wednesday at 18:30",
        ),
        (
            Recurrence(frequency=Frequency.MONTH, month_days=(1, -1)),
            "every 1 month on day 1,last",
        ),
    ],
)
def test_the_definition_names_the_rule(rule: Recurrence, definition: str) -> None:
    assert rule.definition == definition


@pytest.mark.parametrize(
    ("rule", "needs"),
    [
        (Recurrence(frequency=Frequency.MINUTE), True),
        (Recurrence(frequency=Frequency.DAY), True),
        (Recurrence(frequency=Frequency.DAY, times=(time(6),)), False),
        (Recurrence(frequency=Frequency.DAY, interval=2, times=(time(6),)), True),
        (Recurrence(frequency=Frequency.WEEK, times=(time(6),)), True),
        (Recurrence(frequency=Frequency.WEEK, times=(time(6),), week_days=(1,)), False),
        (Recurrence(frequency=Frequency.MONTH, times=(time(6),), month_days=(-1,)), False),
        (Recurrence(frequency=Frequency.MONTH, month_days=(-1,)), True),
    ],
)
def test_a_rule_knows_whether_it_depends_on_its_anchor(rule: Recurrence, needs: bool) -> None:
    assert rule.needs_anchor is needs


@st.composite
def recurrences(draw: st.DrawFn) -> Recurrence:
    """All frequencies with all patterns, in UTC."""
    frequency = draw(st.sampled_from(Frequency))
    times: set[time] = set()
    week_days: set[int] = set()
    month_days: set[int] = set()
    if frequency in (Frequency.DAY, Frequency.WEEK, Frequency.MONTH):
        hours = draw(st.sets(st.integers(0, 23), max_size=3))
        minutes = draw(st.sets(st.integers(0, 59), min_size=1, max_size=3))
        times = {time(hour, minute) for hour in hours for minute in minutes}
    if frequency is Frequency.WEEK:
        week_days = draw(st.sets(st.integers(0, 6), max_size=4))
    if frequency is Frequency.MONTH:
        month_days = draw(st.sets(st.sampled_from([*range(1, 32), -1]), max_size=4))
    return Recurrence(
        frequency=frequency,
        interval=draw(st.integers(1, 40)),
        times=tuple(sorted(times)),
        week_days=tuple(sorted(week_days)),
        month_days=tuple(sorted(month_days)),
    )


def oracle(rule: Recurrence, anchor: datetime, until: datetime) -> list[datetime]:
    """Return the occurrences that dateutil calculates. It shares no code with the app."""
    options: dict[str, object] = {}
    if rule.times:
        # rrule's own cross product is of all hours and minutes, as ours is.
        options["byhour"] = sorted({one.hour for one in rule.times})
        options["byminute"] = sorted({one.minute for one in rule.times})
        options["bysecond"] = 0
    if rule.week_days:
        options["byweekday"] = rule.week_days
    if rule.month_days:
        options["bymonthday"] = rule.month_days
    begin = anchor.replace(tzinfo=None)
    found = rrule.rrule(
        RRULE[rule.frequency], dtstart=begin, interval=rule.interval, wkst=rrule.MO, **options
    )
    end = until.replace(tzinfo=None)
    return [one.replace(tzinfo=UTC) for one in found.between(begin, end, inc=False)]


anchors = st.datetimes(datetime(1970, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)).map(
    lambda instant: instant.replace(second=0, microsecond=0)
)
SPANS = {
    Frequency.MINUTE: timedelta(hours=5),
    Frequency.HOUR: timedelta(days=9),
    Frequency.DAY: timedelta(days=200),
    Frequency.WEEK: timedelta(days=1000),
    Frequency.MONTH: timedelta(days=6000),
}


@settings(max_examples=500, deadline=None)
@given(recurrences(), anchors, st.floats(0, 1), st.floats(0, 1))
def test_rrule_agrees(rule: Recurrence, anchor: datetime, begin: float, part: float) -> None:
    span = SPANS[rule.frequency]
    after = anchor + span * begin
    until = after + span * part
    expected = [one for one in oracle(rule, anchor, until) if after < one < until]
    schedule = Schedule(rule=rule)
    until -= timedelta.resolution
    assert list(schedule.occurrences(anchor=anchor, after=after, until=until)) == expected
    last = expected[-1] if expected else None
    assert latest(schedule, anchor=anchor, after=after, until=until) == last


@settings(max_examples=200, deadline=None)
@given(recurrences(), anchors)
def test_backwards_is_forwards_reversed(rule: Recurrence, anchor: datetime) -> None:
    schedule = Schedule(rule=rule)
    after, until = anchor - SPANS[rule.frequency] / 4, anchor + SPANS[rule.frequency] / 4
    forwards = list(schedule.occurrences(anchor=anchor, after=after, until=until))
    backwards: list[datetime] = []
    for one in schedule.backwards(anchor=anchor, until=until):
        if one <= after:
            break
        backwards.append(one)
    assert backwards[::-1] == forwards


@settings(max_examples=300, deadline=None)
@given(
    recurrences().filter(lambda rule: not rule.follows_elapsed_time),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    st.datetimes(datetime(2008, 1, 1), datetime(2030, 1, 1)),
)
def test_rrule_and_dateutils_zones_agree_away_from_transitions(
    rule: Recurrence, name: str, wall: datetime
) -> None:
    """The same walls, and the same instants for all that exist once."""
    theirs = tz.gettz(name)
    wall = wall.replace(second=0, microsecond=0)
    span = SPANS[rule.frequency] / 4
    expected = [
        one.replace(tzinfo=theirs).astimezone(UTC)
        for one in (
            found.replace(tzinfo=None)
            for found in oracle(rule, wall.replace(tzinfo=UTC), wall.replace(tzinfo=UTC) + span)
        )
        if tz.datetime_exists(one, theirs) and not tz.datetime_ambiguous(one, theirs)
    ]
    schedule = Schedule(rule=replace(rule, zone=find_zone(name)), start_time=wall)
    begin = wall.replace(tzinfo=UTC) - timedelta(days=2)
    ours = []
    for one in schedule.occurrences(anchor=begin, after=begin, until=begin + span * 2):
        shown = one.astimezone(schedule.zone).replace(tzinfo=None)
        if wall < shown < wall + span and not tz.datetime_ambiguous(shown, theirs):
            ours.append(one)
    moved = set(ours) - set(expected)
    assert sorted(set(ours) - moved) == expected
    # Only the app has the occurrences that are moved to the end of a gap.
    for one in moved:
        shown = one.astimezone(schedule.zone).replace(tzinfo=None)
        assert not tz.datetime_exists(shown - timedelta(minutes=1), theirs)


def test_an_anchor_in_1970_costs_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    # The next occurrence is calculated from the number of the period, without a step for each period.
    periods: list[object] = []
    days = Recurrence._days

    def counted(self: Recurrence, period: int, anchor: datetime) -> object:
        periods.append(period)
        return days(self, period, anchor)

    monkeypatch.setattr(Recurrence, "_days", counted)
    old = datetime(1970, 1, 1, tzinfo=UTC)
    for frequency in Frequency:
        schedule = Schedule(rule=Recurrence(frequency=frequency, interval=7))
        assert next(schedule.occurrences(anchor=old, after=ANCHOR, until=END)) > ANCHOR
    assert len(periods) <= 9
