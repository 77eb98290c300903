"""Every so many minutes, hours, days, weeks or months, counted from an anchor.

Minutes and hours follow elapsed time. Days, weeks and months keep wall-clock time: their periods are numbered (days
and weeks since 0001-01-01, weeks from Monday; months as 12 * year + month), every `interval`-th one from the anchor's
own counts, and in each of those every day and every time of day that the rule names. The next occurrence is computed
from the period's number, however far the anchor is.
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
"""Above Logic Apps' largest (72,000 minutes), far below what a timedelta holds, in weeks too."""

LAST_DAY = -1
"""The last day of a month, among `month_days`."""


class Frequency(StrEnum):
    """The unit that an interval counts."""

    MINUTE = "minute"
    """60 seconds."""
    HOUR = "hour"
    """60 minutes."""
    DAY = "day"
    """A day of the calendar, whatever its length."""
    WEEK = "week"
    """From Monday to Sunday."""
    MONTH = "month"
    """A month of the calendar."""


ELAPSED = frozenset({Frequency.MINUTE, Frequency.HOUR})
"""The frequencies that follow elapsed time; the others keep wall-clock time."""

WEEK_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrence:
    """Every `interval` units, counted from an anchor.

    Attributes:
        frequency: The unit.
        interval: How many units lie between two periods that count, 1 to `MAX_INTERVAL`.
        zone: Whose wall clock is kept.
        times: Times of day, in order; empty for the anchor's own. Only for day, week and month.
        week_days: 0 for Monday to 6, in order; empty for the anchor's own. Only for week.
        month_days: 1 to 31, and -1 for the last; empty for the anchor's own. Only for month. A month without such a
            day has no occurrence for it.

    Raises:
        ValueError: The interval is out of its range.
    """

    frequency: Frequency
    interval: int = 1
    zone: ZoneInfo = field(default=UTC_ZONE)
    times: tuple[time, ...] = ()
    week_days: tuple[int, ...] = ()
    month_days: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.interval <= MAX_INTERVAL:
            raise ValueError(f"interval must be from 1 to {MAX_INTERVAL}")

    @property
    def follows_elapsed_time(self) -> bool:
        """Whether a change of the clocks leaves the distance between occurrences as it is."""
        return self.frequency in ELAPSED

    @property
    def has_pattern(self) -> bool:
        """Whether it names days or times of day, and not only a distance."""
        return bool(self.times or self.week_days or self.month_days)

    @property
    def needs_anchor(self) -> bool:
        """Whether another anchor would give other instants."""
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
        """The rule in one line: equal rules have equal definitions."""
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
        """Yield the occurrences later than an instant, oldest first; several may land on one instant."""
        after = max(after, FIRST_INSTANT)
        if self.follows_elapsed_time:
            count = (after - anchor.instant) // self._step + 1
            yield from self._counted(anchor, count, 1)
            return
        wall = wall_of(after, self.zone)
        for one in self._walls(anchor.wall, wall, forward=True):
            # What means an instant after `after` is beyond the wall clock's reading then: see `shared.schedules.zones`.
            if one > wall and (instant := instant_of(one, self.zone)) > after:
                yield Planned(instant, one)

    def backward(self, *, anchor: Anchor, until: datetime) -> Iterator[Planned]:
        """Yield the occurrences up to an instant, newest first; several may land on one instant."""
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
        """Yield the days that the rule names and the months of a span do not have."""
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
        """There are none: what keeps wall-clock time is moved to the end of the gap."""
        return iter(())

    @property
    def _step(self) -> timedelta:
        """The time between two occurrences that follow elapsed time."""
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
        """Yield the wall times of the period that holds `start` and of all that follow in a direction."""
        times = self.times or (anchor.time(),)
        order = slice(None, None, 1 if forward else -1)
        for period in self._periods(anchor, start, forward=forward):
            for day in self._days(period, anchor)[order]:
                for one in times[order]:
                    yield datetime.combine(day, one)

    def _periods(self, anchor: datetime, start: datetime, *, forward: bool) -> Iterator[int]:
        """Yield the numbers of the periods that count, from that of `start` on; without an end in reach."""
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
        """Return the days of a period that the rule names, in order."""
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
