"""TODO."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.config.model import Trigger
from shared.core.events import Event, Ignored

KEPT_GAPS = 20


GRACE = timedelta(minutes=15)
"""How far before its first sight a trigger's floor lies: the upload that woke a sleeping app must count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerState:
    """What the ledger knows of a trigger.

    Attributes:
        name: The trigger's name.
        place: What the first sight was of; another place is a new first sight.
        first_seen: When the trigger, with this place, was first seen.
        floor: Events older than this start nothing; None when all count.
        enabled: A person's override; None when there is none.
        switched: When a person last switched it; None when nobody did.
        switched_by: Who, where roles are on.
        gaps: The last times in which it was disabled by a person, each from and until: what happened then is not
            made up for. The last one has no end while it lasts.
        enabled_at: When it was last switched on: nothing that a schedule missed before is made up for.
        behind: How far the trigger's occurrences are recorded, when that is less far than the ticks came.
        etag: The row's version; empty when it is not known.
    """

    name: str
    place: str
    first_seen: datetime
    floor: datetime | None
    enabled: bool | None = None
    enabled_at: datetime | None = None
    behind: datetime | None = None
    switched: datetime | None = None
    switched_by: str | None = None
    gaps: tuple[tuple[datetime, datetime | None], ...] = ()
    etag: str = field(default="", compare=False, repr=False)

    def is_enabled(self, *, by_file: bool) -> bool:
        """Return whether the trigger starts anything: a person's word, else the file's."""
        return by_file if self.enabled is None else self.enabled

    def in_gap(self, time: datetime) -> bool:
        """Return whether an instant lies in a time, over by now, in which a person had disabled the trigger."""
        return any(start <= time < end for start, end in self.gaps if end is not None)

    def switch(
        self, enabled: bool | None, *, by_file: bool, now: datetime, by: str | None
    ) -> TriggerState:
        """Return the state after a person switched it; the same when nothing changes.

        Args:
            enabled: The override; None returns to the file's value.
            by_file: The file's value.
            now: The time.
            by: Who.
        """
        if enabled == self.enabled:
            return self
        after = replace(self, enabled=enabled, switched=now, switched_by=by)
        was, will = self.is_enabled(by_file=by_file), after.is_enabled(by_file=by_file)
        if was and not will:
            return replace(after, gaps=(*self.gaps, (now, None))[-KEPT_GAPS:])
        if was or not will:
            return after
        gaps = self.gaps
        if gaps and gaps[-1][1] is None:
            gaps = (*gaps[:-1], (gaps[-1][0], now))
        return replace(after, enabled_at=now, gaps=gaps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A trigger as today's file has it.

    Attributes:
        name: The trigger's name.
        place: What a first sight is of.
        floor: The floor to set at a first sight: None when everything that there is counts.
        time: Now: what `first_seen` becomes at a first sight.
        behind: What `behind` becomes at a first sight: a moment before an occurrence that the first sight itself is.
    """

    name: str
    place: str
    floor: datetime | None
    time: datetime
    behind: datetime | None = None


def first_minute(first_seen: datetime) -> datetime:
    """Return what schedules without a start are counted from: the first sight, cut to the minute."""
    return first_seen.replace(second=0, microsecond=0)


def closed(
    trigger: Trigger, state: TriggerState, event: Event, *, asked: bool = False
) -> Ignored | None:
    """Return why a trigger's state keeps an event from starting anything, or None.

    Args:
        trigger: The trigger.
        state: What the ledger knows of it.
        event: What happened.
        asked: Whether a person asks for exactly this: then it may be as old as it likes.
    """
    if not state.is_enabled(by_file=trigger.enabled):
        who = "the triggers file" if state.enabled is None else "a person"
        reason = f"trigger {state.name} is disabled by {who}"
        return Ignored(reason=reason, condition="enabled", value="false")
    if asked:
        return None
    time = f"{event.time:%Y-%m-%dT%H:%M:%SZ}"
    if state.floor is not None and event.time < state.floor:
        return Ignored(
            reason=f"it happened at {time}, before the trigger's floor "
            f"{state.floor:%Y-%m-%dT%H:%M:%SZ} (see `start` in the triggers file)",
            condition="start",
            value=time,
        )
    if state.in_gap(event.time):
        reason = f"it happened at {time}, while the trigger was disabled"
        return Ignored(reason=reason, condition="enabled", value=time)
    return None
