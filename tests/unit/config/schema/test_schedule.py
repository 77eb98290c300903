"""Single values of a schedule: the messages about those that are not allowed."""

from __future__ import annotations

import pytest

from tests.unit.config.files import ProblemsOf, daily, only, with_trigger

AT = "triggers.t.schedule"
NO_ZONE = (
    "write an IANA name such as Europe/Berlin, or a Windows name such as Pacific Standard Time"
)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "schedule: {}",
            f"{AT}: found a map; a schedule has either frequency (with interval) or cron; this one has neither",
        ),
        (
            "schedule: {frequency: day, cron: 0 0 * * *}",
            f"{AT}: found a map; a schedule has either frequency (with interval) or cron; this one has both",
        ),
        ("schedule: {frequency: year}", f"{AT}.frequency: found year; allowed: minute, hour, day, week, month"),
        ("schedule: {frequency: day, interval: 0}", f"{AT}.interval: found 0; at least 1 is allowed"),
        ("schedule: {frequency: day, interval: 100001}", "found 100001; at most 100000 is allowed"),
        ("schedule: {frequency: day, interval: 1000000000}", "found 1000000000; at most 100000 is"),
        ("schedule: {frequency: day, interval: '5'}", "found 5; a whole number is needed, without"),
        ("schedule: {frequency: day, interval: 1.5}", "found 1.5; a whole number is needed"),
        ("schedule: {cron: 0 0 30 2 *}", f"{AT}.cron: found 0 0 30 2 *; the expression"),
        (
            "schedule: {cron: 0 0 0 1 1 *}",
            f"{AT}.cron: found 0 0 0 1 1 *; a cron expression has exactly five fields (minute, hour, day of month, "
            "month, day of week) and this one has 6; write for example 30 6 * * MON-FRI",
        ),
        (
            daily("time_of_day: 24:00"),
            f"{AT}.time_of_day: found 24:00; a time of day is hour:minute from 0:00 to 23:59, such as 6:30",
        ),
        (daily("time_of_day: '630'"), "a time of day is hour:minute"),
        (daily("hours: [24]"), f"{AT}.hours[0]: found 24; at most 23 is allowed"),
        (daily("minutes: [0, -1]"), f"{AT}.minutes[1]: found -1; at least 0 is allowed"),
        (daily("hours: 6"), f"{AT}.hours: found 6; a list is needed, in square brackets"),
        (daily("hours: []"), f"{AT}.hours: found a list; the list is empty; add at least one item"),
        (daily("hours: [6, 6]"), f"{AT}.hours: found a list; the list has a duplicate"),
        (
            "schedule: {frequency: week, week_days: [Mon]}",
            f"{AT}.week_days[0]: found Mon; allowed: monday, tuesday, wednesday",
        ),
        (
            "schedule: {frequency: month, month_days: [32]}",
            f"{AT}.month_days[0]: found 32; a day of the month is 1 to 31, or -1 for the last day",
        ),
        ("schedule: {frequency: month, month_days: [0]}", "a day of the month is 1 to 31, or -1"),
        ("schedule: {frequency: month, month_days: [-2]}", "a day of the month is 1 to 31, or -1"),
        (
            daily("time_zone: Europe/Berln"),
            f"{AT}.time_zone: found Europe/Berln; there is no such time zone (did you mean Europe/Berlin",
        ),
        (daily("time_zone: Mars/Olympus"), NO_ZONE),
        (
            daily("start_time: 2027-02-30T06:00:00"),
            f"{AT}.start_time: found 2027-02-30T06:00:00; the calendar has no such day or time",
        ),
        (
            daily("start_time: 2027-03-01"),
            f"{AT}.start_time: found 2027-03-01; a time is local to time_zone, such as 2027-03-01T06:00:00, or has an "
            "offset (Z, +01:00) at its end",
        ),
        (daily("except: [2027-02-30]"), f"{AT}.except[0]: found 2027-02-30; the calendar has no such day"),
        (daily("except: 2027-02-20"), f"{AT}.except: found 2027-02-20; a list is needed"),
        (daily("excluded: [2027-02-20]"), "the key excluded is not known; allowed are frequency, interval"),
        (daily("jitter: 13h"), f"{AT}.jitter: found 13h; at most 12h is allowed"),
        (daily("jitter: 5"), "text is needed"),
        (daily("jitter: 5 min"), f"{AT}.jitter: found 5 min; a duration is a whole number above 0"),
        (daily("catch_up: some"), f"{AT}.catch_up: found some; allowed: none, latest, all"),
        (daily("catch_up: all, catch_up_window: 400d"), "found 400d; at most 366d is allowed"),
    ],
)  # fmt: skip
def test_a_value_that_is_not_allowed_is_the_only_problem(
    problems_of: ProblemsOf, body: str, message: str
) -> None:
    assert message in only(problems_of(with_trigger(body)))
