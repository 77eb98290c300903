"""What a schedule's rule is: something that names instants, forwards and backwards from any moment.

A rule has no beginning: it goes back beyond its anchor. `schedule` says from when on and until when it counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo

UTC_ZONE = ZoneInfo("UTC")

FIRST_INSTANT = datetime(1, 1, 3, tzinfo=UTC)
LAST_INSTANT = datetime(9999, 12, 20, tzinfo=UTC)
"""Beyond these, a wall time of some zone or the end of a week is outside the calendar."""


class Anchor(NamedTuple):
    """What a recurrence is counted from.

    Attributes:
        instant: In UTC.
        wall: What the rule's own wall clock shows then, or what the file says that it shows.
    """

    instant: datetime
    wall: datetime


class Planned(NamedTuple):
    """An occurrence.

    Attributes:
        time: The instant, in UTC.
        wall: The wall time that it stands for; the clock may never show that one.
    """

    time: datetime
    wall: datetime


class MissingDay(NamedTuple):
    """A day that a rule names and a month does not have: the 31st of June."""

    month: date
    day: int


class Rule(Protocol):
    """Names instants."""

    @property
    def zone(self) -> ZoneInfo:
        """Whose wall clock the rule reads."""

    @property
    def definition(self) -> str:
        """The rule in one line: equal rules have equal definitions."""

    @property
    def follows_elapsed_time(self) -> bool:
        """Whether a change of the clocks leaves the distance between occurrences as it is."""

    @property
    def has_pattern(self) -> bool:
        """Whether it names days or times of day, and not only a distance."""

    @property
    def needs_anchor(self) -> bool:
        """Whether another anchor would give other instants."""

    def forward(self, *, anchor: Anchor, after: datetime) -> Iterator[Planned]:
        """Yield the occurrences later than an instant, oldest first; several may land on one instant."""

    def backward(self, *, anchor: Anchor, until: datetime) -> Iterator[Planned]:
        """Yield the occurrences up to an instant, newest first; several may land on one instant."""

    def missing_days(
        self, *, anchor: Anchor, after: datetime, until: datetime
    ) -> Iterator[MissingDay]:
        """Yield the days that the rule names and the months of a span do not have."""

    def unshown_walls(self, *, after: datetime, until: datetime) -> Iterator[datetime]:
        """Yield the wall times that the rule names in a span, that no clock shows, and that are not made up for."""
