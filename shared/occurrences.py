"""Which occurrences of the schedules a tick must claim."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from shared.config import Config, ScheduleSource
from shared.events import ScheduleEvent
from shared.ledger import TriggerState


def due_occurrences(
    config: Config,
    states: Mapping[str, TriggerState],
    *,
    evaluated_until: datetime | None,
    now: datetime,
) -> Iterator[ScheduleEvent]:
    """Return the latest occurrence of each schedule since the last tick: of missed ones, one is enough.

    Args:
        config: Today's file.
        states: Each trigger's first sight.
        evaluated_until: How far the last tick came; None before the first.
        now: The last instant that counts.
    """
    for trigger in config.triggers.values():
        if isinstance(trigger.source, ScheduleSource):
            time = latest_due(trigger.source, states[trigger.name], evaluated_until, now)
            if time is not None:
                yield ScheduleEvent(trigger=trigger.name, time=time)


def latest_due(
    source: ScheduleSource, state: TriggerState, evaluated_until: datetime | None, now: datetime
) -> datetime | None:
    """Return the latest occurrence in (evaluated_until, now], or None.

    Args:
        source: The schedule.
        state: Its first sight, cut to the minute, is the anchor.
        evaluated_until: How far the last tick came; None before the first.
        now: The last instant that counts.
    """
    anchor = state.first_seen.replace(second=0, microsecond=0)
    after = max(evaluated_until or anchor, anchor)
    latest = source.schedule.latest(anchor=anchor, after=after, until=now) if after < now else None
    new = evaluated_until is None or evaluated_until < state.first_seen
    if latest is None and new and source.schedule.run_at_start:
        return anchor
    return latest
