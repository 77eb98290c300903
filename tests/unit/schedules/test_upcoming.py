"""The next occurrences of a schedule, and those that are moved or dropped."""

from __future__ import annotations

from datetime import datetime, time

import pytest

from local.testing.app import NOON
from shared.schedules.cron import Cron
from shared.schedules.exclusions import Exclusions
from shared.schedules.recurrence import Frequency, Recurrence
from shared.schedules.schedule import Schedule
from shared.schedules.upcoming import MAX_DROPPED, Dropped, look_ahead
from shared.schedules.zones import find_zone
from tests.unit.schedules.calls import at

BERLIN = find_zone("Europe/Berlin")


def test_an_occurrence_in_a_gap_is_moved_and_the_next_one_there_is_dropped() -> None:
    rule = Recurrence(frequency=Frequency.DAY, times=(time(2), time(2, 30)), zone=BERLIN)
    since = at("2027-03-28T00:00")
    outlook = look_ahead(Schedule(rule=rule), anchor=since, since=since, count=2)
    moved, plain = outlook.occurrences
    assert moved.time == at("2027-03-28T01:00")
    assert moved.local.isoformat() == "2027-03-28T03:00:00+02:00"
    assert moved.moved_from == datetime(2027, 3, 28, 2)
    assert moved.note == "moved: 02:00 does not exist, because the clock is put forward"
    assert plain.note is None
    assert outlook.dropped == (
        Dropped(
            local="2027-03-28T02:30:00",
            time=at("2027-03-28T01:00"),
            reason="another occurrence has the same instant, because the clock is put forward",
        ),
    )


def test_a_local_time_that_comes_twice_has_a_note() -> None:
    since = at("2027-10-31T00:00")
    outlook = look_ahead(
        Schedule(rule=Cron("30 2 * * *", zone=BERLIN)), anchor=since, since=since, count=1
    )
    assert outlook.occurrences[0].time == at("2027-10-31T00:30")
    assert str(outlook.occurrences[0].note).startswith("this local time comes twice")


def test_a_wall_time_that_the_clock_skips_is_dropped() -> None:
    since = at("2027-03-27T23:00")
    outlook = look_ahead(
        Schedule(rule=Cron("0 */2 * * *", zone=BERLIN)), anchor=since, since=since, count=2
    )
    assert [one.local for one in outlook.dropped] == ["2027-03-28T02:00:00"]
    assert outlook.dropped[0].reason == "the clock is put forward over it"


@pytest.mark.parametrize(
    "rule",
    [
        Recurrence(frequency=Frequency.MONTH, month_days=(31,), times=(time(9),)),
        Cron("0 9 31 * *"),
    ],
)
def test_a_day_that_a_month_does_not_have_is_dropped(rule: Cron | Recurrence) -> None:
    since = at("2027-01-31T09:00")
    outlook = look_ahead(Schedule(rule=rule), anchor=since, since=since, count=2)
    assert [one.time for one in outlook.occurrences] == [since, at("2027-03-31T09:00")]
    assert outlook.dropped == (
        Dropped(local="2027-02-31", time=None, reason="short month: February 2027 has no day 31"),
    )


def test_excluded_occurrences_are_dropped_and_long_lists_are_cut() -> None:
    schedule = Schedule(
        rule=Recurrence(frequency=Frequency.MINUTE),
        exclusions=Exclusions.parse(["2027-03-27 to 2027-03-28"]),
    )
    outlook = look_ahead(schedule, anchor=NOON, since=NOON, count=1)
    assert outlook.occurrences[0].time == at("2027-03-29T00:00")
    assert len(outlook.dropped) == MAX_DROPPED
    assert {one.reason for one in outlook.dropped} == {"excluded: 2027-03-27 to 2027-03-28"}


def test_a_registration_is_an_occurrence_only_with_run_at_start() -> None:
    rule = Recurrence(frequency=Frequency.HOUR)
    plain = look_ahead(Schedule(rule=rule), anchor=NOON, since=NOON, count=1)
    assert plain.occurrences[0].time == at("2027-03-27T13:00")
    eager = look_ahead(Schedule(rule=rule, run_at_start=True), anchor=NOON, since=NOON, count=2)
    assert [one.time for one in eager.occurrences] == [NOON, at("2027-03-27T13:00")]


def test_a_schedule_that_ends_has_fewer_occurrences() -> None:
    schedule = Schedule(rule=Cron("0 * * * *"), end_time=at("2027-03-27T14:00"))
    assert len(look_ahead(schedule, anchor=NOON, since=NOON, count=9).occurrences) == 3


def test_a_schedule_that_is_over_has_none_and_the_search_ends() -> None:
    schedule = Schedule(rule=Cron("* * * * *", zone=BERLIN), end_time=at("2027-03-01T00:00"))
    outlook = look_ahead(schedule, anchor=NOON, since=NOON, count=5)
    assert (outlook.occurrences, outlook.dropped) == ((), ())
