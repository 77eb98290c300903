"""Schedules: a rule (cron or recurrence) with a beginning, an end and exclusions.

A schedule without `start_time` is counted from the registration of its trigger, cut to the minute. With `run_at_start`
this minute is an occurrence too. `Schedule.extra` returns it, and the other methods leave it out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from itertools import takewhile
from zoneinfo import ZoneInfo

from shared.schedules.exclusions import Exclusions
from shared.schedules.rule import FIRST_INSTANT, LAST_INSTANT, Anchor, Planned, Rule
from shared.schedules.zones import instant_of, wall_of

_FIRST_DAY, _LAST_DAY = FIRST_INSTANT.date(), LAST_INSTANT.date()


class CatchUpPolicy(StrEnum):
    """Which missed occurrences run. An occurrence is missed if no tick handled it in time."""

    NONE = "none"
    """None of them. They are skipped."""
    LATEST = "latest"
    """The newest one. The others are skipped."""
    ALL = "all"
    """All of them, oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatchUp:
    """How a schedule catches up on missed occurrences."""

    policy: CatchUpPolicy = CatchUpPolicy.LATEST
    """Which missed occurrences run."""
    window: timedelta = timedelta(hours=24)
    """Missed occurrences older than this are always skipped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A rule with a beginning, an end and exclusions.

    Raises:
        ValueError: The end is before the start, only one of them has an offset, or no occurrence is between them.
    """

    rule: Rule
    run_at_start: bool = False
    """Whether the minute of the registration is an occurrence too."""
    start_time: datetime | None = None
    """No occurrence is earlier, and the rule is counted from it. None: the registration of the trigger.

    It is a wall time of the rule's zone if it is naive, or else an instant.
    """
    end_time: datetime | None = None
    """No occurrence is later. The end itself can be an occurrence. It is naive or not, as `start_time` is."""
    exclusions: Exclusions = field(default=Exclusions())
    """Days without occurrences."""

    def __post_init__(self) -> None:
        start, end = self.start_time, self.end_time
        if start is not None and end is not None:
            if (start.tzinfo is None) != (end.tzinfo is None):
                raise ValueError(
                    "only one of start_time and end_time has an offset; write both with an offset or both without, "
                    "best as local times (2027-03-01T06:00:00) with time_zone"
                )
            if end < start:
                raise ValueError("end_time is before start_time; write a later end_time")
        if start is not None:
            since = self._instant(start) - timedelta.resolution
            bounded = self.occurrences(anchor=since, after=since, until=LAST_INSTANT)
            if next(bounded, None) is None:
                raise ValueError(
                    "the schedule can never fire: there is no occurrence from start_time on"
                    + ("" if end is None else " until end_time")
                    + "; change start_time, end_time or the rule"
                )

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of the schedule."""
        return self.rule.zone

    @property
    def needs_anchor(self) -> bool:
        """Whether the occurrences depend on the registration of the trigger."""
        return self.start_time is None and self.rule.needs_anchor

    @property
    def definition(self) -> str:
        """The rule as one line of normalised text. If it changes, the trigger is registered again, with a new anchor.

        `run_at_start`, `end_time` and `except` are not part of it, because a change of them starts nothing by itself.
        """
        if self.start_time is None:
            return self.rule.definition
        return f"{self.rule.definition} from {self.start_time.isoformat()}"

    def occurrences(
        self, *, anchor: datetime, after: datetime, until: datetime
    ) -> Iterator[datetime]:
        """Return the occurrences in a period, oldest first.

        Args:
            anchor: The registration of the trigger, cut to the minute.
            after: The start of the period. It is not included.
            until: The end of the period. It is included.

        Raises:
            ValueError: One of the instants is naive.
        """
        after, until = self.bounded(after, until)
        forward = takewhile(lambda one: one <= until, self._forward(self._anchor(anchor), after))
        return filter(self._has_begun, forward)

    def backwards(self, *, anchor: datetime, until: datetime) -> Iterator[datetime]:
        """Return the occurrences up to an instant, newest first.

        Raises:
            ValueError: One of the instants is naive.
        """
        _, until = self.bounded(until, until)
        return takewhile(self._has_begun, self._backward(self._anchor(anchor), until))

    def planned(self, *, anchor: datetime, after: datetime, until: datetime) -> Iterator[Planned]:
        """Return the occurrences of the rule in a period, with their wall times. See `occurrences`.

        They include those on excluded days, and all of several with the same instant.

        Raises:
            ValueError: One of the instants is naive.
        """
        after, until = self.bounded(after, until)
        planned = self.rule.forward(anchor=self._anchor(anchor), after=after)
        in_period = takewhile(lambda one: one.time <= until, planned)
        return (one for one in in_period if self._has_begun(one.time))

    def previous(self, occurrence: datetime, *, anchor: datetime) -> datetime | None:
        """Return the start of an occurrence's window: the occurrence before it, as if the schedule had no beginning."""
        before = self._backward(self._anchor(anchor), occurrence - timedelta.resolution)
        return next(before, None)

    def extra(self, *, anchor: datetime) -> datetime | None:
        """Return the occurrence that `run_at_start` adds, or None. It is the minute of the registration."""
        if not self.run_at_start or self.exclusions.hit(anchor, self.zone) is not None:
            return None
        _, until = self.bounded(anchor, anchor)
        return anchor if until == anchor else None

    def _forward(self, anchor: Anchor, after: datetime) -> Iterator[datetime]:
        """Yield the rule's instants on days that are not excluded, each once."""
        while True:
            for instant, _ in self.rule.forward(anchor=anchor, after=after):
                excluded = self.exclusions.hit(instant, self.zone)
                if excluded is not None:
                    break
                if instant > after:
                    yield instant
                after = instant
            else:
                return
            if excluded[1] >= _LAST_DAY:
                return
            # A jump to the day after the range: stepping through it could take millions of occurrences.
            after = self._midnight(excluded[1] + timedelta(days=1)) - timedelta.resolution

    def _backward(self, anchor: Anchor, until: datetime) -> Iterator[datetime]:
        """Do the same as `_forward`, newest first. The first instant is included."""
        while True:
            last = None
            for instant, _ in self.rule.backward(anchor=anchor, until=until):
                excluded = self.exclusions.hit(instant, self.zone)
                if excluded is not None:
                    break
                if instant != last:
                    yield instant
                last = instant
            else:
                return
            if excluded[0] <= _FIRST_DAY:
                return
            until = self._midnight(excluded[0]) - timedelta.resolution

    def _midnight(self, day: date) -> datetime:
        return instant_of(datetime.combine(day, time()), self.zone)

    def _has_begun(self, occurrence: datetime) -> bool:
        """Return whether an occurrence is not before the start."""
        if self.start_time is None:
            return True
        # `start_time` itself is an occurrence only if the rule has no days and times of day. SDK v1 does the same: if a
        # start matches week_days and time_of_day, the first run is the next one after it.
        start = self._instant(self.start_time)
        return occurrence > start or (occurrence == start and not self.rule.has_pattern)

    def _anchor(self, registered_at: datetime) -> Anchor:
        if self.start_time is None:
            instant = _in_utc(registered_at)
            return Anchor(instant, wall_of(instant, self.zone).replace(fold=0))
        instant = self._instant(self.start_time)
        if self.start_time.tzinfo is None:
            return Anchor(instant, self.start_time)
        return Anchor(instant, wall_of(instant, self.zone).replace(fold=0))

    def bounded(self, after: datetime, until: datetime) -> tuple[datetime, datetime]:
        """Return a period in UTC, cut to the beginning and the end of the schedule."""
        after, until = _in_utc(after), _in_utc(until)
        if self.start_time is not None:
            after = max(after, self._instant(self.start_time) - timedelta.resolution)
        if self.end_time is not None:
            until = min(until, self._instant(self.end_time))
        return after, until

    def _instant(self, moment: datetime) -> datetime:
        if moment.tzinfo is None:
            return instant_of(moment, self.zone)
        return moment.astimezone(UTC)


def delay(identifier: str, *, at_most: timedelta) -> timedelta:
    """Return the jitter of an occurrence in whole seconds. It is the same in every instance of the app.

    Args:
        identifier: The event's deduplication key, 32 hex digits.
        at_most: The maximum, which is included.
    """
    return timedelta(seconds=int(identifier, 16) % (int(at_most.total_seconds()) + 1))


def _in_utc(instant: datetime) -> datetime:
    """Return an instant in UTC.

    Raises:
        ValueError: The instant is naive.
    """
    if instant.tzinfo is None:
        raise ValueError(f"{instant!r} has no time zone")
    return instant.astimezone(UTC)
