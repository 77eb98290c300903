"""What a schedule will do: its next occurrences, and what is moved or dropped on the way, and why."""

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
"""A schedule of every minute has 1,440 occurrences on an excluded day; nobody reads more of them than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upcoming:
    """An occurrence that runs.

    Attributes:
        time: The instant, in UTC.
        local: The same in the schedule's zone.
        moved_from: The wall time that it stands for, when the clock never shows that one.
        note: What is special about it.
    """

    time: datetime
    local: datetime
    moved_from: datetime | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """What the rule names and does not run.

    Attributes:
        local: The wall time, or the day that a month does not have.
        time: The instant, where there is one.
        reason: Why.
    """

    local: str
    time: datetime | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What a schedule will do.

    Attributes:
        time_zone: The schedule's zone.
        occurrences: What runs, in order.
        dropped: What does not, up to the last of these, at most `MAX_DROPPED`.
    """

    time_zone: str
    occurrences: tuple[Upcoming, ...]
    dropped: tuple[Dropped, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it for machines."""
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
        anchor: The trigger's first sight, cut to the minute; where it is not known, what to take for it.
        since: From when on, itself included.
        count: How many; fewer when the schedule ends.
    """
    after = since - timedelta.resolution
    if schedule.needs_anchor:
        after = max(after, anchor)  # a first sight is no occurrence by itself
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
                # Without an occurrence there is no end to look for these.
                _left_out(schedule, after, until) if times else (),
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
        span = schedule.exclusions.hit(one.time, schedule.zone)
        local = one.wall.replace(fold=0).isoformat()
        if span is not None:
            yield Dropped(local=local, time=one.time, reason=f"excluded: {print_days(span)}")
        elif one.time == last:
            reason = "it lands on the same instant as another occurrence, because the clock is put forward"
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


def _left_out(schedule: Schedule, after: datetime, until: datetime) -> Iterator[Dropped]:
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
