"""What an event would start: the same checks that `accept` makes, and nothing claimed, recorded or sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from shared.config.model import Config, ScheduleSource, Trigger
from shared.core.errors import RenderError, StorageUnavailable, TokenUnavailable
from shared.core.events import (
    BlobNotification,
    Event,
    HttpEvent,
    Ignored,
    ScheduleEvent,
    deduplication_key,
)
from shared.core.submissions import correlation_id
from shared.core.times import print_second
from shared.core.trigger_state import TriggerState
from shared.engine.accept import Acceptor, build_run_body
from shared.engine.tick.occurrences import schedule_event
from shared.ledger.ledger import Ledger
from shared.schedules.upcoming import look_ahead


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What one trigger would do.

    Attributes:
        trigger: The trigger's name.
        body: The rendered body that would be sent; None when nothing would be started.
        ignored: The first condition that fails; None when a run would be started.
        submission: The submission that the event has, or would have; None where that is not known.
    """

    trigger: str
    body: bytes | None = None
    ignored: Ignored | None = None
    submission: str | None = None


type PreviewSubject = Event | BlobNotification | Ignored
"""What would happen to a trigger; `Ignored` when it does not concern it at all."""


def preview(
    asked: list[tuple[Trigger, PreviewSubject]],
    *,
    config: Config,
    ledger: Ledger,
    acceptor: Acceptor,
    now: datetime,
) -> list[Preview]:
    """Return what each trigger would do with its subject.

    Raises:
        LedgerUnavailable: The ledger did not answer.
        LedgerError: A row cannot be understood.
    """
    states = ledger.read_states(trigger.registration(now) for trigger, _ in asked)
    found = []
    for trigger, subject in asked:
        event = _event(acceptor, trigger, subject)
        if isinstance(event, Ignored):
            found.append(Preview(trigger=trigger.name, ignored=event))
        else:
            found.append(_preview(config, ledger, trigger, states[trigger.name], event))
    return found


def _event(acceptor: Acceptor, trigger: Trigger, subject: PreviewSubject) -> Event | Ignored:
    if not isinstance(subject, BlobNotification):
        return subject
    try:
        return acceptor.read_blob(trigger, subject)
    except (StorageUnavailable, TokenUnavailable) as error:
        return Ignored(reason=str(error), condition="exists", value="unknown")


def _preview(
    config: Config, ledger: Ledger, trigger: Trigger, state: TriggerState, event: Event
) -> Preview:
    ignored = state.reason_to_ignore(event, enabled_in_file=trigger.enabled) or _no_occurrence(
        trigger, state, event
    )
    if ignored is not None:
        return Preview(trigger=trigger.name, ignored=ignored)
    if isinstance(event, ScheduleEvent) and isinstance(trigger.source, ScheduleSource):
        anchor = state.anchor
        event = schedule_event(trigger.name, trigger.source, event.time, anchor=anchor)
    identifier = deduplication_key(event)
    known = None if _is_new(event) else ledger.get(identifier)
    if known is not None:
        reason = f"it has submission {known.id} already, which is {known.state}"
        ignored = Ignored(reason=reason, condition="new", value=known.state)
        return Preview(trigger=trigger.name, ignored=ignored, submission=identifier)
    try:
        body = build_run_body(config, trigger, event, correlation_id=correlation_id(identifier, 1))
    except RenderError as error:
        ignored = Ignored(reason=str(error), condition="values", value=error.where)
        return Preview(trigger=trigger.name, ignored=ignored)
    submission = None if _is_new(event) else identifier
    return Preview(trigger=trigger.name, body=body, submission=submission)


def _is_new(event: Event) -> bool:
    """Whether each such request is a new one: it brings no key."""
    return isinstance(event, HttpEvent) and event.key[0] == "new"


def _no_occurrence(trigger: Trigger, state: TriggerState, event: Event) -> Ignored | None:
    if not isinstance(trigger.source, ScheduleSource) or not isinstance(event, ScheduleEvent):
        return None
    schedule, anchor = trigger.source.schedule, state.anchor
    found = look_ahead(schedule, anchor=anchor, since=event.time, count=1).occurrences
    if found and found[0].time == event.time:
        return None
    time = print_second(event.time)
    reason = (
        f"{time} is no occurrence of {schedule.definition}, counted from {print_second(anchor)}"
    )
    return Ignored(reason=reason, condition="schedule", value=time)
