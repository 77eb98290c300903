"""What the ledger knows of a trigger, and whether that lets an event through."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.core.events import Event, Ignored
from shared.core.times import print_second

GRACE = timedelta(hours=2)
"""How far before its registration a trigger's cutoff lies.

The upload that woke a sleeping app must count, and so must those that an outage of the ledger kept from the app.
"""

KEPT_DISABLED_PERIODS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What is recorded when the app first meets a trigger, or meets it with another source key."""

    name: str
    """The trigger's name."""
    source_key: str
    """What the trigger starts from. If it changes, the trigger is registered again."""
    cutoff: datetime | None
    """Events older than this start nothing. None: all events count."""
    time: datetime
    """Now."""
    watermark: datetime | None = None
    """Where the trigger's own watermark begins, if its first occurrence is the registration itself."""

    @property
    def pair(self) -> bytes:
        """The digest of the trigger together with what it starts from."""
        return digest_pair(self.name, self.source_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnWatermark:
    """Where a trigger is that is behind the common watermark of the ticks."""

    time: datetime
    """Up to where the trigger's occurrences are recorded."""
    catch_up_from: datetime | None = None
    """The start of the catch-up window when the trigger fell behind. What was within that window is not given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerState:
    """What the ledger knows of a trigger."""

    name: str
    """The trigger's name."""
    source_key: str
    """What the trigger started from when it was registered."""
    registered_at: datetime
    """When the trigger was registered with this source key."""
    seen_at: datetime
    """When a tick last noted that a version of the file has the trigger with this source key."""
    cutoff: datetime | None
    """Events older than this start nothing. None: all events count."""
    enabled: bool | None = None
    """The override by a person. None: the triggers file decides."""
    enabled_at: datetime | None = None
    """When a person last enabled the trigger. Nothing that a schedule missed before is caught up."""
    watermark: datetime | None = None
    """Up to where the trigger's occurrences are recorded, if that is behind the common watermark of the ticks."""
    catch_up_from: datetime | None = None
    """The start of the catch-up window when the trigger fell behind, if it is behind."""
    overridden_at: datetime | None = None
    """When a person last changed the override."""
    overridden_by: str | None = None
    """Who changed it, if roles are on."""
    disabled_periods: tuple[tuple[datetime, datetime | None], ...] = ()
    """The last periods in which a person had disabled the trigger (from, until). The current one has no end.

    Events of these periods start nothing, also later.
    """
    error: str | None = None
    """Why the trigger's row cannot be read. The other fields are those of a new registration, and nothing starts."""
    etag: str = field(default="", compare=False, repr=False)
    """The version of the registration's row, or empty if there is none that can be read."""

    @property
    def is_registered(self) -> bool:
        """Whether this is recorded. Otherwise it is what a registration would record."""
        return bool(self.etag)

    @property
    def pair(self) -> bytes:
        """The digest of the trigger together with what it starts from."""
        return digest_pair(self.name, self.source_key)

    @property
    def own_watermark(self) -> OwnWatermark | None:
        """Where the trigger is, if that is behind the common watermark of the ticks."""
        if self.watermark is None:
            return None
        return OwnWatermark(time=self.watermark, catch_up_from=self.catch_up_from)

    @property
    def anchor(self) -> datetime:
        """The instant that schedules without a start are counted from: the registration, cut to the minute."""
        return anchor_of(self.registered_at)

    def is_enabled(self, *, enabled_in_file: bool) -> bool:
        """Return whether the trigger starts anything: the override decides, else the file."""
        if self.error is not None:
            return False
        return enabled_in_file if self.enabled is None else self.enabled

    def in_disabled_period(self, time: datetime) -> bool:
        """Return whether an instant lies in a finished period in which a person had disabled the trigger."""
        return any(start <= time < end for start, end in self.disabled_periods if end is not None)

    def reason_to_ignore(
        self, event: Event, *, enabled_in_file: bool, run_now: bool = False
    ) -> Ignored | None:
        """Return why this state keeps an event from starting anything, or None.

        Args:
            event: The event.
            enabled_in_file: `enabled` of the trigger in the triggers file.
            run_now: Whether a person asks for this event. Then it may be of any age.
        """
        if self.error is not None:
            return Ignored(reason=self.error, condition="state", value="unreadable")
        if not self.is_enabled(enabled_in_file=enabled_in_file):
            who = "the triggers file" if self.enabled is None else "a person"
            reason = f"trigger {self.name} is disabled by {who}"
            return Ignored(reason=reason, condition="enabled", value="false")
        if run_now:
            return None
        time = print_second(event.time)
        if self.cutoff is not None and event.time < self.cutoff:
            return Ignored(
                reason=f"it happened at {time}, before the trigger's cutoff "
                f"{print_second(self.cutoff)} (see `start` in the triggers file)",
                condition="start",
                value=time,
            )
        if self.in_disabled_period(event.time):
            reason = f"it happened at {time}, while the trigger was disabled"
            return Ignored(reason=reason, condition="enabled", value=time)
        return None

    def override(
        self, enabled: bool | None, *, enabled_in_file: bool, now: datetime, by: str | None
    ) -> TriggerState:
        """Return the state after a person enabled or disabled the trigger. Doing it twice changes nothing.

        Args:
            enabled: The override. None returns the decision to the file.
            enabled_in_file: `enabled` of the trigger in the triggers file.
            now: The current time.
            by: Who asks for it, if known.
        """
        if enabled == self.enabled:
            return self
        after = replace(self, enabled=enabled, overridden_at=now, overridden_by=by)
        was = self.is_enabled(enabled_in_file=enabled_in_file)
        will_be = after.is_enabled(enabled_in_file=enabled_in_file)
        if was and not will_be:
            periods = (*self.disabled_periods, (now, None))[-KEPT_DISABLED_PERIODS:]
            return replace(after, disabled_periods=periods)
        if was or not will_be:
            return after
        periods = self.disabled_periods
        if periods and periods[-1][1] is None:
            periods = (*periods[:-1], (periods[-1][0], now))
        return replace(after, enabled_at=now, disabled_periods=periods)


def anchor_of(registered_at: datetime) -> datetime:
    """Return the instant that schedules without a start are counted from: a registration, cut to the minute."""
    return registered_at.replace(second=0, microsecond=0)


def digest_pair(name: str, source_key: str) -> bytes:
    """Return 8 bytes that stand for a trigger together with what it starts from."""
    return hashlib.sha256(json.dumps([name, source_key]).encode()).digest()[:8]
