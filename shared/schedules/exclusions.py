"""Days without occurrences: the key `except` of the file."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

_FORM = re.compile(r"(\d{4}-\d\d-\d\d)(?:\s+to\s+(\d{4}-\d\d-\d\d))?")


@dataclass(frozen=True, slots=True)
class Exclusions:
    """Ranges of excluded days."""

    ranges: tuple[tuple[date, date], ...] = ()
    """The first and the last day of each range, both excluded. The ranges are in order and do not overlap."""

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Exclusions:
        """Read days (`2027-12-25`) and ranges of days (`2027-12-24 to 2028-01-02`).

        Raises:
            ValueError: A text is neither.
        """
        ranges: list[tuple[date, date]] = []
        for first, last in sorted(read_days(text) for text in texts):
            if ranges and first <= ranges[-1][1]:
                ranges[-1] = (ranges[-1][0], max(last, ranges[-1][1]))
            else:
                ranges.append((first, last))
        return cls(tuple(ranges))

    def hit(self, instant: datetime, zone: ZoneInfo) -> tuple[date, date] | None:
        """Return the range that contains the day of an instant in a zone, or None."""
        if not self.ranges:
            return None
        day = instant.astimezone(zone).date()
        index = bisect_right(self.ranges, day, key=lambda one: one[0]) - 1
        return self.ranges[index] if index >= 0 and day <= self.ranges[index][1] else None


def read_days(text: str) -> tuple[date, date]:
    """Return the first and the last day of an exclusion.

    Raises:
        ValueError: The text is not a day of the calendar, or a range that ends before it begins.
    """
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise ValueError(
            "an exclusion is a day such as 2027-12-25, or days such as 2027-12-24 to 2028-01-02, without a time; "
            "it excludes whole days of the schedule's time_zone, including the last one"
        )
    try:
        first = date.fromisoformat(found[1])
        last = date.fromisoformat(found[2]) if found[2] else first
    except ValueError:
        raise ValueError("the calendar has no such day") from None
    if last < first:
        raise ValueError("the last day is before the first; write the earlier one first")
    return first, last


def print_days(days: tuple[date, date]) -> str:
    """Return a range of days as the file has it."""
    first, last = days
    return str(first) if first == last else f"{first} to {last}"
