"""Rules with an interval of minutes, hours, days, weeks or months, counted from an anchor.

Minutes and hours follow elapsed time. Days, weeks and months keep wall-clock time:

- All periods are numbered: days and weeks since 0001-01-01 (weeks begin on Monday), months as 12 * year + month.
- Every `interval`-th period has occurrences, counted from the period of the anchor.
- Such a period has an occurrence for each day and each time of day of the rule.

The next occurrence is calculated from the number of the period, so that an old anchor costs no more than a new one.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from shared.schedules.rule import FIRST_INSTANT, LAST_INSTANT, UTC_ZONE, Anchor, MissingDay, Planned
from shared.schedules.zones import instant_of, last_wall_until, wall_of

MAX_INTERVAL = 100_000
"""More than Logic Apps allows (72,000 minutes), and far less than a timedelta can hold, also in weeks."""

LAST_DAY = -1
"""Stands for the last day of a month in `month_days`."""


class Frequency(StrEnum):
    """The unit that an interval counts."""

    MINUTE = "minute"
    """60 seconds."""
    HOUR = "hour"
    """60 minutes."""
    DAY = "day"
    """A day of the calendar. It may have 23 or 25 hours."""
    WEEK = "week"
    """From Monday to Sunday."""
    MONTH = "month"
    """A month of the calendar."""


ELAPSED = frozenset({Frequency.MINUTE, Frequency.HOUR})
"""The frequencies that follow elapsed time. The others keep wall-clock time."""

WEEK_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrence:
    """A rule with an interval, counted from an anchor.

    Raises:
        ValueError: The interval is out of its range.
    """

    frequency: Frequency
    """The unit of the interval."""
    interval: int = 1
    """The number of units between two periods with occurrences, 1 to `MAX_INTERVAL`."""
    zone: ZoneInfo = field(default=UTC_ZONE)
    """The time zone of the wall clock."""
    times: tuple[time, ...] = ()
    """The times of day, in order. Empty: that of the anchor. Only for day, week and month."""
    week_days: tuple[int, ...] = ()
    """The days of the week, from 0 for Monday to 6, in order. Empty: that of the anchor. Only for week."""
    month_days: tuple[int, ...] = ()
    """The days of the month: 1 to 31, and -1 for the last. Empty: that of the anchor. Only for month.

    A month without such a day has no occurrence for it.
    """

    def __post_init__(self) -> None:
        if not 1 <= self.interval <= MAX_INTERVAL:
            raise ValueError(f"interval is {self.interval}; it must be from 1 to {MAX_INTERVAL}")

    @property
    def follows_elapsed_time(self) -> bool:
        """Whether the time between two occurrences stays the same when the clock changes."""
        return self.frequency in ELAPSED

    @property
    def has_pattern(self) -> bool:
        """Whether the rule has days or times of day, and not only an interval."""
        return bool(self.times or self.week_days or self.month_days)

    @property
    def needs_anchor(self) -> bool:
        """Whether another anchor gives other occurrences."""
        match self.frequency:
            case Frequency.DAY:
                complete = bool(self.times)
            case Frequency.WEEK:
                complete = bool(self.times and self.week_days)
            case Frequency.MONTH:
                complete = bool(self.times and self.month_days)
            case _:
                complete = False
        return self.interval > 1 or not complete

    @property
    def definition(self) -> str:
        """The rule as one line of text. Equal rules have equal definitions."""
        units = self.frequency.value if self.interval == 1 else f"{self.frequency.value}s"
        parts = [f"every {self.interval} {units}"]
        if self.week_days:
            parts.append("on " + ",".join(WEEK_DAYS[day] for day in self.week_days))
        if self.month_days:
            days = ("last" if day == LAST_DAY else str(day) for day in self.month_days)
            parts.append("on day " + ",".join(days))
        if self.times:
            parts.append("at " + ",".join(f"{one:%H:%M}" for one in self.times))
        if self.zone.key != "UTC":
            parts.append(f"in {self.zone.key}")
        return " ".join(parts)

    def forward(self, *, anchor: Anchor, after: datetime) -> Iterator[Planned]:
        """Yield the occurrences after an instant, oldest first. Several may have the same instant."""
        after = max(after, FIRST_INSTANT)
        if self.follows_elapsed_time:
            count = (after - anchor.instant) // self._step + 1
            yield from self._counted(anchor, count, 1)
            return
        wall = wall_of(after, self.zone)
        for one in self._walls(anchor.wall, wall, forward=True):
            # A wall time whose instant is after `after` is later than the wall clock at `after`: see `zones`.
            if one > wall and (instant := instant_of(one, self.zone)) > after:
                yield Planned(instant, one)

    def backward(self, *, anchor: Anchor, until: datetime) -> Iterator[Planned]:
        """Yield the occurrences up to an instant, newest first. Several may have the same instant."""
        until = min(until, LAST_INSTANT)
        if self.follows_elapsed_time:
            count = (until - anchor.instant) // self._step
            yield from self._counted(anchor, count, -1)
            return
        wall = last_wall_until(until, self.zone)
        for one in self._walls(anchor.wall, wall, forward=False):
            if one <= wall and (instant := instant_of(one, self.zone)) <= until:
                yield Planned(instant, one)

    def missing_days(
        self, *, anchor: Anchor, after: datetime, until: datetime
    ) -> Iterator[MissingDay]:
        """Yield the days of the rule that the months of a period do not have."""
        if self.frequency is not Frequency.MONTH:
            return
        last = self._period(wall_of(min(until, LAST_INSTANT), self.zone).date())
        for period in self._periods(anchor.wall, wall_of(after, self.zone), forward=True):
            if period > last:
                return
            year, month = divmod(period, 12)
            length = monthrange(year, month + 1)[1]
            for day in self.month_days or (anchor.wall.day,):
                if day > length:
                    yield MissingDay(date(year, month + 1, 1), day)

    def unshown_walls(self, *, after: datetime, until: datetime) -> Iterator[datetime]:  # noqa: ARG002 - as all rules
        """Return nothing: an occurrence in a gap of the clock is moved to the end of the gap."""
        return iter(())

    @property
    def _step(self) -> timedelta:
        """The time between two occurrences, if the rule follows elapsed time."""
        return timedelta(**{f"{self.frequency.value}s": self.interval})

    def _counted(self, anchor: Anchor, count: int, direction: int) -> Iterator[Planned]:
        while True:
            try:
                instant = anchor.instant + count * self._step
            except OverflowError:
                return
            if not FIRST_INSTANT <= instant <= LAST_INSTANT:
                return
            yield Planned(instant, wall_of(instant, self.zone))
            count += direction

    def _walls(self, anchor: datetime, start: datetime, *, forward: bool) -> Iterator[datetime]:
        """Yield the wall times of the period that contains `start` and of all further periods in a direction."""
        times = self.times or (anchor.time(),)
        order = slice(None, None, 1 if forward else -1)
        for period in self._periods(anchor, start, forward=forward):
            for day in self._days(period, anchor)[order]:
                for one in times[order]:
                    yield datetime.combine(day, one)

    def _periods(self, anchor: datetime, start: datetime, *, forward: bool) -> Iterator[int]:
        """Yield the numbers of the periods with occurrences, from that of `start` to the end of the calendar."""
        origin = self._period(anchor.date())
        count = (self._period(start.date()) - origin) // self.interval
        bound = self._period((LAST_INSTANT if forward else FIRST_INSTANT).date())
        while True:
            period = origin + count * self.interval
            if period > bound if forward else period < bound:
                return
            if not forward or period >= self._period(FIRST_INSTANT.date()):
                yield period
            count += 1 if forward else -1

    def _period(self, day: date) -> int:
        match self.frequency:
            case Frequency.MONTH:
                return day.year * 12 + day.month - 1
            case Frequency.WEEK:
                return (day.toordinal() - 1) // 7  # 0001-01-01, day 1, was a Monday
            case _:
                return day.toordinal()

    def _days(self, period: int, anchor: datetime) -> list[date]:
        """Return the days of a period that have occurrences, in order."""
        if self.frequency is Frequency.MONTH:
            year, month = divmod(period, 12)
            length = monthrange(year, month + 1)[1]
            wanted = self.month_days or (anchor.day,)
            days = {length if day == LAST_DAY else day for day in wanted}
            return [date(year, month + 1, day) for day in sorted(days) if day <= length]
        if self.frequency is Frequency.WEEK:
            monday = period * 7 + 1
            days_of_week = self.week_days or (anchor.weekday(),)
            return [date.fromordinal(monday + day) for day in days_of_week]
        return [date.fromordinal(period)]
