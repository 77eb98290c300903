"""What people and scripts can ask for with triggers: see them, enable and disable them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.config.model import ScheduleSource, Trigger
from shared.core.errors import NotFound, WrongSource
from shared.core.events import ScheduleEvent
from shared.core.telemetry import Action, log_decision
from shared.core.trigger_state import TriggerState
from shared.engine.services import Services
from shared.engine.tick.occurrences import schedule_event
from shared.ledger.table.protocol import Row
from shared.operations.listing import latest_of
from shared.schedules.upcoming import look_ahead

logger = logging.getLogger(__name__)

NEXT = 5
"""Next occurrences that a report shows."""

LATEST = 5
"""Latest submissions that a report shows. For many triggers: as many of each as are among the newest 1,000 of all."""

LATEST_PAGES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerReport:
    """A trigger with what the ledger knows of it."""

    trigger: Trigger
    """The trigger as today's file has it."""
    state: TriggerState
    """What the ledger knows of it."""
    enabled: bool
    """Whether it starts anything."""
    next: tuple[datetime, ...]
    """Its next occurrences, for a schedule that is enabled."""
    latest: tuple[Row, ...]
    """The `log:` rows of its latest submissions, newest first."""

    @property
    def since(self) -> datetime:
        """Since when it has been enabled or disabled: the last override, or the registration."""
        return self.state.overridden_at or self.state.registered_at


def get_trigger(services: Services, name: str) -> Trigger:
    """Return a trigger of the file.

    Raises:
        NotFound: There is none of that name.
    """
    if name not in services.config.triggers:
        raise NotFound("there is no trigger of that name in the triggers file")
    return services.config.triggers[name]


def schedule_of(trigger: Trigger) -> ScheduleSource:
    """Return a trigger's schedule.

    Raises:
        WrongSource: It starts from something else.
    """
    if isinstance(trigger.source, ScheduleSource):
        return trigger.source
    raise WrongSource(
        f"trigger {trigger.name} starts from {trigger.source.source}, not from a schedule"
    )


def occurrence(services: Services, name: str, time: datetime) -> ScheduleEvent:
    """Return an instant as an event of a schedule, with its window. It need not be one of the schedule's occurrences.

    Raises:
        NotFound: There is no trigger of that name.
        WrongSource: It is not a schedule.
        LedgerUnavailable: The ledger did not answer.
    """
    trigger = get_trigger(services, name)
    source = schedule_of(trigger)
    state = services.ledger.triggers.read_states([trigger.registration(services.clock())])[name]
    return schedule_event(name, source, time, anchor=state.anchor)


def report_triggers(
    services: Services, *, limit: int | None = None, after: str | None = None
) -> Sequence[TriggerReport]:
    """Return the triggers of the file in its order, with what the ledger knows of them.

    Args:
        services: The app's parts.
        limit: The most to return. None: all.
        after: Return only triggers behind this one.

    Raises:
        NotFound: There is no trigger `after`.
        LedgerUnavailable: The ledger did not answer.
    """
    found = list(services.config.triggers.values())
    first = found.index(get_trigger(services, after)) + 1 if after is not None else 0
    end = None if limit is None else first + limit
    return _reports(services, found[first:end], pages=1)


def report_trigger(services: Services, name: str) -> TriggerReport:
    """Return a trigger with what the ledger knows of it.

    Raises:
        NotFound: There is none of that name.
        LedgerUnavailable: The ledger did not answer.
    """
    (found,) = _reports(services, [get_trigger(services, name)], pages=LATEST_PAGES)
    return found


def override(
    services: Services, name: str, enabled: bool | None, *, by: str | None = None
) -> TriggerReport:
    """Enable or disable a trigger, or return it to the file's value (None). Every instance obeys within 30 seconds.

    Events of the time in which it is disabled start nothing, also later. Doing it twice changes nothing.

    Raises:
        NotFound: There is none of that name.
        LedgerUnavailable: It may not be recorded.
    """
    trigger, now = get_trigger(services, name), services.clock()
    services.ledger.triggers.override(
        trigger.registration(now),
        lambda state: state.override(enabled, enabled_in_file=trigger.enabled, now=now, by=by),
    )
    said = {True: "enabled", False: "disabled", None: "returned to the file's value"}[enabled]
    log_decision(
        logger,
        Action.TRIGGER_OVERRIDDEN,
        f"trigger {name} is {said} by {by or 'a person'}",
        {"trigger": name, "enabled": enabled, "by": by},
    )
    return report_trigger(services, name)


def _reports(services: Services, triggers: Sequence[Trigger], *, pages: int) -> list[TriggerReport]:
    """Return reports. The latest submissions are looked for in so many pages of 1,000."""
    now = services.clock()
    states = services.ledger.triggers.read_states(one.registration(now) for one in triggers)
    names = {trigger.name for trigger in triggers}
    latest = latest_of(services.ledger, names, each=LATEST, pages=pages)
    return [
        _report(trigger, states[trigger.name], latest[trigger.name], now=now)
        for trigger in triggers
    ]


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
    outlook = look_ahead(source.schedule, anchor=state.anchor, since=now, count=NEXT)
    return tuple(one.time for one in outlook.occurrences)
