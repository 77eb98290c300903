"""What an event would start: the same checks as in `accept`, and nothing is claimed, recorded or sent."""

from __future__ import annotations

from dataclasses import dataclass

from shared.config.model import ScheduleSource, Trigger
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
from shared.engine.accept import read_blob
from shared.engine.render import render_body
from shared.engine.services import Services
from shared.engine.tick.occurrences import schedule_event
from shared.schedules.upcoming import look_ahead

type PreviewSubject = Event | BlobNotification | Ignored
"""What would happen to a trigger. `Ignored`: it does not concern the trigger at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What one trigger would do."""

    trigger: str
    """The trigger's name."""
    body: bytes | None = None
    """The rendered body that would be sent. None: nothing would be started."""
    ignored: Ignored | None = None
    """The first condition that fails. None: a run would be started."""
    submission: str | None = None
    """The submission that the event has or would have. None if the event does not decide it."""


def preview(services: Services, asked: list[tuple[Trigger, PreviewSubject]]) -> list[Preview]:
    """Return what each trigger would do.

    Raises:
        LedgerUnavailable: The ledger did not answer.
        LedgerError: A row cannot be read.
    """
    now = services.clock()
    states = services.ledger.triggers.read_states(one.registration(now) for one, _ in asked)
    found = []
    for trigger, subject in asked:
        event = _event(services, trigger, subject)
        if isinstance(event, Ignored):
            found.append(Preview(trigger=trigger.name, ignored=event))
        else:
            found.append(_preview(services, trigger, states[trigger.name], event))
    return found


def _event(services: Services, trigger: Trigger, subject: PreviewSubject) -> Event | Ignored:
    if not isinstance(subject, BlobNotification):
        return subject
    try:
        return read_blob(services, trigger, subject)
    except (StorageUnavailable, TokenUnavailable) as error:
        return Ignored(reason=str(error), condition="exists", value="unknown")


def _preview(services: Services, trigger: Trigger, state: TriggerState, event: Event) -> Preview:
    ignored = state.reason_to_ignore(event, enabled_in_file=trigger.enabled)
    ignored = ignored or _no_occurrence(trigger, state, event)
    if ignored is not None:
        return Preview(trigger=trigger.name, ignored=ignored)
    if isinstance(event, ScheduleEvent) and isinstance(trigger.source, ScheduleSource):
        event = schedule_event(trigger.name, trigger.source, event.time, anchor=state.anchor)
    identifier = deduplication_key(event)
    known = None if _is_new(event) else services.ledger.submissions.get(identifier)
    if known is not None:
        reason = f"it has submission {known.id} already, which is {known.state}"
        ignored = Ignored(reason=reason, condition="new", value=known.state)
        return Preview(trigger=trigger.name, ignored=ignored, submission=identifier)
    key = correlation_id(identifier, 1)
    try:
        rendered = render_body(services.config, trigger, event, correlation_id=key)
    except RenderError as error:
        ignored = Ignored(reason=str(error), condition="values", value=error.where)
        return Preview(trigger=trigger.name, ignored=ignored)
    submission = None if _is_new(event) else identifier
    return Preview(trigger=trigger.name, body=rendered.body, submission=submission)


def _is_new(event: Event) -> bool:
    """Return whether each such request is a new one, because it brings no key."""
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
