"""Compiles what a trigger starts from: a schedule, a folder of blobs, or HTTP calls."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import time, timedelta

from shared.config.document import KeyPath
from shared.config.model import (
    BlobDelivery,
    BlobSource,
    Datastore,
    HttpSource,
    ScheduleSource,
    Start,
)
from shared.config.path_rule import PathRule
from shared.config.problems import Problems
from shared.config.schema import checks
from shared.config.schema.file import BlobEntry, HttpEntry
from shared.config.schema.schedule import ScheduleEntry
from shared.core.times import read_duration
from shared.schedules.cron import Cron
from shared.schedules.exclusions import Exclusions
from shared.schedules.recurrence import WEEK_DAYS, Frequency, Recurrence
from shared.schedules.schedule import CatchUp, CatchUpPolicy, Schedule
from shared.schedules.zones import find_zone

_ON_CALENDAR = ("day", "week", "month")
"""The frequencies that have times of day."""

_NEEDED_FREQUENCY = {
    "hours": _ON_CALENDAR,
    "minutes": _ON_CALENDAR,
    "time_of_day": _ON_CALENDAR,
    "week_days": ("week",),
    "month_days": ("month",),
}
"""The frequencies that a key of a recurrence goes with."""


def compile_schedule(
    entry: ScheduleEntry, path: KeyPath, *, problems: Problems
) -> ScheduleSource | None:
    """Return a schedule, or None if it has problems.

    Args:
        entry: The map of the file. Each of its values is valid by itself.
        path: The path of the map.
        problems: Takes the problems.
    """
    rule = _rule(entry)
    if rule is None:
        return None
    for key, reason in _misplaced_keys(entry):
        if key in entry.model_fields_set:
            problems.add_found((*path, key), reason)
    try:
        schedule = Schedule(
            rule=rule,
            run_at_start=entry.run_at_start,
            start_time=checks.read_moment(entry.start_time) if entry.start_time else None,
            end_time=checks.read_moment(entry.end_time) if entry.end_time else None,
            exclusions=Exclusions.parse(entry.excluded),
        )
    except ValueError as error:
        key = "end_time" if entry.end_time else "start_time"
        problems.add_found((*path, key), str(error))
        return None
    return ScheduleSource(
        schedule=schedule,
        definition=schedule.definition,
        catch_up=CatchUp(
            policy=CatchUpPolicy(entry.catch_up), window=read_duration(entry.catch_up_window)
        ),
        jitter=read_duration(entry.jitter) if entry.jitter else timedelta(),
    )


def _rule(entry: ScheduleEntry) -> Cron | Recurrence | None:
    """Return the rule of a schedule, or None if its frequency or its cron expression has a problem."""
    zone = find_zone(entry.time_zone)
    if entry.cron is not None:
        return Cron(entry.cron, zone=zone)
    if entry.frequency is None:
        return None
    times: tuple[time, ...] = ()
    if entry.time_of_day is not None:
        times = (checks.read_time_of_day(entry.time_of_day),)
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


def _misplaced_keys(entry: ScheduleEntry) -> Iterator[tuple[str, str]]:
    """Yield the keys that do not go with the others of a schedule, each with the reason."""
    if entry.start_time is not None and entry.run_at_start:
        yield (
            "run_at_start",
            "it goes with a schedule that begins when the app registers it; remove it, or start_time",
        )
    if entry.catch_up == "none":
        yield "catch_up_window", "with catch_up: none, no missed occurrence runs; remove it"
    if entry.cron is not None:
        for key in ("interval", *_NEEDED_FREQUENCY):
            yield key, f"{key} goes with frequency, not with cron; remove it"
        return
    for key, frequencies in _NEEDED_FREQUENCY.items():
        if entry.frequency not in frequencies:
            allowed = " or ".join(", ".join(frequencies).rsplit(", ", 1))
            yield key, f"{key} goes with frequency {allowed}, and this one is {entry.frequency}"
    if entry.time_of_day is not None:
        yield "hours", "time_of_day already gives the time; remove hours or time_of_day"
        yield "minutes", "time_of_day already gives the time; remove minutes or time_of_day"


def compile_blob(
    entry: BlobEntry,
    path: KeyPath,
    *,
    datastores: Mapping[str, Datastore],
    declared_datastores: Collection[str],
    default_delivery: BlobDelivery,
    problems: Problems,
) -> BlobSource | None:
    """Return a folder of blobs, or None if its datastore has problems.

    Args:
        entry: The map of the file. Each of its values is valid by itself.
        path: The path of the map.
        datastores: The datastores without problems.
        declared_datastores: The names of all datastores in the file.
        default_delivery: How the host detects blobs if the trigger does not say it.
        problems: Takes the problems.
    """
    if entry.datastore is not None and entry.datastore not in declared_datastores:
        problems.add_unknown(
            (*path, "datastore"), entry.datastore, declared=declared_datastores, kind="datastore"
        )
    for position, glob in enumerate(entry.include):
        if not entry.recursive and "/" in glob.removeprefix("**/"):
            problems.add_found(
                (*path, "include", position),
                "it names a sub-folder and recursive is false, so no blob can match; write recursive: true",
            )
    datastore = datastores.get(entry.datastore or "")
    if datastore is None:
        return None
    return BlobSource(
        datastore=datastore,
        rule=PathRule(
            entry.path,
            recursive=entry.recursive,
            include=tuple(entry.include),
            exclude=tuple(entry.exclude),
        ),
        delivery=BlobDelivery(entry.source) if entry.source else default_delivery,
        start=checks.read_start(entry.start) or Start(entry.start),
    )


def compile_http(entry: HttpEntry, *, names: Collection[str]) -> HttpSource:
    """Return a source of HTTP calls.

    Args:
        entry: The map of the file.
        names: The dotted names that the trigger's templates use.
    """
    return HttpSource(
        allow_experiment=entry.allow_experiment,
        body_names=_keys_below("http.body.", names),
        query_names=_keys_below("http.query.", names),
    )


def _keys_below(prefix: str, names: Collection[str]) -> frozenset[str]:
    """Return the key after a prefix in each name that begins with the prefix."""
    return frozenset(
        name.removeprefix(prefix).partition(".")[0] for name in names if name.startswith(prefix)
    )
