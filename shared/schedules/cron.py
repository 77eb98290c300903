"""Cron expressions of five fields, with the rules of Debian's cron (`cronsim`), in any time zone.

If the day of month or the day of week begins with `*`, both must match. Otherwise one of them is enough.

An expression with a fixed hour keeps wall-clock time. `zones` decides which instant a wall time stands for. An
expression with `*` or `*/n` as its hour follows elapsed time: each minute that passes is an occurrence if the clock
matches the expression. So an hour that the clock repeats has its occurrences twice, and an hour that the clock skips
has none.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from shared.schedules.rule import FIRST_INSTANT, LAST_INSTANT, UTC_ZONE, Anchor, MissingDay, Planned
from shared.schedules.zones import (
    exists,
    instant_of,
    last_wall_until,
    offset_at,
    transition,
    wall_of,
)

MAX_LENGTH = 500
"""Characters of an expression. Lists of all 60 minutes, 24 hours and 31 days fit."""

MACROS = {
    "@YEARLY": "0 0 1 1 *",
    "@ANNUALLY": "0 0 1 1 *",
    "@MONTHLY": "0 0 1 * *",
    "@WEEKLY": "0 0 * * 0",
    "@DAILY": "0 0 * * *",
    "@MIDNIGHT": "0 0 * * *",
    "@HOURLY": "0 * * * *",
}

_FIELDS = {
    "minute": "0-59",
    "hour": "0-23",
    "day-of-month": "1-31, L (the last) and LW (the last weekday)",
    "month": "1-12 and JAN-DEC",
    "day-of-week": "0-7 (0 and 7 are Sunday), SUN-SAT, MON#2 (the second Monday) and 5L (the last Friday)",
}
_SOME_DAY = datetime(2000, 1, 1)  # a wall time
_EVERY_HOUR = re.compile(r"\*(?:/\d+)?")
_FIRST_WALL = FIRST_INSTANT.replace(tzinfo=None)
_LAST_WALL = LAST_INSTANT.replace(tzinfo=None)
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression of five fields: minute, hour, day of month, month, day of week.

    Raises:
        ValueError: The expression does not have five fields, a field is not valid, or no day ever matches.
    """

    expression: str
    """The five fields in upper case, with one space between them. A macro is replaced by its fields."""
    zone: ZoneInfo = field(default=UTC_ZONE, kw_only=True)
    """The time zone of the wall clock."""

    def __post_init__(self) -> None:
        if len(self.expression) > MAX_LENGTH:
            raise ValueError(f"a cron expression has at most {MAX_LENGTH} characters")
        fields = _written_out(self.expression.upper().strip()).split()
        if len(fields) != len(_FIELDS):
            raise ValueError(
                "a cron expression has exactly five fields (minute, hour, day of month, month, "
                f"day of week) and this one has {len(fields)}; write for example 30 6 * * MON-FRI"
            )
        object.__setattr__(self, "expression", " ".join(fields))
        self._check_each(fields)
        try:
            next(CronSim(self.expression, _SOME_DAY))
        except (CronSimError, StopIteration):
            # Each field is valid, so the combination is not: February 30, or a fifth Monday on the 2nd.
            raise ValueError(
                "the expression can never fire: no day has that day of month, month and day of week; "
                "change one of these fields"
            ) from None

    @staticmethod
    def _check_each(fields: list[str]) -> None:
        """Check each field with `*` for the others, so that the error names the field."""
        for position, (name, allowed) in enumerate(_FIELDS.items()):
            alone = ["*"] * len(fields)
            alone[position] = fields[position]
            try:
                CronSim(" ".join(alone), _SOME_DAY)
            # cronsim passes on the ValueError of int() for numbers of thousands of digits.
            except (CronSimError, ValueError):
                raise ValueError(
                    f"the field {name} is not valid; allowed are {allowed}, *, "
                    "lists with commas, ranges from low to high with -, and steps with /"
                ) from None

    @property
    def definition(self) -> str:
        """The rule as one line of text. Equal rules have equal definitions."""
        zone = "" if self.zone.key == "UTC" else f" in {self.zone.key}"
        return f"cron {self.expression}{zone}"

    @property
    def follows_elapsed_time(self) -> bool:
        """Whether the hour field is `*` or `*/n`."""
        return _EVERY_HOUR.fullmatch(self.expression.split()[1]) is not None

    @property
    def has_pattern(self) -> bool:
        """A cron expression always has times of day."""
        return True

    @property
    def needs_anchor(self) -> bool:
        """A cron expression does not depend on an anchor."""
        return False

    def forward(self, *, anchor: Anchor, after: datetime) -> Iterator[Planned]:  # noqa: ARG002 - as all rules
        """Yield the occurrences after an instant, oldest first. Several may have the same instant."""
        after = max(after, FIRST_INSTANT)
        if self.follows_elapsed_time:
            yield from self._elapsed_forward(after)
            return
        for wall in self._walls_after(wall_of(after, self.zone)):
            if (instant := instant_of(wall, self.zone)) > after:
                yield Planned(instant, wall)

    def backward(self, *, anchor: Anchor, until: datetime) -> Iterator[Planned]:  # noqa: ARG002 - as all rules
        """Yield the occurrences up to an instant, newest first. Several may have the same instant."""
        until = min(until, LAST_INSTANT)
        if self.follows_elapsed_time:
            yield from self._elapsed_backward(until)
            return
        for wall in self._walls_until(last_wall_until(until, self.zone)):
            if (instant := instant_of(wall, self.zone)) <= until:
                yield Planned(instant, wall)

    def missing_days(
        self,
        *,
        anchor: Anchor,  # noqa: ARG002 - as all rules
        after: datetime,
        until: datetime,
    ) -> Iterator[MissingDay]:
        """Yield the days of the day-of-month field that the months of a period do not have."""
        fields = CronSim(self.expression, _SOME_DAY)
        if self.expression.split()[2].startswith("*") or max(fields.days) <= 28:
            return
        month = wall_of(after, self.zone).date().replace(day=1)
        last = wall_of(min(until, LAST_INSTANT), self.zone).date()
        while month <= last:
            length = monthrange(month.year, month.month)[1]
            if month.month in fields.months:
                for day in range(length + 1, 32):
                    if day in fields.days:
                        yield MissingDay(month, day)
            month = (month + 31 * _DAY).replace(day=1)

    def unshown_walls(self, *, after: datetime, until: datetime) -> Iterator[datetime]:
        """Yield the wall times of the expression in a period that have no occurrence, because the clock skips them."""
        if self.follows_elapsed_time:
            last = wall_of(min(until, LAST_INSTANT), self.zone)
            for wall in self._walls_after(wall_of(after, self.zone)):
                if wall > last:
                    return
                if not exists(wall, self.zone):
                    yield wall

    def _walls_after(self, wall: datetime) -> Iterator[datetime]:
        """Yield the wall times of the expression after a wall time, oldest first."""
        return _within_the_calendar(CronSim(self.expression, wall))

    def _walls_until(self, wall: datetime) -> Iterator[datetime]:
        """Yield the wall times of the expression up to a wall time, newest first."""
        # Backwards, cronsim begins strictly before the given time.
        start = wall.replace(microsecond=0) + _SECOND
        return _within_the_calendar(CronSim(self.expression, start, reverse=True))

    def _elapsed_forward(self, after: datetime) -> Iterator[Planned]:
        """Yield the occurrences after an instant, period by period: each period has one offset from UTC."""
        now, wall = after, wall_of(after, self.zone)
        while True:
            offset = offset_at(now, self.zone)
            for one in self._walls_after(wall):
                instant = one.replace(tzinfo=UTC) - offset
                near = (min(now + _DAY, instant), max(now, instant - _DAY), instant)
                changed = self._first_other(near, offset)
                if changed is not None:
                    break
                yield Planned(instant, one)
                now = instant
            else:
                return
            now = transition(now, changed, self.zone)
            # cronsim begins strictly after the given time.
            wall = wall_of(now, self.zone) - _SECOND

    def _elapsed_backward(self, until: datetime) -> Iterator[Planned]:
        """Yield the occurrences up to an instant backwards, period by period: each period has one offset from UTC."""
        now = until
        while True:
            offset = offset_at(now, self.zone)
            for one in self._walls_until(wall_of(now, self.zone)):
                instant = one.replace(tzinfo=UTC) - offset
                near = (max(now - _DAY, instant), min(now, instant + _DAY), instant)
                changed = self._first_other(near, offset)
                if changed is not None:
                    break
                yield Planned(instant, one)
                now = instant
            else:
                return
            now = transition(changed, now, self.zone) - _SECOND

    def _first_other(self, instants: tuple[datetime, ...], offset: timedelta) -> datetime | None:
        """Return the first of some instants at which the zone has another offset, or None."""
        # The callers also pass a day after the start and a day before the end of a step. The step may be half a year
        # long, with a repeated hour near one end and the same offset at both ends.
        return next((one for one in instants if offset_at(one, self.zone) != offset), None)


def _within_the_calendar(walls: Iterator[datetime]) -> Iterator[datetime]:
    """Yield wall times as long as they are instants of the calendar in every zone."""
    try:
        for wall in walls:
            if not _FIRST_WALL < wall < _LAST_WALL:
                return
            yield wall
    except OverflowError:  # cronsim itself left the calendar
        return


def _written_out(expression: str) -> str:
    """Return the fields that a macro stands for, or any other expression as it is.

    Raises:
        ValueError: The macro is not known.
    """
    if not expression.startswith("@"):
        return expression
    if expression == "@REBOOT":
        raise ValueError(
            "@reboot is not a time; for a run when the app registers the trigger, write run_at_start: true"
        )
    if expression not in MACROS:
        known = ", ".join(sorted(macro.lower() for macro in MACROS))
        raise ValueError(
            f"this macro is not known; allowed are {known}, or five fields such as 30 6 * * MON-FRI"
        )
    return MACROS[expression]
