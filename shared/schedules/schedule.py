"""When a schedule fires: a rule, cron or recurrence, with its beginning, its end and its exclusions.

A schedule without `start_time` is counted from its trigger's first sight, cut to the minute. `run_at_start` asks for
one more occurrence, that minute itself, which the caller adds: only it knows whether the trigger has just been seen.
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
    """What becomes of missed occurrences: those that no tick came for in time."""

    NONE = "none"
    """They are skipped."""
    LATEST = "latest"
    """The newest one runs; the others are skipped."""
    ALL = "all"
    """They run, oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatchUp:
    """What is made up for.

    Attributes:
        policy: Which missed occurrences run.
        window: Those missed by more than this are skipped in any case.
    """

    policy: CatchUpPolicy = CatchUpPolicy.LATEST
    window: timedelta = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A rule that names instants, and from when until when it counts.

    Attributes:
        rule: Which instants.
        run_at_start: Whether the first sight's minute counts too.
        start_time: From when on, and what the rule is counted from: a wall time of the rule's zone (naive), or an
            instant. The first sight when None.
        end_time: Until when, itself included: likewise. For ever when None.
        exclusions: Days that do not count.

    Raises:
        ValueError: The end is before the start, only one of them has an offset, or nothing ever fires between them.
    """

    rule: Rule
    run_at_start: bool = False
    start_time: datetime | None = None
    end_time: datetime | None = None
    exclusions: Exclusions = field(default=Exclusions())

    def __post_init__(self) -> None:
        start, end = self.start_time, self.end_time
        if start is not None and end is not None:
            if (start.tzinfo is None) != (end.tzinfo is None):
                raise ValueError(
                    "one of start_time and end_time has an offset and the other has none; write both alike, "
                    "best as local times (2027-03-01T06:00:00) with time_zone"
                )
            if end < start:
                raise ValueError("end_time is before start_time")
        if start is not None:
            since = self._instant(start) - timedelta.resolution
            bounded = self.occurrences(anchor=since, after=since, until=LAST_INSTANT)
            if next(bounded, None) is None:
                raise ValueError(
                    "the schedule can never fire: there is no occurrence from start_time on"
                    + ("" if end is None else " until end_time")
                )

    @property
    def zone(self) -> ZoneInfo:
        """Whose wall clock counts."""
        return self.rule.zone

    @property
    def needs_anchor(self) -> bool:
        """Whether the instants depend on when the trigger was first seen."""
        return self.start_time is None and self.rule.needs_anchor

    @property
    def definition(self) -> str:
        """The rule in one line, normalised: as long as it stays, so does the anchor.

        `run_at_start`, `end_time` and `except` are no part of it: changing them starts nothing by itself.
        """
        if self.start_time is None:
            return self.rule.definition
        return f"{self.rule.definition} from {self.start_time.isoformat()}"

    def latest(self, *, anchor: datetime, after: datetime, until: datetime) -> datetime | None:
        """Return the latest occurrence in (after, until], or None.

        Args:
            anchor: The trigger's first sight, cut to the minute.
            after: The instant up to which occurrences are done; not included.
            until: The last instant that counts; included.

        Raises:
            ValueError: One of the instants has no zone.
        """
        after = _in_utc(after)
        last = next(self.backwards(anchor=anchor, until=until), None)
        return last if last is not None and last > after else None

    def occurrences(
        self, *, anchor: datetime, after: datetime, until: datetime
    ) -> Iterator[datetime]:
        """Return the occurrences in (after, until], oldest first; arguments as for `latest`.

        Raises:
            ValueError: One of the instants has no zone.
        """
        after, until = self.bounded(after, until)
        forward = takewhile(lambda one: one <= until, self._forward(self._anchor(anchor), after))
        return filter(self._has_begun, forward)

    def backwards(self, *, anchor: datetime, until: datetime) -> Iterator[datetime]:
        """Return the occurrences up to an instant, newest first.

        Raises:
            ValueError: One of the instants has no zone.
        """
        _, until = self.bounded(until, until)
        return takewhile(self._has_begun, self._backward(self._anchor(anchor), until))

    def planned(self, *, anchor: datetime, after: datetime, until: datetime) -> Iterator[Planned]:
        """Return the rule's occurrences in (after, until] with their wall times.

        Those on excluded days are there too, and every one of several that land on one instant.

        Raises:
            ValueError: One of the instants has no zone.
        """
        after, until = self.bounded(after, until)
        planned = self.rule.forward(anchor=self._anchor(anchor), after=after)
        until_then = takewhile(lambda one: one.time <= until, planned)
        return (one for one in until_then if self._has_begun(one.time))

    def previous(self, occurrence: datetime, *, anchor: datetime) -> datetime | None:
        """Return the occurrence before one, as if the schedule had no beginning: where its window starts."""
        before = self._backward(self._anchor(anchor), occurrence - timedelta.resolution)
        return next(before, None)

    def extra(self, *, anchor: datetime) -> datetime | None:
        """Return the occurrence that `run_at_start` adds, the first sight's minute, if it counts."""
        if not self.run_at_start or self.exclusions.hit(anchor, self.zone) is not None:
            return None
        _, until = self.bounded(anchor, anchor)
        return anchor if until == anchor else None

    def _forward(self, anchor: Anchor, after: datetime) -> Iterator[datetime]:
        """Yield the rule's instants on days that count, each once; excluded days are jumped over."""
        while True:
            for instant, _ in self.rule.forward(anchor=anchor, after=after):
                span = self.exclusions.hit(instant, self.zone)
                if span is not None:
                    break
                if instant > after:
                    yield instant
                after = instant
            else:
                return
            if span[1] >= _LAST_DAY:
                return
            after = self._midnight(span[1] + timedelta(days=1)) - timedelta.resolution

    def _backward(self, anchor: Anchor, until: datetime) -> Iterator[datetime]:
        """Do what `_forward` does, newest first, from an instant that counts too."""
        while True:
            last = None
            for instant, _ in self.rule.backward(anchor=anchor, until=until):
                span = self.exclusions.hit(instant, self.zone)
                if span is not None:
                    break
                if instant != last:
                    yield instant
                last = instant
            else:
                return
            if span[0] <= _FIRST_DAY:
                return
            until = self._midnight(span[0]) - timedelta.resolution

    def _midnight(self, day: date) -> datetime:
        return instant_of(datetime.combine(day, time()), self.zone)

    def _has_begun(self, occurrence: datetime) -> bool:
        """Whether an occurrence is not before the start.

        One at `start_time` itself counts only where nothing but `start_time` says the time: as in SDK v1, whose first
        run is after a start that matches week_days and time_of_day.
        """
        if self.start_time is None:
            return True
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
        """Return a span in UTC, cut to where the schedule counts."""
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
    """Return an occurrence's jitter, in whole seconds: the same for everybody who asks.

    Args:
        identifier: The event's id, 32 hex digits.
        at_most: The bound, itself included.
    """
    return timedelta(seconds=int(identifier, 16) % (int(at_most.total_seconds()) + 1))


def _in_utc(instant: datetime) -> datetime:
    """Return an instant in UTC; a naive one is a mistake of the caller."""
    if instant.tzinfo is None:
        raise ValueError(f"{instant!r} has no time zone")
    return instant.astimezone(UTC)
