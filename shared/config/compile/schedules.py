"""Builds a schedule of what the file says about it, and says which keys do not go together."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import time, timedelta

from shared.config.document import Path
from shared.config.model import ScheduleSource
from shared.config.problems import Problems
from shared.config.schema import checks as rules
from shared.config.schema.schedule import ScheduleEntry
from shared.core.times import read_duration
from shared.schedules.cron import Cron
from shared.schedules.exclusions import Exclusions
from shared.schedules.recurrence import WEEK_DAYS, Frequency, Recurrence
from shared.schedules.schedule import CatchUp, CatchUpPolicy, Schedule
from shared.schedules.zones import find_zone

_ON_CALENDAR = ("day", "week", "month")
"""The frequencies that have times of day."""

_GOES_WITH = {
    "hours": _ON_CALENDAR,
    "minutes": _ON_CALENDAR,
    "time_of_day": _ON_CALENDAR,
    "week_days": ("week",),
    "month_days": ("month",),
}


def schedule_source(
    entry: ScheduleEntry, path: Path, *, problems: Problems
) -> ScheduleSource | None:
    """Return a schedule, or None when its keys do not go together.

    Args:
        entry: What the file says; each key is good by itself.
        path: Where it stands.
        problems: Takes the mistakes.
    """
    for key, rule in _misfits(entry):
        if key in entry.model_fields_set:
            problems.add((*path, key), f"found {problems.found((*path, key))}; {rule}")
    start = rules.read_moment(entry.start_time) if entry.start_time else None
    end = rules.read_moment(entry.end_time) if entry.end_time else None
    try:
        schedule = Schedule(
            rule=_rule(entry),
            run_at_start=entry.run_at_start,
            start_time=start,
            end_time=end,
            exclusions=Exclusions.parse(entry.excluded),
        )
    except ValueError as error:
        key = "end_time" if end is not None else "start_time"
        where = (*path, key)
        problems.add(where, f"found {problems.found(where)}; {error}")
        return None
    return ScheduleSource(
        schedule=schedule,
        definition=schedule.definition,
        catch_up=CatchUp(
            policy=CatchUpPolicy(entry.catch_up), window=read_duration(entry.catch_up_window)
        ),
        jitter=read_duration(entry.jitter) if entry.jitter else timedelta(),
    )


def _rule(entry: ScheduleEntry) -> Cron | Recurrence:
    """Return the rule of a schedule whose keys go together."""
    zone = find_zone(entry.time_zone)
    if entry.frequency is None:
        return Cron(entry.cron or "", zone=zone)
    times: tuple[time, ...] = ()
    if entry.time_of_day is not None:
        times = (rules.read_time_of_day(entry.time_of_day),)
    elif entry.hours is not None or entry.minutes is not None:
        hours, minutes = entry.hours or [0], entry.minutes or [0]
        times = tuple(sorted(time(hour, minute) for hour in hours for minute in minutes))
    return Recurrence(
        frequency=Frequency(entry.frequency),
        interval=entry.interval or 1,
        zone=zone,
        times=times,
        week_days=tuple(sorted(WEEK_DAYS.index(day) for day in entry.week_days or ())),
        month_days=tuple(sorted(entry.month_days or (), key=lambda day: (day < 0, day))),
    )


def _misfits(entry: ScheduleEntry) -> Iterator[tuple[str, str]]:
    """Yield the keys that may not be there, and why."""
    if entry.start_time is not None and entry.run_at_start:
        yield (
            "run_at_start",
            "it goes with a schedule that begins when the app first sees it; remove it, or start_time",
        )
    if entry.catch_up == "none":
        yield "catch_up_window", "with catch_up: none nothing is made up for; remove it"
    if entry.cron is not None:
        for key in ("interval", *_GOES_WITH):
            yield key, f"{key} goes with frequency, not with cron; remove it"
        return
    for key, frequencies in _GOES_WITH.items():
        if entry.frequency not in frequencies:
            allowed = " or ".join(", ".join(frequencies).rsplit(", ", 1))
            yield key, f"{key} goes with frequency {allowed}, and this one is {entry.frequency}"
    if entry.time_of_day is not None:
        yield "hours", "time_of_day says it already; remove hours or time_of_day"
        yield "minutes", "time_of_day says it already; remove minutes or time_of_day"
