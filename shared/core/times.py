"""Durations (`90s`, `15m`, `24h`, `7d`) and instants (`2027-03-27T01:30:00Z`) as text."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_SPAN = re.compile(r"([1-9][0-9]{0,6})(s|m|h|d)\Z")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def read_duration(text: str) -> timedelta:
    """Read a span of time.

    Raises:
        ValueError: Not a whole number with one unit.
    """
    found = _SPAN.match(text)
    if found is None:
        raise ValueError(
            "a span of time is a whole number above 0 with s, m, h or d; write for example 24h"
        )
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def print_duration(span: timedelta) -> str:
    """Write a span with the largest unit that leaves a whole number."""
    seconds = round(span.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def print_instant(instant: datetime) -> str:
    """Write an aware instant as `2027-03-27T01:30:00Z`, with a fraction only where there is one.

    Raises:
        ValueError: The instant has no zone.
    """
    if instant.tzinfo is None:
        raise ValueError(f"{instant!r} has no time zone")
    text = instant.astimezone(UTC).isoformat()
    return text.removesuffix("+00:00") + "Z"


def print_second(instant: datetime) -> str:
    """Write an aware instant without its fraction, for messages: `2027-03-27T01:30:00Z`."""
    return print_instant(instant.replace(microsecond=0))


def read_instant(text: str) -> datetime:
    """Read what `print_instant` wrote, or any ISO 8601 instant with an offset.

    Raises:
        ValueError: Not an instant, or one without a zone.
    """
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; write 2027-03-27T01:30:00Z")
    return instant.astimezone(UTC)
