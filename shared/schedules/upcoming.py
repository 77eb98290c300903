"""The next occurrences of a schedule, and those that are moved or dropped, with the reasons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, islice
from typing import Any

from shared.core.times import print_instant
from shared.schedules.exclusions import print_days
from shared.schedules.rule import LAST_INSTANT, Anchor
from shared.schedules.schedule import Schedule
from shared.schedules.zones import comes_twice, exists, instant_of, wall_of

MAX_COUNT = 10_000
MAX_DROPPED = 200
"""Dropped occurrences in one answer. A schedule of every minute has 1,440 on a single excluded day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upcoming:
    """An occurrence that starts a run."""

    time: datetime
    """The instant in UTC."""
    local: datetime
    """The instant in the schedule's time zone."""
    moved_from: datetime | None = None
    """The wall time of the rule, if the clock skips it and the occurrence is moved."""
    note: str | None = None
    """The reason, if the clock skips or repeats the wall time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """An occurrence of the rule that does not start a run."""

    local: str
    """The wall time, or the day that a month does not have."""
    time: datetime | None
    """The instant, or None if the wall time or the day does not exist."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """The next occurrences of a schedule."""

    time_zone: str
    """The schedule's time zone."""
    occurrences: tuple[Upcoming, ...]
    """The occurrences that start runs, in order."""
    dropped: tuple[Dropped, ...]
    """The occurrences that do not, up to the last one that does. At most `MAX_DROPPED`."""

    def to_json(self) -> dict[str, Any]:
        """Return the occurrences as JSON."""
        return {
            "time_zone": self.time_zone,
            "occurrences": [
                {
                    "time": print_instant(one.time),
                    "local": one.local.isoformat(),
                    "moved_from": one.moved_from.isoformat() if one.moved_from else None,
                    "note": one.note,
                }
                for one in self.occurrences
            ],
            "dropped": [
                {
                    "time": print_instant(one.time) if one.time else None,
                    "local": one.local,
                    "reason": one.reason,
                }
                for one in self.dropped
            ],
        }


def look_ahead(schedule: Schedule, *, anchor: datetime, since: datetime, count: int) -> Outlook:
    """Return the next occurrences of a schedule.

    Args:
        schedule: The schedule.
        anchor: The registration of the trigger, cut to the minute, or an assumed one.
        since: The earliest instant. It is included.
        count: The number of occurrences. If the schedule ends, there are fewer.
    """
    after = since - timedelta.resolution
    if schedule.needs_anchor:
        after = max(after, anchor)  # the registration itself is not an occurrence
    times = list(
        islice(schedule.occurrences(anchor=anchor, after=after, until=LAST_INSTANT), count)
    )
    extra = schedule.extra(anchor=anchor)
    if extra is not None and extra >= since:
        times = sorted({extra, *times})[:count]
    after, until = schedule.bounded(after, times[-1] if times else LAST_INSTANT)
    dropped = list(
        islice(
            chain(
                _excluded_or_merged(schedule, anchor, after, until),
                _without_instant(schedule, anchor, after, until),
                # Without an occurrence this search has no end.
                _skipped_by_clock(schedule, after, until) if times else (),
            ),
            MAX_DROPPED,
        )
    )
    return Outlook(
        time_zone=schedule.zone.key,
        occurrences=tuple(_upcoming(schedule, anchor, time) for time in times),
        dropped=tuple(sorted(dropped, key=lambda one: one.local)),
    )


def _excluded_or_merged(
    schedule: Schedule, anchor: datetime, after: datetime, until: datetime
) -> Iterator[Dropped]:
    last: datetime | None = None
    for one in schedule.planned(anchor=anchor, after=after, until=until):
        days = schedule.exclusions.hit(one.time, schedule.zone)
        local = one.wall.replace(fold=0).isoformat()
        if days is not None:
            yield Dropped(local=local, time=one.time, reason=f"excluded: {print_days(days)}")
        elif one.time == last:
            reason = "another occurrence has the same instant, because the clock is put forward"
            yield Dropped(local=local, time=one.time, reason=reason)
        last = one.time


def _without_instant(
    schedule: Schedule, registered_at: datetime, after: datetime, until: datetime
) -> Iterator[Dropped]:
    if schedule.start_time is not None:
        start = schedule.start_time
        registered_at = start if start.tzinfo else instant_of(start, schedule.zone)
    anchor = Anchor(registered_at, wall_of(registered_at, schedule.zone))
    for month, day in schedule.rule.missing_days(anchor=anchor, after=after, until=until):
        reason = f"short month: {month:%B %Y} has no day {day}"
        yield Dropped(local=f"{month:%Y-%m}-{day}", time=None, reason=reason)


def _skipped_by_clock(schedule: Schedule, after: datetime, until: datetime) -> Iterator[Dropped]:
    for wall in schedule.rule.unshown_walls(after=after, until=until):
        reason = "the clock is put forward over it"
        yield Dropped(local=wall.isoformat(), time=None, reason=reason)


def _upcoming(schedule: Schedule, anchor: datetime, time: datetime) -> Upcoming:
    local = time.astimezone(schedule.zone)
    just_before = time - timedelta.resolution
    planned = next(schedule.planned(anchor=anchor, after=just_before, until=time), None)
    if planned is None or schedule.rule.follows_elapsed_time:
        return Upcoming(time=time, local=local)
    wall = planned.wall
    if not exists(wall, schedule.zone):
        note = f"moved: {wall:%H:%M} does not exist, because the clock is put forward"
        return Upcoming(time=time, local=local, moved_from=wall, note=note)
    if comes_twice(wall, schedule.zone):
        note = "this local time comes twice, because the clock is put back; the first counts"
        return Upcoming(time=time, local=local, note=note)
    return Upcoming(time=time, local=local)
