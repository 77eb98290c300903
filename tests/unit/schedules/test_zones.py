"""Time zones: names, and occurrences at the transitions where the clock is put forward or back."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.schedules.cron import Cron
from shared.schedules.recurrence import Frequency, Recurrence
from shared.schedules.schedule import Schedule
from shared.schedules.zones import (
    comes_twice,
    exists,
    find_zone,
    instant_of,
    last_wall_until,
    wall_of,
)
from tests.unit.schedules.calls import latest

OLD = datetime(1990, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        ("UTC", "UTC"),
        ("Pacific Standard Time", "America/Los_Angeles"),
        ("W. Europe Standard Time", "Europe/Berlin"),
        ("Nepal Standard Time", "Asia/Katmandu"),
        ("UTC-11", "Etc/GMT+11"),
        ("Mid-Atlantic Standard Time", "Etc/GMT+2"),
        ("Kamchatka Standard Time", "Asia/Kamchatka"),
    ],
)
def test_iana_and_windows_names_are_known(name: str, key: str) -> None:
    found = find_zone(name)
    assert found.key in (key, key.replace("Katmandu", "Kathmandu"))


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("Europe/Berln", "(did you mean Europe/Berlin"),
        ("Berlin", "(did you mean Europe/Berlin?)"),
        ("europe/berlin", "(did you mean Europe/Berlin"),
        ("Pacific Standard", "(did you mean Pacific Standard Time"),
        ("Sao Paulo", "America/Sao_Paulo"),
    ],
)
def test_an_unknown_zone_is_refused_with_similar_names(name: str, near: str) -> None:
    with pytest.raises(ValueError) as caught:
        find_zone(name)
    assert str(caught.value).startswith("there is no such time zone (did you mean ")
    assert near in str(caught.value)
    assert str(caught.value).endswith(
        "; write an IANA name such as Europe/Berlin, or a Windows name such as Pacific Standard Time"
    )


@pytest.mark.parametrize(
    "name", ["", "localtime", "../etc/passwd", "/UTC", "Europe", "A\0", "x" * 9999]
)
def test_a_text_that_is_not_a_name_of_a_zone_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="there is no such time zone"):
        find_zone(name)


# Each: zone, wall time, the instant it stands for (local, with offset), and the kind of the wall time.
WALLS = [
    ("Europe/Berlin", "2027-03-28T01:59", "2027-03-28T01:59+01:00", "plain"),
    ("Europe/Berlin", "2027-03-28T02:00", "2027-03-28T03:00+02:00", "gap"),
    ("Europe/Berlin", "2027-03-28T02:59", "2027-03-28T03:00+02:00", "gap"),
    ("Europe/Berlin", "2027-03-28T03:00", "2027-03-28T03:00+02:00", "plain"),
    ("Europe/Berlin", "2027-10-31T01:59", "2027-10-31T01:59+02:00", "plain"),
    ("Europe/Berlin", "2027-10-31T02:00", "2027-10-31T02:00+02:00", "twice"),
    ("Europe/Berlin", "2027-10-31T02:59", "2027-10-31T02:59+02:00", "twice"),
    ("Europe/Berlin", "2027-10-31T03:00", "2027-10-31T03:00+01:00", "plain"),
    ("America/New_York", "2027-03-14T02:30", "2027-03-14T03:00-04:00", "gap"),
    ("America/New_York", "2027-11-07T01:30", "2027-11-07T01:30-04:00", "twice"),
    # Half an hour: from +10:30 to +11:00 and back.
    ("Australia/Lord_Howe", "2027-10-03T02:00", "2027-10-03T02:30+11:00", "gap"),
    ("Australia/Lord_Howe", "2027-10-03T02:30", "2027-10-03T02:30+11:00", "plain"),
    ("Australia/Lord_Howe", "2027-04-04T01:45", "2027-04-04T01:45+11:00", "twice"),
    ("Australia/Lord_Howe", "2027-04-04T02:00", "2027-04-04T02:00+10:30", "plain"),
    # At midnight, until 2019.
    ("America/Sao_Paulo", "2018-11-04T00:00", "2018-11-04T01:00-02:00", "gap"),
    ("America/Sao_Paulo", "2018-02-17T23:30", "2018-02-17T23:30-02:00", "twice"),
    ("America/Sao_Paulo", "2027-11-07T00:00", "2027-11-07T00:00-03:00", "plain"),
    ("Asia/Kathmandu", "2027-03-28T02:30", "2027-03-28T02:30+05:45", "plain"),
    # A whole day: the clock skipped 2011-12-30.
    ("Pacific/Apia", "2011-12-29T23:59", "2011-12-29T23:59-10:00", "plain"),
    ("Pacific/Apia", "2011-12-30T00:00", "2011-12-31T00:00+14:00", "gap"),
    ("Pacific/Apia", "2011-12-30T23:59", "2011-12-31T00:00+14:00", "gap"),
    ("Pacific/Apia", "2011-12-31T00:00", "2011-12-31T00:00+14:00", "plain"),
    ("UTC", "2027-03-28T02:30", "2027-03-28T02:30+00:00", "plain"),
]  # fmt: skip


@pytest.mark.parametrize(("zone", "wall", "instant", "kind"), WALLS)
def test_a_wall_time_stands_for_one_instant(zone: str, wall: str, instant: str, kind: str) -> None:
    found, shown = find_zone(zone), datetime.fromisoformat(wall)
    assert instant_of(shown, found).astimezone(found).isoformat(timespec="minutes") == instant
    assert exists(shown, found) is (kind != "gap")
    assert comes_twice(shown, found) is (kind == "twice")


# Each: zone, cron, from (UTC), and the local times of the occurrences that follow.
CRONS = [
    # A fixed hour keeps wall-clock time.
    ("Europe/Berlin", "30 2 * * *", "2027-03-27", ["03-27T02:30+01:00", "03-28T03:00+02:00", "03-29T02:30+02:00"]),
    ("Europe/Berlin", "30 2 * * *", "2027-10-30", ["10-30T02:30+02:00", "10-31T02:30+02:00", "11-01T02:30+01:00"]),
    ("Europe/Berlin", "*/30 2,3 28 3 *", "2027-03-27", ["03-28T03:00+02:00", "03-28T03:30+02:00", "03-28T02:00+02:00"]),
    ("Europe/Berlin", "*/30 2 31 10 *", "2027-10-30", ["10-31T02:00+02:00", "10-31T02:30+02:00", "10-31T02:00+01:00"]),
    ("America/New_York", "15 2 * * *", "2027-03-13T12:00", ["03-14T03:00-04:00", "03-15T02:15-04:00"]),
    ("America/Sao_Paulo", "0 0 * * *", "2018-11-03T12:00", ["11-04T01:00-02:00", "11-05T00:00-02:00"]),
    ("America/Sao_Paulo", "30 23 * * *", "2018-02-17T12:00", ["02-17T23:30-02:00", "02-18T23:30-03:00"]),
    ("Pacific/Apia", "0 9 * * *", "2011-12-29", ["12-29T09:00-10:00", "12-31T00:00+14:00", "12-31T09:00+14:00"]),
    ("Asia/Kathmandu", "0 0 * * *", "2027-03-27T18:00", ["03-28T00:00+05:45", "03-29T00:00+05:45"]),
    ("Australia/Lord_Howe", "15 2 * * *", "2027-10-02T00:00", ["10-03T02:30+11:00", "10-04T02:15+11:00"]),
    # An hour of * or */n follows elapsed time: a repeated hour has its occurrences twice, a skipped one has none.
    ("Europe/Berlin", "30 * * * *", "2027-10-30T23:00", ["10-31T01:30+02:00", "10-31T02:30+02:00", "10-31T02:30+01:00", "10-31T03:30+01:00"]),  # noqa: E501 — a row of a table
    ("Europe/Berlin", "30 * * * *", "2027-03-28T00:00", ["03-28T01:30+01:00", "03-28T03:30+02:00"]),
    ("Europe/Berlin", "0 */2 * * *", "2027-03-27T22:30", ["03-28T00:00+01:00", "03-28T04:00+02:00", "03-28T06:00+02:00"]),  # noqa: E501 — a row of a table
    ("Australia/Lord_Howe", "*/20 * * * *", "2027-04-03T14:35", ["04-04T01:40+11:00", "04-04T01:40+10:30", "04-04T02:00+10:30"]),  # noqa: E501 — a row of a table
    ("Australia/Lord_Howe", "*/20 * * * *", "2027-10-02T15:05", ["10-03T01:40+10:30", "10-03T02:40+11:00"]),
    ("Pacific/Apia", "0 */12 * * *", "2011-12-29T21:00", ["12-29T12:00-10:00", "12-31T00:00+14:00", "12-31T12:00+14:00"]),  # noqa: E501 — a row of a table
    ("America/Sao_Paulo", "30 */23 17 2 *", "2018-02-17T12:00", ["02-17T23:30-02:00", "02-17T23:30-03:00", "02-17T00:30-03:00"]),  # noqa: E501 — a row of a table
    ("Europe/Berlin", "30 */2 31 10 *", "2027-01-01", ["10-31T00:30+02:00", "10-31T02:30+02:00", "10-31T02:30+01:00"]),
    ("UTC", "30 2 * * *", "2027-03-27T12:00", ["03-28T02:30+00:00", "03-29T02:30+00:00"]),
]  # fmt: skip


@pytest.mark.parametrize(("zone", "expression", "after", "expected"), CRONS)
def test_crons_in_zones(zone: str, expression: str, after: str, expected: list[str]) -> None:
    check(Schedule(rule=Cron(expression, zone=find_zone(zone))), after, expected)


# Each: zone, recurrence, anchor and from (UTC), and the local times of the occurrences that follow.
RECURRENCES = [
    ("Europe/Berlin", {"frequency": "day"}, "2027-03-27T01:30", ["03-28T03:00+02:00", "03-29T02:30+02:00"]),
    ("Europe/Berlin", {"frequency": "day"}, "2027-10-30T00:30", ["10-31T02:30+02:00", "11-01T02:30+01:00"]),
    ("Europe/Berlin", {"frequency": "week"}, "2027-03-21T01:30", ["03-28T03:00+02:00", "04-04T02:30+02:00"]),
    ("Europe/Berlin", {"frequency": "month"}, "2027-02-28T01:30", ["03-28T03:00+02:00", "04-28T02:30+02:00"]),
    ("Europe/Berlin", {"frequency": "day", "times": (time(2), time(2, 30), time(3))}, "2027-03-27T12:00", ["03-28T03:00+02:00", "03-29T02:00+02:00"]),  # noqa: E501 — a row of a table
    ("Europe/Berlin", {"frequency": "hour"}, "2027-03-28T00:30", ["03-28T03:30+02:00", "03-28T04:30+02:00"]),
    ("Europe/Berlin", {"frequency": "hour", "interval": 24}, "2027-03-27T11:00", ["03-28T13:00+02:00", "03-29T13:00+02:00"]),  # noqa: E501 — a row of a table
    ("Europe/Berlin", {"frequency": "minute", "interval": 30}, "2027-10-31T00:00", ["10-31T02:30+02:00", "10-31T02:00+01:00", "10-31T02:30+01:00"]),  # noqa: E501 — a row of a table
    ("America/New_York", {"frequency": "day", "times": (time(1, 30),)}, "2027-11-06T12:00", ["11-07T01:30-04:00", "11-08T01:30-05:00"]),  # noqa: E501 — a row of a table
    ("Australia/Lord_Howe", {"frequency": "hour"}, "2027-10-02T15:00", ["10-03T03:00+11:00", "10-03T04:00+11:00"]),
    ("America/Sao_Paulo", {"frequency": "day", "times": (time(0),)}, "2018-11-03T12:00", ["11-04T01:00-02:00", "11-05T00:00-02:00"]),  # noqa: E501 — a row of a table
    ("Pacific/Apia", {"frequency": "day", "times": (time(9),)}, "2011-12-29T20:00", ["12-31T00:00+14:00", "12-31T09:00+14:00"]),  # noqa: E501 — a row of a table
    ("Pacific/Apia", {"frequency": "day", "interval": 2}, "2011-12-28T19:00", ["12-31T00:00+14:00", "01-01T09:00+14:00"]),  # noqa: E501 — a row of a table
    ("Asia/Kathmandu", {"frequency": "day"}, "2027-03-27T18:15", ["03-29T00:00+05:45", "03-30T00:00+05:45"]),
    ("UTC", {"frequency": "day"}, "2027-03-27T02:30", ["03-28T02:30+00:00", "03-29T02:30+00:00"]),
]  # fmt: skip


@pytest.mark.parametrize(("zone", "fields", "anchor", "expected"), RECURRENCES)
def test_recurrences_in_zones(
    zone: str, fields: dict[str, object], anchor: str, expected: list[str]
) -> None:
    frequency = Frequency(str(fields["frequency"]))
    rule = Recurrence(**{**fields, "frequency": frequency, "zone": find_zone(zone)})  # type: ignore[arg-type]  # a table's row
    check(Schedule(rule=rule), anchor, expected)


def check(schedule: Schedule, after: str, expected: list[str]) -> None:
    """Compare the occurrences after an instant with the expected ones, forwards and backwards."""
    begin = datetime.fromisoformat(after).replace(tzinfo=UTC)
    found: list[datetime] = []
    until = datetime(2099, 1, 1, tzinfo=UTC)
    for one in schedule.occurrences(anchor=begin, after=begin, until=until):
        found.append(one)
        if len(found) == len(expected):
            break
    shown = [one.astimezone(schedule.zone).isoformat(timespec="minutes")[5:] for one in found]
    assert shown == expected
    backwards = schedule.backwards(anchor=begin, until=found[-1])
    assert [next(backwards) for _ in found] == found[::-1]


ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo"]
ZONES += ["Pacific/Apia", "Asia/Kathmandu", "UTC"]
walls = st.datetimes(datetime(2005, 1, 1), datetime(2030, 1, 1)).map(
    lambda wall: wall.replace(microsecond=0)
)


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(ZONES), walls, walls)
def test_later_wall_times_never_stand_for_earlier_instants(
    zone: str, one: datetime, two: datetime
) -> None:
    found = find_zone(zone)
    early, late = sorted((one, two))
    assert instant_of(early, found) <= instant_of(late, found)
    if exists(one, found):
        assert wall_of(instant_of(one, found), found) == one


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(ZONES), walls, st.integers(-90, 90))
def test_no_wall_time_after_the_bound_stands_for_a_past_instant(
    zone: str, wall: datetime, minutes: int
) -> None:
    found, instant = find_zone(zone), wall.replace(tzinfo=UTC)
    other = wall_of(instant, found).replace(fold=0) + timedelta(minutes=minutes)
    if instant_of(other, found) <= instant:
        assert other <= last_wall_until(instant, found)
    else:
        assert other > wall_of(instant, found)


def elapsed_oracle(cron: Cron, after: datetime, until: datetime) -> list[datetime]:
    """Return the occurrences by a check of every minute that passes."""
    minute = after.replace(second=0) + timedelta(minutes=1)
    found = []
    in_utc = Schedule(rule=Cron(cron.expression))
    while minute <= until:
        wall = wall_of(minute, cron.zone).replace(fold=0, tzinfo=UTC)
        before = wall - timedelta(seconds=1)
        if latest(in_utc, anchor=OLD, after=before, until=wall) is not None:
            found.append(minute)
        minute += timedelta(minutes=1)
    return found


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(
        [
            ("Europe/Berlin", "2027-10-30T22:00"),
            ("Europe/Berlin", "2027-03-27T23:00"),
            ("Australia/Lord_Howe", "2027-04-03T13:00"),
            ("Australia/Lord_Howe", "2027-10-02T13:00"),
            ("Pacific/Apia", "2011-12-30T05:00"),
            ("America/Sao_Paulo", "2018-02-17T22:00"),
        ]
    ),
    st.sampled_from(["*", "*/2", "*/3", "*/23"]),
    st.sampled_from(["*/7", "0", "30", "15,45"]),
    st.integers(0, 240),
)
def test_an_open_hour_field_looks_at_every_minute_that_passes(
    case: tuple[str, str], hour: str, minute: str, shift: int
) -> None:
    zone, begin = case
    cron = Cron(f"{minute} {hour} * * *", zone=find_zone(zone))
    after = datetime.fromisoformat(begin).replace(tzinfo=UTC) + timedelta(minutes=shift)
    until = after + timedelta(hours=7)
    schedule = Schedule(rule=cron)
    expected = elapsed_oracle(cron, after, until)
    assert list(schedule.occurrences(anchor=OLD, after=after, until=until)) == expected
    backwards: list[datetime] = []
    for one in schedule.backwards(anchor=OLD, until=until):
        if one <= after:
            break
        backwards.append(one)
    assert backwards[::-1] == expected
