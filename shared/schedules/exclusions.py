"""Days on which a schedule does not run: `except` in the file."""

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
    """Spans of days, in order and apart from each other.

    Attributes:
        spans: First and last day of each; both are excluded.
    """

    spans: tuple[tuple[date, date], ...] = ()

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Exclusions:
        """Read days (`2027-12-25`) and spans of days (`2027-12-24 to 2028-01-02`).

        Raises:
            ValueError: A text is neither.
        """
        spans: list[tuple[date, date]] = []
        for first, last in sorted(read_days(text) for text in texts):
            if spans and first <= spans[-1][1]:
                spans[-1] = (spans[-1][0], max(last, spans[-1][1]))
            else:
                spans.append((first, last))
        return cls(tuple(spans))

    def hit(self, instant: datetime, zone: ZoneInfo) -> tuple[date, date] | None:
        """Return the span that holds an instant's day in a zone, or None."""
        if not self.spans:
            return None
        day = instant.astimezone(zone).date()
        place = bisect_right(self.spans, day, key=lambda span: span[0]) - 1
        return self.spans[place] if place >= 0 and day <= self.spans[place][1] else None


def read_days(text: str) -> tuple[date, date]:
    """Return the first and the last day of an exclusion.

    Raises:
        ValueError: Not a day of the calendar, or a span that ends before it begins.
    """
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise ValueError(
            "an exclusion is a day such as 2027-12-25, or days such as 2027-12-24 to 2028-01-02, without a time: "
            "whole days of the schedule's time_zone, the last one too"
        )
    try:
        first = date.fromisoformat(found[1])
        last = date.fromisoformat(found[2]) if found[2] else first
    except ValueError:
        raise ValueError("there is no such day in the calendar") from None
    if last < first:
        raise ValueError("the last day lies before the first; write the earlier one first")
    return first, last


def print_days(span: tuple[date, date]) -> str:
    """Write a span as the file does."""
    first, last = span
    return str(first) if first == last else f"{first} to {last}"
