"""The interface of a schedule's rule. A rule gives occurrences, forwards and backwards from any instant.

A rule has no beginning: it also gives occurrences before its anchor. `schedule` adds the beginning and the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo

UTC_ZONE = ZoneInfo("UTC")

FIRST_INSTANT = datetime(1, 1, 3, tzinfo=UTC)
LAST_INSTANT = datetime(9999, 12, 20, tzinfo=UTC)
"""Outside of these, the wall time in some zone or the end of a week is beyond Python's calendar."""


class Anchor(NamedTuple):
    """The origin that a recurrence is counted from."""

    instant: datetime
    """The origin in UTC."""
    wall: datetime
    """The origin on the rule's wall clock. If the file gives it as a local time, it is that time."""


class Planned(NamedTuple):
    """An occurrence that a rule gives."""

    time: datetime
    """The instant in UTC."""
    wall: datetime
    """The wall time of the rule. In a gap of the clock it does not exist."""


class MissingDay(NamedTuple):
    """A day of a rule that a month does not have, such as June 31."""

    month: date
    """The first day of the month."""
    day: int
    """The number of the day."""


class Rule(Protocol):
    """Gives the occurrences of a schedule."""

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of the rule."""

    @property
    def definition(self) -> str:
        """The rule as one line of text. Equal rules have equal definitions."""

    @property
    def follows_elapsed_time(self) -> bool:
        """Whether the time between two occurrences stays the same when the clock changes."""

    @property
    def has_pattern(self) -> bool:
        """Whether the rule has days or times of day, and not only an interval."""

    @property
    def needs_anchor(self) -> bool:
        """Whether another anchor gives other occurrences."""

    def forward(self, *, anchor: Anchor, after: datetime) -> Iterator[Planned]:
        """Yield the occurrences after an instant, oldest first. Several may have the same instant."""

    def backward(self, *, anchor: Anchor, until: datetime) -> Iterator[Planned]:
        """Yield the occurrences up to an instant, newest first. Several may have the same instant."""

    def missing_days(
        self, *, anchor: Anchor, after: datetime, until: datetime
    ) -> Iterator[MissingDay]:
        """Yield the days of the rule that the months of a period do not have."""

    def unshown_walls(self, *, after: datetime, until: datetime) -> Iterator[datetime]:
        """Yield the wall times of the rule in a period that have no occurrence, because the clock skips them."""
