"""Short calls of a schedule for tests."""

from __future__ import annotations

from datetime import UTC, datetime

from shared.schedules.schedule import Schedule


def at(text: str) -> datetime:
    """Return an instant in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def latest(
    schedule: Schedule, *, anchor: datetime, after: datetime, until: datetime
) -> datetime | None:
    """Return the latest occurrence in a period, or None. `after` is not included, `until` is."""
    last = next(schedule.backwards(anchor=anchor, until=until), None)
    return last if last is not None and last > after else None
