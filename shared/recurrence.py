"""Every so many minutes, hours, days or weeks, counted from an anchor, in UTC."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

MAX_INTERVAL = 100_000
"""Above Logic Apps' largest (72,000 minutes), far below what a timedelta holds, in weeks too."""


class Frequency(StrEnum):
    """The unit that an interval counts."""

    MINUTE = "minute"
    """60 seconds."""
    HOUR = "hour"
    """60 minutes."""
    DAY = "day"
    """24 hours."""
    WEEK = "week"
    """7 days."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrence:
    """The instants `anchor + k * interval * unit`, k >= 1.

    Attributes:
        frequency: The unit.
        interval: How many units lie between two occurrences, 1 to `MAX_INTERVAL`.

    Raises:
        ValueError: The interval is out of its range.
    """

    frequency: Frequency
    interval: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.interval <= MAX_INTERVAL:
            raise ValueError(f"interval must be from 1 to {MAX_INTERVAL}")

    @property
    def step(self) -> timedelta:
        """The time between two occurrences."""
        return timedelta(**{f"{self.frequency.value}s": self.interval})

    @property
    def definition(self) -> str:
        """The rule in one line: equal rules have equal definitions."""
        return f"every {self.interval} {self.frequency.value}"

    def latest(self, *, anchor: datetime, after: datetime, until: datetime) -> datetime | None:
        """Return the latest occurrence in (after, until]; a division, however far the anchor is."""
        count = (until - anchor) // self.step
        if count < 1:
            return None
        occurrence = anchor + count * self.step
        return occurrence if occurrence > after else None

    def occurrences(
        self, *, anchor: datetime, after: datetime, until: datetime
    ) -> Iterator[datetime]:
        """Yield the occurrences in (after, until], oldest first."""
        first = max(1, (after - anchor) // self.step + 1)
        last = (until - anchor) // self.step
        for count in range(first, last + 1):
            yield anchor + count * self.step
