"""What a schedule adds to its rule: a beginning, an end, and days without occurrences."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, timezone
from itertools import islice

import pytest

from shared.schedules.cron import Cron
from shared.schedules.exclusions import Exclusions
from shared.schedules.recurrence import Frequency, Recurrence
from shared.schedules.schedule import Schedule, delay
from shared.schedules.zones import find_zone
from tests.unit.schedules.calls import latest

ANCHOR = datetime(2027, 3, 27, 1, 30, tzinfo=UTC)
END = datetime(9999, 12, 31, tzinfo=UTC)
BERLIN = find_zone("Europe/Berlin")
QUARTERLY = Schedule(rule=Recurrence(frequency=Frequency.MINUTE, interval=15))
HOURLY = Schedule(rule=Cron("0 * * * *"))
DAILY = Recurrence(frequency=Frequency.DAY)
AT_SIX = Recurrence(frequency=Frequency.DAY, times=(time(6),), zone=BERLIN)


def first(schedule: Schedule, count: int, *, after: datetime = ANCHOR) -> list[str]:
    found = schedule.occurrences(anchor=ANCHOR, after=after, until=END)
    return [f"{one:%Y-%m-%dT%H:%M}" for one in islice(found, count)]


@pytest.mark.parametrize("schedule", [QUARTERLY, HOURLY])
def test_instants_of_any_zone_give_occurrences_in_utc(schedule: Schedule) -> None:
    zone = timezone(timedelta(hours=5, minutes=30))
    after, until = ANCHOR, ANCHOR + timedelta(hours=3)
    here = latest(schedule, anchor=ANCHOR, after=after, until=until)
    there = latest(
        schedule,
        anchor=ANCHOR.astimezone(zone),
        after=after.astimezone(zone),
        until=until.astimezone(zone),
    )
    assert here == there
    assert there is not None
    assert there.tzinfo is UTC
    every = list(schedule.occurrences(anchor=ANCHOR, after=after, until=until))
    assert every[-1] == here


@pytest.mark.parametrize("name", ["anchor", "after", "until"])
def test_a_naive_instant_is_an_error(name: str) -> None:
    instants = {"anchor": ANCHOR, "after": ANCHOR, "until": ANCHOR}
    instants[name] = ANCHOR.replace(tzinfo=None)
    with pytest.raises(ValueError, match="has no time zone"):
        QUARTERLY.occurrences(**instants)
    with pytest.raises(ValueError, match="has no time zone"):
        QUARTERLY.planned(**instants)
    del instants["after"]
    if name in instants:
        with pytest.raises(ValueError, match="has no time zone"):
            QUARTERLY.backwards(**instants)


def test_run_at_start_adds_nothing_to_the_occurrences() -> None:
    eager = Schedule(rule=QUARTERLY.rule, run_at_start=True)
    until = ANCHOR + timedelta(minutes=14)
    assert latest(eager, anchor=ANCHOR, after=ANCHOR, until=until) is None


def test_the_definition_has_the_rule_and_the_start_only() -> None:
    assert QUARTERLY.definition == "every 15 minutes"
    assert HOURLY.definition == "cron 0 * * * *"
    start = datetime(2027, 3, 1, 6)
    begun = Schedule(
        rule=AT_SIX,
        start_time=start,
        end_time=datetime(2028, 1, 1),
        exclusions=Exclusions.parse(["2027-05-01"]),
    )
    assert begun.definition == "every 1 day at 06:00 in Europe/Berlin from 2027-03-01T06:00:00"
    assert Schedule(rule=QUARTERLY.rule, run_at_start=True).definition == "every 15 minutes"


def test_a_start_is_the_first_occurrence_if_no_other_key_gives_a_time() -> None:
    start = datetime(2027, 11, 1, 9)
    monthly = Recurrence(frequency=Frequency.MONTH)
    schedule = Schedule(rule=monthly, start_time=start)
    assert first(schedule, 2) == ["2027-11-01T09:00", "2027-12-01T09:00"]
    assert (
        latest(schedule, anchor=ANCHOR, after=ANCHOR, until=start.replace(tzinfo=UTC)) is not None
    )


def test_a_start_that_matches_the_pattern_does_not_run_itself_as_in_the_sdk() -> None:
    start = datetime(2027, 11, 1, 6)
    schedule = Schedule(rule=AT_SIX, start_time=start)
    assert first(schedule, 1) == ["2027-11-02T05:00"]
    cron = Schedule(rule=Cron("0 6 * * *"), start_time=start)
    assert first(cron, 1) == ["2027-11-02T06:00"]


def test_a_start_in_the_past_only_sets_the_count() -> None:
    schedule = Schedule(
        rule=Recurrence(frequency=Frequency.HOUR), start_time=datetime(1970, 1, 1, 0, 55)
    )
    assert first(schedule, 2) == ["2027-03-27T01:55", "2027-03-27T02:55"]


def test_a_local_start_that_does_not_exist_keeps_its_time_of_day() -> None:
    rule = Recurrence(frequency=Frequency.DAY, zone=BERLIN)
    schedule = Schedule(rule=rule, start_time=datetime(2027, 3, 28, 2, 30))
    assert first(schedule, 2) == ["2027-03-28T01:00", "2027-03-29T00:30"]


def test_an_end_can_be_an_occurrence() -> None:
    until = ANCHOR + timedelta(hours=2)
    schedule = Schedule(rule=QUARTERLY.rule, end_time=until)
    assert len(first(schedule, 99)) == 8
    assert latest(schedule, anchor=ANCHOR, after=ANCHOR, until=END) == until


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (datetime(2027, 2, 1), datetime(2027, 1, 1), "end_time is before start_time"),
        (datetime(2027, 2, 1), ANCHOR, "only one of start_time and end_time has an offset"),
        (ANCHOR, datetime(2027, 2, 1), "only one of start_time and end_time has an offset"),
        (
            datetime(2027, 2, 1, 7),
            datetime(2027, 2, 1, 12),
            "can never fire: there is no occurrence from start_time on until end_time",
        ),
    ],
)
def test_a_start_and_an_end_that_do_not_go_together_are_refused(
    start: datetime, end: datetime, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Schedule(rule=AT_SIX, start_time=start, end_time=end)


def test_a_february_30_is_refused() -> None:
    rule = Recurrence(frequency=Frequency.MONTH, interval=12, month_days=(30,))
    with pytest.raises(ValueError, match="can never fire: there is no occurrence from start_time"):
        Schedule(rule=rule, start_time=datetime(2027, 2, 1))


def test_excluded_days_are_days_of_the_schedules_zone() -> None:
    schedule = Schedule(
        rule=Cron("30 23 * * *", zone=BERLIN),
        exclusions=Exclusions.parse(["2027-03-28", "2027-03-30 to 2027-04-02", "2027-04-01"]),
    )
    found = first(schedule, 3)
    assert found == ["2027-03-27T22:30", "2027-03-29T21:30", "2027-04-03T21:30"]
    last = schedule.backwards(anchor=ANCHOR, until=datetime(2027, 4, 3, 22, tzinfo=UTC))
    assert [f"{one:%Y-%m-%dT%H:%M}" for one in islice(last, 3)] == found[::-1]


def test_long_exclusions_are_skipped_in_one_step() -> None:
    every_minute = Recurrence(frequency=Frequency.MINUTE)
    for span in ("2027-01-01 to 9999-12-31", "0001-01-01 to 9999-12-31"):
        schedule = Schedule(rule=every_minute, exclusions=Exclusions.parse([span]))
        assert first(schedule, 1) == []
    before = schedule.backwards(anchor=ANCHOR, until=END)
    assert list(before) == []


def test_a_window_begins_at_the_occurrence_before() -> None:
    six = datetime(2027, 3, 29, 4, tzinfo=UTC)
    schedule = Schedule(rule=AT_SIX, exclusions=Exclusions.parse(["2027-03-28"]))
    assert schedule.previous(six, anchor=ANCHOR) == datetime(2027, 3, 27, 5, tzinfo=UTC)
    begun = Schedule(rule=DAILY, start_time=datetime(2027, 3, 29, 4))
    assert begun.previous(six, anchor=ANCHOR) == datetime(2027, 3, 28, 4, tzinfo=UTC)


def test_the_extra_occurrence_is_the_registration_with_run_at_start() -> None:
    eager = Schedule(rule=QUARTERLY.rule, run_at_start=True)
    assert eager.extra(anchor=ANCHOR) == ANCHOR
    assert QUARTERLY.extra(anchor=ANCHOR) is None
    excluded = Schedule(
        rule=QUARTERLY.rule, run_at_start=True, exclusions=Exclusions.parse(["2027-03-27"])
    )
    assert excluded.extra(anchor=ANCHOR) is None
    over = Schedule(rule=QUARTERLY.rule, run_at_start=True, end_time=ANCHOR - timedelta(minutes=1))
    assert over.extra(anchor=ANCHOR) is None


def test_a_delay_is_the_same_for_the_same_key_and_never_more_than_the_jitter() -> None:
    jitter = timedelta(seconds=9)
    delays = {delay(f"{number:032x}", at_most=jitter) for number in range(100)}
    assert delays == {timedelta(seconds=seconds) for seconds in range(10)}
    assert delay("f" * 32, at_most=jitter) == delay("f" * 32, at_most=jitter)
    assert delay("f" * 32, at_most=timedelta()) == timedelta()
