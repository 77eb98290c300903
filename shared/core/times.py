"""Durations (`90s`, `15m`, `24h`, `7d`) and instants (`2027-03-27T01:30:00Z`) as text."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_SPAN = re.compile(r"([1-9][0-9]{0,6})(s|m|h|d)\Z")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def read_duration(text: str) -> timedelta:
    """Read a duration.

    Raises:
        ValueError: The text is not a whole number with one unit.
    """
    found = _SPAN.match(text)
    if found is None:
        raise ValueError(
            "a duration is a whole number above 0 with s, m, h or d; write for example 24h"
        )
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def print_duration(span: timedelta) -> str:
    """Return a duration as text, in the largest unit that gives a whole number."""
    seconds = round(span.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def print_instant(instant: datetime) -> str:
    """Return an instant as `2027-03-27T01:30:00Z`. A fraction of a second is added only if the instant has one.

    Raises:
        ValueError: The instant has no time zone.
    """
    if instant.tzinfo is None:
        raise ValueError(f"{instant!r} has no time zone")
    text = instant.astimezone(UTC).isoformat()
    return text.removesuffix("+00:00") + "Z"


def print_second(instant: datetime) -> str:
    """Return an instant without a fraction of a second, for messages."""
    return print_instant(instant.replace(microsecond=0))


def read_instant(text: str) -> datetime:
    """Read an instant that `print_instant` wrote, or any ISO 8601 instant with an offset.

    Raises:
        ValueError: The text is not an instant, or has no time zone.
    """
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; write 2027-03-27T01:30:00Z")
    return instant.astimezone(UTC)
