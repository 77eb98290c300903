"""Triggers as people see them: what each starts, whether it is enabled and since when, what comes next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.config.model import ScheduleSource, Trigger
from shared.core.trigger_state import TriggerState
from shared.ledger.ledger import Ledger
from shared.ledger.table.protocol import Row
from shared.operations.listing import latest_of
from shared.schedules.upcoming import look_ahead

NEXT = 5
"""Occurrences that are told."""

LATEST = 5
"""Submissions that are told of one trigger; of many, of each as many among the newest 1,000 of all."""

LATEST_PAGES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerReport:
    """A trigger.

    Attributes:
        trigger: As today's file has it.
        state: What the ledger knows of it.
        enabled: Whether it starts anything.
        next: Its next occurrences, for a schedule that is enabled.
        latest: The `log:` rows of its latest submissions, newest first.
    """

    trigger: Trigger
    state: TriggerState
    enabled: bool
    next: tuple[datetime, ...]
    latest: tuple[Row, ...]

    @property
    def since(self) -> datetime:
        """Since when it has been enabled, or disabled: a person's last word, or the first sight."""
        return self.state.overridden_at or self.state.registered_at


def report(
    triggers: Sequence[Trigger], *, ledger: Ledger, now: datetime, thorough: bool = False
) -> list[TriggerReport]:
    """Return triggers with what the ledger knows of them; nothing is recorded.

    Args:
        triggers: Which.
        ledger: Where their states and submissions are.
        now: The time.
        thorough: Look for the latest submissions among 5,000, not 1,000.

    Raises:
        LedgerUnavailable: The ledger did not answer.
    """
    states = ledger.read_states(trigger.registration(now) for trigger in triggers)
    names = {trigger.name for trigger in triggers}
    pages = LATEST_PAGES if thorough else 1
    latest = latest_of(ledger, names, each=LATEST, pages=pages)
    return [
        _report(trigger, states[trigger.name], latest[trigger.name], now=now)
        for trigger in triggers
    ]


def override(
    trigger: Trigger,
    enabled: bool | None,
    *,
    ledger: Ledger,
    clock: Callable[[], datetime],
    by: str | None,
) -> TriggerState:
    """Enable or disable a trigger, or return it to the file's value; in effect everywhere within 30 seconds.

    What comes while it is disabled is not made up for later. Doing it twice changes nothing.

    Raises:
        LedgerUnavailable: It may not be recorded.
    """
    now = clock()
    return ledger.override(
        trigger.registration(now),
        lambda state: state.override(enabled, enabled_in_file=trigger.enabled, now=now, by=by),
    )


def _report(
    trigger: Trigger, state: TriggerState, latest: list[Row], *, now: datetime
) -> TriggerReport:
    enabled = state.is_enabled(enabled_in_file=trigger.enabled)
    coming = _coming(trigger.source, state, now) if enabled else ()
    return TriggerReport(
        trigger=trigger, state=state, enabled=enabled, next=coming, latest=tuple(latest)
    )


def _coming(source: object, state: TriggerState, now: datetime) -> tuple[datetime, ...]:
    if not isinstance(source, ScheduleSource):
        return ()
    anchor = state.anchor
    outlook = look_ahead(source.schedule, anchor=anchor, since=now, count=NEXT)
    return tuple(one.time for one in outlook.occurrences)
